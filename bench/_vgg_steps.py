"""Steps of VGG and fusion as ``fit`` takes them, and what a process of its own does."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from bench.baselines.nchw import Training
from contracts.cache import Cache
from contracts.feature import Block, FeatureSpec
from contracts.memory import give_back, keep_pages
from contracts.view import View
from evaluation.settings import head_class
from models._device import drawing, mixed
from models._training import _Task

FUNCTIONALS = 88
CLASSES = tuple(f"label {i}" for i in range(8))
# what changes how the C library hands out memory, or how threads wait
_TUNING = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "OMP_WAIT_POLICY")
Sizes = tuple[int, int, int, int]  # utterances, layers, frames, channels


class Ours:
    """A head at work on one batch, by the code that ``fit`` runs.

    Args:
        view: the utterances of the batch
        name: of the head
        options: of the head
        device: where it is at work
    """

    def __init__(
        self, view: View, name: str, options: Mapping[str, int], device: str = "cpu"
    ) -> None:
        features = ["states", *(["functionals"] if name == "fusion" else [])]
        self.head = head_class(name)(features=features, device=device, **options)
        learnt, judged, where = self.head.begin(view, view.take([0]))
        with drawing(0):
            n_labels, facts = len(self.head.classes_), self.head.facts_
            self.head.network_ = self.head.build(n_labels, facts).to(where)
        adam, draw = self.head.optimiser(self.head.network_), np.random.default_rng(0)
        means = where, adam, _unseen, *mixed(where), draw
        self.task = _Task(learnt, judged, None, *means)
        self.rows = list(range(len(view)))

    def step(self) -> float:
        """Read the batch from the cache and take one step; return the loss."""
        self.head.network_.train()
        loss: float = self.head._step(self.task, self.rows)
        give_back()
        return loss


def _unseen(amount: float = 1.0, note: str = "") -> None:
    """Show no progress."""


@contextmanager
def processes() -> Iterator[tuple[ProcessPoolExecutor, ProcessPoolExecutor]]:
    """Start a process for ours, and one whose environment is that of any script."""
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as ours, ProcessPoolExecutor(1, spawn) as plain:
        ours.submit(os.getpid).result()
        with untuned():
            plain.submit(os.getpid).result()
        yield ours, plain


@contextmanager
def untuned() -> Iterator[None]:
    """Take away what tunes memory and threads, for processes started inside."""
    kept = {k: v for k, v in os.environ.items() if k.startswith(_TUNING)}
    for name in kept:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(kept)


@contextmanager
def batch(sizes: Sizes) -> Iterator[Path]:
    """Write a cache of one batch of drawn numbers, which goes when this ends."""
    n, layers, frames, channels = sizes
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    rng = np.random.default_rng(0)
    states = FeatureSpec("states", {}, channels, tuple(range(1, layers + 1)), "float16")
    told = FeatureSpec("functionals", {}, tuple(map(str, range(FUNCTIONALS))))
    pooled = np.zeros((layers, 2, channels), np.float32)
    try:
        for key in _keys(n):
            drawn = rng.standard_normal((layers, frames, channels), np.float32)
            block = Block(drawn.astype(np.float16), pooled)
            Cache(folder).store(states).commit({key: block}, {}, "cpu")
            row = rng.standard_normal(FUNCTIONALS).astype(np.float32)
            Cache(folder).store(told).commit({key: Block(row)}, {}, "cpu")
        yield folder
    finally:
        shutil.rmtree(folder)


def _keys(n: int) -> list[str]:
    return [f"{i:064x}" for i in range(n)]


def whole(folder: Path, n: int) -> View:
    """Open what ``batch`` wrote, labelled."""
    labels = [CLASSES[i % len(CLASSES)] for i in range(n)]
    rows = pd.DataFrame({"waveform": _keys(n), "id": _keys(n), "label": labels})
    view = View(Cache(folder), rows, {}, CLASSES)
    return view.require(["states", "functionals"])


_ready: dict[str, Ours | Training] = {}  # of this process: contender -> at work


def prepare_ours(
    contender: str, folder: Path, n: int, name: str, options: Mapping[str, int]
) -> None:
    """Make one of our heads ready in this process."""
    _ready[contender] = Ours(whole(folder, n), name, options)


def prepare_plain(
    contender: str, sizes: Sizes, n_functionals: int, channels_last: bool
) -> None:
    """Make a plain network ready in this process."""
    _ready[contender] = Training(sizes, n_functionals, channels_last)


def step(contender: str, n_threads: int) -> float:
    """Take a step in this process; return the loss."""
    torch.set_num_threads(n_threads)
    return _ready[contender].step()


def release() -> None:
    """Give back what this process has kept: another contender's turn comes."""
    if library := keep_pages():
        library.malloc_trim(0)


def peak() -> dict[str, Any]:
    """Say what this process has held at most, and how memory is handed out in it."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    tuned = sorted(k for k in os.environ if k.startswith(_TUNING))
    return {"GiB": used, "tuned": tuned}
