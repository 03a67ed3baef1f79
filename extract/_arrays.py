"""Read a file with one array per utterance: Parquet, CSV, TSV or npz."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import ExtractionError, listing
from contracts.manifest import COLUMNS, TRAIT, VOTE
from corpora._columns import COMMON, ROLES

if TYPE_CHECKING:
    import pyarrow as pa

SHAPE = "shape"  # a column that gives a column of lists its axes
_KEYS = ("id", "file", "start", "end")
# facts of an utterance, under any name that tables give them: no features
_OWN = {*COLUMNS, *_KEYS, "valid", "n_frames", "intensity", "repetition", "fold"}
_OWN |= {name for names in (*ROLES.values(), COMMON) for name in names}
_NO_NAME = re.compile(r"|Unnamed: \d+|__index_level_\d+__|level_\d+|index")
_TEXT = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True)
class Arrays:
    """What a file holds.

    Attributes:
        keys: of the utterances, as the file has them
        get: returns the array of a key
        names: of the channels; empty: they have none
        ignored: columns that are no features
    """

    keys: tuple[str, ...]
    get: Callable[[str], NDArray[Any]]
    names: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def read(path: Path) -> Arrays:
    """Open a file of arrays.

    Raises:
        ExtractionError: if it cannot be read or understood
    """
    suffix = path.suffix.lower()
    if suffix not in (".npz", ".parquet", *_TEXT):
        msg = (
            f"cannot read {path}: expected a .parquet, .csv, .tsv or .npz file, got "
            f"suffix {suffix!r}. See: python pipeline.py list features"
        )
        raise ExtractionError(msg)
    import pyarrow as pa

    try:
        arrays = _read(path, suffix)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, pa.ArrowException) as e:
        msg = f"cannot read {path}: expected a {suffix} file, got: {e}. Make it anew"
        raise ExtractionError(msg) from e
    twice = [key for key, n in Counter(arrays.keys).items() if n > 1]
    if twice:
        msg = (
            f"{path} has several rows for {len(twice)} utterances: {listing(twice)}. "
            "Keep one row of each"
        )
        raise ExtractionError(msg)
    return arrays


def _read(path: Path, suffix: str) -> Arrays:
    if suffix == ".npz":
        file = np.load(path, allow_pickle=False)
        return Arrays(tuple(file.files), file.__getitem__)
    if suffix in _TEXT:
        frame = pd.read_csv(path, sep=_TEXT[suffix], dtype={"id": str, "file": str})
        return _from_columns(frame, path)
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    lists = [f.name for f in table.schema if _is_list(f.type) and f.name != SHAPE]
    if not lists:
        return _from_columns(table.to_pandas(), path)
    if len(lists) > 1:
        msg = (
            f"{path} has {len(lists)} columns of lists ({listing(lists)}): expected "
            "one. Keep the one that is meant"
        )
        raise ExtractionError(msg)
    return _from_lists(table, lists[0], path)


def _is_feature(column: str) -> bool:
    is_fact = column.casefold() in _OWN or column.startswith((VOTE, TRAIT))
    return not is_fact and _NO_NAME.fullmatch(column) is None


def _from_columns(frame: pd.DataFrame, path: Path) -> Arrays:
    """Take columns of numbers: one vector per row."""
    keys = _keys(frame, path)
    rest = [c for c in frame if str(c) not in _KEYS]
    numeric = frame[rest].select_dtypes(["number", "bool"])
    names = [c for c in numeric if _is_feature(str(c))]
    if not names:
        msg = (
            f"{path} has no features: expected columns of numbers or one of lists "
            f"beside id, got {listing(frame.columns)}"
        )
        raise ExtractionError(msg)
    values = frame[names].to_numpy(np.float32)
    rows = {key: i for i, key in enumerate(keys)}
    ignored = tuple(str(c) for c in rest if c not in names)
    return Arrays(keys, lambda key: values[rows[key]], tuple(names), ignored)


def _from_lists(table: pa.Table, column: str, path: Path) -> Arrays:
    """Take one column of lists; a row without one is as good as not there."""
    beside = [n for n in table.column_names if n not in (column, SHAPE)]
    keys = _keys(table.select(beside).to_pandas(), path)
    cells = table.column(column)
    shapes = table.column(SHAPE) if SHAPE in table.column_names else None
    there = {key: i for i, key in enumerate(keys) if cells[i].is_valid}
    doubled = [key for key, n in Counter(keys).items() if n > 1]

    def get(key: str) -> NDArray[Any]:
        array = _nested(cells[there[key]].values)
        return array if shapes is None else array.reshape(shapes[there[key]].as_py())

    ignored = tuple(n for n in beside if n not in _KEYS)
    return Arrays((*there, *doubled), get, ignored=ignored)


def _keys(frame: pd.DataFrame, path: Path) -> tuple[str, ...]:
    """Return what each row calls its utterance, a segment as the manifest does."""
    named = next((c for c in ("id", "file") if c in frame), None)
    if named is None:
        msg = (
            f"{path} does not say whose its rows are: expected a column id, or file "
            f"(with start and end), got {listing(frame.columns)}"
        )
        raise ExtractionError(msg)
    keys = [str(key) for key in frame[named]]
    if named == "id" or not {"start", "end"} & set(frame):
        return tuple(keys)
    nothing = pd.Series(np.nan, frame.index)
    starts, ends = frame.get("start", nothing), frame.get("end", nothing)
    return tuple(
        segment(key, start, end)
        for key, start, end in zip(keys, starts, ends, strict=True)
    )


def segment(name: str, start: float, end: float) -> str:
    """Name a stretch of a file by its seconds; NaN: the file's beginning or end."""
    if np.isnan(start) and np.isnan(end):
        return name
    last = "" if np.isnan(end) else repr(float(end))
    return f"{name}#{0.0 if np.isnan(start) else float(start)!r}-{last}"


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    return bool(
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)
    )


def _nested(values: pa.Array) -> NDArray[Any]:
    """Turn lists of lists into an array.

    Raises:
        ValueError: if inner lists differ in length
    """
    import pyarrow.compute as pc

    shape = [len(values)]
    while _is_list(values.type):
        lengths = pc.unique(pc.list_value_length(values)).to_pylist()
        if len(lengths) != 1 or lengths[0] is None:
            msg = f"expected lists of one length, got lengths {lengths[:3]}"
            raise ValueError(msg)
        shape.append(lengths[0])
        values = values.flatten()
    return values.to_numpy(zero_copy_only=False).reshape(shape)
