"""Read an audformat database: its tables as text, rows of one stretch joined."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from contracts.errors import ManifestError, listing
from contracts.manifest import Corpus
from corpora._audformat_head import (
    describe,
    file_of,
    labels_of,
    place,
    read_head,
    words_of,
)
from corpora._audformat_labels import EMOTION, NO_AGREEMENT, Key, Labels
from corpora._columns import ROLES, cell, read
from corpora._numbers import seconds
from corpora._rows import split_named


@dataclass
class Row:
    """What the tables tell of one stretch.

    Attributes:
        table: file of the table that tells its label
        number: of its row there, for people
        cells: column -> cell
    """

    table: Path
    number: int
    cells: dict[str, str]

    @property
    def name(self) -> str:
        """Name the row for people."""
        return f"{self.table.name}:{self.number}"


@dataclass
class Database:
    """An audformat database.

    Attributes:
        path: its head
        head: ``audformat.Database`` without the data of its tables
        chosen: the table whose labels are asked for; None: any
        files: the files of tables that were read
        telling: the tables whose labels were taken
    """

    path: Path
    head: Any
    chosen: str | None = None
    files: list[Path] = field(default_factory=list)
    telling: list[str] = field(default_factory=list)

    @property
    def _labels(self) -> Labels:
        return Labels(self.path, self.head, self.chosen)

    def describe(self, corpus: Corpus) -> Corpus:
        """Say what the head says, ``corpus`` where it is silent."""
        labels = dict.fromkeys(
            words_of(scheme).get(str(x), str(x))
            for scheme in self._labels.schemes()
            for x in labels_of(scheme)
        )
        labels.pop(NO_AGREEMENT, None)
        return replace(describe(self.head, corpus), labels=tuple(labels))

    def rows(self) -> Iterator[Row]:
        """Yield one row per stretch that has a label.

        Raises:
            ManifestError: if no single column is the label, tables contradict one
                another, or one cannot be read
        """
        emotion, labelled = self._labels.column(), self._labels.tables()
        told = {t: list(self._read(t, emotion)) for t in self.head.tables}
        self.telling = self._labels.believed(
            {t: {_key(r.cells): r.cells[EMOTION] for r in told[t]} for t in labelled}
        )
        merged: dict[Key, list[Row]] = {}
        for table in self.telling:
            for row in told[table]:
                _merge(merged.setdefault(_key(row.cells), []), row)
        others = [
            {_key(row.cells): {**row.cells, EMOTION: ""} for row in rows}
            for table, rows in told.items()
            if table not in self.telling
        ]
        for rows in merged.values():
            for row in rows:
                for other in others:
                    whole = (row.cells["file"], 0.0, None)
                    known = other.get(_key(row.cells)) or other.get(whole) or {}
                    row.cells = known | _filled(row.cells)
                if row.cells.get(EMOTION, "").casefold() == NO_AGREEMENT:
                    row.cells[EMOTION] = ""
                yield row

    def unused(self) -> list[tuple[Path, str]]:
        """Say which tables tell no label here, and why, once ``rows`` are read."""
        tables, emotion = self.head.tables, self._labels.column()
        others = {t: told for t, told in tables.items() if t not in self.telling}
        source = listing(self.telling)
        why = f"its labels are not used: those of {source} are believed"
        with_label = [t for t, told in others.items() if emotion in told.columns]
        out = [(file_of(self.path, t), why) for t in with_label]
        if any(tables[t].is_segmented for t in self.telling):
            return out
        why = "not used: it is of stretches of files, the labels are of whole files"
        rest = [t for t, told in others.items() if told.is_segmented]
        return out + [(file_of(self.path, t), why) for t in rest if t not in with_label]

    def _read(self, table: str, emotion: str) -> Iterator[Row]:
        """Yield the rows of a table, columns named by what they mean."""
        path = file_of(self.path, table)
        self.files.append(path)
        frame = read(path)
        columns = self.head.tables[table].columns
        more = {c: self._properties(c, table) for c in columns}
        scheme = columns[emotion].scheme_id if emotion in columns else None
        known = self.head.schemes.get(scheme) if scheme else None
        words = words_of(known) if known else {}
        split = self._split(table)
        first = 2 if path.suffix == ".csv" else 1
        heads = [str(head) for head in frame.columns]
        for i, values in enumerate(frame.itertuples(index=False, name=None), first):
            cells = dict(zip(heads, values, strict=True))
            for column, known in more.items():
                cells = known.get(cells.get(column, ""), {}) | _filled(cells)
            label = cells.pop(emotion, "")
            cells[EMOTION] = words.get(label, label)
            yield Row(path, i, cells | ({"split": split} if split else {}))

    def _split(self, table: str) -> str:
        head = self.head
        told = head.tables[table].split_id
        words = [head.splits[told].type] if told in head.splits else []
        words += re.split(r"[._-]", table)
        return next(filter(None, (split_named(str(word)) for word in words)), "")

    def _properties(self, column: str, table: str) -> dict[str, dict[str, str]]:
        """Return what a scheme tells of each speaker: speaker -> name -> cell."""
        scheme_id = self.head.tables[table].columns[column].scheme_id
        if "speaker" not in (column, scheme_id) or scheme_id not in self.head.schemes:
            return {}
        labels = self.head.schemes[scheme_id].labels
        if isinstance(labels, str):
            path = file_of(self.path, labels)
            self.files.append(path)
            records = read(path).to_dict("records")
            of = next(iter(self.head.misc_tables[labels].levels))
            return {row.pop(of): _filled(row) for row in records}
        if not isinstance(labels, dict):
            return {}
        return {
            str(speaker): {str(k): cell(v) for k, v in told.items()}
            for speaker, told in labels.items()
            if isinstance(told, dict)
        }


def load(path: Path) -> Database:
    """Read the head of a database.

    Args:
        path: the head, or the file of the table whose labels are asked for

    Raises:
        ManifestError: if it cannot be read, or has no such table
    """
    head, table = place(path)
    database = Database(head, read_head(head), table)
    if table is not None and table not in database.head.tables:
        msg = (
            f"{str(path)!r} is no table of {head.name}: expected the file of one of "
            f"{listing(database.head.tables)}, got {table}. Give one of them as --root"
        )
        raise ManifestError(msg)
    return database


def _filled(cells: Mapping[str, str]) -> dict[str, str]:
    return {column: cell for column, cell in cells.items() if cell}


def _key(cells: Mapping[str, str]) -> Key:
    start, end = (seconds(cells.get(name, "")) for name in ("start", "end"))
    return cells.get("file", ""), start or 0.0, end


def _merge(rows: list[Row], row: Row) -> None:
    """Join a row to one of the same stretch that it does not contradict."""
    once = ("split", *ROLES["emotion"], *ROLES["speaker"])
    for there in rows:
        both = [there.cells.get(k) and row.cells.get(k) for k in once]
        same = [there.cells.get(k) == row.cells.get(k) for k in once]
        if all(s for b, s in zip(both, same, strict=True) if b):
            there.cells = row.cells | _filled(there.cells)
            return
    rows.append(row)
