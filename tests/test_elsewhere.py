"""A run's models on another corpus: who is tested, with which labels."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contracts.cache import Cache
from contracts.errors import CacheError, ManifestError, RunError
from contracts.run import Run, find_runs, read_run
from evaluation import experiment, settings
from evaluation.measures.metrics import score_run
from evaluation.question import ask
from evaluation.tempering import After
from evaluation.transfer import elsewhere
from evaluation.transfer.strangers import trained_speakers
from tests import synthetic

RENAMED = {"neutral": "calm", "happy": "joy", "sad": "sad", "angry": "angry"}


def there() -> pd.DataFrame:
    """Return rows of a second corpus, ``other``, with nine other people in it."""
    frame = synthetic.rows(9, corpus="other")
    number = frame["speaker"].str.rpartition("/")[2].astype(int) + 50
    return frame.assign(speaker="other/" + number.astype(str))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """Return a cache of two corpora, and a run that was fitted on the first."""
    folder = tmp_path_factory.mktemp("world")
    synthetic.make_cache(folder / "cache")
    synthetic.make_cache(folder / "cache", there(), corpus="other")
    (run,) = fit(Cache(folder / "cache"), folder / "runs")
    return folder, run


def fit(cache: Cache, runs: Path, **options: Any) -> list[Run]:
    view = cache.view("toy").require(["egemaps"])
    model = "logistic_regression"
    head = settings.heads([model], {}, None)[model]
    question = ask(view, None, "speakers-5fold")
    return experiment.run_head(question, model, head, [0], runs, **options)


def relabelled(folder: Path, labels: dict[str, str]) -> Cache:
    """Give the second corpus other words for its labels."""
    cache = Cache(folder)
    told = cache.manifest("other")
    told.rows["label"] = told.rows["label"].map(lambda x: labels.get(x, x))
    with cache.lock():
        cache.put_manifest(told)
    return Cache(folder)


def test_all_models_are_asked_and_their_mean_is_kept(world: Any) -> None:
    folder, run = world
    cache = Cache(folder / "cache")

    found = elsewhere.evaluate(run, cache, ["other"], folder / "runs")

    view = elsewhere.pinned(cache.view("other"), run)
    each = [h.predict_proba(view) for h in elsewhere.heads(run, range(5))]
    np.testing.assert_allclose(found.probabilities, np.mean(each, axis=0))
    assert np.ptp(each, axis=0).max() > 0.01
    assert list(found.predictions["id"]) == list(view.ids)
    assert score_run(found).uar > 0.8
    assert found.record["kind"] == "elsewhere"
    assert found.record["elsewhere"]["run"] == run.run_id
    assert found.record["elsewhere"]["folds"] == [0, 1, 2, 3, 4]
    assert "trained on toy, tested elsewhere" in found.warnings
    assert "no test speaker was heard" in elsewhere.remarks(found)[0]
    assert {r.run_id for r in find_runs(folder / "runs")[0]} >= {found.run_id}


def test_what_must_be_said_of_a_head_is_said_elsewhere(
    world: Any, tmp_path: Path
) -> None:
    folder, _ = world
    cache = Cache(folder / "cache")
    question = ask(cache.view("toy").require(["wav2vec2"]), None, "speakers-5fold")
    wanted = {"normalise": "speaker", "max_epochs": 1}
    head = settings.heads(["superb"], wanted, None)["superb"]
    (run,) = experiment.run_head(question, "superb", head, [0], tmp_path)

    found = elsewhere.evaluate(run, cache, ["other"], tmp_path)

    assert "transductive" in run.warnings
    assert "transductive" in found.warnings


def test_one_model_alone_where_it_is_named(world: Any, tmp_path: Path) -> None:
    folder, run = world
    cache = Cache(folder / "cache")

    found = elsewhere.evaluate(run, cache, ["other"], tmp_path, fold=3)

    (head,) = elsewhere.heads(run, [3])
    view = elsewhere.pinned(cache.view("other"), run)
    np.testing.assert_allclose(found.probabilities, head.predict_proba(view))
    whole = elsewhere.evaluate(run, cache, ["other"], tmp_path)
    assert whole.run_id != found.run_id
    assert whole.record["protocol"]["name"] != found.record["protocol"]["name"]
    with pytest.raises(RunError, match="has no fold 7, expected one of 0, 1, 2, 3, 4"):
        elsewhere.evaluate(run, cache, ["other"], tmp_path, fold=7)


def test_somebody_who_was_trained_on_is_refused(world: Any, tmp_path: Path) -> None:
    folder, run = world

    with pytest.raises(RunError, match="trained on 8 of the 17 test speakers"):
        elsewhere.evaluate(
            run, Cache(folder / "cache"), ["toy", "other"], tmp_path / "r"
        )

    assert not (tmp_path / "r").exists()


def test_development_speakers_were_heard_too(world: Any) -> None:
    folder, run = world
    fold = run.record["folds"][3]
    everyone = set(Cache(folder / "cache").view("toy").speakers)

    heard = trained_speakers(run, [3])

    assert set(fold["dev_speakers"]) - set(fold["train_speakers"])
    assert heard == everyone - set(fold["test_speakers"])


def test_waveform_that_was_trained_on_is_refused(world: Any, tmp_path: Path) -> None:
    folder, run = world
    shutil.copytree(folder / "cache", tmp_path / "c")
    cache = Cache(tmp_path / "c")
    told = cache.manifest("other")
    heard = cache.manifest("toy").rows["waveform"]
    told.rows.loc[4, "waveform"] = heard[7]
    with cache.lock():
        cache.put_manifest(told)
    cache = Cache(tmp_path / "c")

    with pytest.raises(RunError, match=r"1 of the 72 test waveforms.*other/01-sad-0"):
        elsewhere.evaluate(run, cache, ["other"], tmp_path / "r")
    found = elsewhere.evaluate(
        run, cache, ["other"], tmp_path / "r", drop_duplicates=True
    )

    assert len(found.predictions) == 71
    assert found.record["refused"] == [
        ["waveform was trained on: other/01-sad-0.wav", 1]
    ]


def test_nameless_speakers_are_left_out_and_counted(world: Any, tmp_path: Path) -> None:
    folder, run = world
    shutil.copytree(folder / "cache", tmp_path / "c")
    cache = Cache(tmp_path / "c")
    told = cache.manifest("other")
    told.rows.loc[:4, "speaker"] = ""
    with cache.lock():
        cache.put_manifest(told)

    found = elsewhere.evaluate(run, Cache(tmp_path / "c"), ["other"], tmp_path / "r")

    assert found.record["refused"] == [["speaker unknown", 5]]
    assert len(found.predictions) == 67


def test_labels_of_both_go_through_one_map(world: Any, tmp_path: Path) -> None:
    folder, run = world
    shutil.copytree(folder / "cache", tmp_path / "c")
    cache = relabelled(tmp_path / "c", RENAMED)

    with pytest.raises(ManifestError, match="does not know calm, joy"):
        elsewhere.evaluate(run, cache, ["other"], tmp_path / "r")
    found = elsewhere.evaluate(run, cache, ["other"], tmp_path / "r", "common4")

    assert found.classes == ("angry", "happy", "neutral", "sad")
    assert score_run(found).uar > 0.8
    assert found.record["labels"]["before"]["joy"] == 18
    assert "learnt with labels identity" in found.warnings


def test_label_that_no_model_can_say_is_stated(world: Any, tmp_path: Path) -> None:
    folder, run = world
    shutil.copytree(folder / "cache", tmp_path / "c")
    cache = relabelled(tmp_path / "c", {"happy": "fear", "angry": "boredom"})

    found = elsewhere.evaluate(run, cache, ["other"], tmp_path / "r", "common6")

    assert found.classes == ("angry", "happy", "neutral", "sad")
    assert found.record["refused"] == [["the model cannot say fearful", 18]]
    assert found.record["labels"]["drop"] == {"boredom": 18, "fear": 18}
    assert set(found.predictions["label"]) == {"neutral", "sad"}
    assert any("has no angry, happy" in line for line in elsewhere.remarks(found))
    json.dumps(dict(found.record))


def test_nothing_that_both_know(world: Any, tmp_path: Path) -> None:
    folder, run = world
    shutil.copytree(folder / "cache", tmp_path / "c")
    every = dict.fromkeys(synthetic.LABELS, "fear")
    cache = relabelled(tmp_path / "c", every)

    with pytest.raises(RunError, match="can say no label of other.*common4"):
        elsewhere.evaluate(run, cache, ["other"], tmp_path / "r", "common6")


def test_other_way_of_making_a_feature_is_refused(world: Any, tmp_path: Path) -> None:
    _, run = world
    bare = synthetic.make_cache(tmp_path / "c", there(), corpus="other")
    for store in (tmp_path / "c/features").glob("egemaps@*"):
        shutil.rmtree(store)

    with pytest.raises(CacheError, match="needs its very features.*egemaps"):
        elsewhere.evaluate(run, Cache(bare.folder), ["other"], tmp_path / "r")


def test_run_without_models_is_refused(world: Any, tmp_path: Path) -> None:
    folder, run = world
    cache = Cache(folder / "cache")
    found = elsewhere.evaluate(run, cache, ["other"], tmp_path)

    with pytest.raises(RunError, match="was not fitted and holds no model"):
        elsewhere.evaluate(found, cache, ["other"], tmp_path)


def test_temperature_of_a_fold_goes_with_its_model(world: Any, tmp_path: Path) -> None:
    folder, _ = world
    cache = Cache(folder / "cache")
    (run,) = fit(cache, tmp_path, after=After(temperature=True))

    found = elsewhere.evaluate(run, cache, ["other"], tmp_path)

    assert [h.temperature for h in elsewhere.heads(run, range(5))] == [
        f["chosen"]["temperature"] for f in run.record["folds"]
    ]
    view = elsewhere.pinned(cache.view("other"), run)
    plain = [h.head.predict_proba(view) for h in elsewhere.heads(run, range(5))]
    assert np.abs(found.probabilities - np.mean(plain, axis=0)).max() > 0.01


def test_run_that_is_not_there_is_told_from_those_that_begin_so(world: Any) -> None:
    _, run = world
    runs = run.folder.parent

    with pytest.raises(RunError, match=f"begin so, to be named whole: .*{run.run_id}"):
        read_run(runs / run.run_id[:12])
    with pytest.raises(RunError) as told:
        read_run(runs / "nobody")
    assert "begin so" not in str(told.value)
