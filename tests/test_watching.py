"""TensorBoard: what is heard of epochs, where it is written, and by whom."""

import sys
from pathlib import Path
from typing import Any

import pytest

import pipeline
from contracts.errors import RunError
from contracts.run import Run, find_runs
from contracts.watching import listening, tell
from evaluation._watching import Board
from evaluation.measures.metrics import per_group
from tests.synthetic import make_cache, rows

EPOCHS = ("--set", "max_epochs=3", "batch_size=8")
CURVES = {"train_loss", "dev_loss", "dev_uar"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small cache; read only."""
    folder = tmp_path_factory.mktemp("watching") / "cache"
    return make_cache(folder, rows(6), n_layers=2, width=12).folder


def fit(cache: Path, runs: Path, *more: str) -> list[Run]:
    told = ["fit", "--cache", str(cache), "--runs", str(runs), "--folds", "0,1", *more]
    assert pipeline.main(told) == 0
    return find_runs(runs)[0]


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Read every scalar of a folder as TensorBoard does: name -> step and value."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told = EventAccumulator(str(folder)).Reload()
    return {
        name: [(one.step, one.value) for one in told.Scalars(name)]
        for name in told.Tags()["scalars"]
    }


def expected(history: list[dict[str, float]], name: str) -> list[Any]:
    return [(one["epoch"], pytest.approx(one[name], rel=1e-6)) for one in history]


@pytest.mark.parametrize("model", ["superb", "pepino"])
def test_every_epoch_of_every_fold_and_seed_is_there(
    cache: Path, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    afterwards: list[int] = []  # folds shown from files; all are heard of as they go
    monkeypatch.setattr(Board, "show_ended", lambda *told: afterwards.append(told[-1]))
    board = tmp_path / "board"
    told = ("--model", model, "--seeds", "0,1", *EPOCHS, "--tensorboard", str(board))
    runs = fit(cache, tmp_path / "runs", *told)

    assert len(runs) == 2
    assert not afterwards
    assert {p.name for p in board.iterdir()} == {run.run_id for run in runs}
    for run in runs:
        for fold in (0, 1):
            shown, history = (
                read(board / run.run_id / f"fold-{fold}"),
                run.history(fold),
            )
            assert set(shown) == CURVES
            assert all(shown[name] == expected(history, name) for name in CURVES)


def test_an_epoch_is_on_disk_before_the_next_one_begins(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models._training import TorchHead

    seen, epoch = [], TorchHead._epoch

    def spied(self: Any, number: int, *more: Any) -> Any:
        folders = sorted((tmp_path / "board").glob("*/fold-0"))
        shown = read(folders[0]).get("dev_uar", []) if folders else []
        seen.append((number, len(shown)))
        return epoch(self, number, *more)

    monkeypatch.setattr(TorchHead, "_epoch", spied)
    told = ("--model", "superb", "--tensorboard", str(tmp_path / "board"), *EPOCHS)
    fit(cache, tmp_path / "runs", *told, "--folds", "0")

    assert seen == [(1, 0), (2, 1), (3, 2)]


def test_heads_without_epochs_show_the_uar_of_each_fold(
    cache: Path, tmp_path: Path
) -> None:
    board = tmp_path / "board"
    told = ("--model", "logistic_regression", "--tensorboard", str(board))
    (run,) = fit(cache, tmp_path / "runs", *told)

    for fold, scores in per_group(run, "fold").items():
        shown = read(board / run.run_id / f"fold-{fold}")
        assert list(shown) == ["test_uar"]
        ((step, value),) = shown["test_uar"]
        assert (step, round(value, 6)) == (0, round(scores.uar, 6))


def test_inner_fits_are_not_shown_and_a_second_fit_replaces_the_first(
    cache: Path, tmp_path: Path
) -> None:
    board = tmp_path / "board"
    told = [*EPOCHS, "--model", "superb", "--grid", "lr=1e-3,1e-2"]
    told += ["--tensorboard", str(board), "--folds", "0"]
    for more in ((), ("--rerun",), ()):  # the last one fits nothing
        (run,) = fit(cache, tmp_path / "runs", *told, *more)

        shown = read(board / run.run_id / "fold-0")
        assert shown["train_loss"] == expected(run.history(0), "train_loss")


def test_nothing_is_written_without_the_option(cache: Path, tmp_path: Path) -> None:
    fit(cache, tmp_path / "runs", "--model", "superb", *EPOCHS)

    assert not list(tmp_path.rglob("*tfevents*"))


def test_without_the_package_one_sentence_before_anything_is_fitted(
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    told = ["fit", "--cache", str(cache), "--runs", str(tmp_path / "runs")]
    told += ["--model", "prior", "--tensorboard", str(tmp_path / "board")]

    assert pipeline.main(told) != 0
    said = capsys.readouterr().err
    assert "pip install -c constraints.txt -e '.[tensorboard]'" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_who_listens_is_forgotten_after_an_error() -> None:
    heard: list[float] = []

    def hear(train: Any, seed: int, entry: Any) -> None:
        heard.append(entry["epoch"])

    view: Any = None

    def fail() -> None:
        with listening(hear):
            tell(view, 0, {"epoch": 1})
            raise RunError

    with pytest.raises(RunError):
        fail()
    tell(view, 0, {"epoch": 2})

    assert heard == [1]
