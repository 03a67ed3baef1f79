"""Frames that stay on a device: the same numbers, each utterance read once."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from contracts.cache import Cache
from contracts.labels import LabelMap
from contracts.view import View
from evaluation.settings import head_class
from models import _frames
from models._frames import FrameHead
from models._normalisation import Norm, norm_of_speakers, norm_of_utterances
from models._resident import Resident, bytes_of_frames, resident
from tests.elsewhere import count_reads
from tests.synthetic import LABELS, make_cache, rows

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def n_frames(view: View) -> int:
    return int(view.n_frames("wav2vec2").sum())


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> View:
    folder = tmp_path_factory.mktemp("resident") / "cache"
    make_cache(folder, rows(4), n_layers=2, width=16)
    return Cache(folder).view("toy").relabel(LabelMap("toy", "as they are", LABELS))


def fitted(view: View, **options: Any) -> Any:
    dev = view.speakers == "toy/04"
    head = head_class("attention")(max_epochs=2, batch_size=7, device="cpu", **options)
    return head.fit(view.take(~dev), view.take(dev))


@pytest.mark.parametrize(
    "options", [{}, {"normalise": "global"}, {"feature_dropout": 0.2, "time_mask": 0.3}]
)
def test_kept_frames_give_the_same_fit(
    view: View, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = fitted(view, **options).predict_proba(view)
    monkeypatch.setattr(_frames, "resident", lambda *_: Resident(CPU))

    np.testing.assert_array_equal(fitted(view, **options).predict_proba(view), usual)


def test_each_utterance_is_read_once(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = count_reads(monkeypatch)
    monkeypatch.setattr(_frames, "resident", lambda *_: Resident(CPU))
    fitted(view)

    assert set(read) == set(view.ids)
    assert set(read.values()) == {1}


@pytest.mark.parametrize(
    "norm_of", [partial(norm_of_speakers, enrolled={}), norm_of_utterances]
)
def test_normalised_at_once_is_normalised_layer_by_layer(
    norm_of: Callable[..., Norm], view: View
) -> None:
    norm = norm_of(view, "wav2vec2", [1, 2])
    draw = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 2, 9, 16, generator=draw).half()
    lengths, chosen = torch.tensor([9, 4, 1]), [0, 20, 9]
    maps[1, :, 4:], maps[2, :, 1:] = 0, 0

    ours = norm.at_once(maps, lengths, chosen)

    torch.testing.assert_close(ours, norm.apply(maps, lengths, chosen))
    assert ours.abs().sum() > 0


def test_what_a_view_takes_is_what_is_stored(view: View) -> None:
    stored = sum(view.frames("wav2vec2", i, [1, 2]).nbytes for i in range(len(view)))

    assert bytes_of_frames(view, "wav2vec2", [1, 2], n_frames(view)) == stored
    assert resident(1, CPU) is None


def test_more_than_half_of_the_free_memory_is_not_kept(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = bytes_of_frames(view, "wav2vec2", [1, 2], n_frames(view))
    monkeypatch.setattr(_frames, "choose", lambda _: CUDA)
    head = head_class("attention")(layers=(1, 2))
    head.facts_ = head.measure(view)

    for free, is_kept in ((2 * needed, True), (2 * needed - 1, False)):
        told = free, 10 * free
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, told=told: told)
        assert (resident(needed, CUDA) is not None) == is_kept
        assert (head.frames(view, 0).kept is not None) == is_kept


def test_no_memory_is_promised_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (100, 1000))

    first = resident(50, CUDA)
    assert first is not None
    assert resident(30, CUDA) is None  # of 100 free bytes 50 are left
    second = resident(25, CUDA)
    assert second is not None
    del first, second
    assert resident(50, CUDA) is not None


def test_memory_that_torch_holds_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (40, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 100)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 40)

    assert resident(50, CUDA) is not None
    assert resident(51, CUDA) is None


def test_spectrograms_are_standardised_where_they_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    maps, lengths = torch.empty(2, 1, 9, 8, device="meta"), torch.tensor([9, 4])
    monkeypatch.setattr(FrameHead, "reader", lambda *_: lambda _: (maps, lengths))
    view: Any = None

    out, _ = head_class("cnn_logmel")().reader(view)([0, 1])

    assert out.device.type == "meta"
    assert out.shape == maps.shape
