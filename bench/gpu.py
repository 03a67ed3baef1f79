"""Hidden states of wav2vec2-base on a GPU, against Hugging Face alone and in batches.

Random weights, signals like speech, as long as RAVDESS recordings; what is kept is mean
and deviation over time of every layer, as by ``--store pooled``, so that all wait for
the same little copy back to the host. Hugging Face (sdpa, inference mode) goes one by
one at true length, and in padded batches of 16 of like lengths, where its statistics
take the padding in; bfloat16 is autocast, for everybody.

Then the time of each part of a whole run with ``--store frames``, from wav files to a
committed shard: one part after the other, the GPU waited for in between. The share of
the peak counts operations by ``extract._packed.flops``.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench import _speech
from bench._machine import Watch, facts
from bench._parts import Parts
from bench._timing import Contender, Result, alternate, table
from bench.baselines import batches
from bench.encoder import operations
from contracts._store import FeatureStore
from contracts.feature import Block, FeatureSpec
from extract import _audio
from extract._blocks import Collector
from extract._encoder import Encoder
from extract._untrained import make_untrained

ALONE, BATCHES = "HF one by one", "HF padded batches of 16"
OURS = "this extractor"
PEAKS = {  # bfloat16, dense, in 10**12 operations per second, by their data sheets
    "H100 PCIe": 756,
    "H100": 989,
    "H200": 989,
    "A100": 312,
    "L40S": 362,
    "L4": 121,
    "A10G": 70,
    "RTX 4090": 165,
}


def run(
    rounds: int = 7,
    n_files: int = 256,
    geometry: str = "base",
    device: str | None = None,
) -> Result:
    """Measure; without a GPU say so.

    Args:
        rounds: alternations
        n_files: utterances
        geometry: of the encoder, see ``extract._untrained``
        device: None: the GPU
    """
    if device is None and not torch.cuda.is_available():
        return Result(remarks=["not measured: torch sees no GPU here"])
    where = torch.device(device or "cuda")
    model = make_untrained(geometry).to(where)
    waves = _speech.utterances(n_files)
    seconds = sum(map(len, waves)) / _speech.SR
    counted = operations(model, [len(w) for w in waves])
    tables = []
    with Watch() as watch:
        for precision in ("float32", "bfloat16"):
            contenders = _contenders(model, waves, precision, where)
            taken = alternate(contenders, rounds)
            done = dict.fromkeys(taken, seconds)
            title = f"Encoder on {_name(where)}, {precision}"
            tables.append(table(title, "s of audio per s", taken, done, OURS))
        parts = [_parts(model, n_files, p, where) for p in ("float32", "bfloat16")]
    quickest = seconds / tables[-1]["rows"][-1]["rate"]
    remarks = [_share_of_peak(_name(where), counted / quickest), *parts]
    about = facts("torch", "transformers") | {"GPU": _name(where)}
    about["audio"] = f"{n_files} files, {seconds:.0f} s"
    return Result(tables, remarks, about | watch.facts())


def _name(device: torch.device) -> str:
    cuda = device.type == "cuda"
    return torch.cuda.get_device_name(device) if cuda else device.type


def _share_of_peak(name: str, rate: float) -> str:
    """Compare a rate, in 10**9 operations per second, with what a GPU has at most."""
    said = f"{OURS} in bfloat16: {rate / 1000:.1f} TFLOP/s"
    for known, peak in PEAKS.items():
        if set(known.split()) <= set(name.replace("-", " ").split()):
            share = rate / 10 / peak
            return f"{said}, {share:.0f} % of the bfloat16 peak of {peak} TFLOP/s"
    return f"{said}; the peak of {name} is not known here"


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _spec(model: Any, keeps: str) -> FeatureSpec:
    layers = tuple(range(model.config.num_hidden_layers + 1))
    width, dtype = model.config.hidden_size, "float16"
    return FeatureSpec("bench", {}, width, layers, dtype, 0.02, keeps=keeps)


def _encoder(model: Any, precision: str) -> Encoder:
    layers = range(model.config.num_hidden_layers + 1)
    return Encoder(model, False, layers, precision=precision, padded=True)


# contenders


def _contenders(
    model: Any,
    waves: Sequence[NDArray[np.float32]],
    precision: str,
    device: torch.device,
) -> list[Contender]:
    """Return the three ways; each is warmed up with all of the work."""
    encoder, spec = _encoder(model, precision), _spec(model, "pooled")
    alone = [torch.from_numpy(wave)[None] for wave in waves]
    sixteens = batches.batches(waves, 16)
    encode = partial(_hugging_face, model, precision == "bfloat16", device)
    calls: dict[str, Callable[[], object]] = {
        ALONE: partial(encode, alone),
        BATCHES: partial(encode, sixteens),
        OURS: partial(encoder.blocks, waves, spec),
    }
    return [Contender(name, call, 1.0) for name, call in calls.items()]


def _hugging_face(
    model: Any, is_half: bool, device: torch.device, inputs: Sequence[torch.Tensor]
) -> None:
    """Pool every hidden state of batches ``(utterance, time)`` over its frames."""
    half = torch.autocast(device.type, torch.bfloat16, enabled=is_half)
    with torch.inference_mode(), half:
        for batch in inputs:
            states = model(batch.to(device), output_hidden_states=True).hidden_states
            told = [torch.std_mean(s.float(), dim=1) for s in states]
            torch.stack([torch.stack(one) for one in told]).cpu()


# parts


def _parts(model: Any, n_files: int, precision: str, device: torch.device) -> str:
    """Run once from wav files to a shard; say how long each part took."""

    def clock() -> float:
        _wait(device)
        return time.perf_counter()

    parts, encoder, spec = (
        Parts(clock),
        _encoder(model, precision),
        _spec(model, "frames"),
    )
    watched: list[tuple[Any, str, str]] = [
        (Encoder, "_samples", "copy"),
        (Collector, "padded", "pool and cast"),
        (torch.Tensor, "cpu", "copy back"),
    ]
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        paths = _speech.write(Path(name), n_files)
        encoder.blocks(_speech.utterances(n_files)[:1], spec)  # warms up
        with parts.part("decode"):
            waves = [_audio.resample(_audio.decode(path)) for path in paths]
        with parts.calls(*watched), parts.part("encoder"):
            blocks = encoder.blocks(waves, spec)
        keyed = {f"{i:064x}": block for i, block in enumerate(blocks)}
        good = {key: one for key, one in keyed.items() if isinstance(one, Block)}
        with parts.part("write"):
            FeatureStore.create(Path(name) / spec.short, spec).commit(
                good, {}, device.type
            )
    whole = sum(parts.seconds.values())
    told = [
        f"{k} {s:.3f} s ({100 * s / whole:.0f} %)" for k, s in parts.seconds.items()
    ]
    return f"Parts in {precision}, one after the other: {', '.join(told)}"
