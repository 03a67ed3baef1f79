"""Processes that make shards side by side, and outlive the death of one of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import connection

from contracts.cache import FeatureStore
from contracts.errors import ExtractionError
from extract._work import Done, Task, work

_CONTEXT = multiprocessing.get_context("forkserver")
_PRELOADED = ("extract._work", "transformers", "torch")


def run(tasks: Sequence[Task], n: int, told: Callable[[Task, Done], None]) -> None:
    """Make shards in ``n`` processes.

    A shard on which a process dies is made again in a process of its own; if that
    dies too, it is halved, until the utterance is found that kills it: this one is
    recorded as failed, and the rest is there.

    Args:
        tasks: the shards
        n: processes
        told: called in this process with each shard that is done
    """
    waiting = list(tasks)
    while waiting:
        suspects, waiting = _round(waiting, n, told)
        for task in suspects:
            told(task, _alone(task))


def _round(
    waiting: Sequence[Task], n: int, told: Callable[[Task, Done], None]
) -> tuple[list[Task], list[Task]]:
    """Make shards until all are done or a process dies.

    Returns:
        shards that may have killed it, and those that nobody has touched
    """
    left = list(waiting)
    running: dict[Future[Done], Task] = {}
    is_broken = False
    with _pool(n) as pool:
        while left or running:
            try:
                while left and len(running) < n + 1:  # one lies ready
                    running[pool.submit(work, left[0])] = left[0]
                    del left[0]
            except BrokenProcessPool:
                is_broken = True
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    result = future.result()
                except BrokenProcessPool:
                    is_broken = True
                else:
                    told(running.pop(future), result)
            if is_broken:
                wait(running)
                return list(running.values()), left
    return [], []


def _alone(task: Task) -> Done:
    """Make one shard in a process of its own; find what kills it."""
    try:
        with _pool(1) as pool:
            return pool.submit(work, task).result()
    except BrokenProcessPool:
        pass
    if len(task.items) == 1:
        [item] = task.items
        why = (
            f"the process that worked on it died, twice: {item.duration:.1f} s of "
            "audio may be too much for the memory there is"
        )
        FeatureStore(task.folder).commit({}, {item.key: why}, "cpu")
        return Done({item.key: why})
    middle = len(task.items) // 2
    halves = task.items[:middle], task.items[middle:]
    parts = [_alone(replace(task, items=half)) for half in halves]
    return Done({k: why for part in parts for k, why in part.failed.items()})


@contextmanager
def _pool(n: int) -> Iterator[ProcessPoolExecutor]:
    """Start processes that end at once when this one does, or is interrupted."""
    _CONTEXT.set_forkserver_preload(list(_PRELOADED))
    reader, writer = _CONTEXT.Pipe(duplex=False)
    pool = ProcessPoolExecutor(n, _CONTEXT, _begin, (reader,))
    try:
        _expect_a_start(pool)
        yield pool
    except BaseException:
        writer.close()  # whoever still works on something stops
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    else:
        pool.shutdown()
    finally:
        writer.close()
        reader.close()


def _expect_a_start(pool: ProcessPoolExecutor) -> None:
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        msg = (
            "worker processes cannot be started here: expected one, it died. Run the "
            "same command with --workers 1"
        )
        raise ExtractionError(msg) from error


def _begin(reader: connection.Connection) -> None:
    """Make a process ready to work."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process is told
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    ends = [reader, *([parent.sentinel] if parent else [])]
    threading.Thread(target=_end_with, args=(ends,), daemon=True).start()


def _end_with(ends: list[connection.Connection | int]) -> None:
    connection.wait(ends)
    os._exit(1)
