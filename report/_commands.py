"""The commands that make what a page shows again."""

from collections.abc import Iterable

from contracts.run import Run


def commands_of(runs: Iterable[Run]) -> list[str]:
    """Return what fitted some runs, each command once, in order."""
    return list(dict.fromkeys(str(run.record["command"]) for run in runs))
