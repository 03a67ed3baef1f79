"""Attention over an encoder's frames, told by prosody where to look.

Source: what seed 004 (swathiarasu/SER) names as future work; nobody published it.
Inputs: the last layer of an encoder, or several that are weighted (``layers``), and
eGeMAPS descriptors at the same 20 ms. A frame's score is
``v . tanh(W frame + U descriptors)``; scores of padding are left out before the softmax
over time; the weighted sum of the encoder's frames, without the descriptors, goes
through LayerNorm and the classifier of ``attention``. So prosody decides how much a
frame counts, not what it says. Recipe as of ``attention``.

Descriptors are in hertz, decibels and more, so they are always normalised: over the
frames of train, or by speaker where ``normalise=speaker``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from contracts.published import Published
from models._frames import TwoFrameHead
from models._layers import Classifier, WeightedLayers, attention
from models.attention import AttentionHead

PUBLISHED: tuple[Published, ...] = ()


class ProsodicAttention(nn.Module):
    """Weighted layers, attention conditioned on descriptors, LayerNorm, classifier."""

    def __init__(
        self,
        n_labels: int,
        n_layers: int,
        channels: int,
        n_descriptors: int = 25,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.layers = WeightedLayers(n_layers)
        self.hidden = nn.Linear(channels, channels // 2)
        self.told = nn.Linear(n_descriptors, channels // 2, bias=False)
        self.score = nn.Linear(channels // 2, 1)
        self.norm = nn.LayerNorm(channels)
        self.classifier = Classifier(channels, n_labels, dropout)

    def forward(self, maps: Tensor, descriptors: Tensor, lengths: Tensor) -> Tensor:
        """Return logits ``(utterance, label)``.

        Args:
            maps: ``(utterance, layer, frame, channel)``
            descriptors: ``(utterance, 1, frame, descriptor)``
            lengths: frames of each ``(utterance,)``, what lies behind does not count
        """
        x = self.layers(maps)
        seen = torch.tanh(self.hidden(x) + self.told(descriptors[:, 0].to(x.dtype)))
        weights = attention(self.score(seen), lengths)
        logits: Tensor = self.classifier(self.norm((weights * x).sum(dim=1)))
        return logits


@dataclass(eq=False, repr=False, kw_only=True)
class Head(AttentionHead, TwoFrameHead):
    """Attention told by descriptors; ``layers=None`` is the last hidden state."""

    features: Sequence[str] = ("wav2vec2", "egemaps_lld_20ms")

    def build(self, n_labels: int, facts: dict[str, Any]) -> nn.Module:
        """Return the network."""
        sizes = facts["n_layers"], facts["channels"], facts["n_descriptors"]
        return ProsodicAttention(n_labels, *sizes, dropout=self.dropout)
