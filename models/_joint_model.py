"""One of many fits: which utterances are its own, its epochs, when it ends."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contracts.view import View
from contracts.watching import tell
from models._joint_network import Network, initial
from models._joint_reader import Source
from models._joint_settings import Settings

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Task:
    """One fit.

    Attributes:
        train: utterances to learn from
        dev: development speakers, on which the epoch is chosen
        train_targets: what each class weighs ``(utterance, class)``, see
            ``models._joint.weighted_targets``
        dev_targets: likewise
        settings: of training
        seed: of first weights and dropout
        mean, scale: ``(layer, channel)``, learnt from train; frames become
            ``(x - mean) / scale``. None: as they are
        start: first weights by name, as of ``Fitted.state``; None: drawn from the seed
    """

    train: View
    dev: View
    train_targets: Array
    dev_targets: Array
    settings: Settings = field(default_factory=Settings)
    seed: int = 0
    mean: Array | None = None
    scale: Array | None = None
    start: Mapping[str, Tensor] | None = None


@dataclass(frozen=True)
class Fitted:
    """What one fit came to.

    Attributes:
        state: weights of the best epoch: ``weights`` ``(layer,)``, ``first.weight``
            ``(128, channel)``, ``first.bias``, ``second.weight``, ``second.bias``,
            ``out.weight`` ``(class, 128)``, ``out.bias``
        history: ``epoch``, ``train_loss``, ``dev_loss``, ``dev_uar``, ``seconds``: its
            share of what the epoch took
        best_epoch: the one whose loss on dev was smallest
    """

    state: dict[str, Tensor]
    history: list[dict[str, float]]
    best_epoch: int


class Model:
    """A task under way.

    Args:
        position: of the task
        task: what is fitted
        source: of its frames
        factor: ``(layer, 1, channel)``, 1 / scale, the same object for all tasks whose
            scale is the same; None: frames are taken as they are
        dtype: of all numbers

    Attributes:
        train, dev: id -> row of the targets
        n_classes: that it tells apart
        ended, diverged: whether it goes on no more, and whether for no good reason
    """

    def __init__(
        self,
        position: int,
        task: Task,
        source: Source,
        factor: Tensor | None,
        dtype: torch.dtype,
    ) -> None:
        self.position, self.task, self.factor = position, task, factor
        self.train = {str(name): row for row, name in enumerate(task.train.ids)}
        self.dev = {str(name): row for row, name in enumerate(task.dev.ids)}
        self.targets = torch.from_numpy(task.train_targets).to(dtype)
        self.heard = torch.zeros(task.dev_targets.shape, dtype=torch.float64)
        offset = None
        if factor is not None:
            offset = torch.as_tensor(task.mean).to(factor) * factor[:, 0]
        self.n_classes = task.train_targets.shape[1]
        state = task.start or initial(
            source.n_layers, source.channels, self.n_classes, task.seed
        )
        self.network = Network(state, task.settings, offset, dtype, source.device)
        self.history: list[dict[str, float]] = []
        self.best_epoch, self._least, self._best = 0, math.inf, self.network.state()
        self.ended = self.diverged = False

    @property
    def about(self) -> str:
        """Which one it is, for errors."""
        return f"fit {self.position} (epoch {self.epoch}, lr {self.task.settings.lr:g})"

    def begin(self, epoch: int, order: Sequence[str]) -> None:
        """Cut its own utterances into batches, in the order of all."""
        size = self.task.settings.batch_size
        own = [name for name in order if name in self.train]
        self.epoch = epoch
        self._loss = self.network.flat.new_zeros((), dtype=torch.float64)
        self.batches = [own[at : at + size] for at in range(0, len(own), size)]
        self._waiting = [len(batch) for batch in reversed(self.batches)]
        weighs = self.targets.double().sum(dim=1).tolist()
        self._weighed = self.targets.clone()
        self._batch: dict[str, int] = {}
        for i, batch in enumerate(self.batches):
            self._batch |= dict.fromkeys(batch, i)
            rows = [self.train[name] for name in batch]
            self._weighed[rows] /= sum(weighs[row] for row in rows)
        self._seen = 0

    def chosen(self, names: Sequence[str]) -> Iterator[tuple[int, ...]]:
        """Yield positions of its own utterances, those of one batch at a time."""
        own = [at for at, name in enumerate(names) if name in self.train]
        for _, found in groupby(own, lambda at: self._batch[names[at]]):
            yield tuple(found)

    def judged(self, names: Sequence[str]) -> Iterator[tuple[int, ...]]:
        """Yield positions of its development utterances, all at a time."""
        if found := tuple(at for at, name in enumerate(names) if name in self.dev):
            yield found

    def weighed(self, names: Sequence[str]) -> Tensor:
        """Return what each class weighs ``(name, class)``, as a share of the batch."""
        return self._weighed[[self.train[name] for name in names]]

    def count(self, n: int) -> None:
        """Say that n were learnt from; the last one of a batch moves the weights."""
        self._seen += n
        if self._seen == self._waiting[-1]:
            self.step()

    def step(self) -> None:
        """Move the weights by the next batch."""
        self._loss += self.network.step() * self._waiting.pop()
        self._seen = 0

    def look(self, names: Sequence[str], logits: Tensor) -> None:
        """Keep the logits of development utterances ``(name, class)``, float64."""
        self.heard[[self.dev[name] for name in names]] = logits

    def end(self, seconds: float) -> None:
        """Write down an epoch; keep its weights if they are the best so far."""
        train_loss = float(self._loss) / len(self.train)
        dev_loss, dev_uar = self._judged()
        told = {"epoch": self.epoch, "train_loss": train_loss, "dev_loss": dev_loss}
        self.history.append(told | {"dev_uar": dev_uar, "seconds": seconds})
        tell(self.task.train, self.task.seed, self.history[-1])
        if dev_loss < self._least:
            self._least, self.best_epoch = dev_loss, self.epoch
            self._best = self.network.state()
        settings, without = self.task.settings, self.epoch - self.best_epoch
        tired = settings.patience is not None and without >= max(1, settings.patience)
        self.diverged = not (math.isfinite(train_loss) and math.isfinite(dev_loss))
        self.ended = tired or self.diverged or self.epoch >= settings.max_epochs

    def _judged(self) -> tuple[float, float]:
        """Return loss and UAR of the development speakers."""
        weighs = torch.from_numpy(self.task.dev_targets).double()
        loss = -(weighs * self.heard.log_softmax(dim=1)).sum() / weighs.sum()
        y, guess = self.task.dev.y, self.heard.argmax(dim=1).numpy()
        recalls = [np.mean(guess[y == c] == c) for c in np.unique(y[y >= 0])]
        return float(loss), float(np.mean(recalls)) if recalls else math.nan

    def result(self) -> Fitted:
        """Return what it came to."""
        state = {name: value.cpu() for name, value in self._best.items()}
        return Fitted(state, self.history, self.best_epoch)
