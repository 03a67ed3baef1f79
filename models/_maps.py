"""How torch heads read maps from the cache: no utterance lost, padding told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contracts.errors import CacheError
from contracts.view import View
from models._resident import Resident


def pinned(view: View, features: Sequence[str]) -> View:
    """Settle which store each feature is read from, losing no utterance.

    Raises:
        CacheError: if a feature is missing, for all utterances or for some
    """
    chosen = view.require(features)
    if lost := chosen.left_out[len(view.left_out) :]:
        msg = (
            f"{len(lost)} of {len(view)} utterances lack a feature (first: "
            f"{lost[0][0]}, {lost[0][1]}): expected none. Leave them out with "
            "view.require(...)"
        )
        raise CacheError(msg)
    return chosen


def map_facts(
    view: View,
    feature: str,
    layers: Sequence[int] | None = None,
    otherwise: str = "transformer",
) -> dict[str, Any]:
    """Say what maps of a frame feature are: ``layers``, ``n_layers``, ``channels``.

    Args:
        view: utterances
        feature: one with frames
        layers: which are wanted; None: what ``otherwise`` says
        otherwise: ``transformer`` (1..L), ``all`` that are stored, or ``last``; a
            feature without layers has one, which is all of these

    Raises:
        CacheError: if the feature is missing or has no frames
    """
    spec = view.spec(feature)
    if spec.is_table:
        msg = f"{feature} has no frames: expected a frame feature, got a table"
        raise CacheError(msg)
    stored = list(spec.layers)
    known = {
        "transformer": [n for n in stored if n] or stored,
        "all": stored,
        "last": stored[-1:],
    }
    chosen = known[otherwise] if layers is None else list(layers)
    return {"layers": chosen, "n_layers": len(chosen), "channels": spec.n_channels}


def read_maps(
    view: View,
    feature: str,
    rows: Sequence[int],
    layers: Sequence[int],
    chosen: slice,
    kept: Resident | None = None,
) -> tuple[Tensor, Tensor]:
    """Read utterances from the cache's memory map, padded to the longest with zeros.

    Args:
        view: utterances
        feature: one with frames
        rows: positions of utterances in the view
        layers: which are read
        chosen: which frames of each utterance; none but these are read
        kept: where they stay once they are read; None: nowhere

    Returns:
        maps ``(utterance, layer, frame, channel)`` in the stored dtype, where they are
        kept, and their numbers of frames ``(utterance,)``
    """

    def block(row: int) -> NDArray[Any]:
        return view.frames(feature, row, layers).transpose(0, 2, 1)[:, chosen]

    if kept is not None:
        there = [kept.block(row, partial(block, row)) for row in rows]
        sizes = [one.shape[1] for one in there]
        size = len(there), there[0].shape[0], max(sizes), there[0].shape[2]
        padded = torch.zeros(size, dtype=there[0].dtype, device=kept.device)
        for own, one in zip(padded, there, strict=True):
            own[:, : one.shape[1]] = one
        return padded, torch.tensor(sizes)
    read = [block(row) for row in rows]
    n_frames = [values.shape[1] for values in read]
    shape = (len(read), read[0].shape[0], max(n_frames), read[0].shape[2])
    maps = np.zeros(shape, read[0].dtype)
    for own, values in zip(maps, read, strict=True):
        own[:, : values.shape[1]] = values
    return torch.from_numpy(maps), torch.tensor(n_frames)


def by_length(view: View, features: Sequence[str]) -> list[int]:
    """Order utterances by the frames of the first feature that has any."""
    frames = [f for f in features if not view.spec(f).is_table]
    lengths = view.n_frames(frames[0]) if frames else np.zeros(len(view))
    return [int(i) for i in np.argsort(lengths, kind="stable")]


def batches(rows: list[int], size: int) -> Iterator[list[int]]:
    """Cut rows into batches, in their order; the last may be smaller."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
