"""One convolution with its batch norm, for one batch: there and back, frame by frame.

See ``models/_block.py`` for what is kept, what is worked out again, and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor

from models._spans import Utterance, flat, for_each, frames, image, spans

ROWS = 3072  # places whose products are added up at a time


class Gradient(Protocol):
    """The gradient of what batch norm gave.

    Attributes:
        total: its sum ``(map,)``
        times_convolved: the sum of its products with what was convolved ``(map,)``
    """

    total: Tensor
    times_convolved: Tensor

    def spread(
        self, utterance: Utterance, slope: Tensor, level: Tensor
    ) -> Iterator[int]:
        """Put gradients in the place of what was convolved, some frames at a time.

        Args:
            utterance: whose frames
            slope: through mean and variance, batch norm adds
                ``convolved * slope + level`` to a gradient; ``(channel * map,)``
            level: see there

        Yields:
            the end of what is done
        """


class Layer:
    """A convolution and its batch norm, for one batch.

    Args:
        weight: of the convolution ``(map out, map in, 3, 3)``
        gamma, beta: of batch norm ``(map out,)``
        values: ``(frame, channel, map in)`` that it hears
        before: the layer that gave these, whose batch norm and ReLU come in between;
            None: they are heard as they are

    Attributes:
        convolved: what the convolution gave ``(frame, channel, map out)``, less
            ``shift``
        channels: of each map
        frame_bytes: of all maps that go in, or come out, if that is more
        shift: near its mean ``(map out,)``
        mean, var: of ``convolved`` ``(map out,)``
        deviation: 1 / square root of variance and a little ``(map out,)``
        factor, offset: ``convolved * factor + offset`` is what batch norm gives;
            ``(channel * map out,)``
    """

    def __init__(
        self,
        weight: Tensor,
        gamma: Tensor,
        beta: Tensor,
        values: Tensor,
        before: Layer | None,
    ) -> None:
        self.weight, self.gamma, self.beta = weight, gamma, beta
        self.values, self.before = values, before
        self.channels = values.shape[1]
        self.convolved = values.new_empty(*values.shape[:2], len(weight))
        self.frame_bytes = self.channels * max(weight.shape[:2]) * values.element_size()

    def hear(self, utterances: Sequence[Utterance], eps: float) -> None:
        """Convolve all utterances, and learn mean and variance."""
        longest = max(utterances, key=lambda one: one.n_frames)
        middle = (longest.start + longest.end) // 2
        some = self._edged(longest, middle, middle + 1, 1)
        weight = self.weight.contiguous(memory_format=torch.channels_last)
        self.shift = F.conv2d(image(some), weight).mean(dim=(0, 2, 3))

        def one(utterance: Utterance) -> Tensor:
            sums = self.values.new_zeros(2, self.channels * len(self.weight))
            for a, b in spans(utterance.start, utterance.end, self.frame_bytes):
                heard = image(self._edged(utterance, a, b, 1))
                y = frames(F.conv2d(heard, weight, -self.shift))
                self.convolved[a:b] = y
                sums[0] += flat(y).sum(dim=0)
                sums[1] += flat(y).square_().sum(dim=0)
            return self._of_maps(sums)

        sums = torch.stack(for_each(one, utterances, self.frame_bytes)).sum(dim=0)
        mean, squares = sums / self.n_places
        self.mean = mean.to(self.convolved.dtype)
        self.var = (squares - mean**2).clamp_(min=0).to(self.convolved.dtype)
        self.deviation = (self.var + eps).rsqrt()
        factor = self.gamma * self.deviation
        self.factor = self._wide(factor)
        self.offset = self._wide(self.beta - self.mean * factor)

    @property
    def n_places(self) -> int:
        """How many places of a map batch norm looks at."""
        return len(self.values) * self.channels

    def back(
        self, gradient: Gradient, utterances: Sequence[Utterance], wanted: bool
    ) -> tuple[list[Tensor], Tensor | None, Tensor]:
        """Go back: what this layer gave is gone afterwards.

        Args:
            gradient: with respect to what batch norm gave
            utterances: all of them
            wanted: whether the gradient of ``values`` is needed

        Returns:
            gradients of weight, bias, gamma and beta; that of ``values``, cut where
            ReLU cut them; its sums, as ``ToConvolved`` takes them
        """
        to_beta = gradient.total
        to_gamma = self.deviation * (gradient.times_convolved - self.mean * to_beta)
        scaled = self.gamma * self.deviation / self.n_places
        slope = -scaled * self.deviation * to_gamma
        spread = self._wide(slope), self._wide(-scaled * to_beta - slope * self.mean)
        n_out, n_in = self.weight.shape[:2]
        turned = self.weight.flip(2, 3).transpose(0, 1)
        turned = turned.contiguous(memory_format=torch.channels_last)
        to_values = torch.empty_like(self.values) if wanted else None

        def one(utterance: Utterance) -> tuple[Tensor, Tensor]:
            to_weight = self.values.new_zeros(3, n_out, 3 * n_in)
            sums = self.values.new_zeros(2, self.channels * n_in)
            spreading, at = gradient.spread(utterance, *spread), utterance.start
            for a, b in spans(utterance.start, utterance.end, self.frame_bytes):
                while at < min(b + 1, utterance.end):
                    at = next(spreading)
                heard = self._edged(utterance, a, b, 0)
                back = self._around(utterance, a, b)
                _multiply(back, heard, to_weight)
                if to_values is not None:
                    to = frames(F.conv2d(image(back), turned, padding=(0, 1)))
                    sums += self._cut(to, heard, self.values[a:b], to_values[a:b])
            return to_weight, self._of_maps(sums)

        weights, sums = zip(*for_each(one, utterances, self.frame_bytes), strict=True)
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
        given = self.convolved[first:last]
        if first == a or last == b:
            return F.pad(given, (0, 0, 0, 0, int(first == a), int(last == b)))
        return given

    def _cut(self, back: Tensor, heard: Tensor, values: Tensor, to: Tensor) -> Tensor:
        """Leave what was above zero, where ReLU came in between; add it up.

        Args:
            back: what some frames get
            heard: of them, zeros beside them
            values: that ReLU, if any, was given
            to: where it goes

        Returns:
            sums of it, and of its products with ``values`` ``(2, channel * map in)``
        """
        if self.before is None:
            to.copy_(back)
            return to.new_zeros(2, 1)
        cut = torch.ops.aten.threshold_backward.grad_input
        cut(back, heard[:, 1:-1], 0, grad_input=to)
        return torch.stack([flat(one).sum(dim=0) for one in (to, to * values)])

    def _wide(self, of_maps: Tensor) -> Tensor:
        """Repeat ``(map,)`` for each channel."""
        return of_maps.to(self.values.dtype).repeat(self.channels)

    def _of_maps(self, sums: Tensor) -> Tensor:
        """Add up ``(sum, channel * map)`` over channels, with more digits."""
        return sums.view(len(sums), self.channels, -1).double().sum(dim=1)


class ToConvolved:
    """The gradient of what batch norm gave to the next convolution; a ``Gradient``.

    Args:
        layer: whose batch norm
        values: ``(frame, channel, map)``
        sums: total and times_convolved
    """

    def __init__(self, layer: Layer, values: Tensor, sums: Tensor) -> None:
        self.layer, self.values = layer, values
        self.total, self.times_convolved = sums

    def spread(
        self, utterance: Utterance, slope: Tensor, level: Tensor
    ) -> Iterator[int]:
        """Do what ``Gradient.spread`` says."""
        layer = self.layer
        for a, b in spans(utterance.start, utterance.end, layer.frame_bytes):
            given = flat(layer.convolved[a:b])
            torch.addcmul(level, given, slope, out=given)
            given.addcmul_(flat(self.values[a:b]), layer.factor)
            yield b


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
        # MKL shares out a product among threads, but not a batch of three
        for product, own in zip(into, three, strict=True):
            product.addmm_(own.t(), beside)
