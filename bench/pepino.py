"""Fitting pepino from the cache: one fit, and 25 in one pass, against usual loops.

Numbers as hidden states of wav2vec2-base, 13 layers of 768 channels, float16, as long
as RAVDESS recordings, warm in the page cache; five folds, in each of which a fit learns
from 70 % of the utterances and is judged on 10 %, for four epochs. All threads that
there are.

What a rate counts is utterances learnt from: those of train, once for each model and
epoch. Reading dev, drawing weights and making arrays is in everybody's time.

- Usual practice runs the encoder again at every step, on audio padded to 5 s, or one
  by one at true length. It is timed on some files, without any head: a fit that does
  so takes longer. Random weights.
- The plain loop is torch's DataLoader over one float32 ``.npy`` per utterance, padded
  batches of 32, no workers (``bench/baselines/loader.py``).
- The limit reads every stored number once at the speed of memory (exclusive or of
  64-bit words) and does the arithmetic of the head, forward and back, on layers that
  are used again and again: it converts nothing, and judges no development speaker.
- The floor multiplies the matrices of all fits, forward and back, on arrays that are
  used again and again, and does nothing else.
- In turn means that our own fits run one after the other, each by the same code.

Normalised: each fold takes means off and divides by deviations of its own.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench import _speech
from bench._machine import Watch, cores, facts, threads
from bench._pepino_fits import FOLDS, Fits, put
from bench._timing import Contender, Result, alternate, amounts, table
from bench.baselines import careful, loader, usual
from bench.reading import CHANNELS, LAYERS, _arrays
from extract._untrained import make_untrained

SEEDS = 5
USUAL, ALONE = "encoder again, padded to 5 s", "encoder again, true length"
LOADER, LIMIT = "DataLoader, float32 .npy, padded", "limit: read once, and compute"
OURS, TURN = "ours", "ours, fits in turn"
PRODUCTS = "floor: matrix products alone"
JOINT, ONE = "ours, {} fits jointly", "ours, one fit alone"


def run(
    rounds: int = 7,
    n: int = 60,
    layers: int = LAYERS,
    channels: int = CHANNELS,
    geometry: str = "base",
    n_files: int = 2,
    seeds: int = SEEDS,
) -> Result:
    """Measure.

    Args:
        rounds: alternations
        n: utterances; 20 or more, so that each fold has some of all parts
        layers: of each
        channels: of each frame
        geometry: of the encoder, see ``extract._untrained``
        n_files: utterances that the encoder is timed on
        seeds: fits of each fold
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name, threads(cores()):
        arrays = list(_arrays(n, layers, channels))
        (Path(name) / "files").mkdir()
        fits = Fits(
            put(Path(name) / "cache", arrays),
            loader.write(Path(name) / "files", arrays),
        )
        encoders = _encoders(geometry, n_files)
        with Watch() as watch:
            tables = [_one(fits, encoders, rounds)]
            for normalised in (False, True):
                tables.append(_many(fits, seeds, normalised, rounds))
        told = facts("numpy", "torch", "transformers") | {
            "numbers": f"{n} utterances, {sum(a.nbytes for a in arrays) / 1e9:.3f} GB",
            "threads": str(torch.get_num_threads()),
        }
    remarks = [_limit(tables[0]), *(_times(one, seeds) for one in tables[1:])]
    return Result(tables, remarks, told | watch.facts())


def _encoders(geometry: str, n_files: int) -> list[Contender]:
    """Return what runs the encoder again; one file warms it up."""
    model, waves = make_untrained(geometry), _speech.utterances(n_files)
    ways: list[tuple[str, Callable[..., None], list[Any]]] = [
        (USUAL, usual.encode, [usual.padded(wave) for wave in waves]),
        (ALONE, careful.encode, waves),
    ]
    return [
        Contender(name, partial(call, model, x), len(x), partial(call, model, x[:1]))
        for name, call, x in ways
    ]


def _one(fits: Fits, encoders: list[Contender], rounds: int) -> dict[str, Any]:
    """Compare the epochs of one fit."""
    tasks = [fits.task(0, 0)]
    amount = fits.learnt(tasks)
    contenders = [
        *encoders,
        Contender(LOADER, fits.plain, amount),
        Contender(LIMIT, fits.limit, amount),
        Contender(OURS, partial(fits.ours, tasks), amount),
    ]
    taken = alternate(contenders, rounds)
    each = "ms per utterance", 1000.0
    title = "One fit of pepino"
    return table(title, "utterances/s", taken, amounts(contenders), OURS, each)


def _many(fits: Fits, seeds: int, normalised: bool, rounds: int) -> dict[str, Any]:
    """Compare the fits of all folds and seeds; those in turn are timed on one seed."""
    tasks, few = fits.tasks(seeds, normalised), fits.tasks(1, normalised)
    contenders = [
        Contender(TURN, partial(fits.turn, few), fits.learnt(few)),
        Contender(ONE, partial(fits.ours, few[:1]), fits.learnt(few[:1])),
    ]
    if not normalised:
        plain = Contender(LOADER, fits.plain, fits.learnt(few[:1]))
        floor = Contender(PRODUCTS, partial(fits.products, few), fits.learnt(few))
        contenders[:0] = [plain, floor]
    jointly = JOINT.format(len(tasks))
    contenders.append(Contender(jointly, partial(fits.ours, tasks), fits.learnt(tasks)))
    taken = alternate(contenders, rounds)
    how = ", normalised by fold" if normalised else ""
    title = f"{len(tasks)} fits of pepino{how}"
    each = "ms per utterance and fit", 1000.0
    return table(
        title, "utterances x fits/s", taken, amounts(contenders), jointly, each
    )


def _row(told: dict[str, Any], name: str) -> dict[str, Any]:
    row: dict[str, Any] = next(r for r in told["rows"] if r["contender"] == name)
    return row


def _limit(told: dict[str, Any]) -> str:
    row = _row(told, LIMIT)
    low, high = 1 / row["ours_is_max"], 1 / row["ours_is_min"]
    return (
        f"One fit takes {1 / row['ours_is']:.2f} times ({low:.2f} to {high:.2f}) as "
        "long as reading once and computing"
    )


def _times(told: dict[str, Any], seeds: int) -> str:
    """Say how many fits alone the fits together cost."""
    row, n = _row(told, ONE), FOLDS * seeds
    low, high = n / row["ours_is_max"], n / row["ours_is_min"]
    said = (
        f"{told['title']}: together they take {n / row['ours_is']:.1f} times "
        f"({low:.1f} to {high:.1f}) as long as one alone"
    )
    for floor in (r for r in told["rows"] if r["contender"] == PRODUCTS):
        least = n * floor["ours_is"] / row["ours_is"]
        said += f"; their matrix products alone take {least:.1f} times as long"
    return said
