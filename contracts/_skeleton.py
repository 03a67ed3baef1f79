"""An HDF5 file laid out in memory, all but its data.

HDF5 decides where everything lies and writes its own records into memory; the data is
then written by ourselves, in one pass over the file. So a full disk is an error of
ours at the moment it happens, not one of HDF5's that comes again when its file is
closed, and the same content gives the same bytes.
"""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEAD = 1024  # bytes in front, which HDF5 leaves to us (its "user block")
_ALIGNMENT = 64  # bytes: every array starts at a multiple
_PAGE = 4096


class Skeleton(io.RawIOBase):
    """A file in memory, zeros where nothing was written; HDF5 takes it for a disk."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self._position = 0
        self.size = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}
        self._position = base[whence] + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def truncate(self, size: int | None = None) -> int:
        """Set the file's size."""
        self.size = self._position if size is None else size
        return self.size

    def write(self, data: Any) -> int:
        """Write at the position."""
        view = memoryview(data).cast("B")
        for at, part in _cut(self._position, len(view)):
            page = self._pages.setdefault(at // _PAGE, bytearray(_PAGE))
            page[at % _PAGE : at % _PAGE + part] = view[:part]
            view = view[part:]
            self._position += part
        self.size = max(self.size, self._position)
        return memoryview(data).nbytes

    def readinto(self, into: Any) -> int:
        """Read at the position."""
        n = max(0, min(len(into), self.size - self._position))
        into[:n] = self.read_at(self._position, self._position + n)
        self._position += n
        return n

    def read_at(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` up to ``end``."""
        blank = bytes(_PAGE)
        return b"".join(
            self._pages.get(at // _PAGE, blank)[at % _PAGE : at % _PAGE + part]
            for at, part in _cut(start, end - start)
        )

    def write_at(self, offset: int, data: Any) -> None:
        """Write at an offset."""
        self.seek(offset)
        self.write(data)


def _cut(start: int, length: int) -> list[tuple[int, int]]:
    """Cut a stretch at the borders of pages, into offset and length each."""
    end, out = start + length, []
    while start < end:
        step = min(_PAGE - start % _PAGE, end - start)
        out.append((start, step))
        start += step
    return out


def lay_out(
    arrays: Mapping[str, tuple[tuple[int, ...], Any]], attributes: Mapping[str, Any]
) -> tuple[Skeleton, dict[str, int]]:
    """Lay out contiguous, uncompressed datasets, in the order given.

    Args:
        arrays: name -> shape and dtype
        attributes: of the file

    Returns:
        the file without its data, and name -> offset of the dataset's first byte
    """
    import h5py

    skeleton, offsets = Skeleton(), {}
    with h5py.File(
        skeleton,
        "w",
        userblock_size=HEAD,
        alignment_threshold=1,
        alignment_interval=_ALIGNMENT,
    ) as file:
        file.attrs.update(attributes)
        for name, (shape, dtype) in arrays.items():
            how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            how.set_layout(h5py.h5d.CONTIGUOUS)
            how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            how.set_obj_track_times(False)
            kind = h5py.h5t.py_create(np.dtype(dtype))
            space = h5py.h5s.create_simple(shape)
            made = h5py.h5d.create(file.id, name.encode(), kind, space, how)
            offsets[name] = made.get_offset() or 0  # nothing is laid out for no data
    return skeleton, offsets


def put(skeleton: Skeleton, offset: int, array: NDArray[Any]) -> None:
    """Write a small array into the skeleton itself."""
    if array.size:
        skeleton.write_at(offset, np.ascontiguousarray(array).view(np.uint8).data)
