"""Run extractors over a manifest and commit what they give, shard by shard.

Where shards are made: in this process, decoding ahead of the computation and writing
behind it; or in worker processes, one for each core, each of which hears, computes and
commits shards of its own. A GPU is fed by this process, while workers make what needs
none. All do the same work and commit through the same door.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TypeVar

import joblib
import pandas as pd

from contracts import memory
from contracts.cache import Cache
from contracts.extraction import Extractor, bytes_held, bytes_needed
from contracts.feature import FeatureSpec
from contracts.terminal import progress
from extract import _plan, _probe, _work, _workers
from extract._listening import listen
from extract._plan import Item
from extract._work import Done, Recipe, Task

POOL_PAYS = 30.0  # seconds of work from which on starting processes is worth it
_AHEAD = 3  # shards decoded ahead of the one that is computed
_USABLE = 0.8  # of the memory that is free
_WORKER_BYTES = 1.5e9  # libraries, buffers and a shard that waits to be written
_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True)
class Outcome:
    """What became of one feature.

    Attributes:
        spec: the feature
        n_new: utterances computed now
        n_before: utterances that were there already
        failed: id -> why there are no numbers
    """

    spec: FeatureSpec
    n_new: int
    n_before: int
    failed: Mapping[str, str] = field(default_factory=dict)


class Job:
    """One feature to be made for the utterances of a manifest that lack it.

    Args:
        cache: under whose lock this runs
        extractor: the feature
        rows: manifest rows
        recipe: how another process makes it ready; None: only this one can
    """

    def __init__(
        self,
        cache: Cache,
        extractor: Extractor,
        rows: pd.DataFrame,
        recipe: Recipe | None = None,
    ) -> None:
        self.extractor, self.recipe = extractor, recipe
        self.spec = extractor.spec
        self.todo = _plan.missing(cache, self.spec, rows)
        self.n_before = len(_plan.items(rows)) - len(self.todo)
        self.failed: dict[str, str] = {}  # waveform hash -> why

    @property
    def seconds(self) -> float:
        """Seconds of audio to be done."""
        return sum(item.duration for item in self.todo)

    @property
    def can_be_shared(self) -> bool:
        """Whether worker processes can do it."""
        if self.recipe is None or self.extractor.device != "cpu":
            return False
        # what is reduced is compared with float32, which one process tells of
        return self.recipe.options.precision == "float32"

    def enter(self, items: Sequence[Item], failed: Mapping[str, str]) -> None:
        """Note that a shard is done, and move the bar."""
        self.failed |= failed
        self.advance(sum(item.duration for item in items), f"{len(self.failed)} failed")

    def outcome(self) -> Outcome:
        """Sum up."""
        names = {item.key: item.id for item in self.todo}
        failed = {names[key]: why for key, why in self.failed.items()}
        return Outcome(self.spec, len(self.todo) - len(failed), self.n_before, failed)

    def begin(self, cache: Cache, bars: ExitStack) -> None:
        """Open its folder and its bar."""
        self.store = cache.store(self.spec)
        bar = progress(self.spec.name, round(self.seconds), "s of audio")
        self.advance = bars.enter_context(bar)


def run(cache: Cache, extractor: Extractor, rows: pd.DataFrame) -> Outcome:
    """Compute one feature in this process for the utterances that lack it.

    Returns:
        what became of it; utterances that failed are recorded in the cache too
    """
    return run_all(cache, [Job(cache, extractor, rows)], 1)[0]


def run_all(
    cache: Cache, jobs: Sequence[Job], workers: int | None = None
) -> list[Outcome]:
    """Compute features, side by side where there are processes for it.

    Args:
        cache: under whose lock this runs
        jobs: the features
        workers: processes; None: as many as there are cores, if that pays

    Returns:
        what became of each; utterances that failed are recorded in the cache too
    """
    free = free_memory()
    stop = threading.Event()
    with ExitStack() as bars, ThreadPoolExecutor(1) as beside:
        for job in jobs:
            job.begin(cache, bars)
        plans = {id(job): _record_too_large(job, free) for job in jobs}
        n = choose_workers([(job, plans[id(job)]) for job in jobs], workers)
        shared = [job for job in jobs if n > 1 and job.can_be_shared]
        fed = [job for job in jobs if job.extractor.device != "cpu"]
        feeding = [beside.submit(_run_here, j, plans[id(j)], stop) for j in fed]
        try:
            large = _run_apart(shared, plans, n, free)
            for job in jobs:
                if job not in fed:
                    left = large[id(job)] if job in shared else plans[id(job)]
                    _run_here(job, left, stop)
            for each in feeding:
                each.result()
        except BaseException:
            stop.set()  # what is begun is finished and kept
            raise
    cache.__dict__.pop("stores", None)
    return [job.outcome() for job in jobs]


def free_memory() -> float:
    """Return how many bytes an extraction may take."""
    return _USABLE * memory.available()


def choose_workers(
    plans: Sequence[tuple[Job, Sequence[Item]]],
    wanted: int | None,
    took: float | None = None,
) -> int:
    """Decide how many processes work: as many as asked for, if memory has room.

    Asked for none in particular: one for each core, where the work is long enough to
    make up for starting them, which a trial of each feature tells.

    Args:
        plans: jobs, and what of each fits into memory
        wanted: number of processes, if any is asked for
        took: seconds that one process would need, where that is known
    """
    shared = [(job, todo) for job, todo in plans if job.can_be_shared and todo]
    n = wanted or joblib.cpu_count()  # knows affinities and the quotas of containers
    n_shards = sum(len(list(_plan.shards(job.spec, todo))) for job, todo in shared)
    if min(n, n_shards) < 2:
        return 1
    if wanted is None and (_seconds(shared) if took is None else took) < POOL_PAYS:
        return 1
    each = _WORKER_BYTES + 2 * sum(bytes_held(job.extractor) for job, _ in shared)
    return max(1, min(n, int(free_memory() / each)))


def _seconds(plans: Sequence[tuple[Job, Sequence[Item]]]) -> float:
    """Estimate how long one process needs; tried only where there is much audio."""
    audio = [sum(item.duration for item in todo) for _, todo in plans]
    if sum(audio) < POOL_PAYS:  # nothing is slower than audio
        return 0.0
    return sum(
        seconds / _probe.audio_per_second(job.extractor, todo)
        for seconds, (job, todo) in zip(audio, plans, strict=True)
    )


def fitting(job: Job, free: float) -> tuple[list[Item], dict[str, str]]:
    """Return what fits into so much memory, and why the rest does not, by its keys."""
    fits, failed = [], {}
    for item in job.todo:
        need = bytes_needed(job.extractor, item.duration)
        if need <= free:
            fits.append(item)
        else:
            failed[item.key] = _work.too_large(item.duration, need, free)
    return fits, failed


def _record_too_large(job: Job, free: float) -> list[Item]:
    """Record utterances that cannot fit into memory as failed; return the others."""
    fits, failed = fitting(job, free)
    if failed:
        job.store.commit({}, failed, job.extractor.device)
        job.enter([item for item in job.todo if item.key in failed], failed)
    return fits


def _run_apart(
    jobs: Sequence[Job], plans: Mapping[int, Sequence[Item]], n: int, free: float
) -> dict[int, list[Item]]:
    """Make shards in worker processes; return what is too large to share memory."""
    tasks: list[Task] = []
    large: dict[int, list[Item]] = {}
    by_folder = {job.store.folder: job for job in jobs}
    for job in jobs:
        share = free / n
        needs = [bytes_needed(job.extractor, i.duration) for i in plans[id(job)]]
        told = list(zip(plans[id(job)], needs, strict=True))
        large[id(job)] = [item for item, need in told if need > share]
        todo = [item for item, need in told if need <= share]
        if job.recipe is not None:
            shards = _plan.shards(job.spec, todo)
            tasks += [Task(job.recipe, job.store.folder, tuple(s)) for s in shards]

    def enter(task: Task, done: Done) -> None:
        by_folder[task.folder].enter(task.items, done.failed)

    if tasks:
        _workers.run(tasks, min(n, len(tasks)), enter)
    return large


def _run_here(job: Job, todo: Sequence[Item], stop: threading.Event) -> None:
    """Make shards in this process: decode ahead and, for a GPU, write behind.

    On a CPU, a shard is written before the next one is computed: a GPU would wait.
    """
    plan = list(_plan.shards(job.spec, todo))
    device = job.extractor.device
    with ThreadPoolExecutor(_AHEAD) as hearing, ThreadPoolExecutor(1) as writing:
        written: Future[None] | None = None
        for shard, heard in zip(plan, _ahead(hearing, listen, plan), strict=True):
            blocks, failed = _work.compute(job.extractor, shard, heard)
            if written is not None:
                written.result()
            written = writing.submit(job.store.commit, blocks, failed, device)
            if device == "cpu":
                written.result()
            job.enter(shard, failed)
            if stop.is_set():
                break
        if written is not None:
            written.result()


def _ahead(
    pool: Executor, call: Callable[[_In], _Out], things: Iterable[_In]
) -> Iterator[_Out]:
    """Call in order, some calls ahead of what is taken."""
    running: deque[Future[_Out]] = deque()
    for thing in things:
        running.append(pool.submit(call, thing))
        if len(running) > _AHEAD:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()
