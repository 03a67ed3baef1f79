"""The layer weights that a run's folds learnt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LAYERS, NUMBERS = "layer_weights", "layers"
WITH_INPUT = 13  # hidden states of a base encoder, of which state 0 is its input


@dataclass(frozen=True)
class LayerWeights:
    """Weights of the layers of one feature.

    Attributes:
        layers: numbers of the hidden states, in order
        folds: indices of the folds that learnt any
        weights: ``(fold, layer)``
    """

    layers: tuple[int, ...]
    folds: tuple[int, ...]
    weights: tuple[tuple[float, ...], ...]


def layer_weights(folds: Sequence[Mapping[str, Any]]) -> dict[str, LayerWeights]:
    """Collect the learnt layer weights of folds.

    Args:
        folds: of a run's record

    Returns:
        name of the feature, empty where a head has only one -> its weights; layers
        without numbers are counted from 1, or from 0 where there are 13
    """
    found: dict[str, list[tuple[int, Sequence[float]]]] = {}
    for fold in folds:
        told = fold["learnt"].get(LAYERS, {})
        named = told if isinstance(told, Mapping) else {"": told}
        for name, values in named.items():
            if values:
                found.setdefault(name, []).append((int(fold["index"]), values))
    known = folds[0]["learnt"].get(NUMBERS, ()) if folds else ()
    return {name: _joined(own, known) for name, own in found.items()}


def _joined(
    own: Sequence[tuple[int, Sequence[float]]], known: Sequence[int]
) -> LayerWeights:
    n = max(len(values) for _, values in own)
    first = 0 if n == WITH_INPUT else 1
    numbers = known if len(known) == n else range(first, first + n)
    return LayerWeights(
        tuple(map(int, numbers)),
        tuple(index for index, _ in own),
        tuple(tuple(map(float, values)) for _, values in own),
    )
