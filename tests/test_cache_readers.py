"""Readers: any number, while a writer adds, mends and clears; few descriptors."""

import multiprocessing
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from contracts import clearing, mending
from contracts._mapping import map_file
from contracts.cache import Cache
from contracts.feature import Block, FeatureSpec
from tests import crashes

ROOT = Path(__file__).resolve().parent.parent
SPEC = FeatureSpec("frames", {"a": 1}, 64, layers=(0, 1), dtype="float16")
N = 60


def key(i: int) -> str:
    return f"{i:064x}"


def block(i: int, spec: FeatureSpec = SPEC) -> Block:
    frames = np.full((2, 5 + i % 7, spec.n_channels), i, np.float16)
    return Block(frames, np.full((2, 2, spec.n_channels), i, np.float32))


_FEW = """
import os, resource, sys
import numpy as np
from contracts.cache import Cache
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
store = Cache(sys.argv[1]).stores[0]
held = [store.frames(key, [0, 1]) for key in store.places]
assert len(store.shards) == 200, len(store.shards)
for key, frames in zip(store.places, held):
    assert (frames == int(key, 16)).all()
pooled = store.pooled(store.places, [0])[:, 0, 0, 0]
assert (pooled == [int(key, 16) for key in store.places]).all()
print(len(held), len(os.listdir("/proc/self/fd")))
"""


def test_two_hundred_shards_need_no_descriptors(tmp_path: Path) -> None:
    store = Cache(tmp_path).store(SPEC)
    for i in range(200):
        store.commit({key(i): block(i)}, {}, "cpu")

    said = subprocess.run(
        [sys.executable, "-c", _FEW, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert said.returncode == 0, said.stderr
    n, descriptors = map(int, said.stdout.split())
    assert n == 200
    assert descriptors < 16


def test_arrays_outlive_store_and_file(tmp_path: Path) -> None:
    store = Cache(tmp_path).store(SPEC)
    store.commit({key(7): block(7)}, {}, "cpu")
    before = Path("/proc/self/maps").read_text().count(str(tmp_path))

    frames = Cache(tmp_path).stores[0].frames(key(7), [0, 1])
    path = store.shards[0].path
    path.unlink()
    del store

    assert (frames == 7).all()
    assert Path("/proc/self/maps").read_text().count(str(tmp_path)) == before + 1
    del frames
    assert Path("/proc/self/maps").read_text().count(str(tmp_path)) == before
    mapped = map_file(Path(__file__), Path(__file__).stat().st_size)
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        np.frombuffer(mapped, np.uint8).flags["WRITEABLE"] = True


def test_a_store_is_sent_to_another_process(tmp_path: Path) -> None:
    store = Cache(tmp_path).store(SPEC)
    store.commit({key(3): block(3)}, {}, "cpu")
    assert store.places

    there = pickle.loads(pickle.dumps(store))  # noqa: S301 - our own

    assert (there.frames(key(3), None) == 3).all()


def _read(folder: Path, seconds: float) -> int:
    """Open the cache again and again; everything that was there stays there."""
    until, looks, known = time.monotonic() + seconds, 0, set[str]()
    while time.monotonic() < until:
        store = Cache(folder).stores[0]
        held = set(store.places)
        assert known <= held, f"{len(known - held)} were there and are not"
        known = held & {key(i) for i in range(0, N, 2)}  # odd ones are broken and go
        for name in sorted(known)[:: max(1, len(known) // 12)]:
            assert (store.frames(name, [0, 1]) == int(name, 16)).all()
            assert (store.pooled([name], [1]) == int(name, 16)).all()
        looks += 1
    return looks


def _read_there(folder: Path, seconds: float, told: "multiprocessing.Queue") -> None:
    told.put(_read(folder, seconds))


def _write(folder: Path) -> int:
    """Add, damage and mend, make unreferred and clear, over and over."""
    turns = 0
    cache = Cache(folder)
    even = [key(i) for i in range(0, N, 2)]
    with cache.lock():
        cache.put_manifest(crashes.manifest(even))
        store = cache.store(SPEC)
        for i in range(0, N, 2):  # an even one that stays, an odd one that goes
            both = {key(j): block(j) for j in (i, i + 1)}
            store.commit(both, {}, "cpu")
            if i % 8 == 6:
                place = store.places[key(i + 1)]
                shard = store.shards[place.shard]
                start, _ = shard.layout.extent("values")
                crashes.flip(shard.path, start + place.start * SPEC.n_channels * 2)
                mending.mend_feature(cache, store.folder)
            if i % 8 == 2:
                clearing.clear(Cache(folder))
            turns += 1
        clearing.clear(Cache(folder))
    return turns


def test_readers_see_everything_while_a_writer_adds_mends_and_clears(
    tmp_path: Path,
) -> None:
    Cache(tmp_path).store(SPEC).commit({key(0): block(0)}, {}, "cpu")
    context = multiprocessing.get_context("fork")
    told = context.Queue()
    looks: list[int] = []
    errors: list[BaseException] = []

    def read() -> None:
        try:
            looks.append(_read(tmp_path, 3))
        except BaseException as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    others = [
        context.Process(target=_read_there, args=(tmp_path, 3, told)) for _ in range(2)
    ]
    for process in others:
        process.start()
    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    turns = 0
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        turns += _write(tmp_path)
    for worker in (*threads, *others):
        worker.join()

    assert not errors
    assert [process.exitcode for process in others] == [0, 0]
    looks += [told.get() for _ in others]
    assert min(looks) > 3
    assert turns > N / 4
    store = Cache(tmp_path).stores[0]
    assert set(store.places) == {key(i) for i in range(0, N, 2)}


def test_threads_share_one_store(tmp_path: Path) -> None:
    store = Cache(tmp_path).store(SPEC)
    for i in range(N):
        store.commit({key(i): block(i)}, {}, "cpu")
    shared = Cache(tmp_path).stores[0]
    wrong = []

    def read(seed: int) -> None:
        for i in np.random.default_rng(seed).integers(0, N, 300):
            if not (shared.frames(key(i), None) == i).all():
                wrong.append(i)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong


def test_a_snapshot_does_not_change_under_its_reader(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put_manifest(crashes.manifest([key(0)]))
    cache.store(SPEC).commit({key(0): block(0), key(1): block(1)}, {}, "cpu")
    store = Cache(tmp_path).stores[0]
    assert len(store.places) == 2

    cache.store(SPEC).commit({key(2): block(2)}, {}, "cpu")
    clearing.clear(Cache(tmp_path))

    assert set(Cache(tmp_path).stores[0].places) == {key(0)}
    assert set(store.places) == {key(0), key(1)}
    assert (store.frames(key(1), None) == 1).all()
