"""Log-mel: a spectrogram of 128 mel bands in decibels, a frame per 16 ms.

The numbers are those of ``librosa.feature.melspectrogram`` and ``power_to_db`` with
``ref=numpy.max`` at 16 kHz: power spectrum of Hann windows of 1024 samples every 256
samples, centred with zeros around, 128 Slaney mels from 20 to 8000 Hz, decibels from 0
(the loudest of the utterance) down to -80. Digital silence is 0 throughout, as with
librosa. Computed with transformers. Frame t is centred at 16 t ms. Nothing is cropped,
padded or normalised here: heads that want so do it themselves.

Axes: ``(layer, frame, channel)``, one layer, 128 bands from low to high, stored as
float16 or float32.

Source: the convolutional network of github.com/swathiarasu/SER, whose settings these
are; Slaney, Auditory Toolbox, Technical Report 1998-010, Interval Research.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.extraction import SAMPLING_RATE, Options
from contracts.feature import FeatureSpec
from extract._audio import RESAMPLER
from extract._checkpoint import choose_frames

BANDS = 128
WINDOW, SHIFT = 1024, 256  # samples
LOWEST, HIGHEST = 20.0, 8_000.0  # Hz
RANGE = 80.0  # decibels below the loudest
FAINTEST = 1e-10  # power: anything less counts as this
SETTINGS = {
    "version": 1,
    "mels": BANDS,
    "mel_scale": "slaney",
    "frequencies": [LOWEST, HIGHEST],
    "window": WINDOW,
    "shift": SHIFT,
    "decibel_range": RANGE,
    "reference": "loudest of the utterance",
    "audio": RESAMPLER,
}


class LogMel:
    """Log-mel spectrograms of waveforms, one by one."""

    device = "cpu"

    def __init__(self, options: Options) -> None:
        from transformers.audio_utils import mel_filter_bank, window_function

        self.spec = FeatureSpec(
            name="logmel",
            settings=SETTINGS,
            channels=BANDS,
            frame_shift=SHIFT / SAMPLING_RATE,
            **choose_frames(replace(options, layers=None), 0),
        )
        self._window = window_function(WINDOW, "hann")
        self._mels = mel_filter_bank(
            num_frequency_bins=WINDOW // 2 + 1,
            num_mel_filters=BANDS,
            min_frequency=LOWEST,
            max_frequency=HIGHEST,
            sampling_rate=SAMPLING_RATE,
            norm="slaney",
            mel_scale="slaney",
        )

    def __call__(self, waveforms: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return ``(1, frame, band)`` per waveform ``(time,)``."""
        return [self._frames(waveform) for waveform in waveforms]

    def bytes_needed(self, seconds: float) -> int:
        """Return the memory that one utterance takes while it is computed."""
        spectrum = (WINDOW // 2 + 1) * (8 + 8)  # complex, then its power
        frames = seconds * SAMPLING_RATE / SHIFT
        return int(frames * (spectrum + BANDS * 3 * 8 + SHIFT * 2 * 8))

    def _frames(self, waveform: NDArray[Any]) -> NDArray[np.float32]:
        from transformers.audio_utils import power_to_db, spectrogram

        power = spectrogram(
            waveform,
            self._window,
            frame_length=WINDOW,
            hop_length=SHIFT,
            power=2.0,
            pad_mode="constant",
            mel_filters=self._mels,
            mel_floor=FAINTEST,
        )
        loudest = float(power.max())  # (band, frame); the floor at least
        decibels = power_to_db(
            power, reference=loudest, min_value=FAINTEST, db_range=RANGE
        )
        return decibels.T[None].astype(np.float32)


def load(options: Options) -> LogMel:
    """Make the feature ready.

    Raises:
        ExtractionError: if a dtype is asked for that there is not
    """
    return LogMel(options)
