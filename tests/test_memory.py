"""What is read of a cache stays the file's: it takes no memory of the reader's own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from contracts.cache import Cache
from contracts.feature import Block, FeatureSpec

ROOT = Path(__file__).parents[1]
GROUPS = Path("/sys/fs/cgroup/memory")
MB = 1_000_000
LAYERS, CHANNELS = 13, 768
FRAMES = 200
SHARD = 8  # utterances, 32 MB

READER = """
import os, sys
from pathlib import Path

_, cache, group, epochs = sys.argv
if group:
    Path(group, "cgroup.procs").write_text(str(os.getpid()))
import numpy as np
from contracts.cache import Cache

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(x.split()[1]) * 1024 for x in lines if x.startswith("RssAnon"))

store = Cache(cache).stores[0]
layers = store.spec.layers
totals, seen, read = set(), [], 0
for epoch in range(int(epochs)):
    total = 0
    for key in store.places:
        frames = store.frames(key, layers).transpose(0, 2, 1)
        total ^= int(np.bitwise_xor.reduce(frames.reshape(-1).view(np.uint64)))
        read += frames.nbytes
        seen.append(anonymous())
    totals.add(total)
print(max(seen) - seen[0], read, *totals)
"""


def write(folder: Path, n: int) -> int:
    """Write a cache of ``n`` utterances, 4 MB each; return the xor of its numbers."""
    rng = np.random.default_rng(0)
    shape = LAYERS, FRAMES, CHANNELS
    spec = FeatureSpec("frames", {}, CHANNELS, tuple(range(LAYERS)), "float16", 0.02)
    store, total = Cache(folder).store(spec), 0
    for at in range(0, n, SHARD):
        blocks = {}
        for i in range(at, min(at + SHARD, n)):
            words = rng.integers(0, 2**63, np.prod(shape) // 4, np.uint64)
            total ^= int(np.bitwise_xor.reduce(words))
            values = words.view(np.float16).reshape(shape)
            pooled = np.zeros((LAYERS, 2, CHANNELS), np.float32)
            blocks[f"{i:064x}"] = Block(values, pooled)
        store.commit(blocks, {}, "cpu")
    return total


def read(folder: Path, epochs: int, group: Path | str = "") -> tuple[int, int, int]:
    """Read a cache in a process of its own: growth of its memory, bytes, xor."""
    told = [sys.executable, "-c", READER, str(folder), str(group), str(epochs)]
    done = subprocess.run(told, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    grown, n, total = map(int, done.stdout.split())
    return grown, n, total


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_epoch_leaves_no_anonymous_memory_behind(tmp_path):
    written = write(tmp_path, 24)
    grown, n, total = read(tmp_path, 1)
    assert total == written
    assert n > 95 * MB
    assert grown < 20 * MB


@pytest.fixture
def group() -> Iterator[Path]:
    """A group of processes below this one's, whose memory can be limited."""
    lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    own = next((x.split(":", 2)[2] for x in lines if ":memory:" in x), None)
    folder = GROUPS / (own or "").strip("/") / f"emocache-{os.getpid()}"
    try:
        if own is None:
            raise FileNotFoundError(GROUPS)
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no memory cgroup (v1) can be made here: {error}")
    yield folder
    folder.rmdir()


@pytest.mark.slow
def test_a_cache_larger_than_the_memory_there_is(tmp_path, group):
    limit = 350 * MB  # libraries and what they read take half of it
    n = 150
    written = write(tmp_path, n)
    for path in tmp_path.rglob("*.h5"):  # so that the reader reads it itself
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    (group / "memory.limit_in_bytes").write_text(str(limit), encoding="ascii")
    grown, read_bytes, total = read(tmp_path, 2, group)
    assert total == written
    assert read_bytes > 2 * 590 * MB
    assert grown < 20 * MB
    most = int((group / "memory.max_usage_in_bytes").read_text(encoding="ascii"))
    assert limit * 0.98 < most <= limit * 1.01  # it did meet the limit
