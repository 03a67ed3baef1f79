"""The cache's format on disk: shards of blocks, each made true by one small commit.

A shard ``<name>.h5`` begins with 1024 bytes of text that say what lies where and prove
it by a checksum. Then come contiguous, uncompressed datasets, so that a reader maps
them straight from the file and any HDF5 tool still opens them::

    waveform  (utterance, 32) uint8      the utterances' keys, in order
    start     (utterance,) int64         first row of the utterance's block
    n_frames  (utterance,) int64         0 for a table
    checksum  (utterance,) uint32        CRC-32 of its values, pooled and scale
    valid     (utterance,) uint8         0: holds NaN, not to be believed as it is
    facts     (byte,) uint8              JSON: the feature, what failed, when and where
    pooled    (utterance, layer, 2, channel) float32   mean and standard deviation
    scale     (utterance, layer) float32 powers of two: true = stored * scale
    values    (row, channel)             frames: each utterance one block of rows,
                                         (layer, frame) row by row; table: one row each

Values come last, so that a truncated file loses the last blocks only. ``checksum`` and
what the head calls ``rest``, a CRC-32 of all else in the file, cover every byte.

The shard gets its name only when complete and synced. The commit ``<name>.json`` is
published after it; a shard without a commit does not exist. Nothing ever appends to a
file. ``<name>`` is a hash of the keys, so that the same work done twice gives the same
name, and the same content the same bytes.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts import _durable
from contracts._sealed import BLANK, stamp
from contracts._skeleton import HEAD, Skeleton, lay_out, put
from contracts.feature import FORMAT, Block, FeatureSpec

BLOCKS = ("pooled", "scale", "values")  # the datasets that blocks are made of


@dataclass(frozen=True)
class Layout:
    """What lies where in a shard.

    Attributes:
        n: utterances
        rows: of ``values``
        size: of the file, in bytes
        offsets: dataset -> its first byte
        rest: CRC-32 of every byte behind the head that is in no block
    """

    spec: FeatureSpec
    n: int
    rows: int
    size: int
    offsets: Mapping[str, int]
    rest: int

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a dataset of blocks; without one it holds nothing."""
        return block_shapes(self.spec, self.n, self.rows).get(name, (0,))

    def dtype(self, name: str) -> np.dtype[Any]:
        """Return the dtype of a dataset of blocks."""
        return np.dtype(self.spec.dtype if name == "values" else "float32")

    def extent(self, name: str) -> tuple[int, int]:
        """Return first byte and the byte behind the last of a dataset of blocks."""
        start = self.offsets.get(name, 0)
        n = int(np.prod(self.shape(name), dtype=np.int64)) * self.dtype(name).itemsize
        return start, start + n

    def others(self) -> Iterator[tuple[int, int]]:
        """Yield the stretches behind the head that belong to no block."""
        at = HEAD
        for start, end in sorted(self.extent(name) for name in BLOCKS):
            if end > start:
                yield at, start
                at = end
        yield at, self.size


