"""Label maps: which labels of a corpus become which, and which are dropped.

A map is a TOML file in ``corpora/labels/`` and its name is the file's name::

    title = "calm merged into neutral"
    labels = ["neutral", "happy"]  # in order
    drop = ["surprised"]  # said and counted, never silent
    original = ["neutral", "calm", ...]  # order for probabilities in original labels
    threshold = 0.05  # shares of votes below it become 0; without, none does
    from_votes = true  # utterances without a label take the one most voted for
    [merge]
    calm = "neutral"

A label that the map neither keeps, merges nor drops is an error; one that a corpus
does not have may be named. ``identity`` is no file: it keeps the labels a corpus has,
in the corpus' order.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts import _label_file
from contracts.errors import ManifestError, listing
from contracts.manifest import VOTE, votes
from contracts.plugins import refuse_unknown

FOLDER = Path(__file__).resolve().parent.parent / "corpora" / "labels"
IDENTITY = "identity"


@dataclass(frozen=True)
class LabelMap:
    """A named map from a corpus' labels to contiguous classes.

    Attributes:
        labels: the classes, in order
        merge: original label -> class
        drop: original labels that become nothing
        original: original labels in order; a merged one holds probability 0
        from_votes: an utterance without a label takes the one most voted for; without
            this, only in corpora that have no labels but votes
        threshold: shares of votes below it, merged, become 0 before the rest sums to
            1 again; an utterance that loses all its votes so is dropped and counted
    """

    name: str
    title: str
    labels: tuple[str, ...]
    merge: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    original: tuple[str, ...] = ()
    threshold: float = 0.0
    from_votes: bool = False

    @property
    def hash(self) -> str:
        """Sha256 in hex over what the map does."""
        facts: list[Any] = [self.labels, sorted(self.merge.items()), sorted(self.drop)]
        if self.threshold:  # without one, a map keeps the hash that it always had
            facts.append(self.threshold)
        if self.from_votes:
            facts.append("from votes")
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def unknown(self, labels: Iterable[str]) -> list[str]:
        """Return the labels that the map neither keeps, merges nor drops, sorted."""
        return sorted(set(labels) - {*self.labels, *self.merge, *self.drop})

    def apply(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """Map the labels and votes of manifest rows.

        An utterance without a label takes the one that most annotators voted for, if
        there is a single one, where the map says ``from_votes`` or its corpus has no
        labels but votes.

        Returns:
            the rows that have a label then, and the classes

        Raises:
            ManifestError: if rows hold labels that the map does not know
        """
        found = labels_of(rows)
        if unknown := self.unknown(found):
            msg = (
                f"label map {self.name!r} does not know {listing(unknown)}: it keeps "
                f"{listing(self.labels)}, merges {listing(self.merge) or 'nothing'}, "
                f"drops {listing(self.drop) or 'nothing'}. {choice(found)}"
            )
            raise ManifestError(msg)
        mapped = rows["label"].replace({**self.merge, **dict.fromkeys(self.drop, "")})
        out = rows
        if (voted := votes(rows)) is not None:
            shares = self._merged(voted)
            kept = _whole(shares[list(self.labels)])
            out = out.drop(columns=[c for c in rows if c.startswith(VOTE)])
            out = out.assign(**{f"{VOTE}{c}": kept[c] for c in self.labels})
            mapped = mapped.where(~self._voted(rows), self._most(shares))
            if self.threshold:
                mapped = mapped.where(~self.voteless(rows), "")
        out = out.assign(label=mapped)
        return out[mapped != ""].reset_index(drop=True), self.labels

    def _voted(self, rows: pd.DataFrame) -> "pd.Series[bool]":
        """Return ``(utterance,)``: True where the votes are to give the label.

        In a corpus that has labels, one without means that nobody could agree.
        """
        unlabelled = rows["label"] == ""
        if self.from_votes:
            return unlabelled
        return unlabelled & unlabelled.groupby(rows["corpus"]).transform("all")

    def _merged(self, shares: pd.DataFrame) -> pd.DataFrame:
        """Sum the shares of merged labels and forget those below the threshold.

        Dropped labels stand behind the classes; the map knows every label voted for.
        """
        order = list(dict.fromkeys([*self.labels, *self.drop]))
        out = pd.DataFrame(0.0, index=shares.index, columns=order)
        for label in shares:
            if shares[label].any():
                out[self.merge.get(str(label), str(label))] += shares[label]
        return out.where(out >= self.threshold, 0.0)

    def _most(self, merged: pd.DataFrame) -> "pd.Series[str]":
        """Return the label most voted for, ``""`` for a tie or a dropped label."""
        most = merged.max(axis=1)
        single = (merged.eq(most, axis=0).sum(axis=1) == 1) & (most > 0)
        winner = merged.idxmax(axis=1)
        return winner.where(single & winner.isin(self.labels), "")

    def voteless(self, rows: pd.DataFrame) -> "pd.Series[bool]":
        """Return ``(utterance,)``: True where there are votes and the map leaves none.

        All votes were for dropped labels, or were below the threshold.
        """
        shares = votes(rows)
        if shares is None:
            return pd.Series(False, index=rows.index)
        left = self._merged(shares)[list(self.labels)].gt(0).any(axis=1)
        return shares.gt(0).any(axis=1) & ~left

    def to_original(
        self, probabilities: NDArray[np.float64]
    ) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Write probabilities ``(utterance, class)`` in the original label order.

        Returns:
            the original labels, and ``(utterance, original label)``; a merged label
            holds 0, its class' label holds the probability of both
        """
        order = self.original or self.labels
        out = np.zeros((len(probabilities), len(order)))
        for i, label in enumerate(self.labels):
            out[:, order.index(label)] = probabilities[:, i]
        return order, out

    def counts(self, rows: pd.DataFrame) -> dict[str, Any]:
        """Count labels before and after, for people and for the run record.

        Where there are several corpora, ``corpora`` says the same for each of them.
        """
        kept, found = self.apply(rows)[0], labels_of(rows)
        told = {
            "name": self.name,
            "hash": self.hash,
            "labels": list(self.labels),
            "original": list(self.original or self.labels),
            "merge": {k: v for k, v in self.merge.items() if k in found},
            **self._counted(rows, kept),
        }
        if self.threshold:
            told["threshold"] = self.threshold
        if self.from_votes:
            told["from_votes"] = True
        corpora = sorted(set(rows["corpus"]))
        if len(corpora) > 1:
            told["corpora"] = {
                c: self._counted(rows[rows["corpus"] == c], kept[kept["corpus"] == c])
                for c in corpora
            }
        return told

    def _counted(self, rows: pd.DataFrame, kept: pd.DataFrame) -> dict[str, Any]:
        """Count labels of rows, and of what is kept of them."""
        before, after = rows["label"].value_counts(), kept["label"].value_counts()
        voted = int(kept["id"].isin(rows["id"][rows["label"] == ""]).sum())
        drop = {k: int(before.get(k, 0)) for k in self.drop if k in before}
        none = int(before.get("", 0))
        told = {
            "drop": drop,
            "from_votes": voted,
            "unlabelled": none - voted,
            "before": {str(k): int(v) for k, v in before.items() if k},
            "after": {k: int(after.get(k, 0)) for k in self.labels},
        }
        lost = len(rows) - none - sum(drop.values()) - (len(kept) - voted)
        return told | ({"voteless": lost} if lost else {})

    def to_toml(self) -> str:
        """Write the map as the file it may be saved in."""
        return _label_file.text(vars(self))


