"""Metrics against scikit-learn, audmetric and a table worked by hand."""

from pathlib import Path

import audmetric
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from contracts.run import Run
from evaluation.measures.metrics import (
    answers,
    classes_before,
    score,
    score_run,
    top_k,
)
from evaluation.statistics.mean_interval import top_k_interval
from evaluation.statistics.uncertainty import interval
from tests.runs import make_run

LABELS = ("a", "b", "c")


def one_hot(guess: list[str], labels: tuple[str, ...] = LABELS) -> np.ndarray:
    return np.eye(len(labels))[[labels.index(g) for g in guess]]


def test_by_hand() -> None:
    truth = ["a", "a", "a", "a", "b", "b"]
    guess = ["a", "a", "a", "b", "b", "a"]

    scores = score(truth, one_hot(guess), LABELS)

    assert scores.confusion.tolist() == [[3, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert scores.uar == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert scores.war == pytest.approx(4 / 6)
    assert scores.f1 == pytest.approx((2 * 3 / 8 + 2 * 1 / 4 + 0) / 3)
    assert np.isnan(scores.recall[2])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1)
)
def test_equal_to_oracles(pairs: list[tuple[str, str]]) -> None:
    truth, guess = [list(x) for x in zip(*pairs, strict=True)]

    scores = score(truth, one_hot(guess), LABELS)

    with np.errstate(all="ignore"):
        recall = oracle.recall_score(
            truth, guess, labels=list(LABELS), average=None, zero_division=0
        )
    present = [label in truth for label in LABELS]
    assert scores.uar == pytest.approx(recall[present].mean())
    assert scores.war == pytest.approx(oracle.accuracy_score(truth, guess))
    f1 = oracle.f1_score(
        truth, guess, labels=list(LABELS), average="macro", zero_division=0
    )
    assert scores.f1 == pytest.approx(f1)
    precision = oracle.precision_score(
        truth, guess, labels=list(LABELS), average=None, zero_division=0
    )
    np.testing.assert_allclose(scores.precision, precision)
    matrix = oracle.confusion_matrix(truth, guess, labels=list(LABELS))
    np.testing.assert_array_equal(scores.confusion, matrix)
    if all(present):
        uar = audmetric.unweighted_average_recall(truth, guess, list(LABELS))
        assert scores.uar == pytest.approx(uar)


def test_unlabelled_utterances_do_not_count() -> None:
    scores = score(["a", "", "b"], one_hot(["a", "b", "b"]), LABELS)

    assert scores.n == 2
    assert scores.war == 1.0


def test_nothing_to_score_is_not_a_number() -> None:
    scores = score([], np.zeros((0, 3)), LABELS)

    assert np.isnan(scores.uar)
    assert np.isnan(scores.war)


def with_columns(run: Run, **columns: object) -> Run:
    """Return a run whose prediction rows have these columns too, in memory alone."""
    again = Run(run.folder, run.record)
    vars(again)["predictions"] = run.predictions.assign(**columns)
    return again


PROBABILITIES = st.lists(
    st.tuples(
        st.integers(0, 3),
        # few values, so that many tie
        st.lists(st.integers(0, 4), min_size=4, max_size=4),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=100, deadline=None)
@given(PROBABILITIES, st.integers(1, 3))
def test_top_k_equals_scikit_learn_on_turned_columns(
    rows: list[tuple[int, list[int]]], k: int
) -> None:
    truth = np.array([t for t, _ in rows])
    told = np.array([p for _, p in rows], float)

    # there the last of equal classes goes first, here the first
    expected = oracle.top_k_accuracy_score(
        3 - truth, told[:, ::-1], k=k, labels=range(4)
    )

    assert top_k(truth, told, k).mean() == pytest.approx(expected)


def test_of_equal_probabilities_the_first_class_goes_first() -> None:
    told = np.array([[0.2, 0.4, 0.2, 0.2]])

    assert top_k(np.arange(4), told.repeat(4, axis=0)).tolist() == [1, 1, 0, 0]
    # the same rule as that of the confusion
    assert top_k(np.array([0]), np.full((1, 3), 1 / 3), k=1).tolist() == [1]


def test_top_k_is_not_known_without_a_label() -> None:
    told = np.eye(3)[[0, 1, 1]]

    found = top_k(np.array([0, -1, 2]), told, k=1)

    np.testing.assert_array_equal(found, [1, np.nan, 0])
    assert np.isnan(top_k(np.full(3, -1), told)).all()


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1)
)
def test_mean_precision_equals_audmetric(pairs: list[tuple[str, str]]) -> None:
    truth, guess = [list(x) for x in zip(*pairs, strict=True)]

    expected = audmetric.unweighted_average_precision(truth, guess, list(LABELS))

    found = score(truth, one_hot(guess), LABELS).mean_precision
    assert found == pytest.approx(expected)


def test_of_a_run_variants_do_not_count(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_folds=2, n_speakers=4)
    degraded = np.arange(len(run.predictions)) % 3 == 0
    told = with_columns(run, variant=np.where(degraded, "degrade:noise#1", ""))

    rows = answers(told)

    assert len(rows.truth) == (~degraded).sum()
    assert rows.votes is None
    labels = np.array(run.classes, object)
    expected = run.predictions["label"].to_numpy(object)[~degraded]
    np.testing.assert_array_equal(labels[rows.truth], expected)
    hits = classes_before(rows.truth, rows.probabilities)
    assert top_k_interval(told).value == pytest.approx((hits < 2).mean())
    assert top_k_interval(told, 1).value == pytest.approx(score_run(told).war)


def test_top_1_of_a_run_has_the_interval_of_its_accuracy(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_folds=2, n_speakers=12)

    one, two, war = top_k_interval(run, 1), top_k_interval(run), interval(run, "war")

    # other resamples of the same speakers
    assert (one.low, one.high) == pytest.approx((war.low, war.high), abs=0.02)
    assert one.value < two.value < two.high <= 1
    assert one.n_speakers == 12
    few = top_k_interval(make_run(tmp_path, n_folds=2, n_speakers=7))
    assert np.isnan(few.low)
    assert few.note == "7 test speakers, fewer than 8: no interval"
    unlabelled = top_k_interval(with_columns(run, label=""))
    assert np.isnan(unlabelled.value)


def test_votes_of_a_run_stand_in_the_order_of_its_labels(tmp_path: Path) -> None:
    run = make_run(tmp_path, labels=("b", "a", "c"), n_folds=2, n_speakers=4)
    told = with_columns(run, **{"vote:a": 0.75, "vote:b": 0.25})

    votes = answers(told).votes

    assert votes is not None
    assert votes[0].tolist() == [0.25, 0.75, 0.0]


def test_what_has_no_probabilities_does_not_count() -> None:
    told = np.array([[0.9, 0.1], [np.nan, np.nan], [0.2, 0.8]])

    scores = score(["a", "a", "b"], told, ("a", "b"))

    assert scores.n == 2
    assert scores.uar == 1
