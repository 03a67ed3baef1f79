"""MSP-Podcast's annotation files, of the newer and the older releases.

Long files (a quarter of a million segments, several votes on each) are read as columns.
Every file tells by the name of a recording; without suffix and in lower case it is the
key here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import listing
from contracts.manifest import Leftover
from corpora._annotations import broken, read_lines, read_table
from corpora._numbers import numbered, whole

if TYPE_CHECKING:
    import pandas as pd

LABELS = {
    "A": "angry",
    "S": "sad",
    "H": "happy",
    "U": "surprised",
    "F": "fearful",
    "D": "disgusted",
    "C": "contempt",
    "N": "neutral",
    "O": "other",
}
NO_AGREEMENT = "X"
# what annotators choose -> label; "Other" is followed by their own words
CHOICES = {
    "angry": "angry",
    "sad": "sad",
    "happy": "happy",
    "surprise": "surprised",
    "fear": "fearful",
    "disgust": "disgusted",
    "contempt": "contempt",
    "neutral": "neutral",
    "other": "other",
}
ATTRIBUTES = {"EmoAct": "activation", "EmoVal": "valence", "EmoDom": "dominance"}
CONSENSUS = ("FileName", "EmoClass", *ATTRIBUTES, "SpkrID", "Gender", "Split_Set")
_SUFFIX = re.compile(r"\.[a-z\d]{2,4}$", re.IGNORECASE)
Votes = dict[str, dict[str, float]]


def key(name: str) -> str:
    """Return what a recording is known by here, from its name in a file."""
    return _SUFFIX.sub("", name.strip()).lower()


def read_consensus(path: Path) -> tuple[pd.DataFrame, list[Leftover]]:
    """Read the labels of a newer release, ``labels_consensus.csv``.

    Returns:
        the columns of ``CONSENSUS``, all text, by key, with ``line``; and the lines
        that cannot be used

    Raises:
        ManifestError: if there is no table or it lacks columns
    """
    frame, wrong = read_table(path, ("FileName", "EmoClass"))
    for column in CONSENSUS:
        if column not in frame:
            frame[column] = ""
    known = frame["SpkrID"].str.lower() != "unknown"
    if numbered(frame["SpkrID"][known]):
        frame["SpkrID"] = frame["SpkrID"].map(whole)
    return _judge(frame[[*CONSENSUS, "line"]], path, wrong)


def _judge(
    frame: pd.DataFrame, path: Path, wrong: list[Leftover]
) -> tuple[pd.DataFrame, list[Leftover]]:
    """Part rows that can be used from those that cannot; give the former their keys."""
    import pandas as pd

    frame = frame.assign(EmoClass=frame["EmoClass"].str.upper())
    frame.index = pd.Index(frame["FileName"].map(key), name="key")
    known = ", ".join([*LABELS, NO_AGREEMENT])
    bad = ~frame["EmoClass"].isin([*LABELS, NO_AGREEMENT])
    for line, got in zip(frame["line"][bad], frame["EmoClass"][bad], strict=True):
        what = f"unknown class: expected one of {known}, got {got!r}"
        wrong.append(broken(path, line, what))
    for column in ATTRIBUTES:
        no = (frame[column] != "") & pd.to_numeric(frame[column], "coerce").isna()
        for line, got in zip(frame["line"][no], frame[column][no], strict=True):
            what = f"unknown {column}: expected a number, got {got!r}"
            wrong.append(broken(path, line, what))
        bad |= no
    frame = frame[~bad]
    told = frame.drop(columns="line").reset_index()
    frame, told = frame[~told.duplicated().array], told.drop_duplicates()
    twice = frame.index.duplicated(keep=False)
    for name, line in zip(frame.index[twice], frame["line"][twice], strict=True):
        what = f"tells other things of {name} than another line"
        wrong.append(broken(path, line, what))
    return frame[~twice], wrong


def read_votes(path: Path) -> tuple[Votes, list[Leftover]]:
    """Read who chose what, ``labels_detailed.csv``; one vote per annotator.

    What they chose stands in a column of its own or, in some releases, as the second
    field of ``EmoDetail``.

    Returns:
        key -> label -> share; and the lines that cannot be used

    Raises:
        ManifestError: if there is no table or it lacks columns
    """
    frame, wrong = read_table(path, ("FileName", ("EmoClass_Major", "EmoDetail")))
    if "EmoClass_Major" in frame:
        chosen = frame["EmoClass_Major"]
    else:
        chosen = frame["EmoDetail"].str.split(";", n=2).str[1].fillna("")
    votes, unknown = _count(frame["FileName"], chosen, frame["line"])
    return votes, wrong + [broken(path, line, what) for line, what in unknown]


def _count(
    names: pd.Series[str], chosen: pd.Series[str], lines: pd.Series[int]
) -> tuple[Votes, list[tuple[int, str]]]:
    """Turn one choice per row into shares per recording."""
    words = chosen.str.strip()
    # few words are met often: each is looked up once
    known = {word: _choice(word) for word in words.unique()}
    labels = words.map(known)
    unknown = [
        (int(line), f"unknown choice: expected {listing(CHOICES)}, got {word!r}")
        for line, word in zip(lines[labels == ""], words[labels == ""], strict=True)
    ]
    votes = labels[labels != ""]
    keys = names[labels != ""].map({name: key(name) for name in names.unique()})
    if votes.empty:
        return {}, unknown
    counts = votes.groupby([keys.rename("key"), votes.rename("label")]).size().unstack()
    shares = counts.div(counts.sum(axis=1), axis=0).fillna(0.0)
    rows = zip(shares.index, shares.to_numpy().tolist(), strict=True)
    return {
        name: {x: s for x, s in zip(shares.columns, row, strict=True) if s}
        for name, row in rows
    }, unknown


def _choice(word: str) -> str:
    """Return the label of what an annotator chose, empty if it is unknown."""
    word = word.lower()
    return CHOICES.get("other" if word.startswith("other") else word, "")


def read_labels(path: Path) -> tuple[pd.DataFrame, Votes, list[Leftover]]:
    """Read the labels of an older release, ``labels.txt``.

    A line per recording, ``MSP-PODCAST_0001_0008.wav; N; A:2.5; V:4.0; D:3.0;``, then
    one per annotator, ``WORKER00000005; Neutral; Neutral,Concerned; A:2; V:4; D:3;``.

    Returns:
        as ``read_consensus``, the shares of ``read_votes``, and the lines that cannot
        be used
    """
    import pandas as pd

    rows: list[tuple[object, ...]] = []
    votes: list[tuple[object, ...]] = []
    wrong: list[Leftover] = []
    name = None
    for number, line in enumerate(read_lines(path), 1):
        cells = [cell.strip() for cell in line.split(";")]
        if cells[0].upper().startswith("MSP-") and len(cells) > 1:
            name = cells[0]
            got = {c[:1]: c[2:].strip() for c in cells[2:] if c[1:2] == ":"}
            values = [got.get(letter, "") for letter in "AVD"]
            rows.append((name, cells[1], *values, "", "", "", number))
        elif cells[0].upper().startswith("WORKER") and name and len(cells) > 1:
            votes.append((name, cells[1], number))
        elif any(cells):
            what = f"expected a recording or an annotator, got {line[:80]!r}"
            wrong.append(broken(path, number, what))
    frame, wrong = _judge(pd.DataFrame(rows, columns=[*CONSENSUS, "line"]), path, wrong)
    chosen = pd.DataFrame(votes, columns=["name", "word", "line"])
    shares, unknown = _count(chosen["name"], chosen["word"], chosen["line"])
    return frame, shares, wrong + [broken(path, line, what) for line, what in unknown]


def read_pairs(path: Path) -> Iterator[tuple[str, str] | Leftover]:
    """Yield what ``Partitions.txt`` or ``Speaker_ids.txt`` says, line by line.

    Both hold pairs divided by a semicolon; lines of other kinds are headings.
    """
    for number, line in enumerate(read_lines(path), 1):
        first, mark, second = (part.strip() for part in line.partition(";"))
        if mark and first and second:
            yield first, second.rstrip(";").strip()
        elif "MSP-PODCAST" in line.upper():
            what = f"expected two fields divided by a semicolon, got {line[:80]!r}"
            yield broken(path, number, what)
