"""Read the head of an audformat database, safely.

audformat itself prefers the pickled copy of a table and loads its YAML with a loader
that can make any object. A database comes from elsewhere, so the head is read with
YAML's safe loader and handed to audformat, and tables are read as CSV or Parquet.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from contracts.errors import ManifestError
from contracts.manifest import Corpus
from corpora._columns import COMMON
from corpora._rows import split_named

# what the labels of a scheme may be called in words, of which the first is taken
_WORDS = ("category", "name", "label", "description")
_TABLES = (".csv", ".parquet")


def read_head(path: Path) -> Any:
    """Read a head into an ``audformat.Database`` without the data of its tables.

    Raises:
        ManifestError: if it cannot be read
    """
    import audformat
    import yaml

    try:
        head = yaml.safe_load(path.read_text(encoding="utf-8"))
        return audformat.Database.load_header_from_yaml(head)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}"
    except (yaml.YAMLError, audformat.errors.BadKeyError) as error:
        why = str(error)
    msg = (
        f"{str(path)!r} cannot be read: expected the head of an audformat database, "
        f"got: {' '.join(why.split()).rstrip('.')}. Save it again with audformat"
    )
    raise ManifestError(msg)


def describe(head: Any, corpus: Corpus) -> Corpus:
    """Say what a head says, ``corpus`` where it is silent."""
    licence = head.license or head.license_url or f"usage: {head.usage}"
    cite = ". ".join(str(x) for x in (head.author, head.description) if x)
    return replace(
        corpus,
        title=str(head.name),
        language="+".join(_short(x) for x in head.languages) or corpus.language,
        licence=str(licence),
        url=str(head.source or head.license_url or corpus.url),
        citation=cite or corpus.citation,
    )


def labels_of(scheme: Any) -> list[Any]:
    """List the labels of a scheme, none if a misc table holds them."""
    labels = scheme.labels
    return [] if labels is None or isinstance(labels, str) else list(labels)


def words_of(scheme: Any) -> dict[str, str]:
    """Return what the labels of a scheme are called in words: label -> word.

    Labels that are words already, one of them an emotion at least, have none; nor have
    those that would share one.
    """
    labels = scheme.labels
    if not isinstance(labels, dict) or {str(x).casefold() for x in labels} & COMMON:
        return {}
    for name in _WORDS:
        told = {str(k): v.get(name) for k, v in labels.items() if isinstance(v, dict)}
        words = {k: v for k, v in told.items() if isinstance(v, str) and v}
        if words and len(set(words.values())) == len(words) == len(labels):
            return words
    return {}


def kind_of(table: str) -> str:
    """Name a table without its split: ``a.train`` and ``a.test`` are ``a``."""
    words = re.split(r"[._-]", table)
    return ".".join(word for word in words if not split_named(word))


def is_gold(table: str) -> bool:
    """Say whether the name of a table says that it is the gold standard."""
    return "gold" in re.split(r"[._-]", table.casefold())


def place(path: Path) -> tuple[Path, str | None]:
    """Return the head of a database, and the table of which a path is the file."""
    stem, _, table = path.name.partition(".")
    if path.suffix.lower() not in _TABLES:
        return path, None
    return path.with_name(f"{stem}.yaml"), table[: -len(path.suffix)] or None


def file_of(path: Path, table: str) -> Path:
    """Find the file of a table.

    Args:
        path: the head of its database
        table: its name there

    Raises:
        ManifestError: if it is missing, or there only as a pickle
    """
    stem = f"{path.stem}.{table}"
    for suffix in (".parquet", ".csv"):
        file = path.with_name(f"{stem}{suffix}")
        if file.is_file():
            return file
    there = path.with_name(f"{stem}.pkl").is_file()
    got = f"only {stem}.pkl, which is never loaded" if there else "none"
    msg = (
        f"{str(path)!r} lacks its table {table!r}: expected {stem}.parquet or "
        f"{stem}.csv, got {got}. Save the database again as csv or parquet"
    )
    raise ManifestError(msg)


def _short(language: str) -> str:
    """Turn a language into its ISO 639-1 code, where there is one."""
    import iso639

    try:
        return str(iso639.Lang(language).pt1 or language)
    except iso639.exceptions.InvalidLanguageValue:
        return language
