"""Audit: what each bad practice leaks, what it is compared with, what is kept of it."""

import collections
import dataclasses
import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jsonargparse import ArgumentParser
from sklearn.base import BaseEstimator

from contracts.cache import Cache
from contracts.errors import PluginError, RunError
from contracts.feature import Block, FeatureSpec
from contracts.run import find_runs
from contracts.view import View
from evaluation.auditing import _views as views
from evaluation.auditing._scores import difference, score
from evaluation.auditing._text import audit_text
from evaluation.auditing._work import COLUMNS, Case, Outcome, Skipped, in_random_parts
from evaluation.auditing.audit import PRACTICES, audit, with_counterparts
from evaluation.auditing.audit_command import AUDIT
from evaluation.auditing.record import facts, read_audits, save
from evaluation.question import Question, ask, with_variants
from evaluation.settings import head_class
from models.logistic_regression import Head as LogisticRegression
from report._audit_plot import audit_plot, audit_points
from tests.synthetic import LABELS, make_cache, rows

N_SPEAKERS = 8


def twice(frame: pd.DataFrame) -> pd.DataFrame:
    """Add a copy with noise of every utterance, as manifest rows."""
    made = frame.assign(
        id=frame["id"] + "~1",
        source=frame["id"],
        variant="augment:noise#1",
        waveform=frame["waveform"].str[::-1],
    )
    return pd.concat([frame, made], ignore_index=True)


