"""Sound out of containers that libsndfile does not read: m4a, mp4, webm, mkv, aac.

Decoded by PyAV, which brings FFmpeg's libraries along (extra ``video``). What a file is
follows from its first bytes, as everywhere here, not from its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ExtractionError

_MISSING = (
    0.1  # seconds that may be missing from what a stream promises: coders' frames
)
_PRIMING = 0.06  # seconds by which coders' own delays may shift the beginning
_MENDING = "Mend or replace the file, or take it out of the corpus"
_HEADS = {
    b"\x1aE\xdf\xa3": "Matroska or WebM",
    b"FLV\x01": "FLV",
    b"0&\xb2u\x8ef\xcf\x11": "Windows Media",
    b"#!AMR": "AMR",
}


def kind(head: bytes) -> str:
    """Say which container the first 12 bytes of a file begin; empty: none of these."""
    if head[4:8] == b"ftyp":
        return "MP4"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "AVI"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "AAC"  # ADTS: the layer bits are 0, in MP3 they are not
    return next((name for start, name in _HEADS.items() if head.startswith(start)), "")


def blocks(path: Path, what: str) -> Iterator[tuple[NDArray[np.float32], int, int]]:
    """Decode the first audio track piece by piece.

    Args:
        path: the file
        what: the container that it is

    Yields:
        mono samples ``(time,)``, the mean over channels; sampling rate; channels

    Raises:
        ExtractionError: if there is no PyAV, no track, or not all that it promises
    """
    try:
        import av
    except ImportError as error:
        msg = (
            f"{str(path)!r} is {what}, which needs PyAV: expected the package av, got "
            "none. Run: pip install -c constraints.txt -e '.[video]'"
        )
        raise ExtractionError(msg) from error
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                n = len(container.streams.video)
                refuse(path, f"holds no sound: expected an audio track, got {n} video")
            yield from _whole(path, container, what)
    except av.error.FFmpegError as error:
        refuse(path, f"is damaged: expected whole {what}, got {error.strerror!r}")


def _whole(
    path: Path, container: Any, what: str
) -> Iterator[tuple[NDArray[np.float32], int, int]]:
    """Yield every block, then refuse a track that ended before its time.

    Sound that begins after the picture has silence before it, so that times are those
    of the file's own clock, as players show them.
    """
    import av

    stream = container.streams.audio[0]
    late = _late(container, stream)
    to_float = av.AudioResampler(format="fltp")  # rate and channels stay as they are
    n, rate = 0, 0
    for frame in container.decode(stream):
        for piece in to_float.resample(frame):
            planes = piece.to_ndarray()  # (channel, time)
            if not rate and late > _PRIMING:
                silent = np.zeros(round(late * piece.sample_rate), np.float32)
                yield silent, piece.sample_rate, len(planes)
            rate = piece.sample_rate
            n += planes.shape[1]
            mono = planes.mean(axis=0, dtype=np.float64).astype(np.float32)
            yield mono, rate, len(planes)
    promised = _promised(container, stream)
    if rate and n / rate < promised - _MISSING:
        refuse(path, f"is truncated: expected {promised:.2f} s, got {n / rate:.2f} s")
    if not n:
        refuse(path, f"is empty: expected samples in {what}, got none")


def _late(container: Any, stream: Any) -> float:
    """Return the seconds from the file's beginning to that of its sound."""
    if stream.start_time is None or container.start_time is None:
        return 0.0
    begins = float(stream.start_time * stream.time_base)
    return begins - float(container.start_time) / 1e6  # microseconds


def _promised(container: Any, stream: Any) -> float:
    """Return the seconds that the head promises, 0 where it says nothing of sound."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if container.duration and not container.streams.video:
        return float(container.duration) / 1e6  # microseconds
    return 0.0


def refuse(path: Path, what: str) -> NoReturn:
    """Raise one sentence about a file, its name quoted so that it stays one line."""
    msg = f"{str(path)!r} {what}. {_MENDING}"
    raise ExtractionError(msg)
