"""Convolutions over maps of any lengths: no padding, no neighbour.

Utterances of a batch lie one after the other, and each is convolved as if alone, with
zeros at its borders. Batch norm sees them all, and no frame but their own.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from contracts.errors import CacheError
from models._block import learning_block
from models._spans import frames, image

BLOCKS = ((24, 24), (48, 48), (96, 96, 96), (192, 192, 192))
POOL = 3  # of every max-pooling, in both directions
SMALLEST = POOL ** len(BLOCKS)  # 81 frames or channels, of which one place is left
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
        parts = [
            _lengthened(one[:, :k], self.smallest)
            for one, k in zip(maps, n, strict=True)
        ]
        # (layer, frame, channel) each -> (frame, channel, map) of all
        x = torch.cat([part.permute(1, 2, 0) for part in parts])
        lengths = torch.tensor([part.shape[1] for part in parts])
        for block in self.blocks:
            pairs = list(zip(block[::2], block[1::2], strict=True))  # type: ignore[index]
            if self.training and x.device.type == "cpu":  # a few frames at a time
                x = learning_block(x, lengths.tolist(), pairs, self.pool)
                lengths = lengths // self.pool
            else:
                for conv, norm in pairs:
                    x = _convolved(conv, x, lengths)
                    x = frames(F.relu(norm(image(x)), inplace=True))
                x, lengths = _pooled(x, lengths, self.pool)
            x = self.silencing(x)
        return [image(part)[0] for part in torch.split(x, lengths.tolist())]


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


def _convolved(conv: nn.Module, x: Tensor, lengths: Tensor) -> Tensor:
    """Convolve each utterance by itself: what a border sees is zero.

    On a CPU one after the other, where each stays in the processor's own memory; on
    an accelerator, where calls are dear, all at once.
    """
    if x.device.type == "cpu":
        each = x.split(lengths.tolist())
        return torch.cat([frames(conv(image(one))) for one in each])
    return _at_once(conv, x, lengths)


def _at_once(conv: nn.Module, x: Tensor, lengths: Tensor) -> Tensor:
    """Convolve all utterances in one call, a zero frame after each."""
    before = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    places = (torch.arange(len(x)) + before).to(x.device)
    apart = x.new_zeros(len(x) + len(lengths), *x.shape[1:]).index_copy(0, places, x)
    return frames(conv(image(apart))).index_select(0, places)


def _pooled(x: Tensor, lengths: Tensor, pool: int) -> tuple[Tensor, Tensor]:
    """Pool each utterance over whole windows of its own frames."""
    sizes = [size for n in lengths.tolist() for size in (n // pool * pool, n % pool)]
    whole = torch.split(x, sizes)[::2]
    found = [frames(F.max_pool2d(image(one), pool)) for one in whole]
    return torch.cat(found), lengths // pool
