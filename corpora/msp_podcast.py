"""MSP-Podcast: natural speech cut out of podcasts, judged by many, in English.

Segments of 2.75 to 11 s, 16 kHz, more in each release (264705 labelled in 2.0). As
published, newer releases first, older ones after::

    Audios/MSP-PODCAST_0001_0008.wav
    Labels/labels_consensus.csv     FileName, EmoClass, EmoAct, EmoVal, EmoDom, SpkrID,
                                    Gender, Split_Set (or labels_concensus.csv)
    Labels/labels_detailed.csv      one row per annotator: FileName, EmoClass_Major
    Labels/labels.txt               both of these, where there are no tables
    Partitions.txt                  Test1; MSP-PODCAST_0001_0033.wav
    Speaker_ids.txt                 MSP-PODCAST_0001_0008.wav; 1127
                                    Speaker_1127; Female

    EmoClass   A angry, S sad, H happy, U surprised, F fearful, D disgusted, C contempt,
               N neutral, O other; X is no agreement and becomes no label
    votes      share of the annotators per class they chose as the main one
    traits     activation, valence, dominance (means, 1 to 7), partition
    split      Train, Development and Test1 are train, dev and test. Test2 and Test3
               have none and are known by their partition alone
    speaker    none where it is Unknown

A table is believed before a text file. A segment that only Partitions.txt names, such
as those of Test3, whose labels are held back, is an utterance without a label.
Transcripts are not read.

Licence: that of the University of Texas at Dallas, on request at
https://www.lab-msp.com/MSP/MSP-Podcast.html
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracts.errors import ManifestError
from contracts.manifest import Corpus, Leftover, Utterance
from corpora._annotations import broken, may_annotate, place, used, without_copies
from corpora._files import walk
from corpora._msp_podcast import (
    ATTRIBUTES,
    LABELS,
    Votes,
    key,
    read_consensus,
    read_labels,
    read_pairs,
    read_votes,
)

CORPUS = Corpus(
    title="MSP-Podcast corpus",
    language="en",
    labels=tuple(LABELS.values()),
    licence="MSP-Podcast licence (academic or commercial, on request)",
    url="https://www.lab-msp.com/MSP/MSP-Podcast.html",
    citation=(
        "Lotfian, R. and Busso, C. (2019). Building Naturalistic Emotionally Balanced "
        "Speech Corpus by Retrieving Emotional Speech from Existing Podcast "
        "Recordings. IEEE Transactions on Affective Computing 10(4): 471-483. "
        "https://doi.org/10.1109/TAFFC.2017.2736999"
    ),
)
EXAMPLES: dict[str, tuple[str, str]] = {}  # a name alone tells nothing
_FILES = {
    "labels_consensus.csv": "consensus",
    "labels_concensus.csv": "consensus",
    "labels_detailed.csv": "detailed",
    "labels.txt": "labels",
    "partitions.txt": "partitions",
    "speaker_ids.txt": "speakers",
}
_SPLITS = {"train": "train", "development": "dev", "validation": "dev", "test1": "test"}
_SEXES = {"female": "female", "male": "male"}
_NAME = re.compile(r"msp-podcast(?:_\d{4,})+", re.ASCII | re.IGNORECASE)


@dataclass
class _Told:
    """What the annotation files say, by key.

    Attributes:
        rows: key -> column of the consensus -> cell, and ``line``
        source: file of the rows
        votes: key -> label -> share
        partitions: key -> partition
        speakers: key -> speaker
        sexes: speaker -> sex
        leftovers: files that were read, lines that cannot be used
    """

    rows: dict[str, dict[str, Any]]
    source: Path
    votes: Votes
    leftovers: list[Leftover]
    partitions: dict[str, str] = field(default_factory=dict)
    speakers: dict[str, str] = field(default_factory=dict)
    sexes: dict[str, str] = field(default_factory=dict)


def claims(path: Path) -> bool:
    """Say whether a file is surely of MSP-Podcast, by its name alone."""
    return _NAME.fullmatch(path.stem) is not None


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield utterances and what becomes none, sorted by relative path.

    Raises:
        ManifestError: if there is no file of labels, or it is none of these
    """
    items: list[Utterance | Leftover] = []
    audio: list[Path] = []
    found: dict[str, list[Path]] = defaultdict(list)
    for item in walk(root):
        if not isinstance(item, Leftover):
            audio.append(item)
            continue
        kind = _FILES.get(item.path.name.lower())
        if kind and may_annotate(item, item.path.suffix.lower()):
            found[kind].append(item.path)
        else:
            items.append(item)
    files = {}
    for kind, copies in found.items():
        first, others = without_copies(copies, root)
        items += others
        if first:
            files[kind] = first
    told = _read(root, files)
    items += told.leftovers
    items += (_item(path, told) for path in audio)
    items += _missing(told, {key(path.name) for path in audio})
    yield from sorted(items, key=lambda item: place(item, root))


