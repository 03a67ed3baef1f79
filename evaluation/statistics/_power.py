"""How large a difference must be for this many speakers to show it.

The permutation test over speakers behaves like the paired t-test on what each speaker
adds to the difference (Fisher's own argument for it, The Design of Experiments, 1935,
section 21), so power is that of the t-test: noncentral t with n - 1 degrees of freedom,
its spread estimated from the speakers at hand. Where few speakers give few p values,
the largest of these at or below alpha takes alpha's place.
``tests/test_error_rates.py`` compares the claim with a simulation.
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from evaluation.statistics._permutation import smallest_p
from evaluation.statistics.confusions import Values, score_of

POWER = 0.8
_MANY = 60  # speakers; their p values lie closer together than numbers can tell


def visible_difference(each: Values, alpha: float, power: float = POWER) -> float:
    """Return the smallest true difference that is found with this power.

    Args:
        each: what each speaker adds to the difference ``(speaker,)``
        alpha: two-sided level, already divided by the size of the family
        power: how often the difference shall be found

    Returns:
        in the units of the sum of ``each``; NaN where no difference could be found,
        since the smallest p is above alpha, or where the speakers do not differ
    """
    n = len(each)
    level = _possible(n, alpha)
    error = math.sqrt(n) * float(np.std(each, ddof=1)) if n > 1 else 0.0
    if level == 0 or error <= 1e-12:
        return math.nan
    return _shift(n, level, power) * error


def _possible(n_speakers: int, alpha: float) -> float:
    """Return the largest p of so many speakers at or below alpha; 0: there is none."""
    if n_speakers > _MANY:
        return alpha
    smallest = smallest_p(n_speakers)
    return math.floor(alpha / smallest + 1e-9) * smallest


@cache
def _shift(n: int, alpha: float, power: float) -> float:
    """Return the difference that n speakers find, in standard errors of it."""
    from scipy import optimize, stats

    critical = stats.t.isf(alpha / 2, n - 1)

    def lacking(shift: float) -> float:
        return float(stats.nct.sf(critical, n - 1, shift)) - power

    return float(optimize.brentq(lacking, 0.0, 10 * critical + 10))


def shares(first: Values, second: Values, metric: str) -> Values:
    """Return what each speaker adds to a difference of labels that is no sum.

    Args:
        first: counts ``(speaker, truth, guess)``, mean over seeds
        second: the same of the other system, on the same utterances
        metric: ``f1``, say

    Returns:
        as ``jackknifed`` does
    """
    return jackknifed(first, second, lambda counts: score_of(counts, metric))


def jackknifed(
    first: Values, second: Values, scored: Callable[[Values], Values]
) -> Values:
    """Return what each speaker adds to a difference that is no sum: jackknife.

    Args:
        first: what scores are made of ``(speaker, ...)``, mean over seeds
        second: the same of the other system, on the same utterances
        scored: makes scores of sums over speakers ``(..., ...)``

    Returns:
        pseudo-values over their number ``(speaker,)``; their standard error is that of
        the difference (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
        chapter 11)
    """
    n = len(first)
    totals = np.stack([first.sum(axis=0), second.sum(axis=0)])
    whole = scored(totals)
    without = scored(totals[:, None] - np.stack([first, second]))
    return np.asarray((whole[0] - whole[1]) - (n - 1) / n * (without[0] - without[1]))


def unseen(possible: bool) -> str:
    """Say why it is not known which difference would have been seen.

    Args:
        possible: whether this many speakers can give a p small enough
    """
    if possible:
        return (
            "every speaker tells the same difference: what could have been seen is "
            "not known"
        )
    return "no difference, however large, could have been seen here"
