"""The encoder gives what transformers gives for each utterance alone."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    HubertConfig,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)

from contracts.errors import ExtractionError
from contracts.extraction import Options
from contracts.feature import Block, FeatureSpec
from extract import _attention, _convolutions, _encoder, _packed, wav2vec2
from extract._encoder import Encoder, batches
from extract._untrained import make_untrained, save_untrained
from tests.encoders import (
    PUBLISHED,
    alone,
    assert_same,
    matter,
    save_as_hub,
    speech,
    values,
)

N_LAYERS = 12
TINY = {
    "hidden_size": 32,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
STABLE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
MODELS: dict[str, Callable[[], Any]] = {
    "wav2vec2 group norm": lambda: Wav2Vec2Model(Wav2Vec2Config(**TINY)),
    "wav2vec2 stable layer norm": lambda: Wav2Vec2Model(
        Wav2Vec2Config(**TINY, **STABLE)
    ),
    "wav2vec2 with adapters (MMS)": lambda: Wav2Vec2Model(
        Wav2Vec2Config(**TINY, **STABLE, adapter_attn_dim=8)
    ),
    "hubert": lambda: HubertModel(HubertConfig(**TINY)),
    "hubert batch norm": lambda: HubertModel(
        HubertConfig(**TINY, conv_pos_batch_norm=True)
    ),
    "hubert stable layer norm": lambda: HubertModel(HubertConfig(**TINY, **STABLE)),
    "wavlm": lambda: WavLMModel(WavLMConfig(**TINY)),
    "wavlm stable layer norm": lambda: WavLMModel(WavLMConfig(**TINY, **STABLE)),
}


def make(kind: str) -> Any:
    """Make a model in which everything matters: norms, biases, attention."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = MODELS[kind]().eval()
        matter(model)
    return model


@pytest.mark.parametrize("padded", [False, True], ids=["packed", "padded"])
@pytest.mark.parametrize("do_normalize", [True, False])
@pytest.mark.parametrize("kind", MODELS)
def test_every_hidden_state_equals_that_of_the_utterance_alone(
    kind: str, do_normalize: bool, padded: bool
) -> None:
    model = make(kind)
    waveforms = speech(9_000, 400, 16_000, 16_000, 719, 720, 12_345)
    expected = [alone(model, w, do_normalize) for w in waveforms]

    got = Encoder(
        model, do_normalize, range(N_LAYERS + 1), batch_frames=160, padded=padded
    )(waveforms)

    assert len(expected[0]) == N_LAYERS + 1
    for a, b in zip(got, expected, strict=True):
        assert_same(a, b)


