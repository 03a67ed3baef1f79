"""One epoch of many fits, shared out among threads.

Each thread goes over the utterances for itself with its share of the models, with one
thread of torch: products of 200 x 768 x 128 gain little from more. Reading twice costs
less than waiting for each other at every utterance.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from models._joint_model import Model
from models._joint_network import Gradient
from models._joint_reader import Reader, Source
from models._joint_settings import number

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
        self._readers = [Reader(source, MIXED, dtype) for _ in range(n_threads)]

    def epoch(self, epoch: int, models: Sequence[Model]) -> None:
        """Train every model for one epoch, and judge it on its development speakers."""
        began = time.perf_counter()
        order = self._order(epoch, models)
        for model in models:
            model.begin(epoch, order)
        with _threads(len(self._readers)) as pool:
            if len(models) == 1:
                self._alone(models[0], pool)
            else:
                shares = shared_out(models, len(self._readers))
                _all(pool, _learn, zip(self._readers, shares, strict=False), order)
            ids = sorted(set().union(*(model.dev for model in models)))
            groups = grouped(models)
            _all(pool, _look, zip(self._readers, self._cut(ids), strict=True), groups)
        seconds = (time.perf_counter() - began) / len(models)
        for model in models:
            model.end(seconds)

    def _order(self, epoch: int, models: Sequence[Model]) -> list[str]:
        """Sort ids by a hash: taking some out leaves the others in their order."""
        ids = sorted(set().union(*(model.train for model in models)))
        seed = self.order_seed
        return sorted(ids, key=lambda name: number("order", seed, epoch, name))

    def _cut(self, ids: Sequence[str]) -> list[Sequence[str]]:
        n = len(self._readers)
        return [ids[i::n] for i in range(n)]

    def _alone(self, model: Model, pool: ThreadPoolExecutor) -> None:
        """Share out the utterances of each batch; each thread has its own gradient."""
        gradients = model.network.gradients
        while len(gradients) < len(self._readers):
            gradients.append(model.network.gradient())
        for batch in model.batches:
            parts = zip(self._readers, self._cut(batch), gradients, strict=True)
            _all(pool, _add, parts, model)
            model.step()


def shared_out(models: Sequence[Model], n: int) -> list[list[Model]]:
    """Cut models into shares of like size, those with one factor side by side."""
    along = [model for group in grouped(models) for model in group]
    n = min(n, len(along))
    ends = [len(along) * i // n for i in range(n + 1)]
    return [along[a:b] for a, b in pairwise(ends)]


def grouped(models: Iterable[Model]) -> list[list[Model]]:
    """Put models together whose frames are scaled by the same factor."""
    groups: dict[int, list[Model]] = {}
    for model in sorted(models, key=lambda m: m.position):
        groups.setdefault(id(model.factor), []).append(model)
    return list(groups.values())


def _learn(reader: Reader, models: Sequence[Model], order: Sequence[str]) -> None:
    """Train models for one epoch."""
    groups = grouped(models)
    for name in order:
        for users, frames in _read(reader, groups, name, "train"):
            _add_one(
                reader, users, frames, name, [m.network.gradients[0] for m in users]
            )
            for model in users:
                model.count()


def _add(reader: Reader, names: Sequence[str], into: Gradient, model: Model) -> None:
    """Add utterances of one batch of one model to a gradient."""
    for name in names:
        for users, frames in _read(reader, [[model]], name, "train"):
            _add_one(reader, users, frames, name, [into])


def _look(
    reader: Reader, names: Sequence[str], groups: Sequence[Sequence[Model]]
) -> None:
    """Let models hear their development utterances."""
    for name in names:
        for users, frames in _read(reader, groups, name, "dev"):
            for model, z in zip(users, _mixed(reader, users, frames), strict=True):
                model.look(name, z, reader.hidden)


def _read(
    reader: Reader, groups: Sequence[Sequence[Model]], name: str, part: str
) -> Iterator[tuple[list[Model], Tensor]]:
    """Yield models that have an utterance in a part, with their scaled frames."""
    frames = None
    for group in groups:
        users = [model for model in group if name in getattr(model, part)]
        if not users:
            continue
        frames = reader.read(name) if frames is None else frames
        scaled = reader.scaled(frames, users[0].factor)
        for at in range(0, len(users), MIXED):
            yield users[at : at + MIXED], scaled


def _mixed(reader: Reader, users: Sequence[Model], frames: Tensor) -> Tensor:
    return reader.mixed(frames, torch.stack([m.network.mixture for m in users]))


def _add_one(
    reader: Reader,
    users: Sequence[Model],
    frames: Tensor,
    name: str,
    into: Sequence[Gradient],
) -> None:
    """Add one utterance to the gradients of all that learn from it."""
    mixed = _mixed(reader, users, frames)
    for model, z, gradient in zip(users, mixed, into, strict=True):
        model.learn(name, z, reader.hidden, gradient)
    if len(frames) == 1:
        return  # one layer weighs 1 whatever its weight
    to_mixtures = torch.mm(frames.flatten(1), mixed.flatten(1).t())
    for gradient, column in zip(into, to_mixtures.unbind(dim=1), strict=True):
        gradient.of["weights"].add_(column)


def _all(
    pool: ThreadPoolExecutor,
    call: Callable[..., None],
    parts: Iterable[tuple[Any, ...]],
    *more: Any,
) -> None:
    """Call once for each part, in a thread of its own; wait for all."""
    asked = [pool.submit(call, *part, *more) for part in parts]
    for one in asked:
        one.result()


@contextmanager
def _threads(n: int) -> Iterator[ThreadPoolExecutor]:
    """Work in so many threads, each of which has one of torch's."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(n) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)
