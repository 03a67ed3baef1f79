"""Bars of what the benches found, as one SVG file that is read in light and dark."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from bench._text import short
from report._svg import box, element, line, text, ticks

WIDTH, LEFT, RIGHT = 780.0, 262.0, 150.0  # of the drawing; beside the bars
ROW, BAR = 26.0, 14.0  # heights
STYLE = """
svg { --paper: #ffffff; --ink: #1a1e23; --muted: #565e69; --rule: #dcd9d1;
  --bar: #a9b4bf; --ours: #0b5c93;
  font: 12.5px system-ui, "Segoe UI", Roboto, Helvetica, "DejaVu Sans", sans-serif; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #0f1317; --ink: #e7e9eb; --muted: #a3adb8; --rule: #2e3740;
    --bar: #56626e; --ours: #74bdf0; }
}
text { fill: var(--ink); } .paper { fill: var(--paper); } .bar { fill: var(--bar); }
.bar.ours { fill: var(--ours); } .title { font-weight: 650; font-size: 14px; }
.ours-text { font-weight: 650; } .tick { fill: var(--muted); font-size: 11px; }
.value { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }
.grid { stroke: var(--rule); } .range { stroke: var(--ink); stroke-width: 1.5; }
"""


def plot(tables: Sequence[Mapping[str, Any]]) -> str:
    """Draw one group of bars for each table, below each other.

    Bars are medians, whiskers go from the slowest to the fastest round, and a number
    with a cross says how many times as fast ours is.
    """
    inside: list[Markup] = []
    top = 14.0
    for one in tables:
        inside += _group(one, top)
        top += 62 + ROW * len(one["rows"])
    said = "Median of the rounds, whiskers from slowest to fastest; "
    said += "×: how many times as fast ours is"
    inside.append(text(LEFT, top + 6, said, "tick"))
    height = top + 18
    drawing = element(
        "svg",
        element("style", Markup(STYLE)),
        box(0, 0, WIDTH, height, "paper"),
        *inside,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
        width=WIDTH,
        height=height,
        role="img",
        aria_label=_describe(tables),
    )
    return f"{drawing}\n"


def _group(told: Mapping[str, Any], top: float) -> list[Markup]:
    """Draw the bars of one table."""
    rows = told["rows"]
    most = max(row["rate_max"] for row in rows)
    scale = (WIDTH - LEFT - RIGHT) / most
    first, bottom = top + 18, top + 18 + ROW * len(rows)
    out = [text(LEFT, top + 6, told["title"], "title")]
    for tick in ticks(0, most, 5):
        x = LEFT + tick * scale
        out.append(line(x, first, x, bottom, "grid"))
        out.append(text(x, bottom + 14, f"{tick:g}", "tick", "middle"))
    out.append(text(WIDTH - 8, bottom + 14, told["unit"], "tick", "end"))
    for i, row in enumerate(rows):
        out += _bar(row, first + ROW * i, scale, row["contender"] == told["ours"])
    return out


def _bar(row: Mapping[str, Any], top: float, scale: float, ours: bool) -> list[Markup]:
    """Draw one contender: name, bar, whisker, numbers."""
    middle = top + ROW / 2
    ends = [LEFT + row[key] * scale for key in ("rate_min", "rate_max")]
    bar = "bar ours" if ours else "bar"
    said = short(row["rate"])
    if "ours_is" in row:
        said += f" (ours {short(row['ours_is'])} ×)"
    bold = "ours-text" if ours else ""
    return [
        text(LEFT - 8, middle + 4, row["contender"], bold, "end"),
        box(LEFT, middle - BAR / 2, row["rate"] * scale, BAR, bar),
        line(ends[0], middle, ends[1], middle, "range"),
        *(line(x, middle - 4, x, middle + 4, "range") for x in ends),
        text(ends[1] + 8, middle + 4, said, f"value {bold}".strip()),
    ]


def _describe(tables: Sequence[Mapping[str, Any]]) -> str:
    """Say what is drawn, for who does not see it."""
    parts = []
    for one in tables:
        told = [f"{r['contender']} {short(r['rate'])}" for r in one["rows"]]
        parts.append(f"{one['title']}, {one['unit']}: {', '.join(told)}.")
    return " ".join(parts)
