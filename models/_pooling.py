"""What comes behind the last convolution of a block: norm, pooling, ReLU.

See ``models/_block.py`` for what is kept, what is worked out again, and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor

from models._convolution import Layer
from models._spans import Utterance, flat, for_each, frames, image, spans


class Pooling:
    """Batch norm, max-pooling and ReLU behind the last layer.

    Args:
        layer: the last one, which has heard all utterances
        utterances: all of them
        pool: in both directions

    Attributes:
        out: ``(pooled frame, pooled channel, map)``
        where: each of ``out`` lies, in the frames that were pooled at a time
        convolved: what the layer's convolution gave, there
    """

    def __init__(
        self, layer: Layer, utterances: Sequence[Utterance], pool: int
    ) -> None:
        self.layer, self.pool = layer, pool
        n_frames = sum(one.n_frames // pool for one in utterances)
        shape = n_frames, layer.channels // pool, layer.convolved.shape[2]
        self.out = layer.convolved.new_empty(shape)
        self.convolved = torch.empty_like(self.out)
        self.where = torch.empty(shape, dtype=torch.int64)
        for_each(self._pool, utterances, layer.frame_bytes)

    def _pool(self, utterance: Utterance) -> None:
        layer = self.layer
        for a, b, to in self.windows(utterance):
            y = layer.convolved[a:b]
            normed = torch.addcmul(layer.offset, flat(y), layer.factor).view(y.shape)
            out, where = F.max_pool2d(image(normed), self.pool, return_indices=True)
            self.out[to], self.where[to] = frames(out).clamp_(min=0), frames(where)
            places = self.where[to].flatten(0, 1)
            best = y.flatten(0, 1).gather(0, places)
            self.convolved[to] = best.view_as(self.where[to])

    def windows(self, utterance: Utterance) -> Iterator[tuple[int, int, slice]]:
        """Yield first and end of frames that are pooled at a time, and where to."""
        end = utterance.end - utterance.n_frames % self.pool
        for a, b in spans(utterance.start, end, self.layer.frame_bytes, self.pool):
            to = utterance.pooled + (a - utterance.start) // self.pool
            yield a, b, slice(to, to + (b - a) // self.pool)


class ToPooled:
    """The gradient of what batch norm gave to a pooling; a ``Gradient``.

    Args:
        pooling: that came behind
        to_out: the gradient of what it gave
    """

    def __init__(self, pooling: Pooling, to_out: Tensor) -> None:
        self.pooling, out = pooling, pooling.out
        self.to_best = torch.ops.aten.threshold_backward(to_out.contiguous(), out, 0)
        products = self.to_best * pooling.convolved
        self.total, self.times_convolved = (
            one.sum(dim=0).double().sum(dim=0) for one in (self.to_best, products)
        )

    def spread(
        self, utterance: Utterance, slope: Tensor, level: Tensor
    ) -> Iterator[int]:
        """Do what ``Gradient.spread`` says."""
        layer, end = self.pooling.layer, utterance.start
        n = layer.convolved.shape[2]
        factor = layer.factor[:n]
        for a, end, to in self.pooling.windows(utterance):
            given = layer.convolved[a:end]
            torch.addcmul(level, flat(given), slope, out=flat(given))
            best = (self.to_best[to] * factor).flatten(0, 1)
            places = self.pooling.where[to].flatten(0, 1)
            given.flatten(0, 1).scatter_add_(0, places, best)
            yield end
        rest = flat(layer.convolved[end : utterance.end])
        torch.addcmul(level, rest, slope, out=rest)
        yield utterance.end
