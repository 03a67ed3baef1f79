"""Checkpoints: each layout to the same weights, each fault to one sentence."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForPreTraining,
    Wav2Vec2Model,
)

from contracts.errors import ExtractionError
from contracts.extraction import Options
from extract import wav2vec2
from extract._checkpoint import weights_digest
from extract._untrained import make_untrained, save_untrained
from tests.encoders import (
    PUBLISHED,
    alone,
    assert_same,
    base,
    old_names,
    save_as_hub,
    speech,
)

TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "num_codevectors_per_group": 8,
    "codevector_dim": 16,
    "proj_codevector_dim": 16,
}
REFUSED = ValueError, TypeError, RuntimeError, KeyError, ArithmeticError
HUBERT = PUBLISHED["facebook/hubert-base-ls960"]


def load(folder: Path) -> wav2vec2.Wav2vec2:
    return wav2vec2.load(Options(encoder=str(folder), device="cpu"))


def with_head(model: Any, head: str) -> Any:
    """Return a fine-tuned model with the same encoder, such as ``ForCTC``."""
    name = type(base(model)).__name__.removesuffix("Model") + head
    other = getattr(transformers, name)(model.config).eval()
    base(other).load_state_dict(base(model).state_dict())
    return other


def as_base(model: Any, folder: Path) -> None:
    base(model).save_pretrained(folder)


def as_whole(model: Any, folder: Path) -> None:
    model.save_pretrained(folder)


def as_shards(model: Any, folder: Path) -> None:
    model.save_pretrained(folder, max_shard_size="30KB")
    assert len(list(folder.glob("*.safetensors"))) > 2


def as_old_bin(model: Any, folder: Path) -> None:
    weights = old_names(model)
    assert any("conv" in key for key in weights)
    assert not any("parametrizations" in key for key in weights)
    save_as_hub(model, folder, weights=weights)


def as_new_bin(model: Any, folder: Path) -> None:
    save_as_hub(model, folder, weights=model.state_dict())


def as_old_shards(model: Any, folder: Path) -> None:
    weights = old_names(model)
    save_as_hub(model, folder)
    (folder / "pytorch_model.bin").unlink()
    names = [f"pytorch_model-0000{i}-of-00003.bin" for i in (1, 2, 3)]
    placed = {key: names[i % 3] for i, key in enumerate(weights)}
    for name in names:
        torch.save(
            {k: v for k, v in weights.items() if placed[k] == name}, folder / name
        )
    index = {"metadata": {}, "weight_map": placed}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


def as_old_safetensors(model: Any, folder: Path) -> None:
    from safetensors.torch import save_file

    weights = {k: v.contiguous() for k, v in old_names(model).items()}
    save_as_hub(model, folder)
    (folder / "pytorch_model.bin").unlink()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def as_fine_tuned(model: Any, folder: Path) -> None:
    save_as_hub(with_head(model, "ForCTC"), folder)


LAYOUTS = [
    as_base,
    as_whole,
    as_shards,
    as_old_bin,
    as_new_bin,
    as_old_shards,
    as_old_safetensors,
    as_fine_tuned,
]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_layout_gives_the_same_weights_to_the_bit(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = PUBLISHED[name].make_small()
    expected = base(model).state_dict()

    for write in LAYOUTS:
        write(model, tmp_path / write.__name__)
        Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / write.__name__)
        feature = load(tmp_path / write.__name__)

        got = feature.encoder.model.state_dict()
        assert got.keys() == expected.keys()
        assert all(torch.equal(got[key], expected[key]) for key in expected)
        assert feature.spec.settings["weights"] == weights_digest(base(model))
        said = capsys.readouterr().err
        assert ("fine-tuned" in said) == (write is as_fine_tuned)
        assert said.count("\n") == (write is as_fine_tuned)  # of what is left: nothing


def test_a_checkpoint_with_heads_gives_its_base_encoder(tmp_path: Path) -> None:
    whole = Wav2Vec2ForPreTraining(Wav2Vec2Config(**TINY)).eval()
    whole.save_pretrained(tmp_path / "whole")
    whole.wav2vec2.save_pretrained(tmp_path / "base")
    waveforms = speech(6_000)

    got = [load(tmp_path / name) for name in ("whole", "base")]

    assert_same(got[0].encoder(waveforms)[0], alone(whole.wav2vec2, waveforms[0]))
    assert got[0].spec.fingerprint == got[1].spec.fingerprint
    assert got[0].spec.provenance["folder"] == str(tmp_path / "whole")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_half_precision_are_made_whole(
    dtype: torch.dtype, tmp_path: Path
) -> None:
    model = HUBERT.make_small().to(dtype)
    model.save_pretrained(tmp_path / "e")

    feature = load(tmp_path / "e")

    assert feature.encoder.model.dtype == torch.float32
    assert feature.spec.settings["weights"] == weights_digest(model.float())


def test_one_changed_weight_changes_the_digest() -> None:
    model = make_untrained()
    before = weights_digest(model)
    model.masked_spec_embed.data += 1
    assert weights_digest(model) == before  # unused in inference

    model.encoder.layers[11].final_layer_norm.bias.data[0] += 1e-6

    assert weights_digest(model) != before


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


def changes(value: Any) -> Iterator[Any]:
    """Offer other values of a config's field."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value * 2, value // 2, 4)
    elif isinstance(value, float):
        yield from (value * 1_000, value + 0.5)
    elif isinstance(value, str):
        yield from ("relu", "layer", "group")
    elif isinstance(value, list | tuple) and value and isinstance(value[0], int):
        yield from ((value[0] + 1, *value[1:]), (*value[:-1], value[-1] + 1))
    elif value is None:
        yield 4


