"""Utterances go by in stretches; threads take what models can do with them by now.

What a model does with a stretch waits for what it does with those before, since its
weights move meanwhile. Else threads take whatever comes first, and read the next
stretch where nothing is ready: nobody waits for the slowest at every stretch, and a
stretch is read once, whoever hears it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from threading import Condition
from typing import NamedTuple

from models._joint_mixer import Mixer
from models._joint_model import Model
from models._joint_reader import Heard, Reader

Chosen = tuple[int, ...]  # positions of utterances in a stretch


class Share(NamedTuple):
    """Some models hear some utterances of a stretch.

    Attributes:
        models: whose frames are scaled by one factor, and who know as many classes
        chosen: what they hear
        learnt: whether they learn from it, in turn; else they are judged by it, when
            they have learnt everything
    """

    models: Sequence[Model]
    chosen: Chosen
    learnt: bool


class Stretch(NamedTuple):
    """Utterances that are read at a time, and what is done with them."""

    names: Sequence[str]
    shares: Sequence[Share]


Act = Callable[[Mixer, Reader, Heard, Share], None]
Job = Callable[[Mixer], None]


class _Open:
    """A stretch that was read, and what of it is left."""

    def __init__(self, number: int, stretch: Stretch, reader: Reader) -> None:
        self.number, self.reader = number, reader
        self.heard = reader.read(stretch.names)
        self.waiting = list(stretch.shares)
        self.left = len(self.waiting)


class Stream:
    """What is to be done, for threads to take.

    Args:
        stretches: in the order in which models learn from them
        readers: as many stretches are in memory at a time
        act: does a share
    """

    def __init__(
        self, stretches: Iterable[Stretch], readers: Iterable[Reader], act: Act
    ) -> None:
        self._coming = deque(enumerate(one for one in stretches if one.shares))
        self._left = len(self._coming)
        self._open: list[_Open] = []
        self._readers, self._act = list(readers), act
        self._changed, self._stopped = Condition(), False
        # position of a model -> what it learns from, in turn
        self._turns: defaultdict[int, deque[Share]] = defaultdict(deque)
        for _, stretch in self._coming:
            for share in (one for one in stretch.shares if one.learnt):
                for model in share.models:
                    self._turns[model.position].append(share)

    def work(self, mixer: Mixer) -> None:
        """Do what is ready until nothing is left, or another thread fails."""
        while (job := self._next()) is not None:
            try:
                job(mixer)
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """Have all threads end after what they do just now."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _next(self) -> Job | None:
        with self._changed:
            while self._left and not self._stopped:
                if (job := self._ready() or self._unread()) is not None:
                    return job
                self._changed.wait()
        return None

    def _ready(self) -> Job | None:
        for one in self._open:
            for share in one.waiting:
                if all(self._may(model, share) for model in share.models):
                    one.waiting.remove(share)
                    return partial(self._hear, one, share)
        return None

    def _may(self, model: Model, share: Share) -> bool:
        turns = self._turns[model.position]
        return turns[0] is share if share.learnt else not turns

    def _unread(self) -> Job | None:
        if self._coming and self._readers:
            number, stretch = self._coming.popleft()
            return partial(self._read, number, stretch, self._readers.pop())
        return None

    def _read(self, number: int, stretch: Stretch, reader: Reader, _: Mixer) -> None:
        one = _Open(number, stretch, reader)
        with self._changed:
            self._open.append(one)
            self._open.sort(key=lambda other: other.number)
            self._changed.notify_all()

    def _hear(self, one: _Open, share: Share, mixer: Mixer) -> None:
        self._act(mixer, one.reader, one.heard, share)
        with self._changed:
            for model in share.models if share.learnt else ():
                self._turns[model.position].popleft()
            one.left -= 1
            if not one.left:
                self._open.remove(one)
                self._readers.append(one.reader)
                self._left -= 1
            self._changed.notify_all()
