"""A block that learns a few frames at a time is torch's modules in a row."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models import _spans
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
    block, x: Tensor, lengths: list[int], pairs: Pairs, pool: int
) -> list[Tensor]:
    """Return what a block gives, its gradients, and what its norms keep."""
    x = x.clone().requires_grad_()
    out = block(x, lengths, pairs, pool)
    (out * torch.linspace(-1, 2, out.numel()).double().view_as(out)).sum().backward()
    modules = [module for pair in pairs for module in pair]
    gradients = [p.grad for module in modules for p in module.parameters()]
    kept = [b for module in modules for b in module.buffers()]
    return [out.detach(), x.grad, *gradients, *kept]


@contextmanager
def parts_of(near: int, long: int) -> Iterator[None]:
    """Work on so many bytes at a time; share out utterances of so many."""
    with patch.object(_spans, "NEAR", near), patch.object(_spans, "LONG", long):
        yield


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(1, 13), min_size=1, max_size=5),
    st.integers(3, 8),
    st.lists(st.integers(1, 5), min_size=2, max_size=4),
    st.integers(2, 3),
    st.integers(1, 2000),
    st.booleans(),
)
def test_block_equals_modules_in_a_row(
    lengths: list[int],
    channels: int,
    maps: list[int],
    pool: int,
    near: int,
    shared: bool,
) -> None:
    lengths = [pool, *lengths]  # one of them is long enough
    torch.manual_seed(1)
    x = 3 + torch.randn(sum(lengths), channels, maps[0]).double()
    expected = heard(by_modules, x, lengths, pairs_of(maps), pool)

    with parts_of(near, 1 if shared else 10**9):
        found = heard(learning_block, x, lengths, pairs_of(maps), pool)

    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-8)


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
    before = torch.get_num_threads()

    def count(_: Utterance) -> int:
        return torch.get_num_threads()

    with parts_of(1, 1):
        found = for_each(count, utterances_of([4] * before, 3), 1)

    assert found == [1] * before
    assert torch.get_num_threads() == before