@pytest.mark.parametrize(
    "name",
    [
        "facebook/wav2vec2-large-lv60",
        "facebook/hubert-base-ls960",
        "microsoft/wavlm-base",
        "facebook/data2vec-audio-base",
        "microsoft/unispeech-sat-base",
    ],
)
def test_what_a_config_changes_for_the_same_weights_is_in_the_settings(
    name: str,
) -> None:
    model = base(PUBLISHED[name].make_small())
    [waveform] = speech(30_000)  # long enough for the last bucket of WavLM
    weights, states = model.state_dict(), alone(model, waveform)
    settings, found = json.dumps(wav2vec2._settings(model, True, "float32")), set()
    told = model.config.to_dict()

    for key, value in told.items():
        for other in changes(value):
            try:
                config = type(model.config)(**told | {key: other})
                changed = type(model)(config).eval()
                changed.load_state_dict(weights)
                given = alone(changed, waveform)
            except (*REFUSED, StrictDataclassError):
                continue  # of another shape, or none
            if given.shape != states.shape or (given != states).any():
                found.add(key)
                assert (
                    json.dumps(wav2vec2._settings(changed, True, "float32")) != settings
                ), key

    assert {"layer_norm_eps", "hidden_act"} <= found


def test_normalisation_is_what_the_checkpoint_says(tmp_path: Path) -> None:
    save_untrained(tmp_path / "e", geometry="demo")
    told = tmp_path / "e" / "preprocessor_config.json"
    waveforms = speech(4_000)
    model = make_untrained()

    settings = []
    for do_normalize in (True, False):
        text = json.loads(told.read_text()) | {"do_normalize": do_normalize}
        told.write_text(json.dumps(text))
        feature = load(tmp_path / "e")
        settings.append(feature.spec.settings["do_normalize"])
        assert_same(
            feature.encoder(waveforms)[0], alone(model, waveforms[0], do_normalize)
        )

    assert settings == [True, False]


def test_without_a_preprocessor_normalisation_is_assumed_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_untrained(tmp_path / "e", geometry="demo")
    with_it = load(tmp_path / "e")
    assert capsys.readouterr().err == ""
    (tmp_path / "e" / "preprocessor_config.json").unlink()

    without = load(tmp_path / "e")

    assert capsys.readouterr().err == (
        f"encoder {str(tmp_path / 'e')!r} has no preprocessor_config.json: each "
        "waveform is brought to zero mean and unit variance, which is assumed\n"
    )
    assert without.spec.settings["do_normalize"] is True
    assert without.spec.fingerprint == with_it.spec.fingerprint


