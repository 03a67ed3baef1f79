"""Convolutions over maps of any lengths: no padding, no neighbour.

Utterances of a batch lie one after the other, and each is convolved as if alone, with
zeros at its borders. Batch norm sees them all, and no frame but their own.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from contracts.errors import CacheError

BLOCKS = ((24, 24), (48, 48), (96, 96, 96), (192, 192, 192))
POOL = 3  # of every max-pooling, in both directions
SMALLEST = POOL ** len(BLOCKS)  # 81 frames or channels, of which one place is left
AT_A_TIME = 16  # frames whose products are made at a time
GRID = (3, 9)  # frames and channels of the last map


class Convolutions(nn.Module):
    """Blocks of 3 x 3 convolutions with batch norm and ReLU, each ended by a pooling.

    Args:
        n_maps: maps that come in
        blocks: for each block, the maps after each of its convolutions
        pool: of every max-pooling, in both directions
        dropout: share of what is silenced behind each pooling while training
    """

    def __init__(
        self,
        n_maps: int,
        blocks: Sequence[Sequence[int]] = BLOCKS,
        pool: int = POOL,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.pool, self.smallest = pool, pool ** len(blocks)
        self.silencing = nn.Dropout(dropout)
        self.blocks = nn.ModuleList()
        n_before = n_maps
        for block in blocks:
            pairs = nn.ModuleList()
            for n_in, n_out in pairwise((n_before, *block)):
                pairs.append(nn.Conv2d(n_in, n_out, kernel_size=3, padding=1))
                pairs.append(nn.BatchNorm2d(n_out))
            self.blocks.append(pairs)
            n_before = block[-1]

    def ends(self, maps: Tensor, lengths: Tensor | None = None) -> list[Tensor]:
        """Return the last maps of each utterance ``(map, frame, channel)``.

        Args:
            maps: ``(utterance, layer, frame, channel)``
            lengths: frames of each ``(utterance,)``, what lies behind is not looked
                at; None: all of them

        Raises:
            CacheError: if too few channels are left for the last pooling
        """
        if maps.shape[3] < self.smallest:
            msg = (
                f"{len(self.blocks)} poolings by {self.pool} need channels: expected "
                f"at least {self.smallest}, got {maps.shape[3]}. Choose another "
                "feature with --feature NAME"
            )
            raise CacheError(msg)
        n = [maps.shape[2]] * len(maps) if lengths is None else lengths.tolist()
        maps = maps.to(next(self.parameters()).dtype)
        pairs = zip(maps, n, strict=True)
        parts = [_lengthened(one[:, :k], self.smallest) for one, k in pairs]
        # (layer, frame, channel) each -> (frame, channel, map) of all
        x = torch.cat([part.permute(1, 2, 0) for part in parts])
        lengths = torch.tensor([part.shape[1] for part in parts])
        for block in self.blocks:
            for conv, norm in zip(block[::2], block[1::2], strict=True):  # type: ignore[index]
                x = _convolved(conv, x, lengths)
                x = _frames(F.relu(norm(_image(x)), inplace=True))
            x, lengths = _pooled(x, lengths, self.pool)
            x = self.silencing(x)
        return [_image(part)[0] for part in torch.split(x, lengths.tolist())]


class Trunk(Convolutions):
    """The convolutions of VGG, four blocks that end in a map of 3 x 9 places.

    Args:
        n_maps: maps that come in
        grid: frames and channels of the last map; another one is another network
    """

    def __init__(self, n_maps: int, grid: tuple[int, int] = GRID) -> None:
        super().__init__(n_maps)
        self.grid = grid
        self.n_places = BLOCKS[-1][-1] * grid[0] * grid[1]  # 5184 as published

    def forward(self, maps: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return what was found at each place ``(utterance, place)``.

        Arguments and errors are those of ``ends``.
        """
        ends = self.ends(maps, lengths)
        pooled = [F.adaptive_avg_pool2d(end, self.grid).flatten() for end in ends]
        return torch.stack(pooled)


def _lengthened(one: Tensor, least: int) -> Tensor:
    """Return ``(layer, frame, channel)`` with zeros up to ``least`` frames."""
    return F.pad(one, (0, 0, 0, max(0, least - one.shape[1])))


def _image(x: Tensor) -> Tensor:
    """Return ``(1, map, frame, channel)``, in memory with the maps last."""
    return x[None].permute(0, 3, 1, 2)


