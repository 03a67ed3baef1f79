"""Decode audio files: the one way in which training and prediction hear them."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ExtractionError
from contracts.extraction import SAMPLING_RATE
from extract import _containers
from extract._containers import refuse
from extract._sound_files import EXACT, open_file, pieces, reason

RESAMPLER = {
    "resampler": "soxr HQ",
    "sampling_rate": SAMPLING_RATE,
    "mono": "mean",
}  # part of every fingerprint
LOWEST_RATE = 1_000  # Hz; less is a damaged header, not speech
MIN_SAMPLES = 400  # at 16 kHz: one frame of wav2vec2, 25 ms
FULL_SCALE = 1 - 2**-15  # the loudest positive sample of 16 bits
SILENCE = 1e-3  # RMS, -60 dBFS

_BEYOND = 0.5  # seconds that a segment may end behind its file, as in Kaldi's own tool


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
    path = Path(path)
    handle, container = open_file(path)
    if container:
        samples, rate, channels = _contained(path, container, start, end)
    else:
        samples, rate, channels = _sounded(path, handle, start, end)
    if rate < LOWEST_RATE:
        refuse(path, f"is damaged: expected {LOWEST_RATE} Hz or more, got {rate} Hz")
    if not np.isfinite(samples).all():
        n_bad = int((~np.isfinite(samples)).sum())
        refuse(path, f"is broken: expected numbers, got {n_bad} NaN or infinite ones")
    if len(samples) * SAMPLING_RATE < MIN_SAMPLES * rate:
        got = f"{len(samples)} at {rate} Hz ({1000 * len(samples) / rate:.2f} ms)"
        expected = f"expected at least {MIN_SAMPLES} samples at 16 kHz (25 ms)"
        refuse(path, f"is too short: {expected}, got {got}")
    return Decoded(samples, rate, channels)


def can_seek(path: str | Path) -> bool:
    """Whether a segment can be read without decoding all that lies before it.

    True also of what is no audio at all: there is nothing to be gained.
    """
    import soundfile

    try:
        handle, container = open_file(Path(path))
        if container:
            return False
        with soundfile.SoundFile(handle) as file:
            return file.format in EXACT
    except (ExtractionError, soundfile.LibsndfileError):
        return True


def blocks(path: str | Path) -> Iterator[tuple[NDArray[np.float32], int, int]]:
    """Decode a whole file piece by piece, in little memory.

    Yields:
        mono samples ``(time,)``, sampling rate in Hz, channels of the file

    Raises:
        ExtractionError: see ``decode``
    """
    import soundfile

    path = Path(path)
    handle, container = open_file(path)
    if container:
        yield from _containers.blocks(path, container)
        return
    problem = "is not audio that can be read: expected a known format, got"
    try:
        with soundfile.SoundFile(handle) as file:
            problem = f"is truncated or damaged: expected whole {file.format}, got"
            for mono in pieces(path, file, 0, file.frames):
                yield mono, int(file.samplerate), int(file.channels)
    except soundfile.LibsndfileError as error:
        refuse(path, f"{problem} {reason(error)!r}")


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


def _sounded(
    path: Path, handle: int, start: float | None, end: float | None
) -> tuple[NDArray[np.float32], int, int]:
    """Read a segment by libsndfile: mono samples, sampling rate, channels."""
    import soundfile

    problem = "is not audio that can be read: expected a known format, got"
    try:
        with soundfile.SoundFile(handle) as file:  # closes the handle
            problem = f"is truncated or damaged: expected whole {file.format}, got"
            n, rate = int(file.frames), int(file.samplerate)
            first, last = _segment(path, n, rate, start, end)
            heard = list(pieces(path, file, first, last))
            channels = int(file.channels)
    except soundfile.LibsndfileError as error:
        refuse(path, f"{problem} {reason(error)!r}")
    return _joined(heard), rate, channels


def _contained(
    path: Path, container: str, start: float | None, end: float | None
) -> tuple[NDArray[np.float32], int, int]:
    """Read a segment of a container: mono samples, sampling rate, channels."""
    heard: list[NDArray[np.float32]] = []
    n = rate = channels = 0
    begin = start or 0.0
    for mono, *told in _containers.blocks(path, container):
        rate, channels = told
        first = round(begin * rate) if begin == begin else 0
        if n + len(mono) > first:
            heard.append(mono[max(0, first - n) :])
        n += len(mono)
        if end is not None and n >= round(end * rate):  # NaN: never
            break
    first, last = _segment(path, n, rate, start, end)
    return _joined(heard)[: last - first], rate, channels


def _joined(heard: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    if len(heard) == 1:
        return heard[0]
    return np.concatenate(heard) if heard else np.empty(0, np.float32)


def _segment(
    path: Path, n: int, rate: int, start: float | None, end: float | None
) -> tuple[int, int]:
    """Turn seconds into the first of ``n`` samples and the one behind the last."""
    begin = 0.0 if start is None or math.isnan(start) else start
    until = n / rate if end is None or math.isnan(end) else end
    # written so that NaN and infinity are refused as well
    if not 0 <= begin < min(until, n / rate) or until > n / rate + _BEYOND:
        if n == 0 and end is None:
            refuse(path, "is empty: expected samples, got none")
        got = f"expected a segment within 0-{n / rate:g} s, got {begin:g}-{until:g} s"
        refuse(path, f"has no such segment: {got}")
    return min(round(begin * rate), n), min(round(until * rate), n)
