"""In which order utterances are learnt from, and what is silenced in them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def orders(
    y: NDArray[np.int64], sampling: str | None, seed: int
) -> Iterator[list[int]]:
    """Yield the positions of utterances for one epoch after the other, without end.

    Args:
        y: positions of the labels ``(utterance,)``; -1: a class of its own
        sampling: None: each once; ``balanced``: as many draws, each class as likely
        seed: of the order
    """
    draw = torch.Generator().manual_seed(seed)
    found, place, counts = np.unique(y, return_inverse=True, return_counts=True)
    chance = torch.from_numpy(1 / len(found) / counts[place])
    while True:
        if sampling is None:
            yield torch.randperm(len(y), generator=draw).tolist()
        else:
            yield torch.multinomial(chance, len(y), True, generator=draw).tolist()


def without_channels(maps: Tensor, share: float, draw: np.random.Generator) -> Tensor:
    """Silence whole channels of each utterance, the others louder in return.

    Args:
        maps: ``(utterance, layer, frame, channel)``
        share: of the channels
        draw: what decides

    Returns:
        new maps; a channel is silent in all layers and frames of an utterance
    """
    if not share:
        return maps
    kept = draw.random((len(maps), 1, 1, maps.shape[3])) >= share
    return maps * torch.from_numpy(kept / (1 - share)).to(maps.device, maps.dtype)


def without_run(
    maps: Tensor, lengths: Tensor, share: float, draw: np.random.Generator
) -> Tensor:
    """Silence one run of frames of each utterance.

    Args:
        maps: ``(utterance, layer, frame, channel)``
        lengths: frames of each ``(utterance,)``
        share: of an utterance's frames, at most; how many is drawn
        draw: what decides

    Returns:
        new maps
    """
    if not share:
        return maps
    maps = maps.clone()
    for one, n in zip(maps, lengths.tolist(), strict=True):
        size = int(draw.integers(0, int(share * n) + 1))
        start = int(draw.integers(0, n - size + 1))
        one[:, start : start + size] = 0
    return maps
