"""Pretrained encoders: loaded from a folder, checked, digested and named.

Whatever the file layout (safetensors or ``.bin``, in one piece or sharded, with or
without the heads of pre-training, weight norm under its old names or its new), the
same weights come out, and nothing that inference needs is made up.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.errors import ExtractionError, listing
from contracts.extraction import SAMPLING_RATE, Options
from contracts.terminal import warn
from extract._hub import OTHER, Found, first_line

FAMILIES = {  # feature -> the kinds of encoder it takes, as their configs say it
    "wav2vec2": (
        ["wav2vec2", "hubert", "wavlm", "data2vec-audio", "unispeech", "unispeech-sat"]
    ),
    "whisper": ["whisper"],
}
_UNUSED = "masked_spec_embed"  # in training alone
_TASKS = {  # what follows "For" in an architecture, or starts a weight's name
    "CTC": "speech recognition",
    "lm_head": "speech recognition",
    "XVector": "speaker verification",
    "tdnn": "speaker verification",
    "Classification": "classification",
    "classifier": "classification",
}
_PRETRAINING = r".*(ForPreTraining|ForConditionalGeneration|Model|Encoder)"


@dataclass(frozen=True)
class Checkpoint:
    """An encoder, loaded.

    Attributes:
        model: in full precision, ready for inference
        preparing: transformers' feature extractor; None: the checkpoint has none
        provenance: its name and commit or folder, whether it is untrained, and what it
            was fine-tuned for
    """

    model: Any
    preparing: Any
    provenance: dict[str, Any]


def load(
    feature: str, found: Found, model_class: Any, preparing_class: Any, **loading: Any
) -> Checkpoint:
    """Load an encoder and what prepares its input.

    Args:
        feature: whose encoder it is to be, a key of ``FAMILIES``
        found: where it lies, but not the demo
        model_class: of transformers, of which the weights are wanted
        preparing_class: of transformers
        loading: more for the model's ``from_pretrained``

    Raises:
        ExtractionError: if it is of another kind, or cannot be had whole
    """
    from pickle import UnpicklingError

    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError
    from transformers import AutoConfig
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    wrong = OSError, ValueError, TypeError, KeyError, RuntimeError, ArithmeticError
    broken = EOFError, UnpicklingError, SafetensorError, StrictDataclassError
    folder = found.folder
    try:
        config = AutoConfig.from_pretrained(folder)
        _check_kind(feature, found.name, config.model_type)
        model, left = _weights(model_class, folder, config, **loading)
        preparing = None
        if any(folder.glob("p*processor_config.json")):
            preparing = preparing_class.from_pretrained(folder)
            rate = preparing.sampling_rate
            expect(f"{SAMPLING_RATE} Hz", f"{rate} Hz", rate == SAMPLING_RATE)
    except (*wrong, *broken) as error:
        raise refusal(found.name, error) from error
    task = fine_tuned(config.architectures or (), left)
    if task:
        warn(
            f"encoder {found.name!r} was fine-tuned for {task}: its hidden states are "
            "no longer those of pre-training"
        )
    return Checkpoint(model.eval(), preparing, provenance(found, config, task))


def _weights(
    model_class: Any, folder: Path, config: Any, **loading: Any
) -> tuple[Any, list[str]]:
    """Load the weights, and the names of those in the files that it has no use for."""
    import torch

    model, told = model_class.from_pretrained(
        folder, config=config, dtype=torch.float32, output_loading_info=True, **loading
    )
    torn = {*told["missing_keys"], *(key for key, *_ in told["mismatched_keys"])}
    torn -= {_UNUSED}  # the others would be random
    expect("all weights", f"none for {listing(sorted(torn))}", not torn)
    return model, sorted(told["unexpected_keys"])


def provenance(found: Found, config: Any, fine_tuned_for: str = "") -> dict[str, Any]:
    """Say where an encoder comes from."""
    return {
        "encoder": found.name,
        "revision": found.commit,
        "folder": "" if found.commit or found.is_demo else str(found.folder),
        "untrained": "untrained" in Path(found.name).name
        or getattr(config, "untrained", False) is True,
        "fine_tuned": fine_tuned_for,
    }


def fine_tuned(architectures: Iterable[str], left: Iterable[str]) -> str:
    """Say what an encoder was fine-tuned for; empty: for nothing.

    Args:
        architectures: classes of which it was saved, as its config says
        left: names of weights that its files hold beside the encoder's

    Example:
        >>> fine_tuned(["Wav2Vec2ForCTC"], [])
        'speech recognition (Wav2Vec2ForCTC)'
    """
    for name in architectures:
        if not re.fullmatch(_PRETRAINING, name):
            tasks = [task for word, task in _TASKS.items() if name.endswith(word)]
            return f"{(*tasks, 'another task')[0]} ({name})"
    for key in left:
        if task := _TASKS.get(key.partition(".")[0]):
            return f"{task} ({key})"
    return ""


def weights_digest(model: Any) -> str:
    """Hash the weights that inference uses: sha256 in hex, the same from any file."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if name != _UNUSED:
            array = tensor.detach().cpu().contiguous().numpy()
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            digest.update(array.reshape(-1).data)
    return digest.hexdigest()


def choose_device(wanted: str) -> str:
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


def choose_frames(options: Options, n_layers: int) -> dict[str, Any]:
    """Return which frames are to be stored and how, as a spec has it.

    Raises:
        ExtractionError: if the encoder has no such layer, or there is no such dtype
    """
    wanted = range(n_layers + 1) if options.layers is None else options.layers
    chosen = tuple(sorted(set(wanted)))
    if not chosen or chosen[0] < 0 or chosen[-1] > n_layers:
        msg = (
            f"bad layers {list(chosen)}: expected some of 0 to {n_layers}. Use --layers"
        )
        raise ExtractionError(msg)
    if options.dtype not in ("float16", "float32"):
        msg = f"bad dtype {options.dtype!r}: expected float16 or float32. Use --dtype"
        raise ExtractionError(msg)
    dtype = options.dtype if options.store == "frames" else "float32"  # as pooled is
    return {"layers": chosen, "dtype": dtype, "keeps": options.store}


def _check_kind(feature: str, name: str, kind: str) -> None:
    """Refuse an encoder of another family, by the feature that takes it."""
    kinds = FAMILIES[feature]
    if kind in kinds:
        return
    fitting = [other for other, others in FAMILIES.items() if kind in others]
    msg = (
        f"encoder {name!r} is none for {feature}: expected "
        f"{'one of ' if len(kinds) > 1 else ''}{listing(kinds)}, got {kind}. "
        f"{f'Use it with --feature {fitting[0]}' if fitting else OTHER}"
    )
    raise ExtractionError(msg)


def expect(expected: str, got: str, is_met: bool) -> None:
    """Raise what ``load`` and its callers make a refusal of, unless it is met."""
    if not is_met:
        msg = f"expected {expected}, got {got}"
        raise ValueError(msg)


def refusal(name: str, error: BaseException) -> ExtractionError:
    """Say in one sentence that, and why, an encoder cannot be loaded."""
    msg = f"encoder {name!r} cannot be loaded: {first_line(error)}. {OTHER}"
    return ExtractionError(msg)
