"""A GPU that is none: its tensors are told apart from the CPU's, its numbers are real.

What is computed there is computed on the CPU. As on a GPU, an operation refuses tensors
of both places, but for single numbers and for copies from one to the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import optimizer as adam
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from contracts.view import View
from models import (
    _frames,
    _joint_reader,
    _joint_work,
    _network,
    _together,
    _training,
)
from models._resident import Resident

GPU = torch.device("meta")  # the only one that is not the CPU and is always there
CPU = torch.device("cpu")


class There(Tensor):
    """A tensor that says it is on a GPU.

    Attributes:
        numbers: what it holds, on the CPU
    """

    numbers: Tensor

    @staticmethod
    def __new__(cls, numbers: Tensor) -> There:
        """Say that numbers are there."""
        made = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            numbers.size(),
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            device=GPU,
        )
        made.numbers = numbers
        return made  # type: ignore[no-any-return]

    def tolist(self) -> Any:
        """Fetch all numbers, which torch does in a way of its own."""
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Do something with tensors that are there."""
        return _do(func, args, kwargs or {})


class Pretended(TorchDispatchMode):
    """Tensors can be made on the GPU that is none.

    Attributes:
        fetched: how often numbers went from there to the CPU, which a program waits
            for, by operation
        sent: how many numbers went there from the CPU
    """

    def __init__(self) -> None:
        super().__init__()
        self.fetched: Counter[str] = Counter()
        self.sent = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Do something with any tensors, or make some."""
        out = _do(func, args, kwargs or {})
        fetches = str(func) in _FETCHES and isinstance(args[0], There)
        if fetches and not isinstance(out, There):
            self.fetched[str(func)] += 1
        given = args[_SENDS[str(func)]] if str(func) in _SENDS else None
        if isinstance(out, There) and type(given) is Tensor:
            self.sent += given.numel()
        return out


def count_reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return what counts, from now on, how often each utterance's frames are read."""
    read: Counter[str] = Counter()
    frames = View.frames

    def counted(self: View, feature: str, row: int, *rest: Any) -> Any:
        read[str(self.ids[row])] += 1
        return frames(self, feature, row, *rest)

    monkeypatch.setattr(View, "frames", counted)
    return read


class Here(Executor):
    """Work is done by who asks for it: what is pretended is so in one thread only."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Do it now."""
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretended]:
    """Have a GPU that holds all frames, for whoever asks for no CPU."""

    @contextmanager
    def single_threads(n: int) -> Iterator[Executor]:
        with Here() if n == 1 else threads(n) as pool:
            yield pool

    def resident(n_bytes: int, device: torch.device) -> Resident | None:
        return Resident(device) if device == GPU else None

    threads, mixed = _joint_work.single_threads, _training.mixed
    monkeypatch.setattr(_joint_work, "single_threads", single_threads)
    monkeypatch.setattr(_training, "mixed", lambda _: mixed(CPU))
    for module in (_frames, _joint_reader):
        monkeypatch.setattr(module, "resident", resident)
    for module in (_frames, _network, _together, _training):
        wanted = {"auto": GPU, "cuda": GPU, "cpu": CPU}
        monkeypatch.setattr(module, "choose", wanted.__getitem__)
    places = [GPU.type, CPU.type]
    monkeypatch.setattr(adam, "_get_fused_kernels_supported_devices", lambda: places)
    with Pretended() as mode:
        yield mode


# sequences are packed by lengths on the CPU, and come with such
_PACK = "aten._pack_padded_sequence.default", "aten._pad_packed_sequence.default"
_MIXED = "aten.copy_.default", "aten.lstm.data", *_PACK
_FETCHES = "aten._to_copy.default", "aten._local_scalar_dense.default"
_SENDS = {"aten._to_copy.default": 0, "aten.copy_.default": 1}  # which is sent


def _do(func: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Do on the CPU what is asked of either place; say where the outcome is."""
    parts = tree_flatten((args, kwargs))[0]
    tensors = [one for one in parts if isinstance(one, Tensor)]
    there = any(isinstance(one, There) for one in tensors)
    written = {id(one) for one in _written(func, args, kwargs)}
    strangers = [
        one.shape
        for one in tensors
        if not isinstance(one, There)
        and (one.ndim or id(one) in written or torch.Tag.pointwise not in func.tags)
    ]
    if there and strangers and str(func) not in _MIXED:
        msg = f"{func} of tensors in two places: {strangers} are on the CPU"
        raise AssertionError(msg)
    wanted = [one for one in parts if isinstance(one, torch.device)]
    if wanted:
        there = wanted[0].type == GPU.type
    if there and torch.Tag.inplace_view in func.tags:
        with no_dispatch():
            func(*args, **kwargs)  # what is there takes its new shape, too
    given = {id(_numbers(one)): one for one in tensors}  # and may be given back
    args, kwargs = tree_map(_numbers, (args, kwargs))
    out = func(*args, **kwargs)
    if there and str(func) in _PACK:
        return There(out[0]), out[1]

    def placed(one: Any) -> Any:
        known = given.get(id(one), one)
        if wanted and not there:
            return one
        moved = there and not isinstance(known, There) and (wanted or known is one)
        return There(one) if moved else known

    return tree_map(lambda one: placed(one) if isinstance(one, Tensor) else one, out)


def _written(
    func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Iterator[Any]:
    """Yield what an operation writes to."""
    told = func._schema.arguments  # type: ignore[attr-defined]
    for i, one in enumerate(told):
        if one.alias_info is not None and one.alias_info.is_write:
            yield args[i] if i < len(args) else kwargs.get(one.name)


def _numbers(one: Any) -> Any:
    if isinstance(one, torch.device):
        return CPU
    return one.numbers if isinstance(one, There) else one
