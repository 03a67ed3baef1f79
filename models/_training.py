"""The one training loop of all torch heads, and how they read maps from the cache."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.metrics import recall_score
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn

from contracts.errors import CacheError, RunError
from contracts.terminal import Advance, progress
from contracts.view import View
from models._tables import BaseHead, codes

_LOG = logging.getLogger(__name__)
_WEIGHTS, _NETWORK, _ARRAY = "model.safetensors", "network.", "array."


def pinned(view: View, features: Sequence[str]) -> View:
    """Settle which store each feature is read from, losing no utterance.

    Raises:
        CacheError: if a feature is missing, for all utterances or for some
    """
    chosen = view.require(features)
    if lost := chosen.left_out[len(view.left_out) :]:
        msg = (
            f"{len(lost)} of {len(view)} utterances lack a feature (first: {lost[0][0]}: "
            f"{lost[0][1]}): expected none. Leave them out with view.require(...)"
        )
        raise CacheError(msg)
    return chosen


def map_facts(
    view: View, feature: str, layers: Sequence[int] | None = None
) -> dict[str, Any]:
    """Say what maps of a frame feature are: ``layers``, ``n_layers``, ``channels``.

    Raises:
        CacheError: if the feature is missing or has no frames
    """
    spec = view.spec(feature)
    if spec.is_table:
        msg = f"{feature} has no frames: expected a frame feature, got a table"
        raise CacheError(msg)
    stored = [n for n in spec.layers if n] or list(spec.layers)
    chosen = stored if layers is None else list(layers)
    return {"layers": chosen, "n_layers": len(chosen), "channels": spec.n_channels}


def read_maps(
    view: View, feature: str, rows: Sequence[int], layers: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Read utterances from the cache's memory map, padded to the longest with zeros.

    Returns:
        maps ``(utterance, layer, frame, channel)`` in the stored dtype, and their
        numbers of frames ``(utterance,)``
    """
    read = [view.frames(feature, row, layers).transpose(0, 2, 1) for row in rows]
    n_frames = [block.shape[1] for block in read]
    shape = (len(read), read[0].shape[0], max(n_frames), read[0].shape[2])
    maps = np.zeros(shape, read[0].dtype)
    for i, block in enumerate(read):
        maps[i, :, : n_frames[i]] = block
    return torch.from_numpy(maps), torch.tensor(n_frames)


class _Task(NamedTuple):
    """What one fit works on."""

    train: View
    dev: View
    weight: Tensor | None
    device: torch.device


