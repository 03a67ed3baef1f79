"""Whisper's encoder: windows of 30 s, cut at the utterance's end, batches exact."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers import (
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
    WhisperForConditionalGeneration,
    WhisperModel,
)

from contracts.errors import ExtractionError
from contracts.extraction import Options
from extract import wav2vec2, whisper
from extract._checkpoint import weights_digest
from extract._untrained import make_untrained_whisper, save_untrained
from extract._whisper import WindowEncoder
from tests.encoders import assert_same, matter, speech

SMALL = {
    "d_model": 32,
    "encoder_layers": 3,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_layers": 1,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 48,
    "vocab_size": 60,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 3,
    "begin_suppress_tokens": None,
}
WINDOW = 480_000  # samples at 16 kHz


def make(kind: type = WhisperForConditionalGeneration, **changes: Any) -> Any:
    """Draw a small model in which every weight matters."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = kind(WhisperConfig(**SMALL | changes)).eval()
        matter(model)
    return model


def encoder_of(model: Any) -> Any:
    return getattr(model, "model", model).encoder


def save(model: Any, folder: Path, bands: int = 80) -> str:
    """Save a model and what prepares its input, and return the folder."""
    model.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=bands).save_pretrained(folder)
    return str(folder)


def load(folder: str, **options: Any) -> whisper.Whisper:
    return whisper.load(Options(encoder=folder, device="cpu", **options))


def transformers_states(
    model: Any, waveform: NDArray[np.float32], bands: int = 80
) -> tuple[NDArray[np.float32], ...]:
    """Ask transformers for the hidden states ``(frame, channel)`` of one window."""
    prepare = WhisperFeatureExtractor(feature_size=bands)
    mel = prepare(waveform, sampling_rate=16_000, return_tensors="pt").input_features
    with torch.inference_mode():
        states = encoder_of(model)(mel, output_hidden_states=True).hidden_states
    return tuple(s[0].numpy() for s in states)


