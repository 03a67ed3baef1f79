"""Robustness: UAR on degraded variants beside UAR on the same utterances as they were.

A variant's name is its kind and, where there is one, its level with a unit: ``noise``
at ``10dB``, see ``contracts/variant.py``. The variants of a kind are in order from the
weakest to the strongest, so that their scores can be read as a curve. Intervals are
over speakers, and a change is the paired difference of the same utterances.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import pandas as pd

from contracts import plugins, variant
from contracts.run import Run
from evaluation.measures.gaps import (
    difference_between,
    few_speakers,
    uar_over_speakers,
)
from evaluation.measures.metrics import answered
from evaluation.statistics.uncertainty import Interval

_LEVEL = re.compile(r"(m?)(\d+(?:\.\d+)?)([A-Za-z]*)")  # m is minus


@dataclass(frozen=True)
class Degraded:
    """What one kind of degraded sound does to a run.

    Attributes:
        name: as it was asked for, such as ``noise-10dB``
        kind: ``noise``
        level: the number in its name, 10; NaN where there is none
        unit: behind the number, ``dB``; empty where there is none
        uar: on the degraded utterances
        clean: on the same utterances as they were
        change: degraded less clean
        n: degraded utterances
        speakers: UAR on the degraded utterances, as ``few_speakers`` returns it
    """

    name: str
    kind: str
    level: float
    unit: str
    uar: Interval
    clean: Interval
    change: Interval
    n: int
    speakers: tuple[tuple[str, float], ...] = ()


def robustness(run: Run) -> list[Degraded]:
    """Score a run on each kind of degraded sound beside the same sound as it was.

    Args:
        run: fitted with ``--degrade``; of any other the list is empty

    Returns:
        by kind, from the weakest level to the strongest, without a level last
    """
    rows = answered(run)
    if not (rows["variant"] != "").any():
        return []
    name = pd.Series(variant.names(rows), index=rows.index)
    source = [
        i.removesuffix(f"~{v}")
        for i, v in zip(rows["id"], rows["variant"], strict=True)
    ]
    rows = rows.assign(name=name, source=source)
    clean = rows[rows["name"] == ""].set_index("id", drop=False)
    out = []
    for one in sorted({*name} - {""}):
        own = rows[(rows["name"] == one) & rows["source"].isin(clean.index)]
        if len(own):
            out.append(_degraded(one, own, clean.loc[own["source"]], len(run.classes)))
    return sorted(out, key=_place)


def curves(found: Sequence[Degraded]) -> tuple[list[list[Degraded]], list[Degraded]]:
    """Part what can be drawn over a level from what cannot.

    Args:
        found: as ``robustness`` returns it

    Returns:
        for each kind with two levels or more these in order, and all others. A curve
        that has levels on both sides of sound as it was goes through that
    """
    over_levels, others = [], []
    for _, group in groupby(found, key=lambda one: one.kind):
        own = list(group)
        known = [one for one in own if not math.isnan(one.level)]
        if len({one.level for one in known}) > 1:
            over_levels.append(_through_unchanged(known))
            own = [one for one in own if math.isnan(one.level)]
        others += own
    return over_levels, others


def _through_unchanged(own: list[Degraded]) -> list[Degraded]:
    """Put the same utterances as they were where a kind changes nothing."""
    level = _unchanged(own[0].kind)
    before = [one for one in own if one.level < level]
    after = [one for one in own if one.level > level]
    if not before or not after or len(before) + len(after) < len(own):
        return own
    last = before[-1]
    none = replace(last.change, value=0.0, low=0.0, high=0.0)
    as_it_was = replace(
        last,
        name="as it was",
        level=level,
        uar=last.clean,
        change=none,
        speakers=(),  # those of the last variant
    )
    return [*before, as_it_was, *after]


def _unchanged(kind: str) -> float:
    """Return the level that leaves sound as it was; NaN where none is known."""
    if kind not in plugins.names("variants"):
        return math.nan  # of a run fitted with a plug-in that is gone
    return float(plugins.load("variants", kind).UNCHANGED)


def _place(one: Degraded) -> tuple[str, bool, float, str]:
    """Return what variants are sorted by; NaN is in no order with anything."""
    level = 0.0 if math.isnan(one.level) else one.level
    falls = math.isinf(_unchanged(one.kind))  # signal over noise, bits per second
    return one.kind, math.isnan(one.level), -level if falls else level, one.name


def _degraded(
    name: str, rows: pd.DataFrame, clean: pd.DataFrame, n_labels: int
) -> Degraded:
    kind, _, parameter = name.partition("-")
    level, unit = _level(parameter)
    worse, before = (uar_over_speakers(part, n_labels) for part in (rows, clean))
    change = difference_between(rows, clean, n_labels)
    sure = worse, before, change
    few = few_speakers(rows, n_labels)
    return Degraded(name, kind, level, unit, *sure, len(rows), few)


def _level(parameter: str) -> tuple[float, str]:
    """Read ``m6dB`` as -6 and ``dB``; NaN where it is no number with a unit."""
    found = _LEVEL.fullmatch(parameter)
    if found is None:
        return math.nan, ""
    return float(found[2]) * (-1 if found[1] else 1), found[3]
