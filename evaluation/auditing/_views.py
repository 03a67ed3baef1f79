"""Features moved and stretched before a head sees them, as bad scalers do it.

A head scales by itself, on what it learns from. What another scaler would have done is
put in front of it: numbers are brought from the mean and deviation of a group of
utterances (a test fold, one speaker) to those of train, so that behind the head's own
scaling they stand where the group's own scaler would have put them. A head that scales
nothing gets numbers of the same size as before. No head knows of it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.feature import FeatureReference
from contracts.view import View

Numbers = NDArray[np.float64]
_LEAST = 1e-10  # of the mean; a deviation below is rounding, and taken as none


class Level(NamedTuple):
    """Mean and deviation of a feature, of one shape; a constant's deviation is 1."""

    mean: Numbers
    scale: Numbers


class Move(NamedTuple):
    """What numbers are multiplied by, and what is added then.

    ``(column,)`` of a table, ``(layer, 2, channel)`` of a frame feature, in the order
    of the stored layers: of means over time and of deviations.
    """

    factor: NDArray[np.float32]
    shift: NDArray[np.float32]


@dataclass(frozen=True)
class Moved(View):
    """A view whose numbers are moved, each utterance's by the group it belongs to.

    Attributes:
        group: id -> group
        moves: feature, as heads name it -> group -> its move
    """

    group: Mapping[str, str] = field(default_factory=dict)
    moves: Mapping[str, Mapping[str, Move]] = field(default_factory=dict)

    @cached_property
    def _groups(self) -> list[str]:
        return [self.group[i] for i in self.ids]

    def _apply(self, numbers: NDArray[Any], feature: str, part: Any) -> NDArray[Any]:
        """Move ``(utterance, ...)``; ``part`` chooses from a move what is there."""
        out = np.asarray(numbers, np.float32).copy()
        groups = np.array(self._groups, object)
        for name, move in self.moves[feature].items():
            rows = groups == name
            out[rows] = out[rows] * move.factor[part] + move.shift[part]
        return out

    def table(self, feature: str, encoder: str | None = None) -> NDArray[np.float32]:
        """Return one vector per utterance ``(utterance, column)``, moved."""
        told = super().table(feature, encoder)
        return self._apply(told, feature, ...) if feature in self.moves else told

    def pooled(
        self,
        feature: str,
        layers: Sequence[int] | None = None,
        encoder: str | None = None,
    ) -> NDArray[np.float32]:
        """Return ``(utterance, layer, 2, channel)``, moved."""
        told = super().pooled(feature, layers, encoder)
        if feature not in self.moves:
            return told
        return self._apply(told, feature, self._layers(feature, layers, encoder))

    def frames(
        self,
        feature: str,
        row: int,
        layers: Sequence[int] | None = None,
        encoder: str | None = None,
    ) -> NDArray[Any]:
        """Return one utterance's frames ``(layer, channel, frame)``, moved."""
        told = super().frames(feature, row, layers, encoder)
        if feature not in self.moves:
            return told
        move = self.moves[feature][self._groups[row]]
        chosen = self._layers(feature, layers, encoder)
        factor, shift = move.factor[chosen, 0], move.shift[chosen, 0]
        moved: NDArray[Any] = told * factor[:, :, None] + shift[:, :, None]
        return moved

    def _layers(
        self, feature: str, layers: Sequence[int] | None, encoder: str | None
    ) -> list[int]:
        return self._store(feature, encoder).positions(layers)


def moved(
    view: View,
    features: Iterable[str],
    groups: Sequence[str],
    move: Callable[[str, str], Move],
) -> Moved:
    """Move the numbers of a view.

    Args:
        view: utterances, features pinned
        features: those to move
        groups: of each utterance ``(utterance,)``
        move: feature and group -> its move
    """
    names = dict.fromkeys(groups)
    return Moved(
        view.cache,
        view.manifest,
        view.cards,
        view.classes,
        view.left_out,
        view.encoder,
        view.pins,
        dict(zip(view.ids, groups, strict=True)),
        {f: {g: move(f, g) for g in names} for f in features},
    )


def level(view: View, feature: str, by_frames: bool) -> Level:
    """Return mean and deviation of a feature over the utterances of a view.

    Args:
        view: utterances
        feature: a table, or a frame feature
        by_frames: of a frame feature, over all frames (for heads that take frames);
            otherwise over utterances, of their means and deviations over time (for
            heads that take those as columns)

    Returns:
        ``(column,)``, or ``(layer, 2, channel)`` of all stored layers
    """
    spec = view.spec(feature)
    if spec.is_table:
        return _over_utterances(view.table(feature))
    pooled = view.pooled(feature, spec.layers)
    return (
        _over_frames(pooled, view.n_frames(feature))
        if by_frames
        else _over_utterances(pooled)
    )


def _over_utterances(numbers: NDArray[np.float32]) -> Level:
    known = ~np.isnan(numbers)
    n = np.maximum(known.sum(axis=0), 1)
    told = np.where(known, numbers, 0).astype(np.float64)
    mean = told.sum(axis=0) / n
    square = (np.where(known, told - mean, 0) ** 2).sum(axis=0) / n
    return Level(mean, _scale(mean, square))


def _over_frames(pooled: NDArray[np.float32], n_frames: NDArray[np.int64]) -> Level:
    means, squares = [], []
    for layer in range(pooled.shape[1]):  # one at a time: they are large
        told = pooled[:, layer].astype(np.float64)
        there = np.asarray(np.isfinite(told).all(axis=1))  # (utterance, channel)
        share = n_frames[:, None] * there
        share = share / np.maximum(share.sum(axis=0), 1)
        mean, deviation = np.where(there[:, None], told, 0).transpose(1, 0, 2)
        means.append((share * mean).sum(axis=0))
        squares.append((share * (deviation**2 + (mean - means[-1]) ** 2)).sum(axis=0))
    mean, square = np.array(means), np.array(squares)
    scale = _scale(mean, square)
    return Level(
        np.stack([mean, np.zeros_like(mean)], axis=1), np.stack([scale, scale], axis=1)
    )


def _scale(mean: Numbers, square: Numbers) -> Numbers:
    scale = np.sqrt(square)
    return np.where(scale > _LEAST * np.maximum(np.abs(mean), 1), scale, 1.0)


def between(own: Level, target: Level) -> Move:
    """Return what brings numbers of one level to another."""
    factor = target.scale / own.scale
    shift = target.mean - own.mean * factor
    return Move(factor.astype(np.float32), shift.astype(np.float32))


def standard(own: Level) -> Move:
    """Return what brings numbers of a level to mean 0 and deviation 1."""
    return between(own, Level(np.zeros_like(own.mean), np.ones_like(own.scale)))


def layered(view: View, features: Iterable[str]) -> list[str]:
    """Return the features that have two layers or more."""
    return [f for f in features if len(view.spec(f).layers) > 1]


def exact(view: View, feature: str) -> str:
    """Name a feature with its fingerprint, so that no other can be meant."""
    asked = FeatureReference.parse(feature)
    name = f"{asked.name}:{asked.group}" if asked.group else asked.name
    return f"{name}@{view.spec(feature).fingerprint[:12]}"
