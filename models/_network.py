"""What a torch head is made of, and what it does once it is fitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from contracts.errors import RunError
from contracts.memory import give_back
from contracts.view import View
from models import _losses
from models._device import choose, drawing
from models._maps import batches, by_length, pinned
from models._options import TorchOptions
from models._tables import codes

_WEIGHTS, _NETWORK, _ARRAY = "model.safetensors", "network.", "array."
Inputs = tuple[Tensor, ...]
Reader = Callable[[Sequence[int]], Inputs]  # rows of a view -> what a network takes


@dataclass(eq=False, repr=False, kw_only=True)
class NetworkHead(TorchOptions):
    """A head that is a torch network, apart from how it is trained.

    Attributes:
        network_: the network
        facts_: sizes the network was built with
        arrays_: what was learnt beside the network, name -> numbers
    """

    def measure(self, view: View) -> dict[str, Any]:
        """Return sizes and layers of the network, as JSON."""
        raise NotImplementedError

    def build(self, n_labels: int, facts: dict[str, Any]) -> nn.Module:
        """Return a new network that gives logits ``(utterance, class)``."""
        raise NotImplementedError

    def reader(self, view: View) -> Reader:
        """Return what reads, for rows of a view, what the network is called with."""
        raise NotImplementedError

    def learner(self, view: View) -> Reader:
        """Return what reads what is learnt from, before it is ``disturbed``."""
        return self.reader(view)

    def prepare(self, train: View) -> None:
        """Learn ``arrays_`` from train: what is not of the network, e.g. a scale."""

    def disturbed(self, inputs: Inputs, draw: np.random.Generator) -> Inputs:
        """Return inputs as they are trained on, with something silenced say."""
        return inputs

    def truth(self, view: View, what: str) -> Tensor:
        """Return codes ``(utterance,)`` or shares ``(utterance, class)`` to learn."""
        if self.targets == "hard":
            return torch.from_numpy(codes(view, what))
        return _losses.shares(view, what)[0]

    def loss(self, outputs: Tensor, truth: Tensor, weight: Tensor | None) -> Tensor:
        """Return what is to become small."""
        return _losses.loss(outputs, truth, weight, self.label_smoothing)

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return what moves the weights; Adam unless a subclass says otherwise."""
        # without decay, AdamW is Adam
        return torch.optim.AdamW(
            network.parameters(), lr=self.lr, weight_decay=self.weight_decay
        )

    def rate(self, done: float) -> float:
        """Return what ``lr`` is multiplied by once ``done`` epochs are over."""
        return 1.0

    def predict_proba(self, view: View) -> NDArray[np.float64]:
        """Return probabilities ``(utterance, class)``."""
        n = len(self.classes_)
        return np.asarray(self.outputs(view)[:, :n].softmax(dim=1).numpy())

    def outputs(self, view: View) -> Tensor:
        """Return what the network gives ``(utterance, output)``, float64.

        Raises:
            RunError: if the view's features are not those it was fitted on
        """
        if not len(view):
            return torch.zeros(0, len(self.classes_), dtype=torch.float64)
        view = self.checked(view)
        return self._logits(view, self.reader(view))

    def checked(self, view: View) -> View:
        """Return a view with its features settled.

        Raises:
            RunError: if they are not those that the head was fitted on
        """
        view = pinned(view, self.features)
        if (facts := self.measure(view)) != self.facts_:
            msg = f"{self.name} was fitted on other features: expected {self.facts_}, "
            msg += f"got {facts}. Choose them with --feature NAME@FINGERPRINT"
            raise RunError(msg)
        return view

    def save(self, folder: Path) -> None:
        """Write ``model.safetensors`` and ``head.json``."""
        self._write(folder, facts=self.facts_)
        kept = {_NETWORK + k: v for k, v in self.network_.state_dict().items()}
        kept |= {_ARRAY + k: torch.from_numpy(v) for k, v in self.arrays_.items()}
        save_file({k: v.cpu().contiguous() for k, v in kept.items()}, folder / _WEIGHTS)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote."""
        head, told = cls._read(folder)
        for name, value in head.get_params(deep=False).items():
            if isinstance(value, list):  # JSON knows no tuples
                setattr(head, name, tuple(value))
        head.facts_ = told["facts"]
        kept = load_file(folder / _WEIGHTS)
        arrays = {k: v for k, v in kept.items() if k.startswith(_ARRAY)}
        head.arrays_ = {k.removeprefix(_ARRAY): v.numpy() for k, v in arrays.items()}
        with drawing(head.seed):  # building draws weights, which are then replaced
            head.network_ = head.build(len(head.classes_), head.facts_)
        names = {k: k.removeprefix(_NETWORK) for k in kept if k.startswith(_NETWORK)}
        head.network_.load_state_dict({name: kept[k] for k, name in names.items()})
        return head

    def _logits(self, view: View, read: Reader) -> Tensor:
        """Return outputs ``(utterance, output)``, float64, in the order of the view."""
        device = choose(self.device)
        network = self.network_.to(device).eval()
        order, parts = by_length(view, self.features), []
        with torch.inference_mode():
            for rows in batches(order, self.batch_size):
                inputs = [part.to(device) for part in read(rows)]
                parts.append(network(*inputs).double().cpu())
                give_back()
        out = torch.cat(parts)
        return torch.empty_like(out).index_copy_(0, torch.tensor(order), out)
