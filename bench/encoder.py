"""All hidden states of wav2vec2-base on this CPU, against three ways of Hugging Face.

Random weights, signals like speech, as long as RAVDESS recordings. Usual practice is
one file at a time, padded with zeros to 5 s; then one by one at true length; then
padded batches of eight of like lengths: sdpa, inference mode, as many threads as cores.
Ours is one process for each core, each with one thread, packing its share; the models
are loaded before.

The machine's own rate is that of sgemm (``torch.mm`` of 2048 x 2048 float32), measured
in the same alternation in the same way: a process for each core, each with one thread.
Operations are counted by ``extract._packed.flops``, for ``T`` frames::

    2 * frames * weights   of each convolution (its own frames) and linear layer
    4 * T**2 * width       of each attention: scores and weighted sum

The positional convolution counts as a direct one, though it is done by FFT.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import torch

from bench import _speech
from bench._machine import Watch, cores, facts, threads
from bench._processes import workers
from bench._timing import Contender, Result, alternate, amounts, table
from bench.baselines import batches, careful, usual
from contracts import memory
from extract import _packed
from extract._encoder import Encoder
from extract._untrained import make_untrained

USUAL, ALONE = "usual practice (padded to 5 s)", "HF one by one, true length"
BATCHES, OURS = "HF padded batches of 8", "this extractor"
SGEMM = "sgemm 2048 x 2048"
SIDE = 2048  # of the matrices


def run(
    rounds: int = 7, n_files: int = 24, geometry: str = "base", products: int = 10
) -> Result:
    """Measure.

    Args:
        rounds: alternations
        n_files: utterances
        geometry: of the encoder, see ``extract._untrained``
        products: of matrices that each process makes
    """
    waves = _speech.utterances(n_files)
    seconds = sum(map(len, waves)) / _speech.SR
    model = make_untrained(geometry)
    with workers(cores(), ready, geometry, n_files) as pool, threads(cores()):
        encode = partial(pool.each, share, pool.n, geometry, n_files)
        sgemm = 2e-9 * SIDE**3 * products * pool.n
        contenders = [
            *_hugging_face(model, waves, seconds),
            Contender(OURS, encode, seconds),
            Contender(SGEMM, partial(pool.each, multiply, products), sgemm),
        ]
        with Watch() as watch:
            taken = alternate(contenders, rounds)
        told = facts("torch", "transformers") | {
            "audio": f"{n_files} files, {seconds:.1f} s",
            "attention of HF": model.config._attn_implementation,
            "threads": f"HF {torch.get_num_threads()}; ours {pool.n} processes with 1",
        }
    speeds = {name: taken[name] for name in (USUAL, ALONE, BATCHES, OURS)}
    speed = table("Encoder", "s of audio per s", speeds, amounts(contenders), OURS)
    counted = operations(model, [len(w) for w in waves])
    peak = _peak(taken, {ALONE: counted, OURS: counted, SGEMM: sgemm})
    return Result([speed, peak], [_reached(peak)], told | watch.facts())


def _hugging_face(model: Any, waves: list[Any], seconds: float) -> list[Contender]:
    """Return the baselines; each is warmed up with one file or batch."""
    ways: list[tuple[str, Callable[..., None], list[Any]]] = [
        (USUAL, usual.encode, [usual.padded(wave) for wave in waves]),
        (ALONE, careful.encode, waves),
        (BATCHES, batches.encode, batches.batches(waves, 8)),
    ]
    return [
        Contender(name, partial(call, model, x), seconds, partial(call, model, x[:1]))
        for name, call, x in ways
    ]


def _peak(
    taken: Mapping[str, Sequence[float]], done: Mapping[str, float]
) -> dict[str, Any]:
    rates = {name: taken[name] for name in done}
    return table("Operations", "GFLOP/s", rates, done, OURS)


def _reached(peak: Mapping[str, Any]) -> str:
    """Say how much of the machine's own rate is reached."""
    row = next(row for row in peak["rows"] if row["contender"] == SGEMM)
    low, high = 100 * row["ours_is_min"], 100 * row["ours_is_max"]
    return (
        f"{OURS}: {100 * row['ours_is']:.0f} % ({low:.0f} to {high:.0f}) of the rate "
        f"of sgemm on {cores()} cores"
    )


def operations(model: Any, n_samples: list[int]) -> float:
    """Count what utterances of these lengths need, in 10**9 operations."""
    encoder = Encoder(model, do_normalize=False, layers=_layers(model))
    lengths = [encoder.n_frames(n) for n in n_samples]
    return sum(_packed.flops(model, n) for n in lengths) * 1e-9


def _layers(model: Any) -> range:
    return range(model.config.num_hidden_layers + 1)


# in the processes


@cache
def _encoder(geometry: str) -> Encoder:
    model = make_untrained(geometry)
    return Encoder(model, do_normalize=False, layers=_layers(model))


def ready(geometry: str, n_files: int) -> int:
    """Load, run once, and say which process this is."""
    memory.keep_pages()
    _encoder(geometry)(_speech.utterances(n_files)[:1])
    return os.getpid()


def share(position: int, n: int, geometry: str, n_files: int) -> None:
    """Encode one share of the utterances, and let the hidden states go.

    Shares are dealt by length, back and forth, so that all take about as long.
    """
    waves = sorted(_speech.utterances(n_files), key=len)
    dealt = [
        wave
        for i, wave in enumerate(waves)
        if position in (i % (2 * n), 2 * n - 1 - i % (2 * n))
    ]
    _encoder(geometry)(dealt)
    memory.give_back()


@cache
def _matrices() -> list[torch.Tensor]:
    return [torch.rand(SIDE, SIDE) for _ in range(3)]


def multiply(_position: int, products: int) -> None:
    """Multiply matrices so many times."""
    one, other, out = _matrices()
    for _ in range(products):
        torch.mm(one, other, out=out)
