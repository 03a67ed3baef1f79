"""Features by openSMILE are openSMILE's own numbers, at the times they say."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from contracts.errors import ExtractionError
from contracts.extraction import Options
from contracts.feature import FeatureSpec
from extract import compare16, egemaps, egemaps_lld, egemaps_lld_20ms
from extract._audio import RESAMPLER
from tests.test_features import speech

PITCH = "F0semitoneFrom27.5Hz_sma3nz"


def smile(feature_set: str, level: str) -> Any:
    import opensmile

    return opensmile.Smile(
        opensmile.FeatureSet[feature_set], opensmile.FeatureLevel[level]
    )


def at(name: str) -> int:
    """Return the position of a low-level descriptor."""
    channels = egemaps_lld.load(Options()).spec.channels
    assert isinstance(channels, tuple)
    return channels.index(name)


# functionals


def test_egemaps_equal_a_fresh_opensmile_and_hold_the_pitch() -> None:
    import opensmile

    waveforms = speech(1.0, 1.2, 0.8)
    fresh = opensmile.Smile(
        opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals
    )

    feature = egemaps.load(Options())
    got = feature(waveforms)

    assert feature.spec.n_channels == 88
    pitch = list(feature.spec.channels).index("F0semitoneFrom27.5Hz_sma3nz_amean")
    for i, waveform in enumerate(waveforms):
        frame = fresh.process_signal(waveform, 16_000)
        assert tuple(frame.columns) == feature.spec.channels
        np.testing.assert_array_equal(got[i], frame.to_numpy()[0])
        hertz = 110 + 20 * i
        assert abs(got[i][pitch] - 12 * np.log2(hertz / 27.5)) < 2


@pytest.mark.parametrize("milliseconds", [25, 50])
def test_egemaps_of_very_short_waveforms_are_nan_without_a_warning(
    milliseconds: int, recwarn: pytest.WarningsRecorder
) -> None:
    short, whole = egemaps.load(Options())(speech(milliseconds / 1_000, 0.5))

    assert np.isnan(short).all()
    assert np.isfinite(whole).all()
    assert not [w for w in recwarn if "too short" in str(w.message)]


def test_egemaps_do_not_wrap_round_beyond_full_scale() -> None:
    [waveform] = speech(1.0)
    at_full_scale = np.clip(waveform * 20, -1, 1 - 2**-15)
    assert (np.abs(at_full_scale) >= 1 - 2**-15).any()

    limited, beyond = egemaps.load(Options())([at_full_scale, waveform * 20])

    np.testing.assert_array_equal(limited, beyond)


def test_egemaps_fingerprint_is_that_of_what_caches_hold() -> None:
    import opensmile

    spec = egemaps.load(Options()).spec

    settings = {
        "version": 1,
        "set": "eGeMAPSv02",
        "level": "functionals",
        "opensmile": opensmile.__version__,
        "samples": "16 bit, limited to full scale",
        "audio": RESAMPLER,
    }
    names = tuple(smile("eGeMAPSv02", "Functionals").feature_names)
    assert spec == FeatureSpec("egemaps", settings, names)
    if opensmile.__version__ == "2.6.0":
        digits = "e66bc798a849fec25ba3b15decbe7a5f51b2b1eff58c7bf27e83b8c44eedfb2f"
        assert spec.fingerprint == digits


def test_compare16_equal_a_fresh_opensmile() -> None:
    waveforms = speech(0.8, 1.1)
    fresh = smile("ComParE_2016", "Functionals")

    feature = compare16.load(Options())
    got = feature([*waveforms, np.zeros(400, np.float32)])

    assert feature.spec.n_channels == 6373
    for vector, waveform in zip(got, waveforms, strict=False):
        frame = fresh.process_signal(waveform, 16_000)
        assert tuple(frame.columns) == feature.spec.channels
        np.testing.assert_array_equal(vector, frame.to_numpy()[0])
    assert np.isnan(got[2]).all()


# low-level descriptors


def test_descriptors_equal_a_fresh_opensmile() -> None:
    waveforms = speech(1.0, 0.7)
    fresh = smile("eGeMAPSv02", "LowLevelDescriptors")

    feature = egemaps_lld.load(Options(dtype="float16"))

    assert (feature.spec.dtype, feature.spec.frame_shift) == ("float32", 0.01)
    for given, waveform in zip(feature(waveforms), waveforms, strict=True):
        frame = fresh.process_signal(waveform, 16_000)
        assert tuple(frame.columns) == feature.spec.channels
        assert not isinstance(given, ExtractionError)
        assert given.shape == (1, (len(waveform) - 960) // 160 + 2, 25)
        np.testing.assert_array_equal(given[0], frame.to_numpy())


@pytest.mark.parametrize("n", [400, 959, 960])
def test_descriptors_say_that_a_waveform_is_too_short(n: int) -> None:
    noise = np.random.default_rng(0).standard_normal(n).astype(np.float32) / 9

    for module in (egemaps_lld, egemaps_lld_20ms):
        [given] = module.load(Options())([noise])

        if n == 960:
            assert not isinstance(given, ExtractionError)
            assert given.shape == (1, 2, 25)
        else:
            why = f"too short: expected at least 960 samples at 16 kHz, got {n}"
            assert str(given) == why


def onset(seconds: float) -> NDArray[np.float32]:
    """Return two seconds of faint noise with a harmonic tone from then on."""
    time = np.arange(32_000) / 16_000
    tone = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 12))
    noise = np.random.default_rng(0).standard_normal(len(time))
    return (0.1 * tone * (time >= seconds) + 1e-4 * noise).astype(np.float32)


@pytest.mark.parametrize("milliseconds", [500, 810])
def test_descriptors_lie_at_the_times_they_say(milliseconds: int) -> None:
    [given] = egemaps_lld.load(Options())([onset(milliseconds / 1_000)])
    assert not isinstance(given, ExtractionError)
    loudness, pitch = given[0, :, at("Loudness_sma3")], given[0, :, at(PITCH)]

    # half of the loudness is reached by the frame whose centre 10 t + 10 is the onset
    half = loudness.max() / 2
    first = int(np.argmax(loudness > half))
    assert abs(10 * first + 10 - milliseconds) <= 10
    # pitch is found from the frame on whose centre 10 t + 30 is the onset
    assert abs(10 * int(np.argmax(pitch > 0)) + 30 - milliseconds) <= 10


@pytest.mark.parametrize("milliseconds", [500, 810])
def test_descriptors_of_20_ms_line_up_with_the_frames_of_wav2vec2(
    milliseconds: int,
) -> None:
    waveform = onset(milliseconds / 1_000)
    [fine] = egemaps_lld.load(Options())([waveform])
    feature = egemaps_lld_20ms.load(Options())

    [given] = feature([waveform])

    assert feature.spec.frame_shift == 0.02
    assert not isinstance(given, ExtractionError)
    assert not isinstance(fine, ExtractionError)
    assert given.shape == (1, 99, 25)  # as wav2vec2 has of 32000 samples
    for t in (0, 25, 97):
        np.testing.assert_allclose(given[0, t], fine[0, 2 * t : 2 * t + 2].mean(0))
    # centre of what a frame of wav2vec2 sees, 20 t + 12.5 ms: the step falls into it
    loudness = given[0, :, at("Loudness_sma3")]
    centre = 20 * int(np.argmax(loudness > loudness.max() / 2)) + 12.5
    assert abs(centre - milliseconds) <= 20


@pytest.mark.parametrize("n", [960, 1_040, 16_000, 16_079, 16_080, 16_159, 47_777])
def test_there_are_as_many_frames_as_wav2vec2_has(n: int) -> None:
    import torch

    noise = np.random.default_rng(0).standard_normal(n).astype(np.float32) / 9
    length = torch.tensor(n)
    for kernel, stride in zip((10, 3, 3, 3, 3, 2, 2), (5, *[2] * 6), strict=True):
        length = (length - kernel) // stride + 1

    [given] = egemaps_lld_20ms.load(Options())([noise])

    assert not isinstance(given, ExtractionError)
    assert given.shape[1] == int(length)


def test_the_last_frame_is_repeated_where_there_are_too_few() -> None:
    frames = np.arange(6, dtype=np.float32).reshape(3, 2)

    got = egemaps_lld_20ms.pairs(frames, 400 + 2 * 320)

    assert got.tolist() == [[1, 2], [4, 5], [4, 5]]
