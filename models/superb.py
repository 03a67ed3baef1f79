"""SUPERB's probe of emotion: weighted layers, 256 numbers, mean over time, labels.

Source: SUPERB (Yang et al., Interspeech 2021), its task ER. Input: all hidden states of
a frozen encoder, 0 too, weighted by a softmax; a linear map to 256, the mean over an
utterance's own frames, a linear map to the labels. Adam, 1e-4, 32 utterances a batch
(4, eight times), the gradient cut at norm 1. The source takes 30,000 steps, some 220
epochs of IEMOCAP's four sessions, and keeps the best accuracy of a development fifth;
here 200 epochs, and the smallest loss on speakers held out of train.

Up to the labels nothing is more than linear, so the mean may come first: the means in
the cache are read, and no frame is, unless ``time_mask`` asks for frames.

Published on IEMOCAP, 4 classes, 5531 utterances, one of five sessions left out at a
time, accuracy: wav2vec2-base 63.43, HuBERT-base 64.92, WavLM-base 65.94, WavLM-base+
67.98, WavLM-large 70.03. Development utterances are a random fifth, of speakers that
it trains on.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from contracts.published import Published
from models._frames import FrameHead
from models._layers import WeightedLayers, masked_mean

_FLAW = "the development fifth is of training speakers"
_PROTOCOL = "IEMOCAP, 4 classes, 5531 utterances, one of five sessions left out"
PUBLISHED = tuple(
    Published("SUPERB, task ER", f"accuracy {value}; {encoder}", _PROTOCOL, _FLAW)
    for encoder, value in (
        ("wav2vec2-base", 63.43),
        ("HuBERT-base", 64.92),
        ("WavLM-base", 65.94),
        ("WavLM-base+", 67.98),
        ("WavLM-large", 70.03),
    )
)


class Superb(nn.Module):
    """Weighted layers, linear, masked mean, linear."""

    def __init__(
        self, n_labels: int, n_layers: int, channels: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.layers = WeightedLayers(n_layers)
        self.projection = nn.Linear(channels, 256)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(256, n_labels)

    def forward(self, maps: Tensor, lengths: Tensor) -> Tensor:
        """Return logits ``(utterance, label)``.

        Args:
            maps: ``(utterance, layer, frame, channel)``
            lengths: frames of each ``(utterance,)``, what lies behind does not count
        """
        x = self.projection(self.layers(maps))
        logits: Tensor = self.out(self.dropout(masked_mean(x, lengths)))
        return logits


@dataclass(eq=False, repr=False, kw_only=True)
class Head(FrameHead):
    """SUPERB's probe; ``layers=None`` is every hidden state."""

    otherwise: ClassVar[str] = "all"
    linear_until_mean: ClassVar[bool] = True

    max_epochs: int = 200
    clip_norm: float | None = 1.0
    dropout: float = 0.0

    def build(self, n_labels: int, facts: dict[str, Any]) -> nn.Module:
        """Return the network."""
        return Superb(n_labels, facts["n_layers"], facts["channels"], self.dropout)
