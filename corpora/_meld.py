"""MELD's tables, row by row."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from contracts.errors import ManifestError, listing
from contracts.manifest import Leftover
from corpora._annotations import broken, read_lines

LABELS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
URL = "https://github.com/declare-lab/MELD"
_NEEDED = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")


class Key(NamedTuple):
    """Which utterance: the part of the corpus and two numbers."""

    part: str
    dialogue: int
    utterance: int

    def __str__(self) -> str:
        return f"dia{self.dialogue}_utt{self.utterance}"


class Row(NamedTuple):
    """A row of a table: where it stands, what it says."""

    path: Path
    line: int
    cells: Mapping[str, str]


def read_rows(path: Path, part: str, rows: dict[Key, Row]) -> Iterator[Leftover]:
    """Add the rows of one table, yield those that cannot be used.

    Raises:
        ManifestError: if columns are missing
    """
    told = _values(csv.reader(line + "\n" for line in read_lines(path)))
    heads = [head.strip() for head in next(told, (0, []))[1]]
    if missing := [name for name in _NEEDED if name not in heads]:
        msg = (
            f"{str(path)!r} lacks {listing(missing)}: expected the columns "
            f"{', '.join(_NEEDED)}, got {listing(heads) or 'none'}. Get the table "
            f"again at {URL}"
        )
        raise ManifestError(msg)
    contradicted: set[Key] = set()
    for line, values in told:
        cells = dict(zip(heads, map(str.strip, values), strict=False))
        if wrong := _wrong(heads, values, cells):
            yield broken(path, line, wrong)
            continue
        key = Key(part, int(cells["Dialogue_ID"]), int(cells["Utterance_ID"]))
        first = rows.setdefault(key, Row(path, line, cells))
        if first.line != line and _tells(first.cells) == _tells(cells):
            yield broken(path, line, f"repeats line {first.line}, {key}", fault=False)
        elif first.line != line:
            contradicted.add(key)
            yield broken(
                path, line, f"tells other things of {key} than line {first.line}"
            )
    for key in contradicted:
        del rows[key]


def _values(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the line and the cells of each row; of one that never ends, a note."""
    values: list[str] | None = []
    while values is not None:
        if any(values):
            yield reader.line_num, values
        try:
            values = next(reader, None)
        except csv.Error as error:
            values = [f"unreadable: {error}"]  # too few cells, as will be said


def _tells(cells: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(cells[name] for name in ("Speaker", "Emotion", "Utterance"))


def _wrong(
    heads: Sequence[str], values: Sequence[str], cells: Mapping[str, str]
) -> str | None:
    """Say what is wrong with a row; None if nothing is."""
    if len(values) != len(heads):
        return f"expected {len(heads)} cells, got {len(values)}"
    if cells["Emotion"].lower() not in LABELS:
        return f"unknown emotion: expected {listing(LABELS)}, got {cells['Emotion']!r}"
    numbers = (cells["Dialogue_ID"], cells["Utterance_ID"])
    if all(number.isdecimal() for number in numbers):
        return None
    return f"expected numbers of dialogue and utterance, got {', '.join(numbers)}"
