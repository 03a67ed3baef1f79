"""Hidden states of a pretrained Wav2Vec2, HuBERT or WavLM, one vector per 20 ms.

Any such checkpoint of the Hugging Face hub, or a local folder of one, by
``transformers``; the default is facebook/wav2vec2-base (12 layers of 768 channels).
Layer 0 is the transformer's input, 1 to L are what each layer returns, before any norm
behind the last one. Each utterance gives what it gives alone at its true length,
whatever its batch. ``--encoder demo`` is a small one with random weights, for trials.

Axes: ``(layer, frame, channel)``, stored as float16 or float32.

Source: Baevski et al., wav2vec 2.0, NeurIPS 2020, arXiv:2006.11477; Hsu et al.,
HuBERT, arXiv:2106.07447; Chen et al., WavLM, arXiv:2110.13900. Licence: that of the
checkpoint (facebook/wav2vec2-base: Apache 2.0).
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass
class Wav2vec2:
    """Hidden states of waveforms."""

    spec: FeatureSpec
    device: str
    encoder: Encoder

    def __call__(
        self, waveforms: Sequence[NDArray[Any]]
    ) -> list[NDArray[np.float32] | ExtractionError]:
        """Return ``(layer, frame, channel)`` per waveform ``(time,)``.

        A waveform without one whole frame gets the error that says so.
        """
        shortest = self.encoder.field
        done = iter(self.encoder([w for w in waveforms if len(w) >= shortest]))
        why = f"too short: expected at least {shortest} samples at 16 kHz, got {{}}"
        return [
            next(done) if len(w) >= shortest else ExtractionError(why.format(len(w)))
            for w in waveforms
        ]


def load(options: Options) -> Wav2vec2:
    """Load the encoder and make the feature ready.

    Raises:
        ExtractionError: if the encoder cannot be had whole, or an option does not fit
    """
    name, device = options.encoder or DEFAULT, _device(options.device)
    folder, commit = _find(name, options.revision)
    model, do_normalize = _load(name, folder)
    layers = _layers(options.layers, model.config.num_hidden_layers)
    if options.dtype not in ("float16", "float32"):
        msg = f"bad dtype {options.dtype!r}: expected float16 or float32. Use --dtype"
        raise ExtractionError(msg)
    spec = FeatureSpec(
        name="wav2vec2",
        settings=_settings(model, do_normalize),
        channels=model.config.hidden_size,
        layers=layers,
        dtype=options.dtype,
        frame_shift=math.prod(model.config.conv_stride) / SAMPLING_RATE,
        provenance={
            "encoder": name,
            "revision": commit,
            "folder": "" if commit or folder is None else str(folder),
            "untrained": "untrained" in Path(name).name
            or getattr(model.config, "untrained", False) is True,
        },
    )
    ready = Encoder(model.to(device), do_normalize, layers, BATCH_FRAMES[device])
    return Wav2vec2(spec, device, ready)


def _settings(model: Any, do_normalize: bool) -> dict[str, Any]:
    """Say what changes the numbers."""
    return {
        "version": VERSION,
        "architecture": f"{model.config.model_type} {type(model).__name__}",
        "shaping": {k: getattr(model.config, k, None) for k in _SHAPING.split()},
        "weights": weights_digest(model),
        "do_normalize": do_normalize,
        "hidden_states": HIDDEN_STATES,
        "audio": RESAMPLER,
    }


def weights_digest(model: Any) -> str:
    """Hash the weights that inference uses: sha256 in hex, the same from any file."""
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
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return "cuda" if there and wanted != "cpu" else "cpu"


def _layers(wanted: tuple[int, ...] | None, n_layers: int) -> tuple[int, ...]:
    chosen = tuple(sorted(set(range(n_layers + 1) if wanted is None else wanted)))
    if not chosen or chosen[0] < 0 or chosen[-1] > n_layers:
        msg = (
            f"bad layers {list(chosen)}: expected some of 0 to {n_layers}. Use --layers"
        )
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
        msg = f"encoder {name!r} has no revision {revision!r}: leave out --revision"
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
        why = f"it is not in the hub's cache, and the hub gives none: {_line(error)}"
        msg = f"encoder {name!r} cannot be had: {why}. {_OTHER}"
        raise ExtractionError(msg) from error


def _fetch(name: str, revision: str | None) -> Path:
    """Fetch the encoder from the hub, one kind of its weights."""
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError

    told = HfApi().model_info(name, revision=revision, timeout=_TIMEOUT)  # no retries
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
        _expect(
            f"one of {listing(_KINDS)}", config.model_type, config.model_type in _KINDS
        )
        model, told = AutoModel.from_pretrained(
            folder, config=config, dtype=torch.float32, output_loading_info=True
        )
        torn = {*told["missing_keys"], *(key for key, *_ in told["mismatched_keys"])}
        torn -= {_UNUSED}  # the others would be random
        _expect("all weights", f"none for {listing(sorted(torn))}", not torn)
        preparing = Wav2Vec2FeatureExtractor()
        if any(folder.glob("p*processor_config.json")):
            preparing = Wav2Vec2FeatureExtractor.from_pretrained(folder)
        rate = preparing.sampling_rate
        _expect(f"{SAMPLING_RATE} Hz", f"{rate} Hz", rate == SAMPLING_RATE)
    except (*broken, SafetensorError) as error:
        msg = f"encoder {name!r} cannot be loaded: {_line(error)}. {_OTHER}"
        raise ExtractionError(msg) from error
    return model.eval(), bool(preparing.do_normalize)


def _expect(expected: str, got: str, is_met: bool) -> None:
    if not is_met:
        msg = f"expected {expected}, got {got}"
        raise ValueError(msg)


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")
