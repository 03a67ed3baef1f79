"""The cache's format on disk: shards of blocks, each made true by one small commit.

A shard ``<name>.h5`` holds contiguous, uncompressed datasets, so that a reader maps
them straight from the file and any HDF5 tool still opens them::

    waveform  (utterance, 32) uint8      the utterances' keys, in order
    values    (row, channel)             frames: each utterance one block of rows,
                                         (layer, frame) row by row; table: one row each
    start     (utterance,) int64         first row of the utterance's block
    n_frames  (utterance,) int64         0 for a table
    pooled    (utterance, layer, 2, channel) float32   mean and standard deviation
    scale     (utterance, layer) float32 powers of two: true = stored * scale

It gets its name only when complete and synced. The commit ``<name>.json`` is written
aside, synced and renamed after it; a shard without a commit does not exist. Nothing
ever appends to a file. ``<name>`` is a hash of the keys, so that the same work done
twice gives the same name.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import CacheError
from contracts.feature import FORMAT, Block, FeatureSpec


def shard_name(keys: list[str]) -> str:
    """Name a shard after what it is to hold."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()[:20]


def commit(
    folder: Path,
    spec: FeatureSpec,
    blocks: Mapping[str, Block],
    failed: Mapping[str, str],
    made: Mapping[str, Any],
) -> None:
    """Write one shard and make it true.

    Args:
        folder: of the feature in the cache
        spec: the feature
        blocks: waveform hash -> block, in the order to be stored
        failed: waveform hash -> why there is no block
        made: when, where and by what; not part of the fingerprint
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = shard_name([*blocks, *failed])
    told: dict[str, Any] = {
        "format": FORMAT,
        "feature": spec.name,
        "fingerprint": spec.fingerprint,
        "shard": f"{name}.h5" if blocks else None,
        "failed": dict(failed),
        "made": dict(made),
        "utterances": [],
    }
    if blocks:
        aside = folder / f".{name}.h5.tmp-{os.getpid()}"
        told |= _write_shard(aside, spec, blocks)
        publish(aside, folder / f"{name}.h5")
    aside = folder / f".{name}.json.tmp-{os.getpid()}"
    aside.write_text(json.dumps(told), encoding="utf-8")
    publish(aside, folder / f"{name}.json")


def publish(aside: Path, final: Path) -> None:
    """Sync, rename, and sync the folder: after this a crash cannot undo it."""
    with aside.open("rb+") as file:
        os.fsync(file.fileno())
    aside.replace(final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write_shard(
    path: Path, spec: FeatureSpec, blocks: Mapping[str, Block]
) -> dict[str, Any]:
    """Write the datasets; return what the commit says of them."""
    import h5py

    keys, parts = list(blocks), list(blocks.values())
    frames = [0 if spec.is_table else p.values.shape[1] for p in parts]
    rows = [1 if spec.is_table else len(spec.layers) * n for n in frames]
    starts = np.concatenate([[0], np.cumsum(rows)[:-1]]).astype(np.int64)
    arrays: dict[str, NDArray[Any]] = {
        "waveform": np.frombuffer(bytes.fromhex("".join(keys)), np.uint8).reshape(
            len(keys), 32
        ),
        "start": starts,
        "n_frames": np.asarray(frames, np.int64),
    }
    if not spec.is_table:
        arrays["pooled"] = np.stack([p.pooled for p in parts])  # type: ignore[misc]
        ones = np.ones(len(spec.layers), np.float32)
        scales = [ones if p.scale is None else p.scale for p in parts]
        arrays["scale"] = np.stack(scales).astype(np.float32)
    with h5py.File(path, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["feature"] = spec.name
        file.attrs["fingerprint"] = spec.fingerprint
        shape = (sum(rows), spec.n_channels)
        values = file.create_dataset("values", shape=shape, dtype=spec.dtype)
        for start, n, part in zip(starts, rows, parts, strict=True):
            values[start : start + n] = part.values.reshape(n, spec.n_channels)
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
        offsets = {name: int(data.id.get_offset()) for name, data in file.items()}
    told = zip(keys, starts.tolist(), frames, parts, strict=True)
    return {
        "size": path.stat().st_size,
        "offsets": offsets,
        "rows": sum(rows),
        "scaled": any(p.scale is not None for p in parts),
        "utterances": [[k, s, n, p.checksum, p.valid] for k, s, n, p in told],
    }


@dataclass(frozen=True)
class Shard:
    """One committed shard, its arrays mapped from the file when first touched."""

    path: Path
    spec: FeatureSpec
    told: Mapping[str, Any]

    def _map(self, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        try:
            got = self.path.stat().st_size
        except FileNotFoundError:
            got = -1
        if got != self.told["size"]:
            msg = (
                f"shard {self.path} is broken: expected {self.told['size']} bytes, got "
                f"{'no file' if got < 0 else got}. Delete its commit "
                f"{self.path.stem}.json and run: python pipeline.py extract"
            )
            raise CacheError(msg)
        offset = self.told["offsets"][name]
        return np.memmap(self.path, dtype, "r", offset=offset, shape=shape)

    def values(self) -> NDArray[Any]:
        """Map ``(row, channel)``."""
        shape = (self.told["rows"], self.spec.n_channels)
        return self._map("values", self.spec.dtype, shape)

    def pooled(self) -> NDArray[np.float32]:
        """Map ``(utterance, layer, 2, channel)``."""
        n, layers = len(self.told["utterances"]), len(self.spec.layers)
        return self._map("pooled", "float32", (n, layers, 2, self.spec.n_channels))

    def scale(self) -> NDArray[np.float32] | None:
        """Map ``(utterance, layer)``, None where every scale is 1."""
        if not self.told["scaled"]:
            return None
        shape = (len(self.told["utterances"]), len(self.spec.layers))
        return self._map("scale", "float32", shape)


def read_commit(path: Path) -> dict[str, Any]:
    """Read one commit.

    Raises:
        CacheError: if it is torn, or of another format
    """
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        made = told["format"]
    except (ValueError, KeyError) as error:
        msg = (
            f"commit {path} is torn: {error}. Delete it and run: "
            "python pipeline.py extract"
        )
        raise CacheError(msg) from error
    if made != FORMAT:
        msg = (
            f"{path} is of format {made}, expected {FORMAT}. "
            "Extract into a new cache with --cache DIR"
        )
        raise CacheError(msg)
    return told
