"""Read the head of an audformat database, safely.

audformat itself prefers the pickled copy of a table and loads its YAML with a loader
that can make any object. A database comes from elsewhere, so the head is read with
YAML's safe loader and handed to audformat, and tables are read as CSV or Parquet.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from contracts.errors import ManifestError
from contracts.manifest import Corpus


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


def _short(language: str) -> str:
    """Turn a language into its ISO 639-1 code, where there is one."""
    import iso639

    try:
        return str(iso639.Lang(language).pt1 or language)
    except iso639.exceptions.InvalidLanguageValue:
        return language
