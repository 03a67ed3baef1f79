"""What a practice comes to and by how much it flatters, with speaker intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.auditing._work import Outcome
from evaluation.statistics import uncertainty
from evaluation.statistics.confusions import (
    of_nobody,
    placed,
    speaker_confusions,
    uar_of,
)
from evaluation.statistics.uncertainty import (
    MIN_SPEAKERS,
    Interval,
    interval,
    nobody_drawn,
)


@dataclass(frozen=True)
class Score:
    """What a practice came to.

    Attributes:
        uar: with its interval over speakers, mean over seeds
        n: test utterances of one seed
        n_seeds: seeds that were fitted
        inflation: UAR less that of the honest counterpart; value NaN for itself
        paired: whether both guessed the same utterances
    """

    uar: Interval
    n: int
    n_seeds: int
    inflation: Interval
    paired: bool


def uar_of_rows(rows: pd.DataFrame, n_labels: int) -> float:
    """Return the UAR of rows (``_audit_work.COLUMNS``), mean over seeds."""
    return float(uar_of(_counts(rows, n_labels)[1].sum(axis=1)).mean())


def score(own: Outcome, against: Outcome | None, n_labels: int) -> Score:
    """Score a practice, and compare it with its honest counterpart.

    Args:
        own: its guesses
        against: those of the counterpart; None: it is honest itself
        n_labels: length of the label list
    """
    rows = own.rows
    n_seeds = rows["seed"].nunique()
    names, counts = _counts(rows, n_labels)
    uar = interval(counts, speakers=names)
    n = len(rows) // n_seeds
    if against is None:
        nothing = Interval(math.nan, math.nan, math.nan, uar.n_speakers)
        return Score(uar, n, n_seeds, nothing, paired=False)
    paired = set(rows["id"]) == set(against.rows["id"])
    return Score(uar, n, n_seeds, difference(rows, against.rows, n_labels), paired)


def difference(own: pd.DataFrame, other: pd.DataFrame, n_labels: int) -> Interval:
    """Return UAR of some guesses less that of others, with its interval.

    Speakers are drawn again, and with each all that was guessed of them by both. A
    choice among folds or seeds is not made again: its luck is not in the interval.

    Args:
        own: rows of ``_audit_work.COLUMNS``
        other: as ``own``
        n_labels: length of the label list
    """
    value = uar_of_rows(own, n_labels) - uar_of_rows(other, n_labels)
    names, first = _counts(own, n_labels)
    everyone, second = _counts(other, n_labels)
    n = len(set(names) - {""})
    unknown = max(of_nobody(names, first), of_nobody(everyone, second))
    if why := nobody_drawn(unknown) or _no_interval(names, everyone):
        return Interval(value, math.nan, math.nan, n, why)
    placed_first = placed(names, first.mean(axis=0), everyone)
    ends = uncertainty.difference(placed_first, second.mean(axis=0), "uar")
    return Interval(value, ends.low, ends.high, n)


def _no_interval(names: Sequence[str], everyone: Sequence[str]) -> str:
    if len(names) < MIN_SPEAKERS:
        n = len(names)
        return f"{n} test speakers, fewer than {MIN_SPEAKERS}: no interval"
    if strange := set(names) - set(everyone):
        return (
            f"tests {len(strange)} speakers whom the honest protocol does not: no "
            "interval of the difference"
        )
    return ""


def _counts(rows: pd.DataFrame, n_labels: int) -> tuple[list[str], NDArray[np.int64]]:
    """Count ``(seed, speaker, truth, guess)``; every seed guessed the same speakers.

    Where seeds test different utterances (of one random part, say), speakers that one
    of them lacks count nothing there.
    """
    names = sorted(set(rows.loc[rows["truth"] >= 0, "speaker"].astype(str)))
    seeds = rows["seed"].unique()
    out = np.zeros((len(seeds), len(names), n_labels, n_labels), np.int64)
    for i, seed in enumerate(seeds):
        part = rows[rows["seed"] == seed]
        own, counts = speaker_confusions(
            part["truth"].to_numpy(np.int64),
            part["guess"].to_numpy(np.int64),
            part["speaker"].to_numpy(object),
            n_labels,
        )
        out[i, [names.index(name) for name in own]] = counts
    return names, out
