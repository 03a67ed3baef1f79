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
  gave.

Sums are made for each utterance and added in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from models._spans import (
    Utterance,
    flat,
    for_each,
    frames,
    image,
    spans,
    utterances_of,
)

ROWS = 3072  # places whose products are added up at a time


def learning_block(
    x: Tensor,
    lengths: Sequence[int],
    pairs: Sequence[tuple[nn.Conv2d, nn.BatchNorm2d]],
    pool: int,
) -> Tensor:
    """Return what a block makes of maps in training; batch norm keeps what it saw.

    Args:
        x: ``(frame, channel, map)`` of utterances that lie one after the other
        lengths: frames of each; beyond them a convolution sees zeros
        pairs: convolutions of 3 x 3 with a bias, and their batch norms
        pool: of the max-pooling at the end, in both directions; frames and channels
            that fill no window of their utterance are left out

    Returns:
        ``(pooled frame, pooled channel, map)``
    """
    parts = [p for pair in pairs for one in pair for p in (one.weight, one.bias)]
    out, *seen = _Block.apply(x, lengths, pool, [norm.eps for _, norm in pairs], *parts)
    count = x.shape[0] * x.shape[1]
    for (_, norm), mean, var in zip(pairs, seen[::2], seen[1::2], strict=True):
        kept = dict(norm.named_buffers())
        kept["running_mean"].lerp_(mean, norm.momentum or 0.0)
        kept["running_var"].lerp_(var * count / (count - 1), norm.momentum or 0.0)
        kept["num_batches_tracked"].add_(1)
    found: Tensor = out
    return found


