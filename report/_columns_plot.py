"""Marks with intervals over names or numbers, and a dashed line to read them against.

Layers of an encoder and degraded sound are drawn so.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from markupsafe import Markup

from evaluation.statistics.uncertainty import Interval
from report._svg import box, drawing, line, mark, polyline, text, ticks
from report._words import ends, percent

LEFT, RIGHT, TOP, HEIGHT = 40.0, 8.0, 22.0, 180.0
LETTER = 6.4  # pixels of a letter below a column


@dataclass(frozen=True)
class Column:
    """A mark with its interval.

    Attributes:
        name: below it
        said: when it is pointed at, before its number
        uar: what is drawn
        reference: UAR of the dashed line there
    """

    name: str
    said: str
    uar: Interval
    reference: float


@dataclass(frozen=True)
class Axes:
    """Where a UAR is on a drawing.

    Attributes:
        width: of the drawing, pixels
        low: UAR at the bottom
        high: UAR at the top
    """

    width: float
    low: float
    high: float

    def y(self, uar: float) -> float:
        """Return the height of a UAR in pixels."""
        return TOP + HEIGHT * (1 - (uar - self.low) / ((self.high - self.low) or 1))


def span(columns: Iterable[Column]) -> tuple[float, float]:
    """Return the ends of an axis that holds every column, a tenth or more of UAR."""
    told = [(c.uar.value, c.uar.low, c.uar.high, c.reference) for c in columns]
    known = [value for four in told for value in four if not math.isnan(value)]
    if not known:
        return 0.0, 1.0
    low, high = math.floor(min(known) * 10) / 10, math.ceil(max(known) * 10) / 10
    low = min(max(0.0, low), 0.9)
    return low, max(min(1.0, high), low + 0.1)


def columns_plot(
    columns: Sequence[Column],
    xs: Sequence[float],
    axes: Axes,
    label: str,
    title: str = "UAR %",
    unit: str = "",
    below: Sequence[Markup] = (),
) -> Markup:
    """Draw columns; those that have a ``unit`` are numbers, and are joined by a line.

    Args:
        columns: from left to right
        xs: their places, pixels
        axes: of the drawing
        label: what a person sees who does not see
        title: above the axis
        unit: of the names
        below: what is drawn before the columns, and so lies below them
    """
    known = [
        (x, column)
        for x, column in zip(xs, columns, strict=True)
        if not math.isnan(column.uar.value)
    ]
    out = [*_grid(axes), *below]
    for x, column in known:
        one = column.uar
        if not math.isnan(one.low):
            tall = axes.y(one.low) - axes.y(one.high)
            out.append(box(x - 6, axes.y(one.high), 12, tall, "interval"))
        said = f"{column.said}: {percent(one.value)} % ({ends(one)})"
        out.append(mark("diamond", x, axes.y(one.value), "pooled", said, 4))
    if unit:
        points = [(x, axes.y(column.uar.value)) for x, column in known]
        out.append(polyline(points, "curve-dev"))
        bottom = TOP + HEIGHT + 32
        out.append(text(axes.width - RIGHT, bottom, unit, "tick", "end"))
    out += [*_names(columns, xs), *_references(columns, xs, axes)]
    out.append(text(LEFT, TOP - 9, title, "tick"))
    height = TOP + HEIGHT + (40 if unit else 24)
    return drawing(axes.width, height, label, out, "columns", least=axes.width * 0.8)


def _grid(axes: Axes) -> list[Markup]:
    out = []
    for tick in ticks(axes.low, axes.high, 5):
        y = axes.y(tick)
        out.append(line(LEFT, y, axes.width - RIGHT, y, "grid"))
        out.append(text(LEFT - 6, y + 4, f"{100 * tick:.0f}", "tick", "end"))
    return out


def _names(columns: Sequence[Column], xs: Sequence[float]) -> list[Markup]:
    """Write the names below; one that would touch the name before it is left out."""
    out, free = [], -math.inf
    for x, column in zip(xs, columns, strict=True):
        half = LETTER * len(column.name) / 2
        if x - half >= free:
            out.append(text(x, TOP + HEIGHT + 16, column.name, "tick", "middle"))
            free = x + half
    return out


def _references(
    columns: Sequence[Column], xs: Sequence[float], axes: Axes
) -> list[Markup]:
    """Draw the dashed line, in one piece where columns have the same reference."""
    between = [(a + b) / 2 for a, b in pairwise(xs)]
    edges = [LEFT, *between, axes.width - RIGHT]
    out, start = [], 0
    for reference, group in groupby(columns, key=lambda column: column.reference):
        end = start + len(list(group))
        if not math.isnan(reference):
            y = axes.y(reference)
            out.append(line(edges[start], y, edges[end], y, "reference"))
        start = end
    return out


def evenly(columns: Sequence[Column], step: float = 42) -> tuple[list[float], float]:
    """Place columns side by side.

    Args:
        columns: from left to right
        step: least pixels between two; longer names take more

    Returns:
        places and width, pixels
    """
    longest = max(len(column.name) for column in columns)
    step = max(step, LETTER * longest + 10, 240 / len(columns))
    places = [LEFT + step * (i + 0.5) for i in range(len(columns))]
    return places, LEFT + step * len(columns) + 12


def by_level(
    levels: Sequence[float], names: Sequence[str]
) -> tuple[list[float], float]:
    """Place columns by their levels, the first on the left.

    Args:
        levels: rising or falling, two of them different
        names: below

    Returns:
        places and width, pixels: wide enough for the names as far as that is sensible
    """
    whole = levels[-1] - levels[0]
    shares = [(level - levels[0]) / whole for level in levels]
    gaps = [b - a for a, b in pairwise(shares) if b > a]
    need = LETTER * max(map(len, names)) + 6
    inner = min(max(180.0, need / min(gaps)), 340.0)
    edge = max(14.0, need / 2)
    places = [LEFT + edge + inner * share for share in shares]
    return places, LEFT + 2 * edge + inner + RIGHT