def _frames(image: Tensor) -> Tensor:
    """Return ``(frame, channel, map)``."""
    return image.permute(0, 2, 3, 1)[0]


def _convolved(conv: nn.Module, x: Tensor, lengths: Tensor) -> Tensor:
    """Convolve each utterance by itself: what a border sees is zero.

    On a CPU one after the other, where each stays in the processor's own memory; on
    an accelerator, where calls are dear, all at once.
    """
    if x.device.type == "cpu":
        found: Tensor = _InTurn.apply(x, conv.weight, conv.bias, lengths.tolist())
        return found
    return _at_once(conv, x, lengths)


def _at_once(conv: nn.Module, x: Tensor, lengths: Tensor) -> Tensor:
    """Convolve all utterances in one call, a zero frame after each."""
    before = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    places = (torch.arange(len(x)) + before).to(x.device)
    apart = x.new_zeros(len(x) + len(lengths), *x.shape[1:]).index_copy(0, places, x)
    return _frames(conv(_image(apart))).index_select(0, places)


class _InTurn(torch.autograd.Function):
    """A 3 x 3 convolution of utterances that lie one after the other.

    Results are written where they belong as they come: put together afterwards they
    would cross memory once more, forward and backward.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, lengths: Sequence[int]
    ) -> Tensor:
        """Return ``(frame, channel, map)`` of ``x``, which is the same."""
        x = x.contiguous()
        ctx.save_for_backward(x, weight)
        ctx.lengths = lengths
        out = x.new_empty(*x.shape[:2], len(weight))
        for one, to in zip(x.split(lengths), out.split(lengths), strict=True):
            to.copy_(_frames(F.conv2d(_image(one), weight, bias, padding=1)))
        return out

    @staticmethod
    def backward(ctx: Any, to_out: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Return the gradients of maps, weight and bias."""
        x, weight = ctx.saved_tensors
        to_out = to_out.contiguous()
        to_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        to_weight = torch.zeros_like(weight)
        at = 0
        for n in ctx.lengths:
            span = slice(at, at + n)
            to_weight += _to_weight(x[span], to_out[span])
            if to_x is not None:
                asked = _image(to_out[span]), _image(x[span]), weight, [len(weight)]
                one, _, _ = torch.ops.aten.convolution_backward(
                    *(*asked, [1, 1], [1, 1], [1, 1], False, [0, 0], 1),
                    [True, False, False],
                )
                to_x[span].copy_(_frames(one))
            at += n
        return to_x, to_weight, to_out.sum(dim=(0, 1)), None


def _to_weight(x: Tensor, to_out: Tensor) -> Tensor:
    """Return the gradient of a 3 x 3 weight, ``(map out, map in, 3, 3)``.

    Each place of ``x`` is laid out with its neighbours on both sides, a few frames at a
    time so that they stay in the processor's own memory, and multiplied with what comes
    back: for so few maps that is up to twice as quick as the library's own on AVX2.

    Args:
        x: ``(frame, channel, map in)`` of one utterance
        to_out: ``(frame, channel, map out)``
    """
    frames, channels, n_in = x.shape
    n_out = to_out.shape[2]
    found = x.new_zeros(3, n_out, 3 * n_in)
    for at in range(0, frames, AT_A_TIME):
        end = min(frames, at + AT_A_TIME)
        first, last = max(0, at - 1), min(frames, end + 1)
        edged = x.new_zeros(end - at + 2, channels + 2, n_in)
        edged[first - at + 1 : last - at + 1, 1:-1] = x[first:last]
        strides = (channels + 2) * n_in, n_in, 1
        shape = len(edged), channels, 3 * n_in
        beside = edged.as_strided(shape, strides).contiguous()
        back = to_out[at:end].transpose(1, 2)
        for k in range(3):
            found[k] += torch.bmm(back, beside[k : k + end - at]).sum(dim=0)
    return found.view(3, n_out, 3, n_in).permute(1, 3, 0, 2)


def _pooled(x: Tensor, lengths: Tensor, pool: int) -> tuple[Tensor, Tensor]:
    """Pool each utterance over whole windows of its own frames."""
    sizes = [size for n in lengths.tolist() for size in (n // pool * pool, n % pool)]
    whole = torch.split(x, sizes)[::2]
    found = [_frames(F.max_pool2d(_image(one), pool)) for one in whole]
    return torch.cat(found), lengths // pool
