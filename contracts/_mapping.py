"""Map a file into memory without keeping it open.

A mapping outlives the descriptor it was made with and the file's name: hundreds of
shards cost no descriptor (``mmap`` of the standard library keeps one for each), and a
shard that is removed stays readable for whoever has mapped it.
"""

import ctypes
import mmap
import os
import weakref
from pathlib import Path

_C = ctypes.CDLL(None, use_errno=True)
_C.mmap.restype = ctypes.c_void_p
_C.mmap.argtypes = (
    *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
    ctypes.c_int64,  # offset
)
_C.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_FAILED = ctypes.c_void_p(-1).value


def map_file(path: Path, size: int) -> memoryview:
    """Map a file whole and read-only, for as long as anybody holds a part of it.

    Args:
        path: the file
        size: what it must have, in bytes; above 0

    Raises:
        OSError: if it cannot be opened or mapped
        ValueError: if it has another size
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        got = os.fstat(handle).st_size
        if got != size:
            msg = f"expected {size} bytes, got {got}"
            raise ValueError(msg)
        place = _C.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, handle, 0)
    finally:
        os.close(handle)
    if place == _FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
    whole = (ctypes.c_ubyte * size).from_address(place)
    weakref.finalize(whole, _C.munmap, place, size).atexit = False
    return memoryview(whole).cast("B").toreadonly()
