"""Label maps: which labels of a corpus become which, and which are dropped.

A map is a TOML file in ``corpora/labels/`` and its name is the file's name::

    title = "calm merged into neutral"
    labels = ["neutral", "happy"]  # in order
    drop = ["surprised"]  # said and counted, never silent
    original = ["neutral", "calm", ...]  # order for probabilities in original labels
    [merge]
    calm = "neutral"

A label that the map neither keeps, merges nor drops is an error. ``identity`` is no
file: it keeps the labels a corpus has, in the corpus' order.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
    """

    name: str
    title: str
    labels: tuple[str, ...]
    merge: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    original: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """Sha256 in hex over what the map does."""
        facts = [self.labels, sorted(self.merge.items()), sorted(self.drop)]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def apply(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """Map the labels and votes of manifest rows.

        An utterance without a label takes the one that most annotators voted for,
        if there is a single one.

        Returns:
            the rows that have a label then, and the classes

        Raises:
            ManifestError: if rows hold labels that the map does not know
        """
        known = {*self.labels, *self.merge, *self.drop}
        voted = votes(rows)
        found = {*rows["label"].unique(), *(voted.columns if voted is not None else ())}
        if unknown := sorted(found - known - {""}):
            msg = (
                f"label map {self.name!r} does not know {listing(unknown)}: it keeps "
                f"{listing(self.labels)}, merges {listing(self.merge) or 'nothing'}, "
                f"drops {listing(self.drop) or 'nothing'}. Choose another with "
                "--labels MAP: python pipeline.py list labels"
            )
            raise ManifestError(msg)
        mapped = rows["label"].replace({**self.merge, **dict.fromkeys(self.drop, "")})
        out = rows
        if voted is not None:
            shares = self._votes(voted)
            out = out.drop(columns=[c for c in rows if c.startswith(VOTE)])
            out = out.assign(**{f"{VOTE}{c}": shares[c] for c in self.labels})
            mapped = mapped.where(rows["label"] != "", self._voted(voted))
        out = out.assign(label=mapped)
        return out[mapped != ""].reset_index(drop=True), self.labels

    def _merged(self, shares: pd.DataFrame) -> pd.DataFrame:
        """Sum the shares of merged labels; dropped ones stand behind the classes."""
        order = list(dict.fromkeys([*self.labels, *self.drop]))
        out = pd.DataFrame(0.0, index=shares.index, columns=order)
        for label in shares:
            out[self.merge.get(str(label), str(label))] += shares[label]
        return out

    def _votes(self, shares: pd.DataFrame) -> pd.DataFrame:
        """Forget dropped labels and make rows sum to 1 again.

        A row whose votes were all for dropped labels holds zeros.
        """
        out = self._merged(shares)[list(self.labels)]
        total = out.sum(axis=1)
        return out.div(total.where(total > 0, 1.0), axis=0)

    def _voted(self, shares: pd.DataFrame) -> "pd.Series[str]":
        """Return the label most voted for, ``""`` for a tie or a dropped label."""
        merged = self._merged(shares)
        most = merged.max(axis=1)
        single = (merged.eq(most, axis=0).sum(axis=1) == 1) & (most > 0)
        winner = merged.idxmax(axis=1)
        return winner.where(single & winner.isin(self.labels), "")

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
        """Count labels before and after, for people and for the run record."""
        before = rows["label"].value_counts()
        kept = self.apply(rows)[0]
        after = kept["label"].value_counts()
        voted = kept["id"].isin(rows["id"][rows["label"] == ""]).sum()
        return {
            "name": self.name,
            "hash": self.hash,
            "labels": list(self.labels),
            "original": list(self.original or self.labels),
            "merge": {k: v for k, v in self.merge.items() if k in before},
            "drop": {k: int(before.get(k, 0)) for k in self.drop if k in before},
            "from_votes": int(voted),
            "unlabelled": int(before.get("", 0) - voted),
            "before": {str(k): int(v) for k, v in before.items() if k},
            "after": {k: int(after.get(k, 0)) for k in self.labels},
        }


def names() -> list[str]:
    """List the label maps that have a file, and ``identity``."""
    return sorted([*(path.stem for path in FOLDER.glob("*.toml")), IDENTITY])


def load(name: str) -> LabelMap:
    """Read one label map; ``identity`` must be made with ``identity(...)``.

    Raises:
        PluginError: if there is no such map; the message lists those there are
    """
    refuse_unknown("labels", [name], names())
    told = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    return LabelMap(
        name=name,
        title=told["title"],
        labels=tuple(told["labels"]),
        merge=told.get("merge", {}),
        drop=tuple(told.get("drop", ())),
        original=tuple(told.get("original", told["labels"])),
    )


def identity(rows: pd.DataFrame, order: Sequence[str] = ()) -> LabelMap:
    """Keep the labels that rows have: those of ``order`` first, others sorted."""
    voted = votes(rows)
    found = {*rows["label"].unique(), *(voted.columns if voted is not None else ())}
    found.discard("")
    labels = [label for label in dict.fromkeys(order) if label in found]
    labels += sorted(found - set(labels))
    return LabelMap(IDENTITY, "the labels as the corpus has them", tuple(labels))
