"""Reading hidden states back: this cache against seven other ways to store them.

The same float16 numbers, ``(13, T, 768)`` with T as of RAVDESS, in every store, warm in
the page cache, one thread. Three questions:

- all layers of utterances in random order, copied into one array that is used again
  and again, so that a memory map cannot win by not reading, and that no page of the
  destination is new to anybody;
- one layer of them, likewise;
- an epoch in order in which every number is used once where it lies: the exclusive or
  of all as 64-bit words, which runs at the speed of memory. Here a map saves the copy
  that h5py must make; h5py fills one array that is used again.

The numbers are normal noise, whose compressibility is that of hidden states, about.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench import _speech
from bench._machine import Watch, facts, threads
from bench._timing import Contender, Result, alternate, amounts, table
from bench.baselines._store import Store
from bench.baselines.h5py_chunked import H5pyBlosc2, H5pyGzip
from bench.baselines.h5py_contiguous import H5pyContiguous
from bench.baselines.h5py_each import H5pyEach
from bench.baselines.memmap import Memmap
from bench.baselines.npy import Npy
from bench.baselines.safetensors_file import Safetensors
from contracts.cache import Cache
from contracts.feature import Block, FeatureSpec
from contracts.view import View

LAYERS, CHANNELS = 13, 768
LAYER = 7  # the one that is read alone
SHARD = 32  # utterances in a shard


class Ours(Store):
    """This cache, read through the view that heads are handed."""

    name = "this cache"

    def write(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Commit shards."""
        keys = [f"{i:064x}" for i in range(len(arrays))]
        layers = tuple(range(arrays[0].shape[0]))
        width = arrays[0].shape[2]
        spec = FeatureSpec("bench", {}, width, layers, "float16", 0.02)
        pooled = np.zeros((len(layers), 2, width), np.float32)
        for at in range(0, len(arrays), SHARD):
            part = zip(keys[at : at + SHARD], arrays[at : at + SHARD], strict=True)
            blocks = {key: Block(array, pooled) for key, array in part}
            Cache(self.folder).store(spec).commit(blocks, {}, "cpu")
        rows = pd.DataFrame({"waveform": keys, "id": keys})
        cache = Cache(self.folder)
        view = View(cache, rows, {}, pins={"bench": cache.stores[0]})
        self.view, self.layers = view.require(["bench"]), layers

    def all_layers(self, i: int, into: NDArray[Any]) -> NDArray[Any]:
        """Return a view of the file."""
        return self.view.frames("bench", i, self.layers).transpose(0, 2, 1)

    def one_layer(self, i: int, layer: int, into: NDArray[Any]) -> NDArray[Any]:
        """Return a view of the file."""
        return self.view.frames("bench", i, (layer,))[0].T


STORES: tuple[type[Store], ...] = (
    Memmap, Ours, H5pyEach, H5pyContiguous, H5pyGzip, H5pyBlosc2, Npy, Safetensors
)  # fmt: skip


class Reading:
    """The three ways of reading, over one array that is used again and again."""

    def __init__(self, shapes: Sequence[tuple[int, ...]], seed: int = 0) -> None:
        self.shapes = shapes
        self.order = np.random.default_rng(seed).permutation(len(shapes)).tolist()
        self.array = np.empty(max(int(np.prod(s)) for s in shapes), np.float16)

    def _into(self, *shape: int) -> NDArray[Any]:
        return self.array[: int(np.prod(shape))].reshape(shape)

    def all_layers(self, store: Store) -> None:
        """Copy all layers of every utterance in random order."""
        for i in self.order:
            into = self._into(*self.shapes[i])
            got = store.all_layers(i, into)
            if got is not into:
                np.copyto(into, got)

    def one_layer(self, store: Store) -> None:
        """Copy one layer of every utterance in random order."""
        for i in self.order:
            into = self._into(*self.shapes[i][1:])
            got = store.one_layer(i, min(LAYER, self.shapes[i][0] - 1), into)
            if got is not into:
                np.copyto(into, got)

    def epoch(self, store: Store) -> int:
        """Use every number once, in order."""
        total = 0
        for i, shape in enumerate(self.shapes):
            got = store.all_layers(i, self._into(*shape))
            total ^= int(np.bitwise_xor.reduce(got.reshape(-1).view(np.uint64)))
        return total


def run(
    rounds: int = 7, n: int = 64, layers: int = LAYERS, channels: int = CHANNELS
) -> Result:
    """Measure.

    Args:
        rounds: alternations
        n: utterances
        layers: of each
        channels: of each frame
    """
    with threads(1):  # safetensors reads with torch
        return _run(rounds, list(_arrays(n, layers, channels)))


def _arrays(n: int, layers: int, channels: int) -> Iterator[NDArray[np.float16]]:
    rng = np.random.default_rng(0)
    for samples in _speech.lengths(n):
        shape = layers, samples // 320, channels
        yield rng.standard_normal(shape, np.float32).astype(np.float16)


def _run(rounds: int, arrays: list[NDArray[Any]]) -> Result:
    reading = Reading([a.shape for a in arrays])
    n, layers = len(arrays), len(arrays[0])
    size = sum(a.nbytes for a in arrays) * 1e-9
    ways: list[tuple[str, Callable[[Store], object], float, int]] = [
        ("All layers of a random utterance", reading.all_layers, size, 3),
        ("One layer of a random utterance", reading.one_layer, size / layers, 20),
        ("An epoch in order, every number used", reading.epoch, size, 3),
    ]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        stores = [kind(folder / kind.__name__, arrays) for kind in STORES]
        for store in stores:
            stack.callback(store.close)
        _refuse_other_numbers(reading, stores)
        with Watch() as watch:
            tables = [_measure(stores, *way, n, rounds) for way in ways]
        sizes = [f"{s.name} {s.size / 1e6:.1f}" for s in stores]
    told = facts("numpy", "h5py", "hdf5plugin", "safetensors", "torch")
    told["numbers"] = f"{n} utterances, {size:.3f} GB"
    whole, one = (_time(each, Ours.name) for each in tables[:2])
    remarks = [
        f"On the disk, MB: {', '.join(sizes)}",
        f"{Ours.name}: one layer takes 1/{whole / one:.1f} of the time of all",
    ]
    return Result(tables, remarks, told | watch.facts())


def _measure(
    stores: Sequence[Store],
    title: str,
    way: Callable[[Store], object],
    size: float,
    passes: int,
    n: int,
    rounds: int,
) -> dict[str, Any]:
    """Alternate the stores in one way of reading.

    Args:
        stores: what is compared
        title: of the table
        way: of reading
        size: of what it reads, in GB
        passes: over all of it in each round
        n: utterances
        rounds: alternations
    """

    def read(store: Store) -> None:
        for _ in range(passes):
            way(store)

    contenders = [Contender(s.name, partial(read, s), passes * size) for s in stores]
    taken = alternate(contenders, rounds)
    each = "ms per utterance", 1000 * size / n
    return table(title, "GB/s", taken, amounts(contenders), Ours.name, each)


def _time(told: dict[str, Any], name: str) -> float:
    return next(row["time"] for row in told["rows"] if row["contender"] == name)


def _refuse_other_numbers(reading: Reading, stores: Sequence[Store]) -> None:
    """Compare what the stores give.

    Raises:
        RuntimeError: if it is not the same
    """
    got = {store.name: reading.epoch(store) for store in stores}
    if len(set(got.values())) > 1:
        msg = f"bad stores: expected the same numbers of all, got {got}"
        raise RuntimeError(msg)