class _Layer:
    """A convolution and its batch norm, for one batch.

    Args:
        weight: of the convolution ``(map out, map in, 3, 3)``
        gamma, beta: of batch norm ``(map out,)``
        values: ``(frame, channel, map in)`` that it hears
        before: the layer that gave these, whose batch norm and ReLU come in between;
            None: they are heard as they are

    Attributes:
        given: what the convolution gave ``(frame, channel, map out)``, less ``shift``
        shift: near its mean ``(map out,)``
        mean, var: of ``given`` ``(map out,)``
        deviation: 1 / square root of variance and a little ``(map out,)``
        factor, offset: ``given * factor + offset`` is normed; ``(channel * map out,)``
    """

    def __init__(
        self,
        weight: Tensor,
        gamma: Tensor,
        beta: Tensor,
        values: Tensor,
        before: _Layer | None,
    ) -> None:
        self.weight, self.gamma, self.beta = weight, gamma, beta
        self.values, self.before = values, before
        self.channels = values.shape[1]
        self.given = values.new_empty(*values.shape[:2], len(weight))
        self.each = self.channels * max(weight.shape[:2]) * values.element_size()

    def hear(self, utterances: Sequence[Utterance], eps: float) -> None:
        """Convolve all utterances, and learn mean and variance."""
        start = utterances[0].start
        first = self._edged(utterances[0], start, start + 1, 1)
        self.shift = F.conv2d(image(first), self.weight).mean(dim=(0, 2, 3))

        def one(utterance: Utterance) -> Tensor:
            sums = self.values.new_zeros(2, self.channels * len(self.weight))
            for a, b in spans(utterance.start, utterance.end, self.each):
                heard = image(self._edged(utterance, a, b, 1))
                y = frames(F.conv2d(heard, self.weight, -self.shift))
                self.given[a:b] = y
                sums[0] += flat(y).sum(dim=0)
                sums[1] += flat(y).square_().sum(dim=0)
            return self._of_maps(sums)

        sums = torch.stack(for_each(one, utterances, self.each)).sum(dim=0)
        mean, squares = sums / self.n_places
        self.mean = mean.to(self.given.dtype)
        self.var = (squares - mean**2).clamp_(min=0).to(self.given.dtype)
        self.deviation = (self.var + eps).rsqrt()
        factor = self.gamma * self.deviation
        self.factor = self._wide(factor)
        self.offset = self._wide(self.beta - self.mean * factor)

    @property
    def n_places(self) -> int:
        """How many places of a map batch norm looks at."""
        return len(self.values) * self.channels

    def back(
        self, gradient: _Pooled | _Dense, utterances: Sequence[Utterance], wanted: bool
    ) -> tuple[list[Tensor], Tensor | None, Tensor]:
        """Go back: what this layer gave is gone afterwards.

        Args:
            gradient: with respect to what batch norm gave
            utterances: all of them
            wanted: whether that of what the layer hears is

        Returns:
            gradients of weight, bias, gamma and beta; that of ``values``, cut where
            ReLU cut them; its sums, as ``_Dense`` takes them
        """
        to_beta = gradient.total
        to_gamma = self.deviation * (gradient.with_given - self.mean * to_beta)
        scaled = self.gamma * self.deviation / self.n_places
        slope = -scaled * self.deviation * to_gamma
        spread = self._wide(slope), self._wide(-scaled * to_beta - slope * self.mean)
        n_out, n_in = self.weight.shape[:2]
        turned = self.weight.flip(2, 3).transpose(0, 1).contiguous()
        to_values = torch.empty_like(self.values) if wanted else None

        def one(utterance: Utterance) -> tuple[Tensor, Tensor]:
            to_weight = self.values.new_zeros(3, n_out, 3 * n_in)
            sums = self.values.new_zeros(2, self.channels * n_in)
            spreading, at = gradient.spread(utterance, *spread), utterance.start
            for a, b in spans(utterance.start, utterance.end, self.each):
                while at < min(b + 1, utterance.end):
                    at = next(spreading)
                heard = self._edged(utterance, a, b, 0)
                back = self._around(utterance, a, b)
                _multiply(back, heard, to_weight)
                if to_values is not None:
                    to = F.conv2d(image(back), turned, padding=(0, 1))
                    self._cut(frames(to), heard, to_values[a:b])
                    cut, values = flat(to_values[a:b]), flat(self.values[a:b])
                    sums[0] += cut.sum(dim=0)
                    sums[1] += (cut * values).sum(dim=0)
            return to_weight, self._of_maps(sums)

        weights, sums = zip(*for_each(one, utterances, self.each), strict=True)
        to_weight = torch.stack(weights).sum(dim=0).flip(0).view(3, n_out, 3, n_in)
        found = [to_weight.permute(1, 3, 0, 2), torch.zeros_like(self.mean)]
        found += [to.to(self.values.dtype) for to in (to_gamma, to_beta)]
        return found, to_values, torch.stack(sums).sum(dim=0)

    def _edged(self, utterance: Utterance, a: int, b: int, around: int) -> Tensor:
        """Return what the convolution hears of some frames, with zeros around them.

        Args:
            utterance: of the frames
            a: the first
            b: their end
            around: frames before and behind; zeros where the utterance has none

        Returns:
            ``(frame, channel + 2, map in)``, contiguous
        """
        shape = b - a + 2 * around, self.channels + 2, self.values.shape[2]
        out = self.values.new_empty(shape)
        out[:, 0] = out[:, -1] = 0
        first, last = max(utterance.start, a - around), min(utterance.end, b + around)
        at, end = first - a + around, last - a + around
        out[:at] = out[end:] = 0
        inner, values = flat(out[at:end, 1:-1]), flat(self.values[first:last])
        if self.before is None:
            inner.copy_(values)
        else:
            torch.addcmul(self.before.offset, values, self.before.factor, out=inner)
            inner.clamp_(min=0)
        return out

    def _around(self, utterance: Utterance, a: int, b: int) -> Tensor:
        """Return some frames of what was given, with one before and one behind.

        Where the utterance has none they are zero.
        """
        first, last = max(utterance.start, a - 1), min(utterance.end, b + 1)
        given = self.given[first:last]
        if first == a or last == b:
            return F.pad(given, (0, 0, 0, 0, int(first == a), int(last == b)))
        return given

    def _cut(self, back: Tensor, heard: Tensor, to: Tensor) -> None:
        """Leave what was above zero, where ReLU came in between."""
        if self.before is None:
            to.copy_(back)
        else:
            cut = torch.ops.aten.threshold_backward.grad_input
            cut(back, heard[:, 1:-1], 0, grad_input=to)

    def _wide(self, of_maps: Tensor) -> Tensor:
        """Repeat ``(map,)`` for each channel."""
        return of_maps.to(self.values.dtype).repeat(self.channels)

    def _of_maps(self, sums: Tensor) -> Tensor:
        """Add up ``(sum, channel * map)`` over channels, with more digits."""
        return sums.view(len(sums), self.channels, -1).double().sum(dim=1)


