"""Noise: white Gaussian noise at a ratio of the utterance's own power.

The ratio of signal to noise is taken over the whole utterance, pauses included.
``noise-10dB``: 10 dB; ``noise``: drawn evenly between 5 and 20 dB for each copy.
Nothing is limited: the sum may go beyond full scale, as any float may. A silent
utterance stays silent.

Source: Ko et al., A study on data augmentation of reverberant speech, ICASSP 2017.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from variants._parameter import number

VERSION = 1
LIBRARIES = ("numpy",)
EXTRA = ""
PARAMETER = "dB of signal over noise, such as 10dB"
UNCHANGED = math.inf
RANGE = (5.0, 20.0)  # dB


def draw(parameter: str, rng: np.random.Generator) -> dict[str, float]:
    """Return ``snr_db``."""
    fixed = number(parameter, "noise", PARAMETER, "dB", -20.0, 60.0)
    return {"snr_db": rng.uniform(*RANGE) if fixed is None else fixed}


def make(
    waveform: NDArray[np.float32], drawn: Mapping[str, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return ``(time,)`` with noise in it."""
    noise: NDArray[Any] = rng.standard_normal(len(waveform))
    power = np.mean(np.square(waveform, dtype=np.float64))
    level = np.sqrt(power * 10 ** (-drawn["snr_db"] / 10) / np.mean(noise**2))
    return (waveform + level * noise).astype(np.float32)


def pace(drawn: Mapping[str, float]) -> float:
    """Return 1: it stays as long as it is."""
    return 1.0
