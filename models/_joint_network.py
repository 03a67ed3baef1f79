"""One pepino among many: its weights, its gradient by hand, its own steps.

The network, for frames ``x`` of an utterance ``(layer, frame, channel)``::

    z = sum over layers of |a| / sum |a| * (x - mean) / scale    (frame, channel)
    h = dropout(relu(first(z))), dropout(relu(second(h)))        (frame, 128)
    logits = out(mean of h over frames)                          (class,)

(Pepino, Riera, Ferrer 2021, the dense head.) Frames of one utterance at a time are a
batch without padding, and gradients of utterances add up to that of their batch: the
loss is a sum over utterances, divided by what the batch weighs. What depends on
weights alone is done once for each step: the mean is taken off the first bias, and
what dropout scales up is scaled in ``second`` and after it.

Dropout compares random bytes with a threshold, which is 30 times as quick as drawing
uniform numbers: a share of .2 becomes 51 / 256 = .1992. Each utterance has bytes of its
own, drawn from seed, epoch and id, whoever else is fitted and in whatever order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models._device import drawing
from models._joint_settings import BYTE, Settings, number

WIDTH = 128  # of both hidden layers


def initial(
    n_layers: int, channels: int, n_labels: int, seed: int
) -> dict[str, Tensor]:
    """Draw first weights as ``nn.Linear`` does; every layer weighs the same."""
    with drawing(seed):
        parts = {
            "first": nn.Linear(channels, WIDTH),
            "second": nn.Linear(WIDTH, WIDTH),
            "out": nn.Linear(WIDTH, n_labels),
        }
    state = {"weights": torch.ones(n_layers)}
    for name, part in parts.items():
        state |= {f"{name}.{k}": v for k, v in part.state_dict().items()}
    return state


class Hidden(NamedTuple):
    """Places ``(frame, 128)`` for what is between the layers, used again and again."""

    first: Tensor
    second: Tensor
    spare: Tensor

    @classmethod
    def make(cls, n_frames: int, dtype: torch.dtype) -> Hidden:
        """Take memory for the longest utterance."""
        return cls(*torch.empty(3, n_frames, WIDTH, dtype=dtype))

    def cut(self, n_frames: int) -> Hidden:
        """Return places for so many frames."""
        return Hidden(*(part[:n_frames] for part in self))


# seed, threshold, epoch and id -> 1 where heard, else 0: (hidden layer, frame, 128)
Drawn = dict[tuple[int, int, int, str], Tensor]


class Part(NamedTuple):
    """One utterance among those that are learnt from at a time.

    Attributes:
        n_frames: its own
        target: what each class weighs ``(class,)``
        draw: epoch and id, which dropout is drawn from
    """

    n_frames: int
    target: Tensor
    draw: tuple[int, str]


class Gradient:
    """What utterances of a batch have added up to so far, by one worker."""

    def __init__(self, flat: Tensor, shapes: Mapping[str, torch.Size]) -> None:
        self.flat = torch.zeros_like(flat)
        self.of = parts_of(self.flat, shapes)
        self.loss = 0.0

    def clear(self) -> None:
        """Begin a batch."""
        self.flat.zero_()
        self.loss = 0.0


class Network:
    """The weights of one model.

    Args:
        state: first weights by name, as of ``initial``
        settings: how it is trained
        seed: of dropout
        offset: ``(layer, channel)`` that is taken off scaled frames, mean / scale;
            None: nothing
        dtype: of all numbers
    """

    def __init__(
        self,
        state: Mapping[str, Tensor],
        settings: Settings,
        seed: int,
        offset: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.settings, self.seed, self.offset = settings, seed, offset
        self.shapes = {name: value.shape for name, value in state.items()}
        self.flat = torch.cat(
            [v.detach().reshape(-1).to(dtype) for v in state.values()]
        )
        self.of = parts_of(self.flat, self.shapes)
        self.gradients = [self.gradient()]
        self.optimiser = torch.optim.Adam([self.flat], lr=settings.lr, foreach=False)
        self.louder = BYTE / (BYTE - settings.threshold)
        self.refresh()

    def refresh(self) -> None:
        """Work out what depends on weights alone."""
        size = self.of["weights"].abs()
        self.mixture = size / size.sum()  # (layer,)
        self.first_bias = self.of["first.bias"]
        if self.offset is not None:
            self.taken_off = self.mixture @ self.offset  # (channel,)
            self.first_bias = self.first_bias - self.of["first.weight"] @ self.taken_off
        self.loud_second = self.louder * self.of["second.weight"]

    def gradient(self) -> Gradient:
        """Return an empty gradient."""
        return Gradient(self.flat, self.shapes)

    def state(self) -> dict[str, Tensor]:
        """Return a copy of the weights by name."""
        return {name: value.clone() for name, value in self.of.items()}

    def logits(self, z: Tensor, hidden: Hidden) -> Tensor:
        """Return ``(class,)`` of one utterance's mixed frames ``(frame, channel)``."""
        p = self.of
        h, g, _ = hidden.cut(len(z))
        torch.addmm(self.first_bias, z, p["first.weight"].t(), out=h).clamp_(min=0)
        torch.addmm(p["second.bias"], h, p["second.weight"].t(), out=g).clamp_(min=0)
        return torch.addmv(p["out.bias"], p["out.weight"], g.mean(dim=0))

    def learn(
        self,
        z: Tensor,
        parts: Sequence[Part],
        total: float,
        hidden: Hidden,
        into: Gradient,
        drawn: Drawn,
    ) -> None:
        """Add utterances of one batch to the gradient; all but that of layer weights.

        Args:
            z: mixed frames ``(frame, channel)`` of all of them, one after the other;
                afterwards it holds the gradient of the loss with respect to them
            parts: which frames are whose
            total: what the batch weighs
            hidden: places to work in
            into: what is added to
            drawn: what others with the same seed drew, and this one adds to
        """
        p, g = self.of, into.of
        h1, h2, spare = hidden.cut(len(z))
        alive = self._alive(parts, drawn)
        lengths = [part.n_frames for part in parts]
        torch.addmm(self.first_bias, z, p["first.weight"].t(), out=h1).clamp_(min=0)
        _silence(h1.split(lengths), alive, 0)
        torch.addmm(p["second.bias"], h1, self.loud_second.t(), out=h2).clamp_(min=0)
        _silence(h2.split(lengths), alive, 1)
        torch.sign(h2, out=spare)  # where heard and alive
        targets = torch.stack([part.target for part in parts])
        to_frames = self._judge(h2.split(lengths), targets, total, into)
        for own, one in zip(spare.split(lengths), to_frames, strict=True):
            own.mul_(one)
        to_second = spare
        g["second.weight"].addmm_(to_second.t(), h1, alpha=self.louder)
        g["second.bias"].add_(to_second.sum(dim=0))
        torch.mm(to_second, self.loud_second, out=h2)
        to_first = h2.mul_(torch.sign(h1, out=spare))
        g["first.weight"].addmm_(to_first.t(), z)
        g["first.bias"].add_(to_first.sum(dim=0))
        if len(self.mixture) > 1:
            torch.mm(to_first, p["first.weight"], out=z)

    def _judge(
        self, hidden: Sequence[Tensor], targets: Tensor, total: float, into: Gradient
    ) -> Tensor:
        """Add what utterances do to the output; return what each frame gets.

        Args:
            hidden: the second hidden layer of each ``(frame, 128)``
            targets: what each class weighs ``(utterance, class)``
            total: what the batch weighs
            into: what is added to

        Returns:
            ``(utterance, 128)``: frames of an utterance get the same
        """
        p, g = self.of, into.of
        shares = [self.louder / len(own) for own in hidden]
        share = torch.tensor(shares, dtype=targets.dtype)[:, None]
        means = torch.stack([own.sum(dim=0) for own in hidden]).mul_(share)
        logits = torch.addmm(p["out.bias"], means, p["out.weight"].t())
        likely = logits.log_softmax(dim=1)
        into.loss -= float(torch.sum(targets * likely)) / total
        to_logits = likely.exp_().mul_(targets.sum(dim=1, keepdim=True)).sub_(targets)
        to_logits.div_(total)
        g["out.weight"].addmm_(to_logits.t(), means)
        g["out.bias"].add_(to_logits.sum(dim=0))
        return torch.mm(to_logits, p["out.weight"]).mul_(share)

    def step(self) -> float:
        """Move the weights by the gradient of a whole batch; return its loss."""
        whole, *others = self.gradients
        for other in others:
            whole.flat += other.flat
            whole.loss += other.loss
        self._complete(whole.of)
        self.flat.grad = whole.flat
        if self.settings.clip_value is not None:
            nn.utils.clip_grad_value_([self.flat], self.settings.clip_value)
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_([self.flat], self.settings.clip_norm)
        self.optimiser.step()
        loss = whole.loss
        for one in self.gradients:
            one.clear()
        self.refresh()
        return loss

    def _complete(self, g: Mapping[str, Tensor]) -> None:
        """Go from mixtures to layer weights, and take off what the mean adds."""
        if self.offset is not None:
            to_z = g["first.bias"] @ self.of["first.weight"]  # summed over frames
            g["weights"].sub_(self.offset @ to_z)
            g["first.weight"].addr_(g["first.bias"], self.taken_off, alpha=-1)
        a, to_mixture = self.of["weights"], g["weights"]
        own = to_mixture - to_mixture @ self.mixture
        g["weights"].copy_(a.sign() / a.abs().sum() * own)

    def _alive(self, parts: Sequence[Part], drawn: Drawn) -> list[Tensor]:
        """Return 1 where heard, else 0, ``(hidden layer, frame, 128)`` of each.

        None at all where nothing is silenced.
        """
        threshold = self.settings.threshold
        if not threshold:
            return []
        keys = [(self.seed, threshold, *part.draw) for part in parts]
        for key, part in zip(keys, parts, strict=True):
            if key not in drawn:
                bits = torch.from_numpy(self._bytes(part.n_frames, part.draw))
                alive = bits.to(self.flat.dtype).sub_(threshold - 1).clamp_(0, 1)
                drawn[key] = alive
        return [drawn[key] for key in keys]

    def _bytes(self, n_frames: int, draw: tuple[int, str]) -> NDArray[np.uint8]:
        bits = np.random.SFC64(number("dropout", self.seed, *draw))
        drawn: NDArray[np.uint64] = bits.random_raw(2 * n_frames * WIDTH // 8)
        return drawn.view(np.uint8).reshape(2, n_frames, WIDTH)


def _silence(hidden: Sequence[Tensor], alive: Sequence[Tensor], i: int) -> None:
    """Silence a hidden layer ``i`` of each utterance where it is not alive."""
    for own, one in zip(hidden, alive, strict=bool(alive)):
        own.mul_(one[i])


def parts_of(flat: Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Cut one long vector into the parts of a state dict, which stay views of it."""
    pieces = torch.split(flat, [shape.numel() for shape in shapes.values()])
    named = zip(shapes.items(), pieces, strict=True)
    return {name: piece.view(shape) for (name, shape), piece in named}
