"""Speaker-swap permutation: may the two systems' predictions of a speaker be swapped?

If two systems are equally good, swapping what they predicted of any speaker changes
nothing but chance, whatever the speakers are like; utterances of one speaker always go
together. This is the approximate randomisation of Noreen, Computer-intensive Methods
for Testing Hypotheses, 1989, with speakers as its strata. Test speakers tell the same
truth to both systems, so the pooled UAR and WAR differences are sums over speakers, a
swap turns the sign of its summand, and all 2^n sums are counted from two sorted halves:
exact for up to ``EXACT_SUMS`` speakers. F1 is no such sum: its 2^n tables are gone
through one by one up to ``EXACT_TABLES`` speakers. Beyond, swaps are drawn once for all
pairs that are judged together, and the observed one counts as a draw (Phipson and
Smyth, Permutation P-values Should Never Be Zero, Statistical Applications in Genetics
and Molecular Biology 9, 2010).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.statistics._bootstrap import drawn_by
from evaluation.statistics.confusions import Values, f1_of_parts, f1_parts

EXACT_SUMS = 32  # speakers; two halves of 65,536 sums
EXACT_TABLES = 14  # speakers; 16,384 tables
_LEAST_DRAWS, _DRAWS_PER_PAIR, _AT_ONCE = 20_000, 2_000, 4_096


@dataclass(frozen=True)
class SwapTest:
    """Two-sided p of a difference under swaps of speakers.

    Attributes:
        p: share of swaps whose difference is at least as large
        smallest: the least p that this many speakers, or draws, can give
        n_draws: swaps drawn; 0: all of them were counted
    """

    p: float
    smallest: float
    n_draws: int


def smallest_p(n_speakers: int) -> float:
    """Return the least two-sided p of swaps: the observed one and its mirror image."""
    return min(1.0, 2.0 ** (1 - n_speakers))


def draws_for(n_pairs: int) -> int:
    """Return how many swaps to draw so that Holm's smallest p stays below 0.001."""
    return max(_LEAST_DRAWS, _DRAWS_PER_PAIR * n_pairs)


def parts(first: Values, second: Values, metric: str) -> Values:
    """Return what each speaker adds to the difference of pooled UAR or WAR.

    Args:
        first: counts ``(speaker, truth, guess)``, mean over seeds
        second: the same of the other system, on the same utterances
        metric: ``uar`` or ``war``

    Returns:
        ``(speaker,)``; its sum is the difference, first less second
    """
    diagonal = np.diagonal(first - second, axis1=-2, axis2=-1)  # (speaker, label)
    support = first.sum(axis=(0, 2))
    if metric == "war":
        return np.asarray(diagonal.sum(axis=1) / support.sum(), float)
    present = support > 0
    shares = diagonal[:, present] / support[present]
    return np.asarray(shares.mean(axis=1), float)


def swap_test(first: Values, second: Values, metric: str, n_pairs: int = 1) -> SwapTest:
    """Test a difference of two systems by swapping speakers.

    Args:
        first: counts ``(speaker, truth, guess)``, mean over seeds
        second: the same of the other system, on the same utterances
        metric: ``uar``, ``war`` or ``f1``
        n_pairs: size of the family that Holm's method will correct for
    """
    return swap_tests([first, second], [(0, 1)], metric, n_pairs)[0]


