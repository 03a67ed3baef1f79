"""Caches that are written, mended and cleared, to be killed in the middle of it.

Three kinds of work, each small enough to be stopped at every operation on the disk:
each has a beginning, something it does, a way to go on after it was stopped, and facts
that hold at every moment.
"""

import contextlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contracts import _durable, clearing, integrity
from contracts._shardfile import ShardFile
from contracts.cache import Cache
from contracts.feature import Block, FeatureSpec
from contracts.manifest import Manifest, complete
from extract import _upkeep

OPERATIONS = ("make_folder", "write", "sync", "sync_folder", "rename", "remove")
KEYS = [f"{i + 1:064x}" for i in range(6)]
FAILS = {KEYS[3]: "too short"}
FRAMES = FeatureSpec("frames", {"a": 1}, 3, layers=(0, 1), dtype="float16")
TABLE = FeatureSpec("table", {"a": 1}, ("x", "y"))
POOLED = replace(FRAMES, name="pooled", keeps="pooled")
SPECS = (FRAMES, TABLE, POOLED)
SHARDS = (KEYS[:2], KEYS[2:5], KEYS[5:])
Ack = Callable[[str, list[str]], None]


def block(spec: FeatureSpec, key: str) -> Block:
    """Return what is stored of an utterance."""
    rng = np.random.default_rng(int(key, 16))
    n = 2 + int(key, 16) % 3
    frames = rng.standard_normal((2, n, 3)).astype(np.float32)
    if spec.is_table:
        return Block(frames[0, 0, :2].copy())
    pooled = np.stack([frames.mean(1), frames.std(1)], axis=1)
    if not spec.keeps_frames:
        return Block(None, pooled, n_frames=n)
    scale = np.array([1, 4], np.float32) if n == 3 else None
    return Block(frames.astype(np.float16), pooled, scale)


def manifest(keys: list[str]) -> Manifest:
    """Return a manifest that refers to some waveforms."""
    rows = pd.DataFrame({"id": [f"toy/{k[-1]}.wav" for k in keys], "waveform": keys})
    return Manifest("toy", complete(rows.assign(corpus="toy")), {"root": "/nowhere"})


def extract(folder: Path, ack: Ack = lambda *_: None, keys: list[str] = KEYS) -> None:
    """Write what is missing, as ``extract`` does."""
    cache = Cache(folder)
    with cache.lock():
        cache.put_manifest(manifest(keys))
        ack("manifest", ["toy"])
        for spec in SPECS:
            store = cache.store(spec)
            known = store.places.keys() | store.failed
            for shard in [KEYS] if spec is POOLED else SHARDS:
                todo = [k for k in shard if k not in known]
                blocks = {k: block(spec, k) for k in todo if k not in FAILS}
                if todo:
                    failed = {k: FAILS[k] for k in todo if k in FAILS}
                    store.commit(blocks, failed, "cpu")
                    ack(spec.name, list(blocks))


def damage(folder: Path) -> None:
    """Break a whole cache in every way that there is something left to save."""
    shards = {s.spec.name: s.shards for s in Cache(folder).stores}
    one, two, three = (shard.path for shard in shards["frames"])
    flip(one, shards["frames"][0].layout.extent("values")[1] - 1)  # a block
    tear(two.with_suffix(".json"))  # a commit that its shard proves
    flip(three, 2000)  # HDF5's own records
    one, two, three = (shard.path for shard in shards["table"])
    tear(one.with_suffix(".json"))
    flip(one, 100)  # a commit that nothing proves: its shard's head is bad too
    with two.open("rb+") as file:
        file.truncate(two.stat().st_size - 4)
    three.unlink()
    tear(one.parent / "feature.json")
    tear(folder / "manifest" / "toy.parquet")


