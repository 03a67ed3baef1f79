"""Frames as many models read them: mapped and converted once for all."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contracts.errors import RunError, listing
from contracts.view import View
from models._joint_dropout import alive
from models._maps import map_facts, pinned
from models._resident import bytes_of_frames, resident

AT_ONCE = 4  # utterances of one model: weights cross memory once for all of them
STRETCH = 6  # utterances of several, of which each hears some
ON_GPU = 32  # of one or several there: starting its work takes long, not doing it
FRAMES = 256  # most at a time for each utterance, unless one has more
CPU = torch.device("cpu")


class Source:
    """Where the utterances of some views lie.

    Args:
        views: of one cache
        feature: with frames
        layers: hidden states; None: 1..L
        device: where fits work; a GPU keeps the utterances, if it has the memory

    Attributes:
        device: likewise
        n_layers, channels: of each utterance
        at_once, stretch: utterances that one model hears at a time, and several
        most: frames that are read at a time
        is_kept: whether utterances stay on the device, once they are read

    Raises:
        CacheError: if the feature is missing, or has no frames
        RunError: if views are not of one feature in one cache, or hold an id twice
    """

    def __init__(
        self,
        views: Iterable[View],
        feature: str,
        layers: Sequence[int] | None,
        device: torch.device = CPU,
    ) -> None:
        self.feature, self.device = feature, device
        self._places: dict[str, tuple[View, int]] = {}
        self._lengths: dict[str, int] = {}
        stores = set()
        for view in views:
            chosen = pinned(view, (feature,))
            rows = {str(name): row for row, name in enumerate(chosen.ids)}
            self._refuse_twice(chosen)
            self._places |= {name: (chosen, row) for name, row in rows.items()}
            facts = map_facts(chosen, feature, layers)
            stores.add((str(chosen.cache.folder), chosen.spec(feature).short))
            self._lengths |= dict(zip(rows, chosen.n_frames(feature), strict=True))
        if len(stores) != 1:
            msg = (
                "fits that share their reading need one feature in one cache: expected "
                f"that, got {listing(sorted(map(str, stores)))}. Fit them in turn"
            )
            raise RunError(msg)
        self.layers: list[int] = facts["layers"]
        self.n_layers: int = facts["n_layers"]
        self.channels: int = facts["channels"]
        gpu = device.type != "cpu"
        self.at_once, self.stretch = (ON_GPU,) * 2 if gpu else (AT_ONCE, STRETCH)
        self.most = max(FRAMES * self.stretch, *self._lengths.values())
        n_frames = sum(self._lengths.values())
        size = bytes_of_frames(chosen, feature, self.layers, n_frames)
        self._kept = resident(size, device)
        self.is_kept = self._kept is not None

    def release(self) -> None:
        """Let go of what is kept."""
        self._kept = None

    def frames(self, name: str) -> Tensor:
        """Return an utterance's ``(layer, frame, channel)``, as it is stored."""
        read = partial(self._stored, *self._places[name])
        if self._kept is not None:
            return self._kept.block(name, read)
        return torch.from_numpy(read()).to(self.device)

    def _stored(self, view: View, row: int) -> NDArray[Any]:
        return view.frames(self.feature, row, self.layers).transpose(0, 2, 1)

    def cut(self, names: Sequence[str], most: int) -> Iterator[Sequence[str]]:
        """Yield what is read at a time, in its order.

        Args:
            names: of utterances
            most: of them
        """
        at = n_frames = 0
        for i, name in enumerate(names):
            n_frames += self._lengths[name]
            if i - at == most or n_frames > self.most:
                yield names[at:i]
                at, n_frames = i, self._lengths[name]
        if at < len(names):
            yield names[at:]

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
    """What utterances are read with; its arrays are used again for the next.

    Args:
        source: of the utterances
        dtype: that frames are converted to
    """

    def __init__(self, source: Source, dtype: torch.dtype) -> None:
        _hush()
        self.source = source
        size = source.n_layers * source.most * source.channels
        self._frames = torch.empty(size, dtype=dtype, device=source.device)
        self._alive: dict[tuple[object, ...], Tensor] = {}  # of what was read last

    def read(self, names: Sequence[str]) -> Heard:
        """Read utterances, as of ``Source.cut``; the next take their place."""
        self._alive.clear()
        stored = [self.source.frames(name) for name in names]
        lengths = [values.shape[1] for values in stored]
        shape = len(stored[0]), sum(lengths), self.source.channels
        frames = place(self._frames, shape)
        for own, value in zip(frames.split(lengths, dim=1), stored, strict=True):
            own.copy_(value)
        return Heard(names, lengths, frames)

    def alive(self, heard: Heard, draw: tuple[int, int], threshold: int) -> Tensor:
        """Return what dropout leaves of all that was read last, kept for the next.

        Args, and what is returned: as of ``models._joint_dropout.alive``
        """
        key = draw, threshold
        if key not in self._alive:
            like = heard.frames
            self._alive[key] = alive(heard.names, heard.lengths, draw, threshold, like)
        return self._alive[key]


def place(array: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the beginning of a long array in a shape."""
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
