"""VGG as a script has it: torch's own modules in a row, maps as they come (NCHW).

Maps are ``(utterance, map, frame, channel)``.

The network of ``models/vgg.py`` with its flattened last map, and that of
``models/fusion.py`` around it. What a batch is padded with counts like speech; at equal
lengths both are the networks of this project, number by number. Adam and a norm of
gradients of at most 10, as published.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

BLOCKS = ((24, 24), (48, 48), (96, 96, 96), (192, 192, 192))


def convolutions(n_maps: int) -> list[nn.Module]:
    """Return four blocks of convolutions, batch norm, ReLU and pooling, flattened."""
    out: list[nn.Module] = []
    for block in BLOCKS:
        for n_in, n_out in pairwise((n_maps, *block)):
            out.append(nn.Conv2d(n_in, n_out, 3, padding=1))
            out += [nn.BatchNorm2d(n_out), nn.ReLU()]
        out.append(nn.MaxPool2d(3))
        n_maps = block[-1]
    return [*out, nn.Flatten()]


class Network(nn.Module):
    """VGG, or fusion where there are functionals.

    Args:
        n_maps: layers of the encoder
        n_places: of the flattened last map
        n_functionals: 0: VGG
        n_labels: classes
    """

    def __init__(
        self, n_maps: int, n_places: int, n_functionals: int = 0, n_labels: int = 8
    ) -> None:
        super().__init__()
        ends = nn.Linear(n_places, 64), nn.ReLU(), nn.Dropout(0.1)
        self.maps = nn.Sequential(*convolutions(n_maps), *ends)
        self.functionals = self.joint = None
        if n_functionals:
            self.functionals = nn.Sequential(nn.Linear(n_functionals, 64), nn.ReLU())
            self.joint = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Dropout(0.1))
        self.out = nn.Linear(64, n_labels)

    def forward(self, maps: Tensor, functionals: Tensor | None = None) -> Tensor:
        """Return logits ``(utterance, class)``.

        Args:
            maps: ``(utterance, layer, frame, channel)``
            functionals: ``(utterance, functional)``, for fusion
        """
        found = self.maps(maps)
        if self.functionals is not None and self.joint is not None:
            found = self.joint(torch.cat([found, self.functionals(functionals)], dim=1))
        logits: Tensor = self.out(found)
        return logits


class Training:
    """A network that takes steps on one batch, held in memory as float32.

    Args:
        shape: of the maps ``(utterance, layer, frame, channel)``
        n_functionals: 0: VGG
        channels_last: whether network and maps lie in memory with the maps last
        device: where all of it is
    """

    def __init__(
        self,
        shape: Sequence[int],
        n_functionals: int = 0,
        channels_last: bool = False,
        device: torch.device | None = None,
    ) -> None:
        torch.manual_seed(0)
        n, n_maps, frames, channels = shape
        pool = 3 ** len(BLOCKS)
        n_places = BLOCKS[-1][-1] * (frames // pool) * (channels // pool)
        self.inputs = [torch.randn(*shape)]
        if n_functionals:
            self.inputs.append(torch.randn(n, n_functionals))
        self.inputs = [one.to(device) for one in self.inputs]
        self.truth = torch.arange(n, device=device) % 8
        self.network = Network(n_maps, n_places, n_functionals).to(device)
        if channels_last:
            for kept in (*self.network.parameters(), self.inputs[0]):
                if kept.ndim == 4:
                    kept.data = kept.data.to(memory_format=torch.channels_last)
        self.adam = torch.optim.Adam(self.network.parameters(), lr=1e-5)

    def step(self) -> float:
        """Take one step; return the loss."""
        self.network.train()
        self.adam.zero_grad()
        loss = nn.functional.cross_entropy(self.network(*self.inputs), self.truth)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.adam.step()
        return float(loss.detach())
