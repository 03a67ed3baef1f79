"""Make the manifest: listen to every utterance once, and name what is odd.

A file that was heard before and has not changed since (size, times, inode) is not
heard again: its row is taken from the manifest there was.
"""

import hashlib
import os
import unicodedata
from collections.abc import Callable, Container, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from contracts import plugins
from contracts.errors import ExtractionError, ManifestError, listing
from contracts.manifest import (
    TRAIT,
    VOTE,
    Leftover,
    Manifest,
    Utterance,
    card,
    complete,
)
from contracts.terminal import progress
from extract import _audio

HEARD = ("waveform", "duration", "sampling_rate", "channels", "clipping", "silence")
TABLE = "table"
_THREADS = 4  # decoding waits for the disk and leaves the interpreter's lock
_SHORT = 0.06  # seconds; openSMILE gives NaN below


@dataclass(frozen=True)
class Note:
    """Something odd but accepted.

    Attributes:
        what: in words
        names: of the utterances or files it is about
    """

    what: str
    names: tuple[str, ...] = ()

    def text(self, limit: int = 10) -> str:
        """Say it, with at most so many names."""
        return f"{self.what}: {listing(self.names, limit)}" if self.names else self.what


@dataclass(frozen=True)
class Scan:
    """What a corpus' folder holds.

    Attributes:
        manifest: one row per utterance, those that could not be decoded included
        leftovers: files that became no utterance
        notes: what is odd but accepted, by name
    """

    manifest: Manifest
    leftovers: list[Leftover]
    notes: list[Note] = field(default_factory=list)

    @property
    def faults(self) -> list[tuple[str, str]]:
        """``(file or id, reason)`` for everything a person has to mend."""
        bad = [(str(x.path), x.reason) for x in self.leftovers if x.fault]
        rows = self.manifest.rows
        rows = rows[rows["problem"] != ""]
        return bad + list(zip(rows["id"], rows["problem"], strict=True))


def plugin_for(corpus: str, root: Path) -> ModuleType:
    """Find the plug-in that reads a corpus: its own, else ``table`` if one lies there.

    Raises:
        PluginError: if there is no such plug-in and no table
    """
    table = plugins.load("corpora", TABLE)
    if corpus not in plugins.names("corpora") and table.recognises(root):
        return table
    return plugins.load("corpora", corpus)


def scan(
    corpus: str,
    root: Path,
    before: Manifest | None = None,
    limit: int | None = None,
    held: Container[str] = (),
) -> Scan:
    """List the utterances of a corpus and listen to those not heard before.

    Args:
        corpus: name in the cache; a plug-in's, or any name for a folder with a table
        root: folder of the corpus, or its table
        before: the manifest there was
        limit: take only so many utterances, spread over the corpus by a hash of their
            ids, so that a larger limit holds a smaller one
        held: waveforms that the cache has features of: a limit leaves them in

    Raises:
        ManifestError: if the folder is not there or holds no utterance
        PluginError: if nothing here can read it
    """
    if not root.exists():
        msg = (
            f"no folder {root}: put the corpus' audio there or link it, or name its "
            f"folder: python pipeline.py extract --corpus {corpus} --root PATH"
        )
        raise ManifestError(msg)
    plugin = plugin_for(corpus, root)
    found = list(plugin.utterances(root))
    leftovers = [x for x in found if isinstance(x, Leftover)]
    utterances = [x for x in found if isinstance(x, Utterance)]
    named, unnamed = _named(corpus, root, utterances)
    known = {} if before is None else _known(before)
    keep = {name for name, row in known.items() if row["waveform"] in held}
    chosen = _limited(named, limit, keep)
    frame = _hear_all(corpus, chosen, known)
    told = card(
        plugin.CORPUS,
        plugin=plugin.__name__,
        root=str(root.resolve()),
        limited=[len(chosen), len(named)] if len(chosen) < len(named) else None,
    )
    frame, doubled = _without_doubles(frame, [u for _, u in chosen])
    leftovers += unnamed + doubled
    manifest = Manifest(corpus, frame, told)
    notes = [Note(u.remark, (n,)) for n, u in chosen if u.remark]
    notes += _odd(frame) + _unexpected(manifest)
    if before is not None:
        notes += _gone(before, {n for n, _ in named})
    if not len(frame) and not any(x.fault for x in leftovers):
        msg = (
            f"{root} holds no utterance of {corpus}: {plugin.CORPUS.title} names its "
            f"files like {listing(list(plugin.EXAMPLES)[:1]) or 'those of a table'}"
        )
        raise ManifestError(msg)
    return Scan(manifest, leftovers, notes)


