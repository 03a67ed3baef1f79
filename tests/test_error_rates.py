"""Error rates on drawn data of known truth: what the statistics claim, they keep.

Speakers differ in how easy they are, and, beside that, in which of two systems suits
them. The latter is what makes utterances of one speaker no independent evidence.
"""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from evaluation.statistics._bootstrap import resampled
from evaluation.statistics._permutation import parts, smallest_p, swap_test, swap_tests
from evaluation.statistics._power import visible_difference
from evaluation.statistics.confusions import uar_of
from evaluation.statistics.generated_pair import generated_pair
from evaluation.statistics.paired import ALPHA, among, compare, holm
from evaluation.statistics.uncertainty import difference, interval

pytestmark = pytest.mark.slow

PER_LABEL = np.array([4, *[8] * 7])  # a speaker's utterances of each label, as RAVDESS
EASE, SUITS = 0.6, 0.5  # standard deviations over speakers, in log-odds


def abilities(
    n_speakers: int, n_systems: int, shift: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw how often each system is right ``(system, speaker, label)``.

    Args:
        n_speakers: speakers to draw
        n_systems: the last of them is shifted
        shift: in log-odds; 0: all are equally good over all speakers there are
    """
    ease = rng.normal(0, EASE, (n_speakers, 1))
    label = np.linspace(-0.8, 1.2, len(PER_LABEL))
    suits = rng.normal(0, SUITS, (n_systems, n_speakers, 1))
    suits[-1] += shift
    return np.asarray(1 / (1 + np.exp(-(ease + label + suits))))


def heard(ability: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw who gets which utterance right ``(system, speaker, utterance)``."""
    of_utterance = np.repeat(ability, PER_LABEL, axis=-1)
    return np.asarray(rng.random(of_utterance.shape) < of_utterance)


def tables(right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Count ``(system, speaker, truth, guess)``; what is wrong is the next label."""
    k = len(PER_LABEL)
    starts = np.cumsum(PER_LABEL) - PER_LABEL
    n_right = np.add.reduceat(right.astype(float), starts, axis=-1)
    out = np.zeros((*right.shape[:2], k, k))
    each = np.arange(k)
    out[..., each, each] = n_right
    out[..., each, (each + 1) % k] = PER_LABEL - n_right
    return out


def near(hits: int, n: int, wanted: float) -> bool:
    """Say whether a count is within four standard errors of what is wanted."""
    return abs(hits - n * wanted) <= 4 * math.sqrt(n * wanted * (1 - wanted))


@pytest.mark.parametrize("n_speakers", [6, 8, 12, 24])
def test_false_positives_are_as_rare_as_claimed_and_mcnemar_s_are_not(
    n_speakers: int,
) -> None:
    rng = np.random.default_rng(n_speakers)
    n, found, ignoring = 3_000, 0, 0
    for _ in range(n):
        right = heard(abilities(n_speakers, 2, 0.0, rng), rng)
        one, two = tables(right)
        found += swap_test(one, two, "uar").p <= ALPHA
        only = (right[0] & ~right[1]).sum(), (~right[0] & right[1]).sum()
        ignoring += stats.binomtest(int(only[0]), int(sum(only))).pvalue <= ALPHA

    step = smallest_p(n_speakers)
    assert near(found, n, math.floor(ALPHA / step) * step)
    assert found / n <= ALPHA + 4 * math.sqrt(ALPHA * (1 - ALPHA) / n)
    assert ignoring / n > 2.5 * ALPHA


def test_false_positives_of_drawn_swaps_are_as_rare(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evaluation.statistics._permutation.EXACT_SUMS", 4)
    monkeypatch.setattr("evaluation.statistics._permutation._LEAST_DRAWS", 1_000)
    rng = np.random.default_rng(0)
    n, found = 1_500, {"uar": 0, "f1": 0}
    for _ in range(n):
        pair = tables(heard(abilities(16, 2, 0.0, rng), rng))
        for metric in found:
            found[metric] += swap_test(pair[0], pair[1], metric).p <= ALPHA

    for hits in found.values():
        assert near(hits, n, ALPHA)


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_a_family_gives_a_false_verdict_no_more_often_than_claimed(
    shift: float,
) -> None:
    rng = np.random.default_rng(1)
    n, false, uncorrected = 2_000, 0, 0
    for _ in range(n):
        systems = tables(heard(abilities(12, 6, shift, rng), rng))
        ps = [swap_test(one, systems[0], "uar", 5).p for one in systems[1:]]
        null = slice(None) if shift == 0 else slice(0, -1)  # the last is truly better
        false += min(holm(ps)[null]) <= ALPHA
        uncorrected += min(ps[null]) <= ALPHA

    assert false / n <= ALPHA + 4 * math.sqrt(ALPHA * (1 - ALPHA) / n)
    assert uncorrected / n > 2 * ALPHA


def test_the_best_of_equal_systems_is_falsely_better_no_more_often() -> None:
    rng = np.random.default_rng(2)
    n, n_systems, false, uncorrected = 400, 20, 0, 0
    for _ in range(n):
        systems = tables(heard(abilities(24, n_systems, 0.0, rng), rng))
        best = int(uar_of(systems.sum(axis=1)).argmax())
        pairs = [(i, best) for i in range(n_systems) if i != best]
        ps = [test.p for test in swap_tests(list(systems), pairs, "uar", 190)]
        false += min(holm(ps, among(n_systems))) <= ALPHA
        uncorrected += min(holm(ps)) <= ALPHA

    assert false / n <= ALPHA + 4 * math.sqrt(ALPHA * (1 - ALPHA) / n)
    assert uncorrected / n > 3 * ALPHA


@pytest.mark.parametrize("n_speakers", [8, 12, 24])
def test_an_interval_holds_the_truth_as_often_as_it_says(n_speakers: int) -> None:
    rng = np.random.default_rng(n_speakers)
    truth = abilities(400_000, 1, 0.0, rng).mean()
    n, held, plain = 1_000, 0, 0
    for _ in range(n):
        counts = tables(heard(abilities(n_speakers, 1, 0.0, rng), rng))
        one = interval(counts)
        held += one.low <= truth <= one.high
        low, high = np.quantile(uar_of(resampled(counts)[0]), [0.025, 0.975])
        plain += low <= truth <= high

    assert 0.925 <= held / n <= 0.97
    assert plain < held


@pytest.mark.parametrize("n_speakers", [8, 24])
def test_an_interval_of_a_difference_holds_the_truth_as_often(n_speakers: int) -> None:
    rng = np.random.default_rng(n_speakers)
    both = abilities(400_000, 2, 0.4, rng).mean(axis=(1, 2))
    n, held = 1_000, 0
    for _ in range(n):
        pair = tables(heard(abilities(n_speakers, 2, 0.4, rng), rng))
        one = difference(pair[0], pair[1], "uar")
        held += one.low <= both[0] - both[1] <= one.high

    assert 0.925 <= held / n <= 0.97


@pytest.mark.parametrize(("n_speakers", "family"), [(8, 1), (12, 1), (24, 1), (24, 4)])
def test_a_difference_called_visible_is_found_in_four_of_five_cases(
    n_speakers: int, family: int
) -> None:
    alpha = ALPHA / family

    def apart(shift: float) -> tuple[float, float]:
        """Return the true difference, and the one called visible."""
        rng = np.random.default_rng(7)
        pair = tables(heard(abilities(10_000, 2, shift, rng), rng))
        each = parts(pair[1], pair[0], "uar") * (10_000 / n_speakers)
        # as many speakers as are tested, spread as all speakers there are
        some = np.resize([1.0, -1.0], n_speakers) * each.std()
        some *= math.sqrt((n_speakers - 1) / n_speakers)
        return float(each.mean() * n_speakers), visible_difference(some, alpha)

    shift = optimize.brentq(lambda s: np.subtract(*apart(s)), 0.05, 3.0, xtol=0.005)
    true = apart(shift)[0]
    rng = np.random.default_rng(n_speakers)
    n, found, claimed = 1_500, 0, []
    for _ in range(n):
        pair = tables(heard(abilities(n_speakers, 2, shift, rng), rng))
        found += swap_test(pair[1], pair[0], "uar").p <= alpha
        claimed.append(visible_difference(parts(pair[1], pair[0], "uar"), alpha))

    assert found / n == pytest.approx(0.8, abs=0.04)
    assert np.median(claimed) == pytest.approx(true, rel=0.1)


def test_the_generated_pair_is_never_told_apart() -> None:
    pairs = [compare(generated_pair(seed))[0] for seed in range(200)]

    assert {pair.verdict for pair in pairs} == {"cannot tell"}
    assert {pair.test.smallest for pair in pairs} == {0.0625}
