"""Metrics against votes: scipy's, and values worked by hand."""

from dataclasses import asdict
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import distance

from contracts.errors import RunError
from evaluation.measures.annotators import annotators_of, leave_one_out
from evaluation.measures.divergence import jensen_shannon, kl
from evaluation.measures.rank_agreement import (
    attainable,
    entropy,
    tau,
    tau_b,
    tau_by_entropy,
    tau_of_few,
)
from evaluation.measures.soft_labels import (
    soft_intervals_of,
    soft_scores,
    soft_scores_of,
    tau_by_entropy_of,
)
from evaluation.measures.vote_shares import exact_set, shares_of, top_k
from evaluation.statistics.mean_interval import mean_interval, mean_intervals
from evaluation.statistics.uncertainty import limits
from tests.runs import make_run
from tests.test_metrics import with_columns

K = 4
PARTS = ("tau", "tau_of_few")
NOBODY = np.full(9, "", object)  # of no speaker known
COUNTS = st.lists(st.integers(0, 4), min_size=K, max_size=K).filter(any)
# few values, so that probabilities tie and some are 0
TABLES = st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=12)


def both(rows: list[tuple[list[int], list[int]]]) -> tuple[np.ndarray, np.ndarray]:
    votes, told = (np.array(side, float) for side in zip(*rows, strict=True))
    return shares_of(votes), shares_of(told)


def told_of(votes: np.ndarray, told: np.ndarray) -> dict[str, float]:
    """Return all numbers of the scores by name."""
    scores = soft_scores(votes, told)
    assert scores is not None
    flat = asdict(scores)
    parts = {f"{part}.{k}": v for part in PARTS for k, v in flat.pop(part).items()}
    return flat | parts


@settings(max_examples=40, deadline=None)
@given(TABLES)
def test_tau_equals_scipy(rows: list[tuple[list[int], list[int]]]) -> None:
    votes, told = both(rows)

    expected = [
        scipy.stats.kendalltau(v, p).statistic for v, p in zip(votes, told, strict=True)
    ]

    np.testing.assert_allclose(tau_b(votes, told), expected, atol=1e-12)
    whole = tau(votes, told)
    assert whole.n_undefined == np.isnan(expected).sum()
    assert whole.n + whole.n_undefined == len(votes)
    if whole.n:
        assert whole.mean == pytest.approx(np.nanmean(expected))


@settings(max_examples=30, deadline=None)
@given(COUNTS, COUNTS)
def test_no_order_of_the_probabilities_reaches_more_than_the_attainable(
    votes: list[int], told: list[int]
) -> None:
    orders = np.array(list(permutations(told)), float)
    same = np.tile(np.array(votes, float), (len(orders), 1))

    most = attainable(same[:1], orders[:1])[0]

    every = tau_b(same, orders)
    if np.isnan(most):
        assert np.isnan(every).all()
    else:
        assert most == pytest.approx(every.max())


@pytest.mark.parametrize("n_classes", [4, 6, 8])
def test_one_vote_for_one_class_caps_tau(n_classes: int) -> None:
    votes = np.eye(n_classes)[:1]
    told = np.linspace(1, 0, n_classes)[None]  # the right class first

    found = tau(votes, told)

    assert found.attainable == pytest.approx(np.sqrt(2 / n_classes))
    assert found.mean == pytest.approx(found.attainable)
    assert found.share == pytest.approx(1.0)


def test_share_is_the_mean_of_shares() -> None:
    votes = np.array([[1.0, 0, 0], [0.6, 0.3, 0.1], [1 / 3, 1 / 3, 1 / 3]])
    told = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.5, 0.3, 0.2]])

    found = tau(votes, told)

    assert (found.n, found.n_undefined) == (2, 1)
    assert found.share == pytest.approx((1 - 1) / 2)
    assert found.mean == pytest.approx((np.sqrt(2 / 3) - 1) / 2)


