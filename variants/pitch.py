"""Pitch: higher or lower by up to two semitones, as long as it was.

By Signalsmith Stretch (package python-stretch), which needs the extra ``augment``.
``pitch-1``, ``pitch-m2`` (minus): so many semitones; ``pitch``: drawn evenly between -2
and +2 for each copy. Formants move along.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from variants._parameter import number
from variants._stretch import LIBRARIES as LIBRARIES
from variants._stretch import stretched

VERSION = 1
EXTRA = "augment"
PARAMETER = "semitones, such as 1"
UNCHANGED = 0.0
RANGE = (-2.0, 2.0)  # semitones


def draw(parameter: str, rng: np.random.Generator) -> dict[str, float]:
    """Return ``semitones``."""
    fixed = number(parameter, "pitch", PARAMETER, "st|", -12.0, 12.0)
    return {"semitones": rng.uniform(*RANGE) if fixed is None else fixed}


def make(
    waveform: NDArray[np.float32], drawn: Mapping[str, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return ``(time,)`` at another pitch."""
    return stretched(waveform, drawn["semitones"], 1.0)


def pace(drawn: Mapping[str, float]) -> float:
    """Return 1: it stays as long as it is."""
    return 1.0
