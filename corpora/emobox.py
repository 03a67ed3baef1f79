"""EmoBox list: any of its corpora by its JSON lines, speakers told by our corpora.

EmoBox (https://github.com/emo-box/EmoBox) publishes lists for 32 corpora, one object
per line, ``wav`` relative to the folder that holds ``downloads``::

    {"key": "emodb-03a02Wb", "dataset": "emodb", "type": "raw", "task": "category",
     "wav": "downloads/emodb/wav/03a02Wb.wav", "sample_rate": 16000,
     "num_frame": 33978.0, "length": 2.123625, "emo": "anger", "channel": 1}

    data/emodb/emodb.jsonl                              all utterances
    data/emodb/fold_1/emodb_train_fold_1.jsonl          valid and test beside it

The list of all utterances is taken; where there is none, the first fold, with its
split. The lists name no speaker: for ravdess, cremad, emodb, tess, savee, turevdb, urdu
and shemo the corpus of ours reads the file's name, and gives label, speaker, sex and
sentence; the list's own ``emo`` is kept as a trait. For iemocap the speaker and session
are in the name as well, and its ``neu``, ``exc``, ... become our words. For the other
corpora that ``_emobox.py`` knows, a file's name or folder tells the speaker, and the
label is ``emo``. Elsewhere the label is ``emo`` and every speaker unknown.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from contracts import plugins
from contracts.errors import ManifestError, listing
from contracts.manifest import Corpus, Leftover, Utterance
from corpora._columns import Columns
from corpora._emobox import IEMOCAP, read_place
from corpora._import import first_record, folders, locate, read_records, remark_once
from corpora._rows import read_row, unnamed, without_repeats

CORPUS = Corpus(
    title="Recordings in a list of EmoBox",
    language="und",
    labels=(),
    licence="that of the recordings; the lists: MIT",
    url="https://github.com/emo-box/EmoBox",
    citation=(
        "Ma, Z., Chen, M., Zhang, H. et al. (2024). EmoBox: Multilingual Multi-corpus "
        "Speech Emotion Recognition Toolkit and Benchmark. Interspeech 2024."
    ),
)
EXAMPLES: dict[str, tuple[str, str]] = {}
# dataset of EmoBox -> corpus of ours
_OURS = {"cremad": "crema_d", "turevdb": "turev", "msppodcast": "msp_podcast"}
# of the datasets that are no corpus of ours
_LANGUAGES = (
    {"aesdd": "el", "ased": "am", "cafe": "fr", "casia": "zh", "emns": "en"}
    | {"emovdb": "en", "emovo": "it", "emozionalmente": "it", "enterface": "en"}
    | {"esd": "en+zh", "jlcorpus": "en", "m3ed": "zh", "mead": "en", "mer2023": "zh"}
    | {"mesd": "es", "oreau": "fr", "pavoque": "de", "polish": "pl", "resd": "ru"}
    | {"subesco": "bn"}
)
_NEEDED = ("key", "dataset", "wav", "emo")
_FOLD = re.compile(r".*_(train|valid|test)_fold_?(\d+)", re.IGNORECASE)
_COLUMNS = Columns(
    {"file": "wav", "emotion": "emo", "start": "start_time", "end": "end_time"}
    | {"split": "split"},
    {},
    (),
    ("key",),
)


def recognises(root: Path) -> bool:
    """Say whether ``root`` is, or is a folder that holds, a list of EmoBox."""
    return bool(_lists(root))


def describe(root: Path) -> Corpus:
    """Say what the listed corpus is, as far as it is known."""
    record = first_record(_lists(root)[0])
    dataset = str(record.get("dataset", ""))
    ours = _ours(dataset)
    if ours is None:
        language = _LANGUAGES.get(dataset, "und")
        title = f"{dataset}, {CORPUS.title[0].lower()}{CORPUS.title[1:]}"
        return replace(CORPUS, title=title, language=language)
    told: Corpus = ours.CORPUS
    title = f"{told.title}, as listed by EmoBox"
    told = replace(told, title=title, n_utterances=None, label_counts={})
    if hasattr(ours, "read_name") or dataset == IEMOCAP:
        return told
    return replace(told, labels=(), label_map=CORPUS.label_map)


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each line of the lists is, then the files that no line names.

    Args:
        root: the folder of one corpus in EmoBox' ``data``, or one list

    Raises:
        ManifestError: if there is no list, or several of all utterances
    """
    lists = _one_corpus(root)
    rows: list[tuple[int | str, Utterance | Leftover]] = []
    broken: list[Leftover] = []
    datasets: dict[str, str] = {}
    for path in lists:
        records, wrong = read_records(path)
        broken += wrong
        for i, record in records.items():
            rows.append((f"{path.name}:{i}", _item(record, path, i)))
            datasets[record.get("key", "")] = record.get("dataset", "")
    items = [item for _, item in without_repeats(rows, "the lists")]
    named, said = _with_speakers(items, datasets)
    fold = _FOLD.fullmatch(lists[0].stem)
    if fold and root.is_dir():
        said.append(f"no list of all utterances: the splits are of fold {fold[2]}")
    yield from remark_once(named, said)
    yield from broken
    yield from unnamed(root, items, lists, "the lists")


