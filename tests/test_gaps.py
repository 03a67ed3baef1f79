"""Gaps and robustness: fair comparisons of groups, with intervals over speakers."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contracts.errors import RunError
from contracts.run import Run, read_run
from evaluation.measures import gaps
from evaluation.measures.metrics import answered, score
from evaluation.measures.robustness import robustness
from evaluation.statistics._bootstrap import limits, resampled
from evaluation.statistics.confusions import uar_of
from tests.runs import EIGHT, make_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path, n_folds=2)


def rewritten(run: Run, change: Any) -> Run:
    """Change the prediction rows of a run."""
    for fold in run.record["folds"]:
        path = run.fold_folder(fold["index"]) / "predictions.parquet"
        change(pd.read_parquet(path)).to_parquet(path, index=False)
    return read_run(run.folder)


def right(rows: pd.DataFrame, share: float, mask: Any) -> pd.DataFrame:
    """Make a share of some rows right and the others of them wrong."""
    columns = [f"p:{c}" for c in EIGHT]
    told = rows[columns].to_numpy(copy=True)
    where = np.flatnonzero(np.asarray(mask))
    truth = rows["label"].map(EIGHT.index).to_numpy()[where]
    hit = np.random.default_rng(0).random(len(where)) < share
    told[where] = np.eye(8)[np.where(hit, truth, (truth + 3) % 8)]
    return rows.assign(**{c: told[:, i] for i, c in enumerate(columns)})


def uar(rows: pd.DataFrame) -> float:
    return score(
        rows["label"].to_numpy(object),
        rows[[f"p:{c}" for c in EIGHT]].to_numpy(float),
        EIGHT,
    ).uar


def test_groups_of_other_speakers_are_drawn_apart(run: Run) -> None:
    def worse(rows: pd.DataFrame) -> pd.DataFrame:
        women = rows["sex"] == "female"
        return right(right(rows, 0.9, ~women), 0.5, women)

    run = rewritten(run, worse)

    found = gaps.gaps(run, "sex")

    assert found is not None
    (gap,) = found.gaps
    assert (gap.first, gap.second) == ("female", "male")
    groups = {g.name: g for g in found.groups}
    rows = run.predictions
    for name, group in groups.items():
        assert group.uar.value == pytest.approx(uar(rows[rows["sex"] == name]))
        assert group.uar.n_speakers == 12
        assert group.n == 12 * 8 * 4
    apart = groups["female"].uar.value - groups["male"].uar.value
    assert gap.difference.value == pytest.approx(apart)
    assert -0.5 < gap.difference.low < apart < gap.difference.high < -0.3
    assert gap.difference.n_speakers == 24
    assert not found.left_out


def test_labels_that_one_group_lacks_are_left_out(run: Run) -> None:
    def no_strong_neutral(rows: pd.DataFrame) -> pd.DataFrame:
        neutral = rows["label"] == "neutral"
        rows = right(rows, 0.0, neutral)
        return rows.assign(
            **{"trait:intensity": rows["trait:intensity"].mask(neutral, "normal")}
        )

    run = rewritten(run, no_strong_neutral)

    found = gaps.gaps(run, "trait:intensity")

    assert found is not None
    assert found.left_out == ("neutral",)
    assert found.labels == EIGHT[1:]
    rows = run.predictions
    rows = rows[rows["label"] != "neutral"]
    for group in found.groups:
        own = rows[rows["trait:intensity"] == group.name]
        assert group.uar.value == pytest.approx(uar(own))
    (gap,) = found.gaps
    assert gap.difference.n_speakers == 24  # everybody is in both
    assert gap.difference.low <= gap.difference.value <= gap.difference.high


def test_few_speakers_give_no_interval_of_a_gap(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_speakers=10)

    found = gaps.gaps(run, "sex")

    assert found is not None
    (gap,) = found.gaps
    assert np.isnan(gap.difference.low)
    assert "5 speakers in one group" in gap.difference.note


def test_a_gap_is_no_surer_than_its_smaller_group(run: Run) -> None:
    def eight_women(rows: pd.DataFrame) -> pd.DataFrame:
        women = rows["speaker"] <= "ravdess/08"
        return rows.assign(sex=np.where(women, "female", "male"))

    run = rewritten(run, eight_women)

    found = gaps.gaps(run, "sex")

    assert found is not None
    (gap,) = found.gaps
    rows = answered(run)
    parts = [gaps._counts(rows[rows["sex"] == g], 8)[1] for g in ("female", "male")]
    one, two = (
        uar_of(resampled(counts[None].astype(float), stream)[0])
        for stream, counts in enumerate(parts)
    )
    ends = limits(one - two, 8).tolist()
    assert [gap.difference.low, gap.difference.high] == pytest.approx(ends)


def nobody(rows: pd.DataFrame) -> pd.DataFrame:
    """Take away the speakers of two utterances in each fold, of one sex each."""
    unknown = rows.groupby("sex").cumcount() < 2
    return rows.assign(speaker=rows["speaker"].mask(unknown, ""))


def test_unknown_speakers_are_nobody_and_allow_no_interval_of_a_gap(run: Run) -> None:
    known = gaps.gaps(run, "sex")

    found = gaps.gaps(rewritten(run, nobody), "sex")

    assert found is not None
    assert known is not None
    (gap,), (before,) = found.gaps, known.gaps
    assert gap.difference.value == pytest.approx(before.difference.value)
    assert gap.difference.n_speakers == 24
    assert np.isnan([gap.difference.low, gap.difference.high]).all()
    assert "no speaker is known of 4 utterances" in gap.difference.note
    for group in found.groups:
        assert group.uar.n_speakers == 12
        assert np.isnan(group.uar.low)
        assert "no speaker is known of 2 utterances" in group.uar.note


def test_one_group_with_unknown_speakers_is_enough(run: Run) -> None:
    def women(rows: pd.DataFrame) -> pd.DataFrame:
        first = rows["id"].str.contains("ravdess/02-neutral")
        return rows.assign(speaker=rows["speaker"].mask(first, ""))

    found = gaps.gaps(rewritten(run, women), "sex")

    assert found is not None
    (gap,) = found.gaps
    assert np.isnan(gap.difference.low)
    assert np.isnan(found.groups[0].uar.low)
    assert not np.isnan(found.groups[1].uar.low)
    assert "no speaker is known of 4 utterances" in gap.difference.note


def test_unknown_speakers_allow_no_interval_of_degraded_sound(run: Run) -> None:
    found = robustness(rewritten(rewritten(run, nobody), with_noise))

    for one in found:
        n = 22 if one.name == "telephone" else 24
        told = one.change, one.uar, one.clean
        assert [each.n_speakers for each in told] == [n] * 3
        assert np.isnan([one.change.low, one.uar.low, one.clean.low]).all()
        assert "no speaker is known of" in one.change.note


def test_variants_are_in_no_group(run: Run) -> None:
    n = len(run.predictions)

    found = gaps.gaps(rewritten(run, with_noise), "sex")

    assert found is not None
    assert sum(group.n for group in found.groups) == n


def test_unknown_and_single_groups(run: Run) -> None:
    def half(rows: pd.DataFrame) -> pd.DataFrame:
        first = rows["speaker"] <= "ravdess/04"
        return rows.assign(sex=rows["sex"].mask(first, ""))

    found = gaps.gaps(rewritten(run, half), "sex")

    assert found is not None
    assert found.n_unknown == 4 * 8 * 4
    assert gaps.gaps(run, "corpus") is None
    with pytest.raises(RunError, match="no column 'age', expected one of id, label"):
        gaps.gaps(run, "age")


def of_intensity(n_values: int) -> Any:
    def change(rows: pd.DataFrame) -> pd.DataFrame:
        value = [str(10 + i % n_values) for i in range(len(rows))]
        return rows.assign(**{"trait:intensity": value})

    return change


def test_many_groups_are_each_compared_with_all_others(run: Run) -> None:
    six = gaps.gaps(rewritten(run, of_intensity(6)), "trait:intensity")
    seven = gaps.gaps(rewritten(run, of_intensity(7)), "trait:intensity")

    assert six is not None
    assert seven is not None
    assert len(six.gaps) == 15
    assert [(g.first, g.second) for g in seven.gaps] == [
        (str(10 + i), gaps.OTHERS) for i in range(7)
    ]
    rows = run.predictions
    own = rows["trait:intensity"] == "12"
    apart = uar(rows[own]) - uar(rows[~own])
    assert seven.gaps[2].difference.value == pytest.approx(apart)
    assert seven.gaps[2].difference.n_speakers == 24


def test_a_trait_with_many_values_is_left_out_in_a_sentence(run: Run) -> None:
    twelve = gaps.gaps(rewritten(run, of_intensity(12)), "trait:intensity")
    left_out = gaps.all_gaps(rewritten(run, of_intensity(40)))[-1]

    assert twelve is not None
    assert len(twelve.gaps) == 12
    assert not twelve.note
    assert left_out.note == (
        "intensity has 40 values, more than 12: bin it in the column trait:intensity "
        "of the manifest"
    )
    assert not left_out.groups
    assert not left_out.gaps


def test_each_of_few_speakers_is_told_instead_of_an_interval(tmp_path: Path) -> None:
    few = make_run(tmp_path / "few", n_speakers=10)
    many = make_run(tmp_path / "many", n_speakers=16)

    told, plenty = gaps.gaps(few, "sex"), gaps.gaps(many, "sex")
    degraded = robustness(rewritten(few, with_noise))
    six = make_run(tmp_path / "six", n_speakers=6, n_folds=2)
    fewer = robustness(rewritten(six, with_noise))

    assert told is not None
    assert plenty is not None
    rows = few.predictions
    for group in told.groups:
        own = rows[rows["sex"] == group.name]
        wanted = {str(who): uar(part) for who, part in own.groupby("speaker")}
        assert dict(group.speakers) == pytest.approx(wanted)
        assert len(wanted) == 5
    assert not any(group.speakers for group in plenty.groups)
    assert not any(one.speakers for one in degraded[:2])
    assert [len(one.speakers) for one in fewer[:2]] == [6, 6]


def test_every_group_there_is_is_compared(run: Run) -> None:
    found = gaps.all_gaps(run)

    assert [one.column for one in found] == ["sex", "trait:intensity"]


def with_noise(rows: pd.DataFrame) -> pd.DataFrame:
    """Add variants: at 20 dB as before, at 0 dB half as often right."""
    out = [right(rows, 0.8, np.ones(len(rows), bool))]
    for name, share in (("noise-20dB", 0.8), ("noise-5dB", 0.4), ("telephone", 0.6)):
        told = f"degrade:{name}#1"
        part = out[0].iloc[: len(rows) - 40 * (name == "telephone")]
        part = part.assign(variant=told, id=part["id"] + f"~{told}")
        hit = np.ones(len(part), bool)
        out.append(right(part, share, hit) if share < 0.8 else part)
    return pd.concat(out, ignore_index=True)


def test_degraded_sound_is_compared_with_the_same_sound(run: Run) -> None:
    run = rewritten(run, with_noise)

    found = robustness(run)

    assert [d.name for d in found] == ["noise-20dB", "noise-5dB", "telephone"]
    assert [d.level for d in found[:2]] == [20, 5]
    assert np.isnan(found[2].level)
    assert found[0].change.value == found[0].change.low == 0
    assert found[1].change.high < -0.25
    rows = run.predictions
    clean = rows[rows["variant"] == ""]
    telephone = rows[rows["variant"].str.contains("telephone")]
    heard = set(telephone["id"].str.partition("~")[0])
    assert found[2].n == len(heard) == len(clean) - 80
    assert found[2].clean.value == pytest.approx(uar(clean[clean["id"].isin(heard)]))
    assert found[2].uar.value == pytest.approx(uar(telephone))
    apart = found[2].uar.value - found[2].clean.value
    assert found[2].change.value == pytest.approx(apart)


def test_without_variants_there_is_nothing_to_say(run: Run) -> None:
    assert robustness(run) == []
