"""Traits in numbers (valence, activation, dominance): predicted against annotated.

- concordance correlation coefficient: Lin, A concordance correlation coefficient to
  evaluate reproducibility, Biometrics 45 (1989) 255: two times the covariance, over
  the sum of both variances and the squared difference of the means. 1 where every
  value is met; unlike a correlation it falls when predictions are shifted or squeezed
- Spearman: Pearson's correlation of the ranks, where equal values share their mean
  rank
- Pearson: the covariance over both standard deviations

Variances are those of the utterances at hand (divided by n). An utterance of which
either value is not known counts nowhere, and how many are left is said. A coefficient
that does not exist is NaN: with fewer than two utterances, and for a correlation where
one side never varies.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from contracts.errors import RunError
from contracts.manifest import TRAIT
from contracts.run import PREDICTED, Run
from evaluation.statistics.mean_interval import no_interval, speaker_sums
from evaluation.statistics.uncertainty import Interval, limits


@dataclass(frozen=True)
class TraitScores:
    """How well one trait was predicted.

    Attributes:
        trait: its name
        n: utterances of which both values are known
        n_unknown: utterances left out, as one of their values is not known
        concordance: Lin's coefficient, -1 to 1
        pearson: correlation of the values, -1 to 1
        spearman: correlation of the ranks, -1 to 1
        interval: the concordance with its interval over speakers
    """

    trait: str
    n: int
    n_unknown: int
    concordance: float
    pearson: float
    spearman: float
    interval: Interval


def concordance(truth: ArrayLike, guess: ArrayLike) -> float:
    """Return Lin's concordance correlation coefficient.

    Args:
        truth: annotated values ``(utterance,)``, NaN where not known
        guess: predicted values ``(utterance,)``, NaN where not known

    Returns:
        -1 to 1; NaN for fewer than two utterances, or where all values are one

    Raises:
        RunError: if there are not as many of one as of the other
    """
    x, y = _known(truth, guess)
    if len(x) < 2 or np.ptp(np.concatenate([x, y])) == 0:
        return float("nan")
    a, b = x - x.mean(), y - y.mean()
    below = (a**2).mean() + (b**2).mean() + (x.mean() - y.mean()) ** 2
    return float(2 * (a * b).mean() / below)


def pearson(truth: ArrayLike, guess: ArrayLike) -> float:
    """Return Pearson's correlation; see ``concordance`` for what goes in.

    Returns:
        -1 to 1; NaN for fewer than two utterances, or where one side never varies
    """
    return _correlation(*_known(truth, guess))


def spearman(truth: ArrayLike, guess: ArrayLike) -> float:
    """Return Spearman's rank correlation; see ``concordance`` for what goes in.

    Returns:
        -1 to 1; NaN for fewer than two utterances, or where one side never varies
    """
    x, y = _known(truth, guess)
    return _correlation(rankdata(x), rankdata(y))


def _known(
    truth: ArrayLike, guess: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Keep the utterances of which both values are known."""
    x, y = np.asarray(truth, np.float64), np.asarray(guess, np.float64)
    if x.shape != y.shape or x.ndim != 1:
        msg = (
            "expected one predicted value for each annotated one, "
            f"got shapes {x.shape} and {y.shape}. Give both for the same utterances"
        )
        raise RunError(msg)
    known = ~(np.isnan(x) | np.isnan(y))
    return x[known], y[known]


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Correlate; that a side never varies is seen in its values, not its deviation."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    a, b = x - x.mean(), y - y.mean()
    a, b = a / np.abs(a).max(), b / np.abs(b).max()  # tiny values would underflow
    return float(np.clip((a @ b) / np.sqrt((a @ a) * (b @ b)), -1.0, 1.0))


def concordance_interval(
    truth: ArrayLike, guess: ArrayLike, speakers: NDArray[np.object_]
) -> Interval:
    """Return Lin's coefficient with its interval over speakers.

    Args:
        truth: annotated values ``(utterance,)``, NaN where not known
        guess: predicted values ``(utterance,)``, NaN where not known
        speakers: ``(utterance,)``, ``""`` for unknown; those without both values do
            not count
    """
    value = concordance(truth, guess)
    x, y = np.asarray(truth, np.float64), np.asarray(guess, np.float64)
    known = ~(np.isnan(x) | np.isnan(y))
    x, y, who = x[known], y[known], speakers[known]
    if why := no_interval(who):
        return Interval(value, math.nan, math.nan, len(set(who) - {""}), why)
    x, y = x - x.mean(), y - x.mean()  # squares of large values would lose digits
    sums = np.column_stack([np.ones(len(x)), x, y, x * x, y * y, x * y])
    _, drawn, n_speakers = speaker_sums(sums, who)
    mean_x, mean_y, xx, yy, xy = (drawn[:, 1:] / drawn[:, :1]).T
    above = 2 * (xy - mean_x * mean_y)
    below = xx - mean_x**2 + yy - mean_y**2 + (mean_x - mean_y) ** 2
    draws = np.full(len(below), np.nan)
    np.divide(above, below, out=draws, where=below > 0)
    low, high = limits(draws, n_speakers).tolist()
    return Interval(value, low, high, n_speakers)


def trait_scores(
    trait: str, truth: ArrayLike, guess: ArrayLike, speakers: NDArray[np.object_]
) -> TraitScores:
    """Score the predictions of one trait.

    Args:
        trait: its name
        truth: annotated values ``(utterance,)``, NaN where not known
        guess: predicted values ``(utterance,)``, NaN where not known
        speakers: ``(utterance,)``, ``""`` for unknown
    """
    known, _ = _known(truth, guess)
    return TraitScores(
        trait,
        n=len(known),
        n_unknown=len(np.asarray(truth)) - len(known),
        concordance=concordance(truth, guess),
        pearson=pearson(truth, guess),
        spearman=spearman(truth, guess),
        interval=concordance_interval(truth, guess, speakers),
    )


def traits_of(run: Run) -> Sequence[TraitScores] | None:
    """Score every trait that a run predicted, folds pooled; variants do not count.

    A prediction row holds the annotated value of a trait as ``trait:NAME`` and, of a
    head that learns traits, the predicted one as ``predicted:NAME``.

    Returns:
        one entry per predicted trait, in the order of the columns; None where the run
        predicted none
    """
    rows = run.predictions[run.predictions["variant"] == ""]
    names = [c.removeprefix(PREDICTED) for c in rows if c.startswith(PREDICTED)]
    if not names:
        return None
    nothing = pd.Series(np.nan, index=rows.index)
    return tuple(
        trait_scores(
            name,
            pd.to_numeric(rows.get(TRAIT + name, nothing), errors="coerce"),
            rows[PREDICTED + name],
            rows["speaker"].to_numpy(object),
        )
        for name in names
    )