def _named(
    corpus: str, root: Path, utterances: Sequence[Utterance]
) -> tuple[list[tuple[str, Utterance]], list[Leftover]]:
    """Give each utterance its id; leave out those that cannot have one of their own."""
    named: dict[str, Utterance] = {}
    left = []
    for utterance in utterances:
        name = _identity(corpus, root, utterance)
        if name in named:
            left.append(Leftover(utterance.path, f"its id {name} is taken"))
        elif not is_text(name):
            reason = "its name is not text (invalid UTF-8 or control signs): rename it"
            left.append(Leftover(Path(ascii(str(utterance.path))), reason))
        else:
            named[name] = utterance
    return list(named.items()), left


def is_text(name: str) -> bool:
    """Whether a file's name can be written down: valid Unicode, no control signs."""
    return all(unicodedata.category(sign) not in ("Cs", "Cc") for sign in name)


def _identity(corpus: str, root: Path, utterance: Utterance) -> str:
    """Name an utterance the same on every machine."""
    folder = Path(os.path.abspath(root if root.is_dir() else root.parent))  # noqa: PTH100
    # a table may point anywhere; links stay as they are, so that ids do
    relative = os.path.relpath(utterance.path, folder)
    name = f"{corpus}/{Path(relative).as_posix()}"
    if utterance.start is None and utterance.end is None:
        return name
    end = "" if utterance.end is None else repr(float(utterance.end))
    return f"{name}#{float(utterance.start or 0)!r}-{end}"


def _known(before: Manifest) -> dict[str, dict[str, Any]]:
    """Return id -> what was heard, for files that could be decoded."""
    rows = before.rows
    wanted = rows[rows["problem"] == ""][["id", "stat", *HEARD]]
    return {row["id"]: row for row in wanted.to_dict("records")}


def _limited(
    named: Sequence[tuple[str, Utterance]], limit: int | None, known: Iterable[str]
) -> list[tuple[str, Utterance]]:
    if limit is None:
        return list(named)
    order = sorted(n for n, _ in named)
    order.sort(key=lambda name: hashlib.sha256(name.encode()).digest())
    chosen = {*order[:limit], *known}
    return [(n, u) for n, u in named if n in chosen]


def _stat(path: Path) -> str:
    try:
        s = path.stat()
    except OSError:
        return ""
    return f"{s.st_size}-{s.st_mtime_ns}-{s.st_ctime_ns}-{s.st_ino}"


def _hear_all(
    corpus: str,
    named: Sequence[tuple[str, Utterance]],
    known: dict[str, dict[str, Any]],
) -> pd.DataFrame:
    """Make the rows, listening to what is not known yet."""

    def one(item: tuple[str, Utterance]) -> dict[str, Any]:
        name, utterance = item
        stat = _stat(utterance.path)
        row = _row(corpus, name, utterance) | {"stat": stat}
        heard = known.get(name)
        if heard and stat and heard["stat"] == stat:
            return row | {column: heard[column] for column in HEARD}
        return row | hear(utterance)

    rows = []
    with (
        progress(f"{corpus}: listening", len(named), "utterances") as advance,
        ThreadPoolExecutor(_THREADS) as pool,
    ):
        for row in pool.map(one, named, chunksize=8):
            rows.append(row)
            advance(1)
    return complete(pd.DataFrame(rows, index=range(len(rows))))


