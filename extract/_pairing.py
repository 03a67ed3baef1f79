"""Find which array of a file belongs to which utterance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import ExtractionError, listing
from extract import _arrays
from extract._arrays import Arrays


@dataclass(frozen=True)
class Matched:
    """Which arrays belong to which utterances.

    Attributes:
        key_of: waveform hash -> the file's key
        unknown: keys that no utterance has
        lacking: ids of utterances without an array
    """

    key_of: Mapping[str, str]
    unknown: tuple[str, ...]
    lacking: tuple[str, ...]


def match(arrays: Arrays, rows: pd.DataFrame, path: Path) -> Matched:
    """Find the utterance of each key.

    Raises:
        ExtractionError: if a key fits several utterances, two keys fit one, none fits
            any, or utterances that are one recording have arrays that differ
    """
    ids = _names(rows)
    several = [k for k in arrays.keys if len(ids.get(k, ())) > 1]
    if several:
        msg = (
            f"{path}: {len(several)} keys fit several utterances: {listing(several)}. "
            "Write ids with their corpus, or choose one with --corpus NAME"
        )
        raise ExtractionError(msg)
    keys: dict[str, list[str]] = defaultdict(list)  # of each id
    for key in arrays.keys:
        for name in ids.get(key, ()):
            keys[name].append(key)
    if doubled := [name for name, told in keys.items() if len(told) > 1]:
        msg = (
            f"{path} has several arrays for {len(doubled)} utterances: "
            f"{listing(doubled)}. Keep one of each"
        )
        raise ExtractionError(msg)
    if not keys:
        msg = (
            f"{path} has no array for any of {len(rows)} utterances: expected ids such "
            f"as {rows['id'].iloc[0]!r}, got {listing(arrays.keys[:2]) or 'none'}. "
            "See the ids of a corpus with: python pipeline.py export"
        )
        raise ExtractionError(msg)
    good = rows[rows["problem"] == ""]
    found = {n: keys[n][0] for n in good["id"] if n in keys}
    key_of = _by_waveform(arrays, good, found, path)
    there = good["waveform"].isin(list(key_of))
    unknown = tuple(k for k in arrays.keys if k not in ids)
    return Matched(key_of, unknown, tuple(good["id"][~there]))


def _names(rows: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return every name that a file may call an utterance by -> the ids it fits."""
    out: dict[str, set[str]] = defaultdict(set)
    columns = zip(rows["id"], rows["path"], rows["start"], rows["end"], strict=True)
    for name, path, start, end in columns:
        for word in (name, name.partition("/")[2], _arrays.segment(path, start, end)):
            out[word].add(name)
    return {word: tuple(sorted(names)) for word, names in out.items()}


def _by_waveform(
    arrays: Arrays, rows: pd.DataFrame, found: Mapping[str, str], path: Path
) -> dict[str, str]:
    """Give each waveform its key; one recording under two ids has one array."""
    out: dict[str, str] = {}
    first: dict[str, str] = {}
    differ: list[str] = []
    for name, waveform in zip(rows["id"], rows["waveform"], strict=True):
        if name not in found:
            continue
        if waveform not in out:
            out[waveform], first[waveform] = found[name], name
        elif not _same(get(arrays, out[waveform]), get(arrays, found[name])):
            differ.append(f"{first[waveform]} and {name}")
    if differ:
        msg = (
            f"{path}: {len(differ)} pairs of utterances are one recording, but their "
            f"arrays differ: {listing(differ)}. The cache knows one array per "
            "recording: give both the same, or take one out"
        )
        raise ExtractionError(msg)
    return out


def get(arrays: Arrays, key: str) -> NDArray[Any]:
    """Return one array.

    Raises:
        ExtractionError: if it cannot be read, or holds no numbers
    """
    try:
        array = np.asarray(arrays.get(key))
    except (ValueError, OSError) as error:
        msg = f"its array cannot be read: {error}"
        raise ExtractionError(msg) from error
    if array.dtype.kind not in "fiub":
        msg = f"its array holds no numbers, but {array.dtype}"
        raise ExtractionError(msg)
    return array.astype(np.float32)


def _same(one: NDArray[Any], two: NDArray[Any]) -> bool:
    return np.array_equal(one, two, equal_nan=True)
