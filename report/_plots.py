"""Plots of runs: folds, speakers, epochs, layers."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from contracts.terminal import count
from report._svg import box, clip, drawing, line, mark, polyline, text, ticks
from report._words import percent

MARKS = {"female": "circle", "male": "square"}
N_SPEAKERS = 100  # more than this many are drawn as a histogram


def fold_dots(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Draw UAR per row: a dot per fold, a diamond for the pooled value, chance."""
    width, left, right, top, step = 440.0, 4.0, 50.0, 34.0, 38.0
    chance = float(rows[0]["chance"])
    seen: list[float] = [
        u for r in rows for us in r["fold_uars"] for u in us if not math.isnan(u)
    ]
    seen += [r["uar"] for r in rows if not math.isnan(r["uar"])]
    low = math.floor(min([chance, *seen]) * 10 - 0.2) / 10
    high = min(1.0, math.ceil(max([chance, *seen]) * 10 + 0.2) / 10)
    low = max(0.0, low)
    bottom = top + step * len(rows)

    def place(value: float) -> float:
        return left + 8 + (value - low) / (high - low) * (width - left - right - 16)

    out: list[Markup] = []
    for tick in ticks(low, high, 6):
        out.append(line(place(tick), top, place(tick), bottom, "grid"))
        out.append(
            text(place(tick), bottom + 16, f"{100 * tick:.0f}", "tick", "middle")
        )
    out.append(line(place(chance), top - 6, place(chance), bottom, "chance"))
    anchor = "start" if place(chance) < width / 2 else "end"
    said = f"chance {percent(chance)}"
    out.append(text(place(chance) - 4, top - 11, said, "tick chance-text", anchor))
    out.append(text(width - right - 8, bottom + 33, "UAR in %", "tick", "end"))
    for i, row in enumerate(rows):
        out += _fold_row(row, top + step * i, place, width)
    best = rows[0]
    label = (
        f"UAR of {count(len(rows), 'row')}: a dot for each fold and a diamond for all "
        f"folds pooled. First: {best['model']}, {percent(best['uar'])} %. "
        f"Chance is {percent(chance)} %. The table holds the same numbers."
    )
    return drawing(width, bottom + 40, label, out, "folds")


def row_name(row: Mapping[str, Any]) -> str:
    """Name a row of results in one line."""
    differs = ", ".join(f"{k}={v}" for k, v in row["differs"].items())
    words = [row["model"], " + ".join(row["features"]), differs]
    return " · ".join(word for word in words if word)


def _fold_row(
    row: Mapping[str, Any], y: float, place: Callable[[float], float], width: float
) -> list[Markup]:
    middle = y + 26
    weak = " weak" if row["partial"] or row["untrained"] else ""
    out = [text(4, y + 13, clip(row_name(row), 58), "name halo")]
    if not math.isnan(row["fold_min"]):
        ends = place(row["fold_min"]), place(row["fold_max"])
        out.append(line(ends[0], middle, ends[1], middle, "range"))
    for seed, uars in zip(row["seeds"], row["fold_uars"], strict=True):
        for fold, uar in enumerate(uars):
            if not math.isnan(uar):
                said = f"fold {row['folds'][fold]}, seed {seed}: {percent(uar)} %"
                out.append(mark("circle", place(uar), middle, f"dot{weak}", said))
    if not math.isnan(row["uar"]):
        said = f"all folds pooled: {percent(row['uar'])} %"
        out.append(mark("diamond", place(row["uar"]), middle, f"pooled{weak}", said, 5))
    out.append(text(width - 2, middle + 4, percent(row["uar"]), "value", "end"))
    return out


def speaker_dots(speakers: Sequence[Mapping[str, Any]], uar: float) -> Markup:
    """Draw the UAR of each speaker, lowest first; the mark says the sex."""
    known = [s for s in speakers if not math.isnan(s["uar"])]
    if len(known) > N_SPEAKERS:
        return _speaker_histogram(known)
    step = 24.0 if len(known) <= 30 else 15.0
    top, height, left = 10.0, 150.0, 34.0
    width = left + step * len(known) + 10
    names = [clip(str(s["name"]).rpartition("/")[2], 7) for s in known]
    steep = step < 20 or max(map(len, names)) > 3
    deep = 48 if steep else 24

    def place(value: float) -> float:
        return top + (1 - value) * height

    out = _percent_axis(left, width - 6, place)
    out.append(line(left, place(uar), width - 6, place(uar), "reference"))
    for i, speaker in enumerate(known):
        x, y = left + step * (i + 0.5), place(speaker["uar"])
        sex = speaker["sex"] or "sex not known"
        said = f"{speaker['name']} ({sex}): {percent(speaker['uar'])} %"
        said += f" of {count(speaker['n'], 'utterance')}"
        out.append(line(x, place(0), x, y, "stem"))
        kind = MARKS.get(speaker["sex"], "triangle")
        out.append(mark(kind, x, y, f"sex-{kind}", said, 4.5))
        out.append(_slanted(x, top + height + 14, names[i], steep))
    low, high = known[0], known[-1]
    label = (
        f"UAR of {count(len(known), 'speaker')}, lowest first, from {low['name']} "
        f"{percent(low['uar'])} % to {high['name']} {percent(high['uar'])} %."
    )
    return drawing(
        width, top + height + deep, label, out, "speakers", least=width * 0.9
    )


