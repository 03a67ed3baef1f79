"""Open files, and read those that libsndfile reads."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from extract import _containers
from extract._containers import refuse

if TYPE_CHECKING:
    import soundfile

EXACT = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC"}
_BLOCK = 1 << 18  # frames read at a time, so that many channels need little memory
_STREAMED = 0x7FFF0000  # data sizes from here on stand for "unknown" (pipes)


def open_file(path: Path) -> tuple[int, str]:
    """Open a file that may hold audio; its name is never looked at again.

    Returns:
        a handle, and which container the file is: empty for what libsndfile reads,
        and then alone the handle is open
    """
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            refuse(path, "is a folder: expected an audio file")
        if not stat.S_ISREG(found.st_mode):
            refuse(path, "is no regular file: expected an audio file")
        if found.st_size == 0:
            refuse(path, "is empty: expected an audio file, got 0 bytes")
        with path.open("rb") as file:
            if container := _containers.kind(file.read(12)):
                return -1, container
            file.seek(0)
            _check_riff(path, file, found.st_size)
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC), ""
    except FileNotFoundError:
        refuse(path, "is not there: expected an audio file")
    except PermissionError:
        refuse(path, "cannot be read: expected the permission to, got none")
    except (OSError, ValueError) as error:
        refuse(path, f"cannot be opened: {error}")


def _check_riff(path: Path, file: BinaryIO, size: int) -> None:
    """Refuse WAV whose data chunk goes beyond the file: libsndfile repairs silently."""
    head = file.read(12)
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RIFX") or head[8:] != b"WAVE":
        return
    order = "<" if head[:4] == b"RIFF" else ">"
    while len(chunk := file.read(8)) == 8:
        promised = struct.unpack(f"{order}I", chunk[4:])[0]
        there = size - file.tell()
        if chunk[:4] == b"data":
            if there < promised < _STREAMED:
                got = f"expected {promised} bytes of samples, got {there}"
                refuse(path, f"is truncated: {got}")
            return
        file.seek(promised + promised % 2, os.SEEK_CUR)


def reason(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string.removeprefix("Error : ").strip().rstrip("."))


def pieces(
    path: Path, file: soundfile.SoundFile, first: int, last: int
) -> Iterator[NDArray[np.float32]]:
    """Read mono samples ``(time,)`` from ``first`` up to ``last``, piece by piece."""
    n = 0
    if first and file.format in EXACT:
        file.seek(first)
        n = first
    while n < last:
        block: NDArray[Any] = file.read(min(_BLOCK, last - n), always_2d=True)
        if not len(block):
            break
        with np.errstate(over="ignore"):  # becomes infinite, and is refused
            mono = block.mean(axis=1).astype(np.float32)
        n += len(block)
        if n > first:
            yield mono[max(0, first - (n - len(mono))) :]
    # the length of MP3 may be an estimate from its bit rate
    if n < last and file.format != "MP3":
        refuse(path, f"is truncated: expected {last} samples, got {n}")
