"""Paired comparison of systems on the same utterances, speaker by speaker.

One difference is judged by swapping speakers (``_permutation``), its size by the
bootstrap over speakers (``uncertainty``), and what could have been seen at all by
``_power``. Holm's method (A Simple Sequentially Rejective Multiple Test Procedure,
Scandinavian Journal of Statistics 6, 1979) corrects for the family: each system against
the baseline, or all pairs. A baseline that is the best of the systems on these very
utterances was chosen among all pairs, so all of them are its family. Counts are
averaged over seeds within a speaker first: seeds are no more evidence about new
speakers. Swaps and resamples are drawn once for a family, seeded from all its counts.

McNemar's test is shown because papers show it, and decides nothing: it takes utterances
of one speaker for independent. Of equally good systems that suit speakers unlike, it
calls 3 pairs in 10 different at 5 %, and swaps of speakers no more than claimed
(``tests/test_error_rates.py``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from contracts.terminal import count
from evaluation.statistics._judged import Judged, pairs_of
from evaluation.statistics._permutation import SwapTest, parts, swap_tests
from evaluation.statistics._power import shares, visible_difference
from evaluation.statistics.confusions import Values, score_of
from evaluation.statistics.systems import System, refuse_unlike
from evaluation.statistics.uncertainty import difference

ALPHA = 0.05
BETTER, WORSE, UNKNOWN = "better", "worse", "cannot tell"


@dataclass(frozen=True)
class McNemar:
    """Which utterances only one of two systems got right; it ignores speakers.

    With several seeds an utterance goes to the system that got it right more often.

    Attributes:
        p: exact, two-sided
        only_first: utterances that the first got right (more often)
        only_second: utterances that the second got right (more often)
    """

    p: float
    only_first: int
    only_second: int


@dataclass(frozen=True)
class Comparison(Judged):
    """One system against another, by labels; scores are of counts' means over seeds.

    Attributes:
        metric: ``uar``, ``war`` or ``f1``
        mcnemar: ignores speakers, decides nothing
    """

    metric: str
    mcnemar: McNemar


def compare(
    systems: Sequence[System],
    metric: str = "uar",
    all_pairs: bool = False,
    alpha: float = ALPHA,
    family: int | None = None,
) -> list[Comparison]:
    """Compare each system with the first, or all of them with each other.

    Where a speaker is not known, swaps tell nothing: p is 1 and the verdict says so.

    Args:
        systems: two or more, the baseline first
        metric: ``uar``, ``war`` or ``f1``
        all_pairs: the family is every pair, not each against the baseline
        alpha: how often a family without any difference may give a verdict
        family: how many pairs those compared were chosen from (``among``); None: none
            but them

    Raises:
        RunError: if they were not tested on the same labelled utterances
        ValueError: if there is one system only, the metric is unknown, or the family
            is smaller than what is compared
    """
    pairs = pairs_of(len(systems), all_pairs)
    for system in systems[1:]:
        refuse_unlike(systems[0], system)
    means = [system.counts.mean(axis=0) for system in systems]
    size = len(pairs) if family is None else family
    level = _Level(alpha, size, metric)
    tests = [SwapTest(1.0, 1.0, 0)] * len(pairs)
    if not systems[0].n_unknown:
        tests = swap_tests(means, pairs, metric, level.n_pairs)
    corrected = holm([test.p for test in tests], level.n_pairs)
    return [
        _judge((systems[a], systems[b]), (means[a], means[b]), test, p_holm, level)
        for (a, b), test, p_holm in zip(pairs, tests, corrected, strict=True)
    ]


def among(n_systems: int) -> int:
    """Return how many pairs there are among systems."""
    return math.comb(n_systems, 2)


@dataclass(frozen=True)
class _Level:
    """What a whole family is judged by."""

    alpha: float
    n_pairs: int
    metric: str


def _judge(
    pair: tuple[System, System],
    counts: tuple[Values, Values],
    test: SwapTest,
    p_holm: float,
    level: _Level,
) -> Comparison:
    """Put together what is known of one pair; counts are means over seeds."""
    first, second = pair
    names = sorted(set(first.speakers.tolist()))
    apart = difference(*counts, level.metric, names)
    each = (shares if level.metric == "f1" else parts)(*counts, level.metric)
    visible = visible_difference(each, level.alpha / level.n_pairs)
    verdict, why = UNKNOWN, ""
    if p_holm <= level.alpha:
        verdict = BETTER if apart.value > 0 else WORSE
    elif first.n_unknown:
        why = f"no speaker is known of {count(first.n_unknown, 'utterance')}"
        apart = replace(apart, low=math.nan, high=math.nan, note=f"{why}: no interval")
        visible = math.nan
    elif test.smallest * level.n_pairs > level.alpha:
        why = _too_few(test, level, apart.n_speakers)
    else:
        p_name = "Holm's p" if level.n_pairs > 1 else "p"
        why = f"{p_name} is above {level.alpha:g}"
    one, two = (float(score_of(c.sum(axis=0), level.metric)) for c in counts)
    return Comparison(
        first=first.name,
        second=second.name,
        metric=level.metric,
        scores=(one, two),
        interval=apart,
        test=test,
        p_holm=p_holm,
        family=level.n_pairs,
        alpha=level.alpha,
        visible=visible,
        mcnemar=mcnemar(first, second),
        n_utterances=len(first.ids),
        verdict=verdict,
        why=why,
    )


def _too_few(test: SwapTest, level: _Level, n_speakers: int) -> str:
    family = f" times {level.n_pairs} pairs" if level.n_pairs > 1 else ""
    return (
        f"with {count(n_speakers, 'speaker')} the smallest p that any difference can "
        f"give is {test.smallest:.4g}{family}, above {level.alpha:g}"
    )


def holm(ps: Sequence[float], family: int | None = None) -> list[float]:
    """Correct p values of one family by Holm's method, in the order given.

    Args:
        ps: of the whole family, or of some of it, however these were chosen
        family: its size; what is not in ``ps`` is taken for larger than all that is,
            which never makes a p smaller than the whole family would; None: all in
            ``ps``

    Raises:
        ValueError: if the family is smaller than what is in it
    """
    size = len(ps) if family is None else family
    if size < len(ps):
        msg = f"expected a family of {len(ps)} or more, got {size}"
        raise ValueError(msg)
    order = np.argsort(ps, kind="stable")
    scaled = np.asarray(ps, float)[order] * (size - np.arange(len(ps)))
    out = np.empty(len(ps))
    out[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return [float(p) for p in out]


def mcnemar(first: System, second: System) -> McNemar:
    """Count utterances that only one of two systems got right, and test evenness."""
    from scipy.stats import binomtest

    shares_right = [(s.guesses == s.truth).mean(axis=0) for s in (first, second)]
    one = int((shares_right[0] > shares_right[1]).sum())
    two = int((shares_right[0] < shares_right[1]).sum())
    p = float(binomtest(one, one + two).pvalue) if one + two else 1.0
    return McNemar(p, one, two)
