"""What importers share: lists of JSON lines, rows, files named from elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import ManifestError
from contracts.manifest import Leftover, Utterance
from corpora._columns import Columns, cell
from corpora._files import is_file

if TYPE_CHECKING:
    import pandas as pd

_HEAD = 65_536  # bytes that are looked at to recognise a file


def folders(root: Path) -> list[Path]:
    """List a folder and the folders in it, sorted; never raises.

    A file stands for the folder it lies in.
    """
    try:
        if root.is_file():
            return [root.parent]
        inside = [p for p in root.iterdir() if p.is_dir() and p.name[0] != "."]
    except OSError:
        return []
    return [root, *sorted(inside)]


def first_line(path: Path) -> str:
    """Return the first line of a text file, ``""`` if there is none; never raises."""
    try:
        with path.open("rb") as file:
            return file.readline(_HEAD).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""


def first_record(path: Path) -> dict[str, Any]:
    """Return the first object of a file of JSON lines, ``{}`` if there is none."""
    try:
        record = json.loads(first_line(path))
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def parquet_heads(path: Path) -> list[str]:
    """Return the columns of a Parquet file, none if it is no such file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (OSError, pa.ArrowException):
        return []


def read_lines(path: Path) -> Iterator[tuple[int, str | Leftover]]:
    """Yield the lines of a text file that hold something, with their numbers.

    A line that is no UTF-8 is a leftover.

    Raises:
        ManifestError: if the file cannot be read
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        why = error.strerror or type(error).__name__
        msg = f"{str(path)!r} cannot be read: expected a text file, got: {why}"
        raise ManifestError(msg) from error
    for i, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8-sig" if i == 1 else "utf-8").strip()
        except UnicodeDecodeError:
            what = f"line {i} of {path.name} is no UTF-8. Save the file as UTF-8"
            yield i, Leftover(path, what)
            continue
        if text:
            yield i, text


def read_records(
    path: Path,
) -> tuple[dict[int, dict[str, str]], list[Leftover]]:
    """Read a file of JSON lines.

    Returns:
        number of the line -> key -> cell, and the lines that hold no object

    Raises:
        ManifestError: if the file cannot be read
    """
    records: dict[int, dict[str, str]] = {}
    broken = []
    for i, line in read_lines(path):
        if isinstance(line, Leftover):
            broken.append(line)
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            record = str(error)
        if isinstance(record, dict):
            records[i] = {key: cell(value).strip() for key, value in record.items()}
        else:
            got = record if isinstance(record, str) else type(record).__name__
            what = f"line {i} of {path.name}: expected one JSON object, got: {got}"
            broken.append(Leftover(path, what))
    return records, broken


def frame_of(records: Mapping[int, Mapping[str, str]]) -> pd.DataFrame:
    """Turn records into a table of cells ``(row, column)``, ``""`` where one is not."""
    import pandas as pd

    heads = list(dict.fromkeys(key for record in records.values() for key in record))
    cells = {h: [record.get(h, "") for record in records.values()] for h in heads}
    return pd.DataFrame(cells, dtype=str)


def locate(name: str, folder: Path) -> str:
    """Find a file named relative to a folder or to one of the folders around it.

    Returns:
        its path; where there is no such file, the name as it was
    """
    base = os.path.abspath(folder)  # noqa: PTH100
    while True:
        path = os.path.join(base, name)  # noqa: PTH118
        if is_file(Path(path)):
            return path
        if base == os.path.dirname(base):  # noqa: PTH120
            return name
        base = os.path.dirname(base)  # noqa: PTH120


def with_files(columns: Columns, file: str) -> Columns:
    """Take the files from a certain column; what else could name them is a trait."""
    texts = (*columns.texts, columns.roles.get("file", file))
    rest = tuple(dict.fromkeys(column for column in texts if column != file))
    return replace(columns, roles={**columns.roles, "file": file}, texts=rest)


def remark_once(
    items: Sequence[Utterance | Leftover], remarks: Sequence[str]
) -> list[Utterance | Leftover]:
    """Put what is to be said of a whole corpus onto its first utterance."""
    out = list(items)
    for i, item in enumerate(out):
        if isinstance(item, Utterance) and remarks:
            said = "; ".join(filter(None, [item.remark, *remarks]))
            out[i] = replace(item, remark=said)
            break
    return out
