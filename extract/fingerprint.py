"""Fingerprint: coarse log-mel frames, to know a recording again encoded anew.

Not for models: ``inspect --near-duplicates`` compares them. Power spectrum of Hann
windows of 128 ms every 32 ms, centred with zeros around, in 40 bands of equal width on
Slaney's mel scale from 250 to 3400 Hz: what a telephone and a codec of 8 kbit/s still
carry. Decibels from 0 (the loudest of the utterance) down to -25, so that neither gain
nor the noise between words counts. Digital silence is 0 throughout.

Axes: ``(layer, frame, channel)``, one layer, 40 bands from low to high, stored as
float16 whatever ``--dtype`` and ``--store`` say: 2.5 kB for each second of audio.

Source: after Haitsma and Kalker, A highly robust audio fingerprinting system, ISMIR
2002, but with the decibels themselves in place of the signs of their differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.extraction import SAMPLING_RATE, Options
from contracts.feature import FeatureSpec
from extract._audio import RESAMPLER

BANDS = 40
WINDOW, SHIFT = 2048, 512  # samples
LOWEST, HIGHEST = 250.0, 3_400.0  # Hz
RANGE = 25.0  # decibels below the loudest
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
_AT_ONCE = 1024  # frames, so that long recordings take little memory


class Fingerprint:
    """Fingerprints of waveforms, one by one."""

    device = "cpu"

    def __init__(self) -> None:
        from transformers.audio_utils import mel_filter_bank, window_function

        self.spec = FeatureSpec(
            name="fingerprint",
            settings=SETTINGS,
            channels=BANDS,
            layers=(0,),
            dtype="float16",
            frame_shift=SHIFT / SAMPLING_RATE,
        )
        self._window = window_function(WINDOW, "hann").astype(np.float32)
        self._mels = mel_filter_bank(
            num_frequency_bins=WINDOW // 2 + 1,
            num_mel_filters=BANDS,
            min_frequency=LOWEST,
            max_frequency=HIGHEST,
            sampling_rate=SAMPLING_RATE,
            norm=None,
            mel_scale="slaney",
        ).astype(np.float32)

    def __call__(self, waveforms: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return ``(1, frame, band)`` per waveform ``(time,)``."""
        return [self._frames(waveform) for waveform in waveforms]

    def bytes_needed(self, seconds: float) -> int:
        """Return the memory that one utterance takes while it is computed."""
        frames = seconds * SAMPLING_RATE / SHIFT
        at_once = min(frames, _AT_ONCE) * (WINDOW * 4 + (WINDOW // 2 + 1) * (16 + 8))
        return int(at_once + frames * (BANDS * 3 * 8 + SHIFT * 2 * 4))

    def _frames(self, waveform: NDArray[Any]) -> NDArray[np.float32]:
        padded = np.pad(waveform.astype(np.float32, copy=False), WINDOW // 2)
        windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::SHIFT]
        power = np.concatenate(
            [
                np.abs(np.fft.rfft(windows[i : i + _AT_ONCE] * self._window)) ** 2
                @ self._mels
                for i in range(0, len(windows), _AT_ONCE)
            ]
        )  # (frame, band)
        decibels = 10 * np.log10(np.maximum(power, FAINTEST))
        return np.maximum(decibels - decibels.max(), -RANGE)[None].astype(np.float32)


def load(options: Options) -> Fingerprint:
    """Make the feature ready; no option concerns it."""
    return Fingerprint()
