"""Scores of somebody else's emotion classifier, one number per label it knows.

Any checkpoint that ``transformers`` loads as an audio classifier, from the Hugging Face
hub or a local folder, by ``--encoder``; there is no default, and no weight that the
checkpoint lacks is made up: an encoder without its classifier is refused. ``--encoder
demo`` is a small one with random weights, for trials. It is for ``evaluate
--checkpoint``, which says what such scores are worth on a corpus.

Each utterance goes through alone at its true length, prepared as the checkpoint's own
``preprocessor_config.json`` says, so its scores do not depend on any other. Scores are
what the classifier gives before its softmax.

Channels: the names in the checkpoint's ``id2label``, one vector per utterance.

Source: transformers (Wolf et al., EMNLP 2020 demonstrations, arXiv:1910.03771), class
AutoModelForAudioClassification; the checkpoint's own card says what it was trained on.
Licence: that of the checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ExtractionError, listing
from contracts.extraction import SAMPLING_RATE, Options
from contracts.feature import FeatureSpec
from extract import _checkpoint
from extract._audio import RESAMPLER
from extract._hub import Found, find, first_line
from extract._untrained import make_untrained

VERSION = 1
DEMO_LABELS = ("neutral", "happy", "sad", "angry")
_IN_TRAINING = {"masked_spec_embed"}  # weights that inference has no use for
_NOT_SHAPING = (  # parts of keys of the config: names, and what is of training alone
    *("dropout", "drop", "mask_", "apply_spec", "transformers_version", "dtype"),
    *("untrained", "architectures", "label", "gradient", "loss", "token", "problem"),
)
_NOT_NUMBERS = ("processor_class", "feature_extractor_type", "_processor_class")


@dataclass
class AudioClassifier:
    """Scores of waveforms."""

    spec: FeatureSpec
    device: str
    model: Any
    preparing: Any

    def __call__(
        self, waveforms: Sequence[NDArray[Any]]
    ) -> list[NDArray[np.float32] | ExtractionError]:
        """Return ``(label,)`` per waveform ``(time,)``.

        A waveform that the checkpoint cannot take gets the error that says so.
        """
        return [self._one(waveform) for waveform in waveforms]

    def _one(self, waveform: NDArray[Any]) -> NDArray[np.float32] | ExtractionError:
        import torch

        try:
            ready = self.preparing(
                waveform, sampling_rate=SAMPLING_RATE, return_tensors="pt"
            ).to(self.device)
            with torch.inference_mode():
                scores = self.model(**ready).logits[0]
        except (RuntimeError, ValueError, IndexError) as error:
            why = (
                f"expected audio that the classifier takes, got {len(waveform)} "
                f"samples at 16 kHz: {first_line(error)}"
            )
            return ExtractionError(why)
        return np.asarray(scores.float().cpu().numpy(), np.float32)

    @property
    def bytes_held(self) -> int:
        """Memory of the weights."""
        return sum(p.numel() * 4 for p in self.model.parameters())

    def bytes_needed(self, seconds: float) -> int:
        """Estimate the memory of one utterance: states and attention of a layer."""
        config = self.model.config
        n_frames = int(50 * seconds) + 1
        width = int(getattr(config, "hidden_size", 1_024))
        n_heads = int(getattr(config, "num_attention_heads", 16))
        depth = int(getattr(config, "num_hidden_layers", 24))
        attention = 2 * n_heads * n_frames**2
        samples = int(seconds * SAMPLING_RATE)
        return 4 * (n_frames * width * (depth + 10) + attention + 160 * samples)


def load(options: Options) -> AudioClassifier:
    """Load the classifier and make the feature ready.

    Raises:
        ExtractionError: if none is named, it cannot be had whole, or an option does
            not fit
    """
    wrong = [
        f"{flag} {got}"
        for flag, got, fits in (
            ("--precision", options.precision, options.precision == "float32"),
            ("--layers", options.layers, options.layers is None),
        )
        if not fits
    ]
    if wrong:
        msg = f"audio_classifier takes no {listing(wrong)}: leave it out"
        raise ExtractionError(msg)
    if not options.encoder:
        msg = (
            "audio_classifier needs a checkpoint: expected its folder or hub name, got "
            "none. Name it with --encoder FOLDER"
        )
        raise ExtractionError(msg)
    device = _checkpoint.choose_device(options.device)
    found = find(options.encoder, options.revision)
    model, preparing = _demo() if found.is_demo else _load(found)
    task = "" if found.is_demo else f"classification ({type(model).__name__})"
    spec = FeatureSpec(
        name="audio_classifier",
        settings=_settings(model, preparing),
        channels=_labels(found.name, model.config),
        provenance=_checkpoint.provenance(found, model.config, task),
    )
    return AudioClassifier(spec, device, model.to(device), preparing)


def _load(found: Found) -> tuple[Any, Any]:
    """Return the classifier with all its weights, and what prepares its input."""
    from pickle import UnpicklingError

    import torch
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    wrong = OSError, ValueError, TypeError, KeyError, RuntimeError, ArithmeticError
    broken = EOFError, UnpicklingError, SafetensorError, StrictDataclassError
    try:
        there = any(found.folder.glob("p*processor_config.json"))
        _checkpoint.expect("preprocessor_config.json beside it", "none", there)
        preparing = AutoFeatureExtractor.from_pretrained(found.folder)
        rate = preparing.sampling_rate
        expected = f"{SAMPLING_RATE} Hz"
        _checkpoint.expect(expected, f"{rate} Hz", rate == SAMPLING_RATE)
        model, told = AutoModelForAudioClassification.from_pretrained(
            found.folder, dtype=torch.float32, output_loading_info=True
        )
        torn = {*told["missing_keys"], *(key for key, *_ in told["mismatched_keys"])}
        torn = {key for key in torn if key.rpartition(".")[2] not in _IN_TRAINING}
        lacking = f"none for {listing(sorted(torn))}"
        _checkpoint.expect("all weights of a classifier", lacking, not torn)
    except (*wrong, *broken) as error:
        raise _checkpoint.refusal(found.name, error) from error
    return model.eval(), preparing


def _demo() -> tuple[Any, Any]:
    """Make a small classifier with random weights."""
    import torch
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

    config = make_untrained().config
    config.id2label = dict(enumerate(DEMO_LABELS))
    config.label2id = {label: i for i, label in enumerate(DEMO_LABELS)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Wav2Vec2ForSequenceClassification(config).eval()
    return model, Wav2Vec2FeatureExtractor(do_normalize=True)


def _labels(name: str, config: Any) -> tuple[str, ...]:
    """Return the names of the labels, in the order of the scores.

    Raises:
        ExtractionError: if two are the same, or there are fewer than two
    """
    labels = tuple(str(config.id2label[i]) for i in range(config.num_labels))
    twice = sorted({x for x in labels if labels.count(x) > 1})
    if twice or len(labels) < 2:
        got = f"{listing(twice)} twice" if twice else listing(labels)
        msg = (
            f"encoder {name!r} is no classifier of emotions: expected two labels or "
            f"more, each of its own name, got {got}. Choose another with --encoder "
            "FOLDER"
        )
        raise ExtractionError(msg)
    return labels


def _settings(model: Any, preparing: Any) -> dict[str, Any]:
    """Say what changes the numbers."""
    told = preparing.to_dict()
    return {
        "version": VERSION,
        "architecture": f"{model.config.model_type} {type(model).__name__}",
        "weights": _checkpoint.weights_digest(model),
        "config": _shaping(model.config),
        "preparing": {k: v for k, v in told.items() if k not in _NOT_NUMBERS},
        "audio": RESAMPLER,
    }


def _shaping(config: Any) -> dict[str, Any]:
    """Return what a config says of the numbers: no names, nothing of training alone."""
    plain = (bool, int, float, str, list, tuple)
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in sorted(config.to_diff_dict().items())
        if isinstance(value, plain)
        and not key.startswith("_")
        and not any(word in key for word in _NOT_SHAPING)
    }
