"""The encoder gives what transformers gives for each utterance alone."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import (
    HubertConfig,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForPreTraining,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)

from contracts.errors import ExtractionError
from contracts.extraction import Options
from extract import _encoder, wav2vec2
from extract._encoder import Encoder, batches
from extract._untrained import make_untrained, save_untrained

N_LAYERS = 12
TINY = {
    "hidden_size": 32,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "num_codevectors_per_group": 8,
    "codevector_dim": 16,
    "proj_codevector_dim": 16,
}
STABLE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
MODELS: dict[str, Callable[[], Any]] = {
    "wav2vec2 group norm": lambda: Wav2Vec2Model(Wav2Vec2Config(**TINY)),
    "wav2vec2 stable layer norm": lambda: Wav2Vec2Model(
        Wav2Vec2Config(**TINY, **STABLE)
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
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                parameter.data += 0.3 * torch.randn_like(parameter)
            if name.endswith("proj.weight"):
                parameter.data *= 8  # so that it matters which frames attend to which
            if "rel_attn" in name or "gru" in name:
                parameter.data += torch.randn_like(parameter)
        for name, values in model.named_buffers():
            if "running" in name:
                values += torch.rand_like(values)
    return model


def speech(*lengths: int) -> list[NDArray[np.float32]]:
    """Draw waveforms with an offset and loudness of their own."""
    rng = np.random.default_rng(0)
    return [
        (rng.standard_normal(n) * rng.uniform(0.01, 0.3) + 0.1).astype(np.float32)
        for n in lengths
    ]


def alone(
    model: Any, waveform: NDArray[np.float32], do_normalize: bool = True
) -> NDArray[np.float32]:
    """Ask transformers for the hidden states ``(layer, frame, channel)`` of one."""
    prepare = Wav2Vec2FeatureExtractor(do_normalize=do_normalize)
    values = prepare(waveform, sampling_rate=16_000, return_tensors="pt").input_values
    with torch.inference_mode():
        states = model(values, output_hidden_states=True).hidden_states
    return torch.cat(states).numpy()


def assert_same(got: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    for a, b in zip(got, expected, strict=True):
        assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(b)
        assert np.abs(a - b).max() <= 1e-3 * np.sqrt(np.mean(b**2))


@pytest.mark.parametrize("do_normalize", [True, False])
@pytest.mark.parametrize("kind", MODELS)
def test_every_hidden_state_equals_that_of_the_utterance_alone(
    kind: str, do_normalize: bool
) -> None:
    model = make(kind)
    waveforms = speech(9_000, 400, 16_000, 16_000, 719, 720, 12_345)
    expected = [alone(model, w, do_normalize) for w in waveforms]

    got = Encoder(model, do_normalize, range(N_LAYERS + 1), batch_frames=160)(waveforms)

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
    monkeypatch.setattr(_encoder, "WAVLM_FRAMES", 30)
    monkeypatch.setattr(_encoder, "QUERY_TILE", 16)

    got = Encoder(model, True, range(N_LAYERS + 1), tile_frames=13)([waveform])[0]

    assert_same(got, expected)
    assert_same(alone(model, waveform), expected)  # the model is as it was


def test_a_layer_that_is_dropped_is_an_error() -> None:
    model = make("hubert")
    model.config.layerdrop = 1.0
    model.train()

    with pytest.raises(ExtractionError, match=r"states 0 to 12, got \[\]"):
        Encoder(model, True, range(N_LAYERS + 1))(speech(4_000))


def test_no_tile_hears_more_than_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("wav2vec2 group norm")
    encoder = Encoder(model, True, [0], tile_frames=10)
    longest = []
    first = model.feature_extractor.conv_layers[0].conv
    first.register_forward_pre_hook(lambda _, args: longest.append(args[0].shape[-1]))

    encoder(speech(32_000))

    assert max(longest) <= 10 * 320 + 400


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
    assert np.array_equal(some(waveforms)[0], every(waveforms)[0][[0, 3, 9]])


@pytest.mark.parametrize("layers", [(13,), (-1, 3), ()])
def test_wrong_layers_are_refused(layers: tuple[int, ...]) -> None:
    with pytest.raises(
        ExtractionError, match=r"bad layers \[.*\]: expected some of 0 to 12"
    ):
        wav2vec2.load(Options(encoder="demo", layers=layers))


def test_a_checkpoint_with_heads_gives_its_base_encoder(tmp_path: Path) -> None:
    whole = Wav2Vec2ForPreTraining(Wav2Vec2Config(**TINY)).eval()
    whole.save_pretrained(tmp_path / "whole")
    whole.wav2vec2.save_pretrained(tmp_path / "base")
    waveforms = speech(6_000)

    got = [
        wav2vec2.load(Options(encoder=str(tmp_path / name), device="cpu"))
        for name in ("whole", "base")
    ]

    assert_same(got[0](waveforms)[0], alone(whole.wav2vec2, waveforms[0]))
    assert got[0].spec.fingerprint == got[1].spec.fingerprint
    assert got[0].spec.provenance["folder"] == str(tmp_path / "whole")


def test_digest_does_not_depend_on_the_file_layout(tmp_path: Path) -> None:
    whole = Wav2Vec2ForPreTraining(Wav2Vec2Config(**TINY)).eval()
    whole.save_pretrained(tmp_path / "safe")
    whole.save_pretrained(tmp_path / "sharded", max_shard_size="50KB")
    (tmp_path / "pickled").mkdir()
    torch.save(whole.state_dict(), tmp_path / "pickled" / "pytorch_model.bin")
    config = (tmp_path / "safe" / "config.json").read_text()
    (tmp_path / "pickled" / "config.json").write_text(config)

    specs = [
        wav2vec2.load(Options(encoder=str(tmp_path / name))).spec
        for name in ("safe", "sharded", "pickled")
    ]

    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    assert len({spec.fingerprint for spec in specs}) == 1


def test_one_changed_weight_changes_the_digest() -> None:
    model = make_untrained()
    before = wav2vec2.weights_digest(model)
    model.masked_spec_embed.data += 1
    assert wav2vec2.weights_digest(model) == before  # unused in inference

    model.encoder.layers[11].final_layer_norm.bias.data[0] += 1e-6

    assert wav2vec2.weights_digest(model) != before


def test_number_of_heads_changes_the_fingerprint(tmp_path: Path) -> None:
    save_untrained(tmp_path / "four", geometry="demo")
    save_untrained(tmp_path / "two", geometry="demo")
    config = tmp_path / "two" / "config.json"
    config.write_text(
        json.dumps(json.loads(config.read_text()) | {"num_attention_heads": 2})
    )

    four, two = (
        wav2vec2.load(Options(encoder=str(tmp_path / n))).spec for n in ("four", "two")
    )

    assert four.settings["weights"] == two.settings["weights"]
    assert four.fingerprint != two.fingerprint


def test_normalisation_is_what_the_checkpoint_says(tmp_path: Path) -> None:
    save_untrained(tmp_path / "e", geometry="demo")
    told = tmp_path / "e" / "preprocessor_config.json"
    waveforms = speech(4_000)
    model = make_untrained()

    settings = []
    for do_normalize in (True, False):
        text = json.loads(told.read_text()) | {"do_normalize": do_normalize}
        told.write_text(json.dumps(text))
        feature = wav2vec2.load(Options(encoder=str(tmp_path / "e"), device="cpu"))
        settings.append(feature.spec.settings["do_normalize"])
        assert_same(feature(waveforms)[0], alone(model, waveforms[0], do_normalize))
    told.unlink()
    settings.append(
        wav2vec2.load(Options(encoder=str(tmp_path / "e"))).spec.settings[
            "do_normalize"
        ]
    )

    assert settings == [True, False, True]


def test_missing_weights_are_refused_by_name(tmp_path: Path) -> None:
    model = Wav2Vec2Model(Wav2Vec2Config(**TINY))
    gone = "encoder.layers.7.attention.q_proj.weight"
    for name, lacking in (("whole", ["masked_spec_embed"]), ("torn", [gone])):
        weights = {k: v for k, v in model.state_dict().items() if k not in lacking}
        model.save_pretrained(tmp_path / name, state_dict=weights)

    wav2vec2.load(Options(encoder=str(tmp_path / "whole")))

    with pytest.raises(
        ExtractionError, match=f"expected all weights, got none for {gone}"
    ):
        wav2vec2.load(Options(encoder=str(tmp_path / "torn")))


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        (
            "config.json",
            '{"model_type": "bert"}',
            "expected one of wav2vec2, hubert, wavlm, got bert",
        ),
        ("config.json", "{", "cannot be loaded"),
        ("model.safetensors", "torn", "cannot be loaded"),
        ("preprocessor_config.json", "{", "cannot be loaded"),
        (
            "preprocessor_config.json",
            '{"sampling_rate": 8000}',
            "expected 16000 Hz, got 8000 Hz",
        ),
    ],
)
def test_a_folder_that_is_no_encoder_is_refused_in_one_line(
    file: str, text: str, expected: str, tmp_path: Path
) -> None:
    save_untrained(tmp_path / "e", geometry="demo")
    (tmp_path / "e" / file).write_text(text)

    with pytest.raises(ExtractionError, match=expected) as caught:
        wav2vec2.load(Options(encoder=str(tmp_path / "e")))

    assert "\n" not in str(caught.value)
    assert "--encoder FOLDER" in str(caught.value)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    save_untrained(tmp_path / "e", geometry="demo")
    config = tmp_path / "e" / "config.json"
    told = json.loads(config.read_text()) | {"intermediate_size": 200}
    config.write_text(json.dumps(told))

    with pytest.raises(ExtractionError, match="cannot be loaded"):
        wav2vec2.load(Options(encoder=str(tmp_path / "e")))


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "a/b/c"])
def test_a_folder_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ExtractionError, match="expected a folder, got none"):
        wav2vec2.load(Options(encoder=name))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty cache of a hub that cannot be reached."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "hub"


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("name", [None, "nobody/nothing", "not a name"])
def test_an_encoder_that_cannot_be_had_is_refused_quickly(name: str | None) -> None:
    before = time.monotonic()

    with pytest.raises(ExtractionError, match="--encoder FOLDER") as caught:
        wav2vec2.load(Options(encoder=name))

    assert time.monotonic() - before < 15
    assert repr(name or "facebook/wav2vec2-base") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_encoder_in_the_hubs_cache_needs_no_network(hub: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    folder = hub / "models--some--one"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    save_untrained(folder / "snapshots" / commit, seed=5, geometry="demo")

    for revision in (None, commit):
        spec = wav2vec2.load(Options(encoder="some/one", revision=revision)).spec
        assert spec.provenance["encoder"] == "some/one"
        assert spec.provenance["revision"] == commit
    (folder / "snapshots" / commit / "preprocessor_config.json").unlink()

    # whether it normalises is no longer known
    with pytest.raises(ExtractionError, match="cannot be had"):
        wav2vec2.load(Options(encoder="some/one"))


def test_untrained_encoders_say_so(tmp_path: Path) -> None:
    save_untrained(tmp_path / "e", geometry="demo")
    make_untrained().save_pretrained(tmp_path / "an-untrained-one")
    Wav2Vec2Model(Wav2Vec2Config(**TINY)).save_pretrained(tmp_path / "trained")

    def untrained(encoder: str) -> bool:
        return wav2vec2.load(Options(encoder=encoder)).spec.untrained

    assert json.loads((tmp_path / "e" / "config.json").read_text())["untrained"] is True
    assert untrained(str(tmp_path / "e"))
    assert untrained(str(tmp_path / "an-untrained-one"))
    assert untrained("demo")
    assert not untrained(str(tmp_path / "trained"))


def test_untrained_weights_come_from_the_seed_alone(tmp_path: Path) -> None:
    torch.manual_seed(123)
    state = torch.random.get_rng_state()
    first = wav2vec2.weights_digest(make_untrained(seed=0))
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(7)

    save_untrained(tmp_path / "e", seed=0, geometry="demo")

    spec = wav2vec2.load(Options(encoder=str(tmp_path / "e"))).spec
    assert spec.settings["weights"] == first
    assert spec.fingerprint == wav2vec2.load(Options(encoder="demo")).spec.fingerprint
    assert wav2vec2.weights_digest(make_untrained(seed=1)) != first


def test_saving_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")

    with pytest.raises(ExtractionError, match=r"got one with 'config\.json' in it"):
        save_untrained(tmp_path, geometry="demo")


def test_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ExtractionError, match="has no revision 'main'"):
        wav2vec2.load(Options(encoder="demo", revision="main"))
    with pytest.raises(ExtractionError, match="bad dtype 'int8'"):
        wav2vec2.load(Options(encoder="demo", dtype="int8"))
    with pytest.raises(ExtractionError, match="no device 'tpu' here"):
        wav2vec2.load(Options(encoder="demo", device="tpu"))


def test_a_waveform_without_a_frame_gets_an_error_of_its_own() -> None:
    feature = wav2vec2.load(Options(encoder="demo", device="cpu"))

    first, second, third = feature(speech(4_000, 399, 400))

    assert isinstance(second, ExtractionError)
    assert "expected at least 400 samples at 16 kHz, got 399" in str(second)
    assert not isinstance(first, ExtractionError)
    assert not isinstance(third, ExtractionError)
    assert first.shape == (13, 12, 96)
    assert third.shape == (13, 1, 96)
