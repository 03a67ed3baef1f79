"""One epoch of many fits, shared out among threads.

Each thread has one thread of torch: products of 200 x 768 x 128 gain little from more.
Many models learn from stretches of utterances as those go by, the small groups in
which they hear the same; one alone has the utterances of each batch shared out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise

import torch
from torch import Tensor

from models._joint_mixer import Mixer
from models._joint_model import Model
from models._joint_network import Gradient
from models._joint_pass import Lesson, learn, logits
from models._joint_reader import Heard, Reader, Run, Source
from models._joint_settings import number
from models._joint_stream import Chosen, Share, Stream, Stretch
from models._threads import single_threads

MIXED = 16  # most models that frames are mixed for at a time
# most: each has memory of its own, and a batch of 32 has two utterances for it
THREADS = 16


class Work:
    """The epochs of all models.

    Args:
        source: of the frames
        n_models: how many they are
        n_threads: that work is shared out among, at most ``THREADS``
        order_seed: of the order of utterances
        dtype: of all numbers
    """

    def __init__(
        self,
        source: Source,
        n_models: int,
        n_threads: int,
        order_seed: int,
        dtype: torch.dtype,
    ) -> None:
        self.source = source
        self.order_seed, self.n_threads = order_seed, min(n_threads, THREADS)
        most = min(n_models, MIXED)
        self._readers = [Reader(source, dtype) for _ in range(self.n_threads)]
        self._mixers = [Mixer(source, most, dtype) for _ in range(self.n_threads)]

    def release(self) -> None:
        """Let go of frames and places to work in; after it nothing can be fitted."""
        self.source.release()
        self._readers.clear()
        self._mixers.clear()

    def epoch(self, epoch: int, models: Sequence[Model]) -> None:
        """Train every model for one epoch, and judge it on its development speakers."""
        began = time.perf_counter()
        order = self._order(epoch, models)
        for model in models:
            model.begin(epoch, order)
        with single_threads(self.n_threads) as pool:
            if len(models) == 1:
                self._alone(models[0], pool)
                order = []
            stretches = self._stretches(models, order)
            stream = Stream(stretches, self._readers, _hear)
            try:
                _wait(pool.submit(stream.work, mixer) for mixer in self._mixers)
            finally:  # who interrupts us does not wait for the end of the epoch
                stream.stop()
        seconds = (time.perf_counter() - began) / len(models)
        for model in models:
            model.end(seconds)

    def _order(self, epoch: int, models: Sequence[Model]) -> list[str]:
        """Sort ids by a hash: taking some out leaves the others in their order."""
        ids = sorted(set().union(*(model.train for model in models)))
        seed = self.order_seed
        return sorted(ids, key=lambda name: number("order", seed, epoch, name))

    def _stretches(
        self, models: Sequence[Model], order: Sequence[str]
    ) -> Iterator[Stretch]:
        """Yield what is learnt from, and then what models are judged by."""
        learning = self._companies(models, lambda m: tuple(map(tuple, m.batches)))
        for some in learning if order else ():
            for together in some[0].batches if self.source.is_kept else (order,):
                for names in self.source.cut(together, self.source.stretch):
                    parts = [model.chosen(names) for model in some]
                    yield Stretch(names, self._shares(some, parts, learnt=True))
        for some in self._companies(models, lambda m: frozenset(m.dev)):
            judged = sorted(set().union(*(model.dev for model in some)))
            for names in self.source.cut(judged, self.source.stretch):
                parts = [model.judged(names) for model in some]
                yield Stretch(names, self._shares(some, parts, learnt=False))

    def _companies(
        self, models: Sequence[Model], hears: Callable[[Model], Hashable]
    ) -> list[list[Model]]:
        """Put models together that have stretches in common.

        All of them, that an utterance be read once. Where it stays once it is read,
        those that hear the same: their stretches have no gaps.
        """
        found: dict[Hashable, list[Model]] = {}
        for model in models:
            key = hears(model) if self.source.is_kept else None
            found.setdefault(key, []).append(model)
        return list(found.values())

    def _shares(
        self,
        models: Sequence[Model],
        parts: Iterable[Iterable[Chosen]],
        learnt: bool,
    ) -> list[Share]:
        """Put models together that hear the same, in the order of what they hear."""
        most = min(MIXED, -(-len(models) // self.n_threads))  # so that no thread idles
        found: dict[Chosen, list[Model]] = {}
        for model, own in zip(models, parts, strict=True):
            for chosen in own:
                found.setdefault(chosen, []).append(model)
        return [
            Share(some, chosen, learnt)
            for chosen in sorted(found)
            for group in grouped(found[chosen])
            for some in cut(group, most)
        ]

    def _alone(self, model: Model, pool: ThreadPoolExecutor) -> None:
        """Share out the utterances of each batch; each thread has its own gradient."""
        gradients, n = model.network.gradients, self.n_threads
        while len(gradients) < n:
            gradients.append(model.network.gradient())
        for batch in model.batches:
            own = [batch[i::n] for i in range(n)]
            parts = zip(self._mixers, self._readers, own, gradients, strict=True)
            _wait(pool.submit(_add_alone, *part, model) for part in parts)
            model.step()


def cut(models: Sequence[Model], most: int) -> list[Sequence[Model]]:
    """Cut models into parts of like size, as few as may be."""
    n = -(-len(models) // most)
    ends = [len(models) * i // n for i in range(n + 1)]
    return [models[a:b] for a, b in pairwise(ends)]


def grouped(models: Iterable[Model]) -> list[list[Model]]:
    """Put models together whose frames are scaled by the same factor.

    And who know equally many classes: they are judged at once.
    """
    groups: dict[tuple[int, int], list[Model]] = {}
    for model in sorted(models, key=lambda m: m.position):
        groups.setdefault((id(model.factor), model.n_classes), []).append(model)
    return list(groups.values())


def _wait(asked: Iterable[Future[None]]) -> None:
    for one in list(asked):
        one.result()


def _hear(mixer: Mixer, reader: Reader, heard: Heard, share: Share) -> None:
    """Let models learn from utterances, or be judged by them."""
    if share.learnt:
        _add(mixer, reader, heard, share)
        for model in share.models:
            model.count(len(share.chosen))
    else:
        _look(mixer, heard, share)


def _add_alone(
    mixer: Mixer, reader: Reader, names: Sequence[str], into: Gradient, model: Model
) -> None:
    """Add utterances of one batch of one model to a gradient."""
    for some in reader.source.cut(names, reader.source.at_once):
        share = Share([model], tuple(range(len(some))), learnt=True)
        _add(mixer, reader, reader.read(some), share, into)


def _add(
    mixer: Mixer,
    reader: Reader,
    heard: Heard,
    share: Share,
    into: Gradient | None = None,
) -> None:
    """Add utterances to the gradients of all that learn from them, or to one."""
    models, runs = share.models, heard.runs(share.chosen)
    names, lengths = _of(heard, share)
    frames, own, z = _mixed(mixer, heard, models, runs)
    gradients = [into or model.network.gradients[0] for model in models]
    targets = torch.stack([model.weighed(names) for model in models])
    targets = targets.to(z.device, non_blocking=True)
    alive = [_alive(reader, model, heard, runs) for model in models]
    networks = [model.network for model in models]
    learn(networks, z, Lesson(lengths, targets, alive, gradients), mixer.hidden)
    if len(frames) == 1:
        return  # one layer weighs 1 whatever its weight
    to_mixtures = mixer.to_mixtures(frames, len(models), own)
    for gradient, one in zip(gradients, to_mixtures, strict=True):
        gradient.of["weights"].add_(one)


def _look(mixer: Mixer, heard: Heard, share: Share) -> None:
    """Let models hear development utterances."""
    names, lengths = _of(heard, share)
    *_, z = _mixed(mixer, heard, share.models, heard.runs(share.chosen))
    networks = [model.network for model in share.models]
    found = logits(networks, z, lengths, mixer.hidden).double().cpu()
    for model, one in zip(share.models, found, strict=True):
        model.look(names, one)


def _of(heard: Heard, share: Share) -> tuple[list[str], list[int]]:
    """Return names and lengths of what is heard."""
    names = [heard.names[i] for i in share.chosen]
    return names, [heard.lengths[i] for i in share.chosen]


def _mixed(
    mixer: Mixer, heard: Heard, models: Sequence[Model], runs: Sequence[Run]
) -> tuple[Tensor, Sequence[Run], Tensor]:
    """Return frames scaled as models need them, runs among them, and the mixed ones."""
    frames, own = mixer.scaled(heard.frames, models[0].factor, runs)
    mixtures = torch.stack([model.network.mixture for model in models])
    return frames, own, mixer.mixed(frames, mixtures, own)


def _alive(
    reader: Reader, model: Model, heard: Heard, runs: Sequence[Run]
) -> list[Tensor]:
    """Return what dropout leaves of each run; nothing where nothing is silenced."""
    if not (threshold := model.task.settings.threshold):
        return []
    drawn = reader.alive(heard, (model.task.seed, model.epoch), threshold)
    return [drawn[:, run.read] for run in runs]
