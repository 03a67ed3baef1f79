"""Audio folder: what Hugging Face calls ``audiofolder``, with its metadata.

A folder with ``metadata.csv``, ``metadata.jsonl`` or ``metadata.parquet``, or folders
of a split that hold one each::

    metadata.csv            file_name,emotion,speaker
    train/metadata.jsonl    {"file_name": "a.wav", "label": "happy", "speaker_id": 3}
    data/test/metadata.parquet

``file_name`` (or one column ``*_file_name``) is relative to the metadata's own folder.
Every other column is read as in a ``table``: ``emotion`` (or label) is needed, a
speaker is not, though folds cannot keep apart what is not known. The split is what the
column ``split`` says, else a folder named train, validation, dev, test or the like.
Folders without metadata are ``class_folders``. The licence is that of the recordings.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import ManifestError, listing
from contracts.manifest import Corpus, Leftover, Utterance
from corpora._columns import read, understand
from corpora._import import (
    first_line,
    first_record,
    folders,
    frame_of,
    parquet_heads,
    read_records,
    remark_once,
    with_files,
)
from corpora._rows import read_row, split_named, unnamed, without_repeats

if TYPE_CHECKING:
    import pandas as pd

CORPUS = Corpus(
    title="Audio folder with metadata (Hugging Face)",
    language="und",
    labels=(),
    licence="that of the recordings",
    url="",
    citation="none: recordings of your own",
)
EXAMPLES: dict[str, tuple[str, str]] = {}
_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_FILE, _ENDING = "file_name", "_file_name"


def recognises(root: Path) -> bool:
    """Say whether metadata with a column of file names lies there."""
    return any(_is_metadata(path) for path in _metadata(root))


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each row of the metadata is, then the files that no row names.

    Args:
        root: the folder, or its only metadata file

    Raises:
        ManifestError: if there is no metadata, two in one folder, or one that lacks a
            column
    """
    found = _metadata(root)
    places = [path.parent for path in found]
    if not found or len(set(places)) < len(places):
        msg = (
            f"{str(root)!r} has no clear metadata: expected one of {listing(_NAMES)} "
            f"in a folder, got {listing(found) or 'none'}. Keep one per folder"
        )
        raise ManifestError(msg)
    top = root if root.is_dir() else root.parent
    items = [item for path in found for item in _read(path, top)]
    seen = [item for item in items if isinstance(item, Utterance)]
    silent = sum(item.speaker is None for item in seen)
    said = f"{silent} of {len(seen)} rows of the metadata name no speaker"
    yield from remark_once(items, [said] if silent else [])
    yield from unnamed(root, items, found, "the metadata")


def _metadata(root: Path) -> list[Path]:
    """List the metadata files: the file itself, in the folder, or a folder below."""
    if root.is_file():
        return [root]
    inside = folders(root) + folders(root / "data")[1:]
    paths = (folder / name for folder in inside for name in _NAMES)
    return [path for path in paths if path.is_file()]


def _is_metadata(path: Path) -> bool:
    """Say whether a file has a column of file names; never raises."""
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        return any(key.endswith(_FILE) for key in first_record(path))
    if path.name.lower() not in _NAMES:
        return False
    if suffix == ".parquet":
        return any(head.endswith(_FILE) for head in parquet_heads(path))
    return _FILE in first_line(path)


def _read(path: Path, top: Path) -> list[Utterance | Leftover]:
    """Read one metadata file."""
    frame, numbers, broken = _frame(path)
    frame = frame.rename(columns={_file_column(frame, path): _FILE})
    columns = with_files(understand(frame, path, ("emotion",)), _FILE)
    heads = list(frame.columns)
    rows = [
        (i, read_row(dict(zip(heads, row, strict=True)), columns, path, i))
        for i, row in zip(
            numbers, frame.itertuples(index=False, name=None), strict=True
        )
        if any(row)
    ]
    told = [item for _, item in without_repeats(rows, path.name)]
    return [*(_with_split(item, top) for item in told), *broken]


def _frame(path: Path) -> tuple[pd.DataFrame, list[int], list[Leftover]]:
    """Read cells, the number of each row, and what cannot be read."""
    if path.suffix.lower() == ".jsonl":
        records, broken = read_records(path)
        return frame_of(records), list(records), broken
    frame = read(path)
    first = 1 if path.suffix.lower() == ".parquet" else 2
    return frame, list(range(first, first + len(frame))), []


def _file_column(frame: pd.DataFrame, path: Path) -> str:
    """Find the column of file names.

    Raises:
        ManifestError: if there is none or more than one
    """
    named = [str(head) for head in frame.columns if str(head).endswith(_ENDING)]
    named = [_FILE] if _FILE in frame.columns else named
    if len(named) != 1:
        got = listing(named) or listing(frame.columns) or "no column"
        msg = (
            f"{str(path)!r} has no clear column of files: expected {_FILE} or one "
            f"*{_ENDING}, got {got}. Name the column of the recordings {_FILE}"
        )
        raise ManifestError(msg)
    return named[0]


def _with_split(item: Utterance | Leftover, top: Path) -> Utterance | Leftover:
    """Take the split from the folders if the row says none."""
    if isinstance(item, Leftover) or item.split:
        return item
    inside = Path(os.path.relpath(item.path.parent, top)).parts
    split = next(filter(None, map(split_named, inside)), None)
    return replace(item, split=split) if split else item
