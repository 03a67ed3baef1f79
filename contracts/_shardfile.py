"""A shard read piece by piece and believed only where its checksums say so.

Readers map shards; what verifies and mends them reads the file instead, so that a bad
disk is an answer and not the end of the process.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from contracts._commits import layout_of
from contracts._sealed import unseal
from contracts._shards import BLOCKS, Layout, block_rows
from contracts._skeleton import HEAD
from contracts.feature import Block, FeatureSpec

_STEP = 1 << 24  # bytes read at once
_COLUMNS = {"start": "int64", "n_frames": "int64", "checksum": "uint32", "valid": "u1"}


class ShardFile:
    """A shard that may be damaged.

    Args:
        file: opened for reading
        told: what its commit says, or what ``told_of_shard`` found
        spec: the feature
    """

    def __init__(
        self, file: BinaryIO, told: Mapping[str, Any], spec: FeatureSpec
    ) -> None:
        self.file = file
        self.told = told
        self.spec = spec
        self.layout = layout_of(told, spec)

    def rest(self) -> int:
        """Return the CRC-32 of every byte behind the head that is in no block."""
        return _rest(self.file, self.layout)

    def _parts(self, position: int) -> Iterator[tuple[str, int, int]]:
        """Yield dataset, first byte and the byte behind the last of a block."""
        _, start, n_frames, *_ = self.told["utterances"][position]
        rows = {"values": (start, block_rows(self.spec, n_frames))}
        for name in reversed(BLOCKS):  # in the order of the checksum
            shape = self.layout.shape(name)
            first, behind = self.layout.extent(name)
            if behind == first:
                continue
            each = (behind - first) // shape[0]
            row, n = rows.get(name, (position, 1))
            yield name, first + row * each, first + (row + n) * each

    def size(self, position: int) -> int:
        """Return the bytes of a block."""
        return sum(end - start for _, start, end in self._parts(position))

    def _read(self, position: int) -> dict[str, bytes]:
        return {n: _bytes(self.file, a, b) for n, a, b in self._parts(position)}

    def block(self, position: int) -> Block | None:
        """Return a block, None if it is not as it was written."""
        _, _, n_frames, checksum, valid = self.told["utterances"][position]
        parts = self._read(position)
        crc = 0
        for name in ("values", "pooled", "scale"):
            crc = zlib.crc32(parts.get(name, b""), crc)
        if crc != checksum:
            return None
        shapes = {
            "values": (len(self.spec.layers), n_frames, self.spec.n_channels),
            "pooled": (len(self.spec.layers), 2, self.spec.n_channels),
            "scale": (len(self.spec.layers),),
        }
        if self.spec.is_table:
            shapes["values"] = (self.spec.n_channels,)
        arrays: dict[str, NDArray[Any] | None] = {
            name: np.frombuffer(data, self.layout.dtype(name)).reshape(shapes[name])
            for name, data in parts.items()
        }
        values = arrays.get("values")
        if values is None and self.spec.keeps_frames:  # no frame, so no byte of it
            values = np.empty(shapes["values"], self.spec.dtype)
        scale = arrays.get("scale") if self.told["scaled"] else None
        return Block(values, arrays.get("pooled"), scale, bool(valid), n_frames)


def _bytes(file: BinaryIO, start: int, end: int) -> bytes:
    """Read a stretch; what the disk does not give is missing at the end."""
    try:
        file.seek(start)
        return file.read(end - start)
    except OSError:
        return b""


def _rest(file: BinaryIO, layout: Layout) -> int:
    crc = 0
    for start, end in layout.others():
        for at in range(start, end, _STEP):
            crc = zlib.crc32(_bytes(file, at, min(at + _STEP, end)), crc)
    return crc


def told_of_head(file: BinaryIO, path: Path) -> dict[str, Any]:
    """Read what the head of a shard says.

    Raises:
        ValueError: if it does not prove itself
        OtherFormatError: if it is of another format
    """
    told = unseal(_bytes(file, 0, HEAD), path)
    for name in ("emocache", "format"):
        told.pop(name, None)
    return told


def told_of_shard(file: BinaryIO, path: Path) -> dict[str, Any]:
    """Say of a shard what its commit said, by its own words alone.

    Raises:
        ValueError: if they do not prove themselves
        OtherFormatError: if it is of another format
    """
    head = told_of_head(file, path)

    def column(name: str, dtype: str, length: int) -> NDArray[Any]:
        at = head["offsets"][name]
        data = _bytes(file, at, at + length * np.dtype(dtype).itemsize)
        return np.frombuffer(data, dtype)

    facts = json.loads(column("facts", "u1", head["facts"]).tobytes())
    try:
        spec = FeatureSpec.from_json(facts["spec"])
        got = _rest(file, layout_of(head, spec))
    except (KeyError, TypeError) as error:
        msg = f"its facts are damaged: {error!r}"
        raise ValueError(msg) from error
    if got != head["rest"]:
        msg = f"what is in no block has checksum {got}, expected {head['rest']}"
        raise ValueError(msg)
    keys = column("waveform", "u1", 32 * head["n"]).reshape(-1, 32)
    lists = [column(name, kind, head["n"]).tolist() for name, kind in _COLUMNS.items()]
    named = {"feature": spec.name, "fingerprint": spec.fingerprint, "shard": path.name}
    utterances = zip((bytes(k).hex() for k in keys), *lists, strict=True)
    return named | facts | {"utterances": [list(u) for u in utterances]} | head
