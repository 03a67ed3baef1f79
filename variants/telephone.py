"""Telephone: narrow band, 8 kHz and eight bits, as a fixed line carries speech.

A Butterworth band-pass of the fourth order from 300 to 3400 Hz, soxr HQ to 8 kHz,
G.711 mu-law there and back, and soxr HQ to 16 kHz again. What is beyond full scale is
limited to it, as a line does.

Source: ITU-T Recommendations G.712 (the band) and G.711 (the coding).
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.extraction import SAMPLING_RATE
from variants._parameter import nothing

VERSION = 1
LIBRARIES = ("scipy", "soxr")
EXTRA = ""
PARAMETER = ""
UNCHANGED = math.nan
BAND = (300.0, 3400.0)  # Hz
RATE = 8_000  # Hz
MU = 255.0


def draw(parameter: str, rng: np.random.Generator) -> dict[str, float]:
    """Return nothing: nothing is drawn."""
    nothing(parameter, "telephone")
    return {}


def make(
    waveform: NDArray[np.float32], drawn: Mapping[str, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return ``(time,)`` as it comes out at the other end."""
    import soxr
    from scipy.signal import butter, sosfilt

    band = sosfilt(
        butter(4, BAND, "bandpass", fs=SAMPLING_RATE, output="sos"), waveform
    )
    narrow = soxr.resample(band, SAMPLING_RATE, RATE, quality="HQ")
    heard = soxr.resample(_mu_law(narrow), RATE, SAMPLING_RATE, quality="HQ")
    out = np.zeros(len(waveform), np.float32)
    out[: len(heard)] = heard[: len(out)]
    return out


def _mu_law(samples: NDArray[Any]) -> NDArray[np.float64]:
    """Code ``(time,)`` in eight bits and back: 128 levels to either side."""
    limited = np.clip(samples.astype(np.float64), -1.0, 1.0)
    coded = np.log1p(MU * np.abs(limited)) / np.log1p(MU)
    levels = np.round(coded * 127) / 127
    heard: NDArray[np.float64] = np.sign(limited) * np.expm1(levels * np.log1p(MU)) / MU
    return heard


def pace(drawn: Mapping[str, float]) -> float:
    """Return 1: it stays as long as it is."""
    return 1.0
