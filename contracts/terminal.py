"""What a person sees in a terminal: lines, tables and one kind of progress bar."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress, Task
    from rich.text import Text


class Advance(Protocol):
    """Tell a bar that more is done."""

    def __call__(self, amount: float = 1.0, note: str = "") -> None:
        """Advance by ``amount`` units; ``note`` replaces the words behind the bar."""


def say(line: str = "") -> None:
    """Print one line to standard output."""
    print(line, flush=True)  # noqa: T201 - the one place that prints


def warn(line: str) -> None:
    """Print one line to standard error."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - the one place that prints


def count(n: int, noun: str) -> str:
    """Write a number with its noun, such as ``1 fold`` or ``1,440 utterances``."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lay out a table in plain text, numbers to the right."""
    cells = [[str(c) for c in row] for row in [heads, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    right = [
        all(re.fullmatch(r"-?[\d.]*%?", row[i]) for row in cells[1:])
        for i in range(len(heads))
    ]
    lines = [
        "  ".join(
            c.rjust(w) if r else c.ljust(w)
            for c, w, r in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]
    return "\n".join(
        [lines[0], "  ".join("-" * w for w in widths).rstrip(), *lines[1:]]
    )


@contextmanager
def progress(title: str, total: float, unit: str) -> Iterator[Advance]:
    """Show a bar with throughput and time left on standard error.

    Silent when standard error is no terminal. A bar inside another stands below it.

    Args:
        title: what is going on
        total: how many units there are
        unit: name of a unit, such as ``utterances`` or ``s of audio``

    Yields:
        a function that advances the bar
    """
    if not sys.stderr.isatty():
        yield lambda amount=1.0, note="": None
        return
    outermost = not _LIVE
    bars = _bars() if outermost else _LIVE[0]
    if outermost:
        _LIVE.append(bars)
        bars.start()
    task = bars.add_task(title, total=total, note="", unit=unit)

    def advance(amount: float = 1.0, note: str = "") -> None:
        bars.update(task, advance=amount, note=note)

    try:
        yield advance
    finally:
        if outermost:
            _LIVE.clear()
            bars.stop()
        else:
            bars.remove_task(task)


_LIVE: list[Progress] = []  # a terminal has one live display


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Units per second."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed or 0:.1f} {task.fields['unit']}/s")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
    )
