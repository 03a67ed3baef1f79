"""Probabilities from margins, and folds over the speakers of train.

What a machine says of utterances it was fitted on is surer than what it says of
strangers, and utterances of one speaker are alike. So margins are gathered over
speakers: each utterance is judged by a machine that never heard its speaker.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.model_selection import GroupKFold

from contracts.errors import RunError, listing
from contracts.view import View

PARTS = 5  # of the training speakers
Split = tuple[NDArray[np.int64], NDArray[np.int64]]
_LOGARITHMS = (-7.0, 7.0)  # of inverse temperatures


def speaker_splits(train: View, name: str, n: int = PARTS) -> list[Split]:
    """Part the speakers of train, so that every label is in each rest.

    Args:
        train: labelled utterances; those without a speaker count as one
        name: of the head, for the message
        n: parts; fewer where there are fewer speakers, one for each speaker where
            otherwise some rest would lack a label

    Returns:
        for each part ``(rest, part)``, positions in train: no speaker is in both, and
        augmented variants are in the rests alone

    Raises:
        RunError: if there are too few speakers, or one alone says a label
    """
    y, speakers = train.y, train.speakers
    n_speakers = len(set(speakers))
    labels = set(y)
    original = (train.manifest["variant"] == "").to_numpy()
    for parts in sorted({min(n, n_speakers), n_speakers} - {1}):
        splits = [
            (rest, part[original[part]])
            for rest, part in GroupKFold(parts).split(y, groups=speakers)
        ]
        if all(set(y[rest]) == labels for rest, _ in splits):
            return splits
    by_label = {train.classes[k]: len(set(speakers[y == k])) for k in sorted(labels)}
    alone = listing(label for label, count in by_label.items() if count < 2)
    msg = (
        f"{name} is judged on training speakers that it did not hear: expected two or "
        f"more for each label, got one for {alone}. Choose another protocol, drop or "
        "merge labels with --labels, or choose --model logistic_regression"
    )
    raise RunError(msg)


def margins(machine: Any, X: NDArray[Any], n_labels: int) -> NDArray[np.float64]:
    """Sum up a one-against-one machine's margins for each label.

    Args:
        machine: fitted, its ``decision_function`` gives ``(utterance, pair)``, pairs
            in the order 0-1, 0-2, ...; of two labels one margin, for the second
        X: ``(utterance, column)``
        n_labels: how many

    Returns:
        ``(utterance, label)``: what speaks for a label less what speaks against it
    """
    told = np.asarray(machine.decision_function(X), np.float64)
    told = -told[:, None] if told.ndim == 1 else told
    out = np.zeros((len(X), n_labels))
    for pair, (one, other) in enumerate(
        zip(*np.triu_indices(n_labels, 1), strict=True)
    ):
        out[:, one] += told[:, pair]
        out[:, other] -= told[:, pair]
    return out


def unheard(
    fit: Callable[[NDArray[np.int64]], Any],
    X: NDArray[Any],
    n_labels: int,
    splits: Sequence[Split],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Gather margins of utterances whose speaker the machine did not hear.

    Args:
        fit: returns a machine fitted on these rows
        X: ``(utterance, column)``
        n_labels: how many
        splits: see ``speaker_splits``

    Returns:
        rows ``(judged,)`` and their margins ``(judged, label)``
    """
    rows = np.concatenate([part for _, part in splits])
    told = [margins(fit(rest), X[part], n_labels) for rest, part in splits]
    return rows, np.concatenate(told)


def inverse_temperature(told: NDArray[np.float64], y: NDArray[Any]) -> float:
    """Find the factor under which a softmax of margins fits the labels best.

    As in Platt 1999 one utterance more of each label is expected, so that margins that
    part the labels wholly do not become certainties.

    Args:
        told: margins ``(utterance, label)``
        y: positions of the labels ``(utterance,)``
    """
    n, n_labels = told.shape
    expected = (n * np.eye(n_labels)[y] + 1) / (n + n_labels)

    def loss(logarithm: float) -> float:
        return -float((expected * log_softmax(np.exp(logarithm) * told, 1)).sum())

    found = minimize_scalar(loss, bounds=_LOGARITHMS, method="bounded")
    return float(np.exp(found.x))