def put_encoder(cache: Cache, frame: pd.DataFrame, seed: int) -> None:
    """Add ``wav2vec2`` of an untrained encoder of two layers, with its weights."""
    draw = np.random.default_rng(seed)
    spec = FeatureSpec(
        "wav2vec2",
        {"weights": seed, "architecture": "toy"},
        8,
        layers=(0, 1, 2),
        dtype="float32",
        provenance={"encoder": f"toy-{seed}", "untrained": True},
    )
    blocks = {}
    for key, label in zip(frame["waveform"], frame["label"], strict=True):
        n_frames = int(draw.integers(3, 9))
        values = draw.standard_normal((3, n_frames, 8)).astype(np.float32) * 2 + 1
        values[1, :, LABELS.index(label)] += 2  # layer 1 alone knows
        pooled = np.stack([values.mean(1), values.std(1)], axis=1)
        blocks[key] = Block(values, pooled)
    with cache.lock():
        cache.store(spec).commit(blocks, {}, "cpu")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Return a cache with copies, and two untrained encoders."""
    folder = tmp_path_factory.mktemp("audit") / "cache"
    frame = twice(rows(N_SPEAKERS, per_label=2))
    made = make_cache(folder, frame, strength=0.35, n_layers=1, width=4)
    with made.lock():
        for path in (folder / "features").glob("wav2vec2@*"):
            for file in path.iterdir():
                file.unlink()
            path.rmdir()
    for seed in (1, 2):
        put_encoder(Cache(folder), frame, seed)
    return Cache(folder)


def case_of(cache: Cache, model: str = "logistic_regression", **more: Any) -> Case:
    """Return a case of some head under five folds of speakers."""
    encoder, protocol = more.pop("encoder", None), more.pop("protocol", None)
    seeds, wanted = more.pop("seeds", (0,)), more.pop("folds", None)
    head = head_class(model)(**more)
    asked = cache, tuple(head.features), encoder, protocol, wanted
    return Case(cache, question_of(*asked), model, head, seeds)


@functools.cache
def question_of(
    cache: Cache,
    features: tuple[str, ...],
    encoder: str | None,
    protocol: str | None,
    wanted: tuple[int, ...] | None,
) -> Question:
    """Return five folds of speakers, made once."""
    view = cache.view("toy", encoder=encoder).require(features)
    return ask(view, None, protocol or "speakers-5fold", wanted)


class ByFrames(BaseEstimator):  # type: ignore[misc]
    """Stands for a torch head, whose library takes seconds to import."""

    needs_dev = True

    def __init__(self, normalise: str | None = "speaker") -> None:
        self.normalise = normalise


def with_copies(case: Case) -> Case:
    """Let a case have its copies."""
    case.copies = copies_of(case.cache)
    return case


@functools.cache
def copies_of(cache: Cache) -> Question:
    """Return the same folds with copies in train, made once."""
    view = with_variants(cache, ["toy"], None, ["noise"])
    return ask(view.require(["egemaps"]), None, "speakers-5fold")


# features moved


def test_scaling_beforehand_equals_the_head_s_own(cache: Cache) -> None:
    case = case_of(cache)
    fold = case.question.folds[0]
    told = views.standard(views.level(fold.refit, "egemaps", False))
    own, bare = LogisticRegression(), LogisticRegression()
    bare.standardise = False

    def ready(part: View) -> View:
        return views.moved(part, ["egemaps"], ["x"] * len(part), lambda *_: told)

    own.fit(fold.refit)
    bare.fit(ready(fold.refit))

    np.testing.assert_allclose(
        bare.predict_proba(ready(fold.part("test"))),
        own.predict_proba(fold.part("test")),
        atol=1e-4,
    )


@pytest.mark.parametrize("feature", ["egemaps", "mfcc:mean"])
def test_moved_tables_have_the_mean_and_deviation_aimed_at(
    cache: Cache, feature: str
) -> None:
    view = cache.view("toy")
    one, other = view.take(view.speakers == "toy/01"), view.take(np.arange(40))
    move = views.between(
        views.level(one, feature, False), views.level(other, feature, False)
    )

    out = views.moved(one, [feature], ["a"] * len(one), lambda *_: move)

    told, aim = out.table(feature), other.table(feature)
    np.testing.assert_allclose(told.mean(0), aim.mean(0), atol=1e-4)
    np.testing.assert_allclose(told.std(0), aim.std(0), atol=1e-4)
    few = out.take([3, 1])
    np.testing.assert_array_equal(few.table(feature), told[[3, 1]])


def test_moved_frames_have_the_mean_and_deviation_aimed_at(cache: Cache) -> None:
    name = "wav2vec2"
    view = cache.view("toy", encoder="toy-1")
    one, other = view.take(np.arange(30)), view.take(np.arange(30, 64))
    move = views.between(views.level(one, name, True), views.level(other, name, True))
    out = views.moved(one, [name], ["a"] * len(one), lambda *_: move)

    def all_frames(part: View) -> Any:
        return np.concatenate(
            [part.frames(name, i, [2, 0]) for i in range(len(part))], axis=2
        )

    told, aim = all_frames(out), all_frames(other)
    np.testing.assert_allclose(told.mean(2), aim.mean(2), atol=1e-4)
    np.testing.assert_allclose(told.std(2), aim.std(2), atol=1e-4)
    frames = out.frames(name, 4, [2, 0])
    pooled = np.stack([frames.mean(2), frames.std(2)], axis=1)
    np.testing.assert_allclose(out.pooled(name, [2, 0])[4], pooled, atol=1e-4)


def test_columns_without_numbers_or_change_are_moved_as_scalers_would() -> None:
    numbers = np.array([[1, 5, np.nan], [3, 5, 2], [np.nan, 5, 4]], np.float32)

    told = views._over_utterances(numbers)

    np.testing.assert_allclose(told.mean, [2, 5, 3])
    np.testing.assert_allclose(told.scale, [1, 1, 1])


# random parts


def test_random_parts_test_all_once_and_keep_the_share_of_dev(cache: Cache) -> None:
    question = case_of(cache).question
    view, folds = question.view, question.folds

    parts = list(in_random_parts(view, folds, 3))

    tested = np.concatenate([test for _, _, test in parts])
    assert sorted(tested) == list(range(len(view)))
    for (train, dev, test), fold in zip(parts, folds, strict=True):
        assert sorted(np.concatenate([train, dev, test])) == list(range(len(view)))
        share = len(fold.dev) / (len(fold.dev) + len(fold.train))
        assert len(dev) == pytest.approx(share * (len(dev) + len(train)), abs=1)
        counted = np.unique(view.y[test], return_counts=True)[1]
        assert counted.max() - counted.min() <= 1  # labels as in the whole
    again = list(in_random_parts(view, folds, 3))
    assert all(np.array_equal(a[2], b[2]) for a, b in zip(parts, again, strict=True))
    other = list(in_random_parts(view, folds, 4))
    assert not np.array_equal(parts[0][2], other[0][2])


def test_one_fold_alone_is_parted_into_parts_of_its_size(cache: Cache) -> None:
    question = case_of(cache, folds=(1,)).question

    ((train, dev, test),) = in_random_parts(question.view, question.folds, 0)

    (fold,) = question.folds
    assert len(test) == len(fold.test)
    assert (len(train), len(dev)) == (len(fold.train), len(fold.dev))


def test_rare_labels_are_parted_as_far_as_they_go(
    cache: Cache, recwarn: pytest.WarningsRecorder
) -> None:
    view = case_of(cache).question.view
    few = view.take(np.flatnonzero((view.y != 2) | (np.arange(len(view)) < 16)))
    folds = ask(few, None, "loso").folds

    parts = list(in_random_parts(few, folds, 0))

    assert (few.y == 2).sum() == 4 < len(parts)
    assert sorted(np.concatenate([test for _, _, test in parts])) == list(
        range(len(few))
    )
    assert not recwarn.list


# an utterance stands in row 8 * speaker + 2 * label + take
PLACE = np.arange(8 * N_SPEAKERS)
OWN = 2 * (PLACE // 8 % 4)  # place of a label that every fourth speaker shares


@pytest.mark.parametrize(
    ("kept", "protocol", "wanted", "why"),
    [
        ((PLACE % 8 // 2 != 2) | (PLACE == 4), "speakers-5fold", (0,), "alone of sad"),
        (PLACE % 8 == OWN, "loso", None, "8 random parts"),
        (np.isin(PLACE % 8 - OWN, [0, 2, -6]), "loso", (1,), "part of 2 of 16"),
    ],
)
def test_parts_that_cannot_be_drawn_are_a_row_and_the_audit_goes_on(
    kept: Any, protocol: str, wanted: Any, why: str, cache: Cache
) -> None:
    case = case_of(cache)
    view = case.question.view
    few = view.take(np.flatnonzero(kept))
    case.question = ask(few, None, protocol, wanted)

    told = audit(case, ["random-split", "split-duplicates", "best-fold"])

    by_name = {row["practice"]: row for row in told}
    assert why in by_name["random-split"]["skipped"]
    assert by_name["honest"]["uar"] is not None
    assert list(by_name) == ["honest", "random-split", "split-duplicates", "best-fold"]


# what leaks, and what does not


def trials_of(case: Case, name: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the trials of a practice without fitting them."""
    kept: list[Any] = []

    def fit(_: Case, trials: Iterator[Any]) -> pd.DataFrame:
        kept.extend(trials)
        return pd.DataFrame(columns=list(COLUMNS))

    monkeypatch.setattr(Case, "fit", fit)
    PRACTICES[name].do(case)
    return kept


