"""What dropout silences: drawn from seed, epoch and id, whoever else is fitted.

Random bytes are compared with a threshold, which is several times as quick as drawing
uniform numbers: a share of .2 becomes 51 / 256 = .1992. Each utterance has bytes of its
own, in whatever order utterances are heard; models of one seed share them.

A byte is a function of where it stands: SplitMix64 (Steele, Lea and Flood 2014, Fast
splittable pseudorandom number generators, OOPSLA) of a number that counts up from one
of the utterance's own. So bytes are worked out where they are needed, a GPU among
those places, and are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from models._joint_network import WIDTH
from models._joint_settings import number

WORD = 8  # bytes that are drawn at once
LANES = WIDTH // WORD
HIDDEN = 2  # layers
_GAMMA = 0x9E3779B97F4A7C15
# shift and factor of each step; the last has no factor
_STEPS = (30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, None)


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
    firsts = [number("dropout", *draw, name) for name in names]
    drawn = random_words(firsts, lengths, like.device).view(torch.uint8)
    return drawn.ge_(threshold).to(like.dtype)  # in place: truths of torch are slow


def random_words(
    firsts: Sequence[int], lengths: Sequence[int], device: torch.device
) -> Tensor:
    """Return ``(hidden layer, frame, 16)`` of 64 random bits, frames side by side.

    Args:
        firsts: number of each utterance that its own count begins at
        lengths: frames of each
        device: where they are drawn
    """
    of_frame = _GAMMA * HIDDEN * LANES
    begins = accumulate(lengths[:-1], initial=0)  # the count goes on over utterances,
    own = [_signed(n - of_frame * at) for n, at in zip(firsts, begins, strict=True)]
    told = torch.tensor([own, lengths]).to(device, non_blocking=True)
    n_frames = sum(lengths)
    first = told[0].repeat_interleave(told[1], output_size=n_frames)  # begun earlier
    first += torch.arange(n_frames, device=device) * _signed(of_frame)
    lane = torch.arange(1, HIDDEN * LANES + 1, device=device) * _signed(_GAMMA)
    words = first[:, None] + lane.view(HIDDEN, 1, LANES)
    spare = torch.empty_like(words)
    for shift, factor in _STEPS:
        torch.bitwise_right_shift(words, shift, out=spare)
        words ^= spare.bitwise_and_((1 << 64 - shift) - 1)  # no copies of the sign
        if factor is not None:
            words *= _signed(factor)
    return words


def _signed(value: int) -> int:
    """Return the 64 bits of a number as torch has them, the highest as the sign."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)
