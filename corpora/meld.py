"""MELD: 13708 utterances of the television series Friends, in seven emotions.

The Multimodal EmotionLines Dataset: video with 1433 dialogues of several speakers, in
English. As published::

    train/train_splits/dia0_utt0.mp4                        train_sent_emo.csv
    dev/dev_splits_complete/dia0_utt0.mp4                   dev_sent_emo.csv
    test/output_repeated_splits_test/dia0_utt0.mp4          test_sent_emo.csv

Names repeat in every part, so the part is that of the name (``train_dia0_utt0.wav``),
else of the nearest folder with train, dev, val or test in its name, else of the only
table there is. A folder that names several (``traindevtest_wavs``) tells nothing. Sound
files (wav, flac) are read as well; where an utterance lies there as sound and as video,
the sound is taken. ``final_videos_test...`` are copies of test files and left out.

The speaker is that of the table: characters, most of whom appear in every part, so the
published parts share speakers and no protocol follows them: the speakers are divided
anew. Sex is known of the six main characters. Traits: sentiment, dialogue. The times in
the tables are those in the episode, not in the file, and are not used. Counts are those
of the tables.

Licence: annotations GPL-3.0, https://github.com/declare-lab/MELD; the series belongs to
its owners.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from contracts.errors import ManifestError, listing
from contracts.manifest import Corpus, Leftover, Utterance
from corpora._annotations import (
    broken,
    may_annotate,
    place,
    used,
    without_copies,
)
from corpora._files import AUDIO, VIDEO, relative, walk
from corpora._meld import LABELS, URL, Key, Row, read_rows

CORPUS = Corpus(
    title="Multimodal EmotionLines Dataset",
    language="en",
    labels=LABELS,
    licence="GPL-3.0 (annotations)",
    url=URL,
    citation=(
        "Poria, S., Hazarika, D., Majumder, N., Naik, G., Cambria, E. and Mihalcea, R. "
        "(2019). MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in "
        "Conversations. Proceedings of ACL 2019: 527-536. "
        "https://doi.org/10.18653/v1/P19-1050"
    ),
    n_utterances=13708,
    protocol="speakers-5fold",
    label_counts=dict(
        zip(LABELS, (6436, 1636, 358, 1002, 2308, 361, 1607), strict=True)
    ),
)
EXAMPLES: dict[str, tuple[str, str]] = {}  # a name alone tells nothing
_SEXES = dict.fromkeys(("Monica", "Phoebe", "Rachel"), "female")
_SEXES |= dict.fromkeys(("Chandler", "Joey", "Ross"), "male")
# of a folder: a word that begins with parts, one behind the other
_PARTS = re.compile(r"(?<![a-z])(?:train|dev|val|test)+", re.IGNORECASE)
_PART = re.compile(r"train|dev|val|test", re.IGNORECASE)
_TABLE = re.compile(r"(train|dev|val|test)_sent_emo", re.IGNORECASE)
_NAME = re.compile(
    r"(?:(train|dev|val|test)[_-])?dia(\d+)_utt(\d+)", re.ASCII | re.IGNORECASE
)


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
            items += [used(table), *read_rows(table, part, rows)]
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
    folders = relative(path, root).split("/")[:-1]
    told = [_part(name[1])] if name[1] else _parts_named(folders)
    if len(told) != 1 and len(parts) > 1:
        expected = "expected a folder with train, dev or test in its name"
        got = f"{path.parent.name!r}" + (f", which names {listing(told)}" * bool(told))
        return Leftover(path, f"of which part: {expected}, got {got}")
    return Key(told[0] if len(told) == 1 else parts[0], int(name[2]), int(name[3]))


def _parts_named(folders: Sequence[str]) -> list[str]:
    """List the parts that the nearest folder which names any names."""
    for folder in reversed(folders):
        named = "".join(_PARTS.findall(folder))
        if named:
            return list(dict.fromkeys(map(_part, _PART.findall(named))))
    return []


def claims(path: Path) -> bool:
    """Say whether a file is surely of MELD, by its name alone."""
    return _NAME.fullmatch(path.stem) is not None


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
