"""What a label map does is shown before anything is fitted, and merges are proposed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pipeline
from contracts import labels
from contracts.cache import Cache
from contracts.errors import ManifestError, RunError
from contracts.labels import LabelMap
from contracts.manifest import Corpus, Manifest, card
from contracts.run import read_run
from evaluation import settings
from evaluation.labelling.check import check, text
from evaluation.labelling.choice import choose_labels
from evaluation.labelling.label_commands import _head_of
from evaluation.labelling.suggestion import (
    as_map,
    development,
    pooled,
    propose,
    rank,
)
from evaluation.labelling.text import label_text
from evaluation.measures.metrics import Scores
from evaluation.question import Question, ask
from tests.synthetic import CORPUS, make_cache, rows


def run(*arguments: object) -> int:
    return pipeline.main([str(a) for a in arguments])


def put(cache: Cache, corpus: str, frame: pd.DataFrame, label_map: str) -> None:
    what = Corpus(corpus, "en", tuple(frame["label"].unique()), "", "", "")
    facts = card(what, plugin="toy", root="/nowhere") | {"label_map": label_map}
    with cache.lock():
        cache.put_manifest(Manifest(corpus, frame, facts))


def renamed(corpus: str, names: dict[str, str]) -> pd.DataFrame:
    frame = rows(n_speakers=3, per_label=1, corpus=corpus)
    return frame.assign(label=frame["label"].replace(names))


GERMAN = {"happy": "happiness", "sad": "sadness", "angry": "anger"}


@pytest.fixture
def two(tmp_path: Path) -> Cache:
    """Return a cache of two corpora, without features, that name emotions unlike."""
    cache = Cache(tmp_path / "cache")
    put(cache, "left", renamed("left", {"neutral": "calm"}), "ravdess8")
    put(cache, "right", renamed("right", GERMAN), "emodb7")
    return cache


def planted(folder: Path, n_speakers: int = 10) -> Path:
    """Write a cache in which nobody could tell happy from sad."""
    frame = rows(n_speakers=n_speakers, per_label=4)
    cache = make_cache(folder, frame)
    mixed = frame["label"].isin(["happy", "sad"])
    drawn = np.random.default_rng(0).permutation(frame["label"][mixed].to_numpy())
    frame.loc[mixed, "label"] = drawn
    relabel(cache, frame)
    return folder


def relabel(cache: Cache, frame: pd.DataFrame) -> None:
    with cache.lock():
        card_ = card(CORPUS, plugin="toy", root="/nowhere")
        cache.put_manifest(Manifest("toy", frame, card_))


def asked(folder: Path, folds: list[int] | None = None) -> tuple[Question, object]:
    head = settings.heads(["logistic_regression"], {}, ["mfcc"])["logistic_regression"]
    view = Cache(folder).view("toy").require(head.features)
    return ask(view, None, "speakers-5fold", folds), head


# which map


def test_corpora_of_different_maps_are_told_which_maps_know_both(two: Cache) -> None:
    with pytest.raises(ManifestError, match=r"ravdess8, right: emodb7") as caught:
        choose_labels(two.view(), None)

    assert str(caught.value).endswith("--labels MAP: common4, common6")


def test_two_words_for_one_emotion_are_not_two_classes(two: Cache) -> None:
    with pytest.raises(ManifestError, match="two classes") as caught:
        choose_labels(two.view(), "identity")

    said = str(caught.value)
    for pair in (
        "anger (right) and angry (left)",
        "calm (left) and neutral (right)",
        "happiness (right) and happy (left)",
        "sad (left) and sadness (right)",
    ):
        assert pair in said
    assert choose_labels(two.view("left"), "identity").labels


def test_a_corpus_with_both_words_means_two_things(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    put(cache, "left", renamed("left", {"angry": "calm"}), "identity")
    put(cache, "right", renamed("right", {}), "identity")

    assert set(choose_labels(cache.view(), None).labels) == (
        {"calm", "neutral", "happy", "sad", "angry"}
    )


# what is said


def test_text_of_one_corpus_has_two_columns() -> None:
    said = label_text(labels.load("ekman6").counts(rows(n_speakers=2)))

    assert "neutral dropped (4)" in said
    assert said.splitlines()[1].split() == ["label", "before", "after"]
    assert "only in" not in said


def test_text_of_several_corpora_has_each_of_them(two: Cache) -> None:
    frame = two.view().manifest
    frame.loc[0, "label"] = "surprised"

    said = label_text(labels.load("common6").counts(frame))

    assert "happiness into happy" in said
    assert "surprised dropped (1: left 1)" in said
    heads = "left before  left after  right before  right after  before  after"
    assert heads in said
    (neutral,) = (x for x in said.splitlines() if x.startswith("neutral "))
    assert neutral.split() == ["neutral", "2", "3", "3", "3", "5"]
    assert "class disgust is in none of the corpora" in said


def test_text_names_a_class_that_one_corpus_has_alone(two: Cache) -> None:
    frame = two.view().manifest
    frame = frame[~((frame["corpus"] == "left") & (frame["label"] == "sad"))]

    said = label_text(labels.load("common4").counts(frame))

    assert "class sad is only in right" in said
    assert "class happy" not in said


# check


def test_check_lists_all_unknown_labels_and_exits_with_1(
    two: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--cache", two.folder, "--corpus", "left", "right"]

    code = run("labels", "check", *arguments, "--labels", "ravdess8")

    assert code == 1
    said = capsys.readouterr().out
    assert "unknown to ravdess8: anger, happiness, sadness" in said
    (anger,) = (x for x in said.splitlines() if x.startswith("anger "))
    assert anger.split() == ["anger", "unknown", "3"]


def test_check_of_a_map_that_knows_all_exits_with_0(
    two: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--cache", two.folder, "--corpus", "left", "right"]

    assert run("labels", "check", *arguments, "--labels", "common4") == 0

    said = capsys.readouterr().out
    assert "left, right: 24 utterances, 6 speakers" in said
    assert "unknown" not in said
    (row,) = (x for x in said.splitlines() if x.startswith("calm "))
    assert row.split() == ["calm", "neutral", "3"]


def test_check_counts_imbalance_votes_and_speakers() -> None:
    frame = rows(n_speakers=4, per_label=1)
    frame = frame[frame["id"] != "toy/02-sad-0.wav"].reset_index(drop=True)
    for label, share in (("happy", 0.0), ("sad", 0.0), ("neutral", 0.0)):
        frame[f"vote:{label}"] = share
    by_id = frame.set_index("id").index
    place = [
        by_id.get_loc(f"toy/{x}-0.wav") for x in ("01-happy", "03-happy", "04-sad")
    ]
    frame.loc[place, "label"] = ""
    frame.loc[place[0], ["vote:happy", "vote:sad"]] = [0.3, 0.7]
    frame.loc[place[1], "vote:neutral"] = 1.0
    frame.loc[place[2], ["vote:happy", "vote:sad"]] = [0.5, 0.5]
    labels = ("happy", "sad", "angry")
    one = LabelMap("x", "x", labels, drop=("neutral",), from_votes=True)

    found = check(frame, one)

    assert (found.voted, found.voteless) == (3, 1)
    counts = found.corpora["toy"]
    assert (counts["from_votes"], counts["unlabelled"]) == (1, 2)
    assert counts["after"] == {"happy": 2, "sad": 3, "angry": 4}
    assert found.lacking == {
        "toy/01": ("happy",),
        "toy/02": ("sad",),
        "toy/03": ("happy",),
        "toy/04": ("sad",),
    }
    said = text(found)
    assert "3 utterances with votes: 1 lose all of them, 1 get the label" in said
    assert "most to fewest  2.0" in said.replace("   ", "  ")
    assert "4 of 4 speakers lack classes that their corpus has: toy/01 (no happy)" in (
        said
    )


def test_check_says_the_threshold_and_whom_it_drops() -> None:
    frame = rows(n_speakers=1, per_label=1).assign(**{"vote:other": 1.0})

    said = text(check(frame, labels.load("iemocap6-soft")))

    assert "shares of votes below 0.05 become 0" in said
    assert "4 labelled utterances are dropped: none of their votes is left" in said


# suggest


def test_planted_confusion_is_found(tmp_path: Path) -> None:
    question, head = asked(planted(tmp_path / "cache"))

    scores = development(question, head)

    best, second, *_ = rank(pooled(scores), scores)
    assert {best.gone, best.into} == {"happy", "sad"}
    assert best.confused > 0.3 > 0.1 > second.confused
    assert best.folds == 5
    assert best.uar > pooled(scores).uar
    assert best.heard < 0.05 < best.lost
    assert set(propose(pooled(scores), 3).items()) == {(best.gone, best.into)}


def test_every_training_utterance_is_predicted_once_and_no_test_utterance(
    tmp_path: Path,
) -> None:
    question, head = asked(planted(tmp_path / "cache", 6), [0])
    (fold,) = question.folds

    (scores,) = development(question, head)

    assert scores.n == len(fold.train) + len(fold.dev)
    assert scores.support.tolist() == [
        int((fold.refit.labels == label).sum()) for label in scores.labels
    ]


def shuffled(folder: Path, speakers: set[str]) -> None:
    """Permute the labels of some speakers."""
    cache = Cache(folder)
    frame = cache.manifest("toy").rows
    chosen = frame["speaker"].isin(speakers)
    values = frame["label"][chosen].to_numpy()
    frame.loc[chosen, "label"] = np.roll(values, 3)
    assert (frame["label"][chosen] != values).any()
    relabel(cache, frame)


def test_labels_of_test_speakers_play_no_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = planted(tmp_path / "cache")
    arguments = ["labels", "suggest", "--cache", folder, "--feature", "mfcc"]
    arguments += ["--protocol", "speakers-5fold", "--folds", "0", "--classes", "2"]
    fold = asked(folder, [0])[0].folds[0]

    said = []
    for speakers in (set(), set(fold.part("test").speakers), {fold.refit.speakers[0]}):
        if speakers:
            shuffled(folder, speakers)
        assert run(*arguments) == 0
        said.append(capsys.readouterr().out)

    assert "development confusions" in said[0]
    assert "Made from no label of toy/01, toy/" in said[0]
    assert said[1] == said[0]
    assert said[2] != said[1]  # those of a training speaker do


def test_suggestion_is_a_map_that_works(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, out = planted(tmp_path / "cache"), tmp_path / "maps" / "mine.toml"
    arguments = ["--cache", folder, "--feature", "mfcc", "--out", out]

    assert run("labels", "suggest", *arguments) == 0

    assert "this is made from all speakers' labels" in capsys.readouterr().out
    monkeypatch.setattr(labels, "FOLDER", out.parent)
    one = labels.load("mine")
    assert dict(one.merge) in ({"sad": "happy"}, {"happy": "sad"})
    assert len(one.labels) == 3
    assert len(one.original) == 4
    assert "logistic_regression on mfcc, toy, protocol" in one.title
    kept, _ = one.apply(Cache(folder).view().manifest)
    assert len(kept) == 160
    assert run("labels", "suggest", *arguments) == 2
    assert "there is a label map 'mine'" in capsys.readouterr().err


def test_suggest_asks_what_a_run_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, runs = planted(tmp_path / "cache"), tmp_path / "runs"
    asked_ = ["--cache", folder, "--runs", runs]
    fit = ["--model", "logistic_regression", "--set", "C=5.0"]
    fit += ["--feature", "mfcc:mean", "--protocol", "loso", "--folds", "0"]
    assert run("fit", *asked_, *fit) == 0
    (name,) = (p.name for p in runs.iterdir())
    capsys.readouterr()

    assert run("labels", "suggest", *asked_, "--run", name, "--folds", "0") == 0

    said = capsys.readouterr().out
    assert "protocol loso, 1 fold" in said
    assert "logistic_regression on mfcc:mean@" in said
    head = _head_of(read_run(runs / name).record)
    assert head.C == 5.0
    assert run("labels", "suggest", *asked_, "--run", name, "--model", "xgb") == 2
    assert "--run says --model already" in capsys.readouterr().err


def test_head_that_stops_on_dev_speakers_is_refused(tmp_path: Path) -> None:
    question, _ = asked(planted(tmp_path / "cache", 5), [0])
    head = settings.heads(["fusion"], {}, None)["fusion"]

    with pytest.raises(RunError, match="expected a head that is fitted without"):
        development(question, head)


@pytest.mark.parametrize("classes", [1, 4, 9])
def test_bad_number_of_classes_is_refused(
    toy_folder: Path, capsys: pytest.CaptureFixture[str], classes: int
) -> None:
    code = run("labels", "suggest", "--cache", toy_folder, "--classes", classes)

    assert code == 2
    assert "fewer than the 4 of label map identity" in capsys.readouterr().err


def table_of(confusion: list[list[int]]) -> Scores:
    names = tuple("abcd"[: len(confusion)])
    return Scores(names, np.array(confusion))


def test_merge_is_measured_on_the_same_predictions() -> None:
    scores = table_of([[6, 4, 0], [2, 2, 0], [0, 0, 8]])

    best = rank(scores)[0]

    assert (best.gone, best.into) == ("b", "a")
    assert best.confused == pytest.approx((0.4 + 0.5) / 2)
    assert best.uar == pytest.approx(1.0)
    assert best.chance == pytest.approx(1 / 2)
    share = np.array([10, 4]) / 14  # within the merged class, 14 of 22 utterances
    assert best.lost == pytest.approx(14 / 22 * -(share * np.log2(share)).sum())
    assert 0 <= best.heard < best.lost


def test_what_is_never_confused_is_not_merged() -> None:
    assert propose(table_of([[5, 0], [0, 5]]), 1) == {}
    # then c is taken for a and b together more often than for d, but they are two
    confusion = [[50, 35, 10, 5], [35, 50, 10, 5], [15, 15, 54, 16], [5, 5, 16, 74]]
    assert propose(table_of(confusion), 2) == {"b": "a", "d": "c"}


def test_proposed_merges_stand_behind_those_of_the_map() -> None:
    one = LabelMap("x", "x", ("a", "b", "c"), {"e": "b"}, ("f",))

    both = as_map(one, {"b": "a"}, "")

    assert both.labels == ("a", "c")
    assert both.merge == {"e": "a", "b": "a"}
    assert both.drop == ("f",)
    assert both.original == ("a", "b", "c")
