"""Signalsmith Stretch, which changes pitch and pace apart from each other."""

import numpy as np
from numpy.typing import NDArray

from contracts.extraction import SAMPLING_RATE

LIBRARIES = ("python-stretch",)


def stretched(
    waveform: NDArray[np.float32], semitones: float, rate: float
) -> NDArray[np.float32]:
    """Return ``(time / rate,)``, so many semitones higher."""
    from python_stretch import Signalsmith

    stretch = Signalsmith.Stretch()
    stretch.preset(1, SAMPLING_RATE)
    stretch.setTransposeSemitones(semitones)
    stretch.timeFactor = rate
    return np.array(stretch.process(waveform[None]), np.float32)[0]
