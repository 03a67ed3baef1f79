"""What heads on one vector per utterance learn from: features side by side."""

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import RunError, listing
from contracts.view import View


def inputs(
    view: View,
    features: Sequence[str],
    layers: Sequence[int] | None = None,
    deviation: bool = False,
) -> dict[str, NDArray[np.float32]]:
    """Read each feature as one vector per utterance.

    Args:
        view: utterances
        features: a table feature gives its columns, a frame feature the means over
            time of its layers
        layers: of frame features; None: 1..L
        deviation: take the deviations over time of frame features too

    Returns:
        what was read, in words -> ``(utterance, column)``; a frame feature's columns
        are ``layer * statistic * channel``

    Raises:
        CacheError: if a feature or a layer is missing; the message says how to
            extract it
    """
    out: dict[str, NDArray[np.float32]] = {}
    for feature in features:
        if view.spec(feature).is_table:
            out[feature] = view.table(feature)
            continue
        pooled = view.pooled(feature, layers)[:, :, : 1 + deviation]
        n = pooled.shape[1]
        named = f"{n} layers" if layers is None else f"layers {listing(layers)}"
        words = f"{feature}, mean of {named}"
        out[words.replace("mean", "mean and deviation") if deviation else words] = (
            pooled.reshape(len(view), n * pooled.shape[2] * pooled.shape[3])
        )
    return out


def joined(
    parts: Mapping[str, NDArray[np.float32]], n_utterances: int
) -> NDArray[np.float32]:
    """Put what ``inputs`` read side by side ``(utterance, column)``."""
    return np.concatenate([np.empty((n_utterances, 0), np.float32), *parts.values()], 1)


def refuse_layers(name: str, layers: Any) -> None:
    """Refuse layers that are no list of whole numbers, before anything is read.

    Raises:
        RunError: if they are not
    """
    if layers is None:
        return
    is_list = isinstance(layers, Sequence) and not isinstance(layers, str) and layers
    if not is_list or not all(_is_number(n) for n in layers):
        msg = (
            f"{name} cannot take layers={layers!r}: expected None for 1..L, or a list "
            "of hidden states such as --set layers=[6]"
        )
        raise RunError(msg)


def _is_number(layer: Any) -> bool:
    whole = isinstance(layer, Integral) and not isinstance(layer, bool)
    return whole and int(layer) >= 0
