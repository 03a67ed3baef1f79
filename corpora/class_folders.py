"""Folders named by emotion: any recordings sorted into one folder per emotion.

The last thing that is tried: nothing else is recognised, and two folders or more that
hold audio are named like an emotion (angry, anger, happy, ...)::

    happy/a.wav
    train/angry/b.flac      the folders may lie in folders of a split

The label is the folder's name in lower case. Nothing says who speaks: every speaker is
unknown, so that recordings of one person can stand on both sides of a fold. A table
with a column ``speaker`` is better. The licence is that of your recordings.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from contracts.manifest import Corpus, Leftover, Utterance
from corpora._columns import COMMON
from corpora._files import AUDIO, walk
from corpora._import import folders, remark_once
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


def recognises(root: Path) -> bool:
    """Say whether ``root`` holds two or more folders of audio named by emotion."""
    if not root.is_dir():
        return False
    outer = folders(root)
    inner = [x for f in outer[1:] if split_named(f.name) for x in folders(f)[1:]]
    named = {f.name.casefold() for f in outer[1:] + inner if _holds_audio(f)}
    return len(named) > 1


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each file under ``root`` is, sorted by relative path.

    Raises:
        ManifestError: if ``root`` is no folder
    """
    items = [i if isinstance(i, Leftover) else _place(i, root) for i in walk(root)]
    said = "folders say no speaker: all are unknown, folds cannot keep them apart"
    yield from remark_once(items, [said])


def _holds_audio(folder: Path) -> bool:
    if folder.name.casefold() not in COMMON:
        return False
    try:
        return any(path.suffix.lower() in AUDIO for path in folder.iterdir())
    except OSError:
        return False


def _place(path: Path, root: Path) -> Utterance | Leftover:
    label = path.parent.name.casefold()
    if path.parent == root or label not in COMMON:
        got = "no folder" if path.parent == root else repr(path.parent.name)
        return Leftover(path, f"unknown folder: expected an emotion, got {got}")
    outer = path.parent.parent
    split = split_named(outer.name) if outer != root else None
    return Utterance(path, label=label, split=split)