def assert_as_transformers(
    model: Any, got: NDArray[np.float32], waveform: NDArray[np.float32], bands: int = 80
) -> None:
    """Hold ``(layer, frame, channel)`` against transformers, the last norm applied."""
    told = transformers_states(model, waveform, bands)
    n_frames = got.shape[1]
    assert n_frames == -(-len(waveform) // 320)
    assert len(got) == len(told)
    assert_same(got[:-1], np.stack(told[:-1])[:, :n_frames])
    with torch.inference_mode():
        normed = encoder_of(model).layer_norm(torch.from_numpy(got[-1])).numpy()
    assert_same(normed[None], told[-1][None, :n_frames])
    assert np.abs(normed - got[-1]).max() > 0.1


@pytest.mark.parametrize("bands", [80, 128])
def test_hidden_states_are_those_of_transformers_before_the_last_norm(
    bands: int, tmp_path: Path
) -> None:
    model = make(num_mel_bins=bands)
    feature = load(save(model, tmp_path / "e", bands))
    waveforms = speech(1, 400, 12_345, 40_000)

    got = feature(waveforms)

    assert feature.spec.settings["log_mel"]["feature_size"] == bands
    for states, waveform in zip(got, waveforms, strict=True):
        assert not isinstance(states, ExtractionError)
        assert_as_transformers(model, states, waveform, bands)


@pytest.mark.parametrize(
    ("n_samples", "n_frames"),
    [(1, 1), (320, 1), (321, 2), (479_680, 1_499), (479_681, 1_500), (480_000, 1_500)],
)
def test_frames_that_begin_beyond_the_end_are_cut(
    n_samples: int, n_frames: int
) -> None:
    feature = whisper.load(Options(encoder="demo", device="cpu", layers=(0,)))

    [got] = feature(speech(n_samples))

    assert not isinstance(got, ExtractionError)
    assert got.shape == (1, n_frames, 64)
    assert feature.encoder.n_frames(n_samples) == n_frames


def test_a_long_utterance_is_its_windows_joined(tmp_path: Path) -> None:
    model = make()
    feature = load(save(model, tmp_path / "e"))
    [waveform] = speech(2 * WINDOW + 1_000)

    [whole] = feature([waveform])

    assert not isinstance(whole, ExtractionError)
    assert whole.shape == (4, 3_004, 32)
    for start in range(0, len(waveform), WINDOW):
        part = waveform[start : start + WINDOW]
        frames = whole[:, start // 320 : start // 320 + 1_500]
        assert_as_transformers(model, frames, part)


@pytest.mark.slow
@pytest.mark.parametrize(
    "published",
    [
        {
            "d_model": 512,
            "encoder_layers": 6,
            "encoder_attention_heads": 8,
            "encoder_ffn_dim": 2_048,
        },
        {
            "d_model": 1_280,
            "encoder_layers": 32,
            "encoder_attention_heads": 20,
            "encoder_ffn_dim": 5_120,
            "num_mel_bins": 128,
        },
    ],
    ids=["base", "large-v3"],
)
def test_encoders_of_real_size_give_what_transformers_gives(
    published: dict[str, Any], tmp_path: Path, record_property: Callable[..., None]
) -> None:
    model, bands = make(**published), published.get("num_mel_bins", 80)
    feature = load(save(model, tmp_path / "e", bands))
    shutil.rmtree(tmp_path / "e")  # gigabytes
    feature.encoder.batch_windows = 3
    waveforms = speech(400, 30_001, WINDOW - 1)

    got = feature(waveforms)

    for states, waveform in zip(got, waveforms, strict=True):
        assert not isinstance(states, ExtractionError)
        assert_as_transformers(model, states, waveform, bands)
    record_property("comparisons", len(got) * (published["encoder_layers"] + 1))


@settings(max_examples=8, deadline=None)
@given(
    lengths=st.lists(
        st.one_of(
            st.integers(1, 40_000),
            st.integers(WINDOW - 500, WINDOW + 500),
            st.integers(2 * WINDOW, 2 * WINDOW + 9_000),
        ),
        min_size=1,
        max_size=4,
    ),
    batch_windows=st.integers(1, 6),
    layers=st.sets(st.integers(0, 4), min_size=1),
    seed=st.integers(0, 2),
)
def test_any_batch_equals_each_utterance_alone(
    lengths: list[int], batch_windows: int, layers: set[int], seed: int
) -> None:
    model, preparing = make_untrained_whisper(seed), WhisperFeatureExtractor()
    encoder = WindowEncoder(model, preparing, sorted(layers), batch_windows)
    waveforms = speech(*lengths, seed=seed)

    got = encoder(waveforms)

    for states, waveform in zip(got, waveforms, strict=True):
        assert len(states) == len(layers)
        assert_same(states, encoder.alone(waveform))


def test_layers_above_the_highest_asked_for_are_not_run(tmp_path: Path) -> None:
    folder = save(make(), tmp_path / "e")
    waveforms = speech(8_000)

    every, some = load(folder), load(folder, layers=(2, 0))

    assert some.spec.layers == (0, 2)
    assert len(some.encoder.model.layers) == 2
    assert np.array_equal(some(waveforms)[0], every(waveforms)[0][[0, 2]])
    assert np.array_equal(some.alone(waveforms[0]), every.alone(waveforms[0])[[0, 2]])
    assert some.spec.settings == every.spec.settings
    with pytest.raises(ExtractionError, match="expected some of 0 to 3"):
        load(folder, layers=(4,))


def as_bin(model: Any, folder: Path) -> None:
    save(model, folder)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


def as_shards(model: Any, folder: Path) -> None:
    save(model, folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    assert len(list(folder.glob("*.safetensors"))) > 2


@pytest.mark.parametrize("write", [save, as_bin, as_shards])
@pytest.mark.parametrize("kind", [WhisperModel, WhisperForConditionalGeneration])
def test_of_any_layout_the_encoder_alone_is_loaded_to_the_bit(
    kind: type, write: Callable[[Any, Path], Any], tmp_path: Path
) -> None:
    model = make(kind)
    write(model, tmp_path / "e")

    feature = load(str(tmp_path / "e"))

    expected = encoder_of(model).state_dict()
    got = feature.encoder.model.state_dict()
    assert got.keys() == expected.keys()
    assert all(torch.equal(got[k], expected[k]) for k in expected)
    assert feature.spec.settings["weights"] == weights_digest(encoder_of(model))
    assert feature.spec.provenance["fine_tuned"] == ""
    assert not feature.spec.untrained


def test_missing_weights_are_refused_by_name(tmp_path: Path) -> None:
    model = make()
    gone = "model.encoder.layers.1.fc2.weight"
    weights = {k: v for k, v in model.state_dict().items() if k != gone}
    save(model, tmp_path / "e")
    model.save_pretrained(tmp_path / "e", state_dict=weights)

    with pytest.raises(ExtractionError, match=r"got none for layers\.1\.fc2\.weight"):
        load(str(tmp_path / "e"))


def test_a_classifier_is_announced_as_fine_tuned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make(WhisperForAudioClassification)

    feature = load(save(model, tmp_path / "e"))

    told = "classification (WhisperForAudioClassification)"
    assert feature.spec.provenance["fine_tuned"] == told
    assert f"was fine-tuned for {told}" in capsys.readouterr().err


def test_each_feature_names_the_other_for_its_encoders(tmp_path: Path) -> None:
    mine = save(make(), tmp_path / "whisper")
    save_untrained(tmp_path / "w", geometry="demo")

    with pytest.raises(ExtractionError, match="got whisper. Use it with --feature whi"):
        wav2vec2.load(Options(encoder=mine))
    with pytest.raises(
        ExtractionError, match="expected whisper, got wav2vec2. Use it with --feature w"
    ):
        load(str(tmp_path / "w"))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"feature_size": 128}, "expected 80 mel bands, got 128"),
        ({"chunk_length": 10}, "expected 3000 frames, got 1000"),
        ({"dither": 0.1}, r"expected 0 dither, got 0\.1"),
        ({"sampling_rate": 32_000}, "expected 16000 Hz, got 32000 Hz"),
    ],
)
def test_a_spectrogram_that_does_not_fit_is_refused(
    told: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    folder = save(make(), tmp_path / "e")
    path = tmp_path / "e" / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | told))

    with pytest.raises(ExtractionError, match=expected) as caught:
        load(folder)

    assert "--encoder FOLDER" in str(caught.value)


