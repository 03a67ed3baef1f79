"""The battery: what every feature in extract/ must do, found by its file."""

import ast
import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from contracts import plugins
from contracts.errors import ExtractionError
from contracts.extraction import Extractor, Options
from contracts.feature import FeatureSpec
from extract import _audio, mfcc
from tests.encoders import values

NAMES = plugins.names("features")
HEARING = [name for name in NAMES if name != "external"]  # which comes from a file
HEAVY = {"torch", "transformers", "opensmile", "soundfile", "soxr", "scipy"}


def speech(*seconds: float) -> list[NDArray[np.float32]]:
    """Make sounds with a pitch, harmonics and some noise, each of its own."""
    rng = np.random.default_rng(0)
    out = []
    for i, length in enumerate(seconds):
        time = np.arange(round(16_000 * length)) / 16_000
        phase = 2 * np.pi * (110 + 20 * i) * (time + 0.05 * time**2)
        tone = sum(np.sin(k * phase) / k for k in range(1, 12))
        noise = rng.standard_normal(len(time))
        loudness = 0.05 + 0.02 * np.sin(6 * time)
        out.append((loudness * tone + 0.002 * noise).astype(np.float32))
    return out


@pytest.fixture(scope="module", params=HEARING)
def feature(request: pytest.FixtureRequest) -> Extractor:
    """Load each feature once."""
    loaded: Extractor = plugins.load("features", request.param).load(
        Options(encoder="demo", device="cpu", dtype="float32")
    )
    return loaded


