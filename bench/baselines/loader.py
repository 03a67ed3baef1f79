"""A plain torch loop: one float32 ``.npy`` per utterance, padded batches, no workers.

``(layer, frame, channel)`` each, read whole with ``numpy.load``, padded by
``pad_sequence`` to the longest of a batch; the network of Pepino, Riera and Ferrer
2021 in torch modules, autograd and Adam.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

Item = tuple[Tensor, int]


class Files(Dataset[Item]):
    """Utterances in files, with their labels."""

    def __init__(self, paths: Sequence[Path], labels: Sequence[int]) -> None:
        self.paths, self.labels = paths, labels

    def __len__(self) -> int:
        """Return the number of utterances."""
        return len(self.paths)

    def __getitem__(self, i: int) -> Item:
        """Return ``(layer, frame, channel)`` and the label."""
        return torch.from_numpy(np.load(self.paths[i])), self.labels[i]


def write(folder: Path, arrays: Sequence[NDArray[Any]]) -> list[Path]:
    """Write each ``(layer, frame, channel)`` as float32; return the paths."""
    paths = [folder / f"{i:04d}.npy" for i in range(len(arrays))]
    for path, array in zip(paths, arrays, strict=True):
        np.save(path, array.astype(np.float32))
    return paths


def pad(items: Sequence[Item]) -> tuple[Tensor, Tensor, Tensor]:
    """Return maps ``(utterance, frame, layer, channel)``, lengths and labels."""
    maps = [one.transpose(0, 1) for one, _ in items]
    lengths = torch.tensor([len(one) for one in maps])
    labels = torch.tensor([label for _, label in items])
    return nn.utils.rnn.pad_sequence(maps, batch_first=True), lengths, labels


class Pepino(nn.Module):
    """Weighted layers, two layers on each frame, mean over frames."""

    def __init__(self, n_layers: int, channels: int, n_labels: int = 8) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(n_layers))
        self.first = nn.Linear(channels, 128)
        self.second = nn.Linear(128, 128)
        self.out = nn.Linear(128, n_labels)
        self.dropout = nn.Dropout(0.2)

    def forward(self, maps: Tensor, lengths: Tensor) -> Tensor:
        """Return logits ``(utterance, class)``."""
        size = self.weights.abs()
        mixed = torch.einsum("l,btlc->btc", size / size.sum(), maps)
        hidden = self.dropout(F.relu(self.first(mixed)))
        hidden = self.dropout(F.relu(self.second(hidden)))
        places = torch.arange(maps.shape[1], device=maps.device)
        heard = places[None] < lengths[:, None]
        mean = (hidden * heard[:, :, None]).sum(dim=1) / lengths[:, None]
        logits: Tensor = self.out(mean)
        return logits


def fit(
    train: Dataset[Item],
    dev: Dataset[Item],
    shape: tuple[int, int],
    epochs: int,
    size: int = 32,
    device: torch.device | None = None,
) -> None:
    """Train a network for some epochs, judging it after each.

    Args:
        train: utterances to learn from
        dev: utterances to judge it on
        shape: layers and channels
        epochs: passes over train
        size: utterances in a batch
        device: where it is trained
    """
    torch.manual_seed(0)
    network = Pepino(*shape).to(device)
    adam = torch.optim.Adam(network.parameters(), lr=1e-3)
    batches = DataLoader(train, size, shuffle=True, collate_fn=pad)
    others = DataLoader(dev, size, collate_fn=pad)
    for _ in range(epochs):
        network.train()
        for batch in batches:
            maps, lengths, labels = (part.to(device) for part in batch)
            adam.zero_grad()
            F.cross_entropy(network(maps, lengths), labels).backward()
            adam.step()
        network.eval()
        with torch.inference_mode():
            for batch in others:
                maps, lengths, labels = (part.to(device) for part in batch)
                F.cross_entropy(network(maps, lengths), labels)
