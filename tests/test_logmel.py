"""Log-mel: equal to a spectrogram that is computed in another way."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from contracts.extraction import Options
from extract import logmel
from tests.test_features import speech, sweep


def hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn Slaney's mels into Hz: linear up to 1 kHz, then 27 to a factor of 6.4."""
    return np.where(mel < 15, mel * 200 / 3, 1_000 * 6.4 ** ((mel - 15) / 27))


def reference(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute ``(frame, band)`` in decibels from the definitions."""
    highest = 15 + 27 * np.log(8) / np.log(6.4)  # mels of 8 kHz
    edges = hertz(np.linspace(20 * 3 / 200, highest, 130))
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    bins = np.arange(513)[:, None] * 16_000 / 1_024
    rise, fall = (bins - low) / (centre - low), (high - bins) / (high - centre)
    bank = np.maximum(0, np.minimum(rise, fall)) * 2 / (high - low)
    padded = np.pad(waveform.astype(np.float64), 512)
    n = 1 + len(waveform) // 256
    window = signal.get_window("hann", 1_024)
    frames = np.stack([padded[256 * t : 256 * t + 1_024] * window for t in range(n)])
    power = np.abs(np.fft.rfft(frames)) ** 2 @ bank
    decibels = 10 * np.log10(np.maximum(power, 1e-10))
    return np.maximum(decibels - decibels.max(), -80)


@pytest.mark.parametrize("n", [400, 16_000, 23_456])
def test_logmel_equals_its_definition(n: int) -> None:
    [got] = logmel.load(Options(dtype="float32"))([sweep(n)])

    assert got.shape == (1, 1 + n // 256, 128)
    np.testing.assert_allclose(got[0], reference(sweep(n)), atol=2e-3)
    assert got.max() == 0
    assert got.min() >= -80


def test_a_tone_is_loudest_in_its_band_and_a_click_at_its_time() -> None:
    time = np.arange(16_000) / 16_000
    tone = (0.1 * np.sin(2 * np.pi * 1_000 * time)).astype(np.float32)
    click = np.zeros(16_000, np.float32)
    click[8_192] = 0.5
    feature = logmel.load(Options())

    [of_tone], [of_click] = feature([tone])[0], feature([click])[0]

    mels = np.linspace(0.3, 15 + 27 * np.log(8) / np.log(6.4), 130)[1:-1]
    band = int(of_tone[30].argmax())
    assert abs(hertz(mels)[band] - 1_000) < 30
    assert int(of_click[:, 60].argmax()) == 8_192 // 256
    assert feature.spec.frame_shift * 32 == 8_192 / 16_000


def test_the_loudest_is_0_and_loudness_does_not_matter() -> None:
    [waveform] = speech(0.6)
    feature = logmel.load(Options())

    loud, soft, silent = feature([waveform, waveform / 8, waveform * 0])

    np.testing.assert_allclose(loud, soft, atol=1e-3)
    assert (silent == 0).all()


def test_options_say_what_is_stored_and_layers_are_no_matter() -> None:
    spec = logmel.load(Options(layers=(6, 7), dtype="float16")).spec
    pooled = logmel.load(Options(store="pooled")).spec

    assert (spec.layers, spec.dtype, spec.keeps) == ((0,), "float16", "frames")
    assert (pooled.dtype, pooled.keeps) == ("float32", "pooled")
