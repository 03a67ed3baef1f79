"""Gain: louder or softer, by a factor drawn in decibels.

``gain``: drawn evenly between -10 and +10 dB for each copy, but never so loud that a
sample goes beyond full scale; ``gain-6dB``, ``gain-m6dB`` (minus): just that.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from variants._parameter import number

VERSION = 1
LIBRARIES = ()
EXTRA = ""
PARAMETER = "dB, such as 6dB"
UNCHANGED = 0.0
RANGE = (-10.0, 10.0)  # dB


def draw(parameter: str, rng: np.random.Generator) -> dict[str, float]:
    """Return ``gain_db``, and whether it is ``limited`` to full scale."""
    fixed = number(parameter, "gain", PARAMETER, "dB", -60.0, 60.0)
    if fixed is not None:
        return {"gain_db": fixed, "limited": 0.0}
    return {"gain_db": rng.uniform(*RANGE), "limited": 1.0}


def make(
    waveform: NDArray[np.float32], drawn: Mapping[str, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return ``(time,)`` times the gain."""
    gain = 10 ** (drawn["gain_db"] / 20)
    loudest = float(np.abs(waveform).max())
    if drawn["limited"] and gain > 1 and loudest * gain > 1:
        gain = max(1.0, 1.0 / loudest)
    return (waveform * np.float32(gain)).astype(np.float32)


def pace(drawn: Mapping[str, float]) -> float:
    """Return 1: it stays as long as it is."""
    return 1.0
