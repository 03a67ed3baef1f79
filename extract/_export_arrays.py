"""Write a feature as Parquet, or as one array with an index; never whole in memory."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contracts.terminal import progress
from extract._export import Part

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_BYTES = 32_000_000  # of numbers in one row group, and so in memory
_MOST = 10_000  # utterances in a row group
VALUES, SHAPE = "values", "shape"


def write_parquet(part: Part, folder: Path) -> None:
    """Write ``features.parquet``: one row per utterance, row group by row group.

    A table has a column per channel, named ``FEATURE.CHANNEL`` where an utterance's
    facts have the name already. Anything else has ``values``, the numbers in the order
    of the axes, and ``shape``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(part)
    about = json.dumps(part.about("parquet"))
    facts = part.facts()
    text = [f.name for f in schema if pa.types.is_large_string(f.type)]
    with (
        pq.ParquetWriter(
            folder / "features.parquet",
            schema.with_metadata({"emocache": about}),
            use_dictionary=text,
            compression="zstd",
        ) as writer,
        progress(part.spec.name, len(part.keys), "utterances") as advance,
    ):
        for start, end in _groups(part):
            told = pa.Table.from_pandas(facts[start:end], preserve_index=False)
            columns = dict(zip(told.column_names, told.columns, strict=True))
            columns |= _columns(part, start, end)
            arrays = [columns[f.name].cast(f.type) for f in schema]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            advance(end - start)


def _schema(part: Part) -> pa.Schema:
    import pyarrow as pa

    kinds = {"O": pa.large_string(), "f": pa.float64(), "b": pa.bool_()}
    facts = part.facts()
    fields = [pa.field(c, kinds[facts[c].to_numpy().dtype.kind]) for c in facts]
    if part.kind == "table":
        return pa.schema([*fields, *(pa.field(n, pa.float32()) for n in named(part))])
    number = pa.from_numpy_dtype(part.dtype)
    shaped = [(SHAPE, pa.list_(pa.int64())), (VALUES, pa.large_list(number))]
    return pa.schema([*fields, *(pa.field(*each) for each in shaped)])


def named(part: Part) -> list[str]:
    """Return a table's channels, so named that none has the name of a fact."""
    taken = {*part.facts().columns}
    return [f"{part.spec.name}.{n}" if n in taken else n for n in part.names]


def _groups(part: Part) -> Iterator[tuple[int, int]]:
    """Yield from where to where each row group goes."""
    start, size = 0, 0
    for row in range(len(part.keys)):
        own = math.prod(part.shape(row)) * part.dtype.itemsize
        if row > start and (size + own > GROUP_BYTES or row - start == _MOST):
            yield start, row
            start, size = row, 0
        size += own
    yield start, len(part.keys)


def _columns(part: Part, start: int, end: int) -> dict[str, pa.Array]:
    """Read the numbers of some utterances as columns."""
    import pyarrow as pa

    arrays = [part.array(row) for row in range(start, end)]
    if part.kind == "table":
        matrix = np.stack(arrays)
        return {
            name: pa.array(np.ascontiguousarray(matrix[:, i]))
            for i, name in enumerate(named(part))
        }
    ends = np.cumsum([0, *(a.size for a in arrays)])
    flat = pa.array(np.concatenate([a.ravel() for a in arrays]))
    return {
        SHAPE: pa.array([list(a.shape) for a in arrays], pa.list_(pa.int64())),
        VALUES: pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), flat),
    }


def write_npy(part: Part, folder: Path) -> None:
    """Write ``features.npy`` and ``index.parquet``, whose rows are the utterances.

    A table is ``(utterance, channel)``, what is pooled ``(utterance, layer, 2,
    channel)``, row for row. Frames are ``(layer, frame, channel)``, all utterances
    behind each other: ``features[:, first_frame : first_frame + n_frames]``.
    """
    ends = np.cumsum(part.n_frames)
    firsts = ends - part.n_frames
    facts = part.facts()
    shape: tuple[int, ...] = (len(part.keys), *part.shape(0))
    if part.kind == "frames":
        facts = facts.assign(first_frame=firsts, n_frames=part.n_frames)
        shape = (len(part.spec.layers), int(ends[-1]), part.spec.n_channels)
    facts.to_parquet(folder / "index.parquet", index=False)
    with (
        (folder / "features.npy").open("wb") as file,
        progress(part.spec.name, len(part.keys), "utterances") as advance,
    ):
        head = np.lib.format.header_data_from_array_1_0(np.empty(0, part.dtype))
        np.lib.format.write_array_header_1_0(file, {**head, "shape": shape})
        begin = file.tell()
        for row, first in enumerate(firsts):
            array = part.array(row)
            if part.kind != "frames":
                file.write(_bytes(array))
            for layer, frames in enumerate(array if part.kind == "frames" else ()):
                rows = layer * shape[1] + int(first)  # a hole until all are written
                file.seek(begin + rows * shape[2] * part.dtype.itemsize)
                file.write(_bytes(frames))
            advance(1)


def _bytes(array: NDArray[Any]) -> bytes:
    return array.tobytes()
