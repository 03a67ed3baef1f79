"""Speed: faster or slower, pitch and formants with it, as a tape does.

By resampling with soxr HQ. ``speed-0.9``: nine tenths as fast, and so 1 / 0.9 times as
long; ``speed``: drawn evenly between 0.9 and 1.1 for each copy.

Source: Ko et al., Audio augmentation for speech recognition, Interspeech 2015.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from contracts.extraction import SAMPLING_RATE
from variants._parameter import number

VERSION = 1
LIBRARIES = ("soxr",)
EXTRA = ""
PARAMETER = "a factor, such as 0.9"
UNCHANGED = 1.0
RANGE = (0.9, 1.1)


def draw(parameter: str, rng: np.random.Generator) -> dict[str, float]:
    """Return ``speed``, rounded so that soxr is given whole rates."""
    fixed = number(parameter, "speed", PARAMETER, "x|", 0.25, 4.0)
    speed = rng.uniform(*RANGE) if fixed is None else fixed
    return {"speed": round(speed * SAMPLING_RATE) / SAMPLING_RATE}


def make(
    waveform: NDArray[np.float32], drawn: Mapping[str, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return ``(time / speed,)``."""
    import soxr

    rate = round(drawn["speed"] * SAMPLING_RATE)
    out: NDArray[np.float32] = soxr.resample(
        waveform, rate, SAMPLING_RATE, quality="HQ"
    )
    return out


def pace(drawn: Mapping[str, float]) -> float:
    """Return the inverse of the speed."""
    return 1 / drawn["speed"]
