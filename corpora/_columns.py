"""What the columns of a user's table mean: roles by name, votes, traits, cells.

Every cell is text without blanks around it and ``""`` where nothing is known, whatever
the format of the table.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import ManifestError, listing
from contracts.manifest import VOTE
from corpora._numbers import all_numbers, numbered

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".tsv", ".parquet")
REQUIRED = ("file", "speaker", "emotion")
# role -> accepted names, of which the first that is there is taken
ROLES: dict[str, tuple[str, ...]] = {
    "file": ("file", "path", "file_name", "filename", "wav"),
    "speaker": ("speaker", "spk", "speaker_id", "spk_id"),
    "emotion": ("emotion", "label", "emo"),
    "start": ("start",),
    "end": ("end",),
    "sex": ("sex", "gender"),
    "session": ("session",),
    "sentence": ("sentence",),
    "split": ("split",),
    "text": ("text", "transcription", "transcript"),
}
# emotion names that may head a column of votes
COMMON = frozenset(
    {"neutral", "calm", "happy", "happiness", "joy", "sad", "sadness", "angry", "anger"}
    | {"fearful", "fear", "disgust", "disgusted", "surprised", "surprise", "bored"}
    | {"boredom", "contempt", "excited", "excitement", "frustrated", "frustration"}
    | {"other"}
)

# roles whose cells are names, which pandas writes as 1.0 beside an empty cell
_NAMES = ("speaker", "session", "sentence")
# how pandas writes a frame's own row numbers, which tell nothing of the utterance
_NO_NAME = re.compile(r"|Unnamed: \d+|__index_level_\d+__")


@dataclass(frozen=True)
class Columns:
    """Which column of a table means what.

    Attributes:
        roles: role -> column
        votes: emotion -> column
        numbers: traits that are numbers in every row that has them
        texts: all other traits
        whole: roles that are names made of numbers, so that 1.0 means 1
    """

    roles: Mapping[str, str]
    votes: Mapping[str, str]
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    whole: tuple[str, ...] = ()


def find(root: Path) -> Path:
    """Return the one table that ``root`` is or holds.

    Raises:
        ManifestError: if there is none or several
    """
    if root.is_file():
        return root
    found = tables(root)
    if len(found) != 1:
        got = listing(path.name for path in found) or "none"
        msg = (
            f"{str(root)!r} does not hold one table: expected one file "
            f"{' or '.join(SUFFIXES)}, got {got}. Give the path of the table itself"
        )
        raise ManifestError(msg)
    return found[0]


def tables(root: Path) -> list[Path]:
    """List the tables in a folder, or the table that ``root`` itself is."""
    inside = [root] if root.is_file() else list(root.glob("*"))
    named = (p for p in inside if p.suffix.lower() in SUFFIXES)
    return sorted(p for p in named if not p.name.startswith(".") and p.is_file())


def read(path: Path) -> pd.DataFrame:
    """Read a table as text.

    Raises:
        ManifestError: if the file is no table of its format
    """
    import pandas as pd

    readers = {".csv": _read_text, ".tsv": _read_text, ".parquet": _read_parquet}
    try:
        frame = readers.get(path.suffix.lower(), _read_text)(path)
    except (ValueError, OSError, pd.errors.ParserWarning) as error:
        msg = (
            f"{str(path)!r} cannot be read: expected a table {' or '.join(SUFFIXES)} "
            f"(text in UTF-8, equally many cells in each row), got: "
            f"{' '.join(str(error).split()).rstrip('.')}. Save the table again"
        )
        raise ManifestError(msg) from error
    frame.columns = [str(column).strip() for column in frame.columns]
    return frame.apply(lambda column: column.str.strip()) if len(frame) else frame


def _read_text(path: Path) -> pd.DataFrame:
    import pandas as pd

    with path.open(encoding="utf-8-sig") as file:
        heads = file.readline()
    comma = ";" if ";" in heads and "," not in heads else ","
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(
            path,
            sep="\t" if path.suffix.lower() == ".tsv" else comma,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            index_col=False,
            skip_blank_lines=False,
        ).fillna("")


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    columns = zip(table.column_names, table.columns, strict=True)
    # through Python's own values: pandas would turn 3 beside a missing cell into 3.0
    cells = {name: [cell(value) for value in c.to_pylist()] for name, c in columns}
    return pd.DataFrame(cells, dtype=str)


def cell(value: object) -> str:
    """Write a value as the text of a cell, ``""`` if it is missing."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return "" if missing or str(value) in ("NaT", "<NA>") else str(value)


def understand(
    frame: pd.DataFrame, path: Path, required: Sequence[str] = REQUIRED
) -> Columns:
    """Find out which column means what.

    Args:
        frame: the table
        path: its file
        required: roles that must have a column

    Raises:
        ManifestError: if a required column is missing
    """
    names = {str(c).casefold(): str(c) for c in reversed(list(frame.columns))}
    roles = {
        role: next(names[n] for n in accepted if n in names)
        for role, accepted in ROLES.items()
        if any(n in names for n in accepted)
    }
    if missing := [role for role in required if role not in roles]:
        also = "; ".join(f"{m} may be called {' or '.join(ROLES[m])}" for m in missing)
        msg = (
            f"{str(path)!r} lacks {' and '.join(missing)}: expected the columns "
            f"{', '.join(required)} ({also}), got {listing(frame.columns)}. Add what "
            "is missing; cells of speaker and emotion may be empty"
        )
        raise ManifestError(msg)
    others = [str(c) for c in frame.columns if c not in roles.values()]
    others = [c for c in others if not _NO_NAME.fullmatch(c)]
    votes = _votes(frame, others, roles["emotion"])
    traits = [c for c in others if c not in votes.values() and not c.startswith(VOTE)]
    numbers = [c for c in traits if all_numbers(frame[c])]
    texts = [c for c in traits if c not in numbers]
    whole = tuple(r for r in _NAMES if r in roles and numbered(frame[roles[r]]))
    return Columns(roles, votes, tuple(numbers), tuple(texts), whole)


def _votes(frame: pd.DataFrame, others: Sequence[str], emotion: str) -> dict[str, str]:
    """Find the columns of votes: those that say so, else two or more named alike."""
    said = {c.removeprefix(VOTE): c for c in others if c.startswith(VOTE)}
    if said:
        return said
    emotions = {str(e).casefold(): str(e) for e in frame[emotion].unique() if e}
    bare = {
        emotions.get(c.casefold(), c): c
        for c in others
        if (c.casefold() in emotions or c.casefold() in COMMON)
        and all_numbers(frame[c])
        and all(float(cell) >= 0 for cell in frame[c] if cell)
    }
    return bare if len(bare) > 1 else {}
