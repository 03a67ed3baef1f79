"""Frames that stay in a GPU's memory: read and sent once, not once for each step.

They are kept as they are stored, float16 mostly; what is computed from them is computed
there. On a CPU nothing is kept: the cache is memory already. Not run on a GPU by us.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from contracts.view import View

SHARE = 0.5  # of the free memory; the rest is for the network and its batches


class Resident:
    """Utterances of one feature of one view, kept on a device as they are first read.

    Args:
        device: that keeps them
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._kept: dict[int, Tensor] = {}

    def block(
        self,
        view: View,
        feature: str,
        row: int,
        layers: Sequence[int],
        chosen: slice,
    ) -> Tensor:
        """Return ``(layer, frame, channel)`` of one utterance.

        Args:
            view: the same at every call, like all but ``row``
            feature: one with frames
            row: position of the utterance
            layers: which are kept
            chosen: which frames are
        """
        if row not in self._kept:
            stored = view.frames(feature, row, layers).transpose(0, 2, 1)[:, chosen]
            own = torch.from_numpy(np.array(stored))
            self._kept[row] = own.to(self.device)
        return self._kept[row]


def resident(
    view: View, feature: str, layers: Sequence[int], device: torch.device
) -> Resident | None:
    """Return what keeps a view's frames on a device; None where they are not kept.

    That is on a CPU, and where they would take more than half of the free memory.
    """
    if device.type == "cpu":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return Resident(device) if n_bytes(view, feature, layers) <= SHARE * free else None


def n_bytes(view: View, feature: str, layers: Sequence[int]) -> int:
    """Return how many bytes the frames of a view take as they are stored."""
    spec = view.spec(feature)
    each = len(layers) * spec.n_channels * np.dtype(spec.dtype).itemsize
    return int(view.n_frames(feature).sum()) * each
