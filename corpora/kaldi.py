"""Kaldi folder: any corpus that is laid out for Kaldi, ESPnet, WeNet or FunASR.

A folder with ``wav.scp``, or folders of a split (train, dev, test) that hold one each.
A line is a key, a blank and the rest::

    wav.scp      recording path     relative to the folder or to a folder around it
    segments     utterance recording start end   seconds; end -1: to the end
    utt2spk      utterance speaker
    utt2emo      utterance emotion
    spk2gender   speaker f or m
    text         utterance words

Without ``segments`` a recording is an utterance. All but ``wav.scp`` may be missing.
What several lists hold (``data/all`` beside ``data/train``) is one utterance with all
that they say of it; where they contradict one another it is left over.
Where every utterance is a speaker of its own, as Kaldi has it where speakers are not
known, the speakers are unknown. A command in place of a path (``sox a.sph - |``) is
never run. The licence is that of the recordings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contracts.errors import ManifestError, listing
from contracts.manifest import Corpus, Leftover, Utterance
from corpora._columns import Columns
from corpora._import import folders, locate, read_lines, remark_once
from corpora._rows import read_row, split_named, unnamed, without_repeats

CORPUS = Corpus(
    title="Recordings in a Kaldi folder",
    language="und",
    labels=(),
    licence="that of the recordings",
    url="",
    citation="none: recordings of your own",
)
EXAMPLES: dict[str, tuple[str, str]] = {}
_WAVES, _SEGMENTS = "wav.scp", "segments"
_TABLES = ("utt2spk", "utt2emo", "spk2gender", "text")
_ROLES = ("file", "speaker", "emotion", "start", "end", "sex", "text")
_COLUMNS = Columns({role: role for role in _ROLES}, {}, (), ("key",))


@dataclass(frozen=True)
class _Table:
    """One file of a Kaldi folder: key -> number of its line and the rest of it."""

    path: Path
    lines: Mapping[str, tuple[int, str]]

    def get(self, key: str) -> str:
        return self.lines[key][1] if key in self.lines else ""


def recognises(root: Path) -> bool:
    """Say whether ``root`` is, or is a folder that holds, a ``wav.scp``."""
    return bool(_places(root))


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each utterance of the lists is, then the files they do not name.

    Args:
        root: the folder, or its ``wav.scp``

    Raises:
        ManifestError: if there is no ``wav.scp`` or a list cannot be read
    """
    places = _places(root)
    if not places:
        msg = (
            f"{str(root)!r} is no Kaldi folder: expected {_WAVES} in it or in its "
            f"folders, got none. Give the folder that holds {_WAVES}"
        )
        raise ManifestError(msg)
    items = _joined([pair for folder in places for pair in _read(folder)])
    own = {f / name for f in places for name in (_WAVES, _SEGMENTS, *_TABLES)}
    yield from items
    yield from unnamed(root, items, own, _WAVES)


def _places(root: Path) -> list[Path]:
    if root.is_file():
        return [root.parent] if root.name == _WAVES else []
    return [folder for folder in folders(root) if (folder / _WAVES).is_file()]


def _joined(
    rows: Sequence[tuple[str, Utterance | Leftover]],
) -> list[Utterance | Leftover]:
    """Make one utterance of what several lists say of a stretch.

    Args:
        rows: list and line, for people, and what it became
    """
    same: dict[object, list[tuple[str, Utterance]]] = defaultdict(list)
    for row in rows:
        if isinstance(item := row[1], Utterance):
            same[item.path, item.start or 0.0, item.end].append((row[0], item))
    out: list[Utterance | Leftover] = []
    for where, item in rows:
        if isinstance(item, Leftover):
            out.append(item)
            continue
        alike = same[item.path, item.start or 0.0, item.end]
        first = alike[0][0]
        if wrong := _contradictions([u for _, u in alike]):
            what = f"told of more than once, {listing(w for w, _ in alike)}: {wrong}"
            out.append(Leftover(item.path, what))
        elif where == first:
            out.append(_filled([u for _, u in alike]))
        else:
            what = f"{where} tells of the same as {first}"
            out.append(Leftover(item.path, what, fault=False))
    return out


def _contradictions(alike: Sequence[Utterance]) -> str:
    """Say what lists tell differently of one stretch, "" if they agree."""
    wrong = []
    for field in ("split", "speaker", "label"):
        told = sorted({str(v) for u in alike if (v := getattr(u, field))})
        if len(told) > 1:
            wrong.append(f"expected one {field}, got {' and '.join(told)}")
    return "; ".join(wrong)


def _filled(alike: Sequence[Utterance]) -> Utterance:
    """Give the first utterance what only the others know."""
    fields = ("split", "speaker", "label", "sex", "text")
    told: dict[str, Any] = {
        field: next((v for u in alike if (v := getattr(u, field))), None)
        for field in fields
    }
    remarks = dict.fromkeys(u.remark for u in alike if u.remark)
    return replace(alike[0], **told, remark="; ".join(remarks) or None)


