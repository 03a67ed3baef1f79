"""Folders named by emotion: any recordings sorted into one folder per emotion.

The last thing that is tried: nothing else is recognised, and folders of two emotions or
more (angry, Anger, HAPPY, pleasant_surprise, ...) hold audio::

    happy/a.wav
    train/angry/b.flac          in folders of a split
    data/train/angry/b.flac     as Hugging Face lays them out
    Actor_01/angry/c.wav        in folders of a speaker

The label is the folder's name in lower case, with blanks for underscores. What several
folders call differently (Angry, anger) is one class under the name that most recordings
have, with a remark.

The folder around an emotion is a speaker where it says so and has a number: actor,
speaker, spk, subject, participant. Else nothing says who speaks and the speaker is
unknown, so that recordings of one person can stand on both sides of a fold. A table
with a column ``speaker`` is better. The licence is that of your recordings.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from contracts.errors import listing
from contracts.manifest import Corpus, Leftover, Utterance
from corpora._columns import COMMON
from corpora._files import AUDIO, VIDEO, relative, walk
from corpora._import import folders, remark_once
from corpora._names import emotion_in, name_pattern
from corpora._rows import split_named

CORPUS = Corpus(
    title="Recordings in folders named by emotion",
    language="und",
    labels=(),
    licence="that of the recordings",
    url="",
    citation="none: recordings of your own",
)
EXAMPLES: dict[str, tuple[str, str]] = {}
_PLEASANT = "pleasant surprise"
_SPEAKER = name_pattern(r"(?:actor|speaker|spk|subject|participant)[ _-]*\d+")
_DEPTH = 3  # folders around those of the emotions: data, split and speaker


def recognises(root: Path) -> bool:
    """Say whether ``root`` holds audio in folders of two or more emotions."""
    if not root.is_dir():
        return False
    found = set()
    for folder in _inside(root, _DEPTH):
        emotion = _emotion(_spelt(folder.name))
        if emotion and emotion not in found and _holds_audio(folder):
            found.add(emotion)
        if len(found) > 1:
            return True
    return False


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each file under ``root`` is, sorted by relative path.

    Raises:
        ManifestError: if ``root`` is no folder
    """
    items = [
        i if isinstance(i, Leftover) else _place(i, root)
        for i in walk(root, AUDIO | VIDEO)
    ]
    items, said = _one_spelling(items)
    well = [item for item in items if isinstance(item, Utterance)]
    unknown = sum(item.speaker is None for item in well)
    if unknown and unknown == len(well):
        what = "folders say no speaker: all are unknown, folds cannot keep them apart"
        said.append(what)
    elif unknown:
        said.append(f"folders say no speaker of {unknown} of {len(well)} recordings")
    yield from remark_once(items, said)


def _inside(root: Path, depth: int) -> Iterator[Path]:
    """Yield the folders that may be named by emotion."""
    for folder in folders(root)[1:]:
        name = folder.name.casefold()
        around = name == "data" or split_named(name) or _SPEAKER.fullmatch(name)
        if not around:
            yield folder
        elif depth:
            yield from _inside(folder, depth - 1)


def _spelt(folder: str) -> str:
    """Spell the name of a folder as a label."""
    return re.sub(r"[\s_-]+", " ", folder.casefold()).strip()


def _emotion(label: str) -> str | None:
    """Say which emotion a label speaks of, None if it is none.

    Pleasant surprise is one of its own: other surprise is not pleasant.
    """
    if label in (_PLEASANT, f"{_PLEASANT}d"):
        return _PLEASANT
    return emotion_in(label) or label if label in COMMON else None


def _holds_audio(folder: Path) -> bool:
    try:
        return any(path.suffix.lower() in AUDIO for path in folder.iterdir())
    except OSError:
        return False


def _place(path: Path, root: Path) -> Utterance | Leftover:
    around = relative(path, root).split("/")[:-1]
    label = _spelt(around[-1]) if around else ""
    if not _emotion(label):
        got = repr(around[-1]) if around else "no folder"
        return Leftover(path, f"unknown folder: expected an emotion, got {got}")
    named = around[-2] if len(around) > 1 else ""
    speaker = named.casefold() if _SPEAKER.fullmatch(named) else None
    splits = (split_named(folder) for folder in reversed(around[:-1]))
    split = next(filter(None, splits), None)
    return Utterance(path, speaker, label, split=split)


def _one_spelling(
    items: Sequence[Utterance | Leftover],
) -> tuple[list[Utterance | Leftover], list[str]]:
    """Call each emotion by one name.

    Returns:
        the items, and what is to be said of them all
    """
    spellings: dict[str | None, Counter[str]] = defaultdict(Counter)
    for item in items:
        if isinstance(item, Utterance) and item.label:
            spellings[_emotion(item.label)][item.label] += 1
    chosen = {
        emotion: min(counts, key=lambda label: (-counts[label], label))
        for emotion, counts in spellings.items()
    }
    said = [
        f"folders {listing(sorted(counts))} are one class, called {chosen[emotion]}"
        for emotion, counts in spellings.items()
        if len(counts) > 1
    ]
    out = [
        replace(item, label=chosen[_emotion(item.label or "")])
        if isinstance(item, Utterance)
        else item
        for item in items
    ]
    return out, said
