"""A block of convolutions that learns on a CPU: a few frames at a time, there and back.

Convolution, batch norm and ReLU, again and again, then pooling. Twenty-four maps of a
recording take 20 MB, a batch of them half a gigabyte, and a processor multiplies faster
than it is fed: each result crosses memory as seldom as can be.

- What is kept of a layer is what its convolution gave. Batch norm and ReLU are worked
  out where they are needed, there and back, on a few frames while these are in the
  processor's own memory.
- ReLU comes behind the pooling, where a ninth is left: the largest of what is above
  zero is what is above zero of the largest.
- Batch norm takes the bias of its convolution off again. Here the bias is left out, but
  for the running mean, and its gradient is zero. What comes near the mean is taken off
  in its place, so that squares add up to a variance without loss.
- On the way back, the gradient of what a convolution gave takes the place of what it
  gave: a block goes back once.

Sums are made for each utterance and added in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from models._convolution import Gradient, Layer, ToConvolved
from models._pooling import Pooling, ToPooled
from models._spans import utterances_of


def learning_block(
    x: Tensor,
    lengths: Sequence[int],
    pairs: Sequence[tuple[nn.Conv2d, nn.BatchNorm2d]],
    pool: int,
) -> Tensor:
    """Return what a block makes of maps in training; batch norm keeps what it saw.

    Args:
        x: ``(frame, channel, map)`` of utterances that lie one after the other
        lengths: frames of each, 1 or more; beyond them a convolution sees zeros
        pairs: convolutions of 3 x 3 with a bias; their batch norms, with weights,
            running statistics and a momentum
        pool: of the max-pooling at the end, in both directions; frames and channels
            that fill no window of their utterance are left out

    Returns:
        ``(pooled frame, pooled channel, map)``
    """
    parts = [p for pair in pairs for one in pair for p in (one.weight, one.bias)]
    out, *seen = _Block.apply(x, lengths, pool, [norm.eps for _, norm in pairs], *parts)
    count = x.shape[0] * x.shape[1]
    for (_, norm), mean, var in zip(pairs, seen[::2], seen[1::2], strict=True):
        kept, momentum = dict(norm.named_buffers()), cast("float", norm.momentum)
        kept["running_mean"].lerp_(mean, momentum)
        kept["running_var"].lerp_(var * count / (count - 1), momentum)
        kept["num_batches_tracked"].add_(1)
    found: Tensor = out
    return found


class _Block(torch.autograd.Function):
    """Some layers, pooled: their means and variances come out, too."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        lengths: Sequence[int],
        pool: int,
        eps: Sequence[float],
        *parts: Tensor,
    ) -> tuple[Tensor, ...]:
        utterances, layers = utterances_of(lengths, pool), list[Layer]()
        values, seen = x.detach().contiguous(), list[Tensor]()
        for i in range(len(eps)):
            # whether anything is recorded is known to each thread for itself
            weight, bias, gamma, beta = (p.detach() for p in parts[4 * i : 4 * i + 4])
            before = layers[-1] if layers else None
            layers.append(layer := Layer(weight, gamma, beta, values, before))
            layer.hear(utterances, eps[i])
            values = layer.convolved
            seen += [layer.mean + layer.shift + bias, layer.var]
        ctx.save_for_backward(x, *parts)  # torch tells if these are changed
        ctx.layers, ctx.utterances = layers, utterances
        ctx.pooling = Pooling(layers[-1], utterances, pool)
        ctx.mark_non_differentiable(*seen)
        # what is returned refers to ctx: ctx must not refer to it
        return ctx.pooling.out.detach(), *seen

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, to_out: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        ctx.saved_tensors  # noqa: B018 - raises where one was changed since
        layers, pooling, ctx.layers, ctx.pooling = ctx.layers, ctx.pooling, None, None
        if layers is None:
            msg = "a block goes back once: what it kept is gone. Go forward again"
            raise RuntimeError(msg)
        gradient: Gradient = ToPooled(pooling, to_out)
        found = list[Tensor]()
        while True:
            layer = layers.pop()
            wanted = bool(layers) or ctx.needs_input_grad[0]
            own, to_values, sums = layer.back(gradient, ctx.utterances, wanted)
            found = own + found
            if layer.before is None or to_values is None:
                return to_values, None, None, None, *found
            gradient = ToConvolved(layer.before, to_values, sums)
