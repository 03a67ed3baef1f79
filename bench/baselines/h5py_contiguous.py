"""HDF5 with one contiguous dataset of all utterances, read in stretches by h5py.

The same layout as the cache's shards, ``(row, channel)`` with each utterance one block
of rows, but read as h5py reads: what lies between its ``read_direct`` and the cache is
the memory map alone.
"""

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bench.baselines._store import Store


class H5pyContiguous(Store):
    """Where each utterance begins is kept in memory."""

    name = "h5py, one contiguous dataset"

    def write(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Write one file."""
        path = self.folder / "contiguous.h5"
        rows = [array.reshape(-1, array.shape[2]) for array in arrays]
        self.starts = np.cumsum([0, *map(len, rows)]).tolist()
        with h5py.File(path, "w") as file:
            shape = self.starts[-1], rows[0].shape[1]
            whole = file.create_dataset("values", shape, rows[0].dtype)
            for start, part in zip(self.starts, rows, strict=False):
                whole[start : start + len(part)] = part
        self.opened.append(h5py.File(path))
        self.values = self.opened[0]["values"]

    def all_layers(self, i: int, into: NDArray[Any]) -> NDArray[Any]:
        """Fill the array."""
        rows = into.reshape(-1, into.shape[2])
        chosen = np.s_[self.starts[i] : self.starts[i + 1]]
        self.values.read_direct(rows, chosen)
        return into

    def one_layer(self, i: int, layer: int, into: NDArray[Any]) -> NDArray[Any]:
        """Fill the array."""
        start = self.starts[i] + layer * len(into)
        self.values.read_direct(into, np.s_[start : start + len(into)])
        return into
