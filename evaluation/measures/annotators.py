"""Each annotator against the others: the reference beside metrics against votes.

For this the votes must be counted: how many annotators chose each class, one class
each. Shares alone do not say it, two of four are the same half as one of two. Votes
come to a run as shares, so counts are made again where the corpus says how many
annotators an utterance had, in a trait called ``annotators``; where that does not give
whole numbers for every utterance, a label map has dropped votes or annotators chose
several classes, and there is no such reference.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import RunError
from contracts.manifest import TRAIT
from contracts.run import Run
from evaluation.measures.metrics import answers
from evaluation.measures.vote_shares import shares_of
from evaluation.statistics.mean_interval import mean_intervals
from evaluation.statistics.uncertainty import Interval

ANNOTATORS = f"{TRAIT}annotators"
_WHOLE = 1e-3  # how far from a whole number a count made of shares may be

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Annotators:
    """How well one annotator does when the others are the truth.

    Each annotator in turn is held against the rest of those of the utterance; the mean
    is taken over the annotators of an utterance, then over utterances.

    Attributes:
        n: utterances with at least two annotators
        n_lone: utterances with one, who can be held against nobody
        top1: share of annotators who chose the class most voted for by the others, or
            one of those that tie, with its interval over speakers; to be read beside
            ``SoftScores.top1``
        agreement: share of pairs of annotators who chose the same class, with its
            interval; to be read beside ``SoftScores.agreement``
    """

    n: int
    n_lone: int
    top1: Interval
    agreement: Interval


def leave_one_out(
    counts: NDArray[np.int64], speakers: NDArray[np.object_]
) -> Annotators | None:
    """Hold each annotator against the others.

    Args:
        counts: annotators per class ``(utterance, class)``, whole numbers; zeros for
            utterances without votes
        speakers: who is heard ``(utterance,)``, ``""`` for unknown

    Returns:
        the means, None where no utterance has two annotators

    Raises:
        RunError: if counts are not whole numbers of 0 or more
    """
    told = np.asarray(counts)
    if told.dtype.kind not in "iu" or (told < 0).any():
        msg = (
            "annotators cannot be held against each other: expected how many chose "
            f"each class, whole numbers of 0 or more, got {told.dtype} from "
            f"{told.min(initial=0):g}. Give counts, not shares"
        )
        raise RunError(msg)
    told = told.astype(np.int64)
    total = told.sum(axis=1)
    several, who = told[total >= 2], speakers[total >= 2]
    if not len(several):
        return None
    n = several.sum(axis=1, keepdims=True)
    # one who chose class k is right if k, one vote fewer, is still not behind any other
    best_other = _largest_of_others(several)
    right = (several - 1 >= best_other) & (several > 0)
    top1 = (several * right).sum(axis=1) / n[:, 0]
    pairs = (several * (several - 1)).sum(axis=1) / (n * (n - 1))[:, 0]
    lone = int((total == 1).sum())
    means = mean_intervals(np.column_stack([top1, pairs]), who)
    return Annotators(len(several), lone, *means)


def _largest_of_others(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``(utterance, class)``: the most votes that another class has."""
    n_classes = counts.shape[1]
    if n_classes == 1:
        return np.zeros_like(counts)
    ordered = np.sort(counts, axis=1)
    first, second = ordered[:, -1:], ordered[:, -2:-1]
    is_first = np.arange(n_classes) == counts.argmax(axis=1)[:, None]
    return np.where(is_first, second, first)


def annotators_of(run: Run) -> tuple[Annotators | None, str]:
    """Hold the annotators of a run's test utterances against each other.

    Returns:
        the means, and ``""``; or None, and why they cannot be known
    """
    answered = answers(run)
    votes, rows = answered.votes, run.predictions[answered.mask]
    if votes is None or not votes.any():
        return None, "the utterances have no votes"
    if ANNOTATORS not in rows:
        return None, (
            "votes are shares, and how many annotators there were is not known: it "
            f"would be the column {ANNOTATORS} of the manifest"
        )
    total = pd.to_numeric(rows[ANNOTATORS], errors="coerce").to_numpy(np.float64)
    shares = shares_of(votes)
    voted = shares.sum(axis=1) > 0
    made = shares[voted] * total[voted, None]
    off = ~(np.abs(made - np.round(made)) <= _WHOLE).all(axis=1)  # NaN is off, too
    if off.any():
        return None, (
            f"in {int(off.sum())} of {len(off)} utterances the votes are no whole "
            f"numbers of annotators ({ANNOTATORS}): a label map has dropped votes, "
            "annotators chose several classes, or their number is not known"
        )
    who = answered.speakers[voted]
    found = leave_one_out(np.round(made).astype(np.int64), who)
    return found, "" if found else "no utterance has two annotators"
