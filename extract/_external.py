"""Put arrays from a file into the cache, each with the utterance it belongs to."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts import plugins
from contracts.cache import Cache
from contracts.errors import ExtractionError, listing
from contracts.feature import Block, FeatureSpec
from contracts.terminal import progress
from extract import _plan, _work
from extract._arrays import Arrays
from extract._blocks import block
from extract._pairing import Matched, get

VERSION = 1
NO_AUDIO = "not made from audio: python pipeline.py external puts it in from a file"
_MARK = "file_sha256"  # the setting that only features from a file have


def is_external(spec: FeatureSpec) -> bool:
    """Whether a feature came from a file, so that no audio can make it again."""
    return _MARK in spec.settings


def check_name(name: str) -> None:
    """Refuse what cannot name a feature.

    Raises:
        ExtractionError: if it has signs of a reference, or is a plug-in's
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        msg = (
            f"bad --name {name!r}: expected letters, digits, dots and dashes. Give "
            "another with --name NAME"
        )
        raise ExtractionError(msg)
    if name in plugins.names("features"):
        msg = (
            f"bad --name {name!r}: a feature of that name is made from audio. Give "
            "another with --name NAME"
        )
        raise ExtractionError(msg)


def understand(
    arrays: Arrays,
    keys: Sequence[str],
    path: Path,
    name: str,
    frame_shift: float | None,
    dtype: str,
) -> FeatureSpec:
    """Say what feature a file's arrays make.

    Args:
        arrays: of the file
        keys: those that belong to utterances
        path: the file
        name: of the feature
        frame_shift: seconds from one frame to the next; None: there are no frames
        dtype: of stored frames

    Raises:
        ExtractionError: if arrays are not of one kind and width, or the frame shift is
            missing or too much
    """
    kinds: dict[tuple[int, int, int], list[str]] = defaultdict(list)
    wrong = []
    with progress(f"{name}: reading", len(keys), "arrays") as advance:
        for key in keys:
            try:
                shape = get(arrays, key).shape
            except ExtractionError as error:
                wrong.append(f"{key}: {error}")
                continue
            if not 1 <= len(shape) <= 3 or 0 in shape:
                wrong.append(f"{key}: shape {shape}")
            else:
                layers = shape[0] if len(shape) == 3 else 1
                kinds[len(shape), layers, shape[-1]].append(key)
            advance(1)
    if wrong:
        msg = (
            f"{path}: {len(wrong)} arrays are none of (channel,), (frame, channel), "
            f"(layer, frame, channel): {listing(wrong)}. Mend or leave them out"
        )
        raise ExtractionError(msg)
    if len(kinds) > 1:
        told = [f"{k} for {len(v)} such as {v[0]}" for k, v in sorted(kinds.items())]
        msg = (
            f"{path}: expected arrays of one number of axes, layers and channels, got "
            f"{listing(told)}. Put them into files of their own"
        )
        raise ExtractionError(msg)
    [(n_axes, n_layers, width)] = kinds
    _check_shift(path, n_axes, frame_shift)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    spec = FeatureSpec(
        name,
        {"version": VERSION, _MARK: digest},
        arrays.names or tuple(f"{name}_{i}" for i in range(width)),
        provenance={"file": str(path.absolute())},
    )
    if n_axes == 1:
        return spec
    layers_ = tuple(range(n_layers))
    shift = float(frame_shift or 0)
    return replace(spec, channels=width, layers=layers_, dtype=dtype, frame_shift=shift)


def _check_shift(path: Path, n_axes: int, frame_shift: float | None) -> None:
    if n_axes > 1 and (frame_shift is None or not 0 < frame_shift < np.inf):
        msg = (
            f"{path} holds frames: expected the seconds from one to the next, got "
            f"{frame_shift}. Give them, such as --frame-shift 0.02"
        )
        raise ExtractionError(msg)
    if n_axes == 1 and frame_shift is not None:
        msg = f"{path} holds one vector per utterance: leave out --frame-shift"
        raise ExtractionError(msg)


class FromFile:
    """Takes arrays where an extractor takes waveforms, and makes them ready to store.

    Args:
        spec: the feature that they make
    """

    device = "file"

    def __init__(self, spec: FeatureSpec) -> None:
        self.spec = spec

    def __call__(
        self, waveforms: Sequence[NDArray[Any]]
    ) -> list[NDArray[Any] | Block | ExtractionError]:
        """Return what is to be stored of each array; NaN are kept and marked."""
        if self.spec.is_table:
            return list(waveforms)
        return [self._block(array) for array in waveforms]

    def _block(self, array: NDArray[Any]) -> Block | ExtractionError:
        frames = array if array.ndim == 3 else array[None]
        bad = ~np.isfinite(frames)
        whole = block(self.spec, np.where(bad, 0, frames))
        if isinstance(whole, ExtractionError) or not bad.any():
            return whole
        values, pooled = whole.values, whole.pooled
        if values is not None:
            values = np.where(bad, values.dtype.type(np.nan), values)
        if pooled is not None:
            unknown = bad.any(axis=1)[:, None]  # (layer, 1, channel)
            pooled = np.where(unknown, np.float32(np.nan), pooled)
        return Block(values, pooled, whole.scale, False, whole.n_frames)


def put(
    cache: Cache, rows: pd.DataFrame, spec: FeatureSpec, arrays: Arrays, found: Matched
) -> tuple[int, int]:
    """Commit the arrays that the cache lacks, and what is not there as failed.

    Args:
        cache: under whose lock this runs
        rows: manifest rows
        spec: what the arrays make
        arrays: of the file
        found: whose they are

    Returns:
        utterances put in now, and those that were there already
    """
    todo = _plan.missing(cache, spec, rows)
    n_before = len(_plan.items(rows)) - len(todo)
    _plan.refuse_full_disk(cache, [(spec, todo)])
    store, taker = cache.store(spec), FromFile(spec)
    lacks = ExtractionError("the file that it comes from has no array for it")
    n_new = 0
    with progress(spec.name, len(todo), "utterances") as advance:
        for shard in _plan.shards(spec, todo):
            told = [found.key_of.get(item.key) for item in shard]
            given = [lacks if key is None else get(arrays, key) for key in told]
            blocks, failed = _work.compute(taker, shard, given)
            store.commit(blocks, failed, taker.device)
            n_new += len(blocks)
            advance(len(shard))
    cache.__dict__.pop("stores", None)
    return n_new, n_before
