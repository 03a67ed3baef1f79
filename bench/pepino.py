"""Fitting pepino from the cache: one fit, and 25 in one pass, against usual loops.

Numbers as hidden states of wav2vec2-base, 13 layers of 768 channels, float16, as long
as RAVDESS recordings, warm in the page cache; five folds, in each of which a fit learns
from 70 % of the utterances and is judged on 10 %. All threads that there are.

What a rate counts is utterances learnt from: those of train, once for each model and
epoch. Reading dev, drawing weights and making arrays is in everybody's time.

- Usual practice runs the encoder again at every step, on audio padded to 5 s, or one
  by one at true length. It is timed on some files, without any head: a fit that does
  so takes longer. Random weights.
- The plain loop is torch's DataLoader over one float32 ``.npy`` per utterance, padded
  batches of 32, no workers (``bench/baselines/loader.py``).
- The limit reads every stored number once at the speed of memory (exclusive or of
  64-bit words) and does the arithmetic of the head on frames that are mixed already.
- In turn means that our own fits run one after the other, each by the same code.

Normalised: each fold takes means off and divides by deviations of its own.
"""

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bench import _speech
from bench._machine import Watch, cores, facts, threads
from bench._timing import Contender, Result, alternate, amounts, table
from bench.baselines import careful, loader, usual
from bench.reading import CHANNELS, LAYERS, SHARD, _arrays
from contracts.cache import Cache
from contracts.feature import Block, FeatureSpec
from contracts.view import View
from extract._untrained import make_untrained
from models._joint import Settings, Task, fit_jointly, weighted_targets
from models._joint_network import Hidden, Network, initial

FOLDS, SEEDS, EPOCHS = 5, 5, 2
CLASSES = tuple(f"label {i}" for i in range(8))
USUAL, ALONE = "encoder again, padded to 5 s", "encoder again, true length"
LOADER, LIMIT = "DataLoader, float32 .npy, padded", "limit: read once, and compute"
OURS, TURN = "ours", "ours, fits in turn"
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


def put(folder: Path, arrays: Sequence[NDArray[Any]]) -> View:
    """Write a cache of ``(layer, frame, channel)`` each; return all of it, labelled."""
    layers, _, width = arrays[0].shape
    spec = FeatureSpec("bench", {}, width, tuple(range(layers)), "float16", 0.02)
    keys = [f"{i:064x}" for i in range(len(arrays))]
    for at in range(0, len(arrays), SHARD):
        part = zip(keys[at : at + SHARD], arrays[at : at + SHARD], strict=True)
        pooled = np.zeros((layers, 2, width), np.float32)
        blocks = {key: Block(array, pooled) for key, array in part}
        Cache(folder).store(spec).commit(blocks, {}, "cpu")
    labels = [CLASSES[i % len(CLASSES)] for i in range(len(keys))]
    rows = pd.DataFrame({"waveform": keys, "id": keys, "label": labels})
    return View(Cache(folder), rows, {}, CLASSES).require(["bench"])


class Fits:
    """The work: fits of some folds, by our code and by the plain loop.

    Args:
        view: of all utterances
        paths: of the same as ``.npy`` files
    """

    def __init__(self, view: View, paths: Sequence[Path]) -> None:
        self.view, self.paths = view, paths
        self.layers = view.spec("bench").layers
        self.shape = len(self.layers), view.spec("bench").n_channels

    def rows(self, fold: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return which utterances are train and dev: 70 and 10 %."""
        tenth = np.arange(len(self.view)) % 10
        dev = (fold + 1) % 10
        train = ~np.isin(tenth, (fold, fold + FOLDS, dev))
        return np.flatnonzero(train), np.flatnonzero(tenth == dev)

    def task(self, fold: int, seed: int, normalised: bool = False) -> Task:
        """Return one fit."""
        train, dev = (self.view.take(rows) for rows in self.rows(fold))
        learnt, judged = (weighted_targets(p.y, len(CLASSES)) for p in (train, dev))
        settings = Settings(max_epochs=EPOCHS, patience=None)
        mean = scale = None
        if normalised:
            mean, scale = np.zeros(self.shape), np.full(self.shape, 1.0 + fold)
        return Task(train, dev, learnt, judged, settings, seed, mean, scale)

    def tasks(self, seeds: int, normalised: bool = False) -> list[Task]:
        """Return the fits of all folds and some seeds."""
        return [self.task(f, s, normalised) for f in range(FOLDS) for s in range(seeds)]

    def ours(self, tasks: Sequence[Task]) -> None:
        """Fit jointly."""
        for _ in fit_jointly(tasks, "bench", self.layers):
            pass

    def turn(self, tasks: Sequence[Task]) -> None:
        """Fit one after the other."""
        for task in tasks:
            self.ours([task])

    def plain(self) -> None:
        """Fit one by the plain loop."""
        train, dev = (
            loader.Files([self.paths[i] for i in rows], [i % 8 for i in rows.tolist()])
            for rows in self.rows(0)
        )
        loader.fit(train, dev, self.shape, EPOCHS)

    def limit(self) -> None:
        """Read once and compute, utterances shared out among threads as in a fit."""
        train, _ = self.rows(0)
        n = torch.get_num_threads()
        with threads(1), ThreadPoolExecutor(n) as pool:
            for _ in range(EPOCHS):
                list(pool.map(self._read_and_compute, [train[i::n] for i in range(n)]))

    def _read_and_compute(self, rows: NDArray[Any]) -> None:
        network = Network(initial(*self.shape, len(CLASSES), 0), Settings(), 0)
        longest = int(self.view.n_frames("bench").max())
        mixed, hidden = (
            torch.randn(longest, self.shape[1]),
            Hidden.make(longest, torch.float32),
        )
        target, into = torch.eye(len(CLASSES))[0], network.gradients[0]
        for row in rows.tolist():
            frames = self.view.frames("bench", row, self.layers).transpose(0, 2, 1)
            np.bitwise_xor.reduce(frames.reshape(-1).view(np.uint64))
            z = mixed[: frames.shape[1]]
            network.learn(z, target, 32.0, (1, str(row)), hidden, into)
            z.clamp_(-1, 1)

    def learnt(self, tasks: Sequence[Task]) -> float:
        """Count the utterances that fits learn from."""
        return float(EPOCHS * sum(len(task.train) for task in tasks))


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
        contenders.insert(0, plain)
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
    return (
        f"{told['title']}: together they take {n / row['ours_is']:.1f} times "
        f"({low:.1f} to {high:.1f}) as long as one alone"
    )
