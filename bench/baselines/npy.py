"""One ``.npy`` file per utterance, ``(layer, frame, channel)``, opened at each read."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from bench.baselines._store import Store


class Npy(Store):
    """Read straight into the array, without one more copy as ``np.load`` would."""

    name = "one .npy per utterance"

    def write(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Write the files."""
        for i, array in enumerate(arrays):
            np.save(self.folder / f"{i:04d}.npy", array)

    def all_layers(self, i: int, into: NDArray[Any]) -> NDArray[Any]:
        """Fill the array."""
        return self._read(i, 0, into)

    def one_layer(self, i: int, layer: int, into: NDArray[Any]) -> NDArray[Any]:
        """Fill the array."""
        return self._read(i, layer * into.nbytes, into)

    def _read(self, i: int, skip: int, into: NDArray[Any]) -> NDArray[Any]:
        with (self.folder / f"{i:04d}.npy").open("rb", buffering=0) as file:
            npy_format.read_magic(file)
            npy_format.read_array_header_1_0(file)
            file.seek(skip, 1)
            file.readinto(into.reshape(-1).view(np.uint8).data)
        return into
