"""Metrics of one set of predictions, always over the whole label list.

UAR (unweighted average recall, papers also write UA) is the mean recall of the
classes, WAR (weighted average recall, WA) is accuracy, F1 is the unweighted mean over
classes. A class with no utterance in the truth has no recall: it is left out of UAR,
as a recall of nothing does not exist, and counts as F1 0 when it was predicted or
listed, as scikit-learn does with ``zero_division=0``. Precision is likewise 0 for a
class that is never predicted, and its mean is over the whole label list.

Wherever probabilities are ordered, of equal ones the first class in the label list
goes first. Top-2 accuracy follows that rule at its edge too: of classes that tie for
the second place the first in the list has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts import variant
from contracts.manifest import votes
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

    @property
    def mean_precision(self) -> float:
        """Mean precision over the whole label list."""
        return float(self.precision.mean())

    def headline(self) -> dict[str, float]:
        """Return ``uar``, ``war`` and ``f1``."""
        return {"uar": self.uar, "war": self.war, "f1": self.f1}


@dataclass(frozen=True)
class Answers:
    """What a run was asked and what it answered; variants are not in it.

    Attributes:
        labels: the label list
        truth: ``(utterance,)`` positions in the label list, -1 for no label
        probabilities: ``(utterance, class)``
        speakers: ``(utterance,)``, ``""`` for unknown
        votes: annotators' shares ``(utterance, class)``, rows of zeros where an
            utterance has none; None where the run knows of no votes
        mask: which prediction rows of the run these are ``(row,)``
    """

    labels: tuple[str, ...]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    speakers: NDArray[np.object_]
    votes: NDArray[np.float64] | None
    mask: NDArray[np.bool_]


def answers(run: Run) -> Answers:
    """Read the prediction rows of a run as arrays, folds one after the other.

    Rows without probabilities, of a head that says traits alone, are not in it.
    """
    said = np.isfinite(run.probabilities).all(axis=1)
    chosen = (run.predictions["variant"] == "").to_numpy() & said
    rows = run.predictions[chosen]
    shares = votes(rows)
    if shares is not None:
        shares = shares.reindex(columns=list(run.classes), fill_value=0.0)
    return Answers(
        run.classes,
        label_codes(rows["label"].to_numpy(object), run.classes),
        run.probabilities[chosen],
        rows["speaker"].to_numpy(object),
        None if shares is None else shares.to_numpy(np.float64),
        chosen,
    )


def label_codes(
    truth: Sequence[str] | NDArray[np.object_], labels: Sequence[str]
) -> NDArray[np.int64]:
    """Return positions in the label list ``(utterance,)``, -1 for what is not in it."""
    codes = {label: i for i, label in enumerate(labels)}
    return np.array([codes.get(t, -1) for t in truth], np.int64)


def answered(run: Run) -> pd.DataFrame:
    """Return the prediction rows that can be scored, variants among them.

    ``truth`` and ``guess`` are positions in the label list, of equal ones the first.
    """
    truth = label_codes(run.predictions["label"].to_numpy(object), run.classes)
    guess = run.probabilities.argmax(axis=1)
    rows = run.predictions.assign(truth=truth, guess=guess)
    return rows[(truth >= 0) & np.isfinite(run.probabilities).all(axis=1)]


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
    """Score probabilities against labels; utterances without either do not count.

    Args:
        truth: labels ``(utterance,)``, ``""`` for none
        probabilities: ``(utterance, class)``; of equal ones the first class is taken;
            NaN where a head says traits alone
        labels: the classes, in the order of the columns
    """
    codes, told = label_codes(truth, labels), np.asarray(probabilities)
    known = (codes >= 0) & np.isfinite(told).all(axis=1)
    true = codes[known]
    guess = told[known].argmax(axis=1) if known.any() else true
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (true, guess), 1)
    return Scores(tuple(labels), confusion)


def classes_before(
    truth: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Count the classes that go before the right one ``(utterance,)``.

    Args:
        truth: positions of the right classes ``(utterance,)``
        probabilities: ``(utterance, class)``; of equal ones the first class goes first
    """
    of_truth = np.take_along_axis(probabilities, truth[:, None], axis=1)
    earlier = np.arange(probabilities.shape[1]) < truth[:, None]
    before = (probabilities > of_truth) | ((probabilities == of_truth) & earlier)
    return np.asarray(before.sum(axis=1), np.int64)


def top_k(
    truth: NDArray[np.int64], probabilities: NDArray[np.float64], k: int = 2
) -> NDArray[np.float64]:
    """Return 1.0 where the right class is among the k likeliest, else 0.0.

    The mean is top-k accuracy. scikit-learn's ``top_k_accuracy_score`` is the same but
    lets the last of equal classes go first; the two agree where nothing ties, or on
    turned columns.

    Args:
        truth: positions in the label list ``(utterance,)``, -1 for no label
        probabilities: ``(utterance, class)``
        k: how many classes may be named

    Returns:
        ``(utterance,)``, NaN where there is no label
    """
    among = classes_before(truth, probabilities) < k
    return np.where(truth >= 0, among, np.nan)


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
