"""Dropout of joint fits: bytes of a place, the same whoever draws them, and where."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models._joint_dropout import alive, random_words
from tests.elsewhere import CPU, GPU, Pretended, pretended

__all__ = ["pretended"]

LIKE = torch.zeros(1)
NUMBERS = st.integers(0, 2**64 - 1)


def splitmix64(first: int, count: int) -> int:
    """Return the number that stands at a place, by Python's own integers."""
    z = (first + count * 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


def unsigned(words: Tensor) -> list[int]:
    return [n % 2**64 for n in words.flatten().tolist()]


def drawn(
    names: Sequence[str], lengths: Sequence[int], draw: tuple[int, int] = (0, 1)
) -> Tensor:
    return alive(names, lengths, draw, 77, LIKE)


def test_words_are_those_that_are_published() -> None:
    # what Vigna's splitmix64.c returns first, begun at these numbers
    known = {
        0: [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F],
        1234567: [6457827717110365317, 3203168211198807973, 9817491932198370423],
    }
    words = random_words(list(known), [2, 3], CPU)

    assert words.shape == (2, 5, 16)
    for frame, wanted in zip((0, 2), known.values(), strict=True):
        assert unsigned(words[0, frame, :3]) == wanted


@given(st.lists(st.tuples(NUMBERS, st.integers(1, 9)), min_size=1, max_size=4))
def test_words_are_those_of_whole_numbers(some: list[tuple[int, int]]) -> None:
    firsts, lengths = zip(*some, strict=True)

    assert unsigned(random_words(firsts, lengths, CPU)) == [
        splitmix64(first, 32 * frame + 16 * layer + lane)
        for layer in range(2)
        for first, n in some
        for frame in range(n)
        for lane in range(1, 17)
    ]


def test_they_depend_on_seed_epoch_and_utterance_alone() -> None:
    first = drawn(["a"], [20])

    assert torch.equal(first, drawn(["b", "a"], [50, 20])[:, 50:])
    others = drawn(["a"], [20], (1, 1)), drawn(["a"], [20], (0, 2)), drawn(["b"], [20])
    for one, other in combinations((first, *others), 2):
        assert not torch.equal(one, other)


def test_no_place_and_no_draw_follows_from_another() -> None:
    """2 layers, 5 utterances, 3 seeds and 2 epochs: all pairs are as good as apart."""
    n = 200
    draws = [(seed, epoch) for seed in range(3) for epoch in (1, 2)]
    every = torch.cat(
        [drawn("abcde", [n] * 5, draw).reshape(10, n * 128) for draw in draws]
    )
    found = np.corrcoef(every.numpy())[np.triu_indices(len(every), 1)]
    units = every.reshape(-1, 128).double().mean(dim=0)

    # five deviations, of 1770 pairs and of 128 units
    assert np.abs(found).max() < 5 / np.sqrt(n * 128)
    assert (units - (1 - 77 / 256)).abs().max() < 5 * np.sqrt(0.21 / (len(every) * n))


@pytest.mark.parametrize("threshold", [0, 51, 128, 255])
def test_the_share_of_what_is_silenced(threshold: int) -> None:
    heard = alive(["a"], [2000], (0, 1), threshold, LIKE)

    assert set(heard.unique().tolist()) <= {0.0, 1.0}
    assert float(heard.mean()) == pytest.approx(1 - threshold / 256, abs=0.004)


def test_they_are_drawn_where_they_are_needed(pretended: Pretended) -> None:
    names, lengths, like = ["a", "b", "c"], [30, 1, 400], LIKE.to(GPU)
    here, before = drawn(names, lengths), pretended.sent

    there = alive(names, lengths, (0, 1), 77, like)

    assert there.device == GPU
    # of each utterance where its count begins, and its length
    assert pretended.sent - before == 2 * len(names)
    assert torch.equal(there.cpu(), here)
