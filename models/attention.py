"""Attention over frames: one learnt weight for each frame, weighted sum, classifier.

Source: seed 002 (WidjanarkoJoshua/Emotional-Audio-Classification). Input: the last
layer of an encoder, or several that are weighted (``layers``). Each frame's score is
a linear map to half the channels, tanh, a linear map to one number; scores of padding
are left out before the softmax over time; the weighted sum goes through LayerNorm and
a classifier of 256 (LayerNorm, dropout .2, GELU). AdamW, 5e-4, torch's own decay of
.01, 16 utterances a batch, 10 epochs, the first tenth of which warms up, then down in a
line (the line is not in the source); the epoch with the smallest loss on dev is kept,
where the source keeps that with the best macro F1. There is no bias that belongs to a
position, and no mean after the sum. Labels are learnt unless ``targets=soft`` asks for
votes, as the source has them.

Published on IEMOCAP with wav2vec2-large, six classes made of nine columns of votes,
as divergence from those votes (``targets=soft``): top-1 .676, macro F1 .424, on a
random tenth (1004 utterances): the same speakers and dialogues were on both sides, the
epoch was chosen on that very tenth, nothing was seeded, and all but the lowest eight
layers of the encoder were trained too, so a frozen cache need not reach it.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from contracts.published import Published
from models._frames import FrameHead
from models._layers import Classifier, WeightedLayers, attention

SOURCE = "seed 002, WidjanarkoJoshua/Emotional-Audio-Classification"
PROTOCOL = "IEMOCAP, 6 classes from votes; random tenth of the utterances (1004)"
FLAW = (
    "same speakers on both sides, epoch chosen on the reported tenth, no seed; most of "
    "the encoder (wav2vec2-large) was trained too"
)
PUBLISHED = (Published(SOURCE, "top-1 .676, macro F1 .424", PROTOCOL, FLAW),)
WARM = 0.1  # of the epochs


class Attention(nn.Module):
    """Weighted layers, attention of one head, LayerNorm, classifier."""

    def __init__(
        self, n_labels: int, n_layers: int, channels: int, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.layers = WeightedLayers(n_layers)
        self.hidden = nn.Linear(channels, channels // 2)
        self.score = nn.Linear(channels // 2, 1)
        self.norm = nn.LayerNorm(channels)
        self.classifier = Classifier(channels, n_labels, dropout)

    def forward(self, maps: Tensor, lengths: Tensor) -> Tensor:
        """Return logits ``(utterance, label)``.

        Args:
            maps: ``(utterance, layer, frame, channel)``
            lengths: frames of each ``(utterance,)``, what lies behind does not count
        """
        x = self.layers(maps)
        weights = attention(self.score(torch.tanh(self.hidden(x))), lengths)
        logits: Tensor = self.classifier(self.norm((weights * x).sum(dim=1)))
        return logits


@dataclass(eq=False, repr=False, kw_only=True)
class AttentionHead(FrameHead):
    """What the heads of seed 002 over frames share: layers and recipe."""

    otherwise: ClassVar[str] = "last"

    lr: float = 5e-4
    weight_decay: float = 0.01
    batch_size: int = 16
    max_epochs: int = 10
    dropout: float = 0.2

    def rate(self, done: float) -> float:
        """Return the share of ``lr``: up over the first tenth, then down in a line."""
        share = done / self.max_epochs
        up = (share + 1e-3) / WARM  # the first step moves a little
        return min(1.0, up, (1 - share) / (1 - WARM))


@dataclass(eq=False, repr=False, kw_only=True)
class Head(AttentionHead):
    """Attention of one head; ``layers=None`` is the last hidden state."""

    def build(self, n_labels: int, facts: dict[str, Any]) -> nn.Module:
        """Return the network."""
        return Attention(n_labels, facts["n_layers"], facts["channels"], self.dropout)
