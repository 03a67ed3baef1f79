"""MELD: 13708 utterances of the television series Friends, in seven emotions.

The Multimodal EmotionLines Dataset: video with 1433 dialogues of several speakers, in
English. As published::

    train/train_splits/dia0_utt0.mp4                        train_sent_emo.csv
    dev/dev_splits_complete/dia0_utt0.mp4                   dev_sent_emo.csv
    test/output_repeated_splits_test/dia0_utt0.mp4          test_sent_emo.csv

Names repeat in every part, so the part is that of the name (``train_dia0_utt0.wav``),
else of the nearest folder with train, dev, val or test in its name, else of the only
table there is. Sound files (wav, flac) are read as well; where an utterance lies there
as sound and as video, the sound is taken. ``final_videos_test...`` are copies of test
files and left out.

The speaker is that of the table: characters, most of whom appear in every part, so the
published parts share speakers and no protocol follows them. Sex is known of the six
main characters. Traits: sentiment, dialogue. The times in the tables are those in the
episode, not in the file, and are not used. Counts are those of the tables.

Licence: annotations GPL-3.0, https://github.com/declare-lab/MELD; the series belongs to
its owners.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from contracts.errors import ManifestError, listing
from contracts.manifest import Corpus, Leftover, Utterance
from corpora._annotations import (
    broken,
    may_annotate,
    place,
    read_lines,
    used,
    without_copies,
)
from corpora._files import AUDIO, VIDEO, relative, walk

LABELS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
CORPUS = Corpus(
    title="Multimodal EmotionLines Dataset",
    language="en",
    labels=LABELS,
    licence="GPL-3.0 (annotations)",
    url="https://github.com/declare-lab/MELD",
    citation=(
        "Poria, S., Hazarika, D., Majumder, N., Naik, G., Cambria, E. and Mihalcea, R. "
        "(2019). MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in "
        "Conversations. Proceedings of ACL 2019: 527-536. "
        "https://doi.org/10.18653/v1/P19-1050"
    ),
    n_utterances=13708,
    label_counts=dict(
        zip(LABELS, (6436, 1636, 358, 1002, 2308, 361, 1607), strict=True)
    ),
)
EXAMPLES: dict[str, tuple[str, str]] = {}  # a name alone tells nothing
_SEXES = dict.fromkeys(("Monica", "Phoebe", "Rachel"), "female")
_SEXES |= dict.fromkeys(("Chandler", "Joey", "Ross"), "male")
_PART = re.compile(r"(?<![a-z])(train|dev|val|test)", re.IGNORECASE)
_TABLE = re.compile(r"(train|dev|val|test)_sent_emo", re.IGNORECASE)
_NAME = re.compile(
    r"(?:(train|dev|val|test)[_-])?dia(\d+)_utt(\d+)", re.ASCII | re.IGNORECASE
)
_NEEDED = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")


class Key(NamedTuple):
    """Which utterance: the part of the corpus and two numbers."""

    part: str
    dialogue: int
    utterance: int

    def __str__(self) -> str:
        return f"dia{self.dialogue}_utt{self.utterance}"


class Row(NamedTuple):
    """A row of a table: where it stands, what it says."""

    path: Path
    line: int
    cells: Mapping[str, str]


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield utterances and what becomes none, sorted by relative path.

    Raises:
        ManifestError: if there is no table, or one lacks columns
    """
    items: list[Utterance | Leftover] = []
    files: list[Path] = []
    found: dict[str, list[Path]] = defaultdict(list)
    for item in walk(root, AUDIO | VIDEO):
        if not isinstance(item, Leftover):
            files.append(item)
        elif may_annotate(item, ".csv") and (name := _TABLE.fullmatch(item.path.stem)):
            found[_part(name[1])].append(item.path)
        else:
            items.append(item)
    rows: dict[Key, Row] = {}
    for part, copies in found.items():
        table, others = without_copies(copies, root)
        items += others
        if table:
            items += [used(table), *_read(table, part, rows)]
    if not found:
        msg = (
            f"{str(root)!r} holds no table of MELD: expected train_sent_emo.csv, "
            "dev_sent_emo.csv or test_sent_emo.csv, which say who speaks and how, got "
            f"none. Get them at {CORPUS.url} and put them there"
        )
        raise ManifestError(msg)
    items += _placed(files, root, list(found), rows)
    yield from sorted(items, key=lambda item: place(item, root))


def _part(name: str) -> str:
    return "dev" if name.lower() == "val" else name.lower()


