"""One epoch of many fits, shared out among threads.

Each thread goes over the utterances for itself with its share of the models, with one
thread of torch: products of 200 x 768 x 128 gain little from more. Reading twice costs
less than waiting for each other at every utterance.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from itertools import pairwise
from queue import SimpleQueue
from typing import Any

import torch
from torch import Tensor

from models._joint_model import Model
from models._joint_network import Gradient
from models._joint_pass import Lesson, learn, logits
from models._joint_reader import AT_ONCE, Heard, Reader, Run, Source
from models._joint_settings import number
from models._threads import single_threads

Chosen = tuple[int, ...]  # positions among those that are read at a time
MIXED = 16  # models that frames are mixed for at a time: 13 of 25 on two cores


class Work:
    """The epochs of all models.

    Args:
        source: of the frames
        n_threads: that work is shared out among
        order_seed: of the order of utterances
        dtype: of all numbers
    """

    def __init__(
        self, source: Source, n_threads: int, order_seed: int, dtype: torch.dtype
    ) -> None:
        self.order_seed = order_seed
        self.n_threads = n_threads
        self._readers: SimpleQueue[Reader] = SimpleQueue()
        for _ in range(n_threads):
            self._readers.put(Reader(source, MIXED, dtype))

    def epoch(self, epoch: int, models: Sequence[Model]) -> None:
        """Train every model for one epoch, and judge it on its development speakers."""
        began = time.perf_counter()
        order = self._order(epoch, models)
        for model in models:
            model.begin(epoch, order)
        with single_threads(self.n_threads) as pool:
            if len(models) == 1:
                self._alone(models[0], pool)
                self._wait(self._looks(models, pool))
            else:
                self._together(models, order, pool)
        seconds = (time.perf_counter() - began) / len(models)
        for model in models:
            model.end(seconds)

    def _order(self, epoch: int, models: Sequence[Model]) -> list[str]:
        """Sort ids by a hash: taking some out leaves the others in their order."""
        ids = sorted(set().union(*(model.train for model in models)))
        seed = self.order_seed
        return sorted(ids, key=lambda name: number("order", seed, epoch, name))

    def _cut(self, ids: Sequence[str]) -> list[Sequence[str]]:
        return [ids[i :: self.n_threads] for i in range(self.n_threads)]

    def _alone(self, model: Model, pool: ThreadPoolExecutor) -> None:
        """Share out the utterances of each batch; each thread has its own gradient."""
        gradients = model.network.gradients
        while len(gradients) < self.n_threads:
            gradients.append(model.network.gradient())
        for batch in model.batches:
            parts = zip(self._cut(batch), gradients, strict=True)
            self._wait(self._ask(pool, _add_alone, *part, model) for part in parts)
            model.step()

    def _together(
        self, models: Sequence[Model], order: Sequence[str], pool: ThreadPoolExecutor
    ) -> None:
        """Share out the models; who has trained its share helps to judge others."""
        shares = shared_out(models, self.n_threads)
        trained = {self._ask(pool, _learn, share, order): share for share in shares}
        looks: list[Future[None]] = []
        for share in as_completed(trained):
            share.result()
            looks += self._looks(trained[share], pool)
        self._wait(looks)

    def _looks(
        self, models: Sequence[Model], pool: ThreadPoolExecutor
    ) -> list[Future[None]]:
        """Have models hear their development utterances, which are shared out."""
        ids = sorted(set().union(*(model.dev for model in models)))
        return [self._ask(pool, _look, names, models) for names in self._cut(ids)]

    def _ask(
        self, pool: ThreadPoolExecutor, call: Callable[..., None], *parts: Any
    ) -> Future[None]:
        """Call in a thread with a reader that nobody else has meanwhile."""

        def work() -> None:
            reader = self._readers.get()
            try:
                call(reader, *parts)
            finally:
                self._readers.put(reader)

        return pool.submit(work)

    @staticmethod
    def _wait(asked: Iterable[Future[None]]) -> None:
        for one in list(asked):
            one.result()


def shared_out(models: Sequence[Model], n: int) -> list[list[Model]]:
    """Cut models into shares of like size, those with one factor side by side."""
    along = [model for group in grouped(models) for model in group]
    n = min(n, len(along))
    ends = [len(along) * i // n for i in range(n + 1)]
    return [along[a:b] for a, b in pairwise(ends)]


def grouped(models: Iterable[Model]) -> list[list[Model]]:
    """Put models together whose frames are scaled by the same factor.

    And who know equally many classes: they are judged at once.
    """
    groups: dict[tuple[int, int], list[Model]] = {}
    for model in sorted(models, key=lambda m: m.position):
        groups.setdefault((id(model.factor), model.n_classes), []).append(model)
    return list(groups.values())


def _learn(reader: Reader, models: Sequence[Model], order: Sequence[str]) -> None:
    """Train models for one epoch."""
    for names in _at_once(order):
        heard = None
        for chosen, users in _shared((m, m.chosen(names)) for m in models):
            heard = reader.read(names) if heard is None else heard
            _add(reader, users, heard, chosen)
            for model in users:
                model.count(len(chosen))


def _add_alone(
    reader: Reader, names: Sequence[str], into: Gradient, model: Model
) -> None:
    """Add utterances of one batch of one model to a gradient."""
    for some in _at_once(names):
        _add(reader, [model], reader.read(some), range(len(some)), into)


def _look(reader: Reader, names: Sequence[str], models: Sequence[Model]) -> None:
    """Let models hear their development utterances."""
    for some in _at_once(names):
        heard = None
        for chosen, users in _shared((m, m.judged(some)) for m in models):
            heard = reader.read(some) if heard is None else heard
            own = [some[i] for i in chosen]
            lengths = [heard.lengths[i] for i in chosen]
            for few, _, z in _mixed(reader, users, heard.frames, heard.runs(chosen)):
                networks = [model.network for model in few]
                found = logits(networks, z, lengths, reader.hidden)
                for model, one in zip(few, found, strict=True):
                    model.look(own, one)


def _at_once(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(names), AT_ONCE):
        yield names[at : at + AT_ONCE]


def _shared(
    asked: Iterable[tuple[Model, Iterable[Chosen]]],
) -> list[tuple[Chosen, list[Model]]]:
    """Return which positions are heard at a time and by whom, in their order."""
    found: dict[Chosen, list[Model]] = {}
    for model, parts in asked:
        for chosen in parts:
            found.setdefault(chosen, []).append(model)
    return sorted(found.items(), key=lambda item: item[0])


def _mixed(
    reader: Reader, users: Sequence[Model], frames: Tensor, runs: Sequence[Run]
) -> Iterator[tuple[Sequence[Model], Tensor, Tensor]]:
    """Yield some models of one factor, the frames scaled by it, and mixed for each."""
    for group in grouped(users):
        scaled = reader.scaled(frames, group[0].factor)
        for at in range(0, len(group), MIXED):
            some = group[at : at + MIXED]
            mixtures = torch.stack([model.network.mixture for model in some])
            yield some, scaled, reader.mixed(scaled, mixtures, runs)


def _add(
    reader: Reader,
    users: Sequence[Model],
    heard: Heard,
    chosen: Sequence[int],
    into: Gradient | None = None,
) -> None:
    """Add utterances to the gradients of all that learn from them, or to one."""
    runs = heard.runs(chosen)
    names = [heard.names[i] for i in chosen]
    lengths = [heard.lengths[i] for i in chosen]
    for some, scaled, z in _mixed(reader, users, heard.frames, runs):
        gradients = [into or model.network.gradients[0] for model in some]
        targets = torch.stack([model.weighed(names) for model in some])
        alive = [_alive(reader, model, heard, runs) for model in some]
        networks = [model.network for model in some]
        lesson = Lesson(lengths, targets, alive, gradients)
        learn(networks, z, lesson, reader.hidden)
        if len(scaled) == 1:
            continue  # one layer weighs 1 whatever its weight
        to_mixtures = reader.to_mixtures(scaled, len(some), runs)
        for gradient, one in zip(gradients, to_mixtures, strict=True):
            gradient.of["weights"].add_(one)


def _alive(
    reader: Reader, model: Model, heard: Heard, runs: Sequence[Run]
) -> list[Tensor]:
    """Return what dropout leaves of each run; nothing where nothing is silenced."""
    if not (threshold := model.task.settings.threshold):
        return []
    drawn = reader.alive(heard, (model.task.seed, model.epoch), threshold)
    return [drawn[:, run.read] for run in runs]
