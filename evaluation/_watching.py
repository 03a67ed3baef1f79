"""Runs shown in TensorBoard as they go.

One folder per run and fold, ``DIR/RUN/fold-N``: ``train_loss``, ``dev_loss`` and
``dev_uar`` after each epoch, of heads that have epochs; ``test_uar`` and ``test_loss``,
the negative log likelihood in nats, as soon as the fold has ended. They stand at the
epoch whose weights were kept, else at 0. Of the whole run ``DIR/RUN`` has ``test_uar``,
``test_war`` and ``test_f1`` over all folds, and as text what ``fit`` says of it, with
the command. Where nothing can be scored, as of a head that says traits alone, there is
the text alone. Fits inside a fold, of a search or a temperature, are not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import RunError
from contracts.run import Run, RunWriter
from contracts.watching import listening
from evaluation._fit_text import result_text
from evaluation.measures.calibration import nll
from evaluation.measures.metrics import answers, score_run

if TYPE_CHECKING:
    from contracts.view import View
    from evaluation.splits.folds import Fold

SHOWN = ("train_loss", "dev_loss", "dev_uar")
_INSTALL = "pip install -c constraints.txt -e '.[tensorboard]'"


class Board:
    """A folder that TensorBoard reads.

    Args:
        folder: is made where it is not there

    Raises:
        RunError: if TensorBoard is not installed, or the folder is a file or cannot be
            written to
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            msg = (
                "--tensorboard needs TensorBoard: expected the package tensorboard, "
                f"got none. Run: {_INSTALL}"
            )
            raise RunError(msg) from error
        if folder.exists() and not folder.is_dir():
            msg = f"--tensorboard {folder} is a file: expected a folder. Name another"
            raise RunError(msg)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".writable").touch()
            (folder / ".writable").unlink()
        except OSError as error:
            msg = (
                f"--tensorboard {folder} cannot be written to ({error.strerror}): "
                "expected a folder of yours. Name another"
            )
            raise RunError(msg) from error
        self.folder = folder
        self._writer: Callable[..., Any] = SummaryWriter

    def open(self, run_id: str, *fold: int) -> Any:
        """Open the folder of a fold, or of the whole run without one.

        What an ended program wrote there is put aside.
        """
        below = [f"fold-{n}" for n in fold]
        return self._writer(str(self.folder.joinpath(run_id, *below)), purge_step=0)

    def show_run(self, run: Run) -> None:
        """Show what a finished run is worth over all its folds."""
        writer = self.open(run.run_id)
        scores = score_run(run)
        for name, value in scores.headline().items() if scores.n else ():
            writer.add_scalar(f"test_{name}", value, 0)
        said = result_text(run).replace("\n", "  \n")  # two blanks break a line
        writer.add_text("run", f"{said}\n\n    {run.record['command']}", 0)
        writer.close()


class _Shown:
    """What of some runs is on the board."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._open: dict[tuple[str, int], Any] = {}
        self._ended: set[tuple[str, int]] = set()

    def epoch(self, run_id: str, fold: int, entry: Mapping[str, float]) -> None:
        """Show an epoch."""
        key = run_id, fold
        if key not in self._open:
            self._open[key] = self._board.open(*key)
        _show(self._open[key], entry)

    def fold(self, run: Run) -> None:
        """Show a fold that has ended; a run's record holds it alone."""
        (facts,) = run.record["folds"]
        key = run.run_id, int(facts["index"])
        if key in self._ended:
            return
        writer = self._open.pop(key, None)
        if writer is None:  # fitted before, or in another process, or without epochs
            writer = self._board.open(*key)
            for entry in run.history(key[1]):
                _show(writer, entry)
        rows, kept = answers(run), int(facts["chosen"].get("epoch", 0))
        if (known := rows.truth >= 0).any():
            loss = nll(rows.truth[known], rows.probabilities[known])
            writer.add_scalar("test_loss", loss, kept)
            writer.add_scalar("test_uar", score_run(run).uar, kept)
        writer.close()
        self._ended.add(key)

    def run(self, run: Run) -> None:
        """Show a finished run: folds that nothing was told of, then the whole."""
        for facts in run.record["folds"]:
            self.fold(Run(run.folder, {**run.record, "folds": [facts]}))
        self._board.show_run(run)

    def close(self) -> None:
        """Close what no fold's end has closed: somebody broke off."""
        for writer in self._open.values():
            writer.close()


@contextmanager
def watching(
    board: Board | None,
    folds: Sequence[Fold],
    asked: Iterable[Mapping[str, Any]],
    runs: Path,
) -> Iterator[Callable[[Run], None]]:
    """Show each epoch and fold of the fits inside the context as it ends.

    Args:
        board: where; None: nowhere
        folds: of the question
        asked: settings of each seed's run, see ``experiment.settings_of``
        runs: folder of all runs

    Yields:
        a function to call with each run when it has ended: it shows those folds
        that were fitted before, and the whole run
    """
    if board is None:
        yield lambda run: None
        return
    run_ids = {one["seed"]: RunWriter(runs, one).run_id for one in asked}
    by_ids = {_ids(fold.part("train")): fold.index for fold in folds}
    shown = _Shown(board)

    def hear(train: View, seed: int, entry: Mapping[str, float]) -> None:
        fold = by_ids.get(_ids(train))
        if fold is not None and seed in run_ids:
            shown.epoch(run_ids[seed], fold, entry)

    try:
        with listening(hear, shown.fold):
            yield shown.run
    finally:
        shown.close()


def _ids(view: View) -> tuple[str, ...]:
    return tuple(sorted(map(str, view.ids)))


def _show(writer: Any, entry: Mapping[str, float]) -> None:
    for name in SHOWN:
        writer.add_scalar(name, entry[name], int(entry["epoch"]))
    writer.flush()
