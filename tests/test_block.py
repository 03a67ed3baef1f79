"""A block that learns a few frames at a time is torch's modules in a row."""

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bench._machine import threads
from models import _block, _spans
from models._block import learning_block
from models._spans import Utterance, for_each, spans, utterances_of

Pairs = list[tuple[nn.Conv2d, nn.BatchNorm2d]]


def pairs_of(maps: list[int], seed: int = 0) -> Pairs:
    """Draw convolutions and norms, of which one map counts for nothing."""
    torch.manual_seed(seed)
    out = []
    for before, after in pairwise(maps):
        conv, norm = nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after)
        for one in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            nn.init.normal_(one)
        nn.init.zeros_(norm.weight[:1])
        out.append((conv.double(), norm.double()))
    return out


def by_modules(x: Tensor, lengths: list[int], pairs: Pairs, pool: int) -> Tensor:
    """Convolve each utterance by itself, norm all of them, pool each by itself."""
    for conv, norm in pairs:
        parts = [conv(part.permute(2, 0, 1)[None]) for part in x.split(lengths)]
        x = F.relu(norm(torch.cat(parts, dim=2)))[0].permute(1, 2, 0)
    parts = [x.permute(2, 0, 1)[None] for x in x.split(lengths) if len(x) >= pool]
    return torch.cat([F.max_pool2d(p, pool)[0].permute(1, 2, 0) for p in parts])


def heard(
    block, x: Tensor, lengths: list[int], pairs: Pairs, pool: int, asked: bool = True
) -> list[Tensor]:
    """Return what a block gives, its gradients, and what its norms keep."""
    x = x.clone().requires_grad_(asked)
    out = block(x, lengths, pairs, pool)
    (out * torch.linspace(-1, 2, out.numel()).double().view_as(out)).sum().backward()
    modules = [module for pair in pairs for module in pair]
    gradients = [p.grad for module in modules for p in module.parameters()]
    kept = [b for module in modules for b in module.buffers()]
    return [out.detach(), *([x.grad] if asked else []), *gradients, *kept]


@contextmanager
def parts_of(near: int, long: int, n_threads: int = 2) -> Iterator[None]:
    """Work on so many bytes at a time; share out utterances of so many."""
    sizes = patch.multiple(_spans, NEAR=near, LONG=long)
    with sizes, threads(n_threads):
        yield


LENGTHS = st.lists(st.integers(1, 13), min_size=1, max_size=5)
MAPS = st.lists(st.integers(1, 5), min_size=2, max_size=4)


@settings(deadline=None, max_examples=60)
@given(
    LENGTHS,
    st.integers(3, 8),
    MAPS,
    st.integers(2, 3),
    st.integers(1, 2000),
    st.sampled_from([1, 10**9]),
    st.integers(1, 2),
    st.booleans(),
    st.booleans(),
)
def test_block_equals_modules_in_a_row(
    lengths: list[int],
    channels: int,
    maps: list[int],
    pool: int,
    near: int,
    long: int,
    n_threads: int,
    asked: bool,
    turned: bool,
) -> None:
    lengths = [pool, *lengths]  # one of them is long enough
    torch.manual_seed(1)
    x = 3 + torch.randn(channels, sum(lengths), maps[0]).double()
    x = x.transpose(0, 1) if turned else x.transpose(0, 1).contiguous()
    expected = heard(by_modules, x, lengths, pairs_of(maps), pool, asked)

    with parts_of(near, long, n_threads):
        found = heard(learning_block, x, lengths, pairs_of(maps), pool, asked)

    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-8)


@settings(deadline=None, max_examples=20, derandomize=True)
@given(LENGTHS, MAPS, st.integers(1, 2000))
def test_block_in_single_precision_is_as_near_as_that_is(
    lengths: list[int], maps: list[int], near: int
) -> None:
    lengths = [30, *lengths]
    torch.manual_seed(1)
    x = torch.randn(sum(lengths), 12, maps[0]).double()
    pairs = pairs_of(maps)
    for _, norm in pairs:
        nn.init.ones_(norm.weight)
    exact = heard(by_modules, x, lengths, deepcopy(pairs), 3)
    single = [(conv.float(), norm.float()) for conv, norm in pairs]

    with parts_of(near, 1):
        found = heard(learning_block, x.float(), lengths, single, 3)

    for one, other in zip(found, exact, strict=True):
        scale = float(other.double().abs().max()) + 1
        assert float((one.double() - other.double()).abs().max()) < 1e-3 * scale