def _slanted(x: float, y: float, said: str, steep: bool) -> Markup:
    if not steep:
        return text(x, y, said, "tick", "middle")
    turned = '<text x="{0:.1f}" y="{1:.1f}" class="tick" text-anchor="end" '
    turned += 'transform="rotate(-60 {0:.1f} {1:.1f})">{2}</text>'
    return Markup(turned).format(x + 4, y - 4, said)


def _percent_axis(
    left: float, right: float, place: Callable[[float], float]
) -> list[Markup]:
    out = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        out.append(line(left, place(tick), right, place(tick), "grid"))
        out.append(text(left - 6, place(tick) + 4, f"{100 * tick:.0f}", "tick", "end"))
    return out


def _speaker_histogram(speakers: Sequence[Mapping[str, Any]]) -> Markup:
    counts = [0] * 20
    for speaker in speakers:
        counts[min(19, int(speaker["uar"] * 20))] += 1
    edges = [5.0 * i for i in range(21)]
    return histogram(edges, counts, "UAR in %", "speaker")


def histogram(
    edges: Sequence[float], counts: Sequence[float], unit: str, noun: str
) -> Markup:
    """Draw a histogram of equal bins."""
    width, left, top, height = 520.0, 40.0, 10.0, 140.0
    most = max(counts, default=0) or 1
    step = (width - left - 10) / len(counts)
    span = edges[-1] - edges[0]
    out = []
    for tick in ticks(0, most, 4):
        y = top + height * (1 - tick / most)
        if tick == int(tick):
            out.append(line(left, y, width - 10, y, "grid"))
            out.append(text(left - 6, y + 4, f"{tick:,.0f}", "tick", "end"))
    for i, n in enumerate(counts):
        said = f"{edges[i]:g} to {edges[i + 1]:g} {unit}: {count(int(n), noun)}"
        tall = height * n / most
        x = left + step * i
        out.append(box(x + 0.5, top + height - tall, step - 1, tall, "bar", said))
    for tick in ticks(edges[0], edges[-1], 8):
        x = left + (tick - edges[0]) / span * (width - left - 10)
        out.append(text(x, top + height + 16, f"{tick:g}", "tick", "middle"))
    out.append(text(width - 10, top + height + 33, unit, "tick", "end"))
    label = f"Histogram: {noun}s by {unit}, from {edges[0]:g} to {edges[-1]:g}."
    return drawing(width, top + height + 40, label, out, "histogram")


def layers(
    weights: Sequence[Sequence[float]], name: str, numbers: Sequence[int] = ()
) -> Markup:
    """Draw learnt layer weights: a dot per fold, a line through their mean.

    Args:
        weights: ``(fold, layer)``
        name: of the plot
        numbers: of the layers; none: counted from 1, or from 0 where there are 13
    """
    n = max(len(w) for w in weights)
    top, height, left, step = 10.0, 140.0, 44.0, 34.0
    width = left + step * n + 10
    most = max(max(w) for w in weights) or 1.0
    low = min(0.0, *(min(w) for w in weights))

    def place(value: float) -> float:
        return top + height * (1 - (value - low) / (most - low))

    out = []
    for tick in ticks(low, most, 4):
        out.append(line(left, place(tick), width - 10, place(tick), "grid"))
        out.append(text(left - 6, place(tick) + 4, f"{tick:g}", "tick", "end"))
    whole = [w for w in weights if len(w) == n]
    means = [sum(w[i] for w in whole) / len(whole) for i in range(n)]
    xs = [left + step * (i + 0.5) for i in range(n)]
    start = 0 if n == 13 else 1  # hidden state 0 is the encoder's input
    numbers = numbers if len(numbers) == n else range(start, start + n)
    for fold, w in enumerate(weights):
        for i, value in enumerate(w):
            said = f"layer {numbers[i]}, fold number {fold + 1}: {value:.3f}"
            out.append(mark("circle", xs[i], place(value), "dot", said, 3))
    points = [(x, place(m)) for x, m in zip(xs, means, strict=True)]
    out.append(polyline(points, "mean"))
    out += [
        text(x, top + height + 16, numbers[i], "tick", "middle")
        for i, x in enumerate(xs)
    ]
    out.append(text(width - 10, top + height + 33, "layer", "tick", "end"))
    best = numbers[max(range(n), key=means.__getitem__)]
    label = (
        f"{name} over {n} layers, a dot for each fold; largest mean at layer {best}."
    )
    return drawing(width, top + height + 40, label, out, "layers", least=360)
