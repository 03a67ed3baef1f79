"""Figures and tables for print over several runs, with the commands of these."""

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.run import Run, command
from evaluation.layer_study import LayerStudy, studies
from report._audit_plot import audit_points
from report._audits import audit_views
from report._colourings import Colouring, colourings
from report._cross import cross_views
from report._exporter import Exporter, ends_of
from report._map import FeatureMap
from report._published import published
from report._studies import study_commands

CELL_HEADS = (
    *("trained on", "tested on", "uar", "low", "high", "utterances", "speakers"),
    *("same corpus", "run", "more runs", "warnings", "note"),
)


def export_studies(
    out: Exporter,
    runs: Sequence[Run],
    audits: Sequence[Mapping[str, Any]],
    maps: Sequence[FeatureMap],
    ranked: Sequence[Run],
) -> None:
    """Write what several runs tell together, and what is beside them on the page.

    Args:
        out: where to
        runs: finished runs
        audits: as ``evaluation.auditing.record.read_audits`` returns first
        maps: of features
        ranked: the runs once more, of each group the best first
    """
    _audits(out, audits)
    for study in studies(runs):
        _layers(out, study, _joined(study_commands(study, runs)))
    for i, told in enumerate(cross_views(runs)):
        _cross(out, told, f"{i + 1}")
    for one in maps:
        _map(out, one, colourings(one, ranked))
    _published(out, runs)


def _joined(commands: Sequence[str]) -> str:
    """Chain the commands of runs, and the one that is running."""
    return " && ".join([*commands, command()])


def _audits(out: Exporter, audits: Sequence[Mapping[str, Any]]) -> None:
    from report import _figures

    heads = ("practice", "uar", "range", "inflation", "inflation_range", "remark")
    for told, view in zip(audits, audit_views(audits), strict=True):
        about, name = str(told["command"]), str(told["id"])
        if points := audit_points(told):
            out.figure(_figures.audit_figure(points), about, "audit", name)
        cells = [[row[head] for head in heads] for row in view["rows"]]
        out.table(heads, cells, about, "audit", name)


def _layers(out: Exporter, study: LayerStudy, about: str) -> None:
    """Write the UAR of each layer of an encoder."""
    from report import _figures

    words = ("layers", study.corpus, study.feature, study.protocol, f"s{study.seed}")
    told = dict(zip(map(str, study.layers), study.uar, strict=True))
    drawn = _figures.columns_figure(told, study.nested.value, "layer")
    out.figure(drawn, about, *words)
    cells = [
        [layer, *ends_of(one)]
        for layer, one in zip(study.layers, study.uar, strict=True)
    ]
    out.table(("layer", "uar", "low", "high"), cells, about, *words)


def _cross(out: Exporter, told: Mapping[str, Any], number: str) -> None:
    """Write a cross-corpus matrix, and its cells as rows."""
    from report import _study_figures

    about = _joined(told["commands"])
    out.figure(_study_figures.cross_figure(told), about, "cross", number)
    table = [
        [train, *(cell and ends_of(cell["interval"])[0] for cell in cells)]
        for train, cells in told["rows"]
    ]
    out.table(("trained on", *told["tests"]), table, about, "cross", number)
    cells = [
        _cell(train, test, cell)
        for train, places in told["rows"]
        for test, cell in zip(told["tests"], places, strict=True)
        if cell
    ]
    out.table(CELL_HEADS, cells, about, "cross", number, "cells")


def _cell(train: str, test: str, cell: Mapping[str, Any]) -> list[object]:
    one = cell["interval"]
    return [
        *(train, test, *ends_of(one), cell["n"], one.n_speakers),
        "yes" if cell["within"] else "no",
        *(cell["run"], cell["more"], "; ".join(cell["warnings"]), one.note),
    ]


def _map(out: Exporter, one: FeatureMap, by: Sequence[Colouring]) -> None:
    """Write a figure for each colouring of a map, and where its utterances are."""
    from report import _study_figures

    for each in by:
        drawn = _study_figures.map_figure(one, each)
        out.figure(drawn, command(), "map", one.name, each.name)
    xs, ys = one.at.T.round(4).tolist()
    errors = {each.title: each.kinds for each in by if each.name == "error"}
    columns = (one.ids, one.labels, one.speakers, xs, ys, *errors.values())
    heads = ("utterance", "label", "speaker", "x", "y", *errors)
    rows = list(zip(*columns, strict=True))
    out.table(heads, rows, command(), "map", one.name)


def _published(out: Exporter, runs: Sequence[Run]) -> None:
    rows = [
        [
            *(p["model"], f.number, f.source, f.protocol, f.flaw, p["differs"]),
            *("; ".join(o["words"] for o in p["ours"]), p["command"]),
        ]
        for p in published(runs)
        for f in [p["figure"]]
    ]
    heads = ("head", "published", "source", "protocol", "known fault")
    out.table((*heads, "differs here", "ours", "command"), rows, command(), "published")
