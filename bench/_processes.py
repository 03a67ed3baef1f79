"""The processes that extraction works in, one for each core, kept over the rounds."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from extract import _workers


@contextmanager
def workers(n: int, ready: Callable[..., int], *told: Any) -> Iterator["Workers"]:
    """Start processes with one thread each, and make every one of them ready.

    Args:
        n: how many
        ready: called in them until each one has answered with its number
        told: to ``ready``
    """
    with _workers._pool(n) as pool:
        seen: set[int] = set()
        while len(seen) < n:
            asked = [pool.submit(ready, *told) for _ in range(n)]
            seen |= {one.result() for one in asked}
        yield Workers(pool, n)


class Workers:
    """Processes at work."""

    def __init__(self, pool: ProcessPoolExecutor, n: int) -> None:
        self.pool = pool
        self.n = n

    def each(self, call: Callable[..., Any], *told: Any) -> list[Any]:
        """Call once in each process with its position; wait for all."""
        asked: list[Future[Any]] = [
            self.pool.submit(call, i, *told) for i in range(self.n)
        ]
        return [one.result() for one in asked]

    def map(self, call: Callable[[Any], Any], things: list[Any]) -> list[Any]:
        """Call for each thing, in whichever process is free; wait for all."""
        return list(self.pool.map(call, things))
