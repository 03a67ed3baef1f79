"""Numbers with their interval over speakers, in words."""

import math
from collections.abc import Callable, Iterable

from evaluation.statistics.uncertainty import Interval
from report._words import NOTHING

BRACKETS = "In brackets: 95 % over speakers"


def number(value: float) -> str:
    """Write a number with three decimals; a dash where there is none."""
    return NOTHING if math.isnan(value) else f"{value:.3f}"


def with_ends(
    found: Interval,
    write: Callable[[float], str] = number,
    unit: str = "",
    known: str = "",
) -> str:
    """Write a score, its unit, and both ends of its interval in brackets.

    Args:
        found: the score; where it has no interval, its note stands in the brackets
        write: how a number is written
        unit: what follows the score
        known: a note that is said elsewhere and so is not said again
    """
    said = write(found.value) + (f" {unit}" if unit else "")
    if not math.isnan(found.low):
        return f"{said} ({write(found.low)} to {write(found.high)})"
    return f"{said} ({found.note})" if found.note and found.note != known else said


def brackets_note(found: Iterable[Interval]) -> tuple[str, str]:
    """Say what the brackets of ``with_ends`` hold, once for several scores.

    Returns:
        the sentence for the reader, and the note that need not be said again: why
        there is no interval, where the first score has none
    """
    first = next(iter(found))
    if math.isnan(first.low):
        return first.note, first.note
    return BRACKETS, ""