def block_shapes(spec: FeatureSpec, n: int, rows: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the datasets that blocks of a feature are made of."""
    shapes: dict[str, tuple[int, ...]] = {}
    if not spec.is_table:
        shapes["pooled"] = n, len(spec.layers), 2, spec.n_channels
        shapes["scale"] = n, len(spec.layers)
    if spec.is_table or spec.keeps_frames:
        shapes["values"] = rows, spec.n_channels
    return shapes


def block_rows(spec: FeatureSpec, n_frames: int) -> int:
    """Return how many rows of ``values`` an utterance has."""
    if spec.is_table:
        return 1
    return len(spec.layers) * n_frames if spec.keeps_frames else 0


def write_shard(
    path: Path, spec: FeatureSpec, blocks: Mapping[str, Block], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Publish a shard; return what its commit says of it.

    Args:
        path: its final name
        spec: the feature
        blocks: waveform hash -> block, in the order to be stored
        facts: what is to be known of the shard if its commit is lost

    Raises:
        ValueError: if a block is not of the feature's shape
        CacheError: if it cannot be written
    """
    parts = {key: _fitting(spec, key, block) for key, block in blocks.items()}
    columns = _columns(spec, parts)
    text = json.dumps(dict(facts)).encode()
    small = {**columns, "facts": np.frombuffer(text, np.uint8)}
    rows = sum(block_rows(spec, b.n_frames) for b in parts.values())
    named = {"format": FORMAT, "feature": spec.name, "fingerprint": spec.fingerprint}
    large = block_shapes(spec, len(parts), rows)
    skeleton, offsets = lay_out(_arrays(spec, small, large), named)
    for name, array in small.items():
        put(skeleton, offsets[name], array)
    layout = Layout(spec, len(parts), rows, skeleton.size, offsets, 0)
    rest = 0
    for start, end in layout.others():
        rest = zlib.crc32(skeleton.read_at(start, end), rest)
    told = {
        "size": skeleton.size,
        "n": len(parts),
        "rows": rows,
        "offsets": offsets,
        "facts": len(text),
        "scaled": any(b.scale is not None for b in blocks.values()),
        "rest": rest,
    }
    skeleton.write_at(0, head(told))
    _durable.publish(path, _pieces(skeleton, layout, list(parts.values())))
    lists = [array.tolist() for name, array in columns.items() if name != "waveform"]
    return told | {"utterances": [list(r) for r in zip(parts, *lists, strict=True)]}


def _arrays(
    spec: FeatureSpec,
    small: Mapping[str, NDArray[Any]],
    large: Mapping[str, tuple[int, ...]],
) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Return name -> shape and dtype of every dataset, those of blocks last."""
    dtypes = {"values": spec.dtype}
    return {name: (array.shape, array.dtype) for name, array in small.items()} | {
        name: (shape, dtypes.get(name, "float32")) for name, shape in large.items()
    }


def head(told: Mapping[str, Any]) -> bytes:
    """Write the first bytes of a shard: text that proves itself, filled with spaces."""
    facts = {"emocache": "shard", "format": FORMAT, **told, "checksum": BLANK}
    return stamp(json.dumps(facts).encode().ljust(HEAD - 1) + b"\n")


def _columns(spec: FeatureSpec, parts: Mapping[str, Block]) -> dict[str, NDArray[Any]]:
    """Return what is stored of each utterance beside its block."""
    keys = np.frombuffer(bytes.fromhex("".join(parts)), np.uint8)
    frames = [block.n_frames for block in parts.values()]
    rows = [block_rows(spec, n) for n in frames]
    return {
        "waveform": keys.reshape(len(parts), 32),
        "start": np.cumsum([0, *rows[:-1]], dtype=np.int64),
        "n_frames": np.asarray(frames, np.int64),
        "checksum": np.array([b.checksum for b in parts.values()], np.uint32),
        "valid": np.array([b.valid for b in parts.values()], np.uint8),
    }


def _fitting(spec: FeatureSpec, key: str, block: Block) -> Block:
    """Return a block as it is stored: contiguous, in the stored dtype.

    Raises:
        ValueError: if it is not of the feature's shape
    """
    wide, layers = spec.n_channels, len(spec.layers)
    shape = (wide,) if spec.is_table else (layers, block.n_frames, wide)
    has_values = spec.is_table or spec.keeps_frames
    values, pooled, scale = block.values, block.pooled, block.scale
    if has_values != (values is not None):
        msg = f"block {key[:12]} of {spec.short}: expected values {has_values}, got not"
        raise ValueError(msg)
    if values is not None:
        values = np.ascontiguousarray(values.reshape(shape), spec.dtype)
    if spec.is_table:
        return Block(values, valid=block.valid)
    if pooled is None or pooled.shape != (layers, 2, wide):
        got = None if pooled is None else pooled.shape
        msg = f"block {key[:12]}: expected pooled {(layers, 2, wide)}, got {got}"
        raise ValueError(msg)
    ones = np.ones(layers, np.float32)
    return Block(
        values,
        np.ascontiguousarray(pooled, np.float32),
        ones if scale is None else np.ascontiguousarray(scale, np.float32),
        block.valid,
        block.n_frames,
    )


def _pieces(skeleton: Skeleton, layout: Layout, blocks: list[Block]) -> Iterator[Any]:
    """Yield the file's bytes from the first to the last."""
    at = 0
    for name in sorted(BLOCKS, key=layout.extent):
        start, end = layout.extent(name)
        if end == start:
            continue
        yield skeleton.read_at(at, start)
        for block in blocks:
            yield getattr(block, name).data
        at = end
    yield skeleton.read_at(at, layout.size)