def _read(root: Path, files: Mapping[str, Path]) -> _Told:
    """Read what there is.

    Raises:
        ManifestError: if there is no file of labels
    """
    source = files.get("consensus") or files.get("labels")
    if not source:
        msg = (
            f"{str(root)!r} holds no labels of MSP-Podcast: expected "
            "labels_consensus.csv or, of an older release, labels.txt, got neither. "
            "Put the folder Labels of the release beside the recordings"
        )
        raise ManifestError(msg)
    votes: Votes = {}
    wrong: list[Leftover] = []
    if "consensus" in files:
        frame, wrong = read_consensus(source)
        if "detailed" in files:
            votes, more = read_votes(files["detailed"])
            wrong += more
        elif "labels" in files:
            _, votes, more = read_labels(files["labels"])
            wrong += more
    else:
        frame, votes, wrong = read_labels(source)
    heads = list(frame)
    cells = zip(*(frame[head].tolist() for head in heads), strict=True)
    rows = (dict(zip(heads, row, strict=True)) for row in cells)
    told = _Told(dict(zip(frame.index, rows, strict=True)), source, votes, wrong)
    unread = {"labels"} if {"consensus", "detailed"} <= files.keys() else set()
    told.leftovers += [used(path) for kind, path in files.items() if kind not in unread]
    for kind in unread & files.keys():
        what = "not read: the tables go before it"
        told.leftovers.append(Leftover(files[kind], what, fault=False))
    _add_pairs(files, told)
    return told


def _add_pairs(files: Mapping[str, Path], told: _Told) -> None:
    """Add what the two short files say."""
    for kind in ("partitions", "speakers"):
        for pair in read_pairs(files[kind]) if kind in files else ():
            if isinstance(pair, Leftover):
                told.leftovers.append(pair)
            elif kind == "partitions":
                told.partitions[key(pair[1])] = pair[0]
            elif pair[0].lower().startswith("speaker_"):
                told.sexes[pair[0][len("speaker_") :]] = pair[1]
            else:
                told.speakers[key(pair[0])] = pair[1]


def _item(path: Path, told: _Told) -> Utterance | Leftover:
    """Say what one recording is."""
    name = key(path.name)
    row = told.rows.get(name, {})
    partition = row.get("Split_Set") or told.partitions.get(name)
    if not row and not partition:
        what = f"no line of {told.source.name} that can be used tells of {path.stem}"
        return Leftover(path, what)
    speaker: str | None = row.get("SpkrID") or told.speakers.get(name)
    if speaker and speaker.lower() == "unknown":
        speaker = None
    sex = row.get("Gender") or told.sexes.get(speaker or "") or ""
    traits: dict[str, str | float] = {
        trait: float(row[column])
        for column, trait in ATTRIBUTES.items()
        if row.get(column)
    }
    if partition:
        traits["partition"] = partition
    return Utterance(
        path,
        speaker=speaker,
        label=LABELS.get(row.get("EmoClass", "")),
        sex=_SEXES.get(sex.lower()),
        split=_SPLITS.get((partition or "").lower()),
        votes=told.votes.get(name, {}),
        traits=traits,
        name=name,
    )


def _missing(told: _Told, there: set[str]) -> Iterator[Leftover]:
    """Yield the rows whose recording is not there."""
    for name, row in told.rows.items():
        if name not in there:
            what = f"no such recording: {row['FileName']}"
            yield broken(told.source, row["line"], what)
