"""The limit: ``numpy.memmap`` of one raw file without anything around the numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.baselines._store import Store


class Memmap(Store):
    """All numbers behind each other; where each utterance begins is kept in memory."""

    name = "numpy.memmap of a raw file"

    def write(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Write one file."""
        path = self.folder / "raw.bin"
        with path.open("wb") as file:
            for array in arrays:
                array.tofile(file)
        self.starts = np.cumsum([0, *(array.size for array in arrays)]).tolist()
        self.raw = np.memmap(path, np.float16, "r")

    def all_layers(self, i: int, into: NDArray[Any]) -> NDArray[Any]:
        """Return a view of the file."""
        return self.raw[self.starts[i] : self.starts[i + 1]].reshape(self.shapes[i])

    def one_layer(self, i: int, layer: int, into: NDArray[Any]) -> NDArray[Any]:
        """Return a view of the file."""
        _, frames, channels = self.shapes[i]
        start = self.starts[i] + layer * frames * channels
        return self.raw[start : start + frames * channels].reshape(frames, channels)
