"""Metrics of one set of predictions, always over the whole label list.

UAR (unweighted average recall, papers also write UA) is the mean recall of the
classes, WAR (weighted average recall, WA) is accuracy, F1 is the unweighted mean over
classes. A class with no utterance in the truth has no recall: it is left out of UAR,
as a recall of nothing does not exist, and counts as F1 0 when it was predicted or
listed, as scikit-learn does with ``zero_division=0``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts import variant
from contracts.run import Run


@dataclass(frozen=True)
class Scores:
    """Metrics of one set of predictions.

    Attributes:
        labels: the label list
        confusion: ``(truth, prediction)`` counts
    """

    labels: tuple[str, ...]
    confusion: NDArray[np.int64]

    @property
    def support(self) -> NDArray[np.int64]:
        """Utterances per class ``(class,)``."""
        return np.asarray(self.confusion.sum(axis=1), np.int64)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Recall per class ``(class,)``, NaN where a class has no utterance."""
        return _ratio(np.diag(self.confusion), self.support, float("nan"))

    @property
    def precision(self) -> NDArray[np.float64]:
        """Precision per class ``(class,)``, 0 where a class is never predicted."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=0), 0.0)

    @property
    def f1_per_class(self) -> NDArray[np.float64]:
        """F1 per class ``(class,)``, 0 where it is not defined."""
        both = self.support + self.confusion.sum(axis=0)
        return _ratio(2 * np.diag(self.confusion), both, 0.0)

    @property
    def n(self) -> int:
        """Number of utterances."""
        return int(self.confusion.sum())

    @property
    def uar(self) -> float:
        """Mean recall of the classes that have utterances; NaN if none has."""
        recall = self.recall[self.support > 0]
        return float(recall.mean()) if recall.size else float("nan")

    @property
    def war(self) -> float:
        """Accuracy; NaN without utterances."""
        return float(np.trace(self.confusion) / self.n) if self.n else float("nan")

    @property
    def f1(self) -> float:
        """Mean F1 over the whole label list."""
        return float(self.f1_per_class.mean())

    def headline(self) -> dict[str, float]:
        """Return ``uar``, ``war`` and ``f1``."""
        return {"uar": self.uar, "war": self.war, "f1": self.f1}


def _ratio(
    above: NDArray[np.int64], below: NDArray[np.int64], empty: float
) -> NDArray[np.float64]:
    out = np.full(len(above), empty)
    np.divide(above, below, out=out, where=below > 0)
    return out


def score(
    truth: Sequence[str] | NDArray[np.object_],
    probabilities: NDArray[np.float64],
    labels: Sequence[str],
) -> Scores:
    """Score probabilities against labels; utterances without a label do not count.

    Args:
        truth: labels ``(utterance,)``, ``""`` for none
        probabilities: ``(utterance, class)``; of equal ones the first class is taken
        labels: the classes, in the order of the columns
    """
    codes = {label: i for i, label in enumerate(labels)}
    known = np.array([t in codes for t in truth], bool)
    true = np.array([codes[t] for t in np.asarray(truth, object)[known]], np.int64)
    guess = np.asarray(probabilities)[known].argmax(axis=1) if known.any() else true
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (true, guess), 1)
    return Scores(tuple(labels), confusion)


def score_run(run: Run, mask: NDArray[np.bool_] | None = None) -> Scores:
    """Score a run from its prediction rows, folds pooled; variants do not count.

    Args:
        run: a finished run
        mask: which prediction rows to score, e.g. one fold's or one speaker's
    """
    rows = run.predictions
    chosen = (rows["variant"] == "").to_numpy()
    if mask is not None:
        chosen = chosen & mask
    truth = rows["label"].to_numpy(object)[chosen]
    return score(truth, run.probabilities[chosen], run.classes)


def per_group(run: Run, column: str) -> dict[str, Scores]:
    """Score a run for each value of a prediction column, ``fold`` say."""
    values = run.predictions[column].to_numpy()
    groups = sorted({v for v in values.tolist() if v != ""})
    return {str(g): score_run(run, values == g) for g in groups}


def per_variant(run: Run) -> dict[str, Scores]:
    """Score a run on each kind of degraded variant of its test utterances."""
    rows = run.predictions
    kinds = variant.names(rows)
    out = {}
    for kind in sorted({k for k in kinds if k}):
        chosen = kinds == kind
        truth = rows["label"].to_numpy(object)[chosen]
        out[str(kind)] = score(truth, run.probabilities[chosen], run.classes)
    return out
