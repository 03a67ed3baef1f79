"""Paired comparison of traits: on which utterances, in which family, by hand."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from contracts.errors import RunError
from evaluation.measures.traits import concordance
from evaluation.statistics._traits_text import notes, sentence
from evaluation.statistics.paired import BETTER, UNKNOWN
from evaluation.statistics.paired_traits import compare_traits
from evaluation.statistics.trait_systems import TraitSystem, trait_system
from tests.runs import make_run


def system(name: str, guesses: np.ndarray, truth: np.ndarray, n: int) -> TraitSystem:
    """Return a system of ``n`` speakers with as many utterances each."""
    speakers = [f"s{i % n}" for i in range(len(truth))]
    ids = [f"{i:04d}" for i in range(len(truth))]
    frame = pd.DataFrame({"id": ids, "speaker": speakers, "trait:valence": truth})
    return TraitSystem(name, frame, {"valence": guesses[None]}, (0,), ())


def test_swaps_and_scores_equal_those_by_hand() -> None:
    rng = np.random.default_rng(3)
    truth, n = rng.normal(100, 1, 40), 4
    truth[7] = np.nan
    one, two = truth + rng.normal(0, 0.5, (2, 40)) * [[1], [1.4]]
    one[7] = two[7] = 100.0
    who = np.arange(40) % n

    (found,) = compare_traits([system("b", two, truth, n), system("a", one, truth, n)])

    observed = concordance(truth, one) - concordance(truth, two)
    far = []
    for swap in product([False, True], repeat=n):
        turned = np.array(swap)[who]
        first, second = np.where(turned, two, one), np.where(turned, one, two)
        apart = concordance(truth, first) - concordance(truth, second)
        far.append(abs(apart) >= abs(observed) - 1e-9)
    assert found.interval.value == pytest.approx(observed)
    assert found.test.p == pytest.approx(np.mean(far))
    assert (found.n_utterances, found.verdict) == (39, UNKNOWN)
    assert "the smallest p that any difference can give is above" in found.why


@pytest.mark.parametrize("n", [12, 20])
def test_a_large_difference_is_told_and_none_is_not(n: int) -> None:
    rng = np.random.default_rng(n)
    truth = rng.normal(0, 1, 30 * n)
    noise = rng.normal(0, 1, (3, len(truth)))
    base = system("base", truth + noise[0], truth, n)
    better = system("better", truth + 0.3 * noise[1], truth, n)
    equal = system("equal", truth + noise[2], truth, n)

    told, same = compare_traits([base, better, equal])

    assert (told.first, told.verdict) == ("better", BETTER)
    assert told.interval.low > 0
    assert same.verdict == UNKNOWN
    assert same.interval.low < 0 < same.interval.high
    assert told.family == 2


def test_an_unknown_speaker_gives_no_verdict() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1, 300)
    systems = [
        system("base", truth + rng.normal(0, 2, 300), truth, 10),
        system("better", truth, truth, 10),
    ]
    for one in systems:
        one.rows.loc[3, "speaker"] = ""

    (found,) = compare_traits(systems)

    assert (found.verdict, found.test.p) == (UNKNOWN, 1.0)
    assert found.why == "no speaker is known of 1 utterance"
    assert np.isnan(found.interval.low)


def test_other_utterances_values_and_traits_are_refused(tmp_path: Path) -> None:
    truth = np.arange(20.0)
    base = system("base", truth, truth, 4)
    with pytest.raises(RunError, match="base and long were tested on other utter"):
        compare_traits([base, system("long", np.arange(24.0), np.arange(24.0), 4)])
    with pytest.raises(RunError, match="20 utterances have another speaker or anno"):
        compare_traits([base, system("moved", truth, truth + 1, 4)])
    odd = TraitSystem("odd", base.rows, {"calm": truth[None]}, (0,), ())
    with pytest.raises(RunError, match=r"no trait was predicted by all \(base: val"):
        compare_traits([base, odd])
    with pytest.raises(RunError, match="predicted no trait"):
        trait_system([make_run(tmp_path, n_folds=2, n_speakers=4)])


def test_pairs_of_a_family_are_on_what_both_predicted() -> None:
    rng = np.random.default_rng(5)
    truth = rng.normal(0, 1, 200)
    noise = rng.normal(0, 1, (3, 200))
    one, two, third = truth + noise * [[0.4], [0.8], [0.6]]
    gaps = rng.random((2, 200)) < 0.4
    one[gaps[0]] = two[gaps[1]] = np.nan
    third[:150] = np.nan
    asked = [
        system(name, guess, truth, 10)
        for name, guess in (("b", two), ("a", one), ("c", third))
    ]

    found, other = compare_traits(asked)

    both = ~gaps.any(axis=0)
    by_hand = [concordance(truth[both], guess[both]) for guess in (one, two)]
    assert (found.n_utterances, found.n_annotated) == (both.sum(), 200)
    assert found.scores == pytest.approx(by_hand)
    assert other.n_utterances == (~gaps[1][150:]).sum()
    said = sentence(found)
    assert (
        f"({by_hand[0]:.3f} against {by_hand[1]:.3f}, over {both.sum()} of 200 "
        "annotated utterances that both predicted), p " in said
    )
    assert f"{float(f'{by_hand[0]:.3f}') - float(f'{by_hand[1]:.3f}'):+.2f}" in said


def test_a_trait_without_concordance_is_in_no_family() -> None:
    rng = np.random.default_rng(6)
    truth = rng.normal(0, 1, 240)
    base = system("base", truth + rng.normal(0, 1, 240), truth, 12)
    good = system("good", truth + rng.normal(0, 0.5, 240), truth, 12)
    none = system("none", np.full(240, np.nan), truth, 12)

    (alone,) = compare_traits([base, good])
    told, nothing = compare_traits([base, good, none])
    (only,) = compare_traits([base, none])

    assert (told.family, told.p_holm) == (1, alone.p_holm)
    assert np.isnan([nothing.test.p, nothing.p_holm, nothing.visible]).all()
    assert (nothing.verdict, only.family) == (UNKNOWN, 0)
    said = sentence(nothing)
    assert "concordance – (– against –, over 0 of 240 annotated utterances" in said
    assert "the concordance of none and of base does not exist there" in said
    assert "the family is without it" in said
    assert "nan" not in said
    assert "swaps" not in said
    assert notes(nothing) == ["0 test speakers, fewer than 8: no interval"]


@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e6])
def test_the_scale_of_a_trait_changes_nothing(scale: float) -> None:
    rng = np.random.default_rng(7)
    truth = rng.normal(3, 1, 120)
    guesses = truth + rng.normal(0, 1, (2, 120)) * [[0.3], [0.6]]
    plain = compare_traits(
        [system(str(i), g, truth, 12) for i, g in enumerate(guesses)]
    )

    (found,) = compare_traits(
        [system(str(i), scale * g, scale * truth, 12) for i, g in enumerate(guesses)]
    )

    assert found.scores == pytest.approx(plain[0].scores)
    assert found.test.p == plain[0].test.p
    assert found.visible == pytest.approx(plain[0].visible)
    ends = found.interval.low, found.interval.high
    assert ends == pytest.approx((plain[0].interval.low, plain[0].interval.high))


def test_values_that_never_vary_have_no_concordance() -> None:
    constant = np.full(40, 0.1)

    (found,) = compare_traits([system(name, constant, constant, 8) for name in "ab"])

    assert np.isnan(found.scores).all()
    assert np.isnan(concordance(constant, constant))


def test_what_could_have_been_seen_is_told() -> None:
    rng = np.random.default_rng(8)
    truth, who = rng.normal(0, 1, 300), np.arange(300) % 10
    one, two = truth + rng.normal(0, 1, (2, 300)) * [[0.9], [1.0]]
    base = system("b", two, truth, 10)

    (found,) = compare_traits([base, system("a", one, truth, 10)])

    def apart(kept: np.ndarray) -> float:
        scores = [concordance(truth[kept], guess[kept]) for guess in (one, two)]
        return scores[0] - scores[1]

    without = np.array([apart(who != speaker) for speaker in range(10)])
    error = np.sqrt(9 / 10 * ((without - without.mean()) ** 2).sum())
    power = 1 - stats.nct.cdf(stats.t.isf(0.025, 9), 9, found.visible / error)
    assert power == pytest.approx(0.8, abs=0.02)  # p of 10 speakers come in steps
    told = f"smallest true difference seen with 80 % power here: {found.visible:.3f}"
    assert notes(found) == [told]
    (few,) = compare_traits([system(n, truth, truth, 3) for n in "ab"])
    assert notes(few)[0] == "no difference, however large, could have been seen here"
