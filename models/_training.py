"""The one training loop of all torch heads."""

from __future__ import annotations

import copy
import logging
import math
import time
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contracts.errors import RunError
from contracts.memory import give_back, keep_pages
from contracts.terminal import Advance, progress
from contracts.view import View
from contracts.watching import tell
from models import _losses
from models._device import choose, drawing, mixed
from models._layers import WeightedLayers
from models._maps import batches, pinned
from models._network import NetworkHead, Reader
from models._sampling import orders

SLOW = 10.0  # seconds; an epoch that takes longer is worth a word
_LOG = logging.getLogger(__name__)


class Part(NamedTuple):
    """Utterances, how they are read, and what is true of them."""

    view: View
    read: Reader
    truth: Tensor


class _Task(NamedTuple):
    """What one fit works on, and with."""

    train: Part
    dev: Part
    weight: Tensor | None
    device: torch.device
    optimiser: torch.optim.Optimizer
    advance: Advance
    casting: torch.autocast
    scaler: torch.amp.GradScaler
    draw: np.random.Generator


@dataclass(eq=False, repr=False, kw_only=True)
class TorchHead(NetworkHead):
    """A head that is a torch network; a subclass says what it is made of.

    A subclass gives ``measure``, ``build`` and ``reader``; if need be also ``prepare``,
    ``learner``, ``disturbed``, ``truth``, ``loss``, ``optimiser``, ``clip`` and
    ``rate``.

    Attributes:
        network_: the network with the weights of the best epoch
        facts_: sizes the network was built with
        arrays_: what was learnt beside the network, name -> numbers
        history_: ``epoch``, ``train_loss``, ``dev_loss``, ``dev_uar``, ``seconds``
        learnt_: ``best_epoch``, ``n_parameters``; where layers are weighted, also
            ``layers`` and ``layer_weights``
        chosen_: ``epoch``, on development speakers
    """

    def fit(self, train: View, dev: View | None = None) -> Self:
        """Learn from ``train``; ``dev`` chooses the epoch whose weights are kept.

        Raises:
            RunError: without development speakers, labels or a finite loss
        """
        learnt_on, judged_on, device = self.begin(train, dev)
        with drawing(self.seed):
            self.network_ = self.build(len(self.classes_), self.facts_).to(device)
            self._train(learnt_on, judged_on, device)
        return self

    def begin(self, train: View, dev: View | None) -> tuple[Part, Part, torch.device]:
        """Check what is asked, and learn all that belongs to no network.

        Returns:
            what is learnt from, what the epoch is chosen on, and the device

        Raises:
            RunError: without development speakers or labels
        """
        if dev is None or not len(dev):
            msg = (
                f"{self.name} needs development speakers to choose the epoch: expected "
                "some beside train, got none"
            )
            raise RunError(msg)
        keep_pages()
        self.refuse_options()
        device = choose(self.device)
        train, dev = pinned(train, self.features), pinned(dev, self.features)
        truth, dev_truth = self.truth(train, "train"), self.truth(dev, "dev")
        self._set_classes(train.classes)
        if self.targets == "soft":
            labelled = train.take(train.y >= 0)
            self.learnt_["without_votes"] = _losses.voted(labelled, "train")[1]
        self.facts_ = self.measure(train)
        self.arrays_: dict[str, NDArray[Any]] = {}
        self.prepare(train)
        learnt_on = Part(train, self.learner(train), truth)
        return learnt_on, Part(dev, self.reader(dev), dev_truth), device

    def conclude(self, best_epoch: int) -> None:
        """Say what was learnt, once the network holds the weights of the best epoch."""
        told = _told(self.network_, self.facts_["layers"])
        self.learnt_ = {"best_epoch": best_epoch} | told | self.learnt_
        self.chosen_ = {"epoch": best_epoch}

    def _train(self, train: Part, dev: Part, device: torch.device) -> None:
        """Go through the epochs; leave the network with the best one's weights."""
        network, n = self.network_, len(train.view)
        weight = _losses.class_weights(
            train.view.y, len(self.classes_), self.class_weight
        )
        draw = np.random.default_rng([self.seed, 1])
        order = orders(train.view.y, self.sampling, self.seed)
        best_loss, best_epoch, best = math.inf, 0, network.state_dict()
        with progress(self.name, self.max_epochs * n, "utterances") as advance:
            moving = self.optimiser(network)
            means = device, moving, advance, *mixed(device), draw
            task = _Task(train, dev, weight, *means)
            self._foretell(task)
            for epoch in range(1, self.max_epochs + 1):
                self.history_.append(self._epoch(epoch, task, next(order)))
                tell(train.view, self.seed, self.history_[-1])
                dev_loss = self.history_[-1]["dev_loss"]
                if dev_loss < best_loss:
                    best_loss, best_epoch = dev_loss, epoch
                    best = copy.deepcopy(network.state_dict())
                elif self.patience is not None and epoch - best_epoch >= self.patience:
                    break
        network.load_state_dict(best)
        self.conclude(best_epoch)

    def _epoch(self, epoch: int, task: _Task, order: list[int]) -> dict[str, float]:
        start, total, done = time.perf_counter(), 0.0, 0
        self.network_.train()
        for rows in batches(order, self.batch_size):
            for group in task.optimiser.param_groups:
                group["lr"] = self.lr * self.rate(epoch - 1 + done / len(order))
            total += self._step(task, rows) * len(rows)
            give_back()
            task.advance(len(rows))
            done += len(rows)
        train_loss = total / len(order)
        dev_loss, dev_uar = self._judge(task)
        if not (math.isfinite(train_loss) and math.isfinite(dev_loss)):
            msg = (
                f"{self.name} diverged in epoch {epoch}: expected a finite loss, got "
                f"{train_loss} on train, {dev_loss} on dev. Choose a smaller lr"
            )
            raise RunError(msg)
        task.advance(0, f"epoch {epoch}, loss {train_loss:.3f}, dev {dev_loss:.3f}")
        told = {"epoch": epoch, "train_loss": train_loss, "dev_loss": dev_loss}
        return told | {"dev_uar": dev_uar, "seconds": time.perf_counter() - start}

    def _foretell(self, task: _Task) -> None:
        """Say how long an epoch will take, as steps of a copy let guess.

        The first takes memory and warms up, which is not repeated: where an epoch of
        such would be slow, a second one tells. What a fit draws stays as it was.
        """
        network, n = self.network_, len(task.train.view)
        rows = list(range(min(self.batch_size, n)))
        try:
            self.network_ = copy.deepcopy(network).train()
            trial = task._replace(
                optimiser=self.optimiser(self.network_),
                scaler=mixed(task.device)[1],
                draw=copy.deepcopy(task.draw),
            )
            for _ in range(2):
                start = time.perf_counter()
                with torch.random.fork_rng():
                    self._step(trial, rows)
                give_back()
                seconds = (time.perf_counter() - start) * n / len(rows)
                if seconds <= SLOW:
                    return
        finally:
            self.network_ = network
        words = "%s: about %.0f seconds per epoch, %d epochs at most"
        _LOG.info(words, self.name, seconds, self.max_epochs)

    def clip(self, network: nn.Module) -> None:
        """Cut the gradient of a step, as ``clip_value`` and ``clip_norm`` ask."""
        moved = list(network.parameters())
        if self.clip_value is not None:
            nn.utils.clip_grad_value_(moved, self.clip_value)
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(moved, self.clip_norm)

    def _step(self, task: _Task, rows: list[int]) -> float:
        inputs = self.disturbed(task.train.read(rows), task.draw)
        with task.casting:
            outputs = self.network_(*(part.to(task.device) for part in inputs))
        truth = task.train.truth[rows].to(task.device)
        weight = None if task.weight is None else task.weight.to(task.device)
        loss = self.loss(outputs.float(), truth, weight)
        task.optimiser.zero_grad()
        torch.autograd.backward(task.scaler.scale(loss))
        if self.clip_norm is not None or self.clip_value is not None:
            task.scaler.unscale_(task.optimiser)
            self.clip(self.network_)
        task.scaler.step(task.optimiser)
        task.scaler.update()
        return float(loss.detach())

    def _judge(self, task: _Task) -> tuple[float, float]:
        """Return loss and UAR of the development speakers."""
        view, read, truth = task.dev
        outputs = self._logits(view, read)
        weight = None if task.weight is None else task.weight.double()
        exact = truth.double() if truth.is_floating_point() else truth
        y, logits = view.y, outputs[:, : len(self.classes_)]
        right = logits.argmax(dim=1).numpy() == y
        recalls = [right[y == c].mean() for c in np.unique(y[y >= 0])]
        uar = float(np.mean(recalls)) if recalls else math.nan
        return float(self.loss(outputs, exact, weight)), uar


def _told(network: nn.Module, layers: list[int]) -> dict[str, Any]:
    """Say how many parameters a network has, and which layers are weighted how."""
    n = sum(p.numel() for p in network.parameters() if p.requires_grad)
    told: dict[str, Any] = {"n_parameters": n}
    mixes = [m for m in network.modules() if isinstance(m, WeightedLayers)]
    weights = [m.weights().detach().tolist() for m in mixes if len(m.scalars) > 1]
    return told | ({"layers": layers, "layer_weights": weights[0]} if weights else {})
