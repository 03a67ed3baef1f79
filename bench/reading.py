"""Reading all layers of a random utterance: the cache against a raw memory map."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from contracts.cache import Cache
from contracts.feature import Block, FeatureSpec

N, LAYERS, WIDTH = 48, 13, 768
FRAMES = (146, 263)  # of RAVDESS


def contenders(folder: str) -> dict[str, Callable[[], object]]:
    """Write the same numbers three ways; return what reads eight utterances of each."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(*FRAMES, N)
    keys = [f"{i:064x}" for i in range(N)]
    arrays = [
        rng.standard_normal((LAYERS, n, WIDTH), np.float32).astype(np.float16)
        for n in lengths
    ]
    spec = FeatureSpec("bench", {}, WIDTH, tuple(range(LAYERS)), "float16", 0.02)
    pooled = np.zeros((LAYERS, 2, WIDTH), np.float32)
    cache = Cache(Path(folder) / "cache")
    blocks = {k: Block(a, pooled) for k, a in zip(keys, arrays, strict=True)}
    cache.store(spec).commit(blocks, {}, "cpu")
    store = Cache(cache.folder).stores[0]
    starts = np.concatenate([[0], np.cumsum(lengths * LAYERS * WIDTH)])
    np.concatenate([a.ravel() for a in arrays]).tofile(f"{folder}/raw.bin")
    raw = np.memmap(f"{folder}/raw.bin", np.float16, "r")
    with h5py.File(f"{folder}/each.h5", "w") as file:
        for key, array in zip(keys, arrays, strict=True):
            file[key] = array
    each = h5py.File(f"{folder}/each.h5")
    order = rng.permutation(N)[:8]

    def from_raw() -> None:
        for i in order:
            np.array(raw[starts[i] : starts[i + 1]])

    def from_cache() -> None:
        for i in order:
            np.array(store.frames(keys[i], range(LAYERS)), order="K")

    def from_datasets() -> None:
        for i in order:
            each[keys[i]][:]

    return {
        "numpy.memmap of a raw file": from_raw,
        "this cache": from_cache,
        "h5py, one dataset per utterance": from_datasets,
    }


def run(measure: Callable[[dict[str, Callable[[], object]]], object]) -> object:
    """Measure the contenders in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        return measure(contenders(folder))
