"""Calibration and temperatures: scikit-learn's, and data of known truth."""

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from contracts.errors import RunError
from evaluation.measures.calibration import (
    brier,
    calibration,
    calibration_of,
    error_interval,
    nll,
)
from evaluation.measures.metrics import Answers
from evaluation.measures.reliability import (
    BINS,
    confidences,
    equal_mass_bins,
    perfect_errors,
    reliability,
)
from evaluation.measures.temperature import (
    FLOOR,
    RANGE,
    apply_temperature,
    cross_fitted_temperature,
    fit_temperature,
)
from evaluation.statistics.uncertainty import limits
from tests.runs import make_run
from tests.test_metrics import with_columns

K = 4


def drawn(n: int, sharpness: float = 1.0, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Draw truth from true probabilities; those told are sharper, or flatter."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.standard_normal((n, K))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (true.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, K - 1)
    told = np.exp(sharpness * logits)
    return truth, told / told.sum(axis=1, keepdims=True)


def answers_of(
    truth: np.ndarray, told: np.ndarray, n_speakers: int, unknown: int = 0
) -> Answers:
    speakers = np.array([f"s{i % n_speakers:02d}" for i in range(len(truth))], object)
    speakers[:unknown] = ""
    return Answers(tuple("abcd"), truth, told, speakers, None, truth > -2)


ROWS = st.lists(
    st.tuples(
        st.integers(0, K - 1), st.lists(st.integers(1, 9), min_size=K, max_size=K)
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_brier_and_likelihood_equal_scikit_learn(
    rows: list[tuple[int, list[int]]],
) -> None:
    truth = np.array([t for t, _ in rows])
    told = np.array([p for _, p in rows], float)
    told /= told.sum(axis=1, keepdims=True)

    expected = oracle.brier_score_loss(
        truth, told, labels=range(K), scale_by_half=False
    )

    assert brier(truth, told) == pytest.approx(expected)
    log_loss = oracle.log_loss(truth, told, labels=range(K))
    assert nll(truth, told) == pytest.approx(log_loss)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_brier_of_two_classes_is_twice_scikit_learns(
    rows: list[tuple[int, float]],
) -> None:
    truth = np.array([t for t, _ in rows])
    second = np.array([p for _, p in rows])

    expected = oracle.brier_score_loss(truth, second, labels=[0, 1])

    told = np.column_stack([1 - second, second])
    assert brier(truth, told) == pytest.approx(2 * expected)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60, unique=True))
def test_bins_hold_equally_many(values: list[float]) -> None:
    confidence = np.array(values)

    bins = equal_mass_bins(confidence)

    sizes = np.bincount(bins, minlength=BINS)
    assert sizes.max() - sizes.min() <= 1
    assert (np.diff(bins[np.argsort(confidence)]) >= 0).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_equal_confidences_are_in_one_bin(values: list[int]) -> None:
    confidence = np.array(values) / 5

    bins = equal_mass_bins(confidence)

    for value in set(confidence):
        assert len(set(bins[confidence == value])) == 1
    assert set(bins) <= set(range(BINS))


def test_error_by_hand() -> None:
    confidence = np.array([0.5, 0.9, 0.6, 1.0])
    right = np.array([1.0, 1.0, 0.0, 0.0])

    found = reliability(confidence, right, equal_mass_bins(confidence, 2))

    assert found.n.tolist() == [2, 2]
    assert found.lowest.tolist() == [0.5, 0.9]
    assert found.highest.tolist() == [0.6, 1.0]
    np.testing.assert_allclose(found.confidence, [0.55, 0.95])
    np.testing.assert_allclose(found.accuracy, [0.5, 0.5])
    assert found.error == pytest.approx((0.05 + 0.45) / 2)
    uneven = reliability(confidence, right, np.array([0, 1, 1, 1]))
    assert uneven.error == pytest.approx((0.5 + 1.5) / 4)


def test_the_simulated_error_is_that_of_calibrated_models() -> None:
    _, told = drawn(300)
    confidence = told.max(axis=1)
    bins = equal_mass_bins(confidence)

    simulated = perfect_errors(confidence, bins)

    real = []
    for seed in range(300):
        rng = np.random.default_rng([7, seed])
        right = (rng.random(300) < confidence).astype(float)
        real.append(reliability(confidence, right, bins).error)
    assert simulated.mean() == pytest.approx(np.mean(real), rel=0.05)
    assert np.quantile(simulated, 0.95) == pytest.approx(
        np.quantile(real, 0.95), rel=0.1
    )
    np.testing.assert_array_equal(simulated, perfect_errors(confidence, bins))


def test_a_calibrated_model_is_told_from_one_that_is_too_sure() -> None:
    good = calibration(answers_of(*drawn(1200), 24))
    sure = calibration(answers_of(*drawn(1200, sharpness=2.5), 24))

    assert good is not None and sure is not None
    assert good.error.value <= good.perfect_95
    assert good.error.value == pytest.approx(good.reliability.error)
    assert good.error.low == 0
    assert "opened down to 0" in good.error.note
    assert sure.error.value > 2 * sure.perfect_95
    assert 0 < sure.perfect_95 < sure.error.low < sure.error.value < sure.error.high
    assert not sure.error.note
    assert sure.fitted_error < sure.error.value / 2
    assert sure.fitted_nll < sure.nll.value
    assert sure.error.value == pytest.approx(sure.reliability.error)


@pytest.mark.parametrize(("n_speakers", "interval"), [(7, False), (8, True)])
def test_below_eight_speakers_there_is_no_interval(
    n_speakers: int, interval: bool
) -> None:
    found = calibration(answers_of(*drawn(200), n_speakers))

    assert found is not None
    for one in (found.error, found.brier, found.nll):
        assert one.n_speakers == n_speakers
        assert math.isnan(one.high) != interval
        assert ("fewer than 8" in one.note) != interval


def test_unknown_speakers_give_no_interval() -> None:
    found = calibration(answers_of(*drawn(200), 12, unknown=3))

    assert found is not None
    for one in (found.error, found.brier, found.nll):
        assert math.isnan(one.high)
        assert one.note.startswith("no speaker is known of 3 utterances")
        assert one.n_speakers == 12


def test_brier_and_likelihood_have_the_interval_of_resampled_speakers() -> None:
    rng = np.random.default_rng(0)
    truth, told = drawn(1200)
    weak = np.arange(1200) % 12 < 4  # a third of the speakers are heard wrongly
    told[weak] = rng.dirichlet(np.ones(K), weak.sum())
    rows = answers_of(truth, told, 12)

    found = calibration(rows)

    assert found is not None
    for score, one in ((brier, found.brier), (nll, found.nll)):
        each = [
            score(truth[rows.speakers == s], told[rows.speakers == s])
            for s in sorted(set(rows.speakers))
        ]
        draws = np.mean(rng.choice(each, (4000, 12)), axis=1)  # 100 utterances each
        ends = limits(draws, 12).tolist()
        assert [one.low, one.high] == pytest.approx(ends, rel=0.03)
        assert one.value == pytest.approx(score(truth, told))


def test_the_interval_resamples_speakers_not_utterances() -> None:
    confidence = np.full(600, 0.5)
    speakers = np.repeat([f"s{i:02d}" for i in range(20)], 30).astype(object)
    bins = np.zeros(600, int)
    apart = np.repeat([1.0, 1.0, 1.0, 0.0] * 5, 30)  # each speaker all right or wrong
    mixed = np.tile([1.0, 1.0, 1.0, 0.0], 150)

    wide = error_interval(confidence, apart, bins, speakers, 0.0)
    narrow = error_interval(confidence, mixed, bins, speakers, 0.0)

    assert wide.value == narrow.value == pytest.approx(0.25)
    assert wide.high - wide.low > 5 * (narrow.high - narrow.low)


def test_the_lower_end_makes_good_for_the_excess_of_resamples() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 1, 240)
    right = (rng.random(240) < 0.8 * confidence).astype(float)
    speakers = np.repeat([f"s{i:02d}" for i in range(24)], 10).astype(object)
    bins = equal_mass_bins(confidence)

    found = error_interval(confidence, right, bins, speakers, 0.0)

    gaps = np.zeros((24, BINS))
    np.add.at(gaps, (np.repeat(range(24), 10), bins), right - confidence)
    drawn = np.array([gaps[rng.choice(24, 24)].sum(axis=0) for _ in range(4000)])
    errors = np.abs(drawn).sum(axis=1) / 240
    low, high = limits(errors, 24)
    assert found.high == pytest.approx(high, abs=0.01)
    excess = errors.mean() - found.value
    assert excess > 0.01
    assert found.low == pytest.approx(low - 2 * excess, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("slope", [1.0, 0.9, 0.7, 0.5])
def test_the_interval_holds_the_truth_at_its_rate(slope: float) -> None:
    def draw(n_speakers: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        z = rng.normal(0, 1, (n_speakers, 60))
        told = 0.3 + 0.7 / (1 + np.exp(-z))
        logit = np.log(told / (1 - told)) * slope + rng.normal(0, 0.2, (n_speakers, 1))
        true = 1 / (1 + np.exp(-logit))
        return told.ravel(), (rng.random(true.shape) < true).astype(float).ravel()

    rng = np.random.default_rng(3)
    many = draw(40_000, rng)
    truth = reliability(*many, equal_mass_bins(many[0])).error
    speakers = np.repeat([f"s{i:02d}" for i in range(24)], 60).astype(object)
    held = 0
    for _ in range(200):
        told, right = draw(24, rng)
        bins = equal_mass_bins(told)
        most = float(np.quantile(perfect_errors(told, bins, 200), 0.95))
        found = error_interval(told, right, bins, speakers, most)
        held += found.low <= truth <= found.high
    assert held / 200 >= 0.85


def test_of_a_run_variants_do_not_count(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_folds=3, n_speakers=9)
    degraded = np.arange(len(run.predictions)) % 3 == 0
    told = with_columns(run, variant=np.where(degraded, "degrade:noise#1", ""))

    found = calibration_of(told)

    assert found is not None
    assert found.n == (~degraded).sum() == found.reliability.n.sum()
    assert not math.isnan(found.error.high)
    assert found.fitted is not None
    assert len(found.fitted.parts) == 5
    assert calibration_of(with_columns(run, label="")) is None


def test_utterances_without_a_label_do_not_count() -> None:
    truth, told = drawn(100)
    truth[:10] = -1

    found = calibration(answers_of(truth, told, 1))

    assert found is not None
    assert found.n == 90
    assert found.brier.value == pytest.approx(brier(truth[10:], told[10:]))
    assert found.nll.value == pytest.approx(nll(truth[10:], told[10:]))
    assert found.fitted is None  # one speaker: nobody else to fit on
    assert math.isnan(found.fitted_error)


# --- temperature ---


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.5])
def test_the_temperature_undoes_what_was_done(sharpness: float) -> None:
    truth, told = drawn(20_000, sharpness)

    found = fit_temperature(told, truth)

    assert found == pytest.approx(sharpness, rel=0.05)
    _, plain = drawn(20_000)
    np.testing.assert_allclose(apply_temperature(told, sharpness), plain, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.3, 3))
