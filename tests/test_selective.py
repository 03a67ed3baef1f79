"""Risk and coverage against the definition, utterance by utterance."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.measures.metrics import score_run
from evaluation.measures.selective import risk_coverage, risk_coverage_of
from tests.runs import make_run
from tests.test_metrics import with_columns

ROWS = st.lists(
    st.tuples(st.floats(0, 1), st.booleans()),
    min_size=1,
    max_size=40,
    unique_by=lambda row: row[0],
)


@settings(max_examples=50, deadline=None)
@given(ROWS)
def test_without_ties_the_area_is_the_mean_risk(rows: list[tuple[float, bool]]) -> None:
    confidence = np.array([c for c, _ in rows])
    right = np.array([r for _, r in rows], float)

    curve = risk_coverage(confidence, right)

    assert curve is not None
    wrong = [not r for _, r in sorted(rows, reverse=True)]
    risks = [np.mean(wrong[: i + 1]) for i in range(len(wrong))]
    np.testing.assert_allclose(curve.risk, risks)
    np.testing.assert_allclose(curve.coverage, np.arange(1, len(rows) + 1) / len(rows))
    assert curve.area == pytest.approx(np.mean(risks))
    ideal = sorted(wrong)
    best = np.mean([np.mean(ideal[: i + 1]) for i in range(len(ideal))])
    assert curve.best == pytest.approx(best)
    assert curve.excess >= -1e-12


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=30))
def test_ties_share_a_point(rows: list[tuple[int, bool]]) -> None:
    confidence = np.array([c for c, _ in rows]) / 3
    right = np.array([r for _, r in rows], float)

    curve = risk_coverage(confidence, right)
    turned = risk_coverage(confidence[::-1], right[::-1])

    assert curve is not None and turned is not None
    assert curve.confidence.tolist() == sorted(set(confidence), reverse=True)
    for sure, coverage, risk in zip(
        curve.confidence, curve.coverage, curve.risk, strict=True
    ):
        assert coverage == pytest.approx((confidence >= sure).mean())
        assert risk == pytest.approx(1 - right[confidence >= sure].mean())
    assert curve.area == turned.area
    assert curve.area >= curve.best - 1e-12


def test_by_hand() -> None:
    curve = risk_coverage(np.array([0.9, 0.5, 0.5, 0.3]), np.array([1.0, 0, 1, 0]))

    assert curve is not None
    assert curve.coverage.tolist() == [0.25, 0.75, 1.0]
    np.testing.assert_allclose(curve.risk, [0, 1 / 3, 1 / 2])
    assert curve.area == pytest.approx(0.25 * 0 + 0.5 / 3 + 0.25 / 2)
    assert curve.best == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)


@pytest.mark.parametrize(("right", "area"), [(1.0, 0.0), (0.0, 1.0)])
def test_the_ends_of_the_area(right: float, area: float) -> None:
    curve = risk_coverage(np.linspace(0, 1, 10), np.full(10, right))

    assert curve is not None
    assert curve.area == pytest.approx(area)
    assert curve.best == pytest.approx(area)


def test_nothing_to_answer_has_no_curve(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_folds=2, n_speakers=4)

    assert risk_coverage(np.zeros(0), np.zeros(0)) is None
    assert risk_coverage_of(with_columns(run, label="")) is None


def test_of_a_run_variants_do_not_count(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_folds=2, n_speakers=4)
    degraded = np.arange(len(run.predictions)) % 3 == 0
    told = with_columns(run, variant=np.where(degraded, "degrade:noise#1", ""))

    curve = risk_coverage_of(told)

    assert curve is not None
    assert curve.coverage[-1] == 1
    assert curve.risk[-1] == pytest.approx(1 - score_run(told).war)
    assert len(curve.risk) == (~degraded).sum()
    assert curve.area < curve.risk[-1]
