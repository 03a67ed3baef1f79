"""Annotation files: find them beside the audio, read them whatever their encoding.

For corpora whose labels stand in text files and not in the names of the recordings.
"""

from __future__ import annotations

import filecmp
import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import ManifestError, listing
from contracts.manifest import Leftover, Utterance
from corpora._files import is_file, is_hidden, relative

if TYPE_CHECKING:
    import pandas as pd

# how pandas names a line it leaves out
_WIDE = re.compile(r"line (\d+): expected (\d+) fields, saw (\d+)")
# signs of Windows-1252 that somebody took for Latin-1 and wrote on as UTF-8
_MISTAKEN = {i: bytes([i]).decode("cp1252", "ignore") or None for i in range(128, 160)}
_LINE = re.compile(r"\r\n|\r|\n")


def may_annotate(item: Path | Leftover, suffix: str) -> bool:
    """Say whether ``walk`` came upon a readable text file with this suffix."""
    return (
        isinstance(item, Leftover)
        and item.path.suffix.lower() == suffix
        and not item.fault
        and not is_hidden(item.path)
        and is_file(item.path)
    )


def read_lines(path: Path) -> list[str]:
    """Read a text file line by line, without the signs that end a line.

    The text is UTF-8, with or without a mark at its beginning, else Windows-1252.

    Raises:
        ManifestError: if the file cannot be read
    """
    return _LINE.split(decode(_bytes(path)))


def read_beginning(path: Path, size: int = 4096) -> list[str]:
    """Read the lines that begin within the first ``size`` bytes; the last may be cut.

    Raises:
        ManifestError: if the file cannot be read
    """
    return _LINE.split(decode(_bytes(path, size)))


def decode(data: bytes) -> str:
    """Turn bytes into text; never fails."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    return text.translate(_MISTAKEN)


def _bytes(path: Path, size: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        msg = (
            f"annotation file {str(path)!r} cannot be read: {error.strerror or error}. "
            "Make it readable or take it out of the folder"
        )
        raise ManifestError(msg) from error


def broken(path: Path, line: int, wrong: str, fault: bool = True) -> Leftover:
    """Name a line that cannot be read."""
    return Leftover(path, f"line {line}: {wrong}", fault)


def place(item: Utterance | Leftover, root: Path) -> tuple[str, float, str]:
    """Return what to sort by: relative path, then where an utterance begins."""
    if isinstance(item, Utterance):
        return relative(item.path, root), item.start or 0.0, item.name or ""
    return relative(item, root), 0.0, ""


def used(path: Path) -> Leftover:
    """Say what became of a file that was read."""
    return Leftover(path, "no audio, read as annotations of the corpus", fault=False)


def read_table(
    path: Path, needed: Sequence[str | tuple[str, ...]]
) -> tuple[pd.DataFrame, list[Leftover]]:
    """Read a long table divided by commas, all text, blanks around cells cut off.

    Args:
        path: the table
        needed: columns it must have; of several names in a tuple, one

    Returns:
        the rows that hold anything, with the number of each one's line as ``line``;
        and the lines with too many cells

    Raises:
        ManifestError: if it cannot be read or lacks columns
    """
    import pandas as pd

    text = decode(_bytes(path))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", pd.errors.ParserWarning)
        try:
            frame = _parse(text)
        except ValueError as error:
            got = " ".join(str(error).split()).rstrip(".")
            msg = (
                f"{str(path)!r} cannot be read: expected a table divided by commas, "
                f"got: {got}. Fetch it again"
            )
            raise ManifestError(msg) from error
    frame.columns = [str(column).strip() for column in frame.columns]
    _refuse_without(needed, frame, path)
    wide = [found for w in said for found in _WIDE.finditer(str(w.message))]
    gone = {int(found[1]) for found in wide}
    lines = [n for n in range(2, len(frame) + len(gone) + 2) if n not in gone]
    frame = frame.apply(lambda column: column.str.strip()).assign(line=lines)
    frame = frame[(frame.drop(columns="line") != "").any(axis=1)]
    told = [(int(f[1]), f"expected {f[2]} cells, got {f[3]}") for f in wide]
    return frame, [broken(path, line, what) for line, what in told]


def _refuse_without(
    needed: Sequence[str | tuple[str, ...]], frame: pd.DataFrame, path: Path
) -> None:
    choices = [(n,) if isinstance(n, str) else n for n in needed]
    if missing := [" or ".join(n) for n in choices if not {*n} & {*frame.columns}]:
        msg = (
            f"{str(path)!r} lacks {listing(missing)}: got the columns "
            f"{listing(frame.columns)}. Fetch it again"
        )
        raise ManifestError(msg)


def _parse(text: str) -> pd.DataFrame:
    """Parse a table; lines with too many cells are left out with a warning."""
    import pandas as pd

    return pd.read_csv(
        io.StringIO(text),
        dtype=str,
        keep_default_na=False,
        index_col=False,
        skip_blank_lines=False,
        on_bad_lines="warn",
    ).fillna("")


def without_copies(
    paths: Sequence[Path], root: Path
) -> tuple[Path | None, list[Leftover]]:
    """Take the first of several files that tell of the same thing.

    Args:
        paths: the files, in the order of ``walk``
        root: folder of the corpus

    Returns:
        the file to read, None if there is none, and the others with a word on whether
        they say the same
    """
    if not paths:
        return None, []
    first, *others = paths
    return first, [_copy(first, other, root) for other in others]


def _copy(first: Path, other: Path, root: Path) -> Leftover:
    alike = filecmp.cmp(first, other, shallow=False)
    what = "a copy of" if alike else "not read: it differs from"
    return Leftover(other, f"{what} {relative(first, root)}", fault=not alike)
