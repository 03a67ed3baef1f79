"""Fits that ``bench.pepino`` measures: ours, the plain loop, the least possible."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bench._machine import threads
from bench.baselines import loader
from bench.reading import SHARD
from contracts.cache import Cache
from contracts.feature import Block, FeatureSpec
from contracts.view import View
from models._joint import Settings, Task, fit_jointly, weighted_targets
from models._joint_dropout import alive
from models._joint_network import WIDTH, Network, initial
from models._joint_pass import Hidden, Lesson, learn
from models._joint_reader import AT_ONCE, CPU

FOLDS, EPOCHS = 5, 4
CLASSES = tuple(f"label {i}" for i in range(8))


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
        device: where they are fitted
    """

    def __init__(
        self, view: View, paths: Sequence[Path], device: torch.device = CPU
    ) -> None:
        self.view, self.paths, self.device = view, paths, device
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
        for _ in fit_jointly(tasks, "bench", self.layers, device=self.device):
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
        loader.fit(train, dev, self.shape, EPOCHS, device=self.device)

    def limit(self) -> None:
        """Read once and compute, utterances shared out among threads as in a fit."""
        self._shared_out(self._read_and_compute, self.rows(0)[0])

    def products(self, tasks: Sequence[Task]) -> None:
        """Multiply the matrices of all fits and nothing else, as one thread does."""
        rows = np.concatenate([self.rows(i % FOLDS)[0] for i in range(len(tasks))])
        self._shared_out(self._multiply, rows)

    def _shared_out(
        self, work: Callable[[NDArray[Any]], None], rows: NDArray[Any]
    ) -> None:
        n = torch.get_num_threads()
        with threads(1), ThreadPoolExecutor(n) as pool:
            for _ in range(EPOCHS):
                list(pool.map(work, [rows[i::n] for i in range(n)]))

    def _multiply(self, rows: NDArray[Any]) -> None:
        """Go forward and back through two dense layers, as one fit does."""
        lengths = self.view.n_frames("bench")
        z = torch.randn(AT_ONCE * int(lengths.max()), self.shape[1])
        first, second = torch.randn(WIDTH, self.shape[1]), torch.randn(WIDTH, WIDTH)
        h, g = torch.randn(2, len(z), WIDTH)
        for at in range(0, len(rows), AT_ONCE):
            n = int(lengths[rows[at : at + AT_ONCE]].sum())
            torch.mm(z[:n], first.t(), out=h[:n])
            torch.mm(h[:n], second.t(), out=g[:n])
            torch.mm(g[:n].t(), h[:n], out=second)
            torch.mm(g[:n], second, out=h[:n])
            torch.mm(h[:n].t(), z[:n], out=first)
            torch.mm(h[:n], first, out=z[:n])
            for one in (z, first, second, h, g):
                one.clamp_(-1, 1)

    def _read_and_compute(self, rows: NDArray[Any]) -> None:
        network = Network(initial(*self.shape, len(CLASSES), 0), Settings())
        lengths, channels = self.view.n_frames("bench"), self.shape[1]
        longest = AT_ONCE * int(lengths.max())
        layers = torch.randn(self.shape[0], int(lengths.max()) * channels)
        mixed = torch.randn(longest, self.shape[1])
        hidden, draw = Hidden(1, longest, mixed), (0, 1)
        target, into = torch.eye(len(CLASSES))[0] / 32, network.gradients[0]
        for at in range(0, len(rows), AT_ONCE):
            some = rows[at : at + AT_ONCE].tolist()
            for row in some:
                frames = self.view.frames("bench", row, self.layers).transpose(0, 2, 1)
                np.bitwise_xor.reduce(frames.reshape(-1).view(np.uint64))
            own = [int(lengths[row]) for row in some]
            z = mixed[None, : sum(own)]
            each = z.flatten().split([n * channels for n in own])
            for one in each:
                torch.mv(layers[:, : len(one)].t(), network.mixture, out=one)
            names = [str(row) for row in some]
            heard = alive(names, own, draw, network.settings.threshold, z)
            targets = target.expand(1, len(own), -1)
            learn([network], z, Lesson(own, targets, [[heard]], [into]), hidden)
            for one in each:
                into.of["weights"].addmv_(layers[:, : len(one)], one)
            z.clamp_(-1, 1)

    def learnt(self, tasks: Sequence[Task]) -> float:
        """Count the utterances that fits learn from."""
        return float(EPOCHS * sum(len(task.train) for task in tasks))
