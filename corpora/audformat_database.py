"""audformat database: any corpus that audEERING's audformat describes.

A folder with ``db.yaml`` and one file per table (``db.files.csv``,
``db.emotion.parquet``) beside the media it names. What is taken:

- the label: the column ``emotion`` of any table, else the only column whose scheme has
  the names of emotions as labels, or as their category, name, label or description.
  Where several could be it, none is guessed. Where tables tell different emotions of
  one stretch, the one whose name says gold standard is believed, else none is guessed.
  The file of a table, such as ``db.emotion.desired.csv``, given as ``--root`` chooses
  that table and those of the other splits. ``no_agreement`` is no label
- the other columns of tables with the same files or segments: speaker, gender, text,
  numbers such as arousal and valence as traits
- what the scheme of a speaker tells of each: gender, age, ... as labels or misc table
- the split: from the split of a table, else from train, dev or test in the table's name
- name, licence, languages, source from the head

Rows of several tables about one stretch are one utterance. Tables are read as CSV or
Parquet, never as pickle. The licence is the database's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from contracts.manifest import Corpus, Leftover, Utterance
from corpora._audformat import Row, load
from corpora._audformat_head import place
from corpora._columns import Columns, understand
from corpora._import import first_line, frame_of
from corpora._rows import read_row, unnamed, without_repeats

CORPUS = Corpus(
    title="audformat database",
    language="und",
    labels=(),
    licence="that of the database",
    url="",
    citation="that of the database",
)
EXAMPLES: dict[str, tuple[str, str]] = {}
_HEAD = "db.yaml"


def recognises(root: Path) -> bool:
    """Say whether ``root`` is, or is a folder that holds, the head ``db.yaml``.

    The file of a table beside it stands for it.
    """
    path, _ = place(_head(root))
    return path.name == _HEAD and path.is_file() and ":" in first_line(path)


def describe(root: Path) -> Corpus:
    """Say what the head of the database says.

    Raises:
        ManifestError: if it cannot be read
    """
    return load(_head(root)).describe(CORPUS)


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each stretch of the tables is, then the files they do not name.

    Args:
        root: the folder, its ``db.yaml``, or the file of the table to believe

    Raises:
        ManifestError: if head or tables cannot be read, no one column is the label, or
            tables contradict one another
    """
    database = load(_head(root))
    merged = list(database.rows())
    frame = frame_of({i: row.cells for i, row in enumerate(merged)})
    columns = understand(frame, database.path, ("file", "emotion"))
    rows = [(row.name, _item(row, columns, list(frame.columns))) for row in merged]
    items = [item for _, item in without_repeats(rows, database.path.name)]
    yield from items
    for path, why in database.unused():
        yield Leftover(path, why, fault=False)
    own = {database.path, *database.files}
    yield from unnamed(root, items, own, f"the tables of {database.path.name}")


def _item(row: Row, columns: Columns, heads: list[str]) -> Utterance | Leftover:
    cells = dict.fromkeys(heads, "") | row.cells
    return read_row(cells, columns, row.table, row.number)


def _head(root: Path) -> Path:
    return root if root.is_file() else root / _HEAD
