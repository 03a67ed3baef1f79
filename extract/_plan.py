"""What is to be computed, in which shards, and whether there is room for it.

Utterances are taken by rising length and cut into shards of a fixed size, so that
what is left after a kill falls into the same shards: a resumed run repeats exactly
the work that an undisturbed one would have done. It also puts utterances of like
lengths side by side, over the whole corpus, for whoever pads them into batches.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from contracts.cache import Cache
from contracts.errors import CacheError
from contracts.feature import FeatureSpec

_SHARD = {
    True: (128, float("inf")),
    False: (32, 240.0),
}  # is table: utterances, seconds
_SPARE = 1.05  # of the estimate, for indices and file systems


@dataclass(frozen=True)
class Item:
    """One waveform to be heard.

    Attributes:
        key: its hash
        id: of the first utterance that it belongs to
        path: its file
        start: seconds; None: from the beginning
        end: seconds; None: to the end
        duration: seconds
        variant: how it is made from its source; empty: an original
        source: hash of the waveform that a variant is made from
        sound: file to hear it from, where that is not ``path``
    """

    key: str
    id: str
    path: str
    start: float | None
    end: float | None
    duration: float
    variant: str = ""
    source: str = ""
    sound: str = ""


def items(rows: pd.DataFrame) -> list[Item]:
    """List the distinct waveforms of manifest rows, by rising length.

    Args:
        rows: with the sources of all variants among them
    """
    good = rows[rows["problem"] == ""]
    waveform = dict(zip(good["id"], good["waveform"], strict=True))
    good = good.drop_duplicates("waveform")
    columns = ("waveform", "id", "path", "start", "end", "duration", "variant")
    told = good[[*columns, "source"]].itertuples(index=False, name=None)
    out = [
        Item(k, i, p, _known(s), _known(e), d, v, waveform.get(o, ""))
        for k, i, p, s, e, d, v, o in told
    ]
    return sorted(out, key=lambda item: (item.duration, item.key))


def _known(seconds: float) -> float | None:
    return None if seconds != seconds else seconds


def missing(cache: Cache, spec: FeatureSpec, rows: pd.DataFrame) -> list[Item]:
    """List waveforms that a feature was not tried for yet, then those that failed."""
    store = next((s for s in cache.stores if s.spec.short == spec.short), None)
    if store is None:
        return items(rows)
    wanted = [item for item in items(rows) if item.key not in store.places]
    return [i for i in wanted if i.key not in store.failed] + [
        i for i in wanted if i.key in store.failed
    ]


def shards(spec: FeatureSpec, todo: Sequence[Item]) -> Iterator[list[Item]]:
    """Cut utterances into shards; taking whole shards away leaves the others alike."""
    most, longest = _SHARD[spec.is_table]
    shard: list[Item] = []
    seconds = 0.0
    for item in todo:
        if shard and (len(shard) == most or seconds + item.duration > longest):
            yield shard
            shard, seconds = [], 0.0
        shard.append(item)
        seconds += item.duration
    if shard:
        yield shard


def stored_bytes(spec: FeatureSpec, todo: Sequence[Item]) -> int:
    """Estimate what a feature of some utterances takes on disk."""
    if spec.is_table:
        return len(todo) * spec.n_channels * 4
    each = len(spec.layers) * spec.n_channels
    pooled = len(todo) * each * 2 * 4
    if not spec.keeps_frames:
        return pooled
    frames = sum(item.duration / spec.frame_shift + 1 for item in todo)
    return int(frames * each * np.dtype(spec.dtype).itemsize) + pooled


def refuse_full_disk(
    cache: Cache, wanted: Sequence[tuple[FeatureSpec, Sequence[Item]]]
) -> None:
    """Refuse before work starts what cannot fit on the disk.

    Raises:
        CacheError: saying what is needed and what is there
    """
    need = _SPARE * sum(stored_bytes(spec, todo) for spec, todo in wanted)
    free = free_bytes(cache.folder)
    if need > free:
        msg = (
            f"too little disk for what is asked: {need / 1e9:.1f} GB are needed, "
            f"{free / 1e9:.1f} GB are free at {cache.folder}. Choose another place "
            "with --cache DIR, or less with --store pooled, --layers or --limit"
        )
        raise CacheError(msg)


def free_bytes(folder: Path) -> int:
    """Return how much room the disk has that a folder lies or will lie on."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