def _read(path: Path, part: str, rows: dict[Key, Row]) -> Iterator[Leftover]:
    """Add the rows of one table, yield those that cannot be used.

    Raises:
        ManifestError: if columns are missing
    """
    told = _values(csv.reader(line + "\n" for line in read_lines(path)))
    heads = [head.strip() for head in next(told, (0, []))[1]]
    if missing := [name for name in _NEEDED if name not in heads]:
        msg = (
            f"{str(path)!r} lacks {listing(missing)}: expected the columns "
            f"{', '.join(_NEEDED)}, got {listing(heads) or 'none'}. Get the table "
            f"again at {CORPUS.url}"
        )
        raise ManifestError(msg)
    contradicted: set[Key] = set()
    for line, values in told:
        cells = dict(zip(heads, map(str.strip, values), strict=False))
        if wrong := _wrong(heads, values, cells):
            yield broken(path, line, wrong)
            continue
        key = Key(part, int(cells["Dialogue_ID"]), int(cells["Utterance_ID"]))
        first = rows.setdefault(key, Row(path, line, cells))
        if first.line != line and _tells(first.cells) == _tells(cells):
            yield broken(path, line, f"repeats line {first.line}, {key}", fault=False)
        elif first.line != line:
            contradicted.add(key)
            yield broken(
                path, line, f"tells other things of {key} than line {first.line}"
            )
    for key in contradicted:
        del rows[key]


def _values(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the line and the cells of each row; of one that never ends, a note."""
    values: list[str] | None = []
    while values is not None:
        if any(values):
            yield reader.line_num, values
        try:
            values = next(reader, None)
        except csv.Error as error:
            values = [f"unreadable: {error}"]  # too few cells, as will be said


def _tells(cells: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(cells[name] for name in ("Speaker", "Emotion", "Utterance"))


def _wrong(
    heads: Sequence[str], values: Sequence[str], cells: Mapping[str, str]
) -> str | None:
    """Say what is wrong with a row; None if nothing is."""
    if len(values) != len(heads):
        return f"expected {len(heads)} cells, got {len(values)}"
    if cells["Emotion"].lower() not in LABELS:
        return f"unknown emotion: expected {listing(LABELS)}, got {cells['Emotion']!r}"
    numbers = (cells["Dialogue_ID"], cells["Utterance_ID"])
    if all(number.isdecimal() for number in numbers):
        return None
    return f"expected numbers of dialogue and utterance, got {', '.join(numbers)}"


def _placed(
    files: Sequence[Path], root: Path, parts: Sequence[str], rows: Mapping[Key, Row]
) -> Iterator[Utterance | Leftover]:
    """Yield what each file is, and the rows without a file."""
    known: dict[Key, list[Path]] = defaultdict(list)
    for path in files:
        key = _key(path, root, parts)
        if isinstance(key, Leftover):
            yield key
        elif key not in rows:
            yield Leftover(path, f"no row of a {key.part} table tells of {key}")
        else:
            known[key].append(path)
    for key, row in rows.items():
        sound = [path for path in known[key] if path.suffix.lower() in AUDIO]
        for path in known[key]:
            if sound and path not in sound:
                what = f"video of which the sound is {relative(sound[0], root)}"
                yield Leftover(path, what, fault=False)
            else:
                yield _utterance(path, key, row.cells)
        if not known[key]:
            yield broken(row.path, row.line, f"no file {key} of {key.part}")


def _key(path: Path, root: Path, parts: Sequence[str]) -> Key | Leftover:
    """Find out which utterance a file holds."""
    if path.stem.lower().startswith("final_videos_test"):
        return Leftover(path, "final_videos_test, a copy of a test file", fault=False)
    name = _NAME.fullmatch(path.stem)
    if not name:
        what = f"unknown name: expected one such as dia0_utt0, got {path.stem!r}"
        return Leftover(path, what)
    folders = reversed(relative(path, root).split("/")[:-1])
    told = name[1] or next((m[1] for f in folders if (m := _PART.search(f))), None)
    if told is None and len(parts) > 1:
        expected = "expected a folder with train, dev or test in its name"
        what = f"of which part: {expected}, got {path.parent.name!r}"
        return Leftover(path, what)
    return Key(_part(told or parts[0]), int(name[2]), int(name[3]))


def _utterance(path: Path, key: Key, cells: Mapping[str, str]) -> Utterance:
    traits = {"dialogue": f"{key.part}_dia{key.dialogue}"}
    if sentiment := cells.get("Sentiment"):
        traits["sentiment"] = sentiment.lower()
    return Utterance(
        path,
        speaker=cells["Speaker"] or None,
        label=cells["Emotion"].lower(),
        sex=_SEXES.get(cells["Speaker"]),
        split=key.part,
        text=cells["Utterance"] or None,
        traits=traits,
        name=f"{key.part}_{key}",
    )