def test_published_preprocessors_and_none_at_all_give_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save(make(), tmp_path / "e")
    path = tmp_path / "e" / "preprocessor_config.json"
    plain = load(folder)
    assert capsys.readouterr().err == ""
    older = {"mel_filters": np.zeros((80, 201)).tolist()}  # in openai's own, not used
    path.write_text(json.dumps(json.loads(path.read_text()) | older))
    published = load(folder)
    path.unlink()
    assumed = load(folder)

    said = capsys.readouterr().err
    assert "no preprocessor_config.json: a spectrogram of 80 mel bands" in said
    waveforms = speech(5_000)
    for other in (published, assumed):
        assert other.spec.fingerprint == plain.spec.fingerprint
        assert np.array_equal(other(waveforms)[0], plain(waveforms)[0])


def test_the_demo_is_small_and_says_that_it_is_untrained() -> None:
    feature = whisper.load(Options(encoder="demo", device="cpu"))

    assert feature.spec.untrained
    assert feature.spec.layers == (0, 1, 2, 3, 4)
    assert feature.spec.frame_shift == 0.02
    assert feature.spec.settings["weights"] == weights_digest(make_untrained_whisper())


def test_a_waveform_without_a_sample_gets_an_error_of_its_own() -> None:
    feature = whisper.load(Options(encoder="demo", device="cpu", layers=(1,)))

    first, second = feature([np.zeros(0, np.float32), *speech(400)])

    assert "expected at least 1 sample" in str(first)
    assert not isinstance(second, ExtractionError)
    assert second.shape == (1, 2, 64)
