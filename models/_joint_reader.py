"""Frames as many models read them: mapped, converted and scaled once for all."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from contracts.errors import RunError, listing
from contracts.view import View
from models._joint_dropout import alive
from models._joint_pass import Hidden
from models._maps import map_facts, pinned

AT_ONCE = 4  # utterances: weights and gradients cross memory once for all of them
# models -> rows of the products with their frames. Of 3, 5, 7 and 9 to 15 rows at once
# MKL makes more work on AVX2 (of 13, 1.6 times that of 16); what is too much is let go
PRODUCTS = {3: (4,), 5: (4, 1), 7: (8,)} | dict.fromkeys(range(9, 16), (16,))


class Source:
    """Where the utterances of some views lie.

    Args:
        views: of one cache
        feature: with frames
        layers: hidden states; None: 1..L

    Attributes:
        n_layers, channels: of each utterance
        longest: frames of the longest

    Raises:
        CacheError: if the feature is missing, or has no frames
        RunError: if views are not of one feature in one cache, or hold an id twice
    """

    def __init__(
        self, views: Iterable[View], feature: str, layers: Sequence[int] | None
    ) -> None:
        self.feature, self.longest = feature, 1
        self.places: dict[str, tuple[View, int]] = {}
        stores = set()
        for view in views:
            chosen = pinned(view, (feature,))
            rows = {str(name): row for row, name in enumerate(chosen.ids)}
            self._refuse_twice(chosen)
            self.places |= {name: (chosen, row) for name, row in rows.items()}
            facts = map_facts(chosen, feature, layers)
            stores.add((str(chosen.cache.folder), chosen.spec(feature).short))
            self.longest = max(self.longest, *chosen.n_frames(feature).tolist())
        if len(stores) != 1:
            msg = (
                "fits that share their reading need one feature in one cache: expected "
                f"that, got {listing(sorted(map(str, stores)))}. Fit them in turn"
            )
            raise RunError(msg)
        self.layers: list[int] = facts["layers"]
        self.n_layers: int = facts["n_layers"]
        self.channels: int = facts["channels"]

    @staticmethod
    def _refuse_twice(view: View) -> None:
        ids = view.manifest["id"]
        if again := sorted(set(ids[ids.duplicated()])):
            msg = (
                f"{len(again)} utterances are twice in a part (first: {again[0]}): "
                "expected each once. Take the second out of the manifest"
            )
            raise RunError(msg)


class Run(NamedTuple):
    """Frames that lie side by side where all were read, and among those chosen."""

    read: slice
    chosen: slice


class Heard(NamedTuple):
    """Some utterances that were read.

    Attributes:
        names: of them
        lengths: frames of each
        frames: true values ``(layer, frame, channel)``, one after the other
    """

    names: Sequence[str]
    lengths: Sequence[int]
    frames: Tensor

    def runs(self, chosen: Sequence[int]) -> list[Run]:
        """Return where the frames of some utterances lie, neighbours in one run.

        Args:
            chosen: their positions, rising
        """
        ends = list(accumulate(self.lengths, initial=0))
        runs: list[Run] = []
        for i in chosen:
            at, end, n = ends[i], ends[i + 1], runs[-1].chosen.stop if runs else 0
            if runs and runs[-1].read.stop == at:
                last = runs.pop()
                at, n = last.read.start, last.chosen.start
            runs.append(Run(slice(at, end), slice(n, n + end - at)))
        return runs


class Reader:
    """What one worker reads with; its arrays are used again for every utterance.

    Args:
        source: of the utterances
        n_models: most models that one utterance is mixed for at a time
        dtype: that frames are converted to
    """

    def __init__(self, source: Source, n_models: int, dtype: torch.dtype) -> None:
        _hush()
        self.source = source
        size = AT_ONCE * source.longest * source.channels
        self._frames = torch.empty(source.n_layers * size, dtype=dtype)
        self._scaled = torch.empty(0, dtype=dtype)
        self._mixed = torch.zeros(sum(_products(n_models)) * size, dtype=dtype)
        self.hidden = Hidden(n_models, AT_ONCE * source.longest, dtype)
        self._alive: dict[tuple[object, ...], Tensor] = {}  # of what was read last

    def read(self, names: Sequence[str]) -> Heard:
        """Read utterances, at most ``AT_ONCE``; the next take their place."""
        source, stored = self.source, []
        self._alive.clear()
        for name in names:
            view, row = source.places[name]
            values = view.frames(source.feature, row, source.layers)
            stored.append(torch.from_numpy(values.transpose(0, 2, 1)))
        lengths = [values.shape[1] for values in stored]
        shape = len(stored[0]), sum(lengths), source.channels
        frames = _place(self._frames, shape)
        for place, value in zip(frames.split(lengths, dim=1), stored, strict=True):
            place.copy_(value)
        return Heard(names, lengths, frames)

    def scaled(self, frames: Tensor, factor: Tensor | None) -> Tensor:
        """Return frames times a factor ``(layer, 1, channel)``; None: as they are."""
        if factor is None:
            return frames
        if not len(self._scaled):
            self._scaled = torch.empty_like(self._frames)
        return torch.mul(frames, factor, out=_place(self._scaled, frames.shape))

    def alive(self, heard: Heard, draw: tuple[int, int], threshold: int) -> Tensor:
        """Return what dropout leaves of all that was read last, drawn once.

        Args, and what is returned: as of ``models._joint_dropout.alive``
        """
        key = draw, threshold
        if key not in self._alive:
            self._alive[key] = alive(
                heard.names, heard.lengths, draw, threshold, heard.frames.dtype
            )
        return self._alive[key]

    def mixed(self, frames: Tensor, mixtures: Tensor, runs: Sequence[Run]) -> Tensor:
        """Mix layers for each model.

        Args:
            frames: ``(layer, frame, channel)``
            mixtures: ``(model, layer)``
            runs: which frames

        Returns:
            ``(model, frame, channel)``, the runs one after the other
        """
        out = _place(self._mixed, (len(mixtures), *_shape(frames, runs)))
        for run in runs:
            place = out[:, run.chosen].flatten(1)
            torch.mm(mixtures, frames[:, run.read].flatten(1), out=place)
        return out

    def to_mixtures(self, frames: Tensor, n_models: int, runs: Sequence[Run]) -> Tensor:
        """Multiply frames with what now stands where they were mixed.

        Args:
            frames: ``(layer, frame, channel)``
            n_models: that they were mixed for
            runs: which frames

        Returns:
            ``(model, layer)``
        """
        sizes = _products(n_models)
        mixed = _place(self._mixed, (sum(sizes), *_shape(frames, runs)))
        found = frames.new_zeros(len(frames), sum(sizes))
        for run in runs:
            lines = frames[:, run.read].flatten(1)
            places = mixed[:, run.chosen].flatten(1).split(sizes)
            for into, some in zip(found.split(sizes, dim=1), places, strict=True):
                into.addmm_(lines, some.t())
        return found[:, :n_models].t()


def _shape(frames: Tensor, runs: Sequence[Run]) -> tuple[int, int]:
    """Return how many frames and channels the runs have."""
    return runs[-1].chosen.stop, frames.shape[2]


def _products(n_models: int) -> tuple[int, ...]:
    return PRODUCTS.get(n_models, (n_models,))


def _place(array: Tensor, shape: Sequence[int]) -> Tensor:
    return array[: int(np.prod(shape))].view(*shape)


@cache
def _hush() -> None:
    """Have torch warn of read-only arrays now, where nobody hears: it warns once.

    Mapped frames are read-only, and nothing here writes to them.
    """
    array = np.zeros(1)
    array.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.from_numpy(array)
