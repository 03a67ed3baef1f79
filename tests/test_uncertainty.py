"""Intervals over speakers: what they are of, when there is none, what a note says."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as oracle

from contracts.errors import RunError
from evaluation.measures.metrics import per_group, score_run
from evaluation.statistics._bootstrap import (
    N_RESAMPLES,
    drawn_sums,
    resampled,
    speaker_weights,
)
from evaluation.statistics.confusions import (
    f1_of,
    of_nobody,
    recall_of,
    score_of,
    war_of,
)
from evaluation.statistics.mean_interval import top_k_interval
from evaluation.statistics.spread import spread
from evaluation.statistics.uncertainty import (
    difference,
    drawn_by,
    interval,
    intervals,
    limits,
    per_speaker,
    speaker_confusions,
    uar_of,
)
from tests.runs import make_run


def counts_of(n_speakers: int, n_labels: int = 4, seed: int = 0) -> NDArray[np.int64]:
    """Draw counts of speakers of unlike ability."""
    rng = np.random.default_rng(seed)
    ability = rng.uniform(0.3, 0.9, n_speakers)[:, None]
    right = rng.binomial(8, ability, (n_speakers, n_labels))
    out = np.zeros((n_speakers, n_labels, n_labels), np.int64)
    each = np.arange(n_labels)
    out[:, each, each] = right
    out[:, each, (each + 1) % n_labels] = 8 - right
    return out


def test_scores_of_many_tables_equal_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, guess = rng.integers(0, 5, (2, 40, 200))
    tables = np.stack(
        [
            oracle.confusion_matrix(t, g, labels=range(5))
            for t, g in zip(truth, guess, strict=True)
        ]
    )

    for i, (t, g) in enumerate(zip(truth, guess, strict=True)):
        assert uar_of(tables)[i] == pytest.approx(oracle.balanced_accuracy_score(t, g))
        assert war_of(tables)[i] == pytest.approx(oracle.accuracy_score(t, g))
        assert f1_of(tables)[i] == pytest.approx(oracle.f1_score(t, g, average="macro"))
        np.testing.assert_allclose(
            recall_of(tables)[i], oracle.recall_score(t, g, average=None)
        )


def test_a_label_without_truth_has_no_recall_and_no_part_in_uar() -> None:
    table = np.array([[3, 1, 0], [0, 0, 0], [0, 2, 2]])

    assert np.isnan(recall_of(table)[1])
    assert uar_of(table) == pytest.approx((0.75 + 0.5) / 2)
    assert f1_of(table) == pytest.approx((6 / 7 + 0 + 4 / 6) / 3)
    assert f1_of(table, np.array([False, True, False])) == pytest.approx(
        (6 / 7 + 4 / 6) / 2
    )


def test_an_unknown_metric_is_named() -> None:
    with pytest.raises(ValueError, match="unknown metric 'gmean', expected one of uar"):
        score_of(np.eye(2), "gmean")
    with pytest.raises(ValueError, match="unknown metric 'recall:sad', expected one"):
        interval(counts_of(9), "recall:sad")


def test_speakers_are_counted_apart_and_unlabelled_utterances_are_not() -> None:
    names, counts = speaker_confusions(
        np.array([0, 1, -1, 1]), np.array([0, 0, 1, 1]), ["b", "a", "a", "b"], 2
    )

    assert names == ["a", "b"]
    np.testing.assert_array_equal(counts, [[[0, 0], [1, 0]], [[1, 0], [0, 1]]])


def test_the_values_are_those_of_the_scores_of_a_run(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    scores = score_run(run)

    found = intervals(run)

    assert {k: found[k].value for k in ("uar", "war", "f1")} == pytest.approx(
        scores.headline()
    )
    assert [found[f"recall:{c}"].value for c in run.classes] == pytest.approx(
        scores.recall.tolist()
    )
    for one in found.values():
        assert one.low < one.value < one.high
        assert one.n_speakers == 24


def test_equal_predictions_have_equal_intervals_and_others_do_not() -> None:
    first, again, other = counts_of(12), counts_of(12), counts_of(12, seed=1)

    assert interval(first) == interval(again)
    assert interval(first) == interval(first.astype(float))
    assert interval(first) != interval(other)


def test_speakers_are_drawn_and_not_utterances() -> None:
    half = np.zeros((10, 2, 2), np.int64)
    half[:5, [0, 1], [0, 1]] = 50  # five speakers are always right
    half[5:, [0, 1], [1, 0]] = 50  # five never

    one = interval(half)

    # 1,000 utterances would give 0.5 +- 0.03; ten speakers cannot
    assert one.high - one.low > 0.5


def test_below_eight_speakers_there_is_a_note_and_each_speaker() -> None:
    few = counts_of(7)

    one = interval(few)

    assert np.isnan([one.low, one.high]).all()
    assert one.note == (
        "7 test speakers, fewer than 8: no interval, see each speaker's score"
    )
    assert list(per_speaker(few).values()) == pytest.approx(uar_of(few).tolist())
    assert not np.isnan(interval(counts_of(8)).low)


def test_counts_of_nobody_allow_no_interval() -> None:
    counts = counts_of(10)
    names = ["", *(f"s{i}" for i in range(9))]

    one = interval(np.stack([counts, counts]), speakers=names)
    other = counts_of(10, seed=1).astype(float)
    apart = difference(counts.astype(float), other, "uar", names)

    assert one.value == pytest.approx(interval(counts).value)
    assert np.isnan([one.low, one.high, apart.low, apart.high]).all()
    assert one.n_speakers == apart.n_speakers == 9
    n = int(counts[0].sum())
    assert one.note == f"no speaker is known of {n} utterances: no interval"
    assert f"of {2 * n} utterances" in apart.note
    assert interval(counts[1:], speakers=names[1:]) == interval(counts[1:])


def test_seeds_that_tested_nobody_once_in_a_while_are_counted() -> None:
    counts = counts_of(10).astype(float)
    counts[0] = 0
    counts[0, 0, 0] = 1 / 3  # one utterance, tested by one seed of three

    assert of_nobody(["", *"abcdefghi"], counts) == 1
    assert of_nobody([*"abcdefghij"], counts) == 0


def test_as_many_speakers_are_drawn_once_and_nobody_can_change_them() -> None:
    weights = speaker_weights(9)

    assert weights.shape == (N_RESAMPLES, 9)
    assert (weights.sum(axis=1) == 9).all()
    assert speaker_weights(9) is weights
    with pytest.raises(ValueError, match="read-only"):
        weights[0, 0] = 9


def test_all_scores_of_all_runs_share_one_draw(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, seed=seed, per_label=1) for seed in (0, 1)]
    speaker_weights.cache_clear()

    for run in runs:
        intervals(run)
        top_k_interval(run)
    difference(counts_of(24).astype(float), counts_of(24, seed=1).astype(float), "f1")

    assert speaker_weights.cache_info().misses == 1


def test_groups_of_other_speakers_are_drawn_independently() -> None:
    counts = counts_of(60).astype(float)[None]

    one, same, other = (uar_of(resampled(counts, stream)[0]) for stream in (0, 0, 1))

    assert np.array_equal(one, same)
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(N_RESAMPLES)


def test_slices_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = counts_of(9)
    values = counts.reshape(1, 9, 16).astype(float)
    whole = drawn_sums(values)
    np.testing.assert_array_equal(
        whole[0], speaker_weights(9).astype(float) @ values[0]
    )

    monkeypatch.setattr("evaluation.statistics._bootstrap._AT_ONCE", 9 * 333)
    speaker_weights.cache_clear()
    parted = drawn_sums(values)
    speaker_weights.cache_clear()

    np.testing.assert_array_equal(parted, whole)


def test_ten_thousand_speakers_take_little_memory() -> None:
    values = np.ones((10_000, 3))
    speaker_weights.cache_clear()
    tracemalloc.start()

    sums = drawn_sums(values)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    speaker_weights.cache_clear()

    assert (sums == 10_000).all()
    assert most < 200 * 2**20  # the weights as numbers of 8 bytes have 320 MB


def test_a_resample_that_lacks_a_label_is_scored_on_the_others_and_counted() -> None:
    counts = np.zeros((9, 3, 3), np.int64)
    counts[:, 0, 0] = counts[:, 1, 1] = 4
    counts[0, 2, 2] = 4  # the third label is said by one speaker only

    found = intervals(counts)

    share = (speaker_weights(9)[:, 0] == 0).mean()
    assert share == pytest.approx((8 / 9) ** 9, abs=0.03)
    told = f"{round(share * N_RESAMPLES):,} of 4,000 resamples lack a label: they "
    assert found["uar"].note == told + "are scored on the labels they have"
    assert found["f1"].note == found["uar"].note
    assert found["recall:2"].note == told + "are not counted"
    assert found["recall:1"].note == found["war"].note == ""
    # everything is right: a lost label must not look like an error
    for one in found.values():
        assert (one.low, one.value, one.high) == (1, 1, 1)


def test_a_label_that_nobody_says_has_no_recall_and_no_interval() -> None:
    counts = np.pad(counts_of(9), ((0, 0), (0, 1), (0, 1)))

    found = intervals(counts)

    assert np.isnan([found["recall:4"].value, found["recall:4"].low]).all()
    assert found["uar"].note == ""
    assert found["uar"].value == pytest.approx(float(uar_of(counts.sum(axis=0))))


def test_limits_are_wider_than_percentiles_as_students_t_is() -> None:
    draws = np.random.default_rng(0).normal(0, 1, 400_000)

    low, high = limits(draws, 8)

    wanted = stats.t.ppf(0.975, 7) * np.sqrt(8 / 7)  # on the normal scale
    assert (low, high) == pytest.approx((-wanted, wanted), abs=0.03)
    assert limits(draws, 10_000)[1] == pytest.approx(1.96, abs=0.02)


def test_seeds_are_averaged_inside_each_resample() -> None:
    one, two = counts_of(12), counts_of(12, seed=5)

    both = interval(np.stack([one, two]))

    values = [uar_of(c.sum(axis=0)) for c in (one, two)]
    assert both.value == pytest.approx(np.mean(values))
    weights = speaker_weights(12)
    draws = [uar_of(np.einsum("bs,skl->bkl", weights, c)) for c in (one, two)]
    assert (both.low, both.high) == pytest.approx(
        tuple(limits(np.mean(draws, axis=0), 12))
    )


def test_f1_of_seeds_is_a_mean_and_not_that_of_their_sum() -> None:
    seeds = np.stack([counts_of(9), counts_of(9, seed=5)])
    mean = f1_of(seeds.sum(axis=1)).mean()

    assert interval(seeds, "f1").value == pytest.approx(mean)
    assert f1_of(seeds.sum(axis=(0, 1))) != pytest.approx(mean, abs=1e-6)
    each = f1_of(seeds).mean(axis=0)
    assert list(per_speaker(seeds, "f1").values()) == pytest.approx(each.tolist())
    assert f1_of(seeds.sum(axis=0)) != pytest.approx(each, abs=1e-6)


def test_seeds_of_one_head_are_read_as_one(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, seed=seed) for seed in (0, 1, 2)]

    one = interval(runs, "war")

    assert one.value == pytest.approx(np.mean([score_run(r).war for r in runs]))
    each = per_speaker(runs)
    wanted = [per_group(r, "speaker")["ravdess/07"].uar for r in runs]
    assert each["ravdess/07"] == pytest.approx(np.mean(wanted))


def test_runs_of_other_utterances_are_not_one_head(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / "a"),
        make_run(tmp_path / "b", n_speakers=20, seed=1),
    ]

    with pytest.raises(RunError, match="128 only by the first, 0 only by the second"):
        interval(runs)


def test_utterances_without_a_speaker_have_no_interval(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.predictions.loc[run.predictions["speaker"] == "ravdess/03", "speaker"] = ""

    one = interval(run)

    assert np.isnan(one.low)
    assert one.note == "no speaker is known of 32 utterances: no interval"


def test_counts_of_a_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"bad counts \(3, 4\), expected"):
        interval(np.zeros((3, 4)))


def test_spread_over_folds_and_seeds(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, seed=seed) for seed in (0, 1)]
    folds = [[s.uar for s in per_group(r, "fold").values()] for r in runs]

    both, one = spread(runs), spread(runs[0])

    assert both.folds == pytest.approx(np.mean(folds, axis=0).tolist())
    assert both.seeds == pytest.approx([score_run(r).uar for r in runs])
    assert both.fold_sd == pytest.approx(np.std(np.mean(folds, axis=0), ddof=1))
    assert np.isnan(one.seed_sd)


def test_equal_data_draw_alike_whatever_their_type() -> None:
    counts = counts_of(9)

    assert drawn_by(counts).random() == drawn_by(counts.astype(float)).random()
