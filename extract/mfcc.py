"""MFCC: mean and standard deviation over time of 40 coefficients.

The numbers are those of ``librosa.feature.mfcc(y, sr=16000, n_mfcc=40)`` with its
defaults: power spectrum of Hann windows of 2048 samples every 512 samples, centred
with zeros around, 128 Slaney mels up to 8 kHz, decibels to at most 80 below the
loudest of the utterance, orthonormal DCT-II. Computed with transformers and SciPy.

Channels: 80, one vector per utterance. Groups ``mean`` and ``deviation`` (population
standard deviation), 40 each.

Source: Davis and Mermelstein, Comparison of parametric representations for
monosyllabic word recognition, IEEE TASSP 28(4), 1980.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.extraction import SAMPLING_RATE, Options
from contracts.feature import FeatureSpec
from extract._audio import RESAMPLER

N_COEFFICIENTS = 40
SETTINGS = {
    "version": 1,
    "coefficients": N_COEFFICIENTS,
    "mels": 128,
    "mel_scale": "slaney",
    "window": 2048,  # samples
    "shift": 512,  # samples
    "decibel_range": 80,
    "audio": RESAMPLER,
}


class Mfcc:
    """MFCC of waveforms, one by one."""

    device = "cpu"

    def __init__(self) -> None:
        from transformers.audio_utils import mel_filter_bank, window_function

        self.spec = FeatureSpec(
            name="mfcc",
            settings=SETTINGS,
            channels=tuple(
                f"mfcc_{i}_{statistic}"
                for statistic in ("mean", "deviation")
                for i in range(N_COEFFICIENTS)
            ),
            groups={
                "mean": tuple(range(N_COEFFICIENTS)),
                "deviation": tuple(range(N_COEFFICIENTS, 2 * N_COEFFICIENTS)),
            },
        )
        self._window = window_function(2048, "hann")
        self._mels = mel_filter_bank(
            num_frequency_bins=1025,
            num_mel_filters=128,
            min_frequency=0.0,
            max_frequency=SAMPLING_RATE / 2,
            sampling_rate=SAMPLING_RATE,
            norm="slaney",
            mel_scale="slaney",
        )

    def __call__(self, waveforms: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return one vector ``(channel,)`` per waveform ``(time,)``."""
        return [self._vector(waveform) for waveform in waveforms]

    def _vector(self, waveform: NDArray[Any]) -> NDArray[np.float32]:
        from scipy.fft import dct
        from transformers.audio_utils import power_to_db, spectrogram

        power = spectrogram(
            waveform,
            self._window,
            frame_length=2048,
            hop_length=512,
            power=2.0,
            pad_mode="constant",
            mel_filters=self._mels,
        )
        decibels = power_to_db(power, reference=1.0, min_value=1e-10, db_range=80.0)
        coefficients = dct(decibels, axis=0, norm="ortho")[:N_COEFFICIENTS]
        statistics = [coefficients.mean(axis=1), coefficients.std(axis=1)]
        return np.concatenate(statistics).astype(np.float32)


def load(options: Options) -> Mfcc:
    """Make the feature ready."""
    return Mfcc()