@pytest.mark.parametrize("kind", MODELS)
def test_long_utterances_in_tiles_equal_whole_ones(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make(kind)
    [waveform] = speech(32_111)
    expected = alone(model, waveform)
    monkeypatch.setattr(_attention, "QUERY_TILE", 16)

    got = Encoder(model, True, range(N_LAYERS + 1), tile_frames=13)([waveform])[0]

    assert_same(got, expected)
    assert_same(alone(model, waveform), expected)  # the model is as it was


def test_a_layer_that_is_dropped_is_an_error() -> None:
    model = make("hubert")
    model.config.layerdrop = 1.0
    model.train()

    with pytest.raises(ExtractionError, match=r"states 0 to 12, got \[\]"):
        Encoder(model, True, range(N_LAYERS + 1), padded=True)(speech(4_000))


def test_no_tile_hears_more_than_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = []
    whole = _convolutions.Convolution.__call__

    def heard(own: Any, rows: torch.Tensor, *folded: Any) -> torch.Tensor:
        longest.append(len(rows))
        return whole(own, rows, *folded)

    monkeypatch.setattr(_convolutions.Convolution, "__call__", heard)

    Encoder(make("wav2vec2 group norm"), True, [0], tile_frames=10)(speech(32_000))

    assert max(longest) == 9 * 320 + 400


def test_long_utterances_are_packed_where_others_are_padded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make("wavlm")
    waveforms = speech(9_000, 5_000)
    expected = [alone(model, w) for w in waveforms]
    monkeypatch.setattr(_encoder, "PADDED_FRAMES", 20)
    encoder = Encoder(model, True, range(N_LAYERS + 1), padded=True, batch_frames=1)

    got = encoder(waveforms)

    assert encoder._packed is not None
    for a, b in zip(got, expected, strict=True):
        assert_same(a, b)


@pytest.mark.parametrize("norm", ["one group", "two group norms"])
def test_a_model_of_another_build_goes_one_by_one(norm: str) -> None:
    model = make("wav2vec2 group norm")
    convolutions = model.feature_extractor.conv_layers
    if norm == "one group":
        convolutions[0].layer_norm = torch.nn.GroupNorm(1, 16)
    else:
        convolutions[1] = copy.deepcopy(convolutions[1])
        convolutions[1].layer_norm = torch.nn.GroupNorm(16, 16)
    waveforms = speech(9_000, 5_000)

    got = Encoder(model, True, range(N_LAYERS + 1))(waveforms)

    assert not _packed.fits(model)
    for a, w in zip(got, waveforms, strict=True):
        assert_same(a, alone(model, w))


def test_alone_is_transformers_itself() -> None:
    model = make("wav2vec2 stable layer norm")
    [waveform] = speech(7_000)
    expected = alone(model, waveform)
    encoder = Encoder(model, True, range(N_LAYERS + 1))

    assert np.array_equal(encoder.alone(waveform)[:-1], expected[:-1])


def spec(dtype: str = "float32", keeps: str = "frames") -> FeatureSpec:
    layers = tuple(range(N_LAYERS + 1))
    return FeatureSpec("w", {}, 32, layers, dtype, 0.02, keeps=keeps)


@pytest.mark.parametrize("padded", [False, True], ids=["packed", "padded"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_blocks_hold_the_states_their_means_and_deviations(
    dtype: str, padded: bool
) -> None:
    waveforms = speech(9_000, 400, 5_000)
    encoder = Encoder(make("hubert"), True, range(N_LAYERS + 1), padded=padded)
    states = encoder(waveforms)

    blocks = encoder.blocks(waveforms, spec(dtype))

    for block, expected in zip(blocks, states, strict=True):
        assert isinstance(block, Block)
        assert block.values is not None
        assert block.scale is None
        assert block.values.dtype == dtype
        assert np.array_equal(block.values, expected.astype(dtype))
        exact = expected.astype(np.float64)
        mean_and_deviation = np.stack([exact.mean(axis=1), exact.std(axis=1)], axis=1)
        assert block.pooled is not None
        assert np.allclose(block.pooled, mean_and_deviation, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("padded", [False, True], ids=["packed", "padded"])
def test_only_the_layer_that_overflows_is_scaled(padded: bool) -> None:
    model = make("wav2vec2 group norm")
    norm = model.encoder.layers[4].final_layer_norm
    norm.weight.data *= 40_000
    waveforms = speech(9_000, 5_000)
    encoder = Encoder(model, True, range(N_LAYERS + 1), padded=padded)
    states = encoder(waveforms)

    for block, expected in zip(
        encoder.blocks(waveforms, spec("float16")), states, strict=True
    ):
        assert isinstance(block, Block)
        assert block.values is not None
        assert block.scale is not None
        assert np.isfinite(block.values).all()
        assert [n for n, s in enumerate(block.scale) if s != 1] == [5]
        assert np.log2(block.scale[5]) % 1 == 0
        assert np.abs(block.values[5]).max() > 30_000  # no digit is given away
        true = block.values.astype(np.float32) * block.scale[:, None, None]
        step = 2.0**-11 * np.abs(expected) + 2.0**-24 * block.scale[:, None, None]
        assert (np.abs(true - expected) <= step).all()


def test_what_is_pooled_alone_needs_no_frames() -> None:
    waveforms = speech(9_000, 5_000)
    encoder = Encoder(make("hubert"), True, range(N_LAYERS + 1))

    frames = encoder.blocks(waveforms, spec("float16"))
    pooled = encoder.blocks(waveforms, spec("float16", "pooled"))

    for a, b in zip(frames, pooled, strict=True):
        assert isinstance(a, Block)
        assert isinstance(b, Block)
        assert b.values is None
        assert b.n_frames == a.n_frames
        assert np.array_equal(a.pooled, b.pooled)  # type: ignore[arg-type]


def test_what_is_not_finite_is_an_error_of_its_own() -> None:
    waveforms = speech(9_000, 5_000, 7_000)
    waveforms[1][100] = np.nan

    first, second, third = Encoder(make("hubert"), True, range(N_LAYERS + 1)).blocks(
        waveforms, spec()
    )

    assert isinstance(second, ExtractionError)
    assert isinstance(first, Block)
    assert isinstance(third, Block)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_reduced_precision_is_close_and_its_deviation_is_known(precision: str) -> None:
    waveforms = speech(9_000, 5_000)
    model = make("wav2vec2 group norm")
    exact = Encoder(model, True, range(N_LAYERS + 1))(waveforms)
    encoder = Encoder(model, True, range(N_LAYERS + 1), precision=precision)

    got = encoder(waveforms)
    encoder.measure_deviation(waveforms)

    for a, b, told in zip(got, exact, encoder.deviations, strict=True):
        each = np.linalg.norm(a - b, axis=(1, 2)) / np.linalg.norm(b, axis=(1, 2))
        assert (each > 1e-5).all()
        assert (each < 0.2).all()
        assert np.allclose(told, each, rtol=0.01)
    assert encoder.precision == precision


def test_what_overflows_in_half_precision_is_computed_again_in_full() -> None:
    model = make("wav2vec2 group norm")
    feed = model.encoder.layers[2].feed_forward
    feed.intermediate_dense.weight.data *= 1e6
    feed.output_dense.weight.data *= 1e2
    waveforms = speech(9_000, 5_000)
    exact = Encoder(model, True, range(N_LAYERS + 1))(waveforms)
    encoder = Encoder(model, True, range(N_LAYERS + 1), precision="float16")

    assert not np.isfinite(encoder(waveforms)[0]).all()
    blocks = encoder.blocks(waveforms, spec())

    for block, expected in zip(blocks, exact, strict=True):
        assert isinstance(block, Block)
        assert block.values is not None
        assert_same(block.values, expected)


def test_batches_hold_similar_lengths_within_the_limit() -> None:
    lengths = [5, 90, 10, 11, 4, 200, 9]

    got = list(batches(lengths, 30))

    assert sorted(i for rows in got for i in rows) == list(range(7))
    assert got == [[5], [1], [3, 2], [6, 0, 4]]
    assert [len(rows) for rows in batches(lengths, 1)] == [1] * 7


def test_base_geometry_equals_transformers() -> None:
    model = make_untrained("base", seed=3)
    waveforms = speech(8_000, 5_000)
    expected = [alone(model, w) for w in waveforms]

    got = Encoder(model, True, range(13), batch_frames=1_000)(waveforms)

    assert expected[0].shape == (13, 24, 768)
    for a, b in zip(got, expected, strict=True):
        assert_same(a, b)


def test_chosen_layers_are_those_of_all_layers(tmp_path: Path) -> None:
    save_untrained(tmp_path / "e", geometry="demo")
    waveforms = speech(8_000)
    options = {"encoder": str(tmp_path / "e"), "device": "cpu"}

    every = wav2vec2.load(Options(**options))  # type: ignore[arg-type]
    some = wav2vec2.load(Options(**options, layers=(9, 0, 3)))  # type: ignore[arg-type]

    assert every.spec.layers == tuple(range(13))
    assert some.spec.layers == (0, 3, 9)
    assert some.spec.settings == every.spec.settings
    few, all_of_them = (values(f(waveforms)[0]) for f in (some, every))
    assert np.array_equal(few, all_of_them[[0, 3, 9]])


def test_a_waveform_without_a_frame_gets_an_error_of_its_own() -> None:
    feature = wav2vec2.load(Options(encoder="demo", device="cpu"))

    first, second, third = feature(speech(4_000, 399, 400))

    assert isinstance(second, ExtractionError)
    assert "expected at least 400 samples at 16 kHz, got 399" in str(second)
    assert values(first).shape == (13, 12, 96)
    assert values(third).shape == (13, 1, 96)


def test_reduced_precision_is_another_feature_and_says_what_it_changed() -> None:
    options = {"encoder": "demo", "device": "cpu"}
    exact = wav2vec2.load(Options(**options))  # type: ignore[arg-type]
    feature = wav2vec2.load(Options(**options, precision="bfloat16"))  # type: ignore[arg-type]

    assert feature.spec.fingerprint != exact.spec.fingerprint
    assert feature.spec.settings["precision"] == "bfloat16"
    assert feature.remarks() == exact.remarks() == []
    for lengths in ((9_000, 5_000), (7_000,)):
        feature(speech(*lengths))

    first, second = feature.remarks()
    assert "bfloat16 deviates from float32 by (relative L2 per layer, 2 of" in first
    assert "12: " in first
    assert second.startswith("0 utterances were not finite")


def test_what_is_never_padded_has_no_reduced_precision(tmp_path: Path) -> None:
    published = PUBLISHED["facebook/data2vec-audio-base"]
    encoder = save_as_hub(published.make_small(), tmp_path / "e")

    with pytest.raises(ExtractionError, match="got --precision float16: leave it out"):
        wav2vec2.load(Options(encoder=encoder, device="cpu", precision="float16"))


def test_memory_is_estimated_by_length_layers_and_what_is_kept() -> None:
    model = make("wavlm")
    whole = Encoder(model, True, range(N_LAYERS + 1))

    need = [whole.bytes_needed(n, 2) for n in (16_000, 160_000, 1_600_000)]

    assert 9 * need[0] < need[1] < 11 * need[0]
    assert whole.bytes_needed(160_000, 0) < need[1] < whole.bytes_needed(160_000, 4)
    by_distance = whole.bytes_needed(160_000, 0)
    other = Encoder(make("hubert"), True, range(N_LAYERS + 1))
    assert by_distance > 2 * other.bytes_needed(160_000, 0)  # tiles of its bias
