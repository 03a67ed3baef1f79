"""End to end on this CPU: from wav files to features that are safe on the disk.

Hidden states of wav2vec2-base (random weights) and eGeMAPS of signals like speech, as
long as RAVDESS recordings. Usual practice writes one padded float32 HDF5 array, its
files one by one padded to 5 s. The same with gzip has chunks of h5py's own choice, and
the longer the array, the more utterances share a chunk: once for the files at hand,
once for the 1440 of RAVDESS, a few of which are written. A careful user goes one by one
at true length into one dataset per utterance. Baselines have as many threads as cores.

Ours is one process for each core: shards of half precision with checksums, synced and
committed, the hashes that name the utterances included. Everybody's models are loaded
before, and all write below the folder for temporary files (``TMPDIR`` chooses
another); only ours waits until the disk has it.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench import _speech
from bench._machine import Watch, cores, facts, threads
from bench._parts import Parts
from bench._processes import Workers, workers
from bench._timing import Contender, Result, alternate, amounts, table
from bench.baselines import careful, usual
from contracts import plugins
from contracts._store import FeatureStore
from contracts.cache import Cache
from contracts.extraction import Options
from contracts.feature import FeatureSpec
from extract import _audio
from extract._blocks import Collector
from extract._plan import Item
from extract._untrained import save_untrained
from extract._work import Recipe, Task, work

USUAL = "usual practice (padded to 5 s)"
GZIP, CORPUS = "the same, gzip, array of {}", 1440  # utterances of RAVDESS
CAREFUL, OURS = "careful: HF one by one", "this extractor"
FEATURES = ("wav2vec2", "egemaps")
_WRITING = "cast, write, sync"


def run(
    rounds: int = 7, n_files: int = 24, geometry: str = "base", n_shard: int = 4
) -> Result:
    """Measure.

    Args:
        rounds: alternations
        n_files: wav files
        geometry: of the encoder, see ``extract._untrained``
        n_shard: utterances in a shard, so few that all processes end together
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        paths = _speech.write(folder, n_files)
        seconds = [len(w) / _speech.SR for w in _speech.utterances(n_files)]
        save_untrained(folder / "encoder", geometry=geometry)
        ours = _Ours(folder, paths, n_shard)
        first = ours.tasks(Cache(folder / "first"), paths[:1])
        pool = stack.enter_context(workers(cores(), ready, first))
        stack.enter_context(threads(cores()))
        contenders = [
            *_baselines(folder, paths, seconds),
            Contender(OURS, partial(ours, pool), sum(seconds), None, ours.forget),
        ]
        with Watch() as watch:
            taken = alternate(contenders, rounds)
        told = facts("torch", "transformers", "h5py", "opensmile") | {
            "audio": f"{n_files} files, {sum(seconds):.1f} s",
            "threads": f"baselines {torch.get_num_threads()}; ours {pool.n} processes",
        }
        tasks = ours.tasks(Cache(folder / "parts"), paths)
        [(spent, whole)] = pool.map(writing, [tasks])
    title = "Extraction, wav files to disk"
    remark = (
        f"{_WRITING} take {100 * spent / whole:.1f} % of the processor time of {OURS} "
        f"({spent:.2f} of {whole:.2f} s, in one process)"
    )
    speed = table(title, "s of audio per s", taken, amounts(contenders), OURS)
    return Result([speed], [remark], told | watch.facts())


def _baselines(
    folder: Path, paths: Sequence[Path], seconds: Sequence[float]
) -> list[Contender]:
    """Return the baselines with their models; each is warmed up with one file."""
    import opensmile
    from transformers import AutoModel, Wav2Vec2FeatureExtractor

    model = AutoModel.from_pretrained(folder / "encoder").eval()
    preparing = Wav2Vec2FeatureExtractor.from_pretrained(folder / "encoder")
    kind = opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals
    one, several = opensmile.Smile(*kind), opensmile.Smile(*kind, num_workers=cores())
    out = folder / "baseline.h5"
    write = partial(usual.extract, model, preparing, one, out=out)
    n = len(paths)
    few, fewer = paths[: max(1, n // 3)], paths[: max(1, n // 12)]
    packed = partial(write, compression="gzip")
    calls = {
        USUAL: (write, paths),
        GZIP.format(n): (partial(packed, n_rows=n), few),
        GZIP.format(CORPUS): (partial(packed, n_rows=CORPUS), fewer),
        CAREFUL: (partial(careful.extract, model, preparing, several, out=out), paths),
    }
    return [
        Contender(
            name,
            partial(call, paths=some),
            sum(seconds[: len(some)]),
            partial(call, paths=paths[:1]),
            out.unlink,
        )
        for name, (call, some) in calls.items()
    ]


class _Ours:
    """Extraction of some files into a fresh cache, again and again."""

    def __init__(self, folder: Path, paths: Sequence[Path], n_shard: int) -> None:
        self.folder = folder / "cache"
        self.paths = paths
        self.n_shard = n_shard
        options = Options(encoder=str(folder / "encoder"), device="cpu")
        self.made: list[tuple[FeatureSpec, Recipe]] = []
        for name in FEATURES:
            spec = plugins.load("features", name).load(options).spec
            self.made.append((spec, Recipe(name, options, spec.fingerprint)))

    def tasks(self, cache: Cache, paths: Sequence[Path]) -> list[Task]:
        """Name the utterances and cut them into shards, as the engine does."""
        items = sorted((_item(path) for path in paths), key=lambda i: i.duration)
        out = []
        for spec, recipe in self.made:
            store = cache.store(spec)
            for at in range(0, len(items), self.n_shard):
                part = tuple(items[at : at + self.n_shard])
                out.append(Task(recipe, store.folder, part))
        return out

    def __call__(self, pool: Workers) -> None:
        """Extract."""
        done = pool.map(work, self.tasks(Cache(self.folder), self.paths))
        if any(one.failed for one in done):
            msg = f"bad run: expected no failed utterance, got {done}"
            raise RuntimeError(msg)

    def forget(self) -> None:
        """Remove what was extracted."""
        shutil.rmtree(self.folder)


def _item(path: Path) -> Item:
    decoded = _audio.decode(path, None, None)
    key = _audio.waveform_hash(decoded)
    return Item(key, path.stem, str(path), None, None, decoded.duration)


def ready(tasks: Sequence[Task]) -> int:
    """Load the features, run once, and say which process this is."""
    for task in tasks:
        own = task.folder.with_name(f"{task.folder.name}-{os.getpid()}")
        shutil.copytree(task.folder, own, dirs_exist_ok=True)
        work(replace(task, folder=own))
    return os.getpid()


def writing(tasks: Sequence[Task]) -> tuple[float, float]:
    """Extract here; return processor time of writing, and of everything, in seconds.

    Writing is the check of the range and the cast to half precision, checksums, the
    write itself, the syncs and the commit.
    """
    parts = Parts(time.process_time)
    watched: list[tuple[Any, str, str]] = [
        (FeatureStore, "commit", _WRITING),
        (Collector, "_store", _WRITING),
        (torch, "aminmax", _WRITING),
    ]
    with parts.calls(*watched), parts.part("all else"):
        for task in tasks:
            work(task)
    return parts.seconds[_WRITING], sum(parts.seconds.values())
