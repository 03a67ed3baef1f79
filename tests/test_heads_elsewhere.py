"""Every torch head on a device that is not the CPU: all it computes is there."""

from typing import Any

import numpy as np
import pytest
import torch

from contracts.view import View
from models import _training
from tests.elsewhere import CPU, GPU, Pretended, pretended
from tests.test_models import TORCH, head_of, parts_of, view

__all__ = ["pretended", "view"]

OPTIONS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "by all": {
        "normalise": "global",
        "feature_dropout": 0.2,
        "time_mask": 0.2,
        "class_weight": "balanced",
        "label_smoothing": 0.1,
    },
    "by speaker": {
        "normalise": "speaker",
        "clip_norm": 1.0,
        "clip_value": 0.1,
        "targets": "soft",
        "sampling": "balanced",
    },
}


def few(view: View, name: str) -> tuple[View, View, View]:
    """Return some utterances of train, dev and test."""
    train, dev, test = parts_of(view, name)
    return train.take(range(0, len(train), 2)), dev.take(range(4)), test.take(range(6))


def fitted(name: str, parts: tuple[View, View, View], options: dict[str, Any]) -> Any:
    """Return a head that learnt for two epochs without chance, and what it predicts.

    A step takes the whole of train: of more, vgg would part from itself by rounding.
    """
    whole = {"max_epochs": 2, "batch_size": len(parts[0])}
    head = head_of(name, **whole | options)
    if "dropout" in head.get_params():
        head.set_params(dropout=0.0)
    head.fit(*parts[:2])
    return head, head.predict_proba(parts[2])


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", TORCH)
def test_heads_there_are_what_they_are_here(
    name: str,
    options: str,
    view: View,
    pretended: Pretended,
) -> None:
    parts = few(view, name)
    here, usual = fitted(name, parts, OPTIONS[options] | {"device": "cpu"})
    assert not pretended.fetched

    there, got = fitted(name, parts, OPTIONS[options] | {"device": "cuda"})

    assert pretended.fetched.total()
    assert {one.device for one in there.network_.parameters()} == {GPU}
    mine, its = ([e["train_loss"] for e in h.history_] for h in (there, here))
    assert mine[0] == pytest.approx(its[0], rel=1e-4)
    assert mine[1] == pytest.approx(its[1], rel=2e-2)
    assert mine[0] != mine[1]  # a step was taken
    np.testing.assert_allclose(got, usual, atol=1e-2)


@pytest.mark.parametrize("name", TORCH)
def test_heads_learn_in_the_precision_of_a_gpu(
    name: str, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = OPTIONS["by speaker"] | {"device": "cpu"}
    parts = few(view, name)
    exact, usual = fitted(name, parts, options)
    scaler = _training.mixed(CPU)[1]
    casting = torch.autocast("cpu", torch.bfloat16)
    monkeypatch.setattr(_training, "mixed", lambda _: (casting, scaler))

    coarse, got = fitted(name, parts, options)

    one, other = (head.history_[0]["train_loss"] for head in (coarse, exact))
    assert one != other
    assert one == pytest.approx(other, rel=1e-2)
    np.testing.assert_allclose(got, usual, atol=2e-2)
