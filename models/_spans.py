"""Maps of utterances that lie one after the other, and some frames of them at a time.

Maps are ``(frame, channel, map)``, the frames of all utterances behind one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from models._threads import single_threads

NEAR = 2**21  # bytes of maps that are worked on at a time
LONG = 4 * NEAR  # bytes of an utterance that a thread of its own is worth

T = TypeVar("T")


class Utterance(NamedTuple):
    """Where an utterance lies among all frames.

    Attributes:
        start, end: of its frames
        pooled: where its frames start once they are pooled
    """

    start: int
    end: int
    pooled: int

    @property
    def n_frames(self) -> int:
        """How many frames it has."""
        return self.end - self.start


def utterances_of(lengths: Sequence[int], pool: int) -> list[Utterance]:
    """Return where utterances of so many frames lie; ``pool`` frames become one."""
    ends = pairwise([0, *accumulate(lengths)])
    pooled = accumulate((n // pool for n in lengths), initial=0)
    return [Utterance(a, b, at) for (a, b), at in zip(ends, pooled, strict=False)]


def spans(
    start: int, end: int, frame_bytes: int, multiple: int = 1
) -> Iterator[tuple[int, int]]:
    """Cut frames into parts that stay in the processor's own memory.

    Args:
        start: of the frames
        end: of the frames
        frame_bytes: of all its maps
        multiple: of which the frames of each part are one, but for the last part
    """
    n = max(1, NEAR // (frame_bytes * multiple)) * multiple
    for first in range(start, end, n):
        yield first, min(end, first + n)


def for_each(
    work: Callable[[Utterance], T], utterances: Sequence[Utterance], frame_bytes: int
) -> list[T]:
    """Do the same work for every utterance; return what came, in their order.

    Long ones are shared out among threads, each of which has one of torch's. Short
    ones, and those that would keep one thread busy and the others waiting, are worked
    on in turn, with all of torch's threads.

    Args:
        work: for one utterance; no gradient is recorded
        utterances: all of them
        frame_bytes: of all its maps
    """
    n = torch.get_num_threads()
    order = sorted(range(len(utterances)), key=lambda i: -utterances[i].n_frames)
    long = [i for i in order if utterances[i].n_frames * frame_bytes >= LONG]
    shared = long[: len(long) // n * n] if n > 1 else []
    found: dict[int, T] = {}
    if shared:
        with single_threads(n) as pool:
            asked = {i: pool.submit(work, utterances[i]) for i in shared}
            found = {i: one.result() for i, one in asked.items()}
    for i in order[len(shared) :]:
        found[i] = work(utterances[i])
    return [found[i] for i in range(len(utterances))]


def flat(x: Tensor) -> Tensor:
    """Return ``(frame, channel * map)`` of maps."""
    return x.view(len(x), x.shape[1] * x.shape[2])


def image(x: Tensor) -> Tensor:
    """Return maps as ``(1, map, frame, channel)``, in memory with the maps last."""
    return x[None].permute(0, 3, 1, 2)


def frames(one: Tensor) -> Tensor:
    """Return ``(frame, channel, map)`` of an image."""
    return one.permute(0, 2, 3, 1)[0]
