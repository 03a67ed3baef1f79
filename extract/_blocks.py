"""Pool and cast hidden states while they are at hand, layer by layer.

Means and deviations are taken from the float32 numbers, before any cast, while a layer
of an utterance still lies in the processor's cache.
"""

from collections.abc import Sequence

import numpy as np
import torch

from contracts.errors import ExtractionError
from contracts.feature import Block, FeatureSpec

FLOAT16_MAX = 65504.0
_DTYPES = {"float16": torch.float16, "float32": torch.float32}


class Collector:
    """Fills the blocks of some utterances.

    Args:
        spec: the feature: its layers, their width, what is kept of them and how
        lengths: frames of each utterance
    """

    def __init__(self, spec: FeatureSpec, lengths: Sequence[int]) -> None:
        self.spec = spec
        self.lengths = tuple(lengths)
        n, layers, width = len(lengths), len(spec.layers), spec.n_channels
        self.pooled = np.empty((n, layers, 2, width), np.float32)
        self.exponents = np.zeros((n, layers), np.int64)
        self.values: list[torch.Tensor] = []
        if spec.keeps == "frames":
            dtype = _DTYPES[spec.dtype]
            shapes = [(layers, length, width) for length in lengths]
            self.values = [torch.empty(shape, dtype=dtype) for shape in shapes]

    def rows(self, at: int, rows: torch.Tensor, bounds: Sequence[int]) -> None:
        """Take the ``at``-th stored layer of all utterances, ``(row, channel)``.

        Args:
            at: position among the stored layers
            rows: float32 on the CPU, the utterances below each other
            bounds: where each utterance begins, and where the last one ends
        """
        for i, length in enumerate(self.lengths):
            part = rows[bounds[i] : bounds[i] + length]
            pooled = torch.from_numpy(self.pooled[i, at])
            weights = part.new_full((1, length), 1 / length)
            torch.mm(weights, part, out=pooled[:1])
            centred = part - pooled[0]
            torch.mm(weights, centred.square_(), out=pooled[1:])
            pooled[1].sqrt_()
            if self.values:
                low, high = torch.aminmax(part)
                self._store(i, at, part, max(-float(low), float(high)))

    def padded(self, at: int, values: torch.Tensor) -> None:
        """Take the ``at``-th stored layer of all utterances on any device.

        Args:
            at: position among the stored layers
            values: ``(utterance, frame, channel)``, padded behind
        """
        values = values.float()
        count = torch.tensor(self.lengths, device=values.device)[:, None, None]
        time = torch.arange(values.shape[1], device=values.device)[None, :, None]
        values = values.masked_fill(time >= count, 0)
        mean = values.sum(dim=1, keepdim=True) / count
        centred = (values - mean).masked_fill_(time >= count, 0)
        deviation = (centred.square_().sum(dim=1, keepdim=True) / count).sqrt_()
        self.pooled[:, at] = torch.cat([mean, deviation], dim=1).cpu().numpy()
        if not self.values:
            return
        largest = values.abs().amax(dim=(1, 2)).tolist()
        fits = self.spec.dtype != "float16" or max(largest) <= FLOAT16_MAX
        values = (values.to(_DTYPES[self.spec.dtype]) if fits else values).cpu()
        for i, length in enumerate(self.lengths):
            self._store(i, at, values[i, :length], largest[i])

    def _store(self, i: int, at: int, part: torch.Tensor, largest: float) -> None:
        """Cast one layer of one utterance; one that overflows is scaled by 2**n."""
        if self.spec.dtype == "float16" and FLOAT16_MAX < largest < float("inf"):
            self.exponents[i, at] = int(np.ceil(np.log2(largest / FLOAT16_MAX)))
            part = part * 2.0 ** -float(self.exponents[i, at])  # no digit is lost
        self.values[i][at].copy_(part)

    def finite(self, i: int) -> bool:
        """Whether every number of an utterance was finite."""
        return bool(np.isfinite(self.pooled[i]).all())

    def block(self, i: int) -> Block | ExtractionError:
        """Return what is to be stored of an utterance."""
        if not self.finite(i):
            return ExtractionError(f"{self.spec.name} is not finite")
        scale = None
        if self.exponents[i].any():
            scale = np.exp2(self.exponents[i]).astype(np.float32)
        values = self.values[i].numpy() if self.values else None
        return Block(values, self.pooled[i], scale, n_frames=self.lengths[i])


def block(spec: FeatureSpec, frames: np.ndarray) -> Block | ExtractionError:
    """Make the block of one utterance from ``(layer, frame, channel)``, float32."""
    values = torch.as_tensor(np.ascontiguousarray(frames, np.float32))
    collector = Collector(spec, [values.shape[1]])
    for at, rows in enumerate(values):
        collector.rows(at, rows, [0, len(rows)])
    return collector.block(0)
