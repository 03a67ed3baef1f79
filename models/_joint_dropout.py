"""What dropout silences: drawn from seed, epoch and id, whoever else is fitted.

Random bytes are compared with a threshold, which is 30 times as quick as drawing
uniform numbers: a share of .2 becomes 51 / 256 = .1992. Each utterance has bytes of its
own, in whatever order utterances are heard; models of one seed share them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models._joint_network import WIDTH
from models._joint_settings import number


def alive(
    names: Sequence[str],
    lengths: Sequence[int],
    draw: tuple[int, int],
    threshold: int,
    like: Tensor,
) -> Tensor:
    """Return 1 where utterances are heard, else 0.

    Args:
        names: of utterances
        lengths: frames of each
        draw: seed and epoch
        threshold: bytes below it silence
        like: has the type of the numbers, and is where they are to be

    Returns:
        ``(hidden layer, frame, 128)``, frames of one utterance after the other
    """
    drawn = map(random_bytes, names, lengths, [draw] * len(names))
    heard = np.concatenate([one >= threshold for one in drawn], axis=1)
    there = torch.from_numpy(heard.view(np.uint8)).to(like.device, non_blocking=True)
    return there.to(like.dtype)


def random_bytes(name: str, n_frames: int, draw: tuple[int, int]) -> NDArray[np.uint8]:
    """Return ``(hidden layer, frame, 128)`` of one utterance."""
    bits = np.random.SFC64(number("dropout", *draw, name))
    drawn: NDArray[np.uint64] = bits.random_raw(2 * n_frames * WIDTH // 8)
    return drawn.view(np.uint8).reshape(2, n_frames, WIDTH)
