"""What all features by openSMILE share: 16-bit samples, one openSMILE per thread.

openSMILE takes 16-bit samples: what is beyond full scale (resampling overshoots) is
limited to it, where openSMILE itself would let it wrap round to the other sign. A
waveform that is too short for it (about 50 ms) gives NaN.
"""

from __future__ import annotations

import multiprocessing
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from numpy.typing import NDArray

from contracts.extraction import SAMPLING_RATE
from contracts.feature import FeatureSpec
from extract._audio import FULL_SCALE, RESAMPLER

if TYPE_CHECKING:
    import opensmile

_LEVELS = {"functionals": "func", "low-level descriptors": "lld"}


class Smile:
    """One of openSMILE's feature sets, of several waveforms at a time.

    Args:
        feature_set: as openSMILE names it, such as ``eGeMAPSv02``
        level: ``functionals`` or ``low-level descriptors``

    Attributes:
        names: of the channels
    """

    def __init__(self, feature_set: str, level: str) -> None:
        self.feature_set, self.level = feature_set, level
        self._own = threading.local()
        n_threads = joblib.cpu_count()
        if multiprocessing.parent_process() is not None:  # a worker beside others
            n_threads = 1
        self._threads = ThreadPoolExecutor(n_threads, "opensmile")
        self.names = tuple(self._make().feature_names)

    def __call__(self, waveforms: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return ``(frame, channel)`` per waveform ``(time,)``.

        Functionals are one frame. What is too short is one frame of NaN.
        """
        with warnings.catch_warnings():  # NaN says it already
            warnings.filterwarnings("ignore", "Segment too short")
            return list(self._threads.map(self._one, waveforms))

    def settings(self, version: int) -> dict[str, Any]:
        """Say what changes the numbers.

        Args:
            version: of the plug-in that asks
        """
        return {
            "version": version,
            "set": self.feature_set,
            "level": self.level,
            "opensmile": metadata.version("opensmile"),
            "samples": "16 bit, limited to full scale",
            "audio": RESAMPLER,
        }

    def _make(self) -> opensmile.Smile:
        import opensmile

        return opensmile.Smile(
            opensmile.FeatureSet[self.feature_set],
            opensmile.FeatureLevel(_LEVELS[self.level]),
        )

    def _one(self, waveform: NDArray[Any]) -> NDArray[np.float32]:
        if not hasattr(self._own, "smile"):
            self._own.smile = self._make()
        limited = np.clip(waveform, -1.0, FULL_SCALE)
        found: NDArray[Any] = self._own.smile(limited, SAMPLING_RATE)
        return np.ascontiguousarray(found[0].T, np.float32)  # (channel, frame) before


class Functionals:
    """Functionals of waveforms: one vector each.

    Args:
        name: of the feature
        feature_set: as openSMILE names it
        version: of the plug-in
    """

    device = "cpu"

    def __init__(self, name: str, feature_set: str, version: int) -> None:
        self._smile = Smile(feature_set, "functionals")
        settings = self._smile.settings(version)
        self.spec = FeatureSpec(name, settings, self._smile.names)

    def __call__(self, waveforms: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return one vector ``(channel,)`` per waveform ``(time,)``."""
        return [found[0] for found in self._smile(waveforms)]
