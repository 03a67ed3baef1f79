"""Where torch heads run, in which precision, and from which seed they draw."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from contracts.errors import RunError


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
    if not has or wanted == "cpu":
        return torch.device("cpu")
    # other threads have a current GPU of their own
    return torch.device("cuda", torch.cuda.current_device())


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