def _one_corpus(root: Path) -> list[Path]:
    """Choose the lists to read and refuse what is none or several corpora."""
    lists = _lists(root)
    whole = [path for path in lists if not _FOLD.fullmatch(path.stem)]
    if not lists:
        msg = (
            f"{str(root)!r} has no list of EmoBox: expected one .jsonl with "
            f"{', '.join(_NEEDED)}, got none. Give the folder of one corpus in the "
            "data of EmoBox"
        )
        raise ManifestError(msg)
    if len(whole) > 1:
        msg = (
            f"{str(root)!r} holds several lists of EmoBox: expected one corpus, got "
            f"{listing(whole)}. Give the path of one list, or the folder of one corpus"
        )
        raise ManifestError(msg)
    return lists


def _lists(root: Path) -> list[Path]:
    """Choose the lists to read: the file itself, that of all utterances, or a fold."""
    if root.is_file():
        return [root] if _is_list(root) else []
    found = [p for f in folders(root) for p in sorted(f.glob("*.jsonl")) if _is_list(p)]
    whole = [p for p in found if not _FOLD.fullmatch(p.stem)]
    if whole:
        return whole
    folds: dict[int, dict[str, Path]] = defaultdict(dict)
    for path in found:
        if told := _FOLD.fullmatch(path.stem):
            # emodb has two spellings: fold_1, which sorts later, stands
            folds[int(told[2])][told[1].lower()] = path
    return list(folds[min(folds)].values()) if folds else []


def _is_list(path: Path) -> bool:
    return path.suffix.lower() == ".jsonl" and set(_NEEDED) <= set(first_record(path))


def _item(record: Mapping[str, str], path: Path, i: int) -> Utterance | Leftover:
    """Read one line."""
    lacks = [key for key in _NEEDED if not record.get(key)]
    if lacks:
        what = f"line {i} of {path.name} lacks {listing(lacks)}"
        return Leftover(path, what)
    fold = _FOLD.fullmatch(path.stem)
    row = {"start_time": "", "end_time": "", "split": fold[1] if fold else ""}
    row |= {k: v for k, v in record.items() if k != "split"}
    row["wav"] = locate(record["wav"], path.parent)
    return read_row(row, _COLUMNS, path, i)


def _ours(dataset: str) -> ModuleType | None:
    """Find our own plug-in of a dataset."""
    name = _OURS.get(dataset, dataset)
    known = name in plugins.names("corpora")
    plugin = plugins.load("corpora", name) if known else None
    return None if hasattr(plugin, "recognises") else plugin


def _with_speakers(
    items: Sequence[Utterance | Leftover], datasets: Mapping[str, str]
) -> tuple[list[Utterance | Leftover], list[str]]:
    """Add what the names of the files tell.

    Returns:
        the items, and what is to be said of them all
    """
    corpora = {dataset: _ours(dataset) for dataset in set(datasets.values())}
    told: list[Utterance | Leftover | None] = [None] * len(items)
    for i, item in enumerate(items):
        if isinstance(item, Utterance):
            dataset = datasets[str(item.traits["key"])]
            told[i] = _told(item, dataset, corpora[dataset])
    # what each emotion of the list is called by our corpus, most often
    pairs = Counter(
        (item.label, t.label)
        for item, t in zip(items, told, strict=True)
        if isinstance(item, Utterance) and isinstance(t, Utterance) and t.label
    )
    names = {emo: label for (emo, label), _ in reversed(pairs.most_common())}
    out: list[Utterance | Leftover] = []
    for item, t in zip(items, told, strict=True):
        both = isinstance(item, Utterance) and t is not None
        out.append(_joined(item, t, names) if both else item)
    silent = sum(isinstance(u, Utterance) and u.speaker is None for u in out)
    said = [f"{silent} of {len(out)} lines tell no speaker"] if silent else []
    if other := [f"{emo} is {name}" for emo, name in names.items() if emo != name]:
        said.append(f"labels are those of our corpus: {listing(other, 20)}")
    return out, said


def _told(
    item: Utterance, dataset: str, ours: ModuleType | None
) -> Utterance | Leftover | None:
    """Read the name of a file the way its corpus does."""
    if ours is not None and hasattr(ours, "read_name"):
        read: Utterance | Leftover = ours.read_name(item.path)
        return read
    return read_place(item.path, dataset, item.label)


def _joined(item: Any, told: Any, names: Mapping[Any, Any]) -> Utterance:
    """Join a line of the list with what the file's name tells."""
    if isinstance(told, Leftover):
        return replace(item, remark=f"its name tells no speaker: {told.reason}")
    remarks = [item.remark, told.remark]
    if told.label and told.label != names[item.label]:
        why = f"the list says {item.label}, its name {told.label}: the name is believed"
        remarks.append(why)
    return replace(
        told,
        label=told.label or item.label,
        start=item.start,
        end=item.end,
        split=item.split,
        traits={**told.traits, **item.traits, "emo": item.label or ""},
        remark="; ".join(filter(None, remarks)) or None,
    )
