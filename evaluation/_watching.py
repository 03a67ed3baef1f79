"""Runs shown in TensorBoard as they go.

One folder per run and fold, ``DIR/RUN/fold-N``: after each epoch ``train_loss``,
``dev_loss`` and ``dev_uar``; of heads without epochs ``test_uar``, when the run ends.
Fits inside a fold, of a search or a temperature, are not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import RunError
from contracts.run import Run, RunWriter
from contracts.watching import listening
from evaluation.measures.metrics import per_group

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
        RunError: if TensorBoard is not installed, or the folder is a file
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
        self.folder = folder
        self._writer: Callable[..., Any] = SummaryWriter

    def open(self, run_id: str, fold: int) -> Any:
        """Open the folder of a fold; what an ended program wrote there is put aside."""
        return self._writer(str(self.folder / run_id / f"fold-{fold}"), purge_step=0)

    def show_ended(self, run: Run, fold: int) -> None:
        """Show a fold from what its run keeps."""
        writer = self.open(run.run_id, fold)
        history = run.history(fold)
        for entry in history:
            _show(writer, entry)
        if not history:
            writer.add_scalar("test_uar", per_group(run, "fold")[str(fold)].uar, 0)
        writer.close()


@contextmanager
def watching(
    board: Board | None,
    folds: Sequence[Fold],
    asked: Iterable[Mapping[str, Any]],
    runs: Path,
) -> Iterator[Callable[[Run], None]]:
    """Show each epoch of the fits inside the context as it ends.

    Args:
        board: where; None: nowhere
        folds: of the question
        asked: settings of each seed's run, see ``experiment.settings_of``
        runs: folder of all runs

    Yields:
        a function to call with each run when it has ended: it shows those folds
        that nothing was heard of, because they were fitted before or have no epochs
    """
    if board is None:
        yield lambda run: None
        return
    run_ids = {one["seed"]: RunWriter(runs, one).run_id for one in asked}
    by_ids = {_ids(fold.part("train")): fold.index for fold in folds}
    heard: dict[tuple[str, int], Any] = {}

    def hear(train: View, seed: int, entry: Mapping[str, float]) -> None:
        fold = by_ids.get(_ids(train))
        if fold is None or seed not in run_ids:
            return
        key = run_ids[seed], fold
        if key not in heard:
            heard[key] = board.open(*key)
        _show(heard[key], entry)

    def show(run: Run) -> None:
        for fold in run.record["folds"]:
            if (run.run_id, fold["index"]) not in heard:
                board.show_ended(run, fold["index"])

    try:
        with listening(hear):
            yield show
    finally:
        for writer in heard.values():
            writer.close()


def _ids(view: View) -> tuple[str, ...]:
    return tuple(sorted(map(str, view.ids)))


def _show(writer: Any, entry: Mapping[str, float]) -> None:
    for name in SHOWN:
        writer.add_scalar(name, entry[name], int(entry["epoch"]))
    writer.flush()
