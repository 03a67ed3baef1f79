"""Layer study: every layer's worth on test speakers, and the choice that is honest."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.cache import Cache
from contracts.errors import RunError
from contracts.feature import Block, FeatureSpec
from contracts.run import Run
from evaluation import experiment, layer_study, settings
from evaluation.layers_command import LAYERS, text
from evaluation.measures.metrics import score_run
from evaluation.question import Question, ask
from tests.runs import make_run
from tests.synthetic import LABELS, make_cache, rows

FEW = {"strengths": (0.01, 0.1)}
SHIFT = (0.0, 0.5, 1.0)  # how far labels lie apart in each layer


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Return a cache with ``states``: three layers, each knowing more than the last."""
    folder = tmp_path_factory.mktemp("layers") / "cache"
    frame = rows(10, per_label=3)
    made = make_cache(folder, frame, n_layers=1)
    rng = np.random.default_rng(1)
    spec = FeatureSpec("states", {"toy": 1}, 8, layers=(0, 1, 2), frame_shift=0.02)
    blocks = {}
    for key, label in zip(frame["waveform"], frame["label"], strict=True):
        pooled = rng.standard_normal((3, 2, 8)).astype(np.float32)
        pooled[:, 0, LABELS.index(label)] += SHIFT
        blocks[key] = Block(np.zeros((3, 2, 8), np.float32), pooled)
    with made.lock():
        made.store(spec).commit(blocks, {}, "cpu")
    return Cache(folder)


def asked(cache: Cache, feature: str = "states") -> Question:
    return ask(cache.view("toy").require([feature]), None, "speakers-5fold")


