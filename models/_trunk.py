"""Convolutions of VGG over maps of any lengths: no padding, no neighbour.

Utterances of a batch lie one after the other with a zero frame between them, which is
what a convolution sees at the border of an utterance alone. Those frames are taken
out before batch norm, so its statistics are those of the utterances' own frames.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from contracts.errors import CacheError

BLOCKS = ((24, 24), (48, 48), (96, 96, 96), (192, 192, 192))
POOL = 3  # of every max-pooling, in both directions
SMALLEST = POOL ** len(BLOCKS)  # frames, and channels, of which one remains
GRID = (3, 9)  # frames and channels of the last map
N_PLACES = BLOCKS[-1][-1] * GRID[0] * GRID[1]  # 5184


class Trunk(nn.Module):
    """The convolutions, four blocks that end in a map of 3 x 9 places."""

    def __init__(self, n_layers: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        n_before = n_layers
        for block in BLOCKS:
            pairs = nn.ModuleList()
            for n_in, n_out in pairwise((n_before, *block)):
                pairs.append(nn.Conv2d(n_in, n_out, kernel_size=3, padding=1))
                pairs.append(nn.BatchNorm2d(n_out))
            self.blocks.append(pairs)
            n_before = block[-1]

    def forward(self, maps: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return what was found at each place ``(utterance, 192 * 3 * 9)``.

        Args:
            maps: ``(utterance, layer, frame, channel)``
            lengths: frames of each ``(utterance,)``, what lies behind is not looked
                at; None: all of them

        Raises:
            CacheError: if there are fewer than 81 channels
        """
        if maps.shape[3] < SMALLEST:
            msg = (
                f"four poolings by {POOL} need channels: expected at least {SMALLEST}, "
                f"got {maps.shape[3]}. Choose another feature with --feature NAME"
            )
            raise CacheError(msg)
        n = [maps.shape[2]] * len(maps) if lengths is None else lengths.tolist()
        maps = maps.to(next(self.parameters()).dtype)
        parts = [_lengthened(one[:, :k]) for one, k in zip(maps, n, strict=True)]
        # (layer, frame, channel) each -> (frame, channel, map) of all
        x = torch.cat([part.permute(1, 2, 0) for part in parts])
        lengths = torch.tensor([part.shape[1] for part in parts])
        for block in self.blocks:
            for conv, norm in zip(block[::2], block[1::2], strict=True):  # type: ignore[index]
                x = _convolved(conv, x, lengths)
                x = _frames(F.relu(norm(_image(x)), inplace=True))
            x, lengths = _pooled(x, lengths)
        ends = [_image(part)[0] for part in torch.split(x, lengths.tolist())]
        return torch.stack([F.adaptive_avg_pool2d(end, GRID).flatten() for end in ends])


def _lengthened(one: Tensor) -> Tensor:
    """Return ``(layer, frame, channel)`` with zeros up to 81 frames."""
    return F.pad(one, (0, 0, 0, max(0, SMALLEST - one.shape[1])))


def _image(x: Tensor) -> Tensor:
    """Return ``(1, map, frame, channel)``, in memory with the maps last."""
    return x[None].permute(0, 3, 1, 2)


def _frames(image: Tensor) -> Tensor:
    """Return ``(frame, channel, map)``."""
    return image.permute(0, 2, 3, 1)[0]


def _convolved(conv: nn.Module, x: Tensor, lengths: Tensor) -> Tensor:
    """Convolve utterances, a zero frame after each: what a border sees is zero."""
    before = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    places = (torch.arange(len(x)) + before).to(x.device)
    apart = x.new_zeros(len(x) + len(lengths), *x.shape[1:]).index_copy(0, places, x)
    return _frames(conv(_image(apart))).index_select(0, places)


def _pooled(x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Pool each utterance over whole windows of its own frames."""
    starts = torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
    whole = torch.repeat_interleave(lengths // POOL * POOL, lengths)
    kept = (torch.arange(len(x)) - starts < whole).nonzero()[:, 0].to(x.device)
    pooled = F.max_pool2d(_image(x.index_select(0, kept)), POOL)
    return _frames(pooled), lengths // POOL
