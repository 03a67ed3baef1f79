"""TensorBoard: what is heard of epochs, where it is written, and by whom."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipeline
from contracts.errors import RunError
from contracts.run import Run, RunWriter, find_runs
from contracts.watching import listening, tell
from evaluation.measures.metrics import per_group, score_run
from tests.synthetic import make_cache, rows

EPOCHS = ("--set", "max_epochs=3", "batch_size=8")
CURVES = {"train_loss", "dev_loss", "dev_uar"}
ENDED = {"test_uar", "test_loss"}


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


def of_fold(run: Run, fold: int, name: str) -> Any:
    """Return what one fold scores, from its prediction rows alone."""
    if name == "test_uar":
        return pytest.approx(per_group(run, "fold")[str(fold)].uar, rel=1e-6)
    here = run.predictions[run.predictions["fold"] == fold]
    right = [row[f"p:{row['label']}"] for _, row in here.iterrows()]
    return pytest.approx(-np.log(right).mean(), rel=1e-5)


@pytest.mark.parametrize("model", ["superb", "pepino"])
def test_every_epoch_of_every_fold_and_seed_is_there(
    cache: Path, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_files: list[int] = []  # epochs read again; all are heard of as they go
    monkeypatch.setattr(Run, "history", lambda run, fold: from_files.append(fold))
    board = tmp_path / "board"
    told = ("--model", model, "--seeds", "0,1", *EPOCHS, "--tensorboard", str(board))
    runs = fit(cache, tmp_path / "runs", *told)
    monkeypatch.undo()

    assert len(runs) == 2
    assert not from_files
    assert {p.name for p in board.iterdir()} == {run.run_id for run in runs}
    for run in runs:
        for fold in (0, 1):
            shown = read(board / run.run_id / f"fold-{fold}")
            history = run.history(fold)
            assert set(shown) == CURVES | ENDED
            assert all(shown[name] == expected(history, name) for name in CURVES)
            kept = run.record["folds"][fold]["chosen"]["epoch"]
            assert shown["test_uar"] == [(kept, of_fold(run, fold, "test_uar"))]
            assert shown["test_loss"] == [(kept, of_fold(run, fold, "test_loss"))]


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


def test_heads_without_epochs_show_what_each_fold_is_worth(
    cache: Path, tmp_path: Path
) -> None:
    board = tmp_path / "board"
    told = ("--model", "logistic_regression", "--tensorboard", str(board))
    (run,) = fit(cache, tmp_path / "runs", *told)

    for fold in (0, 1):
        shown = read(board / run.run_id / f"fold-{fold}")
        assert set(shown) == ENDED
        assert all(shown[n] == [(0, of_fold(run, fold, n))] for n in sorted(ENDED))


@pytest.mark.parametrize("model", ["logistic_regression", "superb"])
def test_a_fold_is_on_disk_before_the_next_one_is_kept(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    seen, save = [], RunWriter.save_fold

    def spied(self: RunWriter, facts: Any, *more: Any) -> None:
        folders = (tmp_path / "board").glob("*/fold-*")
        ended = [f.name for f in folders if "test_uar" in read(f)]
        seen.append((facts["index"], sorted(ended)))
        save(self, facts, *more)

    monkeypatch.setattr(RunWriter, "save_fold", spied)
    told = ("--model", model, "--tensorboard", str(tmp_path / "board"))
    fit(cache, tmp_path / "runs", *told, *(EPOCHS if model == "superb" else ()))

    assert seen == [(0, []), (1, ["fold-0"])]


def test_a_run_that_was_broken_off_shows_every_fold_in_the_end(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board, save = tmp_path / "board", RunWriter.save_fold

    def broken(self: RunWriter, facts: Any, *more: Any) -> None:
        if facts["index"] == 1:
            raise KeyboardInterrupt
        save(self, facts, *more)

    told = ("--model", "superb", *EPOCHS, "--tensorboard", str(board))
    monkeypatch.setattr(RunWriter, "save_fold", broken)
    with pytest.raises(AssertionError, match="130 == 0"):  # stopped
        fit(cache, tmp_path / "runs", *told)
    monkeypatch.undo()
    assert not list(board.glob("*/*tfevents*"))  # no summary of what has not ended

    (run,) = fit(cache, tmp_path / "runs", *told)

    for fold in (0, 1):
        shown = read(board / run.run_id / f"fold-{fold}")
        history = run.history(fold)
        assert all(shown[name] == expected(history, name) for name in CURVES)
        assert shown["test_uar"][0][1] == of_fold(run, fold, "test_uar")
    fit(cache, tmp_path / "runs", *told[:-1], str(tmp_path / "fresh"))  # fits nothing
    for fold in (0, 1):
        again = read(tmp_path / "fresh" / run.run_id / f"fold-{fold}")
        assert again == read(board / run.run_id / f"fold-{fold}")


def test_a_finished_run_has_its_summary(cache: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = tmp_path / "board"
    told = ("--model", "prior", "--tensorboard", str(board))
    (run,) = fit(cache, tmp_path / "runs", *told)

    shown = read(board / run.run_id)
    whole = score_run(run)
    assert set(shown) == {"test_uar", "test_war", "test_f1"}
    for name, value in whole.headline().items():
        ((step, here),) = shown[f"test_{name}"]
        assert step == 0
        assert here == pytest.approx(value, rel=1e-6)
    events = EventAccumulator(str(board / run.run_id)).Reload()
    (text,) = events.Tensors("run/text_summary")
    said = text.tensor_proto.string_val[0].decode()
    assert said.startswith(f"{run.run_id}: UAR {whole.uar:.3f}")
    assert "partial: folds 0, 1 only" in said
    assert said.endswith(run.record["command"])


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


@pytest.mark.parametrize("what", ["file", "locked"])
def test_a_board_that_cannot_be_written_is_refused_before_anything_is_fitted(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    pytest.importorskip("tensorboard")
    board = tmp_path / "file"
    board.touch()
    if what == "locked":  # below a file: nobody, not even root, can write there
        board = board / "below"
    told = ["fit", "--cache", str(cache), "--runs", str(tmp_path / "runs")]
    told += ["--model", "prior", "--tensorboard", str(board)]

    assert pipeline.main(told) == 2
    said = capsys.readouterr().err
    assert f"--tensorboard {board} " in said
    assert "Name another" in said
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
