"""Run extractors over a manifest and commit what they give, shard by shard.

Utterances are taken by rising length and cut into shards of a fixed size, so that
what is left after a kill falls into the same shards: a resumed run repeats exactly
the work that an undisturbed one would have done.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.cache import Cache
from contracts.errors import CacheError, ExtractionError
from contracts.extraction import Extractor
from contracts.feature import Block, FeatureSpec
from contracts.terminal import progress
from extract import _audio

FLOAT16_MAX = 65504.0
_SHARD = {
    True: (128, float("inf")),
    False: (32, 240.0),
}  # is table: utterances, seconds
_SPARE = 1.05  # of the estimate, for indices and file systems


@dataclass(frozen=True)
class Outcome:
    """What became of one feature.

    Attributes:
        spec: the feature
        n_new: utterances computed now
        n_before: utterances that were there already
        failed: id -> why there are no numbers
        seconds_of_audio: computed now
    """

    spec: FeatureSpec
    n_new: int
    n_before: int
    failed: Mapping[str, str] = field(default_factory=dict)
    seconds_of_audio: float = 0.0


@dataclass(frozen=True)
class _Item:
    key: str
    id: str
    path: str
    start: float | None
    end: float | None
    duration: float


def items(rows: pd.DataFrame) -> list[_Item]:
    """List the distinct waveforms of manifest rows, by rising length."""
    good = rows[rows["problem"] == ""].drop_duplicates("waveform")
    columns = ("waveform", "id", "path", "start", "end", "duration")
    told = good[list(columns)].itertuples(index=False, name=None)
    out = [
        _Item(k, i, p, None if s != s else s, None if e != e else e, d)
        for k, i, p, s, e, d in told
    ]
    return sorted(out, key=lambda item: (item.duration, item.key))


def stored_bytes(spec: FeatureSpec, todo: Sequence[_Item]) -> int:
    """Estimate what a feature of some utterances takes on disk."""
    if spec.is_table:
        return len(todo) * spec.n_channels * 4
    frames = sum(item.duration / spec.frame_shift + 1 for item in todo)
    each = len(spec.layers) * spec.n_channels
    size = np.dtype(spec.dtype).itemsize
    return int(frames * each * size + len(todo) * each * 2 * 4)


def missing(cache: Cache, spec: FeatureSpec, rows: pd.DataFrame) -> list[_Item]:
    """List waveforms that a feature was not tried for yet, then those that failed."""
    store = next((s for s in cache.stores if s.spec.short == spec.short), None)
    if store is None:
        return items(rows)
    wanted = [item for item in items(rows) if item.key not in store.places]
    return [i for i in wanted if i.key not in store.failed] + [
        i for i in wanted if i.key in store.failed
    ]


def refuse_full_disk(
    cache: Cache, wanted: Sequence[tuple[FeatureSpec, Sequence[_Item]]]
) -> None:
    """Refuse before work starts what cannot fit on the disk.

    Raises:
        CacheError: saying what is needed and what is there
    """
    need = _SPARE * sum(stored_bytes(spec, todo) for spec, todo in wanted)
    folder = cache.folder
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if need > free:
        msg = (
            f"too little disk for what is asked: {need / 1e9:.1f} GB are needed, "
            f"{free / 1e9:.1f} GB are free at {folder}. Choose another place with "
            "--cache DIR, or less with --layers or --limit"
        )
        raise CacheError(msg)


def shards(spec: FeatureSpec, todo: Sequence[_Item]) -> Iterator[list[_Item]]:
    """Cut utterances into shards; taking whole shards away leaves the others alike."""
    most, longest = _SHARD[spec.is_table]
    shard: list[_Item] = []
    seconds = 0.0
    for item in todo:
        if shard and (len(shard) == most or seconds + item.duration > longest):
            yield shard
            shard, seconds = [], 0.0
        shard.append(item)
        seconds += item.duration
    if shard:
        yield shard


def run(cache: Cache, extractor: Extractor, rows: pd.DataFrame) -> Outcome:
    """Compute one feature for the utterances that lack it, and commit it.

    Args:
        cache: under whose lock this runs
        extractor: the feature
        rows: manifest rows

    Returns:
        what became of it; utterances that failed are recorded in the cache too
    """
    spec = extractor.spec
    todo = missing(cache, spec, rows)
    store = cache.store(spec)
    failed: dict[str, str] = {}
    total = sum(item.duration for item in todo)
    with (
        progress(spec.name, round(total), "s of audio") as advance,
        ThreadPoolExecutor(1) as ahead,
    ):
        plan = list(shards(spec, todo))
        heard = ahead.submit(_listen, plan[0]) if plan else None
        for i, shard in enumerate(plan):
            waveforms = heard.result() if heard else []
            heard = ahead.submit(_listen, plan[i + 1]) if i + 1 < len(plan) else None
            blocks, bad = _compute(extractor, shard, waveforms)
            store.commit(blocks, bad, extractor.device)
            failed |= {item.id: bad[item.key] for item in shard if item.key in bad}
            advance(sum(item.duration for item in shard), f"{len(failed)} failed")
    return Outcome(
        spec, len(todo) - len(failed), len(items(rows)) - len(todo), failed, total
    )


def _listen(shard: Sequence[_Item]) -> list[NDArray[Any] | ExtractionError]:
    """Decode a shard; a file that is no longer what the manifest says is an error."""
    out: list[NDArray[Any] | ExtractionError] = []
    for item in shard:
        try:
            decoded = _audio.decode(Path(item.path), item.start, item.end)
        except ExtractionError as error:
            out.append(error)
            continue
        if _audio.waveform_hash(decoded) != item.key:
            msg = f"{item.path} was replaced while this ran: run extract again"
            out.append(ExtractionError(msg))
            continue
        out.append(_audio.resample(decoded))
    return out


def _compute(
    extractor: Extractor,
    shard: Sequence[_Item],
    heard: Sequence[NDArray[Any] | ExtractionError],
) -> tuple[dict[str, Block], dict[str, str]]:
    """Turn waveforms into blocks; what cannot be is named with its reason."""
    good = [i for i, w in enumerate(heard) if not isinstance(w, ExtractionError)]
    results: dict[int, Any] = dict(enumerate(heard))
    waveforms = [heard[i] for i in good]
    if waveforms:
        results |= dict(zip(good, extractor(waveforms), strict=True))  # type: ignore[arg-type]
    blocks, failed = {}, {}
    for i, item in enumerate(shard):
        result = results[i]
        if not isinstance(result, ExtractionError) and not extractor.spec.is_table:
            result = _frames_block(extractor.spec, result)
        elif not isinstance(result, ExtractionError):
            row = np.array(result, np.float32)
            valid = bool(np.isfinite(row).all())
            row[~np.isfinite(row)] = np.nan
            result = Block(row, valid=valid)
        if isinstance(result, ExtractionError):
            failed[item.key] = str(result)
        else:
            blocks[item.key] = result
    return blocks, failed


def _frames_block(
    spec: FeatureSpec, frames: NDArray[np.float32]
) -> Block | ExtractionError:
    """Pool and cast ``(layer, frame, channel)``; a layer that overflows is scaled."""
    import torch

    values = torch.as_tensor(np.ascontiguousarray(frames))
    if not bool(torch.isfinite(values).all()):
        return ExtractionError(f"{spec.name} is not finite")
    deviation, mean = torch.std_mean(values, dim=1, correction=0)
    pooled = torch.stack([mean, deviation], dim=1).numpy()
    if spec.dtype != "float16":
        return Block(values.numpy(), pooled)
    largest = values.abs().amax(dim=(1, 2))
    if float(largest.max()) <= FLOAT16_MAX:
        return Block(values.half().numpy(), pooled)
    exponent = torch.ceil(torch.log2(largest / FLOAT16_MAX)).clamp(min=0)
    scale = torch.exp2(exponent)  # per layer, a power of two: no digit is lost
    stored = (values / scale[:, None, None]).half().numpy()
    return Block(stored, pooled, scale.numpy().astype(np.float32))
