"""One epoch of many fits, shared out among threads.

Each thread goes over the utterances for itself with its share of the models, with one
thread of torch: products of 200 x 768 x 128 gain little from more. Reading twice costs
less than waiting for each other at every utterance.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from models._joint_model import Model
from models._joint_network import Gradient
from models._joint_reader import AT_ONCE, Heard, Reader, Source
from models._joint_settings import number
from models._threads import single_threads

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
        with single_threads(len(self._readers)) as pool:
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
    for names in _at_once(order):
        heard = None
        for span, users in _spans(models, names):
            heard = reader.read(names) if heard is None else heard
            _add_span(reader, users, heard, span)
            for model in users:
                model.count(len(span))


def _spans(
    models: Sequence[Model], names: Sequence[str]
) -> Iterator[tuple[range, list[Model]]]:
    """Yield which neighbours are learnt from at a time and by whom, in their order."""
    found: dict[tuple[int, int], list[Model]] = {}
    for model in models:
        for span in model.spans(names):
            found.setdefault(span, []).append(model)
    for span in sorted(found):
        yield range(*span), found[span]


def _add(reader: Reader, names: Sequence[str], into: Gradient, model: Model) -> None:
    """Add utterances of one batch of one model to a gradient."""
    for some in _at_once(names):
        _add_span(reader, [model], reader.read(some), range(len(some)), into)


def _look(
    reader: Reader, names: Sequence[str], groups: Sequence[Sequence[Model]]
) -> None:
    """Let models hear their development utterances."""
    for name in names:
        heard = None
        for group in groups:
            if users := [model for model in group if name in model.dev]:
                heard = reader.read([name]) if heard is None else heard
                for some, _, z in _mixed(reader, users, heard.frames):
                    for model, own in zip(some, z, strict=True):
                        model.look(name, own, reader.hidden)


def _at_once(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(names), AT_ONCE):
        yield names[at : at + AT_ONCE]


def _mixed(
    reader: Reader, users: Sequence[Model], frames: Tensor
) -> Iterator[tuple[Sequence[Model], Tensor, Tensor]]:
    """Yield some models of one factor, the frames scaled by it, and mixed for each."""
    scaled = reader.scaled(frames, users[0].factor)
    for at in range(0, len(users), MIXED):
        some = users[at : at + MIXED]
        mixtures = torch.stack([model.network.mixture for model in some])
        yield some, scaled, reader.mixed(scaled, mixtures)


def _add_span(
    reader: Reader,
    users: Sequence[Model],
    heard: Heard,
    span: range,
    into: Gradient | None = None,
) -> None:
    """Add neighbours to the gradients of all that learn from them, or to one."""
    own = heard.cut(span)
    for group in grouped(users):
        for some, scaled, mixed in _mixed(reader, group, own.frames):
            gradients = [into or model.network.gradients[0] for model in some]
            for model, z, gradient in zip(some, mixed, gradients, strict=True):
                model.learn(
                    own.names, own.lengths, z, reader.hidden, gradient, reader.drawn
                )
            if len(scaled) == 1:
                continue  # one layer weighs 1 whatever its weight
            to_mixtures = reader.to_mixtures(scaled, len(some))
            for gradient, one in zip(gradients, to_mixtures, strict=True):
                gradient.of["weights"].add_(one)


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
