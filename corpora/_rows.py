"""Rows of a user's table: from cells to utterances, and what repeats."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from contracts.errors import listing
from contracts.manifest import Leftover, Utterance
from corpora._columns import Columns
from corpora._files import is_file, walk
from corpora._numbers import number, seconds, whole

_SEXES = {"f": "female", "female": "female", "m": "male", "male": "male"}
_SPLITS = {part: part for part in ("train", "dev", "test")}
_SPLITS |= dict.fromkeys(("val", "valid", "validation", "devel"), "dev")
_SPLITS |= dict.fromkeys(("testing", "eval", "evaluation"), "test")
_SPLITS |= {"training": "train"}


def split_named(name: str) -> str | None:
    """Return which split a word such as ``validation`` means, None if it means none."""
    return _SPLITS.get(name.casefold())


class _WrongCellError(ValueError):
    """A cell cannot be read."""


def read_row(
    row: Mapping[str, str], columns: Columns, table: Path, i: int
) -> Utterance | Leftover:
    """Read one row.

    Args:
        row: column -> cell
        columns: what the columns mean
        table: file of the table
        i: number of the row, for people
    """
    place = f"row {i} of {table.name}"
    cells = {role: row[column] for role, column in columns.roles.items()}
    cells |= {role: whole(cells[role]) for role in columns.whole}
    if not cells["file"]:
        return Leftover(table, f"no file is named in {place}")
    path = table.parent / os.path.normpath(cells["file"])
    if not is_file(path) and "\\" in cells["file"]:
        path = table.parent / os.path.normpath(cells["file"].replace("\\", "/"))
    if not is_file(path):
        return Leftover(path, f"no such file, named in {place}")
    try:
        start, end = _stretch(cells)
        votes = _shares(row, columns)
    except _WrongCellError as wrong:
        return Leftover(path, f"{wrong}, in {place}")
    sex, split = cells.get("sex", ""), cells.get("split", "")
    numbers = {c: float(row[c]) for c in columns.numbers if row[c]}
    return Utterance(
        path,
        speaker=cells.get("speaker") or None,
        label=cells.get("emotion") or None,
        start=start,
        end=end,
        sex=_SEXES.get(sex.casefold()),
        session=cells.get("session") or None,
        sentence=cells.get("sentence") or None,
        split=split_named(split),
        text=cells.get("text") or None,
        votes=votes,
        traits={**numbers, **{c: row[c] for c in columns.texts if row[c]}},
        remark=_odd(sex, split, place),
    )


def _odd(sex: str, split: str, place: str) -> str | None:
    """Say which cells are not understood and so not used."""
    odd = [
        f"{field} {got!r} is none of {listing(known)} and not used, in {place}"
        for field, got, known in (("sex", sex, _SEXES), ("split", split, _SPLITS))
        if got and got.casefold() not in known
    ]
    return "; ".join(odd) or None


def _stretch(cells: Mapping[str, str]) -> tuple[float | None, float | None]:
    """Read start and end; pandas writes a point in time that is missing as NaT."""
    cells = {role: "" if cell == "NaT" else cell for role, cell in cells.items()}
    for field in ("start", "end"):
        if (cell := cells.get(field)) and (
            (value := seconds(cell)) is None or value < 0
        ):
            msg = f"unknown {field}: expected seconds, 0 or more, got {cell!r}"
            raise _WrongCellError(msg)
    start, end = (seconds(cells.get(field, "")) for field in ("start", "end"))
    if end is not None and end <= (start or 0.0):
        msg = f"empty stretch: expected an end after {start or 0.0:g} s, got {end:g} s"
        raise _WrongCellError(msg)
    return start, end


def _shares(row: Mapping[str, str], columns: Columns) -> dict[str, float]:
    """Read the votes and make them sum to 1; no votes at all give nothing."""
    votes = {}
    for emotion, column in columns.votes.items():
        value = number(row[column] or "0")
        if value is None or value < 0:
            msg = (
                f"unknown votes for {emotion}: expected 0 or more, got {row[column]!r}"
            )
            raise _WrongCellError(msg)
        votes[emotion] = value
    total = sum(votes.values())
    return {e: v / total for e, v in votes.items()} if total else {}


def without_repeats(
    rows: Sequence[tuple[int | str, Utterance | Leftover]], table: str
) -> Iterator[tuple[int | str, Utterance | Leftover]]:
    """Put leftovers in the place of rows that tell of a stretch another row tells of.

    Rows that contradict one another are all left over, of rows that agree one stays.

    Args:
        rows: number or name of the row and what it became
        table: name of the table
    """
    same: dict[object, list[tuple[int | str, Utterance]]] = defaultdict(list)
    for i, item in rows:
        if isinstance(item, Utterance):
            same[item.path, item.start or 0.0, item.end].append((i, item))
    for i, item in rows:
        if isinstance(item, Leftover):
            yield i, item
            continue
        alike = same[item.path, item.start or 0.0, item.end]
        yield i, _judge(i, item, alike, table)


def _judge(
    i: int | str, item: Utterance, alike: list[tuple[int | str, Utterance]], table: str
) -> Utterance | Leftover:
    told = [(u.speaker, u.label, dict(u.votes)) for _, u in alike]
    if any(t != told[0] for t in told):
        where = f"rows {listing(j for j, _ in alike)} of {table}"
        return Leftover(
            item.path,
            f"told of more than once, {where}: expected one speaker and label, got "
            f"{' and '.join(sorted({f'{s or None}/{e or None}' for s, e, _ in told}))}",
        )
    first, kept = alike[0]
    if i == first:
        return item
    more = (
        "" if replace(item, remark=kept.remark) == kept else ", but for other columns"
    )
    why = f"row {i} of {table} repeats row {first}{more}"
    return Leftover(item.path, why, fault=False)


def unnamed(
    root: Path,
    items: Sequence[Utterance | Leftover],
    own: Collection[Path],
    table: str,
) -> Iterator[Leftover]:
    """Yield the files in a folder that no row names.

    Args:
        root: the folder; nothing is yielded if it is a file
        items: what the rows became
        own: files that are the tables themselves
        table: name of the table
    """
    if not root.is_dir():
        return
    others = [
        item
        for item in walk(root)
        if (item if isinstance(item, Path) else item.path) not in own
    ]
    real = _Real()
    named = {real(item.path) for item in items}
    for other in others:
        if isinstance(other, Leftover):
            if real(other.path) not in named:
                yield other
        elif real(other) not in named:
            yield Leftover(other, f"no row of {table} names it", fault=False)


class _Real:
    """Follow links, those of each folder once: there may be very many files in it."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def __call__(self, path: Path) -> str:
        folder, name = os.path.split(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        there = f"{self._folders[folder]}{os.sep}{name}"
        return os.path.realpath(there) if os.path.islink(there) else there  # noqa: PTH114
