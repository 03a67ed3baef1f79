"""Remove what nothing refers to: what ``cache gc`` shows and does.

A waveform that is in no manifest is unreferred, and so are files that a killed writer
left and what ``cache repair`` put into quarantine. Shards that hold both kinds are
written again without the unreferred blocks, before the old ones go.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from contracts import _durable
from contracts._commits import SPEC_FILE, Shard
from contracts._durable import ASIDE
from contracts._shards import block_rows
from contracts._store import FeatureStore
from contracts.cache import Cache, sizes
from contracts.errors import CacheError, ManifestError, listing
from contracts.mending import QUARANTINE, carry_on


@dataclass(frozen=True)
class Unreferred:
    """What of one feature no manifest refers to.

    Attributes:
        store: the feature
        keys: waveform hashes of blocks
        failed: waveform hashes of notes that something failed
        n_bytes: of the blocks
        shards: that hold any of them
    """

    store: FeatureStore
    keys: frozenset[str]
    failed: frozenset[str]
    n_bytes: int
    shards: tuple[Shard, ...]


@dataclass(frozen=True)
class Rubbish:
    """Everything that a cache could do without.

    Attributes:
        features: by feature, those without any left out
        files: left by killed writers, and shards without a commit; with their bytes
        quarantined: files that repair put aside, with their bytes
    """

    features: list[Unreferred] = field(default_factory=list)
    files: list[tuple[Path, int]] = field(default_factory=list)
    quarantined: list[tuple[Path, int]] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.features or self.files or self.quarantined)


def find_rubbish(cache: Cache) -> Rubbish:
    """Find what nothing refers to.

    Raises:
        CacheError: if the cache is broken, or a manifest is missing, so that it cannot
            be known
    """
    wanted = _referred(cache)
    out = Rubbish()
    for store in cache.stores:
        found = _unreferred(store, wanted)
        if found.keys or found.failed:
            out.features.append(found)
    out.files.extend(sizes(_left(cache)))
    inside = sorted((cache.folder / QUARANTINE).rglob("*"))
    out.quarantined.extend(sizes(p for p in inside if p.is_file()))
    return out


def _referred(cache: Cache) -> set[str]:
    """Return the waveforms of all manifests."""
    aside = {p.name.partition(".parquet")[0] for p in _manifests_aside(cache)}
    if missing := sorted(aside - set(cache.corpora)):
        msg = (
            f"the manifest of {listing(missing)} is in quarantine: without it, gc "
            "would take its features for rubbish. Make it again: python pipeline.py "
            f"extract --corpus {missing[0]} --root FOLDER; or delete it there"
        )
        raise CacheError(msg)
    if not cache.corpora:
        msg = (
            f"cache {cache.folder} has no manifest, so that gc cannot tell what is "
            f"referred to. Run: python pipeline.py extract; or delete the cache"
        )
        raise CacheError(msg)
    keys: set[str] = set()
    for corpus in cache.corpora:
        try:
            keys |= set(cache.manifest(corpus).rows["waveform"])
        except ManifestError as error:
            raise CacheError(str(error)) from error
    return keys


def _manifests_aside(cache: Cache) -> Iterator[Path]:
    return (cache.folder / QUARANTINE).glob("*.parquet*")


def _unreferred(store: FeatureStore, wanted: set[str]) -> Unreferred:
    keys, failed, n_bytes = set(), set(), 0
    shards = []
    for shard in store.shards:
        rows = [row for row in shard.told["utterances"] if row[0] not in wanted]
        bad = set(shard.told["failed"]) - wanted
        if not (rows or bad):
            continue
        shards.append(shard)
        keys |= {row[0] for row in rows}
        failed |= bad
        n_bytes += sum(_size(shard, n_frames) for _, _, n_frames, *_ in rows)
    return Unreferred(store, frozenset(keys), frozenset(failed), n_bytes, tuple(shards))


def _size(shard: Shard, n_frames: int) -> int:
    """Return the bytes of a block."""
    spec, layout = shard.spec, shard.layout
    values = block_rows(spec, n_frames) * spec.n_channels
    pooled = 0 if spec.is_table else len(spec.layers) * (2 * spec.n_channels + 1)
    return values * layout.dtype("values").itemsize + pooled * 4


def _left(cache: Cache) -> Iterator[Path]:
    """Yield what killed writers left."""
    for folder in (cache.folder / "manifest", cache.folder / "notes"):
        yield from sorted(folder.glob(ASIDE))
    for folder in cache.feature_folders():
        yield from sorted(folder.glob(ASIDE))
        shards = sorted(folder.glob("*.h5"))
        yield from (p for p in shards if not p.with_suffix(".json").exists())


def clear(cache: Cache) -> Rubbish:
    """Remove what nothing refers to; under the lock.

    Returns:
        what was removed

    Raises:
        CacheError: if the cache is broken
    """
    rubbish = find_rubbish(cache)
    for path, _ in (*rubbish.files, *rubbish.quarantined):
        _durable.remove(path)
        _durable.sync_folder(path.parent)
    inside = [p for p in (cache.folder / QUARANTINE).rglob("*") if p.is_dir()]
    for folder in sorted(inside, reverse=True):
        _durable.remove(folder)
    for found in rubbish.features:
        _clear_feature(found)
    return rubbish


def _clear_feature(found: Unreferred) -> None:
    """Drop unreferred blocks; a feature that has nothing left goes altogether."""
    store, changed = found.store, {s.path for s in found.shards}
    held = {
        row[0]
        for shard in store.shards
        if shard.path not in changed
        for row in shard.told["utterances"]
    }
    for shard in found.shards:
        rows = shard.told["utterances"]
        gone = found.keys | held
        carry = [i for i, row in enumerate(rows) if row[0] not in gone]
        told_failed = shard.told["failed"].items()
        failed = {k: why for k, why in told_failed if k not in found.failed}
        carry_on(shard.path.with_suffix(".json"), shard.told, carry, failed)
        held |= {rows[i][0] for i in carry}
    left = sorted(store.folder.iterdir())
    if [p.name for p in left] == [SPEC_FILE]:
        _durable.remove(left[0])
        _durable.remove(store.folder)
        _durable.sync_folder(store.folder.parent)