def test_no_temperature_is_likelier(seed: int, sharpness: float) -> None:
    truth, told = drawn(40, sharpness, seed)

    found = fit_temperature(told, truth)

    grid = np.geomspace(*RANGE, 200)
    best = min(nll(truth, apply_temperature(told, t)) for t in grid)
    assert nll(truth, apply_temperature(told, found)) <= best + 1e-6


def test_the_temperature_has_no_slope_left() -> None:
    truth, told = drawn(500, 2.0)

    found = fit_temperature(told, truth)

    slope = scipy.optimize.approx_fprime(
        [found], lambda t: nll(truth, apply_temperature(told, float(t[0])))
    )
    assert abs(slope[0]) < 1e-4


def test_a_temperature_keeps_the_order_and_sums_to_one() -> None:
    told = np.array([[0.7, 0.2, 0.1, 0.0], [0.25, 0.25, 0.25, 0.25]])

    found = apply_temperature(told, 2.0)

    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_array_equal(np.argsort(-found[0]), [0, 1, 2, 3])
    np.testing.assert_allclose(found[1], 0.25)
    assert found[0, 3] == pytest.approx(np.sqrt(FLOOR) / np.sqrt(told[0]).sum(), 1e-4)
    np.testing.assert_allclose(apply_temperature(told, 1.0), told, atol=1e-11)


