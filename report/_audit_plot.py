"""The plot of an audit: each practice's UAR with its interval beside the honest one.

On the page it takes the page's colours; as a file it brings its own, on a light ground.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from contracts.errors import listing
from contracts.terminal import count
from report._svg import box, clip, drawing, element, line, mark, text, ticks
from report._uprights import beside_names
from report._words import percent, points

Place = Callable[[float], float]
MARKS = {"honest": "diamond", "optimistic": "circle", "reference": "square"}
_CLASSES = {"honest": "pooled", "optimistic": "dot", "reference": "pooled weak"}
_STYLE = """
svg { font: 11.5px system-ui, "Segoe UI", Roboto, Helvetica, "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; }
text { fill: #1a1e23; } .paper { fill: #ffffff; } .grid { stroke: #dcd9d1; }
text.title { font-size: 14px; font-weight: 650; } .name { font-size: 12px; }
text.tick { fill: #565e69; font-size: 11px; } text.chance-text { fill: #a8440a; }
.value { font-size: 13px; font-weight: 700; }
line.chance, line.reference { stroke: #a8440a; stroke-width: 1.5;
  stroke-dasharray: 5 3; }
.range { stroke: #565e69; stroke-width: 1.5; }
.inflation { fill: #a8440a; fill-opacity: .25; }
.dot { fill: #0b5c93; fill-opacity: .5; stroke: #0b5c93; }
.pooled { fill: #1a1e23; stroke: #ffffff; stroke-width: 1.2; }
.pooled.weak { fill: #ffffff; stroke: #1a1e23; stroke-width: 1.6; }
.halo { paint-order: stroke; stroke: #ffffff; stroke-width: 5px; }
"""
_WIDTH, _LEFT, _RIGHT, _TOP, _STEP = 560.0, 8.0, 118.0, 34.0, 40.0
_NAME = 19.0  # of a row's height, above its marks


def audit_points(audit: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what is drawn, one entry per practice that came to a number.

    Args:
        audit: what ``evaluation.auditing.record.read_audits`` returns one of

    Returns:
        ``practice``, ``name`` (title, and ``optimistic`` where it is), ``kind``,
        ``uar``, ``low``, ``high``, ``inflation``, ``inflation_low``,
        ``inflation_high``; numbers that there are not are None
    """
    numbers = "uar", "low", "high", "inflation", "inflation_low", "inflation_high"
    names = ("practice", "kind", *numbers)
    return [
        {name: row[name] for name in names} | {"name": _name(row)}
        for row in audit["rows"]
        if not row["skipped"]
    ]


def audit_plot(audit: Mapping[str, Any]) -> Markup:
    """Draw a mark and an interval for each practice; the line is the honest UAR."""
    height, inside = _drawn(audit)
    return drawing(_WIDTH, height, _label(audit), inside, "audit", least=420)


def audit_file(audit: Mapping[str, Any]) -> str:
    """Draw the same as an SVG file that needs no style sheet, with a title."""
    height, inside = _drawn(audit)
    edge, top = 14.0, 44.0
    width, height = _WIDTH + 2 * edge, height + top + 6
    size = count(audit["n_utterances"], "utterance")
    size += f" of {count(audit['n_speakers'], 'speaker')}"
    about = [audit["corpus"], audit["protocol"]["name"], size]
    about += ["untrained encoder"] if audit["untrained"] else []
    about += [_partial(audit)] if audit["partial"] else []
    made = element(
        "svg",
        element("style", Markup(_STYLE)),
        box(0, 0, width, height, "paper"),
        text(edge + _LEFT, 24, audit_title(audit), "title"),
        text(edge + _LEFT, 42, " · ".join(about), "tick"),
        element("g", *inside, transform=f"translate({edge:g} {top:g})"),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=width,
        height=height,
        role="img",
        aria_label=_label(audit),
    )
    return f"{made}\n"


def _partial(audit: Mapping[str, Any]) -> str:
    folds = audit.get("folds")  # audits of format 1 do not tell them
    return f"folds {listing(folds)} alone" if folds else "some folds alone"


def audit_title(audit: Mapping[str, Any]) -> str:
    """Name what is audited: the head and what it is fed with."""
    features = " + ".join(f.partition("@")[0] for f in audit["features"])
    return f"{audit['model']} · {features}"


def _drawn(audit: Mapping[str, Any]) -> tuple[float, list[Markup]]:
    """Return the height of the drawing, and its elements."""
    shown = audit_points(audit)
    honest, chance = float(shown[0]["uar"]), float(audit["chance"])
    low, high = _span(shown, chance)
    bottom = _TOP + _STEP * len(shown)

    def place(value: float) -> float:
        whole = _WIDTH - _LEFT - _RIGHT
        return _LEFT + (value - low) / (high - low) * whole

    out: list[Markup] = []
    for tick in ticks(low, high, 6):
        out.append(line(place(tick), _TOP, place(tick), bottom, "grid"))
        said = f"{100 * tick:.0f}"
        out.append(text(place(tick), bottom + 16, said, "tick", "middle"))
    for value, kind in ((chance, "chance"), (honest, "reference")):
        out += beside_names(place(value), _TOP, _STEP, len(shown), kind, _NAME)
    said = f"chance {percent(chance)}"
    out.append(text(place(chance) + 4, _TOP - 8, said, "tick chance-text"))
    out.append(text(_WIDTH - _RIGHT, bottom + 33, "UAR in %", "tick", "end"))
    heads = (_WIDTH - 66, "UAR"), (_WIDTH - 4, "inflation")
    out += [text(x, _TOP - 8, head, "tick", "end") for x, head in heads]
    for i, point in enumerate(shown):
        out += _row(point, _TOP + _STEP * i, place)
    return bottom + 40, out


def _span(shown: Sequence[Mapping[str, Any]], chance: float) -> tuple[float, float]:
    ends = [p[n] for p in shown for n in ("uar", "low", "high") if p[n] is not None]
    low = max(0.0, math.floor(min([chance, *ends]) * 10 - 0.2) / 10)
    return low, min(1.0, math.ceil(max([chance, *ends]) * 10 + 0.2) / 10)


def _row(point: Mapping[str, Any], y: float, place: Place) -> list[Markup]:
    middle, kind = y + 28, point["kind"]
    out = [text(_LEFT, y + 14, clip(point["name"], 74), "name halo")]
    x = place(point["uar"])
    honest = place(point["uar"] - (point["inflation"] or 0.0))  # the counterpart's
    if kind == "optimistic" and abs(x - honest) > 0.5:
        left, wide = min(x, honest), abs(x - honest)
        said = f"inflation {signed(point['inflation'])} points"
        out.append(box(left, middle - 5, wide, 10, "inflation", said))
    if point["low"] is not None:
        ends = place(point["low"]), place(point["high"])
        out.append(line(ends[0], middle, ends[1], middle, "range"))
    said = f"{point['name']}: UAR {percent(point['uar'])} %"
    out.append(mark(MARKS[kind], x, middle, _CLASSES[kind], said, 5))
    uar = percent(point["uar"])
    out.append(text(_WIDTH - 66, middle + 4, uar, "value", "end"))
    said = signed(point["inflation"])
    out.append(text(_WIDTH - 4, middle + 4, said, "value", "end"))
    return out


def signed(difference: float | None) -> str:
    """Write a difference of shares in points with its sign; empty: there is none."""
    if difference is None:
        return ""
    sign = "+" if difference >= 0 else "−"
    return f"{sign}{points(abs(difference))}"


def _name(row: Mapping[str, Any]) -> str:
    flag = "optimistic: " if row["kind"] == "optimistic" else ""
    return f"{flag}{row['title']}"


def _label(audit: Mapping[str, Any]) -> str:
    shown = audit_points(audit)
    first = shown[0]
    told = [
        p for p in shown if p["kind"] == "optimistic" and p["inflation"] is not None
    ]
    most = max(told, key=lambda p: float(p["inflation"]), default=None)
    words = (
        f"Audit of {audit['model']}: UAR of {count(len(shown), 'practice')}, honest "
        f"{percent(first['uar'])} %."
    )
    if most is not None:
        words += (
            f" Most optimistic: {most['practice']}, {signed(most['inflation'])} points."
        )
    return f"{words} The table holds the same numbers."
