"""HDF5 with one contiguous dataset per utterance, ``(layer, frame, channel)``."""

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bench.baselines._store import Store


class H5pyEach(Store):
    """Read by ``read_direct``, which is h5py's quickest."""

    name = "h5py, one dataset per utterance"

    def write(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Write one file."""
        path = self.folder / "each.h5"
        with h5py.File(path, "w") as file:
            for i, array in enumerate(arrays):
                self._put(file, f"{i:04d}", array)
        self.file = h5py.File(path)
        self.opened.append(self.file)

    def _put(self, file: h5py.File, name: str, array: NDArray[Any]) -> None:
        file[name] = array

    def all_layers(self, i: int, into: NDArray[Any]) -> NDArray[Any]:
        """Fill the array."""
        self.file[f"{i:04d}"].read_direct(into)
        return into

    def one_layer(self, i: int, layer: int, into: NDArray[Any]) -> NDArray[Any]:
        """Fill the array."""
        self.file[f"{i:04d}"].read_direct(into, np.s_[layer])
        return into