class TorchHead(BaseHead):
    """A head that is a torch network; a subclass says what it is made of.

    A subclass gives ``measure(view)``, ``build(n_labels, facts)`` and ``batch(view,
    rows)``; if need be also ``prepare(train)``, with the attributes it learns named in
    ``arrays``, ``targets(view, what)`` and ``optimiser(network)``.

    Attributes:
        network_: the network with the weights of the best epoch
        facts_: sizes the network was built with
        history_: per epoch ``epoch``, ``train_loss``, ``dev_loss``, ``dev_uar``,
            ``seconds``
        learnt_: ``best_epoch``, ``n_parameters``
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
        """Return the sizes and layers a network for this view has, as JSON."""
        raise NotImplementedError

    def build(self, n_labels: int, facts: dict[str, Any]) -> nn.Module:
        """Return a network, drawn anew, that gives logits ``(utterance, class)``."""
        raise NotImplementedError

    def batch(self, view: View, rows: Sequence[int]) -> tuple[Tensor, ...]:
        """Read what the network is called with."""
        raise NotImplementedError

    def prepare(self, train: View) -> None:
        """Learn from train what does not belong to the network, e.g. a scale."""

    def targets(self, view: View, what: str) -> Tensor:
        """Return class codes ``(utterance,)`` or probabilities ``(utterance, class)``."""
        return torch.from_numpy(codes(view, what))

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return what moves the weights."""
        return torch.optim.Adam(network.parameters(), lr=self.lr)

    def fit(self, train: View, dev: View | None = None) -> Self:
        """Learn from ``train``; ``dev`` chooses the epoch whose weights are kept.

        Raises:
            RunError: if there are no development speakers, a label is missing, or the
                loss is no longer a number
        """
        device = self._check(dev)
        assert dev is not None  # _check refuses it
        train, dev = pinned(train, self.features), pinned(dev, self.features)
        y = codes(train, "train")
        self._set_classes(train.classes)
        self.prepare(train)
        self.facts_ = self.measure(train)
        weight = self._class_weight(y, device)
        with _drawing(self.seed):
            self.network_ = self.build(len(self.classes_), self.facts_).to(device)
            self._train(_Task(train, dev, weight, device))
        return self

    def predict_proba(self, view: View) -> NDArray[np.float64]:
        """Return probabilities ``(utterance, class)``."""
        view = pinned(view, self.features)
        if (facts := self.measure(view)) != self.facts_:
            msg = f"{self.name} was fitted on {self.facts_}: expected the same, got {facts}"
            raise RunError(msg + ". Choose the features with --feature NAME@FINGERPRINT")
        probabilities: NDArray[np.float64] = self._logits(view).softmax(dim=1).numpy()
        return probabilities

    def save(self, folder: Path) -> None:
        """Write ``model.safetensors`` and ``head.json``."""
        self._write(folder, facts=self.facts_)
        kept = {_NETWORK + k: v for k, v in self.network_.state_dict().items()}
        kept |= {_ARRAY + k: torch.from_numpy(getattr(self, k)) for k in self.arrays}
        tensors = {k: v.detach().cpu().contiguous() for k, v in kept.items()}
        save_file(tensors, folder / _WEIGHTS)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote."""
        head, told = cls._read(folder)
        head.facts_ = told["facts"]
        kept = load_file(folder / _WEIGHTS)
        for name in cls.arrays:
            setattr(head, name, kept[_ARRAY + name].numpy())
        with _drawing(head.seed):  # building draws weights, which are then replaced
            head.network_ = head.build(len(head.classes_), head.facts_)
        weights = {k: v for k, v in kept.items() if k.startswith(_NETWORK)}
        head.network_.load_state_dict(
            {k.removeprefix(_NETWORK): v for k, v in weights.items()}
        )
        return head

    def _check(self, dev: View | None) -> torch.device:
        """Refuse settings that cannot work, before anything is read."""
        if dev is None or not len(dev):
            msg = (
                f"{self.name} needs development speakers to choose the epoch: expected "
                "some beside train, got none"
            )
            raise RunError(msg)
        if self.batch_size < 1 or self.max_epochs < 1:
            msg = (
                f"{self.name} cannot train: expected batch_size and max_epochs of 1 or "
                f"more, got {self.batch_size} and {self.max_epochs}"
            )
            raise RunError(msg)
        if self.class_weight not in (None, "balanced"):
            msg = f"bad class_weight {self.class_weight!r}: expected None or 'balanced'"
            raise RunError(msg)
        return _device(self.device)

    def _class_weight(self, y: NDArray[np.int64], device: torch.device) -> Tensor | None:
        if self.class_weight is None:
            return None
        present = np.unique(y)
        weight = np.zeros(len(self.classes_), np.float32)
        weight[present] = compute_class_weight("balanced", classes=present, y=y)
        return torch.from_numpy(weight).to(device)

    def _train(self, task: _Task) -> None:
        network, optimiser = self.network_, self.optimiser(self.network_)
        scaler = torch.amp.GradScaler(task.device.type, enabled=_half(task.device)[1])
        shuffling = torch.Generator().manual_seed(self.seed)
        best_loss, best_epoch, best = math.inf, 0, network.state_dict()
        total = self.max_epochs * len(task.train)
        with progress(self.name, total, "utterances") as advance:
            for epoch in range(1, self.max_epochs + 1):
                order = torch.randperm(len(task.train), generator=shuffling).tolist()
                entry = self._epoch(epoch, task, order, optimiser, scaler, advance)
                self.history_.append(entry)
                if entry["dev_loss"] < best_loss:
                    best_loss, best_epoch = entry["dev_loss"], epoch
                    best = copy.deepcopy(network.state_dict())
                elif self.patience is not None and epoch - best_epoch >= self.patience:
                    break
        network.load_state_dict(best)
        n_parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
        self.learnt_ = {"best_epoch": best_epoch, "n_parameters": n_parameters}
        network.eval()

    def _epoch(
        self,
        epoch: int,
        task: _Task,
        order: list[int],
        optimiser: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        advance: Advance,
    ) -> dict[str, float]:
        start, total = time.perf_counter(), 0.0
        targets = self.targets(task.train, "train")
        for rows in _batches(order, self.batch_size):
            self.network_.train()
            inputs = [part.to(task.device) for part in self.batch(task.train, rows)]
            loss = self._step(inputs, targets[rows].to(task.device), task, optimiser, scaler)
            total += loss * len(rows)
            advance(len(rows))
        train_loss = total / len(order)
        dev_loss, dev_uar = self._judge(task)
        if not (math.isfinite(train_loss) and math.isfinite(dev_loss)):
            msg = (
                f"{self.name} diverged in epoch {epoch}: expected a finite loss, got "
                f"{train_loss} on train, {dev_loss} on dev. Choose a smaller lr"
            )
            raise RunError(msg)
        seconds = time.perf_counter() - start
        advance(0, f"epoch {epoch}, loss {train_loss:.3f}, dev {dev_loss:.3f}")
        if epoch == 1:
            _LOG.info(
                "%s: %.1f seconds per epoch, %d epochs at most",
                self.name,
                seconds,
                self.max_epochs,
            )
        return {
            "epoch": epoch,
            "train_loss": train_loss,
            "dev_loss": dev_loss,
            "dev_uar": dev_uar,
            "seconds": seconds,
        }

    def _step(
        self,
        inputs: list[Tensor],
        targets: Tensor,
        task: _Task,
        optimiser: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
    ) -> float:
        dtype, _ = _half(task.device)
        half = task.device.type != "cpu"  # on a CPU it is neither faster nor the same
        with torch.autocast(task.device.type, dtype=dtype, enabled=half):
            logits = self.network_(*inputs)
        loss = F.cross_entropy(logits.float(), targets, weight=task.weight)
        optimiser.zero_grad()
        scaler.scale(loss).backward()
        if self.clip_norm is not None:
            scaler.unscale_(optimiser)
            nn.utils.clip_grad_norm_(self.network_.parameters(), self.clip_norm)
        scaler.step(optimiser)
        scaler.update()
        return float(loss.detach())

    def _judge(self, task: _Task) -> tuple[float, float]:
        """Return loss and UAR of the development speakers."""
        logits, targets = self._logits(task.dev), self.targets(task.dev, "dev")
        weight = None if task.weight is None else task.weight.double().cpu()
        soft = targets.double() if targets.is_floating_point() else targets
        loss = float(F.cross_entropy(logits, soft, weight=weight))
        y, guess = task.dev.y, logits.argmax(dim=1).numpy()
        known = y >= 0
        labels = np.unique(y[known])
        uar = recall_score(
            y[known], guess[known], labels=labels, average="macro", zero_division=0
        )
        return loss, float(uar)

    def _logits(self, view: View) -> Tensor:
        """Return logits ``(utterance, class)`` in float64, utterances of a length together."""
        device = _device(self.device)
        network = self.network_.to(device).eval()
        out = torch.zeros(len(view), len(self.classes_), dtype=torch.float64)
        with torch.inference_mode():
            for rows in _batches(self._by_length(view), self.batch_size):
                inputs = [part.to(device) for part in self.batch(view, rows)]
                out[rows] = network(*inputs).double().cpu()
        return out

    def _by_length(self, view: View) -> list[int]:
        frames = [f for f in self.features if not view.spec(f).is_table]
        lengths = view.n_frames(frames[0]) if frames else np.zeros(len(view))
        return [int(i) for i in np.argsort(lengths, kind="stable")]


@contextmanager
def _drawing(seed: int) -> Iterator[None]:
    """Draw from a seed inside, and leave everybody else's draws as they were."""
    with torch.random.fork_rng(), torch.backends.cudnn.flags(
        benchmark=False, deterministic=True
    ):
        torch.manual_seed(seed)
        yield


def _batches(rows: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _device(wanted: str) -> torch.device:
    """Say where the network runs; a GPU that is asked for and is not there is refused."""
    if wanted not in ("auto", "cpu", "cuda"):
        msg = f"unknown device {wanted!r}: expected one of ['auto', 'cpu', 'cuda']"
        raise RunError(msg)
    has = torch.cuda.is_available()
    if wanted == "cuda" and not has:
        msg = "no GPU here: expected one for device 'cuda', got none. Choose device=cpu"
        raise RunError(msg)
    return torch.device("cuda" if has and wanted != "cpu" else "cpu")


def _half(device: torch.device) -> tuple[torch.dtype, bool]:
    """Return the dtype of mixed precision, and whether losses must be scaled for it."""
    if device.type == "cpu" or torch.cuda.is_bf16_supported():
        return torch.bfloat16, False
    return torch.float16, True
