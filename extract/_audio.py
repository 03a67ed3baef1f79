"""Decode audio files: the one way in which training and prediction hear them."""

from __future__ import annotations

import hashlib
import math
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ExtractionError
from contracts.extraction import SAMPLING_RATE

if TYPE_CHECKING:
    import soundfile

RESAMPLER = {
    "resampler": "soxr HQ",
    "sampling_rate": SAMPLING_RATE,
    "mono": "mean",
}  # part of every fingerprint
LOWEST_RATE = 1_000  # Hz; less is a damaged header, not speech
MIN_SAMPLES = 400  # at 16 kHz: one frame of wav2vec2, 25 ms
FULL_SCALE = 1 - 2**-15  # the loudest positive sample of 16 bits
SILENCE = 1e-3  # RMS, -60 dBFS

_MENDING = "Mend or replace the file, or take it out of the corpus"
_BLOCK = 1 << 18  # frames read at a time, so that many channels need little memory
_EXACT = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC"}
_ROUNDING = 1e-3  # seconds: tables write the end of a file rounded to milliseconds
_STREAMED = 0x7FFF0000  # data sizes from here on stand for "unknown" (pipes)


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a file, or a segment of it, holds.

    Attributes:
        samples: ``(time,)`` float32, mono, at the file's own sampling rate
        sampling_rate: of the file, in Hz
        channels: of the file
    """

    samples: NDArray[np.float32]
    sampling_rate: int
    channels: int

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sampling_rate


def decode(
    path: str | Path, start: float | None = None, end: float | None = None
) -> Decoded:
    """Read an audio file, or a segment of it, as mono.

    Mono is the mean over channels, taken in float64. Where the format can seek to the
    sample, only the segment is read.

    Args:
        path: the file; its content, not its name, says which format it has
        start: seconds into the file; None or NaN: from its beginning
        end: seconds into the file; None or NaN: to its end

    Raises:
        ExtractionError: if there is nothing to be heard, or not all that the file's
            header promises
    """
    import soundfile

    path = Path(path)
    handle = _open(path)
    problem = "is not audio that can be read: expected a known format, got"
    try:
        with soundfile.SoundFile(handle) as file:  # closes the handle
            problem = f"is truncated or damaged: expected whole {file.format}, got"
            first, last = _segment(path, file, start, end)
            samples = _read(path, file, first, last)
            rate, channels = int(file.samplerate), int(file.channels)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.removeprefix("Error : ").strip().rstrip(".")
        _refuse(path, f"{problem} {reason!r}")
    if rate < LOWEST_RATE:
        _refuse(path, f"is damaged: expected {LOWEST_RATE} Hz or more, got {rate} Hz")
    if not np.isfinite(samples).all():
        n_bad = int((~np.isfinite(samples)).sum())
        _refuse(path, f"is broken: expected numbers, got {n_bad} NaN or infinite ones")
    if len(samples) * SAMPLING_RATE < MIN_SAMPLES * rate:
        got = f"{len(samples)} at {rate} Hz ({1000 * len(samples) / rate:.2f} ms)"
        expected = f"expected at least {MIN_SAMPLES} samples at 16 kHz (25 ms)"
        _refuse(path, f"is too short: {expected}, got {got}")
    return Decoded(samples, rate, channels)


def resample(decoded: Decoded) -> NDArray[np.float32]:
    """Return the waveform ``(time,)``, mono float32 at 16 kHz."""
    if decoded.sampling_rate == SAMPLING_RATE:
        return decoded.samples
    import soxr

    waveform: NDArray[np.float32] = soxr.resample(
        decoded.samples, decoded.sampling_rate, SAMPLING_RATE, quality="HQ"
    )
    return waveform


def listen(
    path: str | Path, start: float | None = None, end: float | None = None
) -> NDArray[np.float32]:
    """Return the waveform ``(time,)`` of a file or a segment, mono float32 at 16 kHz.

    Raises:
        ExtractionError: see ``decode``
    """
    return resample(decode(path, start, end))


def waveform_hash(decoded: Decoded) -> str:
    """Hash what was decoded: the same for every lossless encoding of the same sound.

    Returns:
        sha256 in hex over the file's sampling rate and its mono samples as little
        endian float32, -0.0 written as 0.0
    """
    samples = decoded.samples + np.float32(0)  # -0.0 + 0.0 = 0.0
    digest = hashlib.sha256(struct.pack("<Q", decoded.sampling_rate))
    digest.update(np.ascontiguousarray(samples, "<f4").data)
    return digest.hexdigest()


def clipping(samples: NDArray[np.float32]) -> float:
    """Return the share of samples at full scale, in [0, 1].

    Full scale is what 16 bits can hold: at least 1 - 2**-15, to either side.
    """
    return float(np.mean(np.abs(samples) >= FULL_SCALE))


def silence(decoded: Decoded) -> float:
    """Return the share of 20 ms frames whose RMS is below -60 dBFS, in [0, 1].

    Frames do not overlap; a last frame that is not full does not count.
    """
    size = round(0.02 * decoded.sampling_rate)
    n_frames = len(decoded.samples) // size
    frames = decoded.samples[: n_frames * size].reshape(n_frames, size)
    power = np.mean(np.square(frames), axis=1, dtype=np.float64)
    return float(np.mean(power < SILENCE**2))


def _refuse(path: Path, what: str) -> NoReturn:
    """Raise one sentence about a file, its name quoted so that it stays one line."""
    msg = f"{str(path)!r} {what}. {_MENDING}"
    raise ExtractionError(msg)


def _open(path: Path) -> int:
    """Open a file that may hold audio; its name is never looked at again."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            _refuse(path, "is a folder: expected an audio file")
        if not stat.S_ISREG(found.st_mode):
            _refuse(path, "is no regular file: expected an audio file")
        if found.st_size == 0:
            _refuse(path, "is empty: expected an audio file, got 0 bytes")
        with path.open("rb") as file:
            _check_riff(path, file, found.st_size)
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        _refuse(path, "is not there: expected an audio file")
    except PermissionError:
        _refuse(path, "cannot be read: expected the permission to, got none")
    except (OSError, ValueError) as error:
        _refuse(path, f"cannot be opened: {error}")


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
                _refuse(path, f"is truncated: {got}")
            return
        file.seek(promised + promised % 2, os.SEEK_CUR)


