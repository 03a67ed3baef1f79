"""Commits: the small files that make shards true, and shards as they are read.

A commit ``<name>.json`` says what its shard holds, what failed, and everything needed
to check the shard; it proves itself (``_sealed``). One without a shard only says what
failed.
"""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts import _durable
from contracts._mapping import map_file
from contracts._sealed import seal, unseal
from contracts._shards import Layout, write_shard
from contracts.command import repair_command
from contracts.errors import CacheError
from contracts.feature import Block, FeatureSpec

SPEC_FILE = "feature.json"


def shard_name(keys: Iterable[str], again: int = 0) -> str:
    """Name a shard after what it is to hold; ``again`` tells namesakes apart."""
    text = "\n".join(sorted(keys)) + "\n" * again
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def commit(
    folder: Path,
    spec: FeatureSpec,
    blocks: Mapping[str, Block],
    failed: Mapping[str, str],
    made: Mapping[str, Any],
) -> Path:
    """Write one shard and make it true.

    Args:
        folder: of the feature in the cache
        spec: the feature
        blocks: waveform hash -> block, in the order to be stored
        failed: waveform hash -> why there is no block
        made: when, where and by what; not part of the fingerprint

    Returns:
        the commit's path

    Raises:
        CacheError: if it cannot be written
    """
    _durable.make_folders(folder)
    name = _free_name(folder, [*blocks, *failed])
    facts = {"spec": spec.to_json(), "failed": dict(failed), "made": dict(made)}
    told: dict[str, Any] = {
        "feature": spec.name,
        "fingerprint": spec.fingerprint,
        "shard": f"{name}.h5" if blocks else None,
        **facts,
        "utterances": [],
    }
    if blocks:
        told |= write_shard(folder / f"{name}.h5", spec, blocks, facts)
    path = folder / f"{name}.json"
    _durable.publish(path, [seal(told)])
    return path


def _free_name(folder: Path, keys: list[str]) -> str:
    """Name a shard so that no other is replaced but one that holds nothing."""
    for again in range(len(list(folder.iterdir())) + 1):
        name = shard_name(keys, again)
        path = folder / f"{name}.json"
        try:
            if not path.exists() or read_commit(path)["shard"] is None:
                return name
        except CacheError:
            continue  # torn: what it stood for is for repair to find out
    msg = (
        f"no free name for a shard in {folder}. Run: {repair_command(path.parents[2])}"
    )
    raise CacheError(msg)


def read_commit(path: Path) -> dict[str, Any]:
    """Read one commit.

    Raises:
        FileNotFoundError: if it is not there
        CacheError: if it is torn, or of another format
    """
    try:
        return unseal(path.read_bytes(), path)
    except FileNotFoundError:
        raise
    except (ValueError, OSError) as error:
        msg = (
            f"commit {path} is torn or damaged: {error}. "
            f"Run: {repair_command(path.parents[2])}"
        )
        raise CacheError(msg) from error


def commits(folder: Path) -> list[Path]:
    """List the commits in a feature's folder, sorted."""
    return sorted(p for p in folder.glob("*.json") if p.name != SPEC_FILE)


def layout_of(told: Mapping[str, Any], spec: FeatureSpec) -> Layout:
    """Return what lies where in the shard of a commit, or of a shard's head."""
    sizes = {name: told[name] for name in ("n", "rows", "size", "offsets", "rest")}
    return Layout(spec, **sizes)


class Shard:
    """One committed shard, mapped when it is opened and readable from then on.

    Args:
        path: of its commit
        spec: the feature

    Raises:
        FileNotFoundError: if the commit is not there
        CacheError: if the commit is torn, or of another format
    """

    def __init__(self, path: Path, spec: FeatureSpec) -> None:
        self.told = read_commit(path)
        self.path = path.parent / str(self.told["shard"] or path.name)
        self.spec = spec
        if self.told["fingerprint"] != spec.fingerprint:
            own = f"{self.told['feature']}@{self.told['fingerprint'][:12]}"
            again = repair_command(path.parents[2])
            msg = f"commit {path} is of {own}, expected {spec.short}. Run: {again}"
            raise CacheError(msg)
        self._memory: memoryview | None = None
        self._problem = ""
        if self.told["shard"] is None:
            return
        try:
            self._memory = map_file(self.path, self.told["size"])
        except FileNotFoundError:
            self._problem = f"expected {self.told['size']} bytes, got no file"
        except (OSError, ValueError) as error:
            self._problem = str(error)

    @cached_property
    def layout(self) -> Layout:
        """What lies where."""
        return layout_of(self.told, self.spec)

    @cached_property
    def values(self) -> NDArray[Any]:
        """Frames or a table's rows ``(row, channel)``."""
        return self._array("values")

    @cached_property
    def pooled(self) -> NDArray[np.float32]:
        """Mean and deviation ``(utterance, layer, 2, channel)``."""
        return self._array("pooled")

    @cached_property
    def scale(self) -> NDArray[np.float32] | None:
        """Powers of two ``(utterance, layer)``, None where every one is 1."""
        return self._array("scale") if self.told["scaled"] else None

    def _array(self, name: str) -> NDArray[Any]:
        """View a dataset in the file.

        Raises:
            CacheError: if the shard is broken
        """
        if self._memory is None:
            again = repair_command(self.path.parents[2])
            msg = f"shard {self.path} is broken: {self._problem}. Run: {again}"
            raise CacheError(msg)
        shape, dtype = self.layout.shape(name), self.layout.dtype(name)
        start, end = self.layout.extent(name)
        return np.frombuffer(self._memory[start:end], dtype).reshape(shape)
