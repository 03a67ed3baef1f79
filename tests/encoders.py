"""Encoders of every published architecture, with weights that are drawn.

What a checkpoint's ``config.json`` says is kept as its differences from its class's
defaults. Weights are drawn so that all of them matter: norms, biases, attention.
"""

import copy
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers import Wav2Vec2FeatureExtractor

from contracts.errors import ExtractionError
from contracts.feature import Block

transformers.logging.disable_progress_bar()  # of saving

LARGE = {
    "hidden_size": 1_024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4_096,
}
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
WIDE_CODES = {"codevector_dim": 768, "proj_codevector_dim": 768}
WITH_BIAS = LARGE | STABLE | {"conv_bias": True}


@dataclass(frozen=True)
class Published:
    """A checkpoint of the hub, as far as it shapes the numbers.

    Attributes:
        saved_as: class of transformers whose weights it holds
        differences: of its config from the class's defaults
        do_normalize: what its ``preprocessor_config.json`` says
    """

    saved_as: str
    do_normalize: bool
    differences: Mapping[str, Any] = field(default_factory=dict)

    def make(self, seed: int = 0, **changes: Any) -> Any:
        """Draw a model of it, ready for inference."""
        kind = getattr(transformers, self.saved_as)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            settings = {**self.differences, **changes}
            model = kind(kind.config_class(**settings)).eval()
            matter(model)
        return model

    def make_small(self, seed: int = 0) -> Any:
        """Draw a model of it with few channels and layers."""
        small = {
            "hidden_size": 32,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "conv_dim": (16,) * 7,
            "num_hidden_layers": min(3, self.differences.get("num_hidden_layers", 3)),
        }
        if "PreTraining" in self.saved_as:
            small |= {
                "codevector_dim": 16,
                "proj_codevector_dim": 16,
                "num_codevectors_per_group": 8,
            }
        return self.make(seed, **small)


PUBLISHED = {
    "facebook/wav2vec2-base": Published("Wav2Vec2ForPreTraining", True),
    "facebook/wav2vec2-large": Published(
        "Wav2Vec2ForPreTraining", True, LARGE | WIDE_CODES
    ),
    "facebook/wav2vec2-large-lv60": Published(
        "Wav2Vec2ForPreTraining", True, WITH_BIAS | WIDE_CODES
    ),
    "facebook/wav2vec2-xls-r-300m": Published(
        "Wav2Vec2ForPreTraining", True, WITH_BIAS | WIDE_CODES
    ),
    "facebook/hubert-base-ls960": Published("HubertModel", True),
    "facebook/hubert-large-ll60k": Published("HubertModel", True, WITH_BIAS),
    "ntu-spml/distilhubert": Published(
        "HubertModel", False, {"num_hidden_layers": 2, "feat_proj_layer_norm": False}
    ),
    "microsoft/wavlm-base": Published("WavLMModel", False),
    "microsoft/wavlm-base-plus": Published("WavLMModel", False),
    "microsoft/wavlm-large": Published("WavLMModel", True, LARGE | STABLE | WIDE_CODES),
    "facebook/data2vec-audio-base": Published("Data2VecAudioModel", True),
    "facebook/data2vec-audio-large": Published("Data2VecAudioModel", True, LARGE),
    "microsoft/unispeech-sat-base": Published("UniSpeechSatForPreTraining", False),
    "microsoft/unispeech-sat-large": Published(
        "UniSpeechSatForPreTraining", True, LARGE | STABLE | WIDE_CODES
    ),
    "microsoft/unispeech-large-1500h-cv": Published(
        "UniSpeechForPreTraining", True, WITH_BIAS | WIDE_CODES
    ),
}


def matter(model: torch.nn.Module) -> None:
    """Change weights so that each of them matters to what the model gives."""
    for name, parameter in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            parameter.data += 0.3 * torch.randn_like(parameter)
        if name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight")):
            # so that it matters which frames attend to which
            parameter.data *= 1.2 / (parameter.std() * parameter.shape[1] ** 0.5)
        if "rel_attn" in name or "gru" in name:
            parameter.data += torch.randn_like(parameter)
    for name, values in model.named_buffers():
        if "running" in name:
            values += torch.rand_like(values)


def base(model: Any) -> Any:
    """Return the encoder of a model with heads, or itself."""
    return getattr(model, model.base_model_prefix, model)


@functools.cache
def small_pair(name: str, seed: int) -> tuple[Any, Any]:
    """Return one small base model twice: to be put to use, and to compare with."""
    model = base(PUBLISHED[name].make_small(seed))
    return model, copy.deepcopy(model)


def old_names(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return a model's weights by the names that the hub's older files have."""
    return {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): values
        for name, values in model.state_dict().items()
    }


def save_as_hub(
    model: Any,
    folder: Path,
    do_normalize: bool = True,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> str:
    """Save a model as most of the hub's checkpoints are, and return the folder."""
    folder.mkdir(parents=True)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    torch.save(weights or old_names(model), folder / "pytorch_model.bin")
    told = {"do_normalize": do_normalize, "sampling_rate": 16_000, "feature_size": 1}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return str(folder)


def speech(*lengths: int, seed: int = 0) -> list[NDArray[np.float32]]:
    """Draw waveforms with an offset and loudness of their own."""
    rng = np.random.default_rng(seed)
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
        told = model(values, output_hidden_states=True, return_dict=True)
    return torch.cat(told.hidden_states).numpy()


def values(given: Any) -> NDArray[Any]:
    """Return the numbers of what an extractor gave: of a block, or an array."""
    assert not isinstance(given, ExtractionError), given
    array: NDArray[Any] = given.values if isinstance(given, Block) else given
    return array


def assert_same(got: NDArray[np.float32], expected: NDArray[np.float32]) -> int:
    """Hold each layer ``(frame, channel)`` to the bounds; return how many there are."""
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    for a, b in zip(got, expected, strict=True):
        assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(b)
        assert np.abs(a - b).max() <= 1e-3 * np.sqrt(np.mean(b**2))
    return len(expected)
