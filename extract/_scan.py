"""Make the manifest of a corpus: who reads it, its ids, its rows, what is odd."""

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from contracts.errors import ManifestError, listing
from contracts.manifest import Leftover, Manifest, Utterance, card, complete
from contracts.variant import Variant
from extract import _variants
from extract._hearing import HEARD, hear_all
from extract._oddities import Note, gone, odd, unexpected
from extract._recognising import plugin_for

_NO_TEXT = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff]")  # Unicode's Cc and Cs


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


def scan(
    corpus: str,
    root: Path,
    before: Manifest | None = None,
    limit: int | None = None,
    held: Container[str] = (),
    near: Path | None = None,
    variants: Sequence[Variant] = (),
) -> Scan:
    """List the utterances of a corpus and listen to those not heard before.

    Args:
        corpus: name in the cache; a plug-in's, or any name for what an importer reads
        root: folder of the corpus, or its table
        before: the manifest there was
        limit: take only so many utterances, spread over the corpus by a hash of their
            ids, so that a larger limit holds a smaller one
        held: waveforms that the cache has features of: a limit leaves them in
        near: an existing folder to decode long files into
        variants: to be made of every utterance; those there were stay

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
    frame = hear_all(corpus, chosen, known, near)
    describe = getattr(plugin, "describe", lambda _: plugin.CORPUS)
    told = card(
        describe(root),
        plugin=plugin.__name__,
        root=str(root.resolve()),
        limited=[len(chosen), len(named)] if len(chosen) < len(named) else None,
    )
    frame, doubled = _without_doubles(frame, [u for _, u in chosen])
    leftovers += unnamed + doubled
    notes = _remarks(chosen) + odd(frame) + unexpected(Manifest(corpus, frame, told))
    if before is not None:
        notes += gone(before, {n for n, _ in named})
    if not len(frame) and not any(x.fault for x in leftovers):
        like = listing(list(plugin.EXAMPLES)[:1])
        how = f"names its files like {like}" if like else "is told by lists beside it"
        msg = f"{root} holds no utterance of {corpus}: {plugin.CORPUS.title} {how}"
        raise ManifestError(msg)
    made, lost = _variants.attach(frame, before, variants)
    manifest = Manifest(corpus, complete(pd.concat([frame, made])), told)
    return Scan(manifest, leftovers, notes + lost)


def _remarks(chosen: Sequence[tuple[str, Utterance]]) -> list[Note]:
    """Gather what the corpus remarks, each remark with all that it is about."""
    names = defaultdict(list)
    for name, utterance in chosen:
        if utterance.remark:
            names[utterance.remark].append(name)
    return [Note(what, tuple(about)) for what, about in names.items()]


def _named(
    corpus: str, root: Path, utterances: Sequence[Utterance]
) -> tuple[list[tuple[str, Utterance]], list[Leftover]]:
    """Give each utterance its id; leave out those that cannot have one of their own."""
    named: dict[str, Utterance] = {}
    left = []
    folder = os.path.abspath(root if root.is_dir() else root.parent)  # noqa: PTH100
    for utterance in utterances:
        name = _identity(corpus, folder, utterance)
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
    return _NO_TEXT.search(name) is None


def _identity(corpus: str, folder: str, utterance: Utterance) -> str:
    """Name an utterance the same on every machine."""
    path = os.path.abspath(utterance.path)  # noqa: PTH100
    # a table may point anywhere; links stay as they are, so that ids do
    if os.sep == "/" and path.startswith(f"{folder}/"):  # quicker than relpath
        name = f"{corpus}/{path[len(folder) + 1 :]}"
    else:
        name = f"{corpus}/{Path(os.path.relpath(path, folder)).as_posix()}"
    if utterance.start is None and utterance.end is None:
        return name
    end = "" if utterance.end is None else repr(float(utterance.end))
    return f"{name}#{float(utterance.start or 0)!r}-{end}"


def _known(before: Manifest) -> dict[str, dict[str, Any]]:
    """Return id -> what was heard, for files that could be decoded."""
    rows = before.rows[before.rows["variant"] == ""]
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


def _without_doubles(
    frame: pd.DataFrame, utterances: Sequence[Utterance]
) -> tuple[pd.DataFrame, list[Leftover]]:
    """Leave out second files of one published name; say which, and whether alike."""
    first: dict[str, int] = {}
    left = []
    told = {name: list(frame[name]) for name in ("problem", "waveform", "id")}
    for i, utterance in enumerate(utterances):
        if utterance.name is None or told["problem"][i]:
            continue
        j = first.setdefault(utterance.name, i)
        if i == j:
            continue
        alike = told["waveform"][i] == told["waveform"][j]
        other = told["id"][j]
        reason = f"a copy of {other}" if alike else f"same name as {other}, other audio"
        left.append((i, Leftover(utterance.path, reason, fault=not alike)))
    kept = frame.drop(index=[i for i, _ in left]).reset_index(drop=True)
    return kept, [x for _, x in left]
