"""Shares of annotators' votes, and what compares probabilities with them one by one.

Shares are compared to nine decimals, so that shares made by adding thirds tie as they
should. Rules where something ties:

- of equal probabilities the first class in the label list goes first, as everywhere
- where several classes share the most votes, naming any of them is right. Seed 002
  takes the first of them, which depends on the order of the labels

Source of top-1, top-2 and the exact set: seed 002
(WidjanarkoJoshua/Emotional-Audio-Classification).
"""

import numpy as np
from numpy.typing import NDArray

from contracts.errors import RunError
from evaluation.measures.rank_agreement import SEED_002, Values

DECIMALS = 9  # to which shares of votes are compared


def shares_of(votes: Values) -> Values:
    """Make counts or shares ``(utterance, class)`` sum to 1; a row of zeros stays.

    Raises:
        RunError: if votes are negative or not known
    """
    bad = ~(np.isfinite(votes) & (votes >= 0)).all(axis=1)
    if bad.any():
        msg = (
            f"{int(bad.sum())} of {len(votes)} utterances have bad votes: "
            "expected 0 or more for each class, got a negative or an unknown number. "
            "Give zeros where an utterance has no votes"
        )
        raise RunError(msg)
    total = votes.sum(axis=1, keepdims=True)
    out: Values = votes / np.where(total > 0, total, 1.0)
    return out


def top_k(votes: Values, probabilities: Values, k: int = 1) -> Values:
    """Return 1.0 where one of the k likeliest classes has the most votes, else 0.0.

    Args:
        votes: shares ``(utterance, class)``
        probabilities: ``(utterance, class)``; of equal ones the first class goes first
        k: how many classes may be named

    Returns:
        ``(utterance,)``
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    named = np.take_along_axis(most_voted(votes), order, axis=1)
    return np.asarray(named.any(axis=1), np.float64)


def most_voted(votes: Values) -> NDArray[np.bool_]:
    """Return ``(utterance, class)``: True for the most voted class and what ties it."""
    compared = np.round(votes, DECIMALS)
    most: NDArray[np.bool_] = compared == compared.max(axis=1, keepdims=True)
    return most


def exact_set(
    votes: Values,
    probabilities: Values,
    above: float = SEED_002,
    told_above: float | Values | None = None,
) -> Values:
    """Return 1.0 where the same classes are above a threshold on both sides, else 0.0.

    Args:
        votes: shares ``(utterance, class)``
        probabilities: ``(utterance, class)``
        above: the threshold, which itself is not above it
        told_above: another for the probabilities, or one each ``(utterance,)``
    """
    voted = np.round(votes, DECIMALS) > above
    limit = np.asarray(above if told_above is None else told_above, np.float64)
    told = probabilities > limit[..., None]
    return np.asarray((voted == told).all(axis=1), np.float64)
