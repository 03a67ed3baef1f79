"""Parts that networks over frames share: padding never counts in any of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn


class WeightedLayers(nn.Module):
    """One learnt weight for each layer, the same for all frames and channels.

    Args:
        n_layers: how many there are
        how: ``softmax`` (SUPERB), or ``absolute``: ``|a| / sum |a|`` (Pepino et al.)
    """

    def __init__(self, n_layers: int, how: str = "softmax") -> None:
        super().__init__()
        first = torch.ones if how == "absolute" else torch.zeros
        # a single layer has nothing to learn
        self.scalars = nn.Parameter(first(n_layers), requires_grad=n_layers > 1)
        self.how = how

    def weights(self) -> Tensor:
        """Return the weights ``(layer,)``, which sum to 1."""
        if self.how == "softmax":
            return self.scalars.softmax(dim=0)
        size = self.scalars.abs()
        return size / size.sum()

    def forward(self, maps: Tensor) -> Tensor:
        """Turn ``(utterance, layer, frame, channel)`` into ``(utterance, frame, ...)``.

        Maps in half precision become what the weights are.
        """
        if maps.shape[1] == 1:
            return maps[:, 0].to(self.scalars.dtype)
        lines = maps.to(self.scalars.dtype).flatten(2)  # (utterance, layer, the rest)
        mixed: Tensor = torch.matmul(self.weights(), lines)
        return mixed.unflatten(1, maps.shape[2:])


def valid(lengths: Tensor, n_frames: int) -> Tensor:
    """Return ``(utterance, frame)``: True for an utterance's own frames."""
    return torch.arange(n_frames, device=lengths.device) < lengths[:, None]


def masked_mean(x: Tensor, lengths: Tensor) -> Tensor:
    """Average ``(utterance, frame, channel)`` over each utterance's own frames."""
    kept = x.masked_fill(~valid(lengths, x.shape[1])[:, :, None], 0.0)
    return kept.sum(dim=1) / lengths[:, None].to(x.dtype)


def attention(scores: Tensor, lengths: Tensor) -> Tensor:
    """Turn scores into weights over each utterance's own frames.

    Args:
        scores: ``(utterance, frame, head)``
        lengths: frames of each ``(utterance,)``

    Returns:
        ``(utterance, frame, head)``, sums to 1 over frames; padding has exactly 0
    """
    outside = ~valid(lengths, scores.shape[1])[:, :, None]
    return scores.masked_fill(outside, -torch.inf).softmax(dim=1)


def dense(n_inputs: int, n_outputs: int, bias: bool = True) -> nn.Linear:
    """Return a linear map whose first weights are those of Keras' ``Dense``.

    Uniform within ``sqrt(6 / (n_inputs + n_outputs))`` (Glorot and Bengio 2010,
    Understanding the difficulty of training deep feedforward neural networks), biases
    of 0: torch's own are half as large. For networks that were made in Keras.
    """
    made = nn.Linear(n_inputs, n_outputs, bias)
    nn.init.xavier_uniform_(made.weight)
    if bias:
        nn.init.zeros_(made.bias)
    return made


class Classifier(nn.Module):
    """Linear, LayerNorm, dropout, GELU, linear: what ends seed 002's networks."""

    def __init__(self, n_inputs: int, n_labels: int, dropout: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(n_inputs, 256)
        self.norm = nn.LayerNorm(256)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(256, n_labels)

    def forward(self, x: Tensor) -> Tensor:
        """Turn ``(utterance, channel)`` into logits ``(utterance, label)``."""
        logits: Tensor = self.out(F.gelu(self.dropout(self.norm(self.hidden(x)))))
        return logits
