"""Hidden states of Wav2Vec2, HuBERT, WavLM and their kin, a vector per 20 ms.

Any checkpoint of the Hugging Face hub, or a local folder of one, whose kind is
wav2vec2 (also XLS-R and MMS), hubert (also DistilHuBERT), wavlm, data2vec-audio,
unispeech or unispeech-sat, by ``transformers``; the default is facebook/wav2vec2-base
(12 layers of 768 channels). ``--encoder demo`` is a small one with random weights, for
trials. Each utterance gives what it gives alone at its true length, in any batch.

Layer 0 is the input of the first transformer layer, layer n what layer n returns: the
``output_hidden_states`` of transformers 5. Where each layer ends in a norm of its own
(base models, wav2vec2-large, data2vec-audio), the last one is ``last_hidden_state``.
Where one norm stands behind all layers (``do_stable_layer_norm``: large-lv60, XLS-R,
large HuBERT, WavLM and UniSpeech-SAT), the last one is what goes into that norm, and
``last_hidden_state``, which transformers 4 gave as its last entry, is the norm of it.

Axes: ``(layer, frame, channel)``, stored as float16 or float32.

Source: Baevski et al., wav2vec 2.0, NeurIPS 2020, arXiv:2006.11477; Hsu et al.,
HuBERT, arXiv:2106.07447; Chen et al., WavLM, arXiv:2110.13900; Baevski et al.,
data2vec, arXiv:2202.03555; Chen et al., UniSpeech-SAT, arXiv:2110.05752; Chang et al.,
DistilHuBERT, arXiv:2110.01900. Licence: that of the checkpoint
(facebook/wav2vec2-base: Apache 2.0).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ExtractionError
from contracts.extraction import SAMPLING_RATE, Options
from contracts.feature import Block, FeatureSpec
from contracts.terminal import warn
from extract import _checkpoint, _padded
from extract._audio import RESAMPLER
from extract._encoder import PADDED_FRAMES, Encoder
from extract._hub import Found, find
from extract._untrained import make_untrained

VERSION = 2
DEFAULT = "facebook/wav2vec2-base"
DEVIATION_OF = 8  # utterances that reduced precision is compared on
HIDDEN_STATES = "0: input of the first layer; n: output of layer n, before a last norm"
_SHAPING = (  # of the config: changes the numbers, but not the weights
    "feat_extract_norm feat_extract_activation conv_kernel conv_stride hidden_act "
    "feat_proj_layer_norm layer_norm_eps do_stable_layer_norm num_attention_heads "
    "num_conv_pos_embeddings num_conv_pos_embedding_groups conv_pos_batch_norm "
    "conv_pos_kernel_size num_buckets max_bucket_distance adapter_attn_dim"
)


@dataclass
class Wav2vec2:
    """Hidden states of waveforms."""

    spec: FeatureSpec
    device: str
    encoder: Encoder

    def __call__(
        self, waveforms: Sequence[NDArray[Any]]
    ) -> list[Block | ExtractionError]:
        """Return what is to be stored of each waveform ``(time,)``.

        A waveform without one whole frame gets the error that says so.
        """
        shortest = self.encoder.field
        long = [w for w in waveforms if len(w) >= shortest]
        if self.encoder.is_reduced and len(self.encoder.deviations) < DEVIATION_OF:
            self.encoder.measure_deviation(long[-1:])  # of each of the first calls
        done = iter(self.encoder.blocks(long, self.spec))
        why = f"too short: expected at least {shortest} samples at 16 kHz, got {{}}"
        return [
            next(done) if len(w) >= shortest else ExtractionError(why.format(len(w)))
            for w in waveforms
        ]

    def alone(self, waveform: NDArray[Any]) -> NDArray[np.float32]:
        """Return what transformers itself gives for one ``(time,)``, unpadded."""
        return self.encoder.alone(waveform)

    @property
    def bytes_held(self) -> int:
        """Memory of the weights."""
        return sum(p.numel() * 4 for p in self.encoder.model.parameters())

    def bytes_needed(self, seconds: float) -> int:
        """Return the memory that one utterance takes while it goes through."""
        kept = {"float16": 2, "float32": 4}[self.spec.dtype]
        samples = int(seconds * SAMPLING_RATE)
        return self.encoder.bytes_needed(samples, kept * self.spec.keeps_frames)

    def remarks(self) -> list[str]:
        """Say by how much reduced precision changed the numbers."""
        if not self.encoder.deviations:
            return []
        each = np.mean(self.encoder.deviations, axis=0)
        told = ", ".join(
            f"{n}: {d:.1e}" for n, d in zip(self.spec.layers, each, strict=True)
        )
        n = len(self.encoder.deviations)
        return [
            f"{self.encoder.precision} deviates from float32 by (relative L2 per "
            f"layer, {n} of the utterances) {told}",
            f"{self.encoder.n_again} utterances were not finite and were computed "
            "again in float32",
        ]


def load(options: Options) -> Wav2vec2:
    """Load the encoder and make the feature ready.

    Raises:
        ExtractionError: if the encoder cannot be had whole, or an option does not fit
    """
    device = _checkpoint.choose_device(options.device)
    found = find(options.encoder or DEFAULT, options.revision)
    model, do_normalize, provenance = _load(found)
    frames = _checkpoint.choose_frames(options, model.config.num_hidden_layers)
    if options.precision != "float32" and not _padded.is_exact(model):
        msg = (
            f"encoder {found.name!r} ({model.config.model_type}) is computed in "
            f"float32, got --precision {options.precision}: leave it out"
        )
        raise ExtractionError(msg)
    spec = FeatureSpec(
        name="wav2vec2",
        settings=_settings(model, do_normalize, options.precision),
        channels=model.config.hidden_size,
        frame_shift=math.prod(model.config.conv_stride) / SAMPLING_RATE,
        provenance=provenance,
        **frames,
    )
    encoder = Encoder(
        model.to(device), do_normalize, spec.layers, precision=options.precision
    )
    return Wav2vec2(spec, device, encoder)


def _load(found: Found) -> tuple[Any, bool, dict[str, Any]]:
    """Return the base model, whether it wants normalised waveforms, its provenance."""
    if found.is_demo:
        model = make_untrained()
        return model, True, _checkpoint.provenance(found, model.config)
    from transformers import AutoModel, Wav2Vec2FeatureExtractor

    loaded = _checkpoint.load("wav2vec2", found, AutoModel, Wav2Vec2FeatureExtractor)
    if loaded.preparing is None:
        warn(
            f"encoder {found.name!r} has no preprocessor_config.json: each waveform is "
            "brought to zero mean and unit variance, which is assumed"
        )
        return loaded.model, True, loaded.provenance
    return loaded.model, bool(loaded.preparing.do_normalize), loaded.provenance


def _settings(model: Any, do_normalize: bool, precision: str) -> dict[str, Any]:
    """Say what changes the numbers."""
    reduced: dict[str, Any] = {}
    if precision != "float32":
        reduced = {"precision": precision, "float32_beyond_frames": PADDED_FRAMES}
    return {
        "version": VERSION,
        "architecture": f"{model.config.model_type} {type(model).__name__}",
        "shaping": {k: getattr(model.config, k, None) for k in _SHAPING.split()},
        "weights": _checkpoint.weights_digest(model),
        "do_normalize": do_normalize,
        "hidden_states": HIDDEN_STATES,
        "audio": RESAMPLER,
        **reduced,
    }
