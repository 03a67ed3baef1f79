"""Paired comparison of predicted traits on the same utterances, speaker by speaker.

What ``paired`` does for labels, for Lin's concordance of each trait: swaps of speakers
give p, the bootstrap over speakers the interval of the difference, and Holm's method
corrects for all pairs and traits that are asked together. Concordance is a function of
sums over utterances (their number, both values, their squares and their product), so
speakers are swapped and drawn by their sums. Sums are means over seeds. All swaps are
gone through for up to ``EXACT_TABLES`` speakers, beyond that they are drawn.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from contracts.errors import RunError, listing
from contracts.manifest import TRAIT
from contracts.terminal import count
from evaluation.statistics._bootstrap import drawn_by, limits, speaker_weights
from evaluation.statistics._permutation import (
    EXACT_TABLES,
    SwapTest,
    draws_for,
    smallest_p,
)
from evaluation.statistics.mean_interval import no_interval
from evaluation.statistics.paired import ALPHA, BETTER, UNKNOWN, WORSE, holm
from evaluation.statistics.trait_systems import TraitSystem, Values, refuse_unlike
from evaluation.statistics.uncertainty import Interval

_AT_ONCE = 4_096  # swaps


@dataclass(frozen=True)
class TraitComparison:
    """One system against another, on one trait.

    Attributes:
        first: name of the one
        second: name of the other, the baseline where there is one
        trait: its name
        scores: concordance of both
        interval: first less second
        test: by swaps of speakers
        p_holm: ``test.p``, corrected for the family
        family: how many pairs and traits are judged together
        n_utterances: those whose trait is known
        verdict: ``better``, ``worse`` or ``cannot tell``, said of the first
        why: why it cannot be told; else empty
    """

    first: str
    second: str
    trait: str
    scores: tuple[float, float]
    interval: Interval
    test: SwapTest
    p_holm: float
    family: int
    n_utterances: int
    verdict: str
    why: str


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
    if len(systems) < 2:
        msg = f"expected two systems or more to compare, got {len(systems)}"
        raise ValueError(msg)
    first = systems[0]
    traits = [t for t in first.guesses if all(t in s.guesses for s in systems)]
    if not traits:
        told = "; ".join(f"{s.name}: {listing(s.guesses)}" for s in systems)
        msg = f"no trait was predicted by all ({told}): expected one that they share"
        raise RunError(msg)
    for other in systems[1:]:
        refuse_unlike(first.rows, other.rows, traits, (first.name, other.name))
    pairs = [(b, a) for a, b in combinations(range(len(systems)), 2)]
    pairs = [pair for pair in pairs if all_pairs or pair[1] == 0]
    asked = [(trait, a, b) for trait in traits for a, b in pairs]
    read = {trait: _read(systems, trait) for trait in traits}
    tests = [_swap_test(read[t], a, b, len(asked)) for t, a, b in asked]
    level = alpha, len(asked)
    corrected = holm([test.p for test in tests])
    return [
        _judge((systems[a].name, systems[b].name), read[t].of(a, b), test, p, *level)
        for (t, a, b), test, p in zip(asked, tests, corrected, strict=True)
    ]


@dataclass(frozen=True)
class _Told:
    """A trait where it is annotated and every system predicted it.

    Attributes:
        trait: its name
        speakers: ``(utterance,)``
        sums: what concordance is made of ``(system, speaker, quantity)``
    """

    trait: str
    speakers: NDArray[np.object_]
    sums: Values

    def of(self, *systems: int) -> "_Told":
        """Return the same of some systems."""
        return _Told(self.trait, self.speakers, self.sums[list(systems)])


def _read(systems: Sequence[TraitSystem], trait: str) -> _Told:
    rows = systems[0].rows
    there = rows[TRAIT + trait].notna().to_numpy()
    for system in systems:
        there = there & np.isfinite(system.guesses[trait]).all(axis=0)
    truth = rows[TRAIT + trait].to_numpy(np.float64)[there]
    middle = truth.mean() if len(truth) else 0.0  # squares of large values lose digits
    speakers = rows["speaker"].to_numpy(object)[there]
    names, who = np.unique(speakers.astype(str), return_inverse=True)
    x = truth - middle
    sums = np.zeros((len(systems), len(names), 6))
    for own, system in zip(sums, systems, strict=True):
        y = system.guesses[trait][:, there] - middle
        parts = [np.ones(len(x)), x, y.mean(0), x * x, (y * y).mean(0), x * y.mean(0)]
        np.add.at(own, who, np.column_stack(parts))
    return _Told(trait, speakers, sums)


def concordance_of(sums: Values) -> Values:
    """Return Lin's concordance of sums ``(..., quantity)``, NaN where there is none.

    Args:
        sums: number, values, predictions, squares of each, and products
    """
    n = np.maximum(sums[..., 0], 1)
    x, y, xx, yy, xy = (sums[..., i] / n for i in range(1, 6))
    below = xx - x**2 + yy - y**2 + (x - y) ** 2
    out = np.full(below.shape, np.nan)
    np.divide(2 * (xy - x * y), below, out=out, where=below > 1e-12)
    return out


def _swap_test(told: _Told, a: int, b: int, family: int) -> SwapTest:
    """Test a difference by swapping the sums ``(speaker, quantity)`` of speakers.

    Where a speaker is not known, swaps tell nothing: p is 1.
    """
    if (told.speakers == "").any():
        return SwapTest(1.0, 1.0, 0)
    first, second = told.sums[a], told.sums[b]
    n, apart = len(first), second - first
    whole, other = first.sum(axis=0), second.sum(axis=0)
    observed = abs(float(concordance_of(whole) - concordance_of(other)))
    if math.isnan(observed):
        return SwapTest(1.0, smallest_p(n), 0)
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
    told: _Told,
    test: SwapTest,
    p_holm: float,
    alpha: float,
    family: int,
) -> TraitComparison:
    """Put together what is known of one pair and trait."""
    one, two = concordance_of(told.sums.sum(axis=1)).tolist()
    verdict, why, n = UNKNOWN, "", told.sums.shape[1]
    if p_holm <= alpha:
        verdict = BETTER if one > two else WORSE
    elif math.isnan(one - two):
        why = "the concordance of one of them does not exist"
    elif unknown := int((told.speakers == "").sum()):
        why = f"no speaker is known of {count(unknown, 'utterance')}"
    elif test.smallest * family > alpha:
        why = (
            f"with {count(n, 'speaker')} and {count(family, 'comparison')} the "
            f"smallest p that any difference can give is above {alpha:g}"
        )
    else:
        why = f"{'p by Holm' if family > 1 else 'p'} is above {alpha:g}"
    return TraitComparison(
        *names,
        told.trait,
        (one, two),
        _difference(told, one - two),
        test,
        p_holm,
        family,
        len(told.speakers),
        verdict,
        why,
    )


def _difference(told: _Told, value: float) -> Interval:
    """Return the difference of two systems with its interval over speakers."""
    n, why = told.sums.shape[1], no_interval(told.speakers)
    if why or math.isnan(value):
        return Interval(value, math.nan, math.nan, n, why)
    weights = speaker_weights(n, told.sums.sum(axis=0)).astype(np.float64)
    one, two = concordance_of(weights @ told.sums)
    low, high = limits(one - two, n).tolist()
    return Interval(value, low, high, n)