@settings(max_examples=40, deadline=None)
@given(TABLES)
def test_tau_of_few_is_scipy_over_the_classes_above(
    rows: list[tuple[list[int], list[int]]],
) -> None:
    votes, told = both(rows)
    chosen = [(v[v > 0.2], p[v > 0.2]) for v, p in zip(votes, told, strict=True)]
    several = [(v, p) for v, p in chosen if len(v) >= 2]
    expected = np.array([scipy.stats.kendalltau(v, p).statistic for v, p in several])

    found = tau_of_few(votes, told)

    assert found.n_single == len(votes) - len(several)
    assert found.n_undefined == np.isnan(expected).sum()
    assert found.n == (~np.isnan(expected)).sum()
    if found.n:
        assert found.mean == pytest.approx(np.nanmean(expected))


@settings(max_examples=40, deadline=None)
@given(TABLES)
def test_divergences_equal_scipy(rows: list[tuple[list[int], list[int]]]) -> None:
    votes, told = both(rows)

    np.testing.assert_allclose(
        kl(votes, told), scipy.stats.entropy(votes, told, axis=1), atol=1e-12
    )
    np.testing.assert_allclose(
        jensen_shannon(votes, told),
        distance.jensenshannon(votes, told, base=2, axis=1) ** 2,
        atol=1e-9,
    )
    np.testing.assert_allclose(
        entropy(votes), scipy.stats.entropy(votes, base=2, axis=1), atol=1e-12
    )


def test_scores_by_hand() -> None:
    votes = np.array(
        [
            [3, 1, 0],  # first class, and the model says so
            [2, 2, 0],  # tied: either is right
            [0, 1, 4],  # the model has it second; 0.2 is not above 0.2
            [0, 0, 0],  # nobody voted
        ]
    )
    told = np.array([[0.6, 0.4, 0], [0.1, 0.6, 0.3], [0.7, 0.1, 0.2], [1, 0, 0]])

    scores = soft_scores(votes, told)

    assert scores is not None
    assert (scores.n, scores.n_voteless, scores.n_tied) == (3, 1, 1)
    assert scores.top1 == pytest.approx(2 / 3)
    assert scores.top2 == 1.0
    assert scores.agreement == pytest.approx((0.75 + 0.5 + 0) / 3)
    assert scores.ceiling == pytest.approx((0.75 + 0.5 + 0.8) / 3)
    assert scores.exact_set == pytest.approx(1 / 3)
    assert scores.n_infinite == 0
    assert scores.kl == pytest.approx(scores.finite_kl)


def test_of_equal_probabilities_the_first_class_goes_first() -> None:
    told = np.array([[0.4, 0.3, 0.3], [0.2, 0.4, 0.4]])

    second = top_k(np.array([[0, 1.0, 0], [0, 1.0, 0]]), told, 2)
    third = top_k(np.array([[0, 0, 1.0], [0, 0, 1.0]]), told, 2)
    first = top_k(np.array([[0, 1.0, 0], [0, 0, 1.0]]), told, 1)

    assert second.tolist() == [1, 1]
    assert third.tolist() == [0, 1]
    assert first.tolist() == [0, 0]


def test_shares_made_by_adding_tie_as_they_should() -> None:
    # 0.1 + 0.2 is not 0.3, and three tenths of a half are not 0.15 exactly
    votes = np.array([[0.1 + 0.2, 0.3, 0.4 - 1e-17], [0.2 + 1e-16, 0.5, 0.3 - 1e-16]])
    told = np.array([[0.3, 0.3, 0.4], [0.1, 0.5, 0.4]])

    scores = soft_scores(votes, told)

    assert scores is not None
    assert scores.tau.mean == pytest.approx(
        (1 + scipy.stats.kendalltau([2, 5, 3], [1, 5, 4]).statistic) / 2
    )
    assert exact_set(votes, told).tolist() == [1, 1]


def test_a_class_held_impossible_makes_the_divergence_infinite_and_is_counted() -> None:
    votes = np.array([[1, 1], [1, 0]])
    told = np.array([[1.0, 0.0], [0.5, 0.5]])

    scores = soft_scores(votes, told)

    assert scores is not None
    assert scores.kl == np.inf
    assert scores.n_infinite == 1
    assert scores.finite_kl == pytest.approx(np.log(2))


