"""MP3: as a lossy coder leaves it, at a constant bit rate.

Encoded at 16 kHz by LAME and decoded by mpg123, both within libsndfile. ``mp3-16k``: 16
kbit/s; ``mp3``: 32. The coders' delay of 1105 samples, which libsndfile takes away at
higher rates alone, is taken away. What is beyond full scale is limited to it.
"""

import io
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from contracts.extraction import SAMPLING_RATE
from variants._parameter import number

VERSION = 1
LIBRARIES = ("soundfile",)  # brings its libsndfile with it
EXTRA = ""
PARAMETER = "kbit/s, such as 16k"
UNCHANGED = math.inf
USUAL = 32.0  # kbit/s
_SLOWEST, _FASTEST = 8.0, 160.0  # kbit/s of MPEG-2 layer III; 8 itself is refused
_DELAY = 576 + 529  # samples: of LAME, of a decoder


def draw(parameter: str, rng: np.random.Generator) -> dict[str, float]:
    """Return ``kbps``."""
    fixed = number(parameter, "mp3", PARAMETER, "k(?:bps)?", 16.0, _FASTEST)
    return {"kbps": USUAL if fixed is None else fixed}


def make(
    waveform: NDArray[np.float32], drawn: Mapping[str, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return ``(time,)`` as it is decoded again."""
    import soundfile

    coded = io.BytesIO()
    with soundfile.SoundFile(
        coded,
        "w",
        SAMPLING_RATE,
        1,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=(_FASTEST - drawn["kbps"]) / (_FASTEST - _SLOWEST),
        bitrate_mode="CONSTANT",
    ) as file:
        file.write(np.clip(waveform, -1.0, 1.0))
    coded.seek(0)
    heard, _ = soundfile.read(coded, dtype="float32")
    begin = 0 if len(heard) == len(waveform) else _DELAY
    out = np.zeros(len(waveform), np.float32)
    heard = heard[begin : begin + len(out)]
    out[: len(heard)] = heard
    return out


def pace(drawn: Mapping[str, float]) -> float:
    """Return 1: it stays as long as it is."""
    return 1.0
