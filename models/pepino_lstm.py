"""Pepino's network with an LSTM in the place of the second dense layer.

Source: Pepino, Riera, Ferrer, Interspeech 2021, arXiv:2104.03502. Input: hidden states
0 to 12, weighted as in ``pepino``; 128 numbers for each frame, ReLU, dropout .2; an
LSTM of 128 in one direction whose candidate and output go through ReLU in the place of
tanh, dropout .2; the mean over an utterance's own frames; the labels. Recipe as of
``pepino``, with 16 utterances a batch.

Published: 74.6 average recall on RAVDESS and 64.9 on IEMOCAP, ``normalise=global``,
under the protocol told at ``pepino`` and with its faults; on the speech alone 72.2.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from contracts.published import Published
from models._frames import FrameHead
from models._layers import WeightedLayers, dense, masked_mean
from models.pepino import FLAW, PROTOCOL, SESSIONS, SOURCE

PUBLISHED = (
    Published(SOURCE, "average recall 74.6 +/- 3.7, global norm", PROTOCOL, FLAW),
    Published(
        SOURCE,
        "average recall 64.9 +/- 1.9, global norm",
        SESSIONS,
    ),
)


class ReluLSTM(nn.Module):
    """An LSTM whose candidate and output go through ReLU, as Keras can have it.

    torch has none, so frames are gone through one by one; the gate that forgets
    starts open (bias 1).
    """

    def __init__(self, n_inputs: int, size: int) -> None:
        super().__init__()
        self.inputs = dense(n_inputs, 4 * size)
        self.states = nn.Linear(size, 4 * size, bias=False)
        nn.init.orthogonal_(self.states.weight)
        nn.init.ones_(self.inputs.bias[size : 2 * size])

    def forward(self, x: Tensor) -> Tensor:
        """Turn ``(utterance, frame, channel)`` into ``(utterance, frame, size)``.

        A frame depends on those before it alone, so padding behind changes nothing.
        """
        told = self.inputs(x)
        size = told.shape[2] // 4
        state = cell = told.new_zeros(len(x), size)
        out = []
        for now in told.unbind(dim=1):
            gates = now + self.states(state)
            take, forget, give = gates[:, : 3 * size].sigmoid().chunk(3, dim=1)
            cell = forget * cell + take * F.relu(gates[:, 3 * size :])
            state = give * F.relu(cell)
            out.append(state)
        return torch.stack(out, dim=1)


class PepinoLSTM(nn.Module):
    """Weighted layers, a dense layer on each frame, LSTM, masked mean, logits."""

    def __init__(
        self, n_labels: int, n_layers: int, channels: int, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.layers = WeightedLayers(n_layers, "absolute")
        self.first = dense(channels, 128)
        self.lstm = ReluLSTM(128, 128)
        self.dropout = nn.Dropout(dropout)
        self.out = dense(128, n_labels)

    def forward(self, maps: Tensor, lengths: Tensor) -> Tensor:
        """Return logits ``(utterance, label)``.

        Args:
            maps: ``(utterance, layer, frame, channel)``
            lengths: frames of each ``(utterance,)``, what lies behind does not count
        """
        x = self.dropout(F.relu(self.first(self.layers(maps))))
        x = self.dropout(self.lstm(x))
        logits: Tensor = self.out(masked_mean(x, lengths))
        return logits


@dataclass(eq=False, repr=False, kw_only=True)
class Head(FrameHead):
    """Pepino's LSTM head; ``layers=None`` is every hidden state, 0 too."""

    otherwise: ClassVar[str] = "all"

    batch_size: int = 16
    patience: int | None = 4
    clip_value: float | None = 1.0
    dropout: float = 0.2
    normalise: str | None = "global"

    def build(self, n_labels: int, facts: dict[str, Any]) -> nn.Module:
        """Return the network."""
        return PepinoLSTM(n_labels, facts["n_layers"], facts["channels"], self.dropout)
