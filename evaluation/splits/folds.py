"""A fold: train, dev and test, which cannot be built so that they leak."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts import variant
from contracts.errors import ManifestError, listing
from contracts.view import View

PARTS = ("train", "dev", "test")


@dataclass(frozen=True)
class Fold:
    """One partition of a view into train, dev and test.

    No speaker, waveform or source stands in two parts, and train and test are not
    empty: otherwise it cannot be built, but by a protocol that declares by name what
    it breaks. Augmented variants stand in train and degraded ones in test, beside their
    sources, and nowhere else: no protocol can break that.

    Attributes:
        index: number of the fold, from 0
        name: what is special about its test part
        view: the utterances that are partitioned
        train: positions in ``view``, ``(utterance,)``
        dev: positions in ``view``; may be empty
        test: positions in ``view``
        breaks: which of ``speaker``, ``waveform``, ``source`` may stand in two parts

    Raises:
        ManifestError: if a part that must not be is empty, or parts share something;
            the message names what
    """

    index: int
    name: str
    view: View
    train: NDArray[np.int64]
    dev: NDArray[np.int64]
    test: NDArray[np.int64]
    breaks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a fold that leaks."""
        for part in ("train", "test"):
            if not len(getattr(self, part)):
                msg = (
                    f"fold {self.index} ({self.name}) has no {part} utterances. Choose "
                    "other folds with --folds, or another protocol: "
                    "python pipeline.py list protocols"
                )
                raise ManifestError(msg)
        rows = [getattr(self, part) for part in PARTS]
        used = np.concatenate(rows)
        if len(np.unique(used)) != len(used):
            msg = f"fold {self.index} ({self.name}): an utterance is in two parts"
            raise ManifestError(msg)
        self._refuse_shared(rows)
        self._refuse_strays()

    def _refuse_shared(self, rows: Sequence[NDArray[np.int64]]) -> None:
        frame = self.view.manifest
        origin = frame["source"].where(frame["source"] != "", frame["id"])
        for what, values in (
            ("speaker", frame["speaker"]),
            ("waveform", frame["waveform"]),
            ("source", origin),
        ):
            if what in self.breaks:
                continue
            told = pd.Series(values.to_numpy(object))
            held = [set(told.iloc[r]) for r in rows]
            shared = (held[0] & held[1]) | (held[0] & held[2]) | (held[1] & held[2])
            if shared:
                self._refuse(what, told, shared)

    def _refuse_strays(self) -> None:
        """Refuse variants in a part that is not theirs, or without their source."""
        frame = self.view.manifest
        role = variant.roles(frame)
        if not (role != "").any():
            return
        part = np.full(len(frame), "", object)
        for name in PARTS:
            part[getattr(self, name)] = name
        allowed = pd.Series(role).map(variant.PARTS).to_numpy(object)
        with_source = dict(zip(frame["id"], part, strict=True))
        source = frame["source"].map(with_source).fillna("").to_numpy(object)
        used = (role != "") & (part != "")
        bad = used & ((part != allowed) | (source != allowed))
        if bad.any():
            told = zip(frame["id"][bad], part[bad], allowed[bad], strict=True)
            named = listing(f"{i} (in {p}, expected in {a})" for i, p, a in told)
            msg = (
                f"fold {self.index} ({self.name}): augmented variants may stand in "
                "train alone and degraded ones in test alone, beside their sources, "
                f"but not these: {named}"
            )
            raise ManifestError(msg)

    def _refuse(self, what: str, values: "pd.Series[Any]", shared: set[str]) -> None:
        frame = self.view.manifest
        if what == "speaker":
            named = listing(sorted(repr(s) for s in shared))
            mend = (
                "Choose another protocol with --protocol, such as speakers-5fold, or "
                "mend the speakers or the split column of the corpus"
            )
        else:
            rows = frame[values.isin(shared).to_numpy()]
            told = zip(rows["id"], rows["speaker"], strict=True)
            named = listing(f"{i} (speaker {s or 'unknown'})" for i, s in told)
            mend = "Keep the first of each with --drop-duplicates, or mend the corpus"
        msg = (
            f"fold {self.index} ({self.name}): parts must not share a {what}, but "
            f"these stand in two: {named}. {mend}"
        )
        raise ManifestError(msg)

    def part(self, name: str) -> View:
        """Return ``train``, ``dev`` or ``test`` as a view."""
        return self.view.take(getattr(self, name))

    @property
    def refit(self) -> View:
        """Train and dev together, in the order of the view."""
        return self.view.take(np.sort(np.concatenate([self.train, self.dev])))

    @property
    def facts(self) -> dict[str, Any]:
        """Say who is in which part, for the run record."""
        out: dict[str, Any] = {"index": self.index, "name": self.name}
        original = variant.roles(self.view.manifest) == ""
        used = 0
        for part in PARTS:
            rows = getattr(self, part)
            out[f"{part}_speakers"] = sorted(set(self.view.speakers[rows]))
            out[f"n_{part}"] = int(original[rows].sum())
            used += out[f"n_{part}"]
            if made := len(rows) - out[f"n_{part}"]:
                out[f"n_{part}_variants"] = made
        return out | {"n_unused": int(original.sum()) - used}


def table(folds: Sequence[Fold]) -> pd.DataFrame:
    """List each utterance of each fold: ``fold``, ``name``, ``part``, ``id``."""
    frames = []
    for fold in folds:
        part = np.full(len(fold.view), "unused", object)
        for name in PARTS:
            part[getattr(fold, name)] = name
        told = fold.view.manifest[["id", "speaker", "label"]]
        frames.append(told.assign(fold=fold.index, name=fold.name, part=part))
    order = ["fold", "name", "part", "id", "speaker", "label"]
    return pd.concat(frames, ignore_index=True)[order]


def folds_hash(folds: Sequence[Fold]) -> str:
    """Sha256 in hex over who is in which part of which fold."""
    told = [
        [f.index, *(sorted(f.view.ids[getattr(f, part)]) for part in PARTS)]
        for f in folds
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
