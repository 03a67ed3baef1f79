"""Read an audformat database: its tables as text, rows of one stretch joined."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from contracts.errors import ManifestError, listing
from contracts.manifest import Corpus
from corpora._audformat_head import describe, labels_of, read_head
from corpora._columns import COMMON, ROLES, cell, read, seconds
from corpora._rows import split_named

EMOTION = "emotion"
Key = tuple[str, float, float | None]  # file, start and end in seconds


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
        files: the files of tables that were read
    """

    path: Path
    head: Any
    files: list[Path] = field(default_factory=list)

    def describe(self, corpus: Corpus) -> Corpus:
        """Say what the head says, ``corpus`` where it is silent."""
        schemes = [s for _, _, s in self._named(self._emotion()) if s]
        known = [self.head.schemes[s] for s in schemes if s in self.head.schemes]
        labels = dict.fromkeys(str(x) for scheme in known for x in labels_of(scheme))
        return replace(describe(self.head, corpus), labels=tuple(labels))

    def rows(self) -> Iterator[Row]:
        """Yield one row per stretch that has a label.

        Raises:
            ManifestError: if no single column is the label, or a table cannot be read
        """
        emotion = self._emotion()
        with_label = {table for table, _, _ in self._named(emotion)}
        merged: dict[Key, list[Row]] = {}
        for table in self.head.tables:
            if table in with_label:
                for row in self._read(table, emotion):
                    _merge(merged.setdefault(_key(row.cells), []), row)
        others = [
            {_key(row.cells): row.cells for row in self._read(table, emotion)}
            for table in self.head.tables
            if table not in with_label
        ]
        for rows in merged.values():
            for row in rows:
                for other in others:
                    whole = (row.cells["file"], 0.0, None)
                    known = other.get(_key(row.cells)) or other.get(whole) or {}
                    row.cells = known | _filled(row.cells)
                yield row

    def unused(self) -> list[tuple[Path, str]]:
        """Say which tables tell of stretches, where the labels are of whole files."""
        tables = self.head.tables
        with_label = {table for table, _, _ in self._named(self._emotion())}
        if any(tables[t].is_segmented for t in with_label):
            return []
        why = "not used: it is of stretches of files, the labels are of whole files"
        return [(self._file(t), why) for t in tables if tables[t].is_segmented]

    def _emotion(self) -> str:
        """Find the column that is the label.

        Raises:
            ManifestError: if there is none, or several could be it
        """
        columns = list(self._columns())
        found = dict.fromkeys(name for _, name, s in columns if self._fits(s))
        names = {name for _, name, _ in columns}
        if EMOTION in names:
            return EMOTION
        if len(found) == 1:
            return next(iter(found))
        got = [f"{table}.{c}" for table, c, _ in columns if c in found or not found]
        msg = (
            f"{str(self.path)!r} has no single column of emotions: expected a column "
            f"'emotion', or one whose scheme has emotions as labels, got "
            f"{listing(got) or 'no column'}. Rename the column to 'emotion' in a copy "
            "of the database, or write it as a table with file, speaker, emotion"
        )
        raise ManifestError(msg)

    def _columns(self) -> Iterator[tuple[str, str, str | None]]:
        """Yield table, column and its scheme."""
        for name, table in self.head.tables.items():
            for column, told in table.columns.items():
                yield name, column, told.scheme_id

    def _named(self, column: str) -> list[tuple[str, str, str | None]]:
        return [told for told in self._columns() if told[1] == column]

    def _fits(self, scheme: str | None) -> bool:
        if scheme not in self.head.schemes:
            return False
        labels = {str(x).casefold() for x in labels_of(self.head.schemes[scheme])}
        return scheme == EMOTION or len(labels & COMMON) > 1

    def _file(self, table: str) -> Path:
        """Find the file of a table.

        Raises:
            ManifestError: if it is missing, or there only as a pickle
        """
        stem = f"{self.path.stem}.{table}"
        for suffix in (".parquet", ".csv"):
            path = self.path.with_name(f"{stem}{suffix}")
            if path.is_file():
                return path
        there = self.path.with_name(f"{stem}.pkl").is_file()
        got = f"only {stem}.pkl, which is never loaded" if there else "none"
        msg = (
            f"{str(self.path)!r} lacks its table {table!r}: expected {stem}.parquet or "
            f"{stem}.csv, got {got}. Save the database again as csv or parquet"
        )
        raise ManifestError(msg)

    def _read(self, table: str, emotion: str) -> Iterator[Row]:
        """Yield the rows of a table, columns named by what they mean."""
        path = self._file(table)
        self.files.append(path)
        frame = read(path)
        more = {c: self._properties(c, table) for c in self.head.tables[table].columns}
        split = self._split(table)
        first = 2 if path.suffix == ".csv" else 1
        heads = [str(head) for head in frame.columns]
        for i, values in enumerate(frame.itertuples(index=False, name=None), first):
            cells = dict(zip(heads, values, strict=True))
            for column, known in more.items():
                cells = known.get(cells.get(column, ""), {}) | _filled(cells)
            cells[EMOTION] = cells.pop(emotion, "")
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
            path = self._file(labels)
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

    Raises:
        ManifestError: if it cannot be read
    """
    return Database(path, read_head(path))


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
