"""Somebody else's predictions: what is seen in them, and what is said to be unknown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from contracts.errors import RunError
from evaluation.auditing._foreign_text import predictions_text
from evaluation.auditing.foreign_predictions import audit_predictions

LABELS = ("angry", "happy", "sad")
Audit = Callable[[pd.DataFrame, pd.DataFrame], dict[str, Any]]


def files(n_speakers: int = 12, each: int = 4) -> pd.DataFrame:
    """Return a manifest in four folds of speakers, with hashes."""
    out = [
        {
            "file": f"Actor_{s:02d}/{s:02d}-{label}-{i}.wav",
            "speaker": f"a{s:02d}",
            "emotion": label,
            "fold": str(s % 4),
            "hash": f"h{s}{label}{i}",
        }
        for s in range(n_speakers)
        for label in LABELS
        for i in range(each)
    ]
    return pd.DataFrame(out)


def predicted(rows: pd.DataFrame, right: float = 0.7) -> pd.DataFrame:
    """Return predictions of which a share is right."""
    draw = np.random.default_rng(0)
    guess = [
        label if draw.random() < right else LABELS[draw.integers(3)]
        for label in rows["emotion"]
    ]
    return pd.DataFrame({"file": rows["file"], "predicted": guess})


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    """Return a function that writes two tables and audits them."""

    def audited(predictions: pd.DataFrame, manifest: pd.DataFrame) -> dict[str, Any]:
        predictions.to_csv(tmp_path / "theirs.csv", index=False)
        manifest.to_csv(tmp_path / "files.csv", index=False)
        return audit_predictions(tmp_path / "theirs.csv", tmp_path / "files.csv")

    return audited


def said(told: dict[str, Any], bad: bool) -> str:
    """Return what was found, right or wrong."""
    return "\n".join(f["said"] for f in told["findings"] if f["bad"] is bad)


def test_folds_by_speaker_are_found_clean(audit: Audit) -> None:
    rows = files()
    guesses = predicted(rows)

    told = audit(guesses, rows)

    uar = balanced_accuracy_score(rows["emotion"], guesses["predicted"])
    assert told["scores"]["uar"]["value"] == pytest.approx(uar)
    assert told["scores"]["uar"]["low"] < uar < told["scores"]["uar"]["high"]
    assert (told["n"], told["n_speakers"]) == (144, 12)
    assert [(f["fold"], f["n"], f["n_speakers"]) for f in told["folds"]] == [
        (str(i), 36, 3) for i in range(4)
    ]
    assert not told["optimistic"]
    assert told["speakers"] == {}
    assert "no speaker is trained on and tested" in said(told, bad=False)
    assert "no waveform is trained on and tested" in said(told, bad=False)
    assert any("the epoch" in what for what in told["unknown"])
    assert not any("no hashes" in what for what in told["unknown"])


def test_shared_speakers_and_waveforms_are_named(audit: Audit) -> None:
    rows = files().drop(columns="fold")
    rows["split"] = ["Test" if i % 4 == 0 else "training" for i in range(len(rows))]
    rows.loc[1, "hash"] = rows.loc[0, "hash"]
    tested = rows[rows["split"] == "Test"]

    told = audit(predicted(tested), rows)

    bad = said(told, bad=True)
    assert "trained on and tested: 12 speakers: a00, a01" in bad
    assert f"trained on and tested: 1 waveform: {rows.loc[0, 'hash']}" in bad
    assert told["optimistic"]
    assert "unseen" not in told  # everybody was trained on
    rows.loc[rows["speaker"] == "a03", "split"] = "test"
    tested = rows[rows["split"].str.lower() == "test"]
    unseen = audit(predicted(tested), rows)["unseen"]
    assert (unseen["n"], unseen["n_speakers"]) == (12, 1)


def test_the_same_name_in_another_folder_is_seen_without_hashes(audit: Audit) -> None:
    rows = files().drop(columns=["fold", "hash"])
    again = rows.assign(file="copy/" + rows["file"], split="train", speaker="other")

    told = audit(predicted(rows), pd.concat([rows.assign(split="test"), again]))

    assert "trained on and tested: 144 file names" in said(told, bad=True)
    assert any("no hashes" in what for what in told["unknown"])


def test_few_speakers_are_shown_one_by_one(audit: Audit) -> None:
    rows = files(5)

    told = audit(predicted(rows), rows)

    assert told["scores"]["uar"]["low"] is None
    assert "5 test speakers" in told["scores"]["uar"]["note"]
    assert list(told["speakers"]) == [f"a{i:02d}" for i in range(5)]
    text = predictions_text(told)
    assert "a04" in text
    assert "95 %" not in text


def test_parts_that_are_not_told_are_said_to_be_unknown(audit: Audit) -> None:
    rows = files().drop(columns="fold")
    rows.loc[:3, "speaker"] = ""

    told = audit(predicted(rows), rows)

    assert told["folds"] == []
    assert any("neither split nor fold" in what for what in told["unknown"])
    assert any("who speaks 4 predicted files" in what for what in told["unknown"])
    assert told["scores"]["uar"]["low"] is None  # nobody is not a speaker
    assert "no speaker is trained on" not in said(told, bad=False)


@pytest.mark.parametrize("where", ["predictions", "manifest", "both"])
def test_a_split_that_names_the_test_part_alone_tells_of_no_training(
    where: str, audit: Audit
) -> None:
    rows = files().drop(columns=["fold", "hash"])
    guesses = predicted(rows)
    if where in ("predictions", "both"):
        guesses["split"] = "test"
    if where in ("manifest", "both"):
        rows["split"] = "test"

    told = audit(guesses, rows)

    assert not told["optimistic"]
    assert said(told, bad=False) == ""  # nothing was looked at, so nothing is clean
    assert "unseen" not in told
    assert any("who was trained on: neither split nor" in u for u in told["unknown"])


def test_folds_are_looked_at_beside_a_split_that_names_test_alone(
    audit: Audit,
) -> None:
    rows = files().assign(split="test")
    rows["fold"] = [str(i % 4) for i in range(len(rows))]  # speakers on both sides

    told = audit(predicted(rows), rows)

    assert "trained on and tested in 4 folds: 12 speakers" in said(told, bad=True)
    assert not any("who was trained on" in what for what in told["unknown"])


def test_predictions_without_a_fold_are_not_taken_for_one(audit: Audit) -> None:
    rows = files()
    rows.loc[rows["speaker"] == "a03", "fold"] = ""

    told = audit(predicted(rows), rows)

    assert any("for 12 predictions without a fold" in u for u in told["unknown"])
    assert not told["optimistic"]
    alone = audit(predicted(rows), rows.assign(fold="0"))
    assert any("neither split nor fold" in what for what in alone["unknown"])


def test_a_file_that_two_folds_test_is_not_trained_on_in_either(
    audit: Audit,
) -> None:
    rows = files(2)
    guesses = predicted(rows).drop(index=range(11))  # the last of one, all of another
    twice = [guesses.assign(fold="0"), guesses.iloc[:1].assign(fold="1")]

    told = audit(pd.concat(twice), rows.assign(fold=""))

    assert "waveform" not in said(told, bad=True)


def test_probabilities_times_and_names_of_others_are_understood(
    tmp_path: Path,
) -> None:
    rows = files().rename(columns={"emotion": "Emotion"}).drop(columns="fold")
    rows["start"], rows["end"] = 0.0, 1.5
    guesses = pd.DataFrame(
        {label: (rows["Emotion"] == label) * 0.8 + 0.1 for label in LABELS}
    )
    index = pd.MultiIndex.from_frame(rows[["file", "start", "end"]])
    guesses.index = index
    guesses["truth"] = rows["Emotion"].to_numpy()
    guesses.to_parquet(tmp_path / "theirs.parquet")
    rows.to_csv(tmp_path / "files.tsv", index=False, sep="\t")

    told = audit_predictions(tmp_path / "theirs.parquet", tmp_path / "files.tsv")

    assert told["scores"]["uar"]["value"] == 1
    assert told["labels"] == list(LABELS)


def test_what_the_files_disagree_on_is_said(audit: Audit) -> None:
    rows = files()
    guesses = predicted(rows).assign(truth=rows["emotion"])
    guesses.loc[2, "truth"] = "sad" if rows.loc[2, "emotion"] != "sad" else "happy"
    guesses["file"] = "/data/" + guesses["file"]
    guesses["predicted"] = guesses["predicted"].replace("sad", "happy")

    told = audit(guesses, rows)

    found = said(told, bad=False)
    assert "truth differs between the two files for 1 of 144" in found
    assert "matched by their names alone" in found
    assert "never predicted: sad" in found


def test_untested_and_trained_on_files_are_bad(audit: Audit) -> None:
    rows = files().drop(columns="fold")
    rows["split"] = ["test" if s < "a06" else "train" for s in rows["speaker"]]

    told = audit(predicted(rows.iloc[3:80]), rows)

    bad = said(told, bad=True)
    assert "3 test files of the manifest have no prediction" in bad
    assert rows.loc[0, "file"] in bad
    assert "8 predicted files are of train or dev" in bad


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p, m: (p, m.drop(columns="speaker")), ["lacks columns", "speaker"]),
        (lambda p, m: (p.drop(columns="predicted"), m), ["no predictions", "p:LABEL"]),
        (lambda p, m: (p, m.iloc[2:]), ["2 of 144", "00-angry-0.wav", "angry-1.wav"]),
        (lambda p, m: (pd.concat([p, p[:2]]), m), ["more than one", "angry-1.wav"]),
        (lambda p, m: (p, pd.concat([m, m[:1]])), ["more than one file", "angry-0"]),
        (lambda p, m: (p.assign(predicted="A"), m), ["predicts A", "truth is angry"]),
        (lambda p, m: (p, m.assign(split="x")), ["splits x", "train"]),
        (lambda p, m: (p, m.drop(columns="emotion")), ["144 predicted", "no true"]),
        (lambda p, m: (p.iloc[:0], m), ["has no rows"]),
        (
            lambda p, m: (p.assign(predicted=["", *p["predicted"][1:]]), m),
            ["no prediction for", "angry-0.wav"],
        ),
    ],
)
def test_bad_input_is_one_sentence_that_names_every_offender(
    change: Callable[..., Any], words: list[str], audit: Audit
) -> None:
    rows = files()

    with pytest.raises(RunError) as caught:
        audit(*change(predicted(rows), rows))

    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"nothing of the kind")
    files().to_csv(tmp_path / "files.csv")

    for name in ("bad.parquet", "absent.csv"):
        with pytest.raises(RunError, match=f"cannot read .*{name}"):
            audit_predictions(tmp_path / name, tmp_path / "files.csv")
