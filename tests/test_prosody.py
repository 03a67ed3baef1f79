"""Prosody: of sounds whose pitch, centroid, energy and rhythm are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from contracts.extraction import Options
from extract import prosody

Array = NDArray[np.float32]
TIME = np.arange(32_000) / 16_000


def told(waveform: NDArray[np.floating]) -> dict[str, float]:
    """Return the numbers of one sound by name."""
    feature = prosody.load(Options())
    [vector] = feature([waveform.astype(np.float32)])
    assert isinstance(feature.spec.channels, tuple)
    return dict(zip(feature.spec.channels, vector.tolist(), strict=True))


def harmonics(hertz: float | NDArray[np.floating], n: int = 12) -> NDArray[np.floating]:
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hertz, TIME.shape)) / 16_000
    return 0.1 * sum(np.sin(k * phase) / k for k in range(1, n))  # type: ignore[return-value]


def noise(seed: int = 0) -> NDArray[np.floating]:
    return 0.1 * np.random.default_rng(seed).standard_normal(len(TIME))


@pytest.mark.parametrize("hertz", [440.0, 1_000.0, 3_500.0])
def test_the_centroid_of_a_tone_is_its_frequency(hertz: float) -> None:
    got = told(0.2 * np.sin(2 * np.pi * hertz * TIME))

    assert got["centroid_hz_mean"] == pytest.approx(hertz, rel=0.02)
    assert got["centroid_hz_deviation"] < 0.01 * hertz
    assert got["rms_mean"] == pytest.approx(0.2 / 2**0.5, rel=0.01)
    assert got["rms_range"] < 0.005


def test_quiet_frames_do_not_shift_the_centroid() -> None:
    tone = 0.2 * np.sin(2 * np.pi * 500 * TIME) * (TIME < 1)

    got = told(tone + noise() * 1e-3)

    assert got["centroid_hz_median"] == pytest.approx(500, rel=0.1)
    assert got["rms_mean"] == pytest.approx(0.1 / 2**0.5, rel=0.03)


@pytest.mark.parametrize("hertz", [110.0, 220.0])
def test_the_pitch_of_harmonics_is_their_fundamental(hertz: float) -> None:
    got = told(harmonics(hertz))

    for statistic in ("mean", "p20", "median", "p80"):
        assert got[f"f0_hz_{statistic}"] == pytest.approx(hertz, rel=0.01)
    semitones = 12 * np.log2(hertz / 27.5)
    assert got["f0_semitone_mean"] == pytest.approx(semitones, abs=0.2)
    assert got["f0_hz_range"] < 2
    assert got["voiced_share"] > 0.95


def test_a_glide_has_the_range_it_runs_through() -> None:
    got = told(harmonics(120 + 40 * TIME))  # 120 to 200 Hz

    assert got["f0_hz_median"] == pytest.approx(160, rel=0.03)
    assert got["f0_hz_p20"] == pytest.approx(136, rel=0.04)
    assert got["f0_hz_range"] == pytest.approx(48, rel=0.1)


def test_half_of_what_is_half_voiced_is_voiced() -> None:
    got = told(harmonics(150.0) * (TIME < 1) + 1e-4 * noise())

    assert got["voiced_share"] == pytest.approx(0.5, abs=0.04)
    assert got["f0_hz_mean"] == pytest.approx(150, rel=0.02)


@pytest.mark.parametrize("rate", [2, 4, 7])
def test_the_rate_of_bursts_is_the_speech_rate(rate: int) -> None:
    bursts = 0.5 - 0.5 * np.cos(2 * np.pi * rate * TIME)

    of_noise, of_voice = told(noise() * bursts), told(harmonics(150.0) * bursts)

    assert of_voice["speech_rate"] == pytest.approx(rate, abs=0.5)
    assert of_noise["speech_rate"] == pytest.approx(rate, abs=0.5)


def test_loudness_and_faint_bursts_do_not_change_the_speech_rate() -> None:
    bursts = noise() * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * TIME))
    faint = np.where(TIME < 1, 1, 10 ** (-30 / 20))

    assert told(bursts)["speech_rate"] == told(bursts / 50)["speech_rate"]
    assert told(bursts * faint)["speech_rate"] == pytest.approx(2, abs=0.5)


def test_steady_sounds_have_one_nucleus_at_most() -> None:
    assert told(harmonics(150.0))["speech_rate"] <= 0.5


def test_what_is_not_defined_of_silence_is_nan() -> None:
    got = told(0 * TIME)

    undefined = {name for name, value in got.items() if np.isnan(value)}
    assert undefined == {n for n in got if n.startswith(("f0_", "centroid_"))}
    assert got["voiced_share"] == got["speech_rate"] == got["rms_mean"] == 0


@pytest.mark.parametrize("n", [400, 512, 959])
def test_short_sounds_have_all_but_pitch(n: int) -> None:
    got = told(harmonics(150.0)[:n])

    undefined = {name for name, value in got.items() if np.isnan(value)}
    assert undefined == {*(n for n in got if n.startswith("f0_")), "voiced_share"}


def test_groups_are_the_kinds() -> None:
    spec = prosody.load(Options()).spec

    assert isinstance(spec.channels, tuple)
    for group, begins in {
        "f0": "f0_",
        "centroid": "centroid_hz_",
        "rms": "rms_",
        "voicing": "voiced_share",
        "rate": "speech_rate",
    }.items():
        assert all(spec.channels[i].startswith(begins) for i in spec.groups[group])
    taken = sorted(i for columns in spec.groups.values() for i in columns)
    assert taken == list(range(spec.n_channels))
