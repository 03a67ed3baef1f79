"""Memory of this process and of the machine: what is free, what is kept."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from pathlib import Path

_MALLOC = {-4: 0, -1: -1, -2: 2**29}  # no maps, never trim, grow by half a GiB
_KEPT = 1 / 2  # of the machine's memory: what is held above it goes back
_GROUPS = (  # of processes that this one is in: folder, limit, use, pages of files
    (
        "/sys/fs/cgroup",
        "memory.max",
        "memory.current",
        ("inactive_file", "active_file"),
    ),
    (
        "/sys/fs/cgroup/memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        ("total_inactive_file", "total_active_file"),
    ),
)


@cache
def keep_pages() -> ctypes.CDLL | None:
    """Let the C library keep the memory that a step of work gives back.

    A step of VGG takes and returns gigabytes; handed to the system and cleared anew
    each time, that was half of its time. Linux with glibc only; elsewhere nothing
    happens.

    Returns:
        the library, where it took it
    """
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    if not (hasattr(library, "mallopt") and hasattr(library, "malloc_trim")):
        return None
    for option, value in _MALLOC.items():
        library.mallopt(option, value)
    return library


def give_back() -> None:
    """Return kept memory to the system once it is half of the machine's.

    Batches of ever other lengths leave holes that nothing fits into: without this,
    what is kept grows until the process is killed.
    """
    library = keep_pages()
    if library is None:
        return
    page, pages = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_PHYS_PAGES")
    resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    if resident > _KEPT * pages:
        library.malloc_trim(page)


def available() -> int:
    """Return how many bytes can still be taken before something is killed.

    What the machine has to spare, or the group of processes (a container, say) that
    this one belongs to, whichever is less. Where neither is told: all there is.
    """
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    told = Path("/proc/meminfo")
    if told.exists():
        for line in told.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
    for folder, limit, used, files in _GROUPS:
        most = _read(f"{folder}/{limit}")
        if most.isdigit():
            lines = _read(f"{folder}/memory.stat").splitlines()
            shares = dict(line.split() for line in lines)
            kept = sum(int(shares.get(name, 0)) for name in files)  # goes when needed
            taken = int(_read(f"{folder}/{used}") or 0) - kept
            free = min(free, max(0, int(most) - taken))
    return free


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""
