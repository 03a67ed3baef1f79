"""Frames that stay in a GPU's memory: read and sent once, not once for each step.

They are kept as they are stored, float16 mostly; what is computed from them is computed
there. On a CPU nothing is kept: the cache is memory already. Not run on a GPU by us.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contracts.view import View

SHARE = 0.5  # of the free memory; the rest is for the network and its batches
_PROMISED: WeakSet[Resident] = WeakSet()


class Resident:
    """Utterances of one feature, kept on a device as they are first read.

    Args:
        device: that keeps them
        n_bytes: of all of them
    """

    def __init__(self, device: torch.device, n_bytes: int = 0) -> None:
        self.device, self.n_bytes = device, n_bytes
        self._kept: dict[Hashable, Tensor] = {}

    @property
    def to_come(self) -> int:
        """How many bytes are promised and not there yet."""
        there = sum(one.nbytes for one in self._kept.values())
        return max(0, self.n_bytes - there)

    def block(self, key: Hashable, read: Callable[[], NDArray[Any]]) -> Tensor:
        """Return the frames of one utterance ``(layer, frame, channel)``.

        Args:
            key: which utterance
            read: reads it; asked once
        """
        if key not in self._kept:
            self._kept[key] = torch.from_numpy(np.array(read())).to(self.device)
        return self._kept[key]


def resident(n_bytes: int, device: torch.device) -> Resident | None:
    """Return what keeps frames on a device; None where they are not kept.

    That is on a CPU, and where they would take more than half of the free memory.

    Args:
        n_bytes: of all of them, see ``bytes_of_frames``
        device: that would keep them
    """
    if device.type == "cpu":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    # torch holds memory that is free for us; others may have been promised some
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free -= sum(one.to_come for one in _PROMISED if one.device == device)
    if n_bytes > SHARE * free:
        return None
    made = Resident(device, n_bytes)
    _PROMISED.add(made)
    return made


def bytes_of_frames(
    view: View, feature: str, layers: Sequence[int], n_frames: int
) -> int:
    """Return how many bytes so many frames take as they are stored."""
    spec = view.spec(feature)
    return n_frames * len(layers) * spec.n_channels * np.dtype(spec.dtype).itemsize