def _read(folder: Path) -> list[tuple[str, Utterance | Leftover]]:
    """Read one folder: list and line, for people, and what it became."""
    broken: list[Leftover] = []
    names = (_WAVES, _SEGMENTS, *_TABLES)
    waves, segments, *tables = (_table(folder / name, broken) for name in names)
    speakers, emotions, sexes, texts = tables
    listed = segments if segments.path.is_file() else waves
    alone = bool(speakers.lines) and all(
        speakers.get(key) in ("", key) for key in listed.lines
    )
    rows: list[tuple[int, Utterance | Leftover]] = []
    for key, (i, rest) in listed.lines.items():
        found = _audio(key, i, rest, listed, waves)
        if isinstance(found, Leftover):
            rows.append((i, found))
            continue
        speaker = "" if alone else speakers.get(key)
        row = dict.fromkeys(_ROLES, "") | found | {"key": key, "speaker": speaker}
        row |= {"emotion": emotions.get(key), "text": texts.get(key)}
        row["sex"] = sexes.get(speaker)
        rows.append((i, read_row(row, _COLUMNS, listed.path, i)))
    split = split_named(folder.name)
    kept = list(without_repeats(rows, listed.path.name))
    read = [
        replace(item, split=split) if split and isinstance(item, Utterance) else item
        for _, item in kept
    ]
    name = f"{folder.name}/{listed.path.name}"
    places = [f"line {i} of {name}" for i, _ in kept]
    said = ["every utterance is a speaker of its own: all are unknown"] if alone else []
    said += _incomplete(listed, (emotions,) if alone else (speakers, emotions))
    strangers = _strangers(listed, waves, (speakers, emotions, texts))
    pairs = zip(places, remark_once(read, said), strict=True)
    return [*pairs, *((name, item) for item in [*broken, *strangers])]


def _table(path: Path, broken: list[Leftover]) -> _Table:
    """Read one list; lines that cannot be used go to ``broken``."""
    lines: dict[str, tuple[int, str]] = {}
    twice = defaultdict(list)
    for i, line in read_lines(path) if path.exists() else ():
        if isinstance(line, Leftover):
            broken.append(line)
            continue
        key, *rest = line.split(maxsplit=1)
        if not rest and path.name != "text":
            what = f"line {i} of {path.name}: expected a key and more, got {line!r}"
            broken.append(Leftover(path, what))
        elif key in lines and [lines[key][1]] != rest:
            twice[key].append(i)
        else:
            lines.setdefault(key, (i, "".join(rest)))
    for key, more in twice.items():
        where = listing([lines.pop(key)[0], *more])
        what = f"{key!r} is told of more than once, lines {where} of {path.name}"
        broken.append(Leftover(path, f"{what}: expected one line"))
    return _Table(path, lines)


def _audio(
    key: str, i: int, rest: str, listed: _Table, waves: _Table
) -> dict[str, str] | Leftover:
    """Find the file, start and end of an utterance."""
    recording, cells = key, {"start": "", "end": ""}
    if listed is not waves:
        parts = rest.split()
        if len(parts) != 3:
            what = f"line {i} of {_SEGMENTS}: expected a recording, start and end"
            return Leftover(listed.path, f"{what}, got {rest!r}")
        recording, cells = parts[0], {"start": parts[1], "end": parts[2]}
        if parts[2] in ("-1", "-1.0"):
            cells["end"] = ""
    if recording not in waves.lines:
        what = f"recording {recording!r} of line {i} of {_SEGMENTS} is not in {_WAVES}"
        return Leftover(listed.path, what)
    j, path = waves.lines[recording]
    if path.endswith("|"):
        what = f"{recording!r} is a command, line {j} of {_WAVES}: no command is run"
        return Leftover(waves.path, f"{what}. Write its sound to a file, name the file")
    return cells | {"file": locate(path, waves.path.parent)}


def _incomplete(listed: _Table, tables: tuple[_Table, ...]) -> list[str]:
    """Say how many utterances a list does not know."""
    out = []
    for table in tables:
        if n := sum(key not in table.lines for key in listed.lines):
            out.append(f"{n} of {len(listed.lines)} are not in {table.path.name}")
    return out


def _strangers(
    listed: _Table, waves: _Table, tables: tuple[_Table, ...]
) -> Iterator[Leftover]:
    """Say which keys of the other lists are no utterance."""
    for table in tables:
        keys = [key for key in table.lines if key not in listed.lines]
        if keys:
            what = f"{len(keys)} of {table.path.name} are not in {listed.path.name}"
            yield Leftover(table.path, f"{what}: {listing(keys)}")
    if listed is not waves:
        cut = {rest.split()[0] for _, rest in listed.lines.values()}
        keys = [key for key in waves.lines if key not in cut]
        if keys:
            what = f"{len(keys)} recordings have no line in {_SEGMENTS}"
            yield Leftover(waves.path, f"{what}: {listing(keys)}", fault=False)
