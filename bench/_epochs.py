"""Seconds of an epoch, contender by contender, as one SVG file with one scale for all.

Drawn are the tables whose rates are utterances learnt from in a second, as of pepino
and vgg. The scale is logarithmic: the slowest takes hundreds of times the quickest.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from bench._plot import BAR, LEFT, RIGHT, ROW, STYLE, WIDTH
from bench._text import short
from report._svg import box, element, line, text

EPOCH = 1140  # utterances, of the fold of RAVDESS that others published on
UNIT = "utterances/s"
MORE = """
.dot { fill: var(--bar); } .dot.ours { fill: var(--ours); }
.whisker { stroke: var(--bar); stroke-width: 2; } .whisker.ours { stroke: var(--ours); }
"""


class Scale:
    """Places of seconds on a logarithmic axis of whole powers of ten.

    Args:
        least: seconds that must be on it
        most: likewise
    """

    def __init__(self, least: float, most: float) -> None:
        self.first = math.floor(math.log10(least))
        self.last = max(self.first + 1, math.ceil(math.log10(most)))

    def place(self, seconds: float) -> float:
        """Return where a number of seconds is drawn."""
        share = (math.log10(seconds) - self.first) / (self.last - self.first)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def ticks(self) -> list[float]:
        """Return the powers of ten."""
        return [10.0**power for power in range(self.first, self.last + 1)]


def epochs(tables: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return tables of one fit as seconds of an epoch.

    Returns:
        for each its ``title`` and ``rows``: ``contender``, ``seconds``, ``least``,
        ``most``, ``ours`` (whether it is), ``said``
    """
    out = []
    for told in tables:
        if told["unit"] != UNIT:
            continue
        rows = []
        for row in told["rows"]:
            most, middle, least = (
                EPOCH / row[f"rate{end}"] for end in ("_min", "", "_max")
            )
            said = f"{short(middle)} s"
            if "ours_is" in row:
                said += f" (ours {short(row['ours_is'])} ×)"
            ours = row["contender"] == told["ours"]
            one = {"contender": row["contender"], "seconds": middle, "said": said}
            rows.append(one | {"least": least, "most": most, "ours": ours})
        out.append({"title": told["title"], "rows": rows})
    return out


def plot_epochs(tables: Sequence[Mapping[str, Any]]) -> str:
    """Draw seconds of an epoch; whiskers go from the quickest to the slowest round.

    Raises:
        ValueError: if none of the tables has utterances learnt from in a second
    """
    groups = epochs(tables)
    if not groups:
        found = sorted({str(told["unit"]) for told in tables})
        msg = f"nothing to draw: expected tables in {UNIT!r}, got {found}. Run the "
        msg += "benches pepino and vgg"
        raise ValueError(msg)
    rows = [row for group in groups for row in group["rows"]]
    scale = Scale(min(r["least"] for r in rows), max(r["most"] for r in rows))
    inside: list[Markup] = []
    top = 14.0
    for group in groups:
        inside += _group(group, top, scale)
        top += 58 + ROW * len(group["rows"])
    said = f"Seconds of an epoch of {EPOCH} utterances, median and spread of the "
    said += "rounds; ×: how many times as fast ours is"
    inside.append(text(WIDTH / 2, top + 4, said, "tick", "middle"))
    drawing = element(
        "svg",
        element("style", Markup(STYLE + MORE)),
        box(0, 0, WIDTH, top + 16, "paper"),
        *inside,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH:.0f} {top + 16:.0f}",
        width=WIDTH,
        height=top + 16,
        role="img",
        aria_label=_describe(groups),
    )
    return f"{drawing}\n"


def _group(group: Mapping[str, Any], top: float, scale: Scale) -> list[Markup]:
    """Draw one table: title, scale, a dot with whiskers for each contender."""
    first, bottom = top + 18, top + 18 + ROW * len(group["rows"])
    out = [text(LEFT, top + 6, group["title"], "title")]
    for tick in scale.ticks():
        x = scale.place(tick)
        out.append(line(x, first, x, bottom, "grid"))
        out.append(text(x, bottom + 14, f"{tick:g} s", "tick", "middle"))
    for i, row in enumerate(group["rows"]):
        middle, ours = first + ROW * (i + 0.5), " ours" if row["ours"] else ""
        bold = "ours-text" if ours else ""
        x, least, most = (scale.place(row[k]) for k in ("seconds", "least", "most"))
        out += [
            text(LEFT - 8, middle + 4, row["contender"], bold, "end"),
            line(least, middle, most, middle, f"whisker{ours}"),
            element("circle", cx=x, cy=middle, r=BAR / 3, class_=f"dot{ours}"),
            text(most + 10, middle + 4, row["said"], f"value {bold}".strip()),
        ]
    return out


def _describe(groups: Sequence[Mapping[str, Any]]) -> str:
    """Say what is drawn, for who does not see it."""
    told = [
        f"{group['title']}: "
        + ", ".join(f"{r['contender']} {short(r['seconds'])} s" for r in group["rows"])
        for group in groups
    ]
    return f"Seconds of an epoch of {EPOCH} utterances. {'. '.join(told)}."
