"""Several models go forward and back over the same utterances.

Products with weights are each model's own; what is small, the output and the loss, is
worked out for all of them at once: for each on its own it would take as long as half
of its products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models._joint_network import WIDTH, Gradient, Network
from models._joint_reader import place


class Hidden:
    """Places for what is between the layers, used again and again.

    Args:
        n_models: most at a time
        n_frames: most at a time
        like: has the type of the numbers, and is where they are to be
    """

    def __init__(self, n_models: int, n_frames: int, like: Tensor) -> None:
        self._first, self._second = like.new_empty(2, n_models * n_frames * WIDTH)
        self._spare = like.new_empty(n_frames * WIDTH)

    def cut(self, n_models: int, n_frames: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return first and second ``(model, frame, 128)``, spare ``(frame, 128)``."""
        shape = n_models, n_frames, WIDTH
        first, second = (place(one, shape) for one in (self._first, self._second))
        return first, second, place(self._spare, shape[1:])


class Lesson(NamedTuple):
    """What models learn from utterances of one batch of each.

    Attributes:
        lengths: frames of each utterance
        targets: what each class weighs, divided by what the batch of the model weighs
            ``(model, utterance, class)``
        alive: for each model 1 where heard, else 0, as of ``Network.hear``
        into: for each model, what is added to
    """

    lengths: Sequence[int]
    targets: Tensor
    alive: Sequence[Sequence[Tensor]]
    into: Sequence[Gradient]


def learn(
    networks: Sequence[Network], z: Tensor, lesson: Lesson, hidden: Hidden
) -> None:
    """Add utterances to gradients; all but those of layer weights.

    Args:
        networks: of models
        z: mixed frames ``(model, frame, channel)``, of one utterance after the other;
            where layers are weighed it then holds the gradients of the losses
        lesson: what is learnt
        hidden: places to work in
    """
    first, second, spare = hidden.cut(len(networks), z.shape[1])
    for own, x, f, s, heard in zip(
        networks, z, first, second, lesson.alive, strict=True
    ):
        own.hear(x, f, s, heard)
    averaging = _averaging(lesson.lengths, z)
    loudness = torch.tensor([own.louder for own in networks], dtype=z.dtype)
    loudness = loudness.to(z.device, non_blocking=True)
    to_means = _judge(networks, _means(second, averaging), loudness, lesson)
    for own, x, f, s, to, into in zip(
        networks, z, first, second, to_means, lesson.into, strict=True
    ):
        own.answer(x, f, s, torch.mm(averaging.t(), to, out=spare), into)


def logits(
    networks: Sequence[Network], z: Tensor, lengths: Sequence[int], hidden: Hidden
) -> Tensor:
    """Return ``(model, utterance, class)``, nothing silenced.

    Args:
        networks: of models
        z: mixed frames ``(model, frame, channel)``, of one utterance after the other
        lengths: frames of each utterance
        hidden: places to work in
    """
    first, second, _ = hidden.cut(len(networks), z.shape[1])
    for own, x, f, s in zip(networks, z, first, second, strict=True):
        own.hear(x, f, s, ())
    weights, means = _weights(networks), _means(second, _averaging(lengths, z))
    return _output(networks, weights, means)


def _averaging(lengths: Sequence[int], like: Tensor) -> Tensor:
    """Return what each frame adds to the mean of its utterance ``(utterance, frame)``.

    By a product with it, means of all are taken at once, and given back to frames.

    Args:
        lengths: of utterances
        like: has the type of the numbers, and is where they are to be
    """
    told = torch.tensor(lengths).to(like.device, non_blocking=True)[:, None]
    ends = told.cumsum(dim=0)
    frame = torch.arange(sum(lengths), device=like.device)
    own = (frame < ends) & (frame >= ends - told)
    return own.to(like.dtype).div_(told)


def _means(hidden: Tensor, averaging: Tensor) -> Tensor:
    """Return means over frames ``(model, utterance, 128)``."""
    out = hidden.new_empty(len(hidden), *averaging.shape[:1], WIDTH)
    for own, mean in zip(hidden, out, strict=True):
        torch.mm(averaging, own, out=mean)
    return out


def _weights(networks: Sequence[Network]) -> Tensor:
    """Return those of the output ``(model, class, 128)``."""
    return torch.stack([own.of["out.weight"] for own in networks])


def _output(networks: Sequence[Network], weights: Tensor, means: Tensor) -> Tensor:
    """Return logits ``(model, utterance, class)``."""
    biases = torch.stack([own.of["out.bias"] for own in networks])
    return torch.baddbmm(biases[:, None], means, weights.transpose(1, 2))


def _judge(
    networks: Sequence[Network], means: Tensor, loudness: Tensor, lesson: Lesson
) -> Tensor:
    """Add what utterances do to the loss and the output.

    Args:
        networks: of models
        means: of what is heard of the second hidden layer ``(model, utterance, 128)``
        loudness: what those are scaled up by ``(model,)``
        lesson: what is learnt

    Returns:
        gradient with respect to ``means``
    """
    means = means.mul_(loudness[:, None, None])
    targets, weights = lesson.targets, _weights(networks)
    likely = _output(networks, weights, means).log_softmax(dim=2)
    losses = torch.sum(targets * likely, dim=(1, 2))
    to_logits = likely.exp_().mul_(targets.sum(dim=2, keepdim=True)).sub_(targets)
    to_weights = torch.bmm(to_logits.transpose(1, 2), means)
    to_biases = to_logits.sum(dim=1)
    for into, loss, weight, bias in zip(
        lesson.into, losses, to_weights, to_biases, strict=True
    ):
        into.loss -= loss
        into.of["out.weight"].add_(weight)
        into.of["out.bias"].add_(bias)
    return torch.bmm(to_logits, weights).mul_(loudness[:, None, None])
