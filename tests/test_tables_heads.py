"""Heads over tables: what they read, and probabilities calibrated over speakers."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from contracts.cache import Cache
from contracts.errors import CacheError, RunError
from contracts.labels import LabelMap
from contracts.published import Published
from contracts.view import View
from evaluation import settings
from models import _calibration, svm
from models.logistic_regression import Head as LogisticRegression
from tests.synthetic import LABELS, make_cache, rows

HEADS = (
    *("prior", "logistic_regression", "svm", "decision_tree", "random_forest"),
    *("xgb", "layer_probe"),
)


def labelled(cache: Cache) -> View:
    return cache.view("toy").relabel(LabelMap("toy", "as they are", LABELS))


@pytest.fixture(scope="module")
def view(toy_cache: Cache) -> View:
    return labelled(toy_cache)


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> View:
    """Return a view whose labels overlap, twelve speakers."""
    folder = tmp_path_factory.mktemp("hard") / "cache"
    frame = rows(12, per_label=6)
    return labelled(make_cache(folder, frame, strength=0.2, n_layers=1))


def halves(view: View, n: int) -> tuple[View, View]:
    """Cut a view behind its first ``n`` speakers."""
    number = np.array([int(s.rpartition("/")[2]) for s in view.speakers])
    return view.take(number <= n), view.take(number > n)


# what is published


@pytest.mark.parametrize("name", HEADS)
def test_head_says_what_was_published(name: str) -> None:
    module = importlib.import_module(f"models.{name}")

    assert module.PUBLISHED
    for one in module.PUBLISHED:
        assert isinstance(one, Published)
        assert one.source
        assert one.number
        assert one.protocol


# what is read


def test_features_stand_side_by_side_and_the_head_says_so(view: View) -> None:
    head = LogisticRegression(features=("wav2vec2", "egemaps"), layers=[6]).fit(view)

    X = np.concatenate(
        [view.pooled("wav2vec2", [6])[:, 0, 0], view.table("egemaps")], axis=1
    )
    np.testing.assert_allclose(head.preparation_["mean"], X.mean(0), rtol=1e-5)
    assert head.learnt_ == {
        "n_columns": 96 + 88,
        "columns": {"wav2vec2, mean of layers 6": 96, "egemaps": 88},
    }
    every = LogisticRegression(features=("wav2vec2",)).fit(view)
    assert every.learnt_["columns"] == {"wav2vec2, mean of 12 layers": 12 * 96}


def test_layers_come_from_the_command_line(view: View) -> None:
    told = settings.parse(["layers=[6]", "strengths=0.01,0.1"])
    heads = settings.heads(["svm", "layer_probe"], told, ["wav2vec2"])

    assert heads["svm"].layers == [6]
    assert heads["layer_probe"].strengths == (0.01, 0.1)
    assert heads["svm"].fit(view).learnt_["n_columns"] == 96


@pytest.mark.parametrize("bad", [6, [], [1.5], "6", [-1]])
def test_layers_that_are_no_list_are_refused(view: View, bad: Any) -> None:
    with pytest.raises(RunError, match=r"such as --set layers=\[6\]"):
        LogisticRegression(features=("wav2vec2",), layers=bad).fit(view)


def test_layers_of_features_that_have_none_are_refused(view: View) -> None:
    with pytest.raises(RunError, match="expected a feature with frames, got egemaps"):
        LogisticRegression(features=("egemaps",), layers=[6]).fit(view)


def test_model_of_another_version_is_refused(view: View, tmp_path: Path) -> None:
    LogisticRegression().fit(view).save(tmp_path)
    path = tmp_path / "head.json"
    told = json.loads(path.read_text())
    told["parameters"]["penalty"] = "l3"
    path.write_text(json.dumps(told))

    with pytest.raises(RunError, match="another version: .* got penalty too. Fit it"):
        LogisticRegression.load(tmp_path)


def test_layer_that_is_not_stored_names_the_command(view: View) -> None:
    with pytest.raises(CacheError, match="--layers all"):
        LogisticRegression(features=("wav2vec2",), layers=[25]).fit(view)


def test_missing_values_take_the_median_of_train() -> None:
    from models._tables import spread, standardised

    X = np.array([[1.0, 5.0], [np.nan, 7.0], [3.0, 9.0], [8.0, 9.5]])
    learnt = spread(X)

    np.testing.assert_allclose(learnt["median"], [3, 8])
    np.testing.assert_allclose(learnt["mean"], [15 / 4, 30.5 / 4])
    assert standardised(np.array([[np.nan, 8]]), learnt, scale=False)[0, 0] == 3
    np.testing.assert_array_equal(spread(X[2:])["median"], [5.5, 9.25])


# calibration


def test_no_speaker_is_judged_by_a_machine_that_heard_it(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = view.table("egemaps").astype(np.float64)
    speaker = {row.tobytes(): s for row, s in zip(table, view.speakers, strict=True)}
    heard: list[tuple[set[str], set[str]]] = []

    def fit(rest: Any, X: Any) -> set[str]:
        return {speaker[row.tobytes()] for row in X[rest]}

    def spied(fit_rows: Any, X: Any, n: int, splits: Any) -> Any:
        heard.extend((fit(rest, X), fit(part, X)) for rest, part in splits)
        return _calibration.unheard(fit_rows, X, n, splits)

    monkeypatch.setattr(svm, "unheard", spied)
    svm.Head().fit(view)

    assert len(heard) == 5
    assert all(not rest & part for rest, part in heard)
    assert set.union(*(part for _, part in heard)) == set(view.speakers)


def test_calibration_beats_a_raw_softmax_on_unheard_speakers(hard: View) -> None:
    train, test = halves(hard, 8)
    head = svm.Head(C=10.0).fit(train)
    told = head.predict_proba(test)

    raw = _calibration.margins(head.estimator_, test.table("egemaps"), len(LABELS))
    seen = _calibration.margins(head.estimator_, train.table("egemaps"), len(LABELS))
    on_seen = softmax(_calibration.inverse_temperature(seen, train.y) * raw, axis=1)
    losses = [
        log_loss(test.y, p, labels=range(4))
        for p in (told, softmax(raw, axis=1), on_seen)
    ]

    np.testing.assert_array_equal(told.argmax(1), raw.argmax(1))
    assert losses[0] < losses[1] - 0.05
    assert losses[0] < losses[2] - 0.05  # fitted on the utterances it was fitted on
    assert losses[0] < np.log(4)


def test_temperature_is_found() -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((20_000, 3)) * 2
    y = (softmax(logits, axis=1).cumsum(1) > rng.random((len(logits), 1))).argmax(1)

    assert _calibration.inverse_temperature(4 * logits, y) == pytest.approx(0.25, 0.05)
    parted = np.array([0, 1, 0, 1])
    sure = _calibration.inverse_temperature(10 * np.eye(2)[parted], parted)
    top = softmax(sure * np.array([10.0, 0.0])).max()
    assert top == pytest.approx(5 / 6, abs=1e-3)  # Platt: (4 + 1) / (4 + 2)


@pytest.mark.parametrize("n_labels", [2, 4])
def test_margins_speak_for_the_label_that_is_predicted(
    view: View, n_labels: int
) -> None:
    few = view.take(view.y < n_labels)
    machine = svm.Head()._estimator().fit(few.table("egemaps"), few.y)

    told = _calibration.margins(machine, few.table("egemaps"), n_labels)

    assert told.shape == (len(few), n_labels)
    np.testing.assert_allclose(told.sum(1), 0, atol=1e-9)
    np.testing.assert_array_equal(told.argmax(1), few.y)
    assert svm.Head().fit(few).predict_proba(few).argmax(1).tolist() == few.y.tolist()


def test_variants_are_learnt_from_and_not_judged(view: View) -> None:
    made = view.manifest.assign(variant=np.where(np.arange(len(view)) % 2, "noise", ""))
    splits = _calibration.speaker_splits(
        View(view.cache, made, view.cards, view.classes), "svm"
    )

    judged = np.concatenate([part for _, part in splits])
    assert sorted(judged) == list(range(0, len(view), 2))
    assert {len(rest) % 2 for rest, _ in splits} == {0}


def test_rests_hold_every_label_where_that_can_be(view: View) -> None:
    # happy is said by two speakers, whom five parts put together
    together = _calibration.speaker_splits(view, "svm")[0][1]
    pair = sorted(set(view.speakers[together]))[:2]
    rare = view.take((view.labels != "happy") | np.isin(view.speakers, pair))

    splits = _calibration.speaker_splits(rare, "svm")

    assert all(len(set(rare.y[rest])) == 4 for rest, _ in splits)
    alone = view.take((view.labels != "happy") | (view.speakers == pair[0]))
    with pytest.raises(RunError, match="two or more for each label, got one for happy"):
        svm.Head().fit(alone)
    with pytest.raises(RunError, match="got one for neutral, happy, sad, angry"):
        svm.Head().fit(view.take(view.speakers == pair[0]))


def test_saved_machine_holds_types_that_are_trusted(view: View, tmp_path: Path) -> None:
    from skops import io

    svm.Head().fit(view).save(tmp_path)

    assert io.get_untrusted_types(file=tmp_path / "estimator.skops") == []
    assert not list(tmp_path.glob("*.pkl"))
