"""Work shared out among threads, each of which has one of torch's."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch


@contextmanager
def single_threads(n: int) -> Iterator[ThreadPoolExecutor]:
    """Work in so many threads, each of which has one of torch's."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(n) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)
