"""One pepino among many: its weights, its gradient by hand, its own steps.

The network, for frames ``x`` of an utterance ``(layer, frame, channel)``::

    z = sum over layers of |a| / sum |a| * (x - mean) / scale    (frame, channel)
    h = dropout(relu(first(z))), dropout(relu(second(h)))        (frame, 128)
    logits = out(mean of h over frames)                          (class,)

(Pepino, Riera, Ferrer 2021, the dense head.) Frames of utterances lie one after the
other, without padding, and gradients of utterances add up to that of their batch: the
loss is a sum over utterances, divided by what the batch weighs. What depends on
weights alone is done once for each step: the mean is taken off the first bias, and
what dropout scales up is scaled in ``second`` and after it. The output and the loss
are worked out in ``models._joint_pass``, for several models at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from models._device import drawing
from models._joint_settings import BYTE, Settings
from models._layers import dense

WIDTH = 128  # of both hidden layers


def initial(
    n_layers: int, channels: int, n_labels: int, seed: int
) -> dict[str, Tensor]:
    """Draw first weights as ``Pepino`` does; every layer weighs the same."""
    with drawing(seed):
        parts = {
            "first": dense(channels, WIDTH),
            "second": dense(WIDTH, WIDTH),
            "out": dense(WIDTH, n_labels),
        }
    state = {"weights": torch.ones(n_layers)}
    for name, part in parts.items():
        state |= {f"{name}.{k}": v for k, v in part.state_dict().items()}
    return state


class Gradient:
    """What utterances of a batch have added up to so far, by one worker."""

    def __init__(self, flat: Tensor, shapes: Mapping[str, torch.Size]) -> None:
        self.flat = torch.zeros_like(flat)
        self.of = parts_of(self.flat, shapes)
        self.loss = flat.new_zeros((), dtype=torch.float64)

    def clear(self) -> None:
        """Begin a batch."""
        self.flat.zero_()
        self.loss.zero_()


class Network:
    """The weights of one model.

    Args:
        state: first weights by name, as of ``initial``
        settings: how it is trained
        offset: ``(layer, channel)`` that is taken off scaled frames, mean / scale;
            None: nothing
        dtype: of all numbers
        device: where they are
    """

    def __init__(
        self,
        state: Mapping[str, Tensor],
        settings: Settings,
        offset: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> None:
        self.settings, self.offset = settings, offset
        # layer weights last: there are 13 or so, behind which nothing is aligned
        state = dict(sorted(state.items(), key=lambda part: part[0] == "weights"))
        self.shapes = {name: value.shape for name, value in state.items()}
        self.flat = torch.cat(
            [v.detach().reshape(-1).to(device, dtype) for v in state.values()]
        )
        self.of = parts_of(self.flat, self.shapes)
        self.gradients = [self.gradient()]
        self.optimiser = torch.optim.Adam([self.flat], lr=settings.lr, fused=True)
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

    def hear(
        self, z: Tensor, first: Tensor, second: Tensor, alive: Sequence[Tensor]
    ) -> None:
        """Go forward to the second hidden layer.

        Args:
            z: mixed frames ``(frame, channel)``
            first: what the first hidden layer becomes ``(frame, 128)``
            second: what the second becomes
            alive: 1 where heard, else 0 ``(hidden layer, frame, 128)``, of frames one
                after the other; empty: nothing is silenced, and nothing made louder
        """
        p = self.of
        torch.addmm(self.first_bias, z, p["first.weight"].t(), out=first).clamp_(min=0)
        _silence(first, alive, 0)
        weight = self.loud_second if alive else p["second.weight"]
        torch.addmm(p["second.bias"], first, weight.t(), out=second).clamp_(min=0)
        _silence(second, alive, 1)

    def answer(
        self, z: Tensor, first: Tensor, second: Tensor, to: Tensor, into: Gradient
    ) -> None:
        """Go back from the second hidden layer to the frames.

        Args:
            z: mixed frames; become their own gradient, where layers are weighed
            first: as ``hear`` left it
            second: likewise; is used up
            to: gradient of the second hidden layer, were all of it heard; is used up
            into: what is added to; all but layer weights and the output
        """
        p, g = self.of, into.of
        to_second = to.mul_(second.sign_())  # where heard and alive
        g["second.weight"].addmm_(to_second.t(), first, alpha=self.louder)
        g["second.bias"].add_(to_second.sum(dim=0))
        to_first = torch.mm(to_second, self.loud_second, out=second)
        to_first.mul_(torch.sign(first, out=to))
        g["first.weight"].addmm_(to_first.t(), z)
        g["first.bias"].add_(to_first.sum(dim=0))
        if len(self.mixture) > 1:
            torch.mm(to_first, p["first.weight"], out=z)

    def step(self) -> Tensor:
        """Move the weights by the gradient of a whole batch; return its loss.

        A number that stays where it is: to fetch it, a GPU would be waited for.
        """
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
        loss = whole.loss.clone()
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


def _silence(hidden: Tensor, alive: Sequence[Tensor], i: int) -> None:
    """Silence hidden layer ``i`` where it is not alive."""
    at = 0
    for one in alive:
        heard = one[i]
        hidden[at : at + len(heard)].mul_(heard)
        at += len(heard)


def parts_of(flat: Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Cut one long vector into the parts of a state dict, which stay views of it."""
    pieces = torch.split(flat, [shape.numel() for shape in shapes.values()])
    named = zip(shapes.items(), pieces, strict=True)
    return {name: piece.view(shape) for (name, shape), piece in named}
