"""Pepino's head by the joint engine: alone, among others, and as the plain network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.cache import Cache
from contracts.job import Job
from contracts.run import find_runs
from contracts.view import View
from models import pepino
from models._frames import FrameHead
from pipeline import main
from tests.synthetic import make_cache, rows

QUICK: dict[str, Any] = {"lr": 1e-3, "batch_size": 8, "max_epochs": 3}


class Plain(pepino.Head):
    """The same head by the usual loop."""

    joins = False  # type: ignore[assignment]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together") / "cache"
    make_cache(folder, rows(n_speakers=8, per_label=2))
    return folder


@pytest.fixture(scope="module")
def parts(cache: Path) -> tuple[View, View, View]:
    view = Cache(cache).view()
    from contracts import labels

    view = view.relabel(labels.identity(view.manifest))
    number = np.array([int(s.rpartition("/")[2]) for s in view.speakers])
    masks = number <= 4, (number > 4) & (number <= 6), number > 6
    train, dev, test = (view.take(np.flatnonzero(m)) for m in masks)
    return train, dev, test


def test_fits_among_others_equal_fits_alone(parts: tuple[View, View, View]) -> None:
    train, dev, test = parts
    asked = [
        {"seed": 0},
        {"seed": 1, "dropout": 0.0},
        {"seed": 2, "lr": 3e-3, "class_weight": "balanced"},
        {"seed": 3, "normalise": None, "label_smoothing": 0.1},
        {"seed": 4, "layers": (1, 2)},
        {"seed": 5, "time_mask": 0.2},  # which the engine has no way for
    ]
    jobs = [
        Job(pepino.Head(**QUICK | more), train, dev, test, i, more["seed"])
        for i, more in enumerate(asked)
    ]

    together = {job.fold: head for job, head in pepino.Head.fit_jobs(jobs)}

    assert sorted(together) == list(range(len(jobs)))
    for i, more in enumerate(asked):
        alone = pepino.Head(**QUICK | more).fit(train, dev)
        np.testing.assert_allclose(
            together[i].predict_proba(test), alone.predict_proba(test), atol=1e-5
        )
        assert together[i].chosen_ == alone.chosen_
        assert len(together[i].history_) == len(alone.history_)
        assert sum(together[i].learnt_["layer_weights"]) == pytest.approx(1)


@pytest.mark.parametrize("normalise", [None, "global"])
def test_without_dropout_and_order_it_is_the_plain_network(
    parts: tuple[View, View, View], normalise: str | None
) -> None:
    train, dev, test = parts
    whole = QUICK | {"batch_size": len(train), "dropout": 0.0, "normalise": normalise}

    ours = pepino.Head(**whole).fit(train, dev)
    plain = Plain(**whole)
    FrameHead.fit(plain, train, dev)

    np.testing.assert_allclose(
        ours.predict_proba(test), plain.predict_proba(test), atol=2e-3
    )
    for one, other in zip(ours.history_, plain.history_, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], abs=2e-3)
        assert one["dev_loss"] == pytest.approx(other["dev_loss"], abs=2e-3)
        assert one["dev_uar"] == pytest.approx(other["dev_uar"], abs=0.15)


def test_fit_of_the_program_goes_through_it(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models import _together

    sizes = []
    original = _together.fit_jointly
    monkeypatch.setattr(
        _together,
        "fit_jointly",
        lambda tasks, *more, **told: (
            sizes.append(len(tasks)) or original(tasks, *more, **told)
        ),
    )
    words = ["fit", "--model", "pepino", "--cache", str(cache), "--runs", str(tmp_path)]
    words += ["--protocol", "speakers-5fold", "--labels", "identity", "--seeds", "0,1"]

    assert main([*words, "--set", "max_epochs=1"]) == 0

    assert sizes == [10]
    runs, _ = find_runs(tmp_path)
    assert sorted(len(run.record["folds"]) for run in runs) == [5, 5]