@pytest.mark.parametrize(
    ("head", "task"),
    [
        ("ForCTC", "speech recognition"),
        ("ForSequenceClassification", "classification"),
        ("ForAudioFrameClassification", "classification"),
        ("ForXVector", "speaker verification"),
    ],
)
def test_a_fine_tuned_encoder_is_announced(
    head: str, task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = PUBLISHED["microsoft/wavlm-base"].make_small()
    save_as_hub(with_head(model, head), tmp_path / "e")
    save_as_hub(model, tmp_path / "pretrained")

    feature, pretrained = load(tmp_path / "e"), load(tmp_path / "pretrained")

    told = f"{task} (WavLM{head})"
    assert feature.spec.provenance["fine_tuned"] == told
    assert capsys.readouterr().err == (
        f"encoder {str(tmp_path / 'e')!r} was fine-tuned for {told}: its hidden states "
        "are no longer those of pre-training\n"
    )
    assert pretrained.spec.provenance["fine_tuned"] == ""
    assert pretrained.spec.fingerprint == feature.spec.fingerprint


@pytest.mark.parametrize(
    ("architectures", "told"),
    [
        (["HubertModel"], "speech recognition (lm_head.bias)"),
        (None, "speech recognition (lm_head.bias)"),
        (["HubertForEmotionClassification"], "classification (HubertForEmotionCl"),
        (["HubertForWhatever"], "another task (HubertForWhatever)"),
    ],
)
def test_weights_of_a_head_tell_of_fine_tuning_too(
    architectures: list[str] | None, told: str, tmp_path: Path
) -> None:
    save_as_hub(with_head(HUBERT.make_small(), "ForCTC"), tmp_path / "e")
    config = tmp_path / "e" / "config.json"
    text = json.loads(config.read_text()) | {"architectures": architectures}
    config.write_text(json.dumps(text))

    assert load(tmp_path / "e").spec.provenance["fine_tuned"].startswith(told)


def test_missing_weights_are_refused_by_name(tmp_path: Path) -> None:
    model = Wav2Vec2Model(Wav2Vec2Config(**TINY))
    gone = "encoder.layers.2.attention.q_proj.weight"
    for name, lacking in (("whole", ["masked_spec_embed"]), ("torn", [gone])):
        weights = {k: v for k, v in model.state_dict().items() if k not in lacking}
        model.save_pretrained(tmp_path / name, state_dict=weights)

    wav2vec2.load(Options(encoder=str(tmp_path / "whole")))

    with pytest.raises(
        ExtractionError, match=f"expected all weights, got none for {gone}"
    ):
        wav2vec2.load(Options(encoder=str(tmp_path / "torn")))


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("names", [old_names, torch.nn.Module.state_dict])
def test_half_of_a_weight_norm_is_refused(
    names: Callable[[Any], dict[str, torch.Tensor]], half: int, tmp_path: Path
) -> None:
    model = HUBERT.make_small()
    weights = names(model)
    ends = [("weight_g", "original0"), ("weight_v", "original1")][half]
    [gone] = [key for key in weights if key.endswith(ends)]
    kept = {key: values for key, values in weights.items() if key != gone}
    save_as_hub(model, tmp_path / "e", weights=kept)

    with pytest.raises(ExtractionError, match=f"none for .*weight.original{half}"):
        load(tmp_path / "e")


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        (
            "config.json",
            '{"model_type": "bert"}',
            "wavlm, data2vec-audio, unispeech, unispeech-sat, got bert",
        ),
        ("config.json", '{"model_type": "no-such"}', "cannot be loaded"),
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


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            {"hidden_size": "96"},
            "'hidden_size': TypeError: Field 'hidden_size' expected",
        ),
        ({"num_attention_heads": 0}, "cannot be loaded"),
        ({"num_attention_heads": 5}, "must be divisible by num_heads"),
        ({"conv_dim": [1, 2]}, "Configuration for convolutional layers is incorrect"),
        ({"conv_kernel": None}, "Field 'conv_kernel' with value None"),
        ({"hidden_act": "none-such"}, "cannot be loaded: 'none-such'"),
        ({"intermediate_size": 200}, "cannot be loaded"),
    ],
)
def test_a_config_that_does_not_fit_is_refused_in_one_line(
    changed: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    save_untrained(tmp_path / "e", geometry="demo")
    config = tmp_path / "e" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | changed))

    with pytest.raises(ExtractionError, match=expected) as caught:
        load(tmp_path / "e")

    assert "\n" not in str(caught.value)
    assert "--encoder FOLDER" in str(caught.value)


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
    first = weights_digest(make_untrained(seed=0))
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(7)

    save_untrained(tmp_path / "e", seed=0, geometry="demo")

    spec = wav2vec2.load(Options(encoder=str(tmp_path / "e"))).spec
    assert spec.settings["weights"] == first
    assert spec.fingerprint == wav2vec2.load(Options(encoder="demo")).spec.fingerprint
    assert weights_digest(make_untrained(seed=1)) != first


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


@pytest.mark.parametrize("layers", [(13,), (-1, 3), ()])
def test_wrong_layers_are_refused(layers: tuple[int, ...]) -> None:
    with pytest.raises(
        ExtractionError, match=r"bad layers \[.*\]: expected some of 0 to 12"
    ):
        wav2vec2.load(Options(encoder="demo", layers=layers))
