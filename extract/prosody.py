"""Prosody: pitch, spectral centroid, energy, voicing and speech rate.

For a look at what a person does with the voice, in units that can be read:

- ``f0_hz`` and ``f0_semitone`` (above 27.5 Hz): pitch of the voiced frames, openSMILE's
  own of eGeMAPSv02 (sub-harmonic summation, 60 ms every 10 ms, smoothed over three);
- ``centroid_hz``: mean frequency, weighted by magnitude, of Hann windows of 32 ms every
  10 ms that are at most 40 dB below the loudest one: noise between words is left out;
- ``rms``: root mean square of the same windows of 32 ms, where full scale is 1;
- ``voiced_share``: share of openSMILE's frames that have a pitch, 0 to 1;
- ``speech_rate``: syllable nuclei per second of the utterance, pauses included. An
  estimate after de Jong and Wempe: peaks of the intensity (64 ms Hann) that stand 2 dB
  above the dips beside them and at most 25 dB below the loudest. Unlike theirs, a peak
  need not be voiced, so that whispered syllables count.

Of each of the first four: mean, population standard deviation, 20th, 50th and 80th
percentile and, as ``range``, the third less the first of these. Groups: ``f0``,
``centroid``, ``rms``, ``voicing``, ``rate``. What is not defined is NaN: pitch where
nothing is voiced, the centroid of digital silence, pitch and voicing of what is too
short for openSMILE (less than 60 ms).

Channels: 26, one vector per utterance.

Source: de Jong and Wempe, Praat script to detect syllable nuclei and measure speech
rate automatically, Behavior Research Methods 41(2), 2009; Eyben et al., GeMAPS, IEEE
TAC 7(2), 2016. openSMILE's licence allows research and teaching, not commercial use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.extraction import SAMPLING_RATE, Options
from contracts.feature import FeatureSpec
from extract._smile import Smile

VERSION = 1
PITCH = "F0semitoneFrom27.5Hz_sma3nz"
WINDOW, SHIFT = 512, 160  # samples
NUCLEUS = 1_024  # samples of the window that the intensity is smoothed by
QUIET = 40.0  # dB below the loudest frame: no centroid beyond
DIP, FAINT = 2.0, 25.0  # dB: how far a nucleus stands out, and below the loudest
STATISTICS = ("mean", "deviation", "p20", "median", "p80", "range")
KINDS = ("f0_hz", "f0_semitone", "centroid_hz", "rms")
GROUPS = {
    "f0": tuple(range(12)),
    "centroid": tuple(range(12, 18)),
    "rms": tuple(range(18, 24)),
    "voicing": (24,),
    "rate": (25,),
}
Numbers = NDArray[np.float64]


class Prosody:
    """Prosody of waveforms."""

    device = "cpu"

    def __init__(self) -> None:
        self._smile = Smile("eGeMAPSv02", "low-level descriptors")
        self._pitch = self._smile.names.index(PITCH)
        windows = {
            "window": WINDOW,
            "shift": SHIFT,
            "nucleus": NUCLEUS,
            "decibels": {"quiet": QUIET, "dip": DIP, "faint": FAINT},
        }
        each = tuple(f"{kind}_{s}" for kind in KINDS for s in STATISTICS)
        self.spec = FeatureSpec(
            name="prosody",
            settings=self._smile.settings(VERSION) | windows,
            channels=(*each, "voiced_share", "speech_rate"),
            groups=GROUPS,
        )

    def __call__(self, waveforms: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return one vector ``(channel,)`` per waveform ``(time,)``."""
        found = self._smile(waveforms)
        return [
            self._vector(waveform.astype(np.float64), frames[:, self._pitch])
            for waveform, frames in zip(waveforms, found, strict=True)
        ]

    def bytes_needed(self, seconds: float) -> int:
        """Return the memory that one utterance takes while it is computed."""
        frames = seconds * SAMPLING_RATE / SHIFT
        return int(frames * (WINDOW * 3 * 8 + SHIFT * 6 * 8))

    def _vector(self, waveform: Numbers, pitch: NDArray[Any]) -> NDArray[np.float32]:
        """Join what is measured of one; ``pitch`` in semitones, 0 without voice."""
        voiced = pitch[pitch > 0].astype(np.float64)
        share = np.nan if np.isnan(pitch).any() else np.mean(pitch > 0)
        centroids, levels = spectral(waveform)
        parts = [
            *statistics(27.5 * 2 ** (voiced / 12)),
            *statistics(voiced),
            *statistics(centroids),
            *statistics(levels),
        ]
        return np.array([*parts, share, speech_rate(waveform)], np.float32)


def statistics(values: Numbers) -> list[float]:
    """Return ``STATISTICS`` of some values ``(n,)``; NaN of none."""
    if not len(values):
        return [np.nan] * len(STATISTICS)
    low, middle, high = np.percentile(values, (20, 50, 80))
    return [values.mean(), values.std(), low, middle, high, high - low]


def spectral(waveform: Numbers) -> tuple[Numbers, Numbers]:
    """Return centroids in Hz of the frames that are not quiet, and every frame's RMS.

    A waveform that is shorter than a window has zeros behind it.
    """
    padded = np.pad(waveform, (0, max(0, WINDOW - len(waveform))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::SHIFT]
    levels = np.sqrt(np.mean(frames**2, axis=1))
    loud = levels > levels.max() * 10 ** (-QUIET / 20)  # none in digital silence
    window = np.hanning(WINDOW + 1)[:-1]
    magnitudes = np.abs(np.fft.rfft(frames[loud] * window))
    hertz, total = np.fft.rfftfreq(WINDOW, 1 / SAMPLING_RATE), magnitudes.sum(axis=1)
    heard = total > 0  # the window hides a lone first sample
    return magnitudes[heard] @ hertz / total[heard], levels


def speech_rate(waveform: Numbers) -> float:
    """Return syllable nuclei per second, an estimate; 0 in digital silence."""
    from scipy.signal import fftconvolve

    window = np.hanning(NUCLEUS + 1)[:-1]
    power = fftconvolve(waveform**2, window / window.sum(), mode="same")[::SHIFT]
    loudest = power.max()
    if loudest <= 0:
        return 0.0
    floor = loudest * 1e-10  # rounding leaves powers below 0
    intensity = 10 * np.log10(np.maximum(power, floor) / loudest)
    return _count_nuclei(intensity) * SAMPLING_RATE / len(waveform)


def _count_nuclei(intensity: Numbers) -> int:
    """Count peaks of decibels ``(n,)`` with dips beside them, the ends being dips."""
    n, low, high, rises = 0, -np.inf, -np.inf, False
    for level in [*intensity.tolist(), -np.inf]:
        if rises:
            high = max(high, level)
            if level < high - DIP:
                n += high >= -FAINT
                low, rises = level, False
        else:
            low = min(low, level)
            if level > low + DIP:
                high, rises = level, True
    return n


def load(options: Options) -> Prosody:
    """Make the feature ready; no option concerns it."""
    return Prosody()
