"""Studies over several runs or groups: layers, degraded sound, gaps."""

from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from contracts.run import Run
from evaluation.layer_study import LayerStudy, studies
from evaluation.measures.gaps import Group, all_gaps
from evaluation.measures.robustness import Degraded, robustness
from evaluation.statistics.uncertainty import Interval
from report._columns_plot import (
    HEIGHT,
    TOP,
    Axes,
    Column,
    columns_plot,
    evenly,
    span,
)
from report._commands import commands_of
from report._robustness_plot import robustness_plots
from report._svg import box
from report._words import NOTHING, ends, percent

WEIGHTS = 24.0  # pixels of the learnt weights of a layer, all heads together


def layer_views(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Draw UAR over the layers of each encoder that has a run per layer."""
    return [_view(one, study_commands(one, runs)) for one in studies(runs)]


def study_commands(one: LayerStudy, runs: Sequence[Run]) -> list[str]:
    """Return what fitted the runs of a study, and those of learnt weights."""
    by_id = {run.run_id: run for run in runs}
    learnt = [weights.run for weights in one.weights]
    return commands_of(by_id[name] for name in (*one.runs, *learnt))


def _view(one: LayerStudy, commands: Sequence[str]) -> dict[str, Any]:
    nested = f"{percent(one.nested.value)} %"
    if ends(one.nested) != NOTHING:
        nested += f" ({ends(one.nested)})"
    return {
        "title": f"{one.feature} · {one.encoder or 'no encoder'}",
        "about": f"{one.corpus} · {one.labels} · {one.protocol} · seed {one.seed}",
        "picture": layer_plot(one),
        "nested": nested,
        "best": one.best_on_test,
        "flattery": f"{100 * one.flattery:+.1f}",
        "chosen": ", ".join(str(n) for n in dict.fromkeys(one.chosen.values())),
        "warnings": one.warnings,
        "commands": commands,
    }


def layer_plot(one: LayerStudy) -> Markup:
    """Draw UAR and interval per layer, the nested choice as a line, learnt weights."""
    columns = [
        Column(str(layer), f"layer {layer}", uar, one.nested.value)
        for layer, uar in zip(one.layers, one.uar, strict=True)
    ]
    xs, width = evenly(columns)
    label = f"UAR of {len(columns)} layers; the line is {percent(one.nested.value)} %."
    axes = Axes(width, *span(columns))
    below = _weights(one, xs)
    return columns_plot(columns, xs, axes, label, unit="layer", below=below)


def _weights(one: LayerStudy, xs: Sequence[float]) -> list[Markup]:
    """Draw the mean weight that each head learnt, the largest over a third."""
    learnt = [
        dict(zip(own.layers, own.weights.mean(axis=0).tolist(), strict=True))
        for own in one.weights
    ]
    most = max((w for own in learnt for w in own.values()), default=1.0)
    wide = WEIGHTS / max(1, len(learnt))
    out = []
    for layer, x in zip(one.layers, xs, strict=True):
        for i, own in enumerate(learnt):
            weight = own.get(layer, 0.0)
            tall = 0.35 * HEIGHT * weight / most
            said = f"{one.weights[i].name}, layer {layer}: mean weight {weight:.3f}"
            at = x - WEIGHTS / 2 + i * wide, TOP + HEIGHT - tall
            out.append(box(*at, wide, tall, "weight", said))
    return out


def robustness_view(run: Run) -> dict[str, Any] | None:
    """Draw UAR under each kind of degraded sound; None where none was tested."""
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
        "has_bars": any(ends(one.uar) != NOTHING for one in told),
        "notes": _notes(i for one in told for i in (one.uar, one.clean, one.change)),
        "speakers": _speakers(told),
        "picture": robustness_plots(told),
        "commands": commands_of([run]),
    }


def gap_views(run: Run) -> list[dict[str, Any]]:
    """List how a run's UAR differs between groups of test utterances."""
    return [
        {
            "column": one.column.removeprefix("trait:"),
            "labels": one.labels,
            "left_out": one.left_out,
            "note": one.note,
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
            "notes": _notes(
                [g.uar for g in one.groups] + [g.difference for g in one.gaps]
            ),
            "speakers": _speakers(one.groups),
        }
        for one in all_gaps(run)
    ]


def _notes(found: Iterable[Interval]) -> list[str]:
    """Return what is said of intervals, each thing once."""
    return list(dict.fromkeys(one.note for one in found if one.note))


def _speakers(found: Iterable[Degraded | Group]) -> list[tuple[str, str]]:
    """Write each speaker's UAR in percent, of those that have few speakers."""
    return [
        (one.name, ", ".join(f"{who} {percent(uar)}" for who, uar in one.speakers))
        for one in found
        if one.speakers
    ]
