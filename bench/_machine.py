"""What the benches ran on, and who else was at work on it meanwhile."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

QUIET = 0.05  # cores that others may take in a run that counts as quiet


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Let torch work with so many threads in this process."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def facts(*packages: str) -> dict[str, Any]:
    """Say what this runs on: processor, cores, versions.

    Args:
        packages: whose versions matter
    """
    told: dict[str, Any] = {"processor": _processor(), "cores": cores()}
    told |= {name: metadata.version(name) for name in packages}
    return told | {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "not set")}


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    lines = (line.partition(":") for line in text.splitlines())
    names = [value.strip() for key, _, value in lines if key.strip() == "model name"]
    return names[0] if names else platform.machine()


class Watch:
    """Measures what other processes take while it is entered, from ``/proc``.

    Attributes:
        others: cores that others took on average; None where that is not told
        stolen: cores that the host of a virtual machine took
    """

    def __init__(self) -> None:
        self.others: float | None = None
        self.stolen: float | None = None

    def __enter__(self) -> "Watch":
        """Begin."""
        self._began = time.perf_counter(), _ticks(), _own_ticks()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        start, all_before, own_before = self._began
        all_after, own_after = _ticks(), _own_ticks()
        if all_before is None or all_after is None:
            return
        ticks = (time.perf_counter() - start) * os.sysconf("SC_CLK_TCK")
        busy = all_after[0] - all_before[0] - (own_after - own_before)
        self.others = max(0.0, busy / ticks)
        self.stolen = (all_after[1] - all_before[1]) / ticks

    def facts(self) -> dict[str, Any]:
        """Say whether the machine was quiet."""
        if self.others is None or self.stolen is None:
            return {"other processes": "not known here"}
        quiet = self.others + self.stolen <= QUIET
        return {
            "other processes": f"{self.others:.2f} cores",
            "stolen by the host": f"{self.stolen:.2f} cores",
            "quiet": "yes" if quiet else "no: measure again when others rest",
        }


def _ticks() -> tuple[int, int] | None:
    """Return clock ticks that the cores were busy, and that the host took."""
    try:
        first = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
    except OSError:
        return None
    user, nice, system, _idle, _wait, irq, softirq, stolen = map(
        int, first.split()[1:9]
    )
    return user + nice + system + irq + softirq, stolen


def _own_ticks() -> int:
    """Return clock ticks of this process and all that descend from it."""
    parents: dict[int, int] = {}
    spent: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            behind_name = path.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        pid = int(path.parent.name)
        parents[pid] = int(behind_name[1])
        spent[pid] = sum(map(int, behind_name[11:15]))  # its own, and of the ended
    own = os.getpid()
    return sum(n for pid, n in spent.items() if own in _line(pid, parents))


def _line(pid: int, parents: dict[int, int]) -> set[int]:
    """Return a process and all above it."""
    seen = {pid}
    while (pid := parents.get(pid, 0)) and pid not in seen:
        seen.add(pid)
    return seen
