"""Mend what is broken in a cache, and nothing else: what ``cache repair`` does.

Good blocks of a damaged shard are committed again before the damaged one goes, so that
a kill at any moment costs nothing and the next repair goes on. What cannot be proven is
put into ``quarantine``, not deleted. What is lost is made again by ``extract``.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from contracts import _durable
from contracts._commits import SPEC_FILE, commit
from contracts._sealed import seal
from contracts._shardfile import ShardFile
from contracts._store import write_spec
from contracts.cache import Cache
from contracts.command import repair_command
from contracts.errors import CacheError
from contracts.feature import Block, FeatureSpec
from contracts.integrity import (
    Advance,
    FeatureState,
    ShardState,
    check_feature,
    check_manifest,
)

QUARANTINE = "quarantine"


def mend_manifests(cache: Cache) -> list[str]:
    """Put broken manifests aside; under the lock.

    Returns:
        what was done, one sentence each
    """
    done = []
    folder = cache.folder / "manifest"
    for corpus in cache.corpora:
        path = folder / f"{corpus}.parquet"
        if not check_manifest(path):
            continue
        _durable.move(path, cache.folder / QUARANTINE)
        done.append(
            f"the manifest of {corpus} was broken and is in quarantine. Make it again: "
            f"python pipeline.py extract --corpus {corpus} --root FOLDER"
        )
    return done


def mend_feature(
    cache: Cache, folder: Path, advance: Advance = lambda _: None
) -> tuple[list[str], set[str]]:
    """Mend one feature; under the lock.

    Args:
        cache: it is in
        folder: of the feature
        advance: is told of every shard when it is checked, in bytes

    Returns:
        what was done, one sentence each, and the waveform hashes of what was lost
    """
    _durable.sweep(folder)
    state = check_feature(folder, advance)
    done: list[str] = []
    if state.faults and not _mend_spec(state, done):
        _set_aside(cache, state, done)
        return done, _lost(state, set())
    held = {k for s in state.shards if not s.faults for k in s.keys}
    for shard in state.shards:
        if shard.faults:
            done.append(_mend_shard(cache, shard, held))
    return done, _lost(state, held)


def _lost(state: FeatureState, held: set[str]) -> set[str]:
    told = [s.told["utterances"] for s in state.shards if s.told]
    return {row[0] for rows in told for row in rows} - held


def _mend_spec(state: FeatureState, done: list[str]) -> bool:
    """Write ``feature.json`` again where a shard or a commit proves what it said."""
    told = next((s.told for s in state.shards if s.told), None)
    if told is None:
        return False
    write_spec(state.folder, FeatureSpec.from_json(told["spec"]))
    done.append(f"{state.folder.name}: {SPEC_FILE} is written again")
    return True


def _set_aside(cache: Cache, state: FeatureState, done: list[str]) -> None:
    """Put a feature of which nothing says what it is into quarantine, file by file."""
    into = cache.folder / QUARANTINE / state.folder.name
    firsts = [s.path for s in state.shards]  # without commits the shards are nothing
    others = [p for p in sorted(state.folder.iterdir()) if p not in firsts]
    for path in (*firsts, *others):
        _durable.move(path, into)
    _durable.remove(state.folder)
    _durable.sync_folder(state.folder.parent)
    done.append(f"{state.folder.name}: nothing says what it is, it is in quarantine")


def _mend_shard(cache: Cache, shard: ShardState, held: set[str]) -> str:
    """Save the good blocks of a damaged shard; what is good is added to ``held``."""
    name = f"{shard.path.parent.name}/{shard.path.stem}"
    if shard.told is None:
        into = cache.folder / QUARANTINE / shard.path.parent.name
        for path in (shard.path, shard.shard):
            if path.exists():
                _durable.move(path, into)
        return f"{name}: nothing proves it, it is in quarantine"
    n = len(shard.told["utterances"])
    if shard.is_torn and len(shard.faults) == 1:  # the commit alone
        _durable.publish(shard.path, [seal(shard.told)])
        held |= set(shard.keys)
        return f"{name}: its commit is written again, every block is good ({n})"
    saved = set(shard.keys)
    carry = [i for i in shard.good if shard.told["utterances"][i][0] not in held]
    carry_on(shard.path, shard.told, carry, shard.told["failed"])
    held |= saved
    if len(saved) == n:
        return f"{name}: written again, every block of it is good ({n})"
    return f"{name}: {len(saved)} of {n} blocks are good and saved, the rest dropped"


def carry_on(
    path: Path,
    told: Mapping[str, Any],
    positions: Iterable[int],
    failed: Mapping[str, str],
) -> None:
    """Commit some blocks of a shard again, then remove the shard.

    Args:
        path: of the shard's commit
        told: what is known of the shard
        positions: of the blocks
        failed: waveform hash -> why there is no block, to be kept

    Raises:
        CacheError: if a block is damaged, or nothing can be written
    """
    spec = FeatureSpec.from_json(told["spec"])
    shard = path.with_suffix(".h5")
    blocks: dict[str, Block] = {}
    chosen = list(positions)
    for i, block in zip(chosen, _blocks(shard, told, spec, chosen), strict=True):
        if block is None:
            again = repair_command(path.parents[2])
            msg = f"shard {shard} is damaged, nothing of it was removed. Run: {again}"
            raise CacheError(msg)
        blocks[told["utterances"][i][0]] = block
    if blocks or failed:
        commit(path.parent, spec, blocks, failed, told["made"])
    for file_path in (path, shard):  # the commit first: then the shard is nothing
        _durable.remove(file_path)
        _durable.sync_folder(path.parent)


def _blocks(
    shard: Path, told: Mapping[str, Any], spec: FeatureSpec, chosen: list[int]
) -> list[Block | None]:
    if not chosen:
        return []
    try:
        with shard.open("rb") as file:
            data = ShardFile(file, told, spec)
            return [data.block(i) for i in chosen]
    except OSError:
        return [None for _ in chosen]
