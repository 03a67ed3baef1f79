"""Hidden states of a pretrained Wav2Vec2, HuBERT or WavLM, one vector per 20 ms.

Any such checkpoint of the Hugging Face hub, or a local folder of one, by
``transformers``; the default is facebook/wav2vec2-base (12 layers of 768 channels).
Layer 0 is the transformer's input, layers 1 to L are what each of its layers returns,
before any norm behind the last one. Each utterance gives what it gives alone at its
true length, whatever it is computed with. ``--encoder demo`` is a small encoder with
random weights, for trials.

Axes: ``(layer, frame, channel)``, float32 to be stored as float16 or float32.

Source: Baevski et al., wav2vec 2.0, NeurIPS 2020, arXiv:2006.11477; Hsu et al.,
HuBERT, arXiv:2106.07447; Chen et al., WavLM, arXiv:2110.13900. Licence: that of the
checkpoint (facebook/wav2vec2-base: Apache 2.0).
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ExtractionError, listing
from contracts.extraction import SAMPLING_RATE, Options
from contracts.feature import FeatureSpec
from extract._audio import RESAMPLER
from extract._encoder import Encoder
from extract._untrained import DEMO, make_untrained

VERSION = 1
DEFAULT = "facebook/wav2vec2-base"
HIDDEN_STATES = "0: input of the first layer; n: output of layer n, before a last norm"
BATCH_FRAMES = {"cpu": 1, "cuda": 16_000}  # padding costs more than it gives on a CPU
_KINDS = ("wav2vec2", "hubert", "wavlm")
_SHAPING = (  # of the config: changes the numbers, but not the weights
    "feat_extract_norm feat_extract_activation conv_kernel conv_stride hidden_act "
    "feat_proj_layer_norm layer_norm_eps do_stable_layer_norm num_attention_heads "
    "num_conv_pos_embeddings num_conv_pos_embedding_groups conv_pos_batch_norm "
    "num_buckets max_bucket_distance adapter_attn_dim"
)
_UNUSED = "masked_spec_embed"  # in training alone
_PREPARING = "preprocessor_config.json"
_TIMEOUT = 5  # seconds, of asking the hub
_OTHER = "Choose another with --encoder FOLDER"


class Wav2vec2:
    """Hidden states of waveforms."""

    def __init__(self, spec: FeatureSpec, device: str, encoder: Encoder) -> None:
        self.spec = spec
        self.device = device
        self.encoder = encoder

    def __call__(
        self, waveforms: Sequence[NDArray[Any]]
    ) -> list[NDArray[np.float32] | ExtractionError]:
        """Return ``(layer, frame, channel)`` per waveform ``(time,)``.

        A waveform without one whole frame gets the error that says so.
        """
        shortest = self.encoder.field
        done = iter(self.encoder([w for w in waveforms if len(w) >= shortest]))
        need = f"is too short: expected at least {shortest} samples at 16 kHz"
        why = f"the waveform {need}, got {{}}. Take it out of the corpus"
        return [
            next(done) if len(w) >= shortest else ExtractionError(why.format(len(w)))
            for w in waveforms
        ]


def load(options: Options) -> Wav2vec2:
    """Load the encoder and make the feature ready.

    Raises:
        ExtractionError: if the encoder cannot be had or is not whole, or an option
            does not fit it
    """
    name, device = options.encoder or DEFAULT, _device(options.device)
    folder, commit = _find(name, options.revision)
    model, do_normalize = _load(name, folder)
    layers = _layers(options.layers, model.config.num_hidden_layers)
    if options.dtype not in ("float16", "float32"):
        msg = f"bad dtype {options.dtype!r}: expected float16 or float32. Use --dtype"
        raise ExtractionError(msg)
    untrained = (
        getattr(model.config, "untrained", False) or "untrained" in Path(name).name
    )
    spec = FeatureSpec(
        name="wav2vec2",
        settings={
            "version": VERSION,
            "architecture": f"{model.config.model_type} {type(model).__name__}",
            "shaping": {k: getattr(model.config, k, None) for k in _SHAPING.split()},
            "weights": weights_digest(model),
            "do_normalize": do_normalize,
            "hidden_states": HIDDEN_STATES,
            "audio": RESAMPLER,
        },
        channels=model.config.hidden_size,
        layers=layers,
        dtype=options.dtype,
        frame_shift=math.prod(model.config.conv_stride) / SAMPLING_RATE,
        provenance={
            "encoder": name,
            "revision": commit,
            "folder": "" if commit or folder is None else str(folder),
            "untrained": bool(untrained),
        },
    )
    ready = Encoder(model.to(device), do_normalize, layers, BATCH_FRAMES[device])
    return Wav2vec2(spec, device, ready)


def weights_digest(model: Any) -> str:
    """Hash an encoder's weights as loaded: sha256 in hex, the same from any file.

    What only training uses does not count.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if name != _UNUSED:
            array = tensor.detach().cpu().contiguous().numpy()
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            digest.update(array.reshape(-1).data)
    return digest.hexdigest()


