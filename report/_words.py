"""Numbers in words, the same in a terminal and on the page."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from evaluation.statistics.uncertainty import Interval

NOTHING = "–"


def percent(value: float | None) -> str:
    """Write a share in percent, one decimal; a dash where there is none."""
    if value is None or math.isnan(value):
        return NOTHING
    return f"{100 * value:.1f}"


def points(value: float) -> str:
    """Write a difference of shares in points of percent, one decimal."""
    return f"{100 * value:.1f}"


def ends(interval: Interval) -> str:
    """Write the ends of an interval in percent; a dash where there is none."""
    if math.isnan(interval.low):
        return NOTHING
    return f"{percent(interval.low)} to {percent(interval.high)}"


def spread(row: Mapping[str, Any]) -> str:
    """Write mean, standard deviation and range over folds in percent."""
    if math.isnan(row["fold_mean"]):
        return NOTHING
    if math.isnan(row["fold_sd"]):
        return f"{percent(row['fold_mean'])} (one fold)"
    low, high = percent(row["fold_min"]), percent(row["fold_max"])
    return f"{percent(row['fold_mean'])} ± {percent(row['fold_sd'])} ({low} to {high})"


def told(settings: Mapping[str, Any]) -> str:
    """Write settings as ``key=value``, joined by commas."""
    return ", ".join(f"{k}={v}" for k, v in settings.items())


def short_names(speakers: Iterable[str]) -> str:
    """Join speakers without their corpus, where all are of one.

    Example:
        >>> short_names(["ravdess/01", "ravdess/02"])
        '01, 02'
    """
    names = list(speakers)
    if len({name.partition("/")[0] for name in names}) == 1:
        names = [name.partition("/")[2] or name for name in names]
    return ", ".join(names)
