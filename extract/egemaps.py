"""eGeMAPSv02: 88 functionals of voice, computed by openSMILE.

Statistics of pitch, jitter, formants, shimmer, loudness, harmonics, spectral slope,
MFCC 1-4 and the timing of voiced stretches over the utterance, by the ``opensmile``
package, from the decoded array at 16 kHz. openSMILE takes 16-bit samples: what is
beyond full scale (resampling overshoots) is limited to it, where openSMILE itself
would let it wrap round to the other sign.

Channels: 88, one vector per utterance, NaN throughout where openSMILE cannot compute
them (50 ms and shorter).

Source: Eyben et al., The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for voice
research and affective computing, IEEE TAC 7(2), 2016. openSMILE's licence allows
research and teaching, not commercial use.
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

from contracts.extraction import SAMPLING_RATE, Options
from contracts.feature import FeatureSpec
from extract._audio import FULL_SCALE, RESAMPLER

if TYPE_CHECKING:
    import opensmile

VERSION = 1


class Egemaps:
    """Functionals of waveforms, several at a time: one openSMILE per thread."""

    device = "cpu"

    def __init__(self) -> None:
        self._own = threading.local()
        n_threads = joblib.cpu_count()
        if multiprocessing.parent_process() is not None:  # a worker beside others
            n_threads = 1
        self._threads = ThreadPoolExecutor(n_threads, "egemaps")
        self.spec = FeatureSpec(
            name="egemaps",
            settings={
                "version": VERSION,
                "set": "eGeMAPSv02",
                "level": "functionals",
                "opensmile": metadata.version("opensmile"),
                "samples": "16 bit, limited to full scale",
                "audio": RESAMPLER,
            },
            channels=tuple(_smile().feature_names),
        )

    def __call__(self, waveforms: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return one vector ``(channel,)`` per waveform ``(time,)``."""
        with warnings.catch_warnings():  # NaN says it already
            warnings.filterwarnings("ignore", "Segment too short")
            return list(self._threads.map(self._vector, waveforms))

    def _vector(self, waveform: NDArray[Any]) -> NDArray[np.float32]:
        if not hasattr(self._own, "smile"):
            self._own.smile = _smile()
        limited = np.clip(waveform, -1.0, FULL_SCALE)
        functionals: NDArray[Any] = self._own.smile(limited, SAMPLING_RATE)
        return functionals.reshape(-1).astype(np.float32)


def _smile() -> opensmile.Smile:
    import opensmile

    return opensmile.Smile(
        opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals
    )


def load(options: Options) -> Egemaps:
    """Make the feature ready."""
    return Egemaps()