def test_each_speaker_is_calibrated_by_others_alone() -> None:
    truth, told = drawn(240, 2.0)
    rows = answers_of(truth, told, 12)
    whole = cross_fitted_temperature(told, truth, rows.speakers)
    for part in whole.parts:
        here = np.isin(rows.speakers.astype(str), part.speakers)
        changed = truth.copy()
        changed[here] = (changed[here] + 1) % K  # what these speakers really said

        again = cross_fitted_temperature(told, changed, rows.speakers)

        np.testing.assert_array_equal(
            again.probabilities[here], whole.probabilities[here]
        )
        assert not np.array_equal(
            again.probabilities[~here], whole.probabilities[~here]
        )
        alone = fit_temperature(told[~here], truth[~here])
        assert part.temperature == alone
        assert part.n_fitted == (~here).sum()
    named = [s for part in whole.parts for s in part.speakers]
    assert sorted(named) == sorted(set(rows.speakers))
    assert whole.temperatures == tuple(p.temperature for p in whole.parts)


def test_parts_do_not_depend_on_the_order_of_the_rows() -> None:
    truth, told = drawn(120, 2.0)
    speakers = answers_of(truth, told, 6).speakers
    order = np.random.default_rng(0).permutation(120)

    whole = cross_fitted_temperature(told, truth, speakers)
    mixed = cross_fitted_temperature(told[order], truth[order], speakers[order])

    np.testing.assert_allclose(mixed.probabilities, whole.probabilities[order])


def test_a_temperature_that_nothing_holds_is_far_out() -> None:
    told = np.full((20, K), 0.1)
    truth = np.arange(20) % K
    told[np.arange(20), truth] = 0.7

    assert fit_temperature(told, truth) < 0.1
    wrong = fit_temperature(told, (truth + 1) % K)
    assert wrong == pytest.approx(RANGE[1], rel=0.01)


def test_what_cannot_be_fitted_says_so() -> None:
    truth, told = drawn(10)

    with pytest.raises(RunError, match="none of 10 utterances has a label"):
        fit_temperature(told, np.full(10, -1))
    with pytest.raises(RunError, match="two speakers and two parts at least, got 1"):
        cross_fitted_temperature(told, truth, np.full(10, "a", object))
    with pytest.raises(RunError, match=r"bad temperature 0: expected .* above 0"):
        apply_temperature(told, 0)


def test_confidence_is_that_of_the_first_likeliest() -> None:
    told = np.array([[0.4, 0.4, 0.2], [0.1, 0.2, 0.7]])

    confidence, right = confidences(np.array([1, 2]), told)

    assert confidence.tolist() == [0.4, 0.7]
    assert right.tolist() == [0, 1]
