"""Layers of frames are mixed for several models, and gradients of mixtures taken."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models._joint_pass import Hidden
from models._joint_reader import Run, Source, place

# models -> rows of the products with their frames, where MKL has more work with fewer
# (AVX2; 13 rows take 1.5 times as long as 16); what is too much is let go
ROWS = {3: 4} | dict.fromkeys(range(11, 16), 16)
TILE = 8  # frames of a product with them: more do not fit into a cache of 512 KiB


class Mixer:
    """What one thread works with; its arrays are used again and again.

    Args:
        source: of the frames
        n_models: most at a time
        dtype: of all numbers
    """

    def __init__(self, source: Source, n_models: int, dtype: torch.dtype) -> None:
        size = source.most * source.channels
        most = max(ROWS.get(n, n) for n in range(1, n_models + 1))
        self._scaled = torch.empty(0, dtype=dtype)
        self._size = source.n_layers * size
        self._mixed = torch.zeros(most * size, dtype=dtype, device=source.device)
        self.hidden = Hidden(n_models, source.most, self._mixed)

    def scaled(
        self, frames: Tensor, factor: Tensor | None, runs: Sequence[Run]
    ) -> tuple[Tensor, Sequence[Run]]:
        """Return frames times a factor, and where the runs are among them.

        Args:
            frames: ``(layer, frame, channel)``
            factor: ``(layer, 1, channel)``; None: all frames stay as and where they are
            runs: which frames are needed
        """
        if factor is None:
            return frames, runs
        if not len(self._scaled):
            self._scaled = frames.new_empty(self._size)
        n_frames, channels = _shape(frames, runs)
        out = place(self._scaled, (len(frames), n_frames, channels))
        for run in runs:
            torch.mul(frames[:, run.read], factor, out=out[:, run.chosen])
        every = slice(0, n_frames)
        return out, [Run(every, every)]

    def mixed(self, frames: Tensor, mixtures: Tensor, runs: Sequence[Run]) -> Tensor:
        """Mix layers for each model.

        Args:
            frames: ``(layer, frame, channel)``
            mixtures: ``(model, layer)``
            runs: which frames

        Returns:
            ``(model, frame, channel)``, the runs one after the other
        """
        out = place(self._mixed, (len(mixtures), *_shape(frames, runs)))
        for run in runs:
            lines, own = frames[:, run.read].flatten(1), out[:, run.chosen].flatten(1)
            torch.mm(mixtures, lines, out=own)
        return out

    def to_mixtures(self, frames: Tensor, n_models: int, runs: Sequence[Run]) -> Tensor:
        """Multiply frames with what now stands where they were mixed.

        Args:
            frames: ``(layer, frame, channel)``
            n_models: that they were mixed for
            runs: which frames

        Returns:
            ``(model, layer)``
        """
        n_rows = ROWS.get(n_models, n_models)
        mixed = place(self._mixed, (n_rows, *_shape(frames, runs)))
        found = frames.new_zeros(len(frames), n_rows)
        for run in runs:
            _multiply(frames[:, run.read], mixed[:, run.chosen], found)
        return found[:, :n_models].t()


def _multiply(lines: Tensor, others: Tensor, into: Tensor) -> None:
    """Add sums over frames and channels, in tiles where there are many others.

    Args:
        lines: ``(line, frame, channel)``
        others: ``(other, frame, channel)``
        into: ``(line, other)``
    """
    n_frames, channels = lines.shape[1:]
    n_tiles = n_frames // TILE if len(others) > 1 else 0
    if n_tiles:
        tiled, other = (
            one[:, : n_tiles * TILE].reshape(len(one), n_tiles, TILE * channels)
            for one in (lines, others)
        )
        into += torch.bmm(tiled.transpose(0, 1), other.permute(1, 2, 0)).sum(dim=0)
    rest, other = (one[:, n_tiles * TILE :].flatten(1) for one in (lines, others))
    into.addmm_(rest, other.t())


def _shape(frames: Tensor, runs: Sequence[Run]) -> tuple[int, int]:
    """Return how many frames and channels the runs have."""
    return runs[-1].chosen.stop, frames.shape[2]
