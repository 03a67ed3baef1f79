"""Plots of runs: speakers, layers; histograms."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from contracts.terminal import count
from report._layer_weights import LayerWeights
from report._svg import box, clip, drawing, line, mark, polyline, text, ticks
from report._words import percent

MARKS = {"female": "circle", "male": "square"}
N_SPEAKERS = 100  # more than this many are drawn as a histogram


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


def layers(told: LayerWeights, name: str) -> Markup:
    """Draw learnt layer weights: a dot per fold, a line through their mean."""
    n = len(told.layers)
    top, height, left, step = 10.0, 140.0, 44.0, 34.0
    width = left + step * n + 10
    most = max(max(w) for w in told.weights) or 1.0
    low = min(0.0, *(min(w) for w in told.weights))

    def place(value: float) -> float:
        return top + height * (1 - (value - low) / (most - low))

    out = []
    for tick in ticks(low, most, 4):
        out.append(line(left, place(tick), width - 10, place(tick), "grid"))
        out.append(text(left - 6, place(tick) + 4, f"{tick:g}", "tick", "end"))
    whole = [w for w in told.weights if len(w) == n]
    means = [sum(w[i] for w in whole) / len(whole) for i in range(n)]
    xs = [left + step * (i + 0.5) for i in range(n)]
    for fold, w in zip(told.folds, told.weights, strict=True):
        for x, layer, value in zip(xs, told.layers, w, strict=False):
            said = f"layer {layer}, fold {fold}: {value:.3f}"
            out.append(mark("circle", x, place(value), "dot", said, 3))
    points = [(x, place(m)) for x, m in zip(xs, means, strict=True)]
    out.append(polyline(points, "mean"))
    for x, layer in zip(xs, told.layers, strict=True):
        out.append(text(x, top + height + 16, layer, "tick", "middle"))
    out.append(text(width - 10, top + height + 33, "layer", "tick", "end"))
    best = told.layers[max(range(n), key=means.__getitem__)]
    label = (
        f"{name} over {n} layers, a dot for each fold; largest mean at layer {best}."
    )
    return drawing(width, top + height + 40, label, out, "layers", least=360)