def test_counts_and_shares_score_alike() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 4, (50, K)) + np.eye(K, dtype=int)[0]
    told = rng.dirichlet(np.ones(K), 50)

    assert told_of(counts, told) == pytest.approx(told_of(shares_of(counts), told))


def test_votes_must_be_votes() -> None:
    bad = np.array([[1, -1], [np.nan, 1], [1, 0]])

    with pytest.raises(RunError, match=r"2 of 3 utterances .* Give zeros"):
        soft_scores(bad, np.full((3, 2), 0.5))


def test_histogram_counts_every_utterance_once() -> None:
    rng = np.random.default_rng(1)
    votes = shares_of(rng.multinomial(3, np.ones(8) / 8, 300).astype(float))
    votes[:2] = np.eye(8)[0], np.full(8, 1 / 8)
    told = rng.dirichlet(np.ones(8), 300)
    told[0] = np.linspace(0.3, 0.1, 8)  # the very cap, sqrt(2 / 8)

    found = tau_by_entropy(votes, told)

    each = tau_b(votes, told)
    assert found.n_undefined == np.isnan(each).sum() == 1
    assert found.counts.sum() == found.n.sum() == 299
    np.testing.assert_array_equal(found.counts.sum(axis=1), found.n)
    edges = np.searchsorted(found.entropy_edges, entropy(votes), side="right") - 1
    for i in np.flatnonzero(found.n):
        assert found.mean[i] == pytest.approx(np.nanmean(each[edges == i]))
    row = found.counts[0]  # unanimous: 0.5 is in the bin from 0.5
    assert found.tau_edges[np.flatnonzero(row).max()] <= 0.5


def test_annotators_by_hand() -> None:
    # three agree with two of the others, the lone one with none
    counts = np.array([[3, 1], [2, 0], [1, 0], [0, 0], [1, 1]])

    found = leave_one_out(counts, NOBODY[:5])

    assert found is not None
    assert (found.n, found.n_lone) == (3, 1)
    assert found.top1.value == pytest.approx((3 / 4 + 1 + 0) / 3)
    assert found.agreement.value == pytest.approx((3 / 6 + 1 + 0) / 3)


def test_annotators_have_the_interval_of_the_speakers_they_heard() -> None:
    rng = np.random.default_rng(0)
    counts = rng.multinomial(3, [0.6, 0.3, 0.1], 200)
    counts[::9] = [1, 0, 0]  # one annotator alone
    who = np.tile([f"s{i}" for i in range(10)], 20).astype(object)
    counts[who < "s3"] = [1, 1, 1]  # three speakers nobody agrees on

    found = leave_one_out(counts, who)

    assert found is not None
    several = counts.sum(axis=1) >= 2
    pairs = (counts * (counts - 1)).sum(axis=1)[several] / 6
    assert found.agreement.value == pytest.approx(pairs.mean())
    alone = mean_interval(pairs, who[several])
    ends = [found.agreement.low, found.agreement.high]
    assert ends == pytest.approx([alone.low, alone.high], abs=0.03)
    assert found.top1.low < found.top1.value < found.top1.high


@settings(max_examples=40, deadline=None)
@given(st.lists(COUNTS, min_size=1, max_size=6))
def test_annotators_equal_leaving_each_out(rows: list[list[int]]) -> None:
    top1, agreement = [], []
    for row in rows:
        chosen = [k for k, n in enumerate(row) for _ in range(n)]
        if len(chosen) < 2:
            continue
        right, pairs = [], []
        for i, k in enumerate(chosen):
            others = chosen[:i] + chosen[i + 1 :]
            most = max(others.count(c) for c in others)
            right.append(others.count(k) == most)
            pairs.append(others.count(k) / len(others))
        top1.append(np.mean(right))
        agreement.append(np.mean(pairs))

    found = leave_one_out(np.array(rows), NOBODY[: len(rows)])

    if not top1:
        assert found is None
    else:
        assert found is not None
        assert found.top1.value == pytest.approx(np.mean(top1))
        assert found.agreement.value == pytest.approx(np.mean(agreement))


