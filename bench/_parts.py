"""Time that parts of running code take, without a line of it being changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any


class Parts:
    """Seconds by part; what a part takes inside another counts for itself alone.

    Args:
        clock: seconds, of whatever kind
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.seconds: dict[str, float] = {}
        self._inside: list[str] = []
        self._last = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what happens inside for a part."""
        self._count()
        self._inside.append(name)
        try:
            yield
        finally:
            self._count()
            self._inside.pop()

    def _count(self) -> None:
        now = self.clock()
        if self._inside:
            name = self._inside[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now

    @contextmanager
    def calls(self, *watched: tuple[Any, str, str]) -> Iterator[None]:
        """Count calls for parts while this is entered.

        Args:
            watched: owner (a class or a module), its function's name, the part's name
        """
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in watched]
        for owner, name, part in watched:
            setattr(owner, name, self._counted(getattr(owner, name), part))
        try:
            yield
        finally:
            for owner, name, call in before:
                setattr(owner, name, call)

    def _counted(self, call: Callable[..., Any], part: str) -> Callable[..., Any]:
        @wraps(call)
        def counted(*args: Any, **more: Any) -> Any:
            with self.part(part):
                return call(*args, **more)

        return counted
