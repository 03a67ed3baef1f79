"""Traits against audmetric, scipy and values worked by hand."""

from pathlib import Path

import audmetric
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import RunError
from evaluation.measures.traits import (
    concordance,
    concordance_interval,
    pearson,
    spearman,
    trait_scores,
    traits_of,
)
from evaluation.statistics.uncertainty import limits
from tests.runs import make_run
from tests.test_metrics import with_columns

VALUE = st.floats(-50, 50).map(lambda x: round(x, 1))  # rounded, so that some tie
PAIRS = st.lists(st.tuples(VALUE, VALUE), min_size=2, max_size=30)


def columns(pairs: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    truth, guess = np.array(pairs).T
    return truth, guess


@settings(max_examples=50, deadline=None)
@given(PAIRS)
def test_concordance_equals_audmetric(pairs: list[tuple[float, float]]) -> None:
    truth, guess = columns(pairs)

    expected = audmetric.concordance_cc(truth, guess)

    assert concordance(truth, guess) == pytest.approx(expected, abs=1e-9, nan_ok=True)


@settings(max_examples=50, deadline=None)
@given(PAIRS.filter(lambda p: all(len(set(side)) > 1 for side in zip(*p, strict=True))))
def test_correlations_equal_scipy_and_audmetric(
    pairs: list[tuple[float, float]],
) -> None:
    truth, guess = columns(pairs)

    of_values = scipy.stats.pearsonr(truth, guess).statistic
    of_ranks = scipy.stats.spearmanr(truth, guess).statistic

    assert pearson(truth, guess) == pytest.approx(of_values, abs=1e-9)
    assert pearson(truth, guess) == pytest.approx(
        audmetric.pearson_cc(truth, guess), abs=1e-9
    )
    assert spearman(truth, guess) == pytest.approx(of_ranks, abs=1e-9)


def test_by_hand() -> None:
    truth, guess = [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]

    assert pearson(truth, guess) == pytest.approx(1.0)
    assert spearman(truth, guess) == pytest.approx(1.0)
    # 2 * (2/3) / (2/3 + 2/3 + 1): shifted by one, so not concordant
    assert concordance(truth, guess) == pytest.approx((4 / 3) / (7 / 3))
    assert concordance(truth, truth) == pytest.approx(1.0)


def test_what_is_not_known_counts_nowhere_and_is_counted() -> None:
    nan = float("nan")

    speakers = np.array(list("aabbc"), object)

    scores = trait_scores("valence", [1, 2, nan, 4, 5], [1.5, nan, 3, 3.5, 5], speakers)

    assert (scores.n, scores.n_unknown) == (3, 2)
    assert scores.concordance == pytest.approx(
        audmetric.concordance_cc([1, 4, 5], [1.5, 3.5, 5])
    )


@pytest.mark.parametrize("values", [[], [1.0], [0.1, 0.1, 0.1]])
def test_a_coefficient_that_does_not_exist_is_not_a_number(values: list[float]) -> None:
    others = [float(i) for i in range(len(values))]

    assert np.isnan(pearson(values, others))
    assert np.isnan(spearman(values, others))
    assert np.isnan(concordance(values, values))


def test_the_interval_is_that_of_resampled_speakers() -> None:
    rng = np.random.default_rng(0)
    speakers = np.repeat([f"s{i}" for i in range(10)], 20).astype(object)
    shift = np.repeat(rng.normal(0, 0.6, 10), 20)
    truth = rng.normal(1000, 1, 200)
    guess = truth + shift + rng.normal(0, 0.5, 200)
    truth[0] = float("nan")

    found = concordance_interval(truth, guess, speakers)

    draws = []
    for _ in range(2000):
        drawn = rng.choice(10, 10)
        rows = np.concatenate([np.arange(20 * d, 20 * d + 20) for d in drawn])
        draws.append(concordance(truth[rows], guess[rows]))
    ends = limits(np.array(draws), 10)
    assert found.value == concordance(truth, guess)
    assert found.n_speakers == 10
    assert [found.low, found.high] == pytest.approx(ends.tolist(), abs=0.02)
    few = concordance_interval(truth[:140], guess[:140], speakers[:140])
    assert np.isnan(few.low) and "7 test speakers, fewer than 8" in few.note


def test_lengths_must_agree() -> None:
    with pytest.raises(RunError, match=r"\(3,\) and \(2,\)\. Give both"):
        concordance([1, 2, 3], [1, 2])


def test_a_run_without_predicted_traits_has_no_scores(tmp_path: Path) -> None:
    assert traits_of(make_run(tmp_path, n_folds=2, n_speakers=4)) is None


def test_of_a_run_variants_do_not_count(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_folds=2, n_speakers=4)
    n = len(run.predictions)
    rng = np.random.default_rng(0)
    truth = rng.normal(3, 1, n)
    guess = truth + rng.normal(0, 0.5, n)
    degraded = np.arange(n) % 4 == 0
    guess[degraded] = -100
    told = with_columns(
        run,
        **{
            "trait:valence": truth,
            "predicted:valence": guess,
            "trait:activation": pd.Series(["", "2"] * (n // 2)),
            "predicted:activation": guess,
            "predicted:dominance": guess,
            "variant": np.where(degraded, "degrade:noise#1", ""),
        },
    )

    scores = traits_of(told)

    assert scores is not None
    found = {s.trait: s for s in scores}
    assert list(found) == ["valence", "activation", "dominance"]
    assert found["valence"].n == (~degraded).sum()
    assert found["valence"].interval.value == found["valence"].concordance
    assert found["valence"].interval.n_speakers == 4
    assert found["valence"].concordance == pytest.approx(
        audmetric.concordance_cc(truth[~degraded], guess[~degraded])
    )
    # text: every second value is a number
    assert found["activation"].n == n // 2
    assert found["dominance"].n == 0
    assert np.isnan(found["dominance"].concordance)