def test_annotators_must_be_counted() -> None:
    with pytest.raises(RunError, match="Give counts, not shares"):
        leave_one_out(np.array([[0.5, 0.5]]), NOBODY[:1])


def test_a_run_without_votes_has_no_scores(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_folds=2, n_speakers=4)

    assert soft_scores_of(run) is None
    assert tau_by_entropy_of(run) is None
    assert annotators_of(run) == (None, "the utterances have no votes")
    voteless = with_columns(run, **{"vote:happy": 0.0})
    assert soft_scores_of(voteless) is None
    assert soft_intervals_of(run) == soft_intervals_of(voteless) == {}
    assert tau_by_entropy_of(voteless) is None


def test_of_a_run_variants_do_not_count(tmp_path: Path) -> None:
    run = make_run(tmp_path, labels=("a", "b", "c"), n_folds=2, n_speakers=4)
    n = len(run.predictions)
    counts = np.random.default_rng(0).multinomial(5, [0.5, 0.3, 0.2], n)
    degraded = np.arange(n) % 3 == 0
    told = with_columns(
        run,
        **{f"vote:{c}": counts[:, i] / 5 for i, c in enumerate("abc")},
        variant=np.where(degraded, "degrade:noise#1", ""),
    )

    kept = counts[~degraded], run.probabilities[~degraded]
    assert soft_scores_of(told) == soft_scores(*kept)
    intervals = soft_intervals_of(told)
    whole = told_of(*kept)
    for name, found in intervals.items():
        value = whole[f"{name}.mean"] if name in PARTS else whole[name]
        assert found.value == pytest.approx(value)
        assert found.n_speakers == 4 and np.isnan(found.low)
    assert set(intervals) <= {*whole, *PARTS}
    by_entropy = tau_by_entropy_of(told)
    assert by_entropy is not None
    assert by_entropy.n.sum() + by_entropy.n_undefined == (~degraded).sum()
    reference, why = annotators_of(told)
    assert reference is None
    assert "column trait:annotators" in why
    counted = with_columns(told, **{"trait:annotators": 5.0})
    reference, why = annotators_of(counted)
    people = counted.predictions["speaker"].to_numpy(object)[~degraded]
    wanted = leave_one_out(counts[~degraded], people)
    assert reference is not None and wanted is not None and not why
    assert reference.top1.value == pytest.approx(wanted.top1.value)
    assert reference.top1.n_speakers == 4
    assert reference.n == wanted.n
    wrong = with_columns(told, **{"trait:annotators": 4.0})
    reference, why = annotators_of(wrong)
    assert reference is None
    assert "no whole numbers" in why


def test_rows_without_probabilities_are_left_out_of_what_is_said_of_votes(
    tmp_path: Path,
) -> None:
    asked: dict[str, Any] = {"labels": ("a", "b", "c"), "more": {"threshold": True}}
    run = make_run(tmp_path, n_folds=2, n_speakers=9, **asked)
    n = len(run.predictions)
    counts = np.random.default_rng(0).multinomial(5, [0.5, 0.3, 0.2], n)
    known = np.arange(n) % 3 > 0
    told = with_columns(
        run,
        **{f"vote:{c}": counts[:, i] / 5 for i, c in enumerate("abc")},
        **{f"p:{c}": np.where(known, run.predictions[f"p:{c}"], np.nan) for c in "abc"},
        **{"trait:annotators": 5.0},
    )
    for fold in told.record["folds"]:
        fold["chosen"] = {"threshold": 0.2 + 0.2 * fold["index"]}

    found, intervals = soft_scores_of(told), soft_intervals_of(told)
    people, why = annotators_of(told)

    above = 0.2 + 0.2 * told.predictions["fold"].to_numpy()
    shares, said = counts[known] / 5, run.probabilities[known]
    wanted = exact_set(shares, said, told_above=above[known]).mean()
    assert found is not None
    assert found.exact_set_chosen == pytest.approx(wanted)
    assert intervals["exact_set_chosen"].value == pytest.approx(wanted)
    who = run.predictions["speaker"].to_numpy(object)[known]
    assert (people, why) == (leave_one_out(counts[known], who), "")