def flip(path: Path, at: int) -> None:
    """Change one byte in place."""
    with path.open("r+b", buffering=0) as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def tear(path: Path) -> None:
    """Cut a file in half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def repair(folder: Path, ack: Ack = lambda *_: None) -> None:
    """Mend a cache, saying nothing."""
    with contextlib.redirect_stdout(io.StringIO()):
        _upkeep.repair(Cache(folder))


def litter(folder: Path) -> None:
    """Make half of a whole cache unreferred, and leave files about."""
    Cache(folder).put_manifest(manifest(KEYS[:3]))
    store = next(s for s in Cache(folder).stores if s.spec.name == "frames")
    (store.folder / ".abc.h5.tmp-1").write_bytes(b"half")
    (store.folder / "abc.h5").write_bytes(b"without a commit")
    (folder / "quarantine" / "frames@0").mkdir(parents=True)
    (folder / "quarantine" / "frames@0" / "x.json").write_bytes(b"torn")


def clear(folder: Path, ack: Ack = lambda *_: None) -> None:
    """Remove what nothing refers to."""
    cache = Cache(folder)
    with cache.lock():
        clearing.clear(cache)


def good(folder: Path) -> set[tuple[str, str]]:
    """Return feature and waveform of every block that is as it was written.

    Each is compared bit for bit with what went in; one that differs fails the test.
    """
    out = set()
    for place in Cache(folder).feature_folders():
        name = place.name.partition("@")[0]
        for shard in integrity.check_feature(place).shards:
            if not shard.told or not shard.good:
                continue
            spec = FeatureSpec.from_json(shard.told["spec"])
            with shard.shard.open("rb") as file:
                data = ShardFile(file, shard.told, spec)
                for i in shard.good:
                    key = shard.told["utterances"][i][0]
                    same(data.block(i), block(spec, key))
                    out.add((name, key))
    return out


def same(one: Block | None, two: Block) -> None:
    """Compare two blocks bit for bit."""
    assert one is not None
    assert (one.values is None) == (two.values is None)
    if one.values is not None and two.values is not None:
        assert one.values.tobytes() == two.values.tobytes()
    for a, b in ((one.pooled, two.pooled),):
        assert (a is None) == (b is None)
        assert a is None or b is None or a.tobytes() == b.tobytes()
    scale = np.ones(2) if two.scale is None else two.scale
    assert one.scale is None or np.array_equal(one.scale, scale)
    assert one.n_frames == two.n_frames


def read(folder: Path) -> set[tuple[str, str]]:
    """Return what a reader sees, each number compared with what went in."""
    out = set()
    for store in Cache(folder).stores:
        spec = store.spec
        for key in store.places:
            want = block(spec, key)
            if spec.is_table:
                assert np.array_equal(store.table([key])[0], want.values)
            else:
                assert np.array_equal(store.pooled([key], spec.layers)[0], want.pooled)
            if spec.keeps_frames:
                got = store.frames(key, spec.layers).transpose(0, 2, 1)
                scale = np.ones(2) if want.scale is None else want.scale
                assert np.array_equal(got, want.values * scale[:, None, None])
            out.add((spec.name, key))
    return out


def promised(folder: Path, acked: set[tuple[str, str]]) -> bool:
    """Whether what was acknowledged is there, the manifest too."""
    if ("manifest", "toy") in acked:
        assert len(Cache(folder).manifest("toy").rows)
    return {a for a in acked if a[0] != "manifest"} <= good(folder)


def everything(keys: list[str] = KEYS) -> set[tuple[str, str]]:
    """Return feature and waveform of every block that there is to be."""
    return {(s.name, k) for s in SPECS for k in keys if k not in FAILS}


def is_clean(folder: Path) -> bool:
    """Whether a cache has no fault and nothing lying about but quarantine."""
    cache = Cache(folder)
    for place in cache.feature_folders():
        assert not list(integrity.check_feature(place).all_faults())
    for store in cache.stores:
        rows = [row[0] for shard in store.shards for row in shard.told["utterances"]]
        assert len(rows) == len(set(rows))  # nothing is there twice
    rubbish = clearing.find_rubbish(cache)
    assert not rubbish.files
    assert not rubbish.features
    left = [p for p in folder.rglob("*.tmp-*") if p.is_file()]
    assert not left
    return True


@dataclass(frozen=True)
class Work:
    """Something that is done to a cache, and may be stopped anywhere.

    Attributes:
        begin: makes the cache as it is before
        run: does it
        go_on: brings a stopped one to its end
        always: blocks that are there before and must be at every moment
        end: blocks that are there in the end
        is_readable: whether readers must be able to read at every moment
    """

    begin: Callable[[Path], None]
    run: Callable[[Path, Ack], None]
    go_on: Callable[[Path], None]
    always: Callable[[Path], set[tuple[str, str]]]
    end: set[tuple[str, str]]
    is_readable: bool = True


def _begin_damaged(folder: Path) -> None:
    extract(folder)
    damage(folder)


def _begin_littered(folder: Path) -> None:
    extract(folder)
    litter(folder)


def _mend_all(folder: Path) -> None:
    repair(folder)
    extract(folder)
    clear(folder)  # a shard that lost its commit before it went is nothing


WORKS = {
    "write": Work(
        lambda folder: folder.mkdir(), extract, extract, lambda _: set(), everything()
    ),
    "repair": Work(_begin_damaged, repair, _mend_all, good, everything(), False),
    "gc": Work(
        _begin_littered,
        clear,
        clear,
        lambda _: everything(KEYS[:3]) | {("manifest", "toy")},
        everything(KEYS[:3]),
    ),
}


@contextmanager
def standing_between(hook: Callable[[str, Any], Any]) -> Iterator[None]:
    """Have ``hook(name, arguments)`` called before every operation on the disk."""
    with pytest.MonkeyPatch.context() as patch:
        for name in OPERATIONS:
            patch.setattr(_durable, name, _hooked(name, hook))
        patch.setattr("contracts._store.time.strftime", lambda _: "then")
        patch.setattr(_durable, "_sync", lambda *_: None)  # a kill leaves memory be
        yield


def _hooked(name: str, hook: Callable[[str, Any], Any]) -> Callable[..., None]:
    true = getattr(_durable, name)

    def operate(*arguments: Any) -> None:
        if name == "write":
            path, pieces = arguments
            arguments = path, [b"".join(bytes(p) for p in pieces)]
        hook(name, arguments)
        true(*arguments)

    return operate


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder but the lock."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "lock"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}