def swap_tests(
    systems: Sequence[Values],
    pairs: Sequence[tuple[int, int]],
    metric: str,
    n_pairs: int,
) -> list[SwapTest]:
    """Test differences of several systems; swaps that are drawn are drawn once.

    Args:
        systems: counts ``(speaker, truth, guess)`` of each, mean over seeds, all on the
            same utterances
        pairs: which two systems each test is of
        metric: ``uar``, ``war`` or ``f1``
        n_pairs: size of the family that Holm's method will correct for
    """
    n = len(systems[0])
    two = [(systems[a], systems[b]) for a, b in pairs]
    if metric in ("uar", "war"):
        each = [parts(*pair, metric) for pair in two]
        if n <= EXACT_SUMS:
            return [SwapTest(exact_sums(one), smallest_p(n), 0) for one in each]
        return _drawn(_turned_sums(np.stack(each), systems, n_pairs), n_pairs)
    if n <= EXACT_TABLES:
        every = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        far = [_as_far(*pair, every).mean() for pair in two]
        return [SwapTest(float(p), smallest_p(n), 0) for p in far]
    hits = (
        np.array([_as_far(*pair, swaps).sum() for pair in two])
        for swaps in _swaps(systems, n_pairs)
    )
    return _drawn(hits, n_pairs)


def _swaps(systems: Sequence[Values], n_pairs: int) -> Iterator[NDArray[np.integer]]:
    """Draw swaps ``(draw, speaker)``, some at a time."""
    # rounded, since a sum must not depend on the order in which systems are given
    rng = drawn_by(np.round(np.sum(systems, axis=0), 6))
    n, n_draws = len(systems[0]), draws_for(n_pairs)
    for start in range(0, n_draws, _AT_ONCE):
        yield rng.integers(0, 2, (min(_AT_ONCE, n_draws - start), n), np.int8)


def _turned_sums(
    each: Values, systems: Sequence[Values], n_pairs: int
) -> Iterator[NDArray[np.integer]]:
    """Count for each pair, batch by batch, the drawn sums that are as far from 0.

    Args:
        each: what each speaker adds to the difference ``(pair, speaker)``
        systems: what swaps are seeded from
        n_pairs: size of the family
    """
    observed = np.abs(each.sum(axis=1)) - [_slack(one) for one in each]
    for swaps in _swaps(systems, n_pairs):
        sums = (1.0 - 2.0 * swaps) @ each.T
        yield (np.abs(sums) >= observed).sum(axis=0)


def _drawn(hits: Iterator[NDArray[np.integer]], n_pairs: int) -> list[SwapTest]:
    """Make tests of how many drawn swaps were as far, ``(pair,)`` batch by batch."""
    n_draws = draws_for(n_pairs)
    return [
        SwapTest((int(far) + 1) / (n_draws + 1), 1 / (n_draws + 1), n_draws)
        for far in np.sum(list(hits), axis=0)
    ]


def exact_sums(each: Values) -> float:
    """Return the share of sign patterns whose sum is as far from 0 as the plain sum.

    Args:
        each: one number per speaker; the signs of all of them are turned in every way
    """
    observed = abs(float(each.sum())) - _slack(each)
    if observed <= 0:
        return 1.0
    half = len(each) // 2
    left, right = _signed_sums(each[:half]), np.sort(_signed_sums(each[half:]))
    above = len(right) - np.searchsorted(right, observed - left, side="left")
    # every pattern has its mirror image, so those below are as many as those above
    return float(min(1.0, 2 * int(above.sum()) / 2.0 ** len(each)))


def _signed_sums(each: Values) -> Values:
    sums = np.zeros(1)
    for value in each:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _slack(each: Values) -> float:
    """Return how far two sums may lie apart that are equal but for rounding."""
    return 1e-9 * math.fsum(abs(v) for v in each.tolist()) + 1e-15


def _as_far(
    first: Values, second: Values, swaps: NDArray[np.integer]
) -> NDArray[np.bool_]:
    """Return for each swap ``(draw, speaker)`` whether its F1 is as far apart."""
    one, two = f1_parts(first), f1_parts(second)  # (2, speaker, label)
    moved = swaps.astype(float) @ (two - one)  # (2, draw, label)
    whole, other = one.sum(axis=1)[:, None], two.sum(axis=1)[:, None]
    apart = f1_of_parts(*(whole + moved)) - f1_of_parts(*(other - moved))
    observed = f1_of_parts(*whole) - f1_of_parts(*other)
    return np.asarray(np.abs(apart) >= abs(observed) - 1e-9)
