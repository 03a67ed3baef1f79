"""Rows of a user's table: from cells to utterances, and what repeats."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from contracts.errors import listing
from contracts.manifest import Leftover, Utterance
from corpora._columns import Columns, number
from corpora._files import is_file

_SEXES = {"f": "female", "female": "female", "m": "male", "male": "male"}
_SPLITS = {part: part for part in ("train", "dev", "test")}
_SPLITS |= dict.fromkeys(("val", "valid", "validation", "devel"), "dev")


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
    odd = [
        f"{field} {got!r} is none of {listing(known)} and not used, in {place}"
        for field, got, known in (("sex", sex, _SEXES), ("split", split, _SPLITS))
        if got and got.casefold() not in known
    ]
    numbers = {c: float(row[c]) for c in columns.numbers if row[c]}
    return Utterance(
        path,
        speaker=cells["speaker"] or None,
        label=cells["emotion"] or None,
        start=start,
        end=end,
        sex=_SEXES.get(sex.casefold()),
        session=cells.get("session") or None,
        sentence=cells.get("sentence") or None,
        split=_SPLITS.get(split.casefold()),
        text=cells.get("text") or None,
        votes=votes,
        traits={**numbers, **{c: row[c] for c in columns.texts if row[c]}},
        remark="; ".join(odd) or None,
    )


def _stretch(cells: Mapping[str, str]) -> tuple[float | None, float | None]:
    """Read start and end."""
    for field in ("start", "end"):
        if (cell := cells.get(field)) and (
            (value := number(cell)) is None or value < 0
        ):
            msg = f"unknown {field}: expected seconds, 0 or more, got {cell!r}"
            raise _WrongCellError(msg)
    start, end = (number(cells.get(field, "")) for field in ("start", "end"))
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
    rows: list[tuple[int, Utterance | Leftover]], table: str
) -> Iterator[tuple[int, Utterance | Leftover]]:
    """Put leftovers in the place of rows that tell of a stretch another row tells of.

    Rows that contradict one another are all left over, of rows that agree one stays.

    Args:
        rows: number of the row and what it became
        table: name of the table
    """
    same: dict[object, list[tuple[int, Utterance]]] = defaultdict(list)
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
    i: int, item: Utterance, alike: list[tuple[int, Utterance]], table: str
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