@pytest.fixture(scope="module")
def runs(cache: Cache, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Return one run per layer."""
    folder = tmp_path_factory.mktemp("runs")
    return layer_study.fit_layers(asked(cache), "states", folder, None, FEW)


def test_each_layer_has_its_run_and_its_worth(runs: list[Run]) -> None:
    (found,) = layer_study.studies(runs)

    assert found.layers == (0, 1, 2)
    assert [layer_study.single_layer(run) for run in runs] == [0, 1, 2]
    assert [one.value for one in found.uar] == [score_run(run).uar for run in runs]
    assert found.uar[2].value > found.uar[0].value + 0.1
    assert found.uar[2].low < found.uar[2].value < found.uar[2].high
    assert found.inner.shape == (5, 3)
    assert found.flattery >= 0 or found.best_on_test == 2
    assert found.runs == tuple(run.run_id for run in runs)


def test_nested_choice_is_that_of_a_head_that_chooses(
    cache: Cache, runs: list[Run], tmp_path: Path
) -> None:
    head = settings.heads(["layer_probe"], FEW, ["states"])["layer_probe"]
    (whole,) = experiment.run_head(asked(cache), "layer_probe", head, [0], tmp_path)

    (found,) = layer_study.studies([*runs, whole])

    assert whole.run_id not in found.runs
    chosen = {f["index"]: f["chosen"]["layer"] for f in whole.record["folds"]}
    assert found.chosen == chosen
    assert found.nested.value == pytest.approx(score_run(whole).uar)


def test_layers_that_differ_by_fold_are_taken_fold_by_fold(runs: list[Run]) -> None:
    by_layer = dict(enumerate(runs))
    chosen = {0: 0, 1: 2, 2: 1, 3: 0, 4: 2}

    _, counts = layer_study._nested(by_layer, chosen)

    right = sum(
        (
            run.probabilities[
                (own := (run.predictions["fold"] == fold).to_numpy())
            ].argmax(1)
            == run.predictions["label"][own].map(run.classes.index)
        ).sum()
        for fold, run in ((fold, runs[n]) for fold, n in chosen.items())
    )
    assert counts.sum() == len(runs[0].predictions)
    assert np.trace(counts.sum(axis=0)) == right


def told_inside(runs: list[Run], inner: list[list[float]]) -> dict[int, Run]:
    """Put other scores among training speakers ``(fold, layer)`` into runs."""
    out = {}
    for layer, run in enumerate(runs):
        record = copy.deepcopy(dict(run.record))
        for fold, values in zip(record["folds"], inner, strict=True):
            fold["learnt"]["layer_uar"] = [values[layer]]
        out[layer] = Run(run.folder, record)
    return out


def test_training_speakers_choose_whatever_the_test_speakers_say(
    runs: list[Run],
) -> None:
    inner = [
        [0.9, 0.5, 0.5],
        [0.5, 0.9, 0.5],
        [0.7, 0.7, 0.2],  # of equal layers the lower
        [0.2, 0.7, 0.7],
        [0.5, 0.5, 0.5],
    ]

    found = layer_study.study(told_inside(runs, inner))

    assert found.best_on_test == 2
    assert found.chosen == {0: 0, 1: 1, 2: 0, 3: 1, 4: 0}
    np.testing.assert_array_equal(found.inner, inner)
    assert found.flattery == found.uar[2].value - found.nested.value > 0.1


def test_variants_have_no_part_in_the_nested_choice(runs: list[Run]) -> None:
    by_layer = {n: Run(run.folder, run.record) for n, run in enumerate(runs)}
    for run in by_layer.values():
        run.predictions.loc[::4, "variant"] = "degrade:noise#1"

    _, counts = layer_study._nested(by_layer, dict.fromkeys(range(5), 2))

    plain = (by_layer[2].predictions["variant"] == "").to_numpy()
    assert counts.sum() == plain.sum() < len(plain)
    assert np.trace(counts.sum(axis=0)) == np.trace(score_run(by_layer[2]).confusion)


def test_learnt_weights_stand_beside(cache: Cache, runs: list[Run]) -> None:
    question = asked(cache)
    fingerprint = question.view.spec("states").fingerprint
    same = {
        "features": [
            {"name": "states", "reference": "states", "fingerprint": fingerprint}
        ],
        "labels": runs[0].record["labels"],
        "folds_hash": runs[0].record["folds_hash"],
    }
    folder = runs[0].folder.parent.parent / "weighted"
    weighted = [
        weighing(make_run(folder, model=m, corpus=c, labels=LABELS, more=same))
        for m, c in (("vgg", "toy"), ("attention", "elsewhere"))
    ]

    (found,) = layer_study.studies([*weighted, *runs])

    (weights,) = found.weights
    assert weights.model == weights.name == "vgg"
    assert weights.layers == (0, 1, 2)
    assert weights.weights.shape == (5, 3)
    shown = text(found)
    assert "weight in vgg" in shown
    assert "0.333" in shown


def test_weights_of_like_heads_are_told_apart(
    cache: Cache, runs: list[Run], tmp_path: Path
) -> None:
    fingerprint = asked(cache).view.spec("states").fingerprint
    feature = {"name": "states", "reference": "states", "fingerprint": fingerprint}
    same = {"features": [feature]}
    same |= {k: runs[0].record[k] for k in ("labels", "folds_hash")}
    asked_for: list[dict[str, Any]] = [
        {"model": "attention", "seed": 0},
        {"model": "superb", "seed": 0},
        {"model": "superb", "seed": 1},
        {"model": "vgg", "settings": {"lr": 0.5}},
        {"model": "vgg"},
    ]
    weighted = [
        weighing(make_run(tmp_path, corpus="toy", labels=LABELS, more=same, **told))
        for told in asked_for
    ]

    (found,) = layer_study.studies([*weighted, *runs])

    vggs = [f"vgg {run.run_id[-8:]}" for run in weighted[3:]]
    names = ["attention", "superb seed 0", "superb seed 1", *vggs]
    assert [one.name for one in found.weights] == names
    assert [one.run for one in found.weights] == [run.run_id for run in weighted]
    head = text(found).partition("\n")[0]
    assert head.endswith("  ".join(f"weight in {name}" for name in names))


@pytest.mark.parametrize(
    ("values", "said"),
    [([0.5, 0.7], "would look 20.0 points better"), ([0.5, 0.5], "0.0 points better")],
)
def test_flattery_is_said_with_its_direction(
    runs: list[Run], values: list[float], said: str
) -> None:
    found = layer_study.study(dict(enumerate(runs[:2])))
    worth = tuple(replace(found.uar[0], value=v) for v in values)
    found = replace(found, uar=worth, nested=replace(found.nested, value=0.5))

    assert said in text(found)
    better = replace(found, nested=replace(found.nested, value=0.8))
    assert f"would look {80 - 100 * max(values):.1f} points worse" in text(better)


def test_one_layer_alone_has_nothing_to_choose(runs: list[Run]) -> None:
    said = text(layer_study.study({2: runs[2]}))

    assert "UAR %" in said
    assert "chosen" not in said


@pytest.mark.parametrize("other", ["folds", "part"])
def test_weights_of_another_question_are_left_out(
    cache: Cache, runs: list[Run], tmp_path: Path, other: str
) -> None:
    fingerprint = asked(cache).view.spec("states").fingerprint
    more = {
        "features": [
            {"name": "states", "reference": "states", "fingerprint": fingerprint}
        ],
        "labels": runs[0].record["labels"],
        "folds_hash": runs[0].record["folds_hash"] if other == "part" else "others",
        "partial": other == "part",
    }
    run = make_run(tmp_path, model="vgg", corpus="toy", labels=LABELS, more=more)

    (found,) = layer_study.studies([weighing(run), *runs])

    assert not found.weights


@pytest.mark.parametrize("case", ["alone", "table", "other", "named", "foreign"])
def test_weights_are_of_the_encoder_that_is_studied(
    cache: Cache, runs: list[Run], tmp_path: Path, case: str
) -> None:
    fingerprint = asked(cache).view.spec("states").fingerprint
    own = {"name": "states", "fingerprint": fingerprint, "encoder": "w"}
    other = {"name": "others", "fingerprint": "1234", "encoder": "h"}
    beside = {
        "alone": [own],
        "table": [{"name": "mfcc", "fingerprint": "5678", "encoder": ""}, own],
        "other": [other, own],
        "named": [other, own],
        "foreign": [other],
    }
    more = {"features": [{"reference": f["name"], **f} for f in beside[case]]}
    more |= {k: runs[0].record[k] for k in ("labels", "folds_hash")}
    told: dict[str, Any] = {"model": "vgg", "corpus": "toy", "labels": LABELS}
    run = weighing(make_run(tmp_path, **told, more=more))
    if case == "named":
        for fold in run.record["folds"]:
            weights = {"others": [1.0], "states": [0.5, 0.25, 0.25]}
            fold["learnt"]["layer_weights"] = weights

    (found,) = layer_study.studies([run, *runs])

    shown = {"alone": [1 / 3] * 3, "table": [1 / 3] * 3, "named": [0.5, 0.25, 0.25]}
    drawn = [one.weights[0].tolist() for one in found.weights]
    assert drawn == ([shown[case]] if case in shown else [])


def test_nested_choice_without_known_speakers_has_no_interval(runs: list[Run]) -> None:
    by_layer = {n: Run(run.folder, run.record) for n, run in enumerate(runs)}
    for run in by_layer.values():
        run.predictions.loc[::9, "speaker"] = ""

    found = layer_study.study(by_layer)

    assert np.isnan(found.nested.low)
    assert found.nested.n_speakers == found.uar[0].n_speakers == 10
    assert "no speaker is known of" in found.nested.note


def weighing(run: Run) -> Run:
    """Give a drawn run three equal weights, with the layers they are of."""
    for fold in run.record["folds"]:
        fold["learnt"] = {"layers": [0, 1, 2], "layer_weights": [1 / 3] * 3}
    return run


def test_one_layer_is_no_study(runs: list[Run]) -> None:
    assert layer_study.studies(runs[:1]) == []


def test_layers_that_are_not_stored_are_refused(cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="with layers 7, 9. Run: python pipeline.py"):
        layer_study.fit_layers(asked(cache), "states", tmp_path, [0, 7, 9])
    with pytest.raises(RunError, match="egemaps has no layers"):
        layer_study.fit_layers(asked(cache, "egemaps"), "egemaps", tmp_path)


def test_layers_are_said_in_one_way(cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"got --set layers=\(1,\). Leave it out"):
        layer_study.fit_layers(
            asked(cache), "states", tmp_path, None, {"layers": (1,), **FEW}
        )

    assert not list(tmp_path.iterdir())


def test_command_goes_on_with_runs_that_are_there(
    cache: Cache, runs: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser()
    LAYERS.add_arguments(parser)
    words: list[Any] = ["--cache", cache.folder, "--runs", runs[0].folder.parent]
    words += ["--feature", "states", "--protocol", "speakers-5fold", "--layers", "0-2"]
    words += ["--set", "strengths=(0.01,0.1)"]

    assert LAYERS.run(parser.parse_args([str(word) for word in words])) == 0

    said = capsys.readouterr().out
    assert said.count("finished before") == 3
    assert "layer chosen in each fold on its training speakers: UAR" in said
    assert "best on the test speakers, would look" in said
