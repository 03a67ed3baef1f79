"""Table: any recordings listed in a CSV, TSV or Parquet table, nkululeko's as well.

Needs the columns ``file`` (or path, file_name, filename, wav; relative to the table's
folder, or absolute), ``speaker`` (spk, speaker_id, spk_id) and ``emotion`` (label,
emo); cells of the last two may be empty. Letter case does not matter. May have::

    start, end          seconds into the file, or durations as nkululeko and audformat
                        write them (0 days 00:00:01.5)
    sex (or gender)     f, female, m, male
    session, sentence, text (or transcription, transcript)
    split               train (training), dev (val, valid, validation, devel), test
                        (testing, eval, evaluation)
    vote:<emotion>      annotators' votes, counts or shares; where there is no such
                        column, two or more numeric columns named as emotions do

Every other column is a trait. The text is UTF-8; rows are counted as a spreadsheet
counts them, the heads being row 1. The licence is that of your recordings.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from contracts.errors import ManifestError
from contracts.manifest import Corpus, Leftover, Utterance
from corpora._columns import find, read, tables, understand
from corpora._rows import read_row, unnamed, without_repeats

CORPUS = Corpus(
    title="Recordings listed in a table",
    language="und",
    labels=(),
    licence="that of the recordings",
    url="",
    citation="none: recordings of your own",
)
EXAMPLES: dict[str, tuple[str, str]] = {}


def recognises(root: Path) -> bool:
    """Say whether ``root`` is, or is a folder that holds, a table of this kind."""
    for path in tables(root):
        try:
            understand(read(path), path)
        except ManifestError:
            continue
        return True
    return False


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each row of the table is, then the audio files it does not name.

    Args:
        root: a table, or a folder that holds exactly one

    Raises:
        ManifestError: if there is not one table or a required column is missing
    """
    path = find(root)
    frame = read(path)
    columns = understand(frame, path)
    heads = [str(column) for column in frame.columns]
    first = 1 if path.suffix.lower() == ".parquet" else 2
    rows = [
        (i, read_row(dict(zip(heads, row, strict=True)), columns, path, i))
        for i, row in enumerate(frame.itertuples(index=False, name=None), first)
        if any(row)
    ]
    items = [item for _, item in without_repeats(rows, path.name)]
    yield from items
    yield from unnamed(root, items, (path,), path.name)
