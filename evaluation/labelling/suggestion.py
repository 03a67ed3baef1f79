"""Which labels a head takes for each other, and which merges that suggests.

Everything rests on the training speakers of each fold: they are parted once more by
speaker, each part is predicted by a head fitted on the others, and those predictions
are counted. No utterance of a fold's test part is fitted or predicted in that fold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import RunError
from contracts.labels import LabelMap
from contracts.terminal import progress
from evaluation.measures.metrics import Scores, score
from evaluation.question import Question
from evaluation.settings import needs_dev
from evaluation.splits.inner import parts
from evaluation.splits.protocols import in_order


@dataclass(frozen=True)
class Merge:
    """Two classes made one.

    Attributes:
        gone: the rarer one
        into: the one that keeps its name
        confused: mean of the two shares of one class that are taken for the other
        uar: after the merge, of the same predictions
        chance: UAR of a guess, one over the number of classes
        lost: bits per utterance that the labels tell less than before
        heard: how many of these bits the predictions told
        folds: number of folds in which these two are the most confused ones
    """

    gone: str
    into: str
    confused: float
    uar: float
    chance: float
    lost: float
    heard: float
    folds: int = 0


def development(question: Question, head: Any) -> list[Scores]:
    """Predict the training speakers of each fold, each by a head that lacks them.

    Args:
        question: utterances and folds
        head: unfitted estimator

    Returns:
        one confusion per fold; degraded variants are not counted

    Raises:
        RunError: if the head chooses by development speakers, or a fold has one
            training speaker only
    """
    from sklearn.base import clone

    if needs_dev(head):
        msg = (
            f"{head.name} stops by its development speakers, so it has none left to "
            "show confusions on: expected a head that is fitted without, such as "
            "--model logistic_regression"
        )
        raise RunError(msg)
    out = []
    with progress("development confusions", len(question.folds), "folds") as advance:
        for fold in question.folds:
            classes = fold.view.classes
            counted = np.zeros((len(classes), len(classes)), np.int64)
            for inner in parts(fold):
                fitted = clone(head).fit(inner.part("train"), None)
                held = inner.part("test")
                told = fitted.predict_proba(held)
                counted += score(held.labels, told, classes).confusion
            out.append(Scores(classes, counted))
            advance(1)
    return out


def unseen(question: Question) -> list[str]:
    """List the speakers that train in none of the folds: their labels play no part."""
    seen = set[str]().union(*(set(fold.refit.speakers) for fold in question.folds))
    return in_order(set(question.view.speakers) - seen)


def pooled(scores: Sequence[Scores]) -> Scores:
    """Add the confusions of folds."""
    total = np.sum([s.confusion for s in scores], axis=0)
    return Scores(scores[0].labels, total)


def rank(scores: Scores, folds: Sequence[Scores] = ()) -> list[Merge]:
    """List every pair of classes, the most confused first.

    Args:
        scores: confusions of all folds
        folds: those of each fold, to count in how many a pair comes first
    """
    first = [_order(one)[0] for one in folds]
    heard = _heard(scores.confusion)
    out = []
    for i, j, confused in _order(scores):
        into, gone = _larger_first(scores, i, j)
        after = merged(scores, into, gone)
        out.append(
            Merge(
                scores.labels[gone],
                scores.labels[into],
                confused,
                after.uar,
                1 / len(after.labels),
                _entropy(scores.support) - _entropy(after.support),
                heard - _heard(after.confusion),
                sum((i, j) == pair[:2] for pair in first),
            )
        )
    return out


def _order(
    scores: Scores, sizes: Sequence[int] | None = None
) -> list[tuple[int, int, float]]:
    """Return pairs of positions with their confusion, the largest first.

    Args:
        scores: confusions
        sizes: of how many classes each class was made ``(class,)``; None: of one. A
            class made of several is taken for others so many times as easily, and
            would swallow all of them in turn
    """
    n = len(scores.labels)
    share = scores.confusion / np.maximum(scores.support, 1)[:, None]
    share /= np.ones(n) if sizes is None else np.asarray(sizes)
    pairs = [
        (i, j, float(share[i, j] + share[j, i]) / 2)
        for i in range(n)
        for j in range(i + 1, n)
    ]
    return sorted(pairs, key=lambda pair: -pair[2])


def merged(scores: Scores, into: int, gone: int) -> Scores:
    """Make two classes of a confusion one; nothing is fitted again."""
    counted = scores.confusion.copy()
    counted[into] += counted[gone]
    counted[:, into] += counted[:, gone]
    rest = [i for i in range(len(scores.labels)) if i != gone]
    return Scores(tuple(scores.labels[i] for i in rest), counted[np.ix_(rest, rest)])


def propose(scores: Scores, n_classes: int) -> dict[str, str]:
    """Merge the two most confused classes again and again.

    Args:
        scores: confusions of all folds
        n_classes: how many classes to end with

    Returns:
        class -> class it goes into; fewer than asked for once nothing is confused
    """
    merge: dict[str, str] = {}
    sizes = [1] * len(scores.labels)
    while len(scores.labels) > n_classes:
        i, j, confused = _order(scores, sizes)[0]
        if not confused:
            break
        into, gone = _larger_first(scores, i, j)
        to, old = scores.labels[into], scores.labels[gone]
        merge = {k: to if v == old else v for k, v in merge.items()} | {old: to}
        sizes[into] += sizes[gone]
        del sizes[gone]
        scores = merged(scores, into, gone)
    return merge


def _larger_first(scores: Scores, i: int, j: int) -> tuple[int, int]:
    """Put the class with more utterances first: it keeps its name."""
    return (i, j) if scores.support[i] >= scores.support[j] else (j, i)


def as_map(label_map: LabelMap, to: Mapping[str, str], title: str) -> LabelMap:
    """Put proposed merges behind what a label map merges already; name it later."""
    merge = {k: to.get(v, v) for k, v in label_map.merge.items()}
    return replace(
        label_map,
        name="proposed",
        title=title,
        labels=tuple(x for x in label_map.labels if x not in to),
        merge={**merge, **to},
        original=label_map.original or label_map.labels,
    )


def _entropy(counts: NDArray[Any]) -> float:
    """Return the entropy in bits of counts."""
    share = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(share * np.log2(share)).sum())


def _heard(confusion: NDArray[np.int64]) -> float:
    """Return the bits per utterance that predictions tell about the truth."""
    both = _entropy(confusion.sum(axis=1)) + _entropy(confusion.sum(axis=0))
    return both - _entropy(confusion.ravel())
