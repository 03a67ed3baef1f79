"""Paired comparison of predicted traits on the same utterances, speaker by speaker.

What ``paired`` does for labels, for Lin's concordance of each trait: swaps of speakers
give p, the bootstrap over speakers the interval of the difference, and Holm's method
corrects for all pairs and traits that are asked together, but for those where a
concordance does not exist: nothing is tested there. A pair is compared on the annotated
utterances that both of it predicted, and how many these are is said. All swaps are gone
through for up to ``EXACT_TABLES`` speakers, beyond that they are drawn. What could have
been seen at all is told by ``_power``, from the jackknife over speakers.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.errors import RunError, listing
from contracts.terminal import count
from evaluation.statistics._bootstrap import drawn_by, drawn_sums, limits
from evaluation.statistics._judged import Judged, pairs_of
from evaluation.statistics._permutation import (
    EXACT_TABLES,
    SwapTest,
    draws_for,
    smallest_p,
)
from evaluation.statistics._power import jackknifed, visible_difference
from evaluation.statistics._trait_sums import TraitSums, concordance_of, read_sums
from evaluation.statistics.mean_interval import no_interval
from evaluation.statistics.paired import ALPHA, BETTER, UNKNOWN, WORSE, holm
from evaluation.statistics.trait_systems import TraitSystem, Values, refuse_unlike
from evaluation.statistics.uncertainty import Interval

_AT_ONCE = 4_096  # swaps


@dataclass(frozen=True)
class TraitComparison(Judged):
    """One system against another, by the concordance of one trait.

    Attributes:
        trait: its name
        n_annotated: utterances whose trait is annotated; both predicted
            ``n_utterances`` of them, in every seed
    """

    trait: str
    n_annotated: int


def compare_traits(
    systems: Sequence[TraitSystem], all_pairs: bool = False, alpha: float = ALPHA
) -> list[TraitComparison]:
    """Compare each system with the first, or all of them with each other.

    Args:
        systems: two or more, the baseline first
        all_pairs: the family is every pair, not each against the baseline
        alpha: how often a family without any difference may give a verdict

    Returns:
        one entry per pair and trait that all systems predicted

    Raises:
        RunError: if they share no trait, or were not tested on the same utterances
        ValueError: if there is one system only
    """
    places = pairs_of(len(systems), all_pairs)
    first = systems[0]
    traits = [t for t in first.guesses if all(t in s.guesses for s in systems)]
    if not traits:
        told = "; ".join(f"{s.name}: {listing(s.guesses)}" for s in systems)
        msg = f"no trait was predicted by all ({told}): expected one that they share"
        raise RunError(msg)
    for other in systems[1:]:
        refuse_unlike(first.rows, other.rows, traits, (first.name, other.name))
    pairs = [(systems[one], systems[other]) for one, other in places]
    asked = [(pair, read_sums(pair, trait)) for trait in traits for pair in pairs]
    exists = [told.exists for _, told in asked]
    level = _Level(alpha, sum(exists))
    tests = [_swap_test(told, level.family) for _, told in asked]
    known = [test.p for test, there in zip(tests, exists, strict=True) if there]
    corrected = np.full(len(asked), np.nan)
    corrected[exists] = holm(known)
    return [
        _judge((pair[0].name, pair[1].name), told, test, p, level)
        for (pair, told), test, p in zip(asked, tests, corrected.tolist(), strict=True)
    ]


@dataclass(frozen=True)
class _Level:
    """What a whole family is judged by."""

    alpha: float
    family: int


def _swap_test(told: TraitSums, family: int) -> SwapTest:
    """Test a difference by swapping the sums ``(speaker, quantity)`` of speakers.

    Where a speaker is not known, swaps tell nothing: p is 1. Where a concordance does
    not exist, nothing is swapped: p is NaN.
    """
    if not told.exists:
        return SwapTest(math.nan, math.nan, 0)
    if told.n_unknown:
        return SwapTest(1.0, 1.0, 0)
    first, second = told.sums
    n, apart = len(first), second - first
    whole, other = first.sum(axis=0), second.sum(axis=0)
    observed = abs(float(concordance_of(whole) - concordance_of(other)))
    far = total = 0
    for swaps in _swaps(n, first + second, family):
        moved = swaps.astype(np.float64) @ apart
        found = concordance_of(whole + moved) - concordance_of(other - moved)
        far += int((np.abs(found) >= observed - 1e-9).sum())
        total += len(swaps)
    if n <= EXACT_TABLES:
        return SwapTest(far / total, smallest_p(n), 0)
    return SwapTest((far + 1) / (total + 1), 1 / (total + 1), total)


def _swaps(n: int, seeded_by: Values, family: int) -> Iterator[NDArray[np.integer]]:
    """Yield swaps ``(swap, speaker)``: all of them, or as many as are drawn."""
    if n <= EXACT_TABLES:
        yield (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return
    rng = drawn_by(np.round(seeded_by, 6))
    for start in range(0, n_draws := draws_for(family), _AT_ONCE):
        yield rng.integers(0, 2, (min(_AT_ONCE, n_draws - start), n), np.int8)


def _judge(
    names: tuple[str, str],
    told: TraitSums,
    test: SwapTest,
    p_holm: float,
    level: _Level,
) -> TraitComparison:
    """Put together what is known of one pair and trait."""
    one, two = told.scores.tolist()
    verdict = UNKNOWN
    if p_holm <= level.alpha:
        verdict = BETTER if one > two else WORSE
    return TraitComparison(
        *names,
        trait=told.trait,
        scores=(one, two),
        interval=_difference(told, one - two),
        test=test,
        p_holm=p_holm,
        family=level.family,
        alpha=level.alpha,
        visible=_visible(told, level),
        n_utterances=len(told.speakers),
        n_annotated=told.n_annotated,
        verdict=verdict,
        why=_why(names, told, test, level) if verdict == UNKNOWN else "",
    )


def _why(names: tuple[str, str], told: TraitSums, test: SwapTest, level: _Level) -> str:
    """Say why one pair and trait cannot be told."""
    n, family = told.sums.shape[1], level.family
    if without := [
        name for name, v in zip(names, told.scores, strict=True) if np.isnan(v)
    ]:
        return (
            f"the concordance of {' and of '.join(without)} does not exist there: "
            "nothing was tested, and the family is without it"
        )
    if told.n_unknown:
        return f"no speaker is known of {count(told.n_unknown, 'utterance')}"
    if test.smallest * family > level.alpha:
        return (
            f"with {count(n, 'speaker')} and {count(family, 'comparison')} the "
            f"smallest p that any difference can give is above {level.alpha:g}"
        )
    return f"{'p by Holm' if family > 1 else 'p'} is above {level.alpha:g}"


def _visible(told: TraitSums, level: _Level) -> float:
    """Return the smallest difference seen with 80 % power; NaN if none would be."""
    if told.n_unknown or not told.exists:
        return math.nan
    first, second = told.sums
    each = jackknifed(first, second, concordance_of)
    return visible_difference(each, level.alpha / level.family)


def _difference(told: TraitSums, value: float) -> Interval:
    """Return the difference of two systems with its interval over speakers."""
    n, why = told.sums.shape[1], no_interval(told.speakers)
    if why or math.isnan(value):
        return Interval(value, math.nan, math.nan, n, why)
    one, two = concordance_of(drawn_sums(told.sums))
    low, high = limits(one - two, n).tolist()
    return Interval(value, low, high, n)
