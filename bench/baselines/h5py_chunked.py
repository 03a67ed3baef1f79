"""HDF5 with compressed datasets, one per utterance, one chunk per layer.

The chunks suit both ways of reading: all layers, and one of them.
"""

from typing import Any

import h5py
from numpy.typing import NDArray

from bench.baselines.h5py_each import H5pyEach


class H5pyGzip(H5pyEach):
    """gzip at h5py's own level, behind the shuffle filter, which helps it."""

    name = "h5py, chunks with gzip"

    def _put(self, file: h5py.File, name: str, array: NDArray[Any]) -> None:
        file.create_dataset(name, data=array, chunks=_chunk(array), **self._filter())

    def _filter(self) -> dict[str, Any]:
        return {"compression": "gzip", "shuffle": True}


class H5pyBlosc2(H5pyGzip):
    """Blosc 2 of hdf5plugin: zstd behind bitshuffle."""

    name = "h5py, chunks with blosc2"

    def _filter(self) -> dict[str, Any]:
        import hdf5plugin

        kind = hdf5plugin.Blosc2
        return dict(kind("zstd", clevel=5, filters=kind.BITSHUFFLE))


def _chunk(array: NDArray[Any]) -> tuple[int, int, int]:
    return 1, array.shape[1], array.shape[2]
