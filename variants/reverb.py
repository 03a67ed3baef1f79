"""Reverb: a room, as a direct sound and a noise that dies away behind it.

The response is 1 followed, after 2 ms, by Gaussian noise whose level falls by 60 dB in
the reverberation time, with as much energy as the direct sound (a direct-to-reverberant
ratio of 0 dB). ``reverb-0.8s``: in 0.8 s; ``reverb``: in 0.5 s. The tail behind the
utterance's end is cut, and the whole is as loud (RMS) as it was.

Source: Polack's statistical model; see Habets, Room impulse response generator, 2010.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from contracts.extraction import SAMPLING_RATE
from variants._parameter import number

VERSION = 1
LIBRARIES = ("numpy", "scipy")
EXTRA = ""
PARAMETER = "seconds in which it falls by 60 dB, such as 0.8s"
UNCHANGED = 0.0
USUAL = 0.5  # seconds
GAP = 0.002  # seconds from the direct sound to the first reflection


def draw(parameter: str, rng: np.random.Generator) -> dict[str, float]:
    """Return ``rt60_s``."""
    fixed = number(parameter, "reverb", PARAMETER, "s", 0.05, 10.0)
    return {"rt60_s": USUAL if fixed is None else fixed}


def make(
    waveform: NDArray[np.float32], drawn: Mapping[str, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return ``(time,)`` as it sounds in the room."""
    from scipy.signal import fftconvolve

    n, gap = round(drawn["rt60_s"] * SAMPLING_RATE), round(GAP * SAMPLING_RATE)
    tail = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    response = np.concatenate([[1.0], np.zeros(gap), tail / np.linalg.norm(tail)])
    heard = fftconvolve(waveform.astype(np.float64), response)[: len(waveform)]
    before, after = (
        np.sqrt(np.mean(np.square(x, dtype=np.float64))) for x in (waveform, heard)
    )
    return (heard * (before / after if after else 1.0)).astype(np.float32)


def pace(drawn: Mapping[str, float]) -> float:
    """Return 1: it stays as long as it is."""
    return 1.0
