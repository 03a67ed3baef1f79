"""Studies over several runs or groups: layers, degraded sound, gaps."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from contracts.run import Run
from evaluation.layer_study import LayerStudy, studies
from evaluation.measures.gaps import all_gaps, robustness
from evaluation.statistics.uncertainty import Interval
from report._svg import box, drawing, line, mark, polyline, text, ticks
from report._words import NOTHING, ends, percent

LEFT, TOP, HEIGHT, STEP = 40.0, 22.0, 180.0, 42.0
LETTER = 6.4  # pixels of a letter below a column


def layer_views(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Draw UAR over the layers of each encoder that has a run per layer."""
    return [
        {
            "title": f"{one.feature} · {one.encoder or 'no encoder'}",
            "about": f"{one.corpus} · {one.labels} · {one.protocol} · seed {one.seed}",
            "picture": layer_plot(one),
            "nested": f"{percent(one.nested.value)} %"
            + (f" ({ends(one.nested)})" if ends(one.nested) != NOTHING else ""),
            "best": one.best_on_test,
            "flattery": f"{100 * one.flattery:+.1f}",
            "chosen": ", ".join(str(n) for n in dict.fromkeys(one.chosen.values())),
            "warnings": one.warnings,
        }
        for one in studies(runs)
    ]


def layer_plot(one: LayerStudy) -> Markup:
    """Draw UAR and interval per layer, the nested choice as a line, learnt weights."""
    told = dict(zip(map(str, one.layers), one.uar, strict=True))
    weights = [
        {str(layer): float(w) for layer, w in zip(own.layers, mean, strict=True)}
        for own in one.weights
        for mean in [own.weights.mean(axis=0)]
    ]
    label = f"UAR of {len(told)} layers"
    return _columns(told, one.nested.value, label, "layer", weights)


def _columns(
    told: Mapping[str, Interval],
    reference: float,
    label: str,
    unit: str = "",
    weights: Sequence[Mapping[str, float]] = (),
) -> Markup:
    """Draw an interval and a mark per column, and a dashed line at a reference.

    Columns that have a ``unit`` are numbers, and are joined by a line.
    """
    longest = max(len(name) for name in told)
    step = max(STEP, LETTER * longest + 10, 240 / len(told))
    width = LEFT + step * len(told) + 12
    seen = [v for i in told.values() for v in (i.value, i.low, i.high)]
    known = [v for v in [*seen, reference] if not math.isnan(v)]
    low = max(0.0, math.floor(min(known) * 10) / 10)
    high = min(1.0, math.ceil(max(known) * 10) / 10)

    def y(value: float) -> float:
        return TOP + HEIGHT * (1 - (value - low) / ((high - low) or 1))

    out = []
    for tick in ticks(low, high, 5):
        out.append(line(LEFT, y(tick), width - 8, y(tick), "grid"))
        out.append(text(LEFT - 6, y(tick) + 4, f"{100 * tick:.0f}", "tick", "end"))
    most = max((w for own in weights for w in own.values()), default=1.0)
    points = []
    for i, (name, one) in enumerate(told.items()):
        x = LEFT + step * (i + 0.5)
        for own in weights:
            tall = 0.35 * HEIGHT * own.get(name, 0.0) / most
            said = f"{unit} {name}: mean learnt weight {own.get(name, 0.0):.3f}"
            out.append(box(x - 9, TOP + HEIGHT - tall, 18, tall, "weight", said))
        if not math.isnan(one.low):
            out.append(
                box(x - 6, y(one.high), 12, y(one.low) - y(one.high), "interval")
            )
        said = f"{unit} {name}: {percent(one.value)} % ({ends(one)})".strip()
        out.append(mark("diamond", x, y(one.value), "pooled", said, 4))
        points.append((x, y(one.value)))
        out.append(text(x, TOP + HEIGHT + 16, name, "tick", "middle"))
    if unit:
        out.append(polyline(points, "curve-dev"))
        out.append(text(width - 8, TOP + HEIGHT + 32, unit, "tick", "end"))
    out.append(line(LEFT, y(reference), width - 8, y(reference), "reference"))
    out.append(text(LEFT, TOP - 9, "UAR %", "tick"))
    said = f"{label}; the line is {percent(reference)} %."
    return drawing(width, TOP + HEIGHT + 40, said, out, "columns", least=width * 0.8)


def robustness_view(run: Run) -> dict[str, Any] | None:
    """Draw UAR under each kind of degraded sound; None where none was tested."""
    if not (run.predictions["variant"] != "").any():
        return None
    told = robustness(run)
    if not told:
        return None
    return {
        "rows": [
            {
                "name": one.name,
                "n": one.n,
                "uar": percent(one.uar.value),
                "ends": ends(one.uar),
                "clean": percent(one.clean.value),
                "change": f"{100 * one.change.value:+.1f}",
                "change_ends": ends(one.change),
            }
            for one in told
        ],
        "picture": _columns(
            {one.name: one.uar for one in told},
            told[0].clean.value,
            f"UAR of {len(told)} kinds of degraded sound",
        ),
    }


def gap_views(run: Run) -> list[dict[str, Any]]:
    """List how a run's UAR differs between groups of test utterances."""
    return [
        {
            "column": one.column.removeprefix("trait:"),
            "labels": one.labels,
            "left_out": one.left_out,
            "groups": [
                (g.name, g.n, percent(g.uar.value), ends(g.uar)) for g in one.groups
            ],
            "gaps": [
                (
                    f"{g.first} less {g.second}",
                    f"{100 * g.difference.value:+.1f}",
                    ends(g.difference),
                )
                for g in one.gaps
            ],
        }
        for one in all_gaps(run)
    ]
