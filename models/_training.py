"""The one training loop of all torch heads."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn

from contracts.errors import RunError
from contracts.memory import give_back, keep_pages
from contracts.terminal import Advance, progress
from contracts.view import View
from models._device import choose, drawing, mixed
from models._maps import batches, by_length, pinned
from models._tables import BaseHead, codes

SLOW = 10.0  # seconds; an epoch that takes longer is worth a word
_LOG = logging.getLogger(__name__)
_WEIGHTS, _NETWORK, _ARRAY = "model.safetensors", "network.", "array."


class _Task(NamedTuple):
    """What one fit works on, and with."""

    train: View
    dev: View
    weight: Tensor | None
    device: torch.device
    optimiser: torch.optim.Optimizer
    advance: Advance
    casting: torch.autocast
    scaler: torch.amp.GradScaler


class TorchHead(BaseHead):
    """A head that is a torch network; a subclass says what it is made of.

    A subclass gives ``measure``, ``build`` and ``batch``; if need be also ``prepare``,
    with the attributes it learns named in ``arrays``, ``targets`` and ``optimiser``.

    Attributes:
        network_: the network with the weights of the best epoch
        facts_: sizes the network was built with
        history_: ``epoch``, ``train_loss``, ``dev_loss``, ``dev_uar``, ``seconds``
        learnt_: ``best_epoch``, ``n_parameters``
        chosen_: ``epoch``, on development speakers
    """

    needs_dev = True
    arrays: Sequence[str] = ()
    layers: Sequence[int] | None
    lr: float
    batch_size: int
    max_epochs: int
    patience: int | None
    clip_norm: float | None
    class_weight: str | None
    seed: int
    device: str

    def measure(self, view: View) -> dict[str, Any]:
        """Return sizes and layers of the network, as JSON."""
        raise NotImplementedError

    def build(self, n_labels: int, facts: dict[str, Any]) -> nn.Module:
        """Return a new network that gives logits ``(utterance, class)``."""
        raise NotImplementedError

    def batch(self, view: View, rows: Sequence[int]) -> tuple[Tensor, ...]:
        """Read what the network is called with."""
        raise NotImplementedError

    def prepare(self, train: View) -> None:
        """Learn from train what does not belong to the network, e.g. a scale."""

    def targets(self, view: View, what: str) -> Tensor:
        """Return codes ``(utterance,)`` or shares ``(utterance, class)`` to learn."""
        return torch.from_numpy(codes(view, what))

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return what moves the weights; Adam unless a subclass says otherwise."""
        return torch.optim.Adam(network.parameters(), lr=self.lr)

    def fit(self, train: View, dev: View | None = None) -> Self:
        """Learn from ``train``; ``dev`` chooses the epoch whose weights are kept.

        Raises:
            RunError: without development speakers, labels or a finite loss
        """
        if dev is None or not len(dev):
            msg = (
                f"{self.name} needs development speakers to choose the epoch: expected "
                "some beside train, got none"
            )
            raise RunError(msg)
        keep_pages()
        device = self._check()
        train, dev = pinned(train, self.features), pinned(dev, self.features)
        _ = self.targets(train, "train"), self.targets(dev, "dev")  # none unlabelled
        self._set_classes(train.classes)
        self.prepare(train)
        self.facts_ = self.measure(train)
        with drawing(self.seed):
            self.network_ = self.build(len(self.classes_), self.facts_).to(device)
            self._train(train, dev, device)
        return self

    def predict_proba(self, view: View) -> NDArray[np.float64]:
        """Return probabilities ``(utterance, class)``."""
        if not len(view):
            return np.zeros((0, len(self.classes_)))
        view = pinned(view, self.features)
        if (facts := self.measure(view)) != self.facts_:
            msg = f"{self.name} was fitted on other features: expected {self.facts_}, "
            msg += f"got {facts}. Choose them with --feature NAME@FINGERPRINT"
            raise RunError(msg)
        return np.asarray(self._logits(view).softmax(dim=1).numpy())

    def save(self, folder: Path) -> None:
        """Write ``model.safetensors`` and ``head.json``."""
        self._write(folder, facts=self.facts_)
        kept = {_NETWORK + k: v for k, v in self.network_.state_dict().items()}
        kept |= {_ARRAY + k: torch.from_numpy(getattr(self, k)) for k in self.arrays}
        save_file({k: v.cpu().contiguous() for k, v in kept.items()}, folder / _WEIGHTS)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote."""
        head, told = cls._read(folder)
        head.facts_ = told["facts"]
        kept = load_file(folder / _WEIGHTS)
        for name in cls.arrays:
            setattr(head, name, kept[_ARRAY + name].numpy())
        with drawing(head.seed):  # building draws weights, which are then replaced
            head.network_ = head.build(len(head.classes_), head.facts_)
        names = {k: k.removeprefix(_NETWORK) for k in kept if k.startswith(_NETWORK)}
        head.network_.load_state_dict({name: kept[k] for k, name in names.items()})
        return head

    def _check(self) -> torch.device:
        known = self.class_weight in (None, "balanced")
        if self.batch_size < 1 or self.max_epochs < 1 or not known:
            msg = (
                f"{self.name} cannot train: expected batch_size and max_epochs of 1 or "
                f"more and class_weight None or 'balanced', got {self.batch_size}, "
                f"{self.max_epochs} and {self.class_weight!r}"
            )
            raise RunError(msg)
        return choose(self.device)

    def _class_weight(self, view: View) -> Tensor | None:
        if self.class_weight is None:
            return None
        y = view.y[view.y >= 0]
        present = np.unique(y)
        weight = np.zeros(len(self.classes_), np.float32)
        weight[present] = compute_class_weight("balanced", classes=present, y=y)
        return torch.from_numpy(weight)

    def _train(self, train: View, dev: View, device: torch.device) -> None:
        """Go through the epochs; leave the network with the best one's weights."""
        network = self.network_
        optimiser = self.optimiser(network)
        weight = self._class_weight(train)
        shuffling = torch.Generator().manual_seed(self.seed)
        best_loss, best_epoch, best = math.inf, 0, network.state_dict()
        with progress(self.name, self.max_epochs * len(train), "utterances") as advance:
            task = _Task(train, dev, weight, device, optimiser, advance, *mixed(device))
            for epoch in range(1, self.max_epochs + 1):
                order = torch.randperm(len(train), generator=shuffling).tolist()
                self.history_.append(self._epoch(epoch, task, order))
                dev_loss = self.history_[-1]["dev_loss"]
                if dev_loss < best_loss:
                    best_loss, best_epoch = dev_loss, epoch
                    best = copy.deepcopy(network.state_dict())
                elif self.patience is not None and epoch - best_epoch >= self.patience:
                    break
        network.load_state_dict(best)
        n_parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
        self.learnt_ = {"best_epoch": best_epoch, "n_parameters": n_parameters}
        self.chosen_ = {"epoch": best_epoch}

    def _epoch(self, epoch: int, task: _Task, order: list[int]) -> dict[str, float]:
        start, total = time.perf_counter(), 0.0
        targets = self.targets(task.train, "train")
        self.network_.train()
        for rows in batches(order, self.batch_size):
            total += self._step(task, rows, targets[rows]) * len(rows)
            give_back()
            task.advance(len(rows))
        train_loss = total / len(order)
        dev_loss, dev_uar = self._judge(task)
        if not (math.isfinite(train_loss) and math.isfinite(dev_loss)):
            msg = (
                f"{self.name} diverged in epoch {epoch}: expected a finite loss, got "
                f"{train_loss} on train, {dev_loss} on dev. Choose a smaller lr"
            )
            raise RunError(msg)
        seconds = time.perf_counter() - start
        task.advance(0, f"epoch {epoch}, loss {train_loss:.3f}, dev {dev_loss:.3f}")
        if epoch == 1 and seconds > SLOW:
            words = "%s: %.1f seconds per epoch, %d epochs at most"
            _LOG.info(words, self.name, seconds, self.max_epochs)
        told = {"epoch": epoch, "train_loss": train_loss, "dev_loss": dev_loss}
        return told | {"dev_uar": dev_uar, "seconds": seconds}

    def _step(self, task: _Task, rows: list[int], targets: Tensor) -> float:
        inputs = [part.to(task.device) for part in self.batch(task.train, rows)]
        with task.casting:
            logits = self.network_(*inputs)
        truth = targets.to(task.device)
        weight = None if task.weight is None else task.weight.to(task.device)
        loss = F.cross_entropy(logits.float(), truth, weight=weight)
        task.optimiser.zero_grad()
        torch.autograd.backward(task.scaler.scale(loss))
        if self.clip_norm is not None:
            task.scaler.unscale_(task.optimiser)
            nn.utils.clip_grad_norm_(self.network_.parameters(), self.clip_norm)
        task.scaler.step(task.optimiser)
        task.scaler.update()
        return float(loss.detach())

    def _judge(self, task: _Task) -> tuple[float, float]:
        """Return loss and UAR of the development speakers."""
        logits, targets = self._logits(task.dev), self.targets(task.dev, "dev")
        weight = None if task.weight is None else task.weight.double()
        soft = targets.double() if targets.is_floating_point() else targets
        loss = float(F.cross_entropy(logits, soft, weight=weight))
        y, right = task.dev.y, logits.argmax(dim=1).numpy() == task.dev.y
        return loss, float(
            np.mean([right[y == c].mean() for c in np.unique(y[y >= 0])])
        )

    def _logits(self, view: View) -> Tensor:
        """Return logits ``(utterance, class)``, float64, in the order of the view."""
        device = choose(self.device)
        network = self.network_.to(device).eval()
        out = torch.zeros(len(view), len(self.classes_), dtype=torch.float64)
        with torch.inference_mode():
            for rows in batches(by_length(view, self.features), self.batch_size):
                inputs = [part.to(device) for part in self.batch(view, rows)]
                out[rows] = network(*inputs).double().cpu()
                give_back()
        return out