class _Pooling:
    """Batch norm, max-pooling and ReLU behind the last layer.

    Args:
        layer: the last one, which has heard all utterances
        utterances: all of them
        pool: in both directions

    Attributes:
        out: ``(pooled frame, pooled channel, map)``
        where: each of ``out`` lies, in the frames that were pooled at a time
        given: of the layer, there
    """

    def __init__(
        self, layer: _Layer, utterances: Sequence[Utterance], pool: int
    ) -> None:
        self.layer, self.pool = layer, pool
        n_frames = sum(one.n_frames // pool for one in utterances)
        shape = n_frames, layer.channels // pool, layer.given.shape[2]
        self.out, self.given = layer.given.new_empty(2, *shape)
        self.where = torch.empty(shape, dtype=torch.int64)
        for_each(self._pool, utterances, layer.each)

    def _pool(self, utterance: Utterance) -> None:
        layer = self.layer
        for a, b, to in self.windows(utterance):
            y = layer.given[a:b]
            normed = torch.addcmul(layer.offset, flat(y), layer.factor).view(y.shape)
            out, where = F.max_pool2d(image(normed), self.pool, return_indices=True)
            self.out[to], self.where[to] = frames(out).clamp_(min=0), frames(where)
            places = self.where[to].flatten(0, 1)
            self.given[to] = y.flatten(0, 1).gather(0, places).view(self.out[to].shape)

    def windows(self, utterance: Utterance) -> Iterator[tuple[int, int, slice]]:
        """Yield first and end of frames that are pooled at a time, and where to."""
        end = utterance.end - utterance.n_frames % self.pool
        for a, b in spans(utterance.start, end, self.layer.each, self.pool):
            to = utterance.pooled + (a - utterance.start) // self.pool
            yield a, b, slice(to, to + (b - a) // self.pool)


class _Pooled:
    """The gradient of what batch norm gave, before a pooling.

    Args:
        pooling: that came behind
        to_out: the gradient of what it gave

    Attributes:
        total, with_given: sums ``(map,)`` of the gradient, and of its products with
            what the layer gave
    """

    def __init__(self, pooling: _Pooling, to_out: Tensor) -> None:
        self.pooling, out = pooling, pooling.out
        self.to_best = torch.ops.aten.threshold_backward(to_out.contiguous(), out, 0)
        products = self.to_best * pooling.given
        self.total, self.with_given = (
            one.sum(dim=0).double().sum(dim=0) for one in (self.to_best, products)
        )

    def spread(
        self, utterance: Utterance, slope: Tensor, level: Tensor
    ) -> Iterator[int]:
        """Put gradients in the place of what the layer gave, some frames at a time.

        Args:
            utterance: whose frames
            slope: what batch norm adds through mean and variance is
                ``given * slope + level``; ``(channel * map,)``
            level: likewise

        Yields:
            the end of what is done
        """
        layer, end = self.pooling.layer, utterance.start
        n = layer.given.shape[2]
        factor = layer.factor[:n]
        for a, end, to in self.pooling.windows(utterance):
            given = layer.given[a:end]
            torch.addcmul(level, flat(given), slope, out=flat(given))
            best = (self.to_best[to] * factor).flatten(0, 1)
            places = self.pooling.where[to].flatten(0, 1)
            given.flatten(0, 1).scatter_add_(0, places, best)
            yield end
        rest = flat(layer.given[end : utterance.end])
        torch.addcmul(level, rest, slope, out=rest)
        yield utterance.end


class _Dense:
    """The gradient of what batch norm gave, before a convolution.

    Args:
        layer: whose batch norm
        values: ``(frame, channel, map)``
        sums: total and with_given, as of ``_Pooled``
    """

    def __init__(self, layer: _Layer, values: Tensor, sums: Tensor) -> None:
        self.layer, self.values = layer, values
        self.total, self.with_given = sums

    def spread(
        self, utterance: Utterance, slope: Tensor, level: Tensor
    ) -> Iterator[int]:
        """Do what ``_Pooled.spread`` does."""
        layer = self.layer
        for a, b in spans(utterance.start, utterance.end, layer.each):
            given = flat(layer.given[a:b])
            torch.addcmul(level, given, slope, out=given)
            given.addcmul_(flat(self.values[a:b]), layer.factor)
            yield b


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
        utterances, layers = utterances_of(lengths, pool), list[_Layer]()
        values, seen = x.detach().contiguous(), list[Tensor]()
        for i, little in enumerate(eps):
            # threads do not know that nothing is recorded here
            weight, bias, gamma, beta = (p.detach() for p in parts[4 * i : 4 * i + 4])
            before = layers[-1] if layers else None
            layers.append(layer := _Layer(weight, gamma, beta, values, before))
            layer.hear(utterances, little)
            values = layer.given
            seen += [layer.mean + layer.shift + bias, layer.var]
        ctx.layers, ctx.utterances = layers, utterances
        ctx.pooling = _Pooling(layers[-1], utterances, pool)
        ctx.mark_non_differentiable(*seen)
        return ctx.pooling.out, *seen

    @staticmethod
    def backward(ctx: Any, to_out: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        if ctx.layers is None:
            msg = "a block goes back once: what it kept is gone. Go forward again"
            raise RuntimeError(msg)
        layers, ctx.layers = ctx.layers, None
        gradient: _Pooled | _Dense = _Pooled(ctx.pooling, to_out)
        ctx.pooling, found = None, list[Tensor]()
        while True:
            layer = layers.pop()
            wanted = bool(layers) or ctx.needs_input_grad[0]
            own, to_values, sums = layer.back(gradient, ctx.utterances, wanted)
            found = own + found
            if layer.before is None or to_values is None:
                return to_values, None, None, None, *found
            gradient = _Dense(layer.before, to_values, sums)


def _multiply(back: Tensor, heard: Tensor, into: Tensor) -> None:
    """Add the gradient of a 3 x 3 weight.

    Each place is laid out with its neighbours on both sides, a few frames at a time,
    and multiplied with what comes back from the frame before, its own and the next:
    for so few maps that is up to twice as quick as the library's own on AVX2.

    Args:
        back: ``(frame + 2, channel, map out)``
        heard: ``(frame, channel + 2, map in)``
        into: ``(3, map out, 3 * map in)``, from the frame before to the next
    """
    (_, channels, n_out), n_in = back.shape, heard.shape[2]
    n = max(1, ROWS // channels)
    for at in range(0, len(heard), n):
        some = heard[at : at + n]
        wide, strides = (len(some), channels, 3 * n_in), (*some.stride()[:2], 1)
        beside = some.as_strided(wide, strides).flatten(0, 1)
        shape, strides = (3, len(beside), n_out), (channels * n_out, n_out, 1)
        three = back[at:].as_strided(shape, strides)
        if torch.get_num_threads() == 1:
            into.baddbmm_(three.transpose(1, 2), beside.expand(3, -1, -1))
            continue
        for product, own in zip(into, three, strict=True):  # 3 do not halve: each does
            product.addmm_(own.t(), beside)
