"""The work on one shard: hear, compute, commit. The same in every process."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts import memory, plugins
from contracts.cache import FeatureStore
from contracts.errors import ExtractionError
from contracts.extraction import Extractor, Options
from contracts.feature import Block, FeatureSpec
from extract._listening import listen
from extract._plan import Item


@dataclass(frozen=True)
class Recipe:
    """How a feature is made ready, in whichever process.

    Attributes:
        feature: plug-in's name
        options: what was asked of it
        fingerprint: what it must come to
    """

    feature: str
    options: Options
    fingerprint: str

    def load(self) -> Extractor:
        """Make the feature ready.

        Raises:
            ExtractionError: if it is no longer what it was when this run began
        """
        extractor: Extractor = plugins.load("features", self.feature).load(self.options)
        if extractor.spec.fingerprint != self.fingerprint:
            msg = (
                f"the settings or the encoder of {self.feature} were changed while "
                "this ran: run the same command again"
            )
            raise ExtractionError(msg)
        return extractor


@dataclass(frozen=True)
class Task:
    """One shard to be made.

    Attributes:
        recipe: of the feature
        folder: of the feature in the cache
        items: the shard's utterances
    """

    recipe: Recipe
    folder: Path
    items: tuple[Item, ...]

    @property
    def seconds(self) -> float:
        """Seconds of audio."""
        return sum(item.duration for item in self.items)


@dataclass(frozen=True)
class Done:
    """What became of a shard.

    Attributes:
        failed: waveform hash -> why there are no numbers
    """

    failed: Mapping[str, str]


_READY: dict[str, Extractor] = {}  # in a worker: what was loaded, by fingerprint


def work(task: Task) -> Done:
    """Make one shard, in a process that keeps what it loaded."""
    memory.keep_pages()
    fingerprint = task.recipe.fingerprint
    if fingerprint not in _READY:
        with contextlib.redirect_stderr(io.StringIO()):  # the first process said it
            _READY[fingerprint] = task.recipe.load()
    extractor = _READY[fingerprint]
    blocks, failed = compute(extractor, task.items, listen(task.items))
    FeatureStore(task.folder).commit(blocks, failed, extractor.device)
    del blocks
    memory.give_back()
    return Done(failed)


def compute(
    extractor: Extractor,
    items: Sequence[Item],
    heard: Sequence[NDArray[Any] | ExtractionError],
) -> tuple[dict[str, Block], dict[str, str]]:
    """Turn waveforms into blocks; what cannot be is named with its reason."""
    good = [i for i, w in enumerate(heard) if not isinstance(w, ExtractionError)]
    results: dict[int, Any] = dict(enumerate(heard))
    waveforms = [heard[i] for i in good]
    if waveforms:
        given = _call(extractor, waveforms)  # type: ignore[arg-type]
        results |= dict(zip(good, given, strict=True))
    blocks, failed = {}, {}
    for i, item in enumerate(items):
        result = _as_block(extractor.spec, results[i])
        if isinstance(result, ExtractionError):
            failed[item.key] = str(result)
        else:
            blocks[item.key] = result
    return blocks, failed


def _call(
    extractor: Extractor, waveforms: Sequence[NDArray[Any]]
) -> Sequence[NDArray[Any] | Block | ExtractionError]:
    """Call an extractor; where memory runs out, one waveform after the other."""
    try:
        return extractor(waveforms)
    except (MemoryError, RuntimeError) as error:
        if not _is_memory(error):
            raise
    out: list[NDArray[Any] | Block | ExtractionError] = []
    for waveform in waveforms:
        try:
            out += extractor([waveform])
        except (MemoryError, RuntimeError) as error:
            if not _is_memory(error):
                raise
            seconds = len(waveform) / 16_000
            out.append(ExtractionError(too_large(seconds)))
    return out


def _is_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left, here or on a GPU."""
    said = str(error)
    return isinstance(error, MemoryError) or any(
        words in said for words in ("can't allocate memory", "out of memory")
    )


def too_large(seconds: float, need: float | None = None, free: float = 0.0) -> str:
    """Say that an utterance does not fit into memory: bytes needed, bytes there are."""
    needs = ""
    if need is not None:
        needs = f" (about {need / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free)"
    return (
        f"{seconds:.0f} s of audio do not fit into the memory there is{needs}: cut it "
        "into segments with start and end, or take fewer --layers"
    )


def _as_block(spec: FeatureSpec, result: Any) -> Block | ExtractionError:
    """Make what an extractor gave ready to be stored."""
    if isinstance(result, (Block, ExtractionError)):
        return result
    if not spec.is_table:
        from extract._blocks import block

        return block(spec, result)
    row = np.array(result, np.float32)
    valid = bool(np.isfinite(row).all())
    row[~np.isfinite(row)] = np.nan
    return Block(row, valid=valid)
