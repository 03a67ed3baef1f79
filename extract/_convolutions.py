"""Convolutions over ``(frame, channel)``, as matrix products and by FFT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch

_GELU = ("GELUActivation", "GELU")

Position = Callable[[torch.Tensor, Sequence[int]], torch.Tensor]


def in_place(activation: Any) -> Callable[[Any], Any]:
    """Return an activation that overwrites what it is given, where there is one."""
    if type(activation).__name__ in _GELU:
        exact = getattr(activation, "approximate", "none") == "none"
        if exact:
            return torch.ops.aten.gelu_.default
    return activation


class Convolution:
    """One convolution over ``(frame, channel)``, with its norm and activation."""

    def __init__(self, layer: Any) -> None:
        weight = layer.conv.weight  # (out, in, tap)
        self.kernel, self.stride = weight.shape[2], layer.conv.stride[0]
        # (tap, in) x out, as the taps of one window lie behind each other
        self.weight = weight.permute(2, 1, 0).reshape(-1, weight.shape[0]).contiguous()
        before, *_, behind = self.weight.double().chunk(self.kernel)
        self.outer_sum = ((before + behind) / 2).float()
        self.outer_difference = ((before - behind) / 2).float()
        self.bias = layer.conv.bias
        self.norm = getattr(layer, "layer_norm", None)
        self.is_group = isinstance(self.norm, torch.nn.GroupNorm)
        self.activation = in_place(layer.activation)

    def __call__(
        self,
        rows: torch.Tensor,
        weight: torch.Tensor | None = None,
        bias: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return ``(frame, channel)``; folded weights stand in for its own."""
        n = (len(rows) - self.kernel) // self.stride + 1
        if weight is None and (self.kernel, self.stride) == (3, 2) and n > 2:
            out = self._by_threes(rows, n)
        else:
            weight = self.weight if weight is None else weight
            out = self._plainly(rows, n, weight, self.bias if bias is None else bias)
        if self.norm is not None and not self.is_group:
            out = self.norm(out)
        return self.activation(out)

    def _plainly(
        self,
        rows: torch.Tensor,
        n: int,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
    ) -> torch.Tensor:
        width = rows.shape[1]
        out = None
        # a product may not read overlapping rows: so many taps at once as a stride
        step = self.stride * width
        for tap in range(0, self.kernel, self.stride):
            taps = min(self.stride, self.kernel - tap) * width
            view = rows.as_strided(
                (n, taps), (step, 1), rows.storage_offset() + tap * width
            )
            part = weight[tap * width : tap * width + taps]
            if out is not None:
                out.addmm_(view, part)
            elif bias is not None:
                out = torch.addmm(bias, view, part)
            else:
                out = torch.mm(view, part)
        return out  # type: ignore[return-value]

    def _by_threes(self, rows: torch.Tensor, n: int) -> torch.Tensor:
        """Convolve three taps at stride two, with seven products where nine are usual.

        Three neighbours share the two taps between them. With those taps d0 to d3 and
        the outer weights a and c, d0 a + d1 c and d1 a + d2 c and d2 a + d3 c follow
        from the four products of d0 - d2, d1 + d2, d2 - d1 and d3 - d1.
        Source: Winograd, Arithmetic Complexity of Computations, 1980, F(3, 2).
        """
        width, threes = rows.shape[1], n // 3
        before, between, behind = self.weight.split(width)
        d0, d1, d2, d3 = (rows[i::6][:threes] for i in (0, 2, 4, 6))
        out = rows.new_empty(n, self.weight.shape[1])
        one, two, three = (out[i : 3 * threes : 3] for i in range(3))
        if self.bias is None:
            torch.mm(d1 + d2, self.outer_sum, out=two)
        else:
            torch.addmm(self.bias, d1 + d2, self.outer_sum, out=two)
        difference = (d2 - d1) @ self.outer_difference
        torch.add(two, difference, out=one)
        three.copy_(one)
        two.sub_(difference)
        one.addmm_(d0 - d2, before)
        three.addmm_(d3 - d1, behind)
        out[: 3 * threes].addmm_(rows[1 : 6 * threes : 2], between)
        if n % 3:
            end = rows[6 * threes :]
            out[3 * threes :] = self._plainly(end, n % 3, self.weight, self.bias)
        return out

    def folded(self, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight and bias with the group norm of ``(time,)`` in them."""
        weight = self.weight.double()
        total = weight.new_zeros(self.kernel)
        square = weight.new_zeros(self.kernel, self.kernel)
        windows = samples.unfold(0, self.kernel, self.stride)
        offset = samples[: 1 << 20].double().mean()  # so that little is cancelled
        for part in windows.split(1 << 16):
            centred = part.double() - offset
            total += centred.sum(dim=0)
            square += centred.T @ centred
        mean = total / len(windows)
        covariance = square / len(windows) - mean[:, None] * mean
        variance = ((covariance @ weight) * weight).sum(dim=0).clamp_min(0)
        norm: Any = self.norm
        gain = norm.weight.double() / torch.sqrt(variance + norm.eps)
        # the convolution's own bias goes with the mean
        bias = norm.bias.double() - ((mean + offset) @ weight) * gain
        return (weight * gain).float(), bias.float()


def position(module: Any) -> Position:
    """Choose how the positional convolution is done."""
    if hasattr(module, "conv") and getattr(module, "batch_norm", None) is None:
        return _Overlapping(module)

    def each(rows: torch.Tensor, bounds: Sequence[int]) -> torch.Tensor:
        parts = [module(rows[None, a:b])[0] for a, b in pairwise(bounds)]
        return torch.cat(parts)

    return each


class _Overlapping:
    """The grouped positional convolution by FFT, blocks overlapped and saved."""

    def __init__(self, module: Any) -> None:
        weight, self.bias = module.conv.weight.detach(), module.conv.bias
        n_out, n_in, self.kernel = weight.shape
        self.groups = module.conv.groups
        self.activation = in_place(module.activation)
        self.size = 1 << (2 * self.kernel - 1).bit_length()
        # correlation is convolution with the kernel turned round
        spectrum = torch.fft.rfft(weight.double().flip(2), n=self.size)
        spectrum = spectrum.to(torch.complex64)
        spectrum = spectrum.view(self.groups, n_out // self.groups, n_in, -1)
        # (group, out, in, freq) -> (freq, group, in, out)
        self.spectrum = spectrum.permute(3, 0, 2, 1).contiguous()

    def __call__(self, rows: torch.Tensor, bounds: Sequence[int]) -> torch.Tensor:
        """Return ``(row, channel)``."""
        width, hop = rows.shape[1], self.size - self.kernel + 1
        blocks, counts = [], []
        for a, b in pairwise(bounds):
            n = -(-(b - a) // hop)
            padded = rows.new_zeros((n - 1) * hop + self.size, width)
            padded[self.kernel // 2 : self.kernel // 2 + b - a] = rows[a:b]
            blocks.append(padded.unfold(0, self.size, hop))  # (block, channel, time)
            counts.append(n)
        heard = torch.fft.rfft(torch.cat(blocks))
        heard = heard.view(len(heard), self.groups, width // self.groups, -1)
        product = heard.permute(3, 1, 0, 2).contiguous() @ self.spectrum
        # (freq, group, block, out) -> (block, channel, freq)
        product = product.permute(2, 1, 3, 0).reshape(len(heard), width, -1)
        valid = torch.fft.irfft(product, n=self.size)[:, :, self.kernel - 1 :]
        out = torch.empty_like(rows)
        done = 0
        for (a, b), n in zip(pairwise(bounds), counts, strict=True):
            whole = valid[done : done + n].permute(0, 2, 1).reshape(n * hop, width)
            out[a:b] = whole[: b - a]
            done += n
        return self.activation(out.add_(self.bias))
