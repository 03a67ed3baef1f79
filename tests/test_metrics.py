"""Metrics against scikit-learn, audmetric and a table worked by hand."""

import audmetric
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from evaluation.metrics import score

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
