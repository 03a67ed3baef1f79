"""Pepino's network beside eGeMAPS descriptors, joined frame by frame.

Source: Pepino, Riera, Ferrer, Interspeech 2021, arXiv:2104.03502. Inputs: hidden states
0 to 12, weighted as in ``pepino``, and eGeMAPS descriptors at the same 20 ms (the mean
of two of 10 ms). Each becomes 128 numbers for each frame (ReLU, dropout .2), both
together 128 more (ReLU, dropout .2); the mean over an utterance's own frames; the
labels. Recipe as of ``pepino``.

Published: 77.5 average recall on RAVDESS and 66.3 on IEMOCAP, ``normalise=global``,
under the protocol told at ``pepino`` and with its faults; on the speech alone 78.9,
where ``pepino`` has 78.5: no difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from contracts.published import Published
from models._frames import TwoFrameHead
from models._layers import WeightedLayers, dense, masked_mean
from models.pepino import FLAW, PROTOCOL, SESSIONS, SOURCE

PUBLISHED = (
    Published(SOURCE, "average recall 77.5 +/- 1.1, global norm", PROTOCOL, FLAW),
    Published(
        SOURCE,
        "average recall 66.3 +/- .7, global norm",
        SESSIONS,
    ),
)


class PepinoFusion(nn.Module):
    """Two branches on each frame, joined, masked mean, logits."""

    def __init__(
        self,
        n_labels: int,
        n_layers: int,
        channels: int,
        n_descriptors: int = 25,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.layers = WeightedLayers(n_layers, "absolute")
        self.first = dense(channels, 128)
        self.descriptors = dense(n_descriptors, 128)
        self.joint = dense(256, 128)
        self.dropout = nn.Dropout(dropout)
        self.out = dense(128, n_labels)

    def forward(self, maps: Tensor, descriptors: Tensor, lengths: Tensor) -> Tensor:
        """Return logits ``(utterance, label)``.

        Args:
            maps: ``(utterance, layer, frame, channel)``
            descriptors: ``(utterance, 1, frame, descriptor)``
            lengths: frames of each ``(utterance,)``, what lies behind does not count
        """
        heard = self.dropout(F.relu(self.first(self.layers(maps))))
        told = self.descriptors(descriptors[:, 0].to(heard.dtype))
        told = self.dropout(F.relu(told))
        joint = self.dropout(F.relu(self.joint(torch.cat([heard, told], dim=2))))
        logits: Tensor = self.out(masked_mean(joint, lengths))
        return logits


@dataclass(eq=False, repr=False, kw_only=True)
class Head(TwoFrameHead):
    """Pepino's fusion head; ``layers=None`` is every hidden state, 0 too."""

    otherwise: ClassVar[str] = "all"

    features: Sequence[str] = ("wav2vec2", "egemaps_lld_20ms")
    patience: int | None = 4
    clip_value: float | None = 1.0
    dropout: float = 0.2
    normalise: str | None = "global"

    def build(self, n_labels: int, facts: dict[str, Any]) -> nn.Module:
        """Return the network."""
        sizes = facts["n_layers"], facts["channels"], facts["n_descriptors"]
        return PepinoFusion(n_labels, *sizes, dropout=self.dropout)
