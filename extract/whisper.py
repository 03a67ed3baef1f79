"""Hidden states of Whisper's encoder, one vector per 20 ms.

Any checkpoint of Whisper's on the Hugging Face hub, or a local folder of one, by
``transformers``, of which only the encoder is loaded; the default is
openai/whisper-base (6 layers of 512 channels). ``--encoder demo`` is a small one with
random weights, for trials.

Input is the log-mel spectrogram that the checkpoint asks for (80 or 128 bands). Whisper
hears windows of 30 s: a shorter utterance is filled up with silence, as in training, a
longer one goes through in consecutive windows, whose frames are joined; no window hears
another. Frames that begin beyond the utterance's end are cut off: of n samples at
16 kHz, ceil(n / 320) frames remain.

Layer 0 is the input of the first layer, layer n what layer n returns. The norm behind
the last layer is not applied: ``last_hidden_state`` of transformers, which is also the
last of its ``hidden_states``, is that norm of layer L here.

Axes: ``(layer, frame, channel)``, stored as float16 or float32.

Source: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision,
ICML 2023, arXiv:2212.04356. Licence: that of the checkpoint (openai/whisper-base:
Apache 2.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ExtractionError
from contracts.extraction import SAMPLING_RATE, Options
from contracts.feature import FeatureSpec
from contracts.terminal import warn
from extract import _checkpoint
from extract._audio import RESAMPLER
from extract._hub import Found, find
from extract._untrained import make_untrained_whisper
from extract._whisper import WindowEncoder

VERSION = 1
DEFAULT = "openai/whisper-base"
HIDDEN_STATES = (
    "0: input of the first layer; n: output of layer n, before the last norm"
)
FRAMES = "those that begin within the utterance, of consecutive windows"
BATCH_WINDOWS = {"cpu": 1, "cuda": 16}
_SHAPING = "activation_function", "encoder_attention_heads"
_LOG_MEL = "feature_size", "hop_length", "n_fft", "n_samples", "padding_value"
_ENCODER = {r"^(model\.)?encoder\.": ""}  # names of weights: the whole's, the encoder's


@dataclass
class Whisper:
    """Hidden states of waveforms."""

    spec: FeatureSpec
    device: str
    encoder: WindowEncoder

    def __call__(
        self, waveforms: Sequence[NDArray[Any]]
    ) -> list[NDArray[np.float32] | ExtractionError]:
        """Return ``(layer, frame, channel)`` per waveform ``(time,)``.

        A waveform without a sample gets the error that says so.
        """
        done = iter(self.encoder([w for w in waveforms if len(w)]))
        why = "empty: expected at least 1 sample at 16 kHz, got none"
        return [next(done) if len(w) else ExtractionError(why) for w in waveforms]

    @property
    def bytes_held(self) -> int:
        """Memory of the weights."""
        return sum(p.numel() * 4 for p in self.encoder.model.parameters())

    def bytes_needed(self, seconds: float) -> int:
        """Return the memory that one utterance takes while it goes through."""
        n_frames = self.encoder.n_frames(int(seconds * SAMPLING_RATE))
        each = len(self.spec.layers) * self.spec.n_channels
        return n_frames * each * (4 + 4) + 16 * int(seconds * SAMPLING_RATE)

    def alone(self, waveform: NDArray[Any]) -> NDArray[np.float32]:
        """Return what transformers itself gives for one ``(time,)``."""
        return self.encoder.alone(waveform)


def load(options: Options) -> Whisper:
    """Load the encoder and make the feature ready.

    Raises:
        ExtractionError: if the encoder cannot be had whole, or an option does not fit
    """
    if options.precision != "float32":
        msg = (
            f"whisper is computed in float32, got --precision {options.precision}: "
            "leave it out"
        )
        raise ExtractionError(msg)
    device = _checkpoint.choose_device(options.device)
    found = find(options.encoder or DEFAULT, options.revision)
    model, preparing, provenance = _load(found)
    frames = _checkpoint.choose_frames(options, model.config.encoder_layers)
    spec = FeatureSpec(
        name="whisper",
        settings=_settings(model, preparing),
        channels=model.config.d_model,
        frame_shift=2 * preparing.hop_length / SAMPLING_RATE,
        provenance=provenance,
        **frames,
    )
    ready = WindowEncoder(
        model.to(device), preparing, spec.layers, BATCH_WINDOWS[device]
    )
    return Whisper(spec, device, ready)


def _load(found: Found) -> tuple[Any, Any, dict[str, Any]]:
    """Return the encoder, what makes its spectrogram, and its provenance."""
    from transformers import WhisperFeatureExtractor
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    if found.is_demo:
        model = make_untrained_whisper()
        told = _checkpoint.provenance(found, model.config)
        return model, WhisperFeatureExtractor(), told
    loaded = _checkpoint.load(
        "whisper", found, WhisperEncoder, WhisperFeatureExtractor, key_mapping=_ENCODER
    )
    model, preparing = loaded.model, loaded.preparing
    if preparing is None:
        preparing = WhisperFeatureExtractor(feature_size=model.config.num_mel_bins)
        warn(
            f"encoder {found.name!r} has no preprocessor_config.json: a spectrogram of "
            f"{model.config.num_mel_bins} mel bands as Whisper's is assumed"
        )
    try:
        _check(model.config, preparing)
    except ValueError as error:
        raise _checkpoint.refusal(found.name, error) from error
    return model, preparing, loaded.provenance


def _check(config: Any, preparing: Any) -> None:
    """Have the spectrogram fit the encoder, and be the same each time."""
    for what, wanted, got in (
        ("mel bands", config.num_mel_bins, preparing.feature_size),
        ("frames", 2 * config.max_source_positions, preparing.nb_max_frames),
        ("dither", 0, preparing.dither),
    ):
        _checkpoint.expect(f"{wanted} {what}", f"{got}", wanted == got)


def _settings(model: Any, preparing: Any) -> dict[str, Any]:
    """Say what changes the numbers."""
    return {
        "version": VERSION,
        "architecture": f"{model.config.model_type} {type(model).__name__}",
        "shaping": {k: getattr(model.config, k) for k in _SHAPING},
        "log_mel": {k: getattr(preparing, k) for k in _LOG_MEL},
        "weights": _checkpoint.weights_digest(model),
        "hidden_states": HIDDEN_STATES,
        "frames": FRAMES,
        "audio": RESAMPLER,
    }