def _whole(shares: pd.DataFrame) -> pd.DataFrame:
    """Make rows sum to 1 again; a row without any vote left holds zeros."""
    total = shares.sum(axis=1)
    return shares.div(total.where(total > 0, 1.0), axis=0)


def labels_of(rows: pd.DataFrame) -> set[str]:
    """Return the labels that manifest rows have or vote for."""
    voted = votes(rows)
    named = voted.columns[voted.gt(0).any()] if voted is not None else ()
    return {*rows["label"].unique(), *map(str, named)} - {""}


def names() -> list[str]:
    """List the label maps that have a file, and ``identity``."""
    return sorted([*(path.stem for path in FOLDER.glob("*.toml")), IDENTITY])


def load(name: str) -> LabelMap:
    """Read one label map; ``identity`` must be made with ``identity(...)``.

    Raises:
        PluginError: if there is no such map; the message lists those there are
        ManifestError: if its file is not that of a map
    """
    refuse_unknown("labels", [name], names())
    told = _label_file.read(FOLDER / f"{name}.toml")
    return LabelMap(
        name=name,
        title=told["title"],
        labels=tuple(told["labels"]),
        merge=told.get("merge", {}),
        drop=tuple(told.get("drop", ())),
        original=tuple(told.get("original", told["labels"])),
        threshold=float(told.get("threshold", 0.0)),
        from_votes=bool(told.get("from_votes", False)),
    )


def choice(labels: Iterable[str]) -> str:
    """Say which maps know all of these labels, as what to do next."""
    wanted = set(labels)
    maps = [n for n in names() if n != IDENTITY and not load(n).unknown(wanted)]
    if maps:
        return f"Choose one that knows all labels, --labels MAP: {listing(maps)}"
    return (
        f"No map knows all labels ({listing(sorted(wanted))}): write one, "
        "corpora/labels/NAME.toml, and choose it with --labels NAME"
    )


def identity(rows: pd.DataFrame, order: Sequence[str] = ()) -> LabelMap:
    """Keep the labels that rows have: those of ``order`` first, others sorted."""
    found = labels_of(rows)
    labels = [label for label in dict.fromkeys(order) if label in found]
    labels += sorted(found - set(labels))
    return LabelMap(IDENTITY, "the labels as the corpus has them", tuple(labels))