def _device(wanted: str) -> str:
    """Choose the device, and have it compute in full float32."""
    import torch

    there = torch.cuda.is_available()
    known = ["auto", "cpu", "cuda"] if there else ["auto", "cpu"]
    if wanted not in known:
        msg = f"no device {wanted!r} here: expected one of {known}. Use --device auto"
        raise ExtractionError(msg)
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
    return "cuda" if there and wanted != "cpu" else "cpu"


def _layers(wanted: tuple[int, ...] | None, n_layers: int) -> tuple[int, ...]:
    there = range(n_layers + 1)
    chosen = tuple(sorted(set(there if wanted is None else wanted)))
    if not chosen or not set(chosen) <= set(there):
        got = f"expected some of 0 to {n_layers}, got {list(wanted or ())}"
        msg = f"bad layers: {got}. Choose them with --layers"
        raise ExtractionError(msg)
    return chosen


def _find(name: str, revision: str | None) -> tuple[Path | None, str]:
    """Return the encoder's folder (None: demo), and the hub's commit if it has one."""
    folder = Path(name).expanduser()
    if name != DEMO and not folder.is_dir():
        if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
            msg = f"no encoder in {name!r}: expected a folder, got none. {_OTHER}"
            raise ExtractionError(msg)
        snapshot = _from_hub(name, revision)
        return snapshot, snapshot.name
    if revision:
        msg = (
            f"encoder {name!r} has no revisions, got {revision!r}: leave out --revision"
        )
        raise ExtractionError(msg)
    return (None if name == DEMO else folder.resolve()), ""


def _from_hub(name: str, revision: str | None) -> Path:
    """Return the encoder's folder in the hub's cache, fetched if it is not there."""
    from huggingface_hub import snapshot_download, try_to_load_from_cache
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    with contextlib.suppress(OSError, ValueError):
        kept = Path(snapshot_download(name, revision=revision, local_files_only=True))
        known = try_to_load_from_cache(name, _PREPARING, revision=kept.name)
        weights = [*kept.glob("model*.safetensors"), *kept.glob("pytorch_model*.bin")]
        if known is not None and weights and (kept / "config.json").exists():
            return kept
    try:
        return _fetch(name, revision)
    except (httpx.HTTPError, OSError, ValueError) as error:
        msg = (
            f"encoder {name!r} cannot be had: not in the hub's cache, and not from the "
            f"hub: {_line(error)}. {_OTHER}"
        )
        raise ExtractionError(msg) from error


def _fetch(name: str, revision: str | None) -> Path:
    """Fetch the encoder from the hub, one kind of its weights."""
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError

    # asked once, not again and again, to know soon whether the hub can be reached
    told = HfApi().model_info(name, revision=revision, timeout=_TIMEOUT)
    files = [file.rfilename for file in told.siblings or ()]
    is_safe = any(fnmatch(file, "model*.safetensors") for file in files)
    wanted = ["*config.json", "model*.saf*" if is_safe else "pytorch_model*.bin*"]
    folder = snapshot_download(name, revision=revision, allow_patterns=wanted)
    with contextlib.suppress(EntryNotFoundError):  # the cache notes that there is none
        hf_hub_download(name, _PREPARING, revision=revision)
    return Path(folder)


def _load(name: str, folder: Path | None) -> tuple[Any, bool]:
    """Load the base model, and whether its waveforms are to be normalised."""
    if folder is None:
        return make_untrained(), True
    from pickle import UnpicklingError

    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel, Wav2Vec2FeatureExtractor
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    broken = OSError, ValueError, RuntimeError, KeyError, EOFError, UnpicklingError
    try:
        config = AutoConfig.from_pretrained(folder)
        if config.model_type not in _KINDS:
            msg = f"expected one of {listing(_KINDS)}, got {config.model_type}"
            raise ValueError(msg)
        model, told = AutoModel.from_pretrained(
            folder, config=config, dtype=torch.float32, output_loading_info=True
        )
        preparing = Wav2Vec2FeatureExtractor()
        if any(folder.glob("p*processor_config.json")):
            preparing = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    except (*broken, SafetensorError) as error:
        msg = f"encoder {name!r} cannot be loaded: {_line(error)}. {_OTHER}"
        raise ExtractionError(msg) from error
    _check(name, told, preparing.sampling_rate)
    return model.eval(), bool(preparing.do_normalize)


def _line(error: BaseException) -> str:
    """Return the first line of an error, without a full stop."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")


def _check(name: str, told: dict[str, Any], sampling_rate: int) -> None:
    """Refuse an encoder that is not whole: what is missing would be random."""
    missing = {*told["missing_keys"], *(key for key, *_ in told["mismatched_keys"])}
    if lacking := listing(sorted(missing - {_UNUSED})):
        msg = f"expected all weights, got none for {lacking}"
    elif sampling_rate != SAMPLING_RATE:
        msg = f"expected one for {SAMPLING_RATE} Hz, got one for {sampling_rate} Hz"
    else:
        return
    msg = f"encoder {name!r} cannot be used: {msg}. {_OTHER}"
    raise ExtractionError(msg)
