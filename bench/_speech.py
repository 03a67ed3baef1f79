"""Signals like speech, as long as the recordings of RAVDESS, for the benches."""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SR = 16_000  # Hz
_SHORTEST, _MEAN, _DEVIATION, _LONGEST = 2.94, 3.70, 0.34, 5.27  # s, of RAVDESS


def lengths(n: int, seed: int = 0) -> list[int]:
    """Draw the lengths of ``n`` utterances, in samples."""
    seconds = np.random.default_rng(seed).normal(_MEAN, _DEVIATION, n)
    return [int(s * SR) for s in np.clip(seconds, _SHORTEST, _LONGEST)]


@cache
def utterances(n: int) -> list[NDArray[np.float32]]:
    """Make ``n`` utterances ``(time,)``, always the same ones."""
    return [utterance(length, i) for i, length in enumerate(lengths(n))]


def utterance(n_samples: int, seed: int) -> NDArray[np.float32]:
    """Make one: syllables of voiced pulses with formants, hisses, pauses, noise."""
    rng = np.random.default_rng(seed)
    out = 2e-4 * rng.standard_normal(n_samples)
    pitch = rng.uniform(90, 250)
    at, end = int(0.4 * SR), n_samples - int(0.5 * SR)
    while at < end:
        length = min(int(rng.uniform(0.12, 0.30) * SR), end - at)
        sound = _vowel(length, pitch * rng.uniform(0.85, 1.2), rng)
        if rng.random() < 0.3:
            sound = 0.2 * np.diff(rng.standard_normal(length + 1))
        out[at : at + length] += sound * np.hanning(length)
        at += length + int(rng.choice([0.02, 0.05, 0.2], p=[0.6, 0.3, 0.1]) * SR)
    loud = rng.uniform(0.1, 0.7) / np.abs(out).max()
    return (loud * out).astype(np.float32)


def _vowel(n: int, pitch: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Send glottal pulses ``(time,)`` of a gliding pitch through three resonances."""
    from scipy.signal import lfilter

    glide = pitch * np.linspace(1.0, rng.uniform(0.8, 1.15), n)
    phase = np.cumsum(glide) / SR + rng.uniform()
    sound = np.diff(np.floor(phase), prepend=0.0).clip(0, 1)
    for low, high, width in ((300, 800, 80), (900, 2200, 120), (2300, 3200, 180)):
        radius = np.exp(-np.pi * width / SR)
        angle = 2 * np.pi * rng.uniform(low, high) / SR
        poles = [1.0, -2 * radius * np.cos(angle), radius**2]
        sound = lfilter([1 - radius], poles, sound)
    return sound / max(np.abs(sound).max(), 1e-9)


def write(folder: Path, n: int) -> list[Path]:
    """Write ``n`` utterances as wav files of 16 bit; return their paths."""
    import soundfile

    paths = [folder / f"{i:04d}.wav" for i in range(n)]
    for path, wave in zip(paths, utterances(n), strict=True):
        soundfile.write(path, wave, SR, "PCM_16")
    return paths
