"""Where a run is worse: for one group of test utterances rather than another.

Gaps are differences of UAR between groups: women and men, one corpus and another,
normal and strong intensity. A UAR over other labels cannot be compared (RAVDESS has no
strong neutral), so groups are scored on the labels that all of them have, and the
others are named. Up to ``MOST_PAIRED`` groups are compared in pairs; of more, each is
compared with all others together, or the pairs would be far more than anybody reads.

All intervals are over speakers. Where the same speakers stand in both groups, they are
drawn together, and the difference is a paired one; where nobody stands in both, each
group's speakers are drawn by themselves.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import RunError, listing
from contracts.manifest import TRAIT
from contracts.run import Run
from evaluation.measures.metrics import answered
from evaluation.statistics._bootstrap import limits, resampled
from evaluation.statistics.confusions import Counts, placed, speaker_confusions, uar_of
from evaluation.statistics.uncertainty import (
    MIN_SPEAKERS,
    Interval,
    difference,
    interval,
)

COLUMNS = ("sex", "corpus", f"{TRAIT}intensity")  # asked of every run
MOST_PAIRED = 6  # groups, of which there are 15 pairs
MOST_VALUES = 12  # of a trait; more are a scale, of which values are no groups
OTHERS = "all others"


@dataclass(frozen=True)
class Group:
    """One group of test utterances.

    Attributes:
        name: value of the column
        uar: over the labels that all groups have
        n: utterances of these labels
        speakers: as ``few_speakers`` returns them
    """

    name: str
    uar: Interval
    n: int
    speakers: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Gap:
    """The difference between two groups.

    Attributes:
        first: name of a group
        second: name of the other, or ``OTHERS``
        difference: UAR of the first less that of the second
    """

    first: str
    second: str
    difference: Interval


@dataclass(frozen=True)
class Gaps:
    """How a run's UAR differs between groups of test utterances.

    Attributes:
        column: that says who is in which group
        labels: that are scored, since every group has them
        left_out: labels that some group lacks
        n_unknown: utterances that are in no group
        groups: in the order of their names
        gaps: each pair of groups, or each group and all others
        note: why there are no groups; else empty
    """

    column: str
    labels: tuple[str, ...]
    left_out: tuple[str, ...]
    n_unknown: int
    groups: tuple[Group, ...]
    gaps: tuple[Gap, ...]
    note: str = ""


def _counts(rows: pd.DataFrame, n_labels: int) -> tuple[list[str], Counts]:
    """Return speakers in order, and counts ``(speaker, truth, guess)``."""
    truth, guess, who = (rows[c].to_numpy() for c in ("truth", "guess", "speaker"))
    return speaker_confusions(truth, guess, who, n_labels)


def uar_over_speakers(rows: pd.DataFrame, n_labels: int) -> Interval:
    """Return the UAR of rows as ``answered`` returns them, with its interval."""
    names, counts = _counts(rows, n_labels)
    return interval(counts, speakers=names)


def few_speakers(rows: pd.DataFrame, n_labels: int) -> tuple[tuple[str, float], ...]:
    """Return each speaker's UAR, over the labels they have, where there are few.

    Args:
        rows: as ``answered`` returns them
        n_labels: length of the label list

    Returns:
        speakers in order; empty where there are ``MIN_SPEAKERS`` or more, whom an
        interval speaks of. Of utterances of unknown speakers nothing is in it
    """
    names, counts = _counts(rows, n_labels)
    if len({*names} - {""}) >= MIN_SPEAKERS:
        return ()
    each = zip(names, uar_of(counts).tolist(), strict=True)
    return tuple((name, value) for name, value in each if name)


def gaps(run: Run, column: str) -> Gaps | None:
    """Compare groups of test utterances.

    Args:
        run: a finished run
        column: of the prediction rows: ``sex``, ``corpus``, ``trait:intensity``

    Returns:
        groups and differences, or a note where a trait has too many values; None where
        there are not two groups, or no label that all of them have

    Raises:
        RunError: if prediction rows have no such column
    """
    rows = _rows(run, column)
    value = rows[column].astype("str").where(rows[column].notna(), "")
    known = rows.assign(group=value)[value != ""]
    if column.startswith(TRAIT) and (n := known["group"].nunique()) > MOST_VALUES:
        return _too_many(column, n, len(rows) - len(known))
    parts = {str(g): part for g, part in known.groupby("group")}
    has = [set(part["truth"]) for part in parts.values()]
    shared = sorted(set.intersection(*has)) if has else []
    if len(parts) < 2 or not shared:
        return None
    lost = sorted(set.union(*has) - set(shared))
    parts = {g: part[part["truth"].isin(shared)] for g, part in parts.items()}
    k = len(run.classes)
    groups = [
        Group(g, uar_over_speakers(p, k), len(p), few_speakers(p, k))
        for g, p in parts.items()
    ]
    return Gaps(
        column,
        tuple(run.classes[i] for i in shared),
        tuple(run.classes[i] for i in lost),
        len(rows) - len(known),
        tuple(groups),
        tuple(_compared(parts, k)),
    )


def _rows(run: Run, column: str) -> pd.DataFrame:
    """Return the prediction rows that are asked, but for variants.

    Raises:
        RunError: if they have no such column
    """
    rows = answered(run)
    if column not in rows:
        has = [c for c in rows if not str(c).startswith(("p:", "vote:"))]
        msg = (
            f"the predictions of run {run.run_id} have no column {column!r}, expected "
            f"one of {listing(has, 20)}"
        )
        raise RunError(msg)
    return rows[rows["variant"] == ""]


def _too_many(column: str, n: int, n_unknown: int) -> Gaps:
    name = column.removeprefix(TRAIT)
    note = (
        f"{name} has {n:,} values, more than {MOST_VALUES}: bin it in the column "
        f"{column} of the manifest"
    )
    return Gaps(column, (), (), n_unknown, (), (), note)


def _compared(parts: Mapping[str, pd.DataFrame], n_labels: int) -> Iterator[Gap]:
    """Compare groups in pairs; where they are many, each with all others."""
    if len(parts) <= MOST_PAIRED:
        for a, b in combinations(parts, 2):
            yield Gap(a, b, difference_between(parts[a], parts[b], n_labels))
        return
    whole = pd.concat(parts.values())
    for name, part in parts.items():
        others = whole[whole["group"] != name]
        yield Gap(name, OTHERS, difference_between(part, others, n_labels))


def all_gaps(run: Run, columns: Sequence[str] = COLUMNS) -> list[Gaps]:
    """Compare whatever groups a run has; a column that is not there tells nothing."""
    there = [c for c in columns if c in run.predictions]
    found = [gaps(run, column) for column in there]
    return [one for one in found if one is not None]


def difference_between(
    first: pd.DataFrame, second: pd.DataFrame, n_labels: int
) -> Interval:
    """Return UAR of the first less that of the second, with its interval."""
    names, one = _counts(first, n_labels)
    others, two = _counts(second, n_labels)
    if not {*names} & {*others} and "" not in names + others:
        return _apart(one, two)
    everyone = sorted({*names, *others})
    both = placed(names, one, everyone), placed(others, two, everyone)
    return difference(*both, "uar", everyone)


def _apart(first: Counts, second: Counts) -> Interval:
    """Compare groups that have no speaker in common; each is drawn by itself."""
    value = float(uar_of(first.sum(axis=0)) - uar_of(second.sum(axis=0)))
    least, n = min(len(first), len(second)), len(first) + len(second)
    if least < MIN_SPEAKERS:
        why = f"{least} speakers in one group, fewer than {MIN_SPEAKERS}: no interval"
        return Interval(value, math.nan, math.nan, n, why)
    draws: list[NDArray[np.float64]] = [
        uar_of(resampled(each[None].astype(float), stream)[0])
        for stream, each in enumerate((first, second))
    ]
    low, high = limits(draws[0] - draws[1], least).tolist()
    return Interval(value, low, high, n)
