"""Stretch: faster or slower, at the pitch it had.

By Signalsmith Stretch (package python-stretch), which needs the extra ``augment``.
``stretch-0.9``: nine tenths as fast, and so 1 / 0.9 times as long; ``stretch``: drawn
evenly between 0.8 and 1.25 for each copy.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from variants._parameter import number
from variants._stretch import LIBRARIES as LIBRARIES
from variants._stretch import stretched

VERSION = 1
EXTRA = "augment"
PARAMETER = "a factor, such as 0.9"
UNCHANGED = 1.0
RANGE = (0.8, 1.25)


def draw(parameter: str, rng: np.random.Generator) -> dict[str, float]:
    """Return ``rate``."""
    fixed = number(parameter, "stretch", PARAMETER, "x|", 0.25, 4.0)
    return {"rate": rng.uniform(*RANGE) if fixed is None else fixed}


def make(
    waveform: NDArray[np.float32], drawn: Mapping[str, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return ``(time / rate,)``."""
    return stretched(waveform, 0.0, drawn["rate"])


def pace(drawn: Mapping[str, float]) -> float:
    """Return the inverse of the rate."""
    return 1 / drawn["rate"]