def test_gradient_of_a_bias_that_batch_norm_takes_off_is_zero() -> None:
    pairs = pairs_of([2, 3])

    learning_block(torch.randn(9, 6, 2).double(), [9], pairs, 3).sum().backward()

    assert not pairs[0][0].bias.grad.any()


def test_variance_of_maps_far_from_zero_is_found() -> None:
    pairs = pairs_of([1, 2])
    conv, norm = (module.float() for module in pairs[0])
    nn.init.dirac_(conv.weight)  # a border's zeros would add variance of their own
    x = 1000 + torch.randn(60, 50, 1)
    inner = F.conv2d(x.double().permute(2, 0, 1)[None], conv.weight.double(), padding=1)

    norm.momentum = 1.0
    learning_block(x, [60], [(conv, norm)], 3)

    torch.testing.assert_close(
        norm.running_var.double(), inner.var(dim=(0, 2, 3)), rtol=1e-4, atol=0
    )


def test_going_back_twice_is_refused() -> None:
    out = learning_block(torch.randn(9, 6, 2).double(), [9], pairs_of([2, 3]), 3).sum()
    out.backward(retain_graph=True)

    with pytest.raises(RuntimeError, match="a block goes back once"):
        out.backward()


def test_what_was_kept_is_freed_where_nothing_goes_back() -> None:
    kept = []

    class Watched(_block.Layer):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            kept.append(weakref.ref(self))

    gc.disable()
    try:
        with patch.object(_block, "Layer", Watched):
            out = learning_block(
                torch.randn(9, 6, 2).double(), [9], pairs_of([2, 3, 3]), 3
            )
        assert len(kept) == 2
        assert all(one() is not None for one in kept)
        del out
        assert all(one() is None for one in kept)
    finally:
        gc.enable()


def test_a_weight_that_was_changed_before_going_back_is_told() -> None:
    pairs = pairs_of([2, 3])
    out = learning_block(torch.randn(9, 6, 2).double(), [9], pairs, 3)
    with torch.no_grad():
        pairs[0][0].weight.mul_(2)

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_nothing_is_recorded_where_nothing_is_to_learn() -> None:
    with torch.no_grad():
        out = learning_block(torch.randn(9, 6, 2).double(), [9], pairs_of([2, 3]), 3)

    assert not out.requires_grad


def test_frozen_weights_get_no_gradient() -> None:
    pairs = pairs_of([2, 3])
    pairs[0][0].weight.requires_grad_(requires_grad=False)

    learning_block(torch.randn(9, 6, 2).double(), [9], pairs, 3).sum().backward()

    assert pairs[0][0].weight.grad is None
    assert pairs[0][1].bias.grad.any()


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=6),
    st.integers(1, 5),
    st.integers(1, 3),
)
def test_spans_cover_each_frame_once(
    lengths: list[int], each: int, multiple: int
) -> None:
    with parts_of(8, 1):
        for one in utterances_of(lengths, 3):
            cut = list(spans(one.start, one.end, each, multiple))
            covered = [i for a, b in cut for i in range(a, b)]
            assert covered == list(range(one.start, one.end))
            assert all((b - a) % multiple == 0 for a, b in cut[:-1])
    pooled = [one.pooled for one in utterances_of(lengths, 3)]
    assert pooled == [sum(n // 3 for n in lengths[:i]) for i in range(len(lengths))]


@pytest.mark.parametrize("long", [1, 10**9])
def test_work_comes_back_in_the_order_of_utterances(long: int) -> None:
    utterances = utterances_of([3, 9, 1, 7, 5], 3)

    with parts_of(1, long):
        found = for_each(lambda one: one.start, utterances, 1)

    assert found == [one.start for one in utterances]


def test_threads_have_one_of_torchs_each_and_leave_it_as_it_was() -> None:
    def count(_: Utterance) -> int:
        return torch.get_num_threads()

    with parts_of(1, 1):
        assert for_each(count, utterances_of([4, 4, 4], 3), 1) == [1, 1, 2]
        assert torch.get_num_threads() == 2


def test_what_fails_in_a_thread_is_told_and_threads_are_as_before() -> None:
    def fail(one: Utterance) -> None:
        if one.start:
            msg = "no memory"
            raise MemoryError(msg)

    with parts_of(1, 1):
        with pytest.raises(MemoryError, match="no memory"):
            for_each(fail, utterances_of([4, 4], 3), 1)
        assert torch.get_num_threads() == 2