def _row(corpus: str, name: str, utterance: Utterance) -> dict[str, Any]:
    def own(value: str | None) -> str:
        return f"{corpus}/{value}" if value else ""

    row: dict[str, Any] = {
        "id": name,
        "corpus": corpus,
        "path": str(utterance.path.absolute()),
        "start": np.nan if utterance.start is None else utterance.start,
        "end": np.nan if utterance.end is None else utterance.end,
        "speaker": own(utterance.speaker),
        "session": own(utterance.session),
        "sentence": own(utterance.sentence),
    }
    for column in ("sex", "split", "text", "label"):
        row[column] = getattr(utterance, column) or ""
    row |= {f"{VOTE}{label}": share for label, share in utterance.votes.items()}
    return row | {f"{TRAIT}{k}": value for k, value in utterance.traits.items()}


def hear(utterance: Utterance) -> dict[str, Any]:
    """Decode one utterance and measure it; what is wrong goes into ``problem``."""
    try:
        decoded = _audio.decode(utterance.path, utterance.start, utterance.end)
    except ExtractionError as error:
        return {"problem": str(error)}
    return {
        "waveform": _audio.waveform_hash(decoded),
        "duration": len(decoded.samples) / decoded.sampling_rate,
        "sampling_rate": decoded.sampling_rate,
        "channels": decoded.channels,
        "clipping": _audio.clipping(decoded.samples),
        "silence": _audio.silence(decoded),
    }


def _without_doubles(
    frame: pd.DataFrame, utterances: Sequence[Utterance]
) -> tuple[pd.DataFrame, list[Leftover]]:
    """Leave out second files of one published name; say which, and whether alike."""
    first: dict[str, int] = {}
    left = []
    for i, utterance in enumerate(utterances):
        if utterance.name is None or frame.at[i, "problem"]:
            continue
        j = first.setdefault(utterance.name, i)
        if i == j:
            continue
        alike = frame.at[i, "waveform"] == frame.at[j, "waveform"]
        other = frame.at[j, "id"]
        reason = f"a copy of {other}" if alike else f"same name as {other}, other audio"
        left.append((i, Leftover(utterance.path, reason, fault=not alike)))
    kept = frame.drop(index=[i for i, _ in left]).reset_index(drop=True)
    return kept, [x for _, x in left]


def _odd(frame: pd.DataFrame) -> list[Note]:
    """Name what is accepted but odd: the same recording twice, clipping, silence."""
    out = []
    rows = frame[frame["problem"] == ""]
    for _, same in rows[rows["waveform"].duplicated(keep=False)].groupby("waveform"):
        what = f"the same recording under {len(same)} names"
        out.append(Note(what, tuple(same["id"])))
    checks: tuple[tuple[str, Callable[[pd.DataFrame], Any]], ...] = (
        ("clipped (samples at full scale)", lambda r: r["clipping"] > 0.001),
        ("silent (no frame above -60 dBFS)", lambda r: r["silence"] >= 1.0),
        (
            "shorter than 60 ms (eGeMAPS is not defined)",
            lambda r: r["duration"] < _SHORT,
        ),
    )
    for what, test in checks:
        names = rows["id"][test(rows)]
        if len(names):
            out.append(Note(f"{len(names)} {what}", tuple(names)))
    return out


def _unexpected(manifest: Manifest) -> list[Note]:
    """Compare with the published counts."""
    told, rows = manifest.card, manifest.rows
    if told["limited"]:
        taken, found = told["limited"]
        return [Note(f"limited: {taken} of {found} utterances are taken")]
    expected = {"utterances": told["n_utterances"], "speakers": told["n_speakers"]}
    got = {"utterances": len(rows), "speakers": len(set(rows["speaker"]) - {""})}
    expected |= told["label_counts"]
    got |= rows["label"].value_counts().to_dict()
    return [
        Note(f"{manifest.corpus}: expected {n} {what}, got {got.get(what, 0)}")
        for what, n in expected.items()
        if n is not None and got.get(what, 0) != n
    ]


def _gone(before: Manifest, names: set[str]) -> list[Note]:
    gone = tuple(name for name in before.rows["id"] if name not in names)
    if not gone:
        return []
    what = f"{len(gone)} utterances that were in the manifest are no longer there"
    return [Note(f"{what}; their features stay in the cache", gone)]