def shared(trial: Any, column: str) -> set[str]:
    """Return what stands in train and in test."""
    return set(trial.train.manifest[column]) & set(trial.test.manifest[column])


@pytest.mark.parametrize(
    "name", ["honest", "test-scaler", "all-scaler", "speaker-scaler", "train-copies"]
)
def test_practices_that_part_honestly_share_nobody(
    name: str, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = trials_of(with_copies(case_of(cache)), name, monkeypatch)

    assert len(trials) == 5
    for trial in trials:
        assert not shared(trial, "speaker")
        assert (trial.test.manifest["variant"] == "").all()


@pytest.mark.parametrize("name", ["random-split", "split-copies", "split-duplicates"])
def test_practices_that_part_at_random_share_what_they_say(
    name: str, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = with_copies(case_of(cache))
    trials = trials_of(case, name, monkeypatch)

    tested = [i for trial in trials for i in trial.test.ids]
    assert sorted(tested) == sorted(case.question.view.ids)  # each original once
    sources = [
        set(t.train.manifest["source"]) & set(t.test.manifest["id"]) for t in trials
    ]
    assert all(shared(trial, "speaker") for trial in trials)
    assert all(sources) == (name == "split-copies")
    heard = all(shared(trial, "waveform") for trial in trials)
    assert heard == (name == "split-duplicates")


@pytest.mark.parametrize("name", ["split-copies", "split-duplicates"])
def test_copies_are_put_into_the_very_parts_of_the_random_split(
    name: str, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = with_copies(case_of(cache))
    plain = trials_of(case, "random-split", monkeypatch)

    trials = trials_of(case, name, monkeypatch)

    assert PRACTICES[name].against == "random-split"
    for trial, bare in zip(trials, plain, strict=True):
        assert list(trial.test.ids) == list(bare.test.ids)
        more = collections.Counter(trial.train.ids)
        more.subtract(bare.train.ids)
        assert min(more.values()) == 0  # all that is there without copies
        made = [i.removesuffix("~1") for i in more.elements()]
        away = set(made) & set(trial.test.ids)
        assert 0 < len(away) < len(made) == pytest.approx(len(bare.train), abs=4)


def test_copies_in_train_are_those_of_training_speakers(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = with_copies(case_of(cache))
    trials = trials_of(case, "train-copies", monkeypatch)
    for trial, fold in zip(trials, case.question.folds, strict=True):
        told = trial.train.manifest
        made = told["source"][told["variant"] != ""]
        assert sorted(made) == sorted(fold.part("train").ids)


def test_the_checkpoint_is_picked_on_the_very_test_fold(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_of(cache)
    case.head = ByFrames()

    trials = trials_of(case, "test-checkpoint", monkeypatch)

    assert trials
    for trial, fold in zip(trials, case.question.folds, strict=True):
        assert list(trial.dev.ids) == list(trial.test.ids)
        assert list(trial.train.ids) == list(fold.part("train").ids)


def test_scalers_look_where_they_say(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def level(trial: Any, part: str) -> Any:
        return getattr(trial, part).table("egemaps").mean(axis=0)

    on_test = trials_of(case_of(cache), "test-scaler", monkeypatch)[0]
    np.testing.assert_allclose(
        level(on_test, "test"), level(on_test, "train"), atol=1e-4
    )
    assert not isinstance(on_test.train, views.Moved)
    by_speaker = trials_of(case_of(cache), "speaker-scaler", monkeypatch)[0]
    for part in (by_speaker.train, by_speaker.test):
        for speaker in set(part.speakers):
            own = part.take(part.speakers == speaker).table("egemaps").mean(axis=0)
            np.testing.assert_allclose(own, level(by_speaker, "train"), atol=1e-4)
    on_all = trials_of(case_of(cache), "all-scaler", monkeypatch)[0]
    both = np.concatenate([on_all.train.table("egemaps"), on_all.test.table("egemaps")])
    np.testing.assert_allclose(both.mean(axis=0), 0, atol=1e-4)
    assert on_all.head.standardise is False
    assert LogisticRegression.standardise is True  # of this fit alone


@pytest.mark.parametrize(
    ("model", "settings", "name", "why"),
    [
        ("random_forest", {}, "all-scaler", "no scaler of its own"),
        ("random_forest", {}, "test-checkpoint", "has no epochs"),
        ("logistic_regression", {}, "test-layer", "no layers"),
        ("logistic_regression", {}, "split-copies", "extract it"),
        ("logistic_regression", {}, "best-seed", "draws nothing"),
        ("random_forest", {}, "best-seed", "--seeds 0-4"),
        ("logistic_regression", {}, "untrained-twin", "made by no encoder"),
    ],
)
def test_a_practice_that_cannot_apply_says_why(
    model: str, settings: dict[str, Any], name: str, why: str, cache: Cache
) -> None:
    case = case_of(cache, model, **settings)
    case.no_copies = "no copies: extract it"
    case.known["honest"] = Outcome(pd.DataFrame(columns=list(COLUMNS)))

    with pytest.raises(Skipped, match=re.escape(why)):
        PRACTICES[name].do(case)


def test_a_head_that_normalises_by_speaker_is_not_called_honest(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_of(cache)
    case.head = ByFrames()
    monkeypatch.setattr(Case, "fit", lambda *_: pd.DataFrame())

    assert "not honest either" in PRACTICES["honest"].do(case).note
    with pytest.raises(Skipped, match="by itself"):
        PRACTICES["speaker-scaler"].do(case)


# scores


def outcome(right: list[list[bool]], n_seeds: int = 1) -> Outcome:
    """Return guesses of two labels: per speaker which utterances are right."""
    told = []
    for seed in range(n_seeds):
        for s, each in enumerate(right):
            for i, hit in enumerate(each):
                truth = i % 2
                guess = truth if hit else 1 - truth
                told.append((seed, s % 2, f"{s}-{i}", f"s{s}", truth, guess))
    return Outcome(pd.DataFrame(told, columns=list(COLUMNS)))


def test_inflation_is_the_difference_and_its_interval_is_over_speakers() -> None:
    draw = np.random.default_rng(0)
    base = draw.random((12, 20)) < 0.5
    better = base | (draw.random((12, 20)) < 0.4)

    found = score(outcome(better.tolist()), outcome(base.tolist()), 2)

    value = found.inflation.value
    assert value == pytest.approx(better.mean() - base.mean(), abs=0.02)
    assert found.inflation.low < value < found.inflation.high
    assert found.inflation.low > 0
    assert (found.paired, found.n, found.n_seeds) == (True, 240, 1)
    same = score(outcome(base.tolist(), 3), outcome(base.tolist()), 2)
    assert same.inflation.value == pytest.approx(0)
    assert same.inflation.low == pytest.approx(0)
    assert (same.n, same.n_seeds) == (240, 3)


def test_few_speakers_and_other_speakers_have_no_interval() -> None:
    base, few = outcome([[True, False]] * 12), outcome([[True, True]] * 5)

    found = difference(few.rows, base.rows, 2)
    assert np.isnan(found.low)
    assert "5 test speakers" in found.note
    who = base.rows["speaker"].mask(base.rows["id"].isin(["0-0", "0-1", "1-1"]), "")
    nobody = Outcome(base.rows.assign(speaker=who))
    told = score(nobody, nobody, 2)
    assert np.isnan([told.uar.low, told.inflation.low]).all()
    assert (told.uar.n_speakers, told.inflation.n_speakers) == (11, 11)
    assert told.inflation.note == "no speaker is known of 3 utterances: no interval"
    strange = few.rows.assign(speaker=few.rows["speaker"] + "x")
    many = pd.concat([base.rows, strange])
    assert "does not" in difference(many, base.rows, 2).note
    assert not score(few, base, 2).paired


# all of it


def test_audit_of_a_table_head(cache: Cache, tmp_path: Path) -> None:
    case = with_copies(case_of(cache, seeds=(0, 1)))

    told = audit(case)

    by_name = {row["practice"]: row for row in told}
    assert list(by_name) == list(PRACTICES)
    ran = {name for name, row in by_name.items() if not row["skipped"]}
    assert ran == {
        *("honest", "random-split", "test-scaler", "all-scaler", "speaker-scaler"),
        *("train-copies", "split-copies", "split-duplicates", "best-fold"),
    }
    honest = by_name["honest"]
    assert honest["inflation"] is None
    assert (honest["n"], honest["n_seeds"]) == (N_SPEAKERS * 8, 1)
    assert by_name["random-split"]["n_seeds"] == 2  # the split is drawn
    # what was trained on is known again
    assert by_name["split-duplicates"]["inflation"] > 0.1
    assert by_name["split-duplicates"]["inflation_low"] > 0
    for name in ran - {"honest", "train-copies"}:
        row = by_name[name]
        base = by_name[row["against"]]["uar"]
        assert row["inflation"] == pytest.approx(row["uar"] - base, abs=1e-9)
        assert row["paired"] is (name != "best-fold")
    beyond = by_name["split-duplicates"]["uar"] - honest["uar"]
    assert f"{beyond:+.3f} over honest" in by_name["split-duplicates"]["note"]
    assert "over honest" not in by_name["test-scaler"]["note"]
    fold = case.known["best-fold"].rows
    assert by_name["best-fold"]["uar"] >= honest["uar"]
    assert fold["fold"].nunique() == 1
    json.dumps(told, allow_nan=False)

    path = save(facts(case), told, tmp_path)
    assert read_audits(tmp_path)[0][0]["rows"] == told
    assert find_runs(tmp_path) == ([], [])  # of no rank
    again = save(facts(case), audit(case, ["test-scaler"]), tmp_path)
    assert again == path
    (kept,), _ = read_audits(tmp_path)
    assert [row["practice"] for row in kept["rows"]] == list(PRACTICES)


def test_best_layer_is_chosen_on_dev_and_on_test(cache: Cache) -> None:
    few: dict[str, Any] = {"encoder": "toy-1", "folds": (0, 1)}
    case = case_of(cache, features=("wav2vec2",), **few)

    told = {row["practice"]: row for row in audit(case, ["test-layer"])}

    assert list(told) == ["honest", "dev-layer", "test-layer"]
    assert "layer 1 of 3" in told["test-layer"]["note"]
    layers = case.known["layers"].rows
    assert set(layers["layer"]) == {0, 1, 2}
    for fold in case.question.folds:
        own = layers[(layers["fold"] == fold.index) & (layers["layer"] == 0)]
        assert set(own["id"][own["part"] == "dev"]) == set(fold.part("dev").ids)
        assert set(own["id"][own["part"] == "test"]) == set(fold.part("test").ids)
    kept = told["dev-layer"]
    assert kept["note"].startswith("layers 1")
    assert told["test-layer"]["uar"] >= kept["uar"] - 1e-9


def test_no_layer_is_judged_by_a_head_that_learnt_from_its_dev(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_of(cache, features=("wav2vec2",), encoder="toy-1")
    trials: list[Any] = []

    def fit(_: Case, asked: Any) -> pd.DataFrame:
        trials.extend(asked)
        raise Skipped

    monkeypatch.setattr(Case, "fit", fit)
    with pytest.raises(Skipped):
        PRACTICES["dev-layer"].do(case)

    assert len(trials) == 2 * 3 * 5
    assert not any(shared(trial, "speaker") for trial in trials)


def test_the_untrained_twin_is_another_draw_of_the_same_architecture(
    cache: Cache,
) -> None:
    case = case_of(cache, features=("wav2vec2",), encoder="toy-1")

    told = {row["practice"]: row for row in audit(case, ["untrained-twin"])}

    twin = told["untrained-twin"]
    assert twin["skipped"] == ""
    assert twin["kind"] == "reference"
    assert "two draws of random weights" in twin["note"]
    other = cache.view("toy", encoder="toy-2").spec("wav2vec2")
    assert other.short in twin["note"]
    assert twin["uar"] != told["honest"]["uar"]


def test_a_twin_that_is_missing_names_the_commands(tmp_path: Path) -> None:
    frame = rows(5, per_label=1)
    cache = make_cache(tmp_path / "c", frame, n_layers=12, width=768, untrained=True)
    case = case_of(cache, features=("wav2vec2",), layers=(1,))

    with pytest.raises(Skipped) as caught:
        PRACTICES["untrained-twin"].do(case)

    said = str(caught.value)
    assert "untrained --out data/encoders/untrained-base-1 --seed 1" in said
    assert "extract --corpus toy --feature wav2vec2 --encoder" in said


def test_best_seed_is_the_best_and_is_compared_with_their_mean(cache: Cache) -> None:
    case = case_of(cache, "random_forest", seeds=(0, 1, 2), n_estimators=3)

    told = {row["practice"]: row for row in audit(case, ["best-seed"])}

    assert told["honest"]["n_seeds"] == 3
    best = told["best-seed"]
    found = re.search(r"seeds ([\d.]+) to ([\d.]+)", best["note"])
    assert found
    assert best["uar"] == pytest.approx(float(found[2]), abs=6e-4)
    assert best["inflation"] > 0


def test_a_practice_that_fails_is_a_row_and_an_unknown_one_is_refused(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = with_copies(case_of(cache))
    usual = LogisticRegression.fit

    def fit(self: Any, train: View, dev: View | None = None) -> Any:
        if (train.manifest["variant"] != "").any():
            msg = "no head learns this"
            raise RunError(msg)
        return usual(self, train, dev)

    monkeypatch.setattr(LogisticRegression, "fit", fit)

    (_, row) = audit(case, ["train-copies"])
    assert row["uar"] is None
    assert row["skipped"] == "failed: no head learns this"
    with pytest.raises(PluginError, match="best-flod"):
        with_counterparts(["best-flod"])
    assert with_counterparts(["test-layer"]) == ["honest", "dev-layer", "test-layer"]


def test_cases_that_differ_in_folds_utterances_or_copies_are_kept_apart(
    cache: Cache, tmp_path: Path
) -> None:
    cases = [case_of(cache), case_of(cache, folds=(0,)), case_of(cache, folds=(1,))]
    changed, copied = case_of(cache), with_copies(case_of(cache))
    view = changed.question.view
    longer = view.manifest.assign(duration=view.manifest["duration"] + 1)
    other = dataclasses.replace(view, manifest=longer)
    changed.question = dataclasses.replace(changed.question, view=other)
    told = [facts(case) for case in (*cases, changed, copied)]

    assert len({one["id"] for one in told}) == 5
    assert [one["folds"] for one in told[:3]] == [[0, 1, 2, 3, 4], [0], [1]]
    assert told[4]["augment"] == ["augment:noise#1"]
    for one in told:
        save(one, [], tmp_path)
    found, broken = read_audits(tmp_path)
    assert not found and len(broken) == 5  # without a row there is nothing to show
    assert facts(case_of(cache))["id"] == told[0]["id"]


def test_an_audit_that_is_stopped_keeps_what_it_has(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: Case) -> Outcome:
        raise KeyboardInterrupt

    stopped = dataclasses.replace(PRACTICES["test-scaler"], do=stop)
    monkeypatch.setitem(PRACTICES, "test-scaler", stopped)
    words = ["--model", "logistic_regression", "--protocol", "speakers-5fold"]

    with pytest.raises(KeyboardInterrupt):
        run(*words, "--cache", cache.folder, "--runs", tmp_path)

    (told,), _ = read_audits(tmp_path)
    done = [(row["practice"], row["skipped"] == "") for row in told["rows"]]
    assert done == [
        *(("honest", True), ("random-split", True), ("test-checkpoint", False)),
    ]
    assert "--practice random-split" in told["rows"][1]["command"]


def test_a_counterpart_without_a_number_is_said(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Case) -> Outcome:
        msg = "not today"
        raise Skipped(msg)

    failing = dataclasses.replace(PRACTICES["random-split"], do=fail)
    monkeypatch.setitem(PRACTICES, "random-split", failing)
    case = case_of(cache, folds=(0,))

    told = audit(case, ["split-duplicates"])

    assert told[-1]["inflation"] is None
    assert "random-split came to no number" in told[-1]["note"]
    said = audit_text(facts(case), told)
    assert "inflation over" not in said
    assert "partial: folds 0 of the protocol alone" in said


# the command and the plot


def run(*words: object) -> int:
    """Run the command alone, as the program does."""
    parser = ArgumentParser()
    AUDIT.add_arguments(parser)
    return AUDIT.run(parser.parse_args([str(word) for word in words]))


def test_the_command_prints_writes_and_names_how_to_make_each_row_again(
    cache: Cache, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", "logistic_regression", "--protocol", "speakers-5fold"]
    where = ["--cache", str(cache.folder), "--runs", str(tmp_path)]

    assert run(*words, *where, "--practice", "train-copies", "best-fold") == 0

    said = capsys.readouterr().out
    assert re.search("best-fold +optimistic", said)
    assert re.search("train-copies +honest", said)
    assert "chance is 0.250" in said
    (told,), _ = read_audits(tmp_path)
    command = told["rows"][-1]["command"]
    assert "--practice best-fold" in command
    assert "--protocol speakers-5fold" in command
    assert run(*words, *where, "--practice", "test-scaler", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["practice"] for row in shown["rows"]] == ["honest", "test-scaler"]


def test_the_plot_shows_each_practice_by_name_and_calls_it_optimistic(
    cache: Cache,
) -> None:
    case = case_of(cache)
    told = facts(case) | {"rows": audit(case, ["random-split", "best-seed"])}
    told["rows"][1]["title"] = "<script>alert(1)</script>"

    drawn = str(audit_plot(told))

    assert len(audit_points(told)) == 2  # what was not applied is not drawn
    assert "optimistic: &lt;script&gt;" in drawn
    assert "<script>" not in drawn
    assert 'role="img"' in drawn
    assert f"{100 * told['rows'][1]['uar']:.1f}" in drawn


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("data/cache/manifest/ravdess.parquet").exists(),
    reason="needs RAVDESS with egemaps in data/cache",
)
def test_ravdess_comes_to_what_plain_scikit_learn_came_to() -> None:
    """The figures are of scikit-learn alone on the same files, seed 0."""
    view = Cache("data/cache").view("ravdess").require(["egemaps"])
    question = ask(view, None, "ravdess-luna5")
    case = Case(Cache("data/cache"), question, "logistic_regression", None, (0,))
    case.head = LogisticRegression()
    expected = {"honest": 0.515, "random-split": 0.586, "test-scaler": 0.540}
    expected["speaker-scaler"] = 0.615

    told = {row["practice"]: row["uar"] for row in audit(case, list(expected))}

    for name, uar in expected.items():
        assert told[name] == pytest.approx(uar, abs=0.005), name