def _segment(
    path: Path, file: soundfile.SoundFile, start: float | None, end: float | None
) -> tuple[int, int]:
    """Turn seconds into the first sample and the one behind the last."""
    rate, n = file.samplerate, file.frames
    begin = 0.0 if start is None or math.isnan(start) else start
    until = n / rate if end is None or math.isnan(end) else end
    if not 0 <= begin < until <= n / rate + _ROUNDING:  # NaN and infinity neither
        if n == 0 and end is None:
            _refuse(path, "is empty: expected samples, got none")
        got = f"expected a segment within 0-{n / rate:g} s, got {begin:g}-{until:g} s"
        _refuse(path, f"has no such segment: {got}")
    return min(round(begin * rate), n), min(round(until * rate), n)


def _read(
    path: Path, file: soundfile.SoundFile, first: int, last: int
) -> NDArray[np.float32]:
    """Read mono samples ``(time,)`` from ``first`` up to ``last``."""
    skip = first
    if first and file.format in _EXACT:
        file.seek(first)
        skip = 0
    samples = np.empty(skip + last - first, np.float32)
    n = 0
    while n < len(samples):
        block: NDArray[Any] = file.read(min(_BLOCK, len(samples) - n), always_2d=True)
        if not len(block):
            break
        with np.errstate(over="ignore"):  # becomes infinite, and is refused
            samples[n : n + len(block)] = block.mean(axis=1)
        n += len(block)
    # the length of MP3 may be an estimate from its bit rate
    if n < len(samples) and file.format != "MP3":
        got = f"expected {len(samples)} samples, got {n}"
        _refuse(path, f"is truncated: {got}")
    return samples[skip:n]