def test_the_interval_of_a_mean_is_that_of_resampled_speakers() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(5, 40, 12)  # speakers count by their utterances
    speakers = np.repeat([f"s{i:02d}" for i in range(12)], sizes).astype(object)
    values = rng.normal(0, 1, len(speakers)) + np.repeat(rng.normal(0, 1, 12), sizes)
    values[::7] = np.nan

    found = mean_interval(values, speakers)

    draws = []
    for _ in range(1500):
        drawn = [values[speakers == f"s{d:02d}"] for d in rng.choice(12, 12)]
        draws.append(np.nanmean(np.concatenate(drawn)))
    ends = limits(np.array(draws), 12).tolist()
    assert found.value == pytest.approx(np.nanmean(values))
    assert [found.low, found.high] == pytest.approx(ends, abs=0.08)
    assert found.n_speakers == 12


def test_several_means_are_each_as_if_alone() -> None:
    rng = np.random.default_rng(0)
    speakers = np.repeat([f"s{i:02d}" for i in range(10)], 30).astype(object)
    values = rng.normal(0, 1, (300, 3)) + np.repeat(rng.normal(0, 1, (10, 3)), 30, 0)
    values[5, 0], values[7, 2] = np.nan, np.inf

    first, second, third = mean_intervals(values, speakers)

    kept = np.arange(300) != 5  # what one does not know counts for none
    for i, one in enumerate((first, second)):
        alone = mean_interval(values[kept, i], speakers[kept])
        assert one.value == pytest.approx(alone.value)
        assert [one.low, one.high] == pytest.approx([alone.low, alone.high], abs=0.08)
    assert third.value == np.inf and np.isnan(third.low)
    assert third.note == "1 utterance without a finite value: no interval"


def test_numbers_against_votes_have_intervals_of_those_who_have_them(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path, labels=("a", "b", "c"), n_folds=2, n_speakers=12)
    own = (run.predictions["speaker"] < "ravdess/08").to_numpy()
    counts = np.random.default_rng(0).multinomial(5, [0.5, 0.3, 0.2], len(own))
    counts[~own] = [5, 0, 0]  # seven speakers have utterances with several labels
    told = with_columns(run, **{f"vote:{c}": counts[:, i] for i, c in enumerate("abc")})

    found, scores = soft_intervals_of(told), soft_scores_of(told)

    assert scores is not None
    assert found["tau_of_few"].value == pytest.approx(scores.tau_of_few.mean)
    assert found["tau_of_few"].n_speakers == 7
    assert np.isnan(found["tau_of_few"].low)
    for name in ("top1", "top2", "agreement", "tau", "exact_set", "jensen_shannon"):
        one = found[name]
        assert one.n_speakers == 12
        assert one.low < one.value < one.high
    assert found["finite_kl"] == found["kl"]
    never = run.predictions["p:a"].where(own, 0.0)
    some = with_columns(told, **{"p:a": never})
    assert "without a finite value" in soft_intervals_of(some)["kl"].note
    partly, whole = soft_intervals_of(some)["finite_kl"], soft_scores_of(some)
    assert whole is not None and whole.n_infinite == (~own).sum()
    assert partly.value == pytest.approx(whole.finite_kl)
    assert partly.n_speakers == 7


def test_a_mean_without_an_interval_says_why() -> None:
    speakers = np.array([f"s{i}" for i in range(9)] + [""], object)
    values = np.arange(10.0)

    unknown = mean_interval(values, speakers)
    infinite = mean_interval(np.append(values[:8], np.inf), speakers[:9])
    nothing = mean_interval(np.full(9, np.nan), speakers[:9])
    whole = mean_interval(values[:9], speakers[:9])

    assert "no speaker is known of 1 utterance:" in unknown.note
    assert infinite.note == "1 utterance without a finite value: no interval"
    assert "0 test speakers" in nothing.note and np.isnan(nothing.value)
    assert not whole.note and whole.low < whole.value < whole.high
