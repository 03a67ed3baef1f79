"""Encoders with random weights, for trials and tests, always asked for by name.

Nothing falls back to them, and what they give says so: ``untrained`` in the provenance.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import ExtractionError

if TYPE_CHECKING:
    from transformers import Wav2Vec2Model
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

DEMO = "demo"
_GEOMETRIES: dict[str, dict[str, Any]] = {
    "base": {},  # the defaults are those of facebook/wav2vec2-base
    "demo": {
        "hidden_size": 96,
        "num_attention_heads": 4,
        "intermediate_size": 192,
        "conv_dim": (32,) * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
    },
}

_WHISPER = {  # small and quick; its window and its mel bands are those of Whisper
    "d_model": 64,
    "encoder_layers": 4,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 128,
}


def make_untrained(geometry: str = DEMO, seed: int = 0) -> Wav2Vec2Model:
    """Make a Wav2Vec2 of 12 layers and 20 ms frames with random weights.

    The same seed gives the same weights; torch's own random state stays as it was.

    Args:
        geometry: ``base``, as facebook/wav2vec2-base, or ``demo``, small and quick
        seed: of the weights

    Raises:
        ExtractionError: if there is no such geometry
    """
    if geometry not in _GEOMETRIES:
        msg = (
            f"unknown geometry {geometry!r} of an untrained encoder: expected one of "
            f"{list(_GEOMETRIES)}. Choose one of them"
        )
        raise ExtractionError(msg)
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = Wav2Vec2Config(**_GEOMETRIES[geometry], untrained=True)
        model: Wav2Vec2Model = Wav2Vec2Model(config).eval()
    return model


def make_untrained_whisper(seed: int = 0) -> WhisperEncoder:
    """Make an encoder of Whisper's, small and quick, with random weights.

    The same seed gives the same weights; torch's own random state stays as it was.
    """
    import torch
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = WhisperConfig(**_WHISPER, untrained=True)
        model: WhisperEncoder = WhisperEncoder(config).eval()
    return model


def save_untrained(folder: str | Path, seed: int = 0, geometry: str = "base") -> None:
    """Save an encoder with random weights in the form of a pretrained one.

    Its ``config.json`` says ``"untrained": true``.

    Args:
        folder: to be made, or empty
        seed: of the weights
        geometry: see ``make_untrained``

    Raises:
        ExtractionError: if the folder holds something, or cannot be written
    """
    from transformers import Wav2Vec2FeatureExtractor

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if found := sorted(path.name for path in folder.iterdir()):
            msg = (
                f"cannot save an encoder to {folder}: expected an empty one, got one "
                f"with {found[0]!r} in it. Choose another folder"
            )
            raise ExtractionError(msg)
        make_untrained(geometry, seed).save_pretrained(folder)
        Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    except OSError as error:
        msg = f"cannot save an encoder to {folder}: {error}. Choose another folder"
        raise ExtractionError(msg) from error