def arrays(feature: Extractor, waveforms: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Compute, and have no errors among the arrays."""
    return [values(given) for given in feature(waveforms)]


@pytest.mark.parametrize("name", NAMES)
def test_a_feature_says_what_it_is_and_imports_little(name: str) -> None:
    path = Path(plugins.__file__).parents[1] / "extract" / f"{name}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))

    text = ast.get_docstring(tree) or ""
    assert len(text) > 200
    assert "Source:" in text
    assert len(plugins.summary("features", name)) < 80
    imported = {
        alias.name.partition(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in (
            node.names
            if isinstance(node, ast.Import)
            else [ast.alias(node.module or "")]
        )
    }
    assert not imported & HEAVY


def test_a_spec_survives_json(feature: Extractor) -> None:
    text = json.dumps(feature.spec.to_json())

    back = FeatureSpec.from_json(json.loads(text))

    assert back.fingerprint == feature.spec.fingerprint
    assert (back.n_channels, back.layers) == (
        feature.spec.n_channels,
        feature.spec.layers,
    )
    assert back.name == feature.spec.name in HEARING


def test_a_fingerprint_does_not_depend_on_device_or_name(feature: Extractor) -> None:
    module = plugins.load("features", feature.spec.name)

    for device in ("auto", "cpu"):
        again = module.load(Options(encoder="demo", device=device, dtype="float32"))
        assert again.spec.fingerprint == feature.spec.fingerprint
        assert again.device in ("cpu", "cuda")
    text = json.dumps(feature.spec.settings)
    assert "demo" not in text
    assert "cpu" not in text


def test_settings_name_version_and_resampler(feature: Extractor) -> None:
    assert isinstance(feature.spec.settings["version"], int)
    assert feature.spec.settings["audio"] == _audio.RESAMPLER


def test_channels_and_groups_are_there(feature: Extractor) -> None:
    spec = feature.spec
    if spec.is_table:
        assert isinstance(spec.channels, tuple)
        assert len(set(spec.channels)) == spec.n_channels
        assert spec.dtype == "float32"
        assert spec.frame_shift == 0
    else:
        assert spec.dtype in ("float16", "float32")
        assert spec.frame_shift > 0
    for columns in spec.groups.values():
        assert set(columns) <= set(range(spec.n_channels))


def test_a_call_gives_what_the_spec_says(feature: Extractor) -> None:
    spec, waveforms = feature.spec, speech(1.0, 0.5, 2.0)

    out = arrays(feature, waveforms)

    assert len(out) == 3
    for array, waveform in zip(out, waveforms, strict=True):
        assert array.dtype == np.float32
        assert np.isfinite(array).all()
        if spec.is_table:
            assert array.shape == (spec.n_channels,)
        else:
            layers, frames, channels = array.shape
            assert (layers, channels) == (len(spec.layers), spec.n_channels)
            assert abs(frames * spec.frame_shift - len(waveform) / 16_000) < 0.05
    assert feature([]) == []


def test_a_waveform_gives_the_same_among_any_others(feature: Extractor) -> None:
    waveforms = speech(0.7, 1.3, 0.4, 0.7)
    kept = [waveform.copy() for waveform in waveforms]
    alone = [arrays(feature, [waveform])[0] for waveform in waveforms]

    together = arrays(feature, waveforms)
    reversed_ = arrays(feature, waveforms[::-1])[::-1]

    for one, some, other in zip(alone, together, reversed_, strict=True):
        np.testing.assert_allclose(some, one, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5)
    assert not np.array_equal(alone[0], alone[3])
    for before, after in zip(kept, waveforms, strict=True):
        assert np.array_equal(before, after)


def test_the_shortest_and_the_silent_waveform_give_an_array_or_a_reason(
    feature: Extractor,
) -> None:
    [short] = speech(0.025)

    out = feature([short, np.zeros(16_000, np.float32), *speech(0.5)])

    assert len(out) == 3
    for given in out[:2]:
        if isinstance(given, ExtractionError):
            assert "expected" in str(given)
        else:
            assert values(given).dtype == np.float32
            assert values(given).shape[-1] == feature.spec.n_channels
            assert values(given).size
    assert np.isfinite(arrays(feature, speech(0.5))[0]).all()
    assert not isinstance(out[2], ExtractionError)
    whole = arrays(feature, speech(0.5))[0]
    np.testing.assert_allclose(values(out[2]), whole, atol=1e-5)


# MFCC


def sweep(n: int) -> NDArray[np.float32]:
    """Return the sound that the reference numbers are of."""
    time = np.arange(n) / 16_000
    tone = np.sin(2 * np.pi * (200 + 300 * time) * time) * np.minimum(1, 4 * time)
    return (0.3 * tone + 0.01 * np.sin(2 * np.pi * 3_000 * time)).astype(np.float32)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (400, [-402.85776, 91.80307, 5.0804033, -22.774952, -3.8535638, 0, 0, 0, 0, 0]),
        (
            16_000,
            [
                -503.28992,
                50.211723,
                21.047375,
                -17.107164,
                -8.0461159,
                62.436184,
                28.561619,
                17.621437,
                31.181065,
                3.181829,
            ],
        ),
        (
            23_456,
            [
                -511.36438,
                40.513161,
                6.9079595,
                -8.0708895,
                -8.3150625,
                45.026176,
                12.482878,
                26.931408,
                31.593246,
                2.8971841,
            ],
        ),
    ],
)
def test_mfcc_equal_those_of_librosa(n: int, expected: list[float]) -> None:
    # librosa 0.11.0: m = librosa.feature.mfcc(y=sweep(n), sr=16000, n_mfcc=40), then
    # m.mean(1) and m.std(1) of coefficients 0, 1, 2, 13 and 39
    [got] = mfcc.load(Options())([sweep(n)])

    chosen = got[[0, 1, 2, 13, 39, 40, 41, 42, 53, 79]]

    np.testing.assert_allclose(chosen, expected, rtol=1e-5, atol=2e-4)


def test_mfcc_groups_are_mean_and_deviation() -> None:
    spec = mfcc.load(Options()).spec

    assert isinstance(spec.channels, tuple)
    assert [spec.channels[i] for i in spec.groups["mean"]][::39] == [
        "mfcc_0_mean",
        "mfcc_39_mean",
    ]
    assert all(spec.channels[i].endswith("deviation") for i in spec.groups["deviation"])


def test_features_are_found_by_their_files() -> None:
    assert {"egemaps", "mfcc", "wav2vec2", "external"} <= set(NAMES)
    for name in NAMES:
        assert hasattr(importlib.import_module(f"extract.{name}"), "load")
