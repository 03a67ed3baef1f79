"""Where torch heads run, in which precision, and from which seed they draw."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from contracts.errors import RunError

_MALLOC = {-4: 0, -1: -1, -2: 2**29}  # no maps, never trim, grow by half a GiB
_KEPT = 1 / 3  # of the machine's memory: what is held above it goes back


@cache
def keep_pages() -> ctypes.CDLL | None:
    """Let the C library keep the memory that a training step gives back.

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
    """Return kept memory to the system once it is a third of the machine's.

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


@contextmanager
def drawing(seed: int) -> Iterator[None]:
    """Draw from a seed inside, and leave everybody else's draws as they were."""
    with (
        torch.random.fork_rng(),
        torch.backends.cudnn.flags(benchmark=False, deterministic=True),
    ):
        torch.manual_seed(seed)
        yield


def choose(wanted: str) -> torch.device:
    """Say where the network runs; refuse a GPU that is not there."""
    if wanted not in ("auto", "cpu", "cuda"):
        msg = f"unknown device {wanted!r}: expected one of ['auto', 'cpu', 'cuda']"
        raise RunError(msg)
    has = torch.cuda.is_available()
    if wanted == "cuda" and not has:
        msg = "no GPU here: expected one for device 'cuda', got none. Choose device=cpu"
        raise RunError(msg)
    return torch.device("cuda" if has and wanted != "cpu" else "cpu")


def mixed(device: torch.device) -> tuple[torch.autocast, torch.amp.GradScaler]:
    """Return mixed precision and what scales losses for it; a CPU has neither.

    A CPU gains nothing by it, and its numbers are what others are compared with.
    """
    gpu = device.type == "cuda"
    wide = not gpu or torch.cuda.is_bf16_supported()  # exponents as of float32
    casting = torch.autocast(
        device.type, torch.bfloat16 if wide else torch.float16, enabled=gpu
    )
    return casting, torch.amp.GradScaler(device.type, enabled=not wide)
