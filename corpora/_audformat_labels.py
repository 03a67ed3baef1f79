"""Which column of an audformat database is the label, and which tables are believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.errors import ManifestError, listing
from corpora._audformat_head import file_of, is_gold, kind_of, labels_of, words_of
from corpora._columns import COMMON

EMOTION = "emotion"
NO_AGREEMENT = "no_agreement"  # how audformat's databases write that there is no label
Key = tuple[str, float, float | None]  # file, start and end in seconds


@dataclass(frozen=True)
class Labels:
    """Where the labels of a database stand.

    Attributes:
        path: its head
        head: ``audformat.Database`` without the data of its tables
        chosen: the table that is asked for, with those of other splits; None: any
    """

    path: Path
    head: Any
    chosen: str | None

    def column(self) -> str:
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
            "of the database, give the file of the table that has it as --root, or "
            "write it as a table with file, speaker, emotion"
        )
        raise ManifestError(msg)

    def schemes(self) -> list[Any]:
        """List the schemes of the column that is the label."""
        column = self.column()
        named = [scheme for _, name, scheme in self._columns() if name == column]
        return [self.head.schemes[s] for s in named if s in self.head.schemes]

    def tables(self) -> list[str]:
        """List the tables that have the column, of those that may be believed."""
        column = self.column()
        return [table for table, name, _ in self._columns() if name == column]

    def believed(self, told: Mapping[str, Mapping[Key, str]]) -> list[str]:
        """Choose the tables whose labels are taken: all, where they do not differ.

        Args:
            told: table -> stretch -> label, empty where there is none

        Raises:
            ManifestError: if they differ, and not one of them is the gold standard
        """
        first: dict[Key, tuple[str, str]] = {}
        differ = False
        for table, labels in told.items():
            for stretch, label in labels.items():
                here = kind_of(table), label
                there = first.setdefault(stretch, here) if label else here
                differ |= here[0] != there[0] and here[1] != there[1]
        gold = {kind_of(table) for table in told if is_gold(table)}
        if not differ:
            return list(told)
        if len(gold) == 1:
            return [table for table in told if kind_of(table) in gold]
        column = self.column()
        got = listing(f"{table}.{column}" for table in told)
        msg = (
            f"{str(self.path)!r} has several emotions of one stretch: expected tables "
            f"that agree, or one whose name says gold standard, got {got}. Give the "
            "file of the table to believe as --root, such as "
            f"{file_of(self.path, next(iter(told)))}"
        )
        raise ManifestError(msg)

    def _columns(self) -> Iterator[tuple[str, str, str | None]]:
        """Yield table, column and its scheme."""
        kind = None if self.chosen is None else kind_of(self.chosen)
        for name, table in self.head.tables.items():
            for column, told in table.columns.items():
                if kind in (None, kind_of(name)):
                    yield name, column, told.scheme_id

    def _fits(self, scheme: str | None) -> bool:
        if scheme not in self.head.schemes:
            return False
        told = self.head.schemes[scheme]
        words = words_of(told).values() or map(str, labels_of(told))
        return scheme == EMOTION or len({w.casefold() for w in words} & COMMON) > 1
