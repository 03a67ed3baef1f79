"""Numbers in the cells of tables, which are text: what they mean, how they are written.

Numbers, points in time as several libraries write them, and names made of numbers.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_FLOAT = re.compile(r"(-?\d+)\.0+", re.ASCII)


def numbered(cells: pd.Series[str]) -> bool:
    """Say whether names are numbers that pandas wrote as floats, as ``1.0``."""
    return all_numbers(cells) and any(_FLOAT.fullmatch(cell) for cell in cells)


def whole(cell: str) -> str:
    """Write a whole number that is a float, ``1.0``, as ``1``; others stay."""
    return _FLOAT.sub(r"\1", cell) if _FLOAT.fullmatch(cell) else cell


def all_numbers(cells: pd.Series[str]) -> bool:
    """Say whether cells hold numbers only; ``007`` is a name and no number."""
    filled = [cell for cell in cells if cell]
    coded = any(len(c) > 1 and c[0] == "0" and c[1].isdigit() for c in filled)
    return bool(filled) and not coded and all(number(c) is not None for c in filled)


_TIME = re.compile(
    r"(?:(?P<d>\d+) days?)?(?:^|,? +|$)"
    r"(?:(?P<h>\d+):(?P<m>\d\d):(?P<s>\d\d(?:\.\d+)?))?",
    re.ASCII,
)


def seconds(cell: str) -> float | None:
    """Read a point in time, None if the cell holds none.

    It is a number of seconds, or a duration as pandas, audformat and nkululeko write
    it: ``0 days 00:00:01.5``, ``00:00:01.5``.
    """
    if (value := number(cell)) is not None:
        return value
    told = _TIME.fullmatch(cell)
    if not cell or not told:
        return None
    days, hours, minutes = (int(told[unit] or 0) for unit in "dhm")
    whole = 60 * (60 * (24 * days + hours) + minutes)
    return round(whole + float(told["s"] or 0), 9)


def number(cell: str) -> float | None:
    """Read a finite number, None if the cell holds none."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
