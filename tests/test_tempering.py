"""Temperatures: fitted on training speakers alone, and applied to the test rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.cache import Cache
from contracts.errors import RunError
from contracts.job import Job
from evaluation import _fits, experiment, settings, tempering, unheard
from evaluation.measures.temperature import apply_temperature
from evaluation.question import Question, ask
from evaluation.tempering import After
from tests import synthetic


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Return a cache whose labels are hard to tell: fits are surer than right."""
    folder = tmp_path_factory.mktemp("hard") / "cache"
    return synthetic.make_cache(folder, synthetic.rows(10, 3), strength=0.2)


def asked(cache: Cache, model: str = "logistic_regression", **told: Any) -> Any:
    head = settings.heads([model], told, None)[model]
    view = cache.view("toy").require(head.features)
    return ask(view, None, "speakers-5fold"), head


SOFT = After(temperature=True)


def run(cache: Cache, runs: Path, after: After = SOFT, **told: Any) -> Any:
    question, head = asked(cache, **told)
    name = told.get("model", "logistic_regression")
    (made,) = experiment.run_head(question, name, head, [0], runs, after=after)
    return question, made


def test_run_is_softened_by_what_each_fold_chose(cache: Cache, tmp_path: Path) -> None:
    _, plain = run(cache, tmp_path, After())
    _, soft = run(cache, tmp_path)

    assert plain.run_id != soft.run_id
    assert "temperature" not in plain.record
    for fold in soft.record["folds"]:
        rows = (soft.predictions["fold"] == fold["index"]).to_numpy()
        chosen = fold["chosen"]["temperature"]
        assert chosen > 1.3  # the fits are too sure of themselves
        expected = apply_temperature(plain.probabilities[rows], chosen)
        np.testing.assert_allclose(soft.probabilities[rows], expected)
    truth = soft.predictions["label"].map(soft.classes.index).to_numpy()
    each = [
        -np.log(r.probabilities[np.arange(len(truth)), truth]).mean()
        for r in (plain, soft)
    ]
    assert each[1] < each[0] - 0.05


def test_test_speakers_settle_no_temperature(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[set[str], set[str]]] = []
    kept = _fits.fits

    def spy(head: Any, jobs: Any) -> Any:
        for job in jobs:
            seen.append((set(job.train.speakers), set(job.test.speakers)))
        return kept(head, jobs)

    monkeypatch.setattr(unheard, "fits", spy)
    question, _ = run(cache, tmp_path)

    assert len(seen) == 25
    for i, (fitted, judged) in enumerate(seen):
        test = set(question.folds[i // 5].part("test").speakers)
        assert not fitted & judged
        assert not (fitted | judged) & test
    for n in range(5):
        own = [judged for _, judged in seen[5 * n : 5 * n + 5]]
        refit = set(question.folds[n].refit.speakers)
        assert set.union(*own) == refit
        assert sum(map(len, own)) == len(refit)


def test_dev_speakers_are_halved_for_heads_that_stop_by_them(cache: Cache) -> None:
    question, _ = asked(cache)
    fold = question.folds[0]
    whole = cache.view("toy").relabel(question.label_map)
    dev = whole.take(
        np.isin(whole.speakers.astype(str), [f"toy/{i:02d}" for i in (1, 2, 3, 4)])
    )
    job = Job(None, fold.part("train"), dev, fold.part("test"), 0, 0)

    stopping, taken = unheard.halved(job)

    assert stopping.dev is not None
    halves = [set(v.manifest["sex"]) for v in (stopping.dev, taken)]
    assert halves == [{"male", "female"}] * 2
    assert not set(stopping.dev.speakers) & set(taken.speakers)
    assert len(stopping.dev) + len(taken) == len(dev)
    with pytest.raises(RunError, match="fold 0 has 1 development speakers"):
        unheard.halved(
            Job(None, fold.part("train"), fold.part("dev").take([0]), dev, 0, 0)
        )


def test_torch_head_stops_by_one_half_and_is_softened_by_the_other(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[Any] = []
    kept = tempering.settle

    def spy(fitted: Any, given: Any, after: Any) -> dict[str, float]:
        used.append(set(given.speakers))
        return kept(fitted, given, after)

    monkeypatch.setattr(experiment, "settle", spy)
    told = {"max_epochs": 2}
    question, head = asked(cache, "mlp", **told)
    (made,) = experiment.run_head(question, "mlp", head, [0], tmp_path, after=SOFT)

    for i, (fold, given) in enumerate(zip(question.folds, used, strict=True)):
        assert given < set(fold.part("dev").speakers)
        assert "temperature" in made.record["folds"][i]["chosen"]
        assert "epoch" in made.record["folds"][i]["chosen"]


def test_asking_again_for_a_question_makes_the_same_id(cache: Cache) -> None:
    question, head = asked(cache)
    assert isinstance(question, Question)
    plain = experiment.settings_of(question, "logistic_regression", head, 0)
    soft = experiment.settings_of(question, "logistic_regression", head, 0, after=SOFT)
    assert {k: v for k, v in soft.items() if k != "temperature"} == plain
