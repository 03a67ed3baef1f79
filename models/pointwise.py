"""Pointwise convolutions over features, mean over time, one hidden layer.

Source: seed 001 (amansyayf/wav2vec2_emotion_recognition), done as it was meant. Input:
the last layer of an encoder, or several that are weighted (``layers``). Convolutions
over one frame, 768 features to 256 (ReLU, dropout .5) and 256 to 256; the mean over an
utterance's own frames; 256, ReLU, dropout .5, labels. SGD, learning rate 5e-3, 8
utterances a batch, 10 epochs, the one with the smallest loss on dev is kept (there,
that with the best accuracy). Utterances have any length; there, 4 s, cut or padded.

What was wrong there: the frames (199 of them, 4 s) were taken as the channels of the
convolution, which so learnt one weight for each position in time, and padding counted.
Its second convolution gave one number for each feature; over features that would be
one number for each frame, so 256 are kept here.

Published on RAVDESS, 8 classes, actors 23 and 24 (120 utterances, +/- 8 points): .68
accuracy, .72 with noise and stretching. The encoder's transformer was trained too (the
text says it was frozen), and waveforms were normalised over the whole batch, so that a
prediction depended on its neighbours: no target for a frozen encoder.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from contracts.published import Published
from models._frames import FrameHead
from models._layers import WeightedLayers, masked_mean

_FLAW = (
    "the encoder was trained too; its convolution ran over positions in time; "
    "predictions depend on the batch; two test actors"
)
PUBLISHED = tuple(
    Published(
        "seed 001, amansyayf/wav2vec2_emotion_recognition",
        f"accuracy {number}; wav2vec2-base, last layer",
        "RAVDESS speech, 8 classes; actors 23 and 24 (120 utterances)",
        _FLAW,
    )
    for number in (".68", ".72 with augmentation")
)


class Pointwise(nn.Module):
    """Weighted layers, two pointwise convolutions, masked mean, hidden layer."""

    def __init__(
        self, n_labels: int, n_layers: int, channels: int, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.layers = WeightedLayers(n_layers)
        self.first = nn.Conv1d(channels, 256, kernel_size=1)
        self.second = nn.Conv1d(256, 256, kernel_size=1)
        self.hidden = nn.Linear(256, 256)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(256, n_labels)

    def forward(self, maps: Tensor, lengths: Tensor) -> Tensor:
        """Return logits ``(utterance, label)``.

        Args:
            maps: ``(utterance, layer, frame, channel)``
            lengths: frames of each ``(utterance,)``, what lies behind does not count
        """
        x = self.layers(maps).transpose(1, 2)  # (utterance, channel, frame)
        x = self.second(self.dropout(F.relu(self.first(x))))
        mean = masked_mean(x.transpose(1, 2), lengths)
        logits: Tensor = self.out(self.dropout(F.relu(self.hidden(mean))))
        return logits


@dataclass(eq=False, repr=False, kw_only=True)
class Head(FrameHead):
    """Pointwise convolutions; ``layers=None`` is the last hidden state."""

    otherwise: ClassVar[str] = "last"

    lr: float = 5e-3
    batch_size: int = 8
    max_epochs: int = 10
    dropout: float = 0.5

    def build(self, n_labels: int, facts: dict[str, Any]) -> nn.Module:
        """Return the network."""
        return Pointwise(n_labels, facts["n_layers"], facts["channels"], self.dropout)

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return plain SGD."""
        return torch.optim.SGD(
            network.parameters(), lr=self.lr, weight_decay=self.weight_decay
        )
