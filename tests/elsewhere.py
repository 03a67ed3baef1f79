"""A GPU that is none: its tensors are told apart from the CPU's, its numbers are real.

What is computed there is computed on the CPU. As on a GPU, an operation refuses tensors
of both places, but for single numbers and for copies from one to the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import optimizer as adam
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

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
    """

    def __init__(self) -> None:
        super().__init__()
        self.fetched: Counter[str] = Counter()

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
        return out


@contextmanager
def pretended() -> Iterator[Pretended]:
    """Have a GPU for a while, in this thread."""
    places = [GPU.type, CPU.type]
    with pytest.MonkeyPatch.context() as patch, Pretended() as mode:
        patch.setattr(adam, "_get_fused_kernels_supported_devices", lambda: places)
        yield mode


_MOVES = "aten._to_copy.default", "aten.copy_.default"
_FETCHES = "aten._to_copy.default", "aten._local_scalar_dense.default"


def _do(func: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Do on the CPU what is asked of either place; say where the outcome is."""
    parts = tree_flatten((args, kwargs))[0]
    tensors = [one for one in parts if isinstance(one, Tensor)]
    there = any(isinstance(one, There) for one in tensors)
    strangers = [t.shape for t in tensors if not isinstance(t, There) and t.ndim]
    if there and strangers and str(func) not in _MOVES:
        msg = f"{func} of tensors in two places: {strangers} are on the CPU"
        raise AssertionError(msg)
    wanted = kwargs.get("device")
    if wanted is not None:
        there = torch.device(wanted).type == GPU.type
        kwargs = dict(kwargs) | {"device": CPU}
    plain = {
        id(one.numbers): one for one in tensors if isinstance(one, There)
    }  # whose object is given back where something is done in place
    if there and torch.Tag.inplace_view in func.tags:
        with no_dispatch():
            func(*args, **kwargs)  # what is there takes its new shape, too
    args, kwargs = tree_map(
        lambda one: one.numbers if isinstance(one, There) else one, (args, kwargs)
    )
    out = func(*args, **kwargs)

    def placed(one: Any) -> Any:
        if not isinstance(one, Tensor):
            return one
        if id(one) in plain:
            return plain[id(one)]
        return There(one) if there else one

    return tree_map(placed, out)
