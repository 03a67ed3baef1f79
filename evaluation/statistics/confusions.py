"""Confusion counts of every speaker, and scores of many tables of counts at once.

Scores as in ``evaluation.measures.metrics`` (UAR, WAR, F1, recall), for arrays of any
leading shape ``(..., truth, guess)``: thousands of resamples are scored in one call.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.errors import listing

Counts = NDArray[np.int64]
Values = NDArray[np.float64]
METRICS = ("uar", "war", "f1")


def speaker_confusions(
    truth_codes: NDArray[np.integer],
    guess_codes: NDArray[np.integer],
    speakers: Sequence[str] | NDArray[np.object_],
    n_labels: int,
) -> tuple[list[str], Counts]:
    """Count truths and guesses of every speaker.

    Args:
        truth_codes: index of the label ``(utterance,)``; negative ones do not count
        guess_codes: index of the predicted label ``(utterance,)``
        speakers: ``(utterance,)``
        n_labels: length of the label list

    Returns:
        speakers in order, and counts ``(speaker, truth, guess)``
    """
    truth, known = np.asarray(truth_codes, np.int64), np.asarray(truth_codes) >= 0
    names, rows = np.unique(np.asarray(speakers, str)[known], return_inverse=True)
    counts = np.zeros((len(names), n_labels, n_labels), np.int64)
    guess = np.asarray(guess_codes, np.int64)[known]
    np.add.at(counts, (rows, truth[known], guess), 1)
    return names.tolist(), counts


def placed(
    names: Sequence[str], counts: NDArray[np.generic], everyone: Sequence[str]
) -> Values:
    """Put counts ``(speaker, truth, guess)`` where each name is among everyone.

    Returns:
        counts of everyone, zeros of whom ``names`` does not hold
    """
    out = np.zeros((len(everyone), *counts.shape[1:]))
    place = {name: i for i, name in enumerate(everyone)}
    out[[place[name] for name in names]] = counts
    return out


def of_nobody(names: Sequence[str], counts: NDArray[np.generic]) -> int:
    """Return how many utterances no speaker is known of.

    Args:
        names: of the speakers; ``""``: not known, which is nobody
        counts: ``([seed,] speaker, truth, guess)``, of each seed or a mean over seeds

    Returns:
        the most that any seed has
    """
    known = np.array(names, str) != ""
    unknown = counts[..., ~known, :, :].sum(axis=(-3, -2, -1))
    return math.ceil(round(float(np.max(unknown)), 6))


def recall_of(confusions: NDArray[np.generic]) -> Values:
    """Return recalls ``(..., label)`` of ``(..., truth, guess)``, NaN without truth."""
    right = np.diagonal(confusions, axis1=-2, axis2=-1).astype(float)
    support = np.asarray(confusions.sum(axis=-1), float)
    out = np.full(right.shape, np.nan)
    np.divide(right, support, out=out, where=support > 0)
    return out


def uar_of(confusions: NDArray[np.generic]) -> Values:
    """Return the mean recall ``(...)`` of ``(..., truth, guess)`` over labels present.

    It is NaN where there is no utterance at all.
    """
    recall = recall_of(confusions)
    return _mean(recall, ~np.isnan(recall))


def war_of(confusions: NDArray[np.generic]) -> Values:
    """Return accuracies ``(...)`` of ``(..., truth, guess)``, NaN without truth."""
    right = np.trace(confusions, axis1=-2, axis2=-1).astype(float)
    total = np.asarray(confusions.sum(axis=(-2, -1)), float)
    out = np.full(right.shape, np.nan)
    np.divide(right, total, out=out, where=total > 0)
    return out


def f1_of(
    confusions: NDArray[np.generic], ignored: NDArray[np.bool_] | None = None
) -> Values:
    """Return the mean F1 ``(...)`` of ``(..., truth, guess)`` over the label list.

    Args:
        confusions: counts, or counts times weights
        ignored: labels to leave out ``(..., label)``; None: none of them
    """
    right, both = f1_parts(confusions)
    return f1_of_parts(right, both, ignored)


def f1_parts(confusions: NDArray[np.generic]) -> Values:
    """Return what F1 asks of tables ``(..., truth, guess)``.

    Returns:
        ``(2, ..., label)``: how often a label was rightly guessed, and how often it was
        said plus how often it was guessed; parts of tables add up as the tables do
    """
    right = np.diagonal(confusions, axis1=-2, axis2=-1).astype(float)
    both = np.asarray(confusions.sum(axis=-1) + confusions.sum(axis=-2), float)
    return np.stack([right, both])


def f1_of_parts(
    right: Values, both: Values, ignored: NDArray[np.bool_] | None = None
) -> Values:
    """Return the mean F1 ``(...)`` of ``f1_parts``; ``ignored`` as for ``f1_of``."""
    each = np.zeros(right.shape)
    np.divide(2 * right, both, out=each, where=both > 0)
    keep = np.ones(right.shape, bool) if ignored is None else ~ignored
    return _mean(each, keep)


def _mean(values: Values, keep: NDArray[np.bool_]) -> Values:
    n = keep.sum(axis=-1)
    out = np.full(n.shape, np.nan)
    np.divide(np.where(keep, values, 0).sum(axis=-1), n, out=out, where=n > 0)
    return out


def score_of(confusions: NDArray[np.generic], metric: str) -> Values:
    """Return ``uar``, ``war`` or ``f1`` ``(...)`` of ``(..., truth, guess)``.

    Raises:
        ValueError: if the metric is none of these
    """
    known = {"uar": uar_of, "war": war_of, "f1": f1_of}
    if metric not in known:
        msg = f"unknown metric {metric!r}, expected one of {listing(known)}"
        raise ValueError(msg)
    return known[metric](confusions)
