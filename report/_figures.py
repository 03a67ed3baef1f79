"""Figures for a paper, drawn with matplotlib: SVG and PDF of what the page shows.

Equal runs give equal files: no date is written, and names inside an SVG are salted.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from contracts.run import Run
from evaluation.measures.calibration import calibration_of
from evaluation.measures.metrics import score_run
from evaluation.measures.selective import risk_coverage_of
from evaluation.statistics.uncertainty import Interval
from report._scores import part_scores
from report._svg import clip

BLUE, ORANGE, GREY = "#0b5c93", "#a8440a", "#565e69"
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "emocache",
    "pdf.fonttype": 42,
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a label may hold a dollar sign
}


def save(figure: Figure, stem: Path, about: str) -> list[Path]:
    """Write a figure as SVG and PDF.

    Args:
        figure: what is drawn
        stem: the path without its ending
        about: what is kept inside the files: the command that makes it again
    """
    out = []
    for ending, day in (("svg", "Date"), ("pdf", "CreationDate")):
        path = stem.with_name(f"{stem.name}.{ending}")
        key = "Description" if ending == "svg" else "Subject"
        with mpl.rc_context(STYLE):
            figure.savefig(path, bbox_inches="tight", metadata={key: about, day: None})
        out.append(path)
    return out


def panels(
    width: float, height: float, beside: int = 1, below: int = 1, same: bool = False
) -> tuple[Figure, list[Any]]:
    """Make a figure.

    Args:
        width: inches
        height: inches
        beside: panels in a row
        below: rows
        same: whether all have the same upright axis

    Returns:
        the figure, and its panels row by row
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    with mpl.rc_context(STYLE):
        made = figure.subplots(below, beside, squeeze=False, sharey=same)
    return figure, list(made.flat)


def intervals_on(axes: Any, places: Iterable[float], told: Iterable[Interval]) -> None:
    """Draw upright intervals in percent, none where there is none."""
    for x, one in zip(places, told, strict=True):
        if not math.isnan(one.low):
            ends = [100 * one.low, 100 * one.high]
            axes.plot([x, x], ends, color=BLUE, lw=4, alpha=0.3)


def ranking_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw UAR with its interval over speakers, a row each, the first on top."""
    figure, (axes,) = panels(5.5, 0.7 + 0.3 * len(rows))
    with mpl.rc_context(STYLE):
        for y, row in enumerate(rows):
            interval = row["interval"]
            if not math.isnan(interval.low):
                ends = [100 * interval.low, 100 * interval.high]
                axes.plot(ends, [y, y], color=BLUE, lw=4, alpha=0.3)
            for uar in row["speaker_uars"].values():
                axes.plot(100 * uar, y, "|", color=BLUE, ms=8)
            for uar in (u for seed in row["fold_uars"] for u in seed):
                axes.plot(100 * uar, y, "o", color=BLUE, ms=2.5, alpha=0.5)
            axes.plot(100 * row["uar"], y, "D", color="black", ms=4)
        axes.axvline(100 * rows[0]["chance"], color=ORANGE, ls="--", lw=1)
        axes.set_yticks(range(len(rows)), [clip(row["name"], 60) for row in rows])
        axes.invert_yaxis()
        axes.set_xlabel("UAR in %")
    return figure


def traits_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the concordance of each row and trait with its interval over speakers.

    Args:
        rows: of one box, with ``name`` and ``traits``, the first on top
    """
    lines = [(row["name"], one) for row in rows for one in row["traits"]]
    figure, (axes,) = panels(5.5, 0.7 + 0.3 * len(lines))
    with mpl.rc_context(STYLE):
        for y, (_, one) in enumerate(lines):
            sure = one["interval"]
            if not math.isnan(sure.low):
                axes.plot([sure.low, sure.high], [y, y], color=BLUE, lw=4, alpha=0.3)
            axes.plot(sure.value, y, "D", color="black", ms=4)
        axes.axvline(0, color=ORANGE, ls="--", lw=1)
        names = [clip(f"{one['trait']} · {name}", 60) for name, one in lines]
        axes.set_yticks(range(len(lines)), names)
        axes.invert_yaxis()
        axes.set_xlabel("concordance")
    return figure


def confusion_figure(run: Run) -> Figure:
    """Draw the confusion matrix in percent of its rows."""
    scores = score_run(run)
    support = np.maximum(scores.support, 1)[:, None]
    shares = 100 * scores.confusion / support
    n = len(scores.labels)
    figure, (axes,) = panels(1.2 + 0.42 * n, 1.0 + 0.42 * n)
    with mpl.rc_context(STYLE):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        for i, j in np.ndindex(shares.shape):
            ink = "white" if shares[i, j] > 60 else "black"
            said = f"{shares[i, j]:.0f}"
            axes.text(j, i, said, ha="center", va="center", color=ink)
        names = [clip(label, 24) for label in scores.labels]
        axes.set_xticks(range(n), names, rotation=90)
        axes.set_yticks(range(n), names)
        axes.set_xlabel("said")
        axes.set_ylabel("true")
    return figure


def certainty_figure(run: Run) -> Figure | None:
    """Draw reliability and risk over coverage; None without labels."""
    told, curve = calibration_of(run), risk_coverage_of(run)
    if told is None or curve is None:
        return None
    figure, (left, right) = panels(5.5, 2.6, beside=2)
    with mpl.rc_context(STYLE):
        bins = told.reliability
        left.plot([0, 100], [0, 100], color=ORANGE, ls="--", lw=1)
        left.plot(100 * bins.confidence, 100 * bins.accuracy, "o-", color=BLUE, ms=3)
        left.set(xlabel="said with, %", ylabel="right, %", xlim=(0, 100), ylim=(0, 100))
        right.plot(100 * curve.coverage, 100 * curve.risk, color=BLUE)
        right.axhline(100 * float(curve.risk[-1]), color=ORANGE, ls="--", lw=1)
        right.set(xlabel="answered, %", ylabel="of these wrong, %", ylim=(0, None))
    return figure


def history_figure(run: Run) -> Figure | None:
    """Draw the losses and UARs over epochs, a thin line per fold; None without."""
    histories = [run.history(fold["index"]) for fold in run.record["folds"]]
    histories = [h for h in histories if h]
    if not histories:
        return None
    figure, both = panels(5.5, 2.4, beside=2)
    with mpl.rc_context(STYLE):
        for axes, what, unit in zip(both, ("loss", "uar"), (1, 100), strict=True):
            for history in histories:
                for name in sorted({k for e in history for k in e if what in k}):
                    xs = [e.get("epoch", i) for i, e in enumerate(history, start=1)]
                    ys = [unit * e.get(name, math.nan) for e in history]
                    own = (ORANGE, "train") if "train" in name else (BLUE, "dev")
                    axes.plot(xs, ys, "o-", ms=2, lw=0.8, color=own[0], label=own[1])
            told = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
            axes.legend(told.values(), told.keys(), frameon=False)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.set(xlabel="epoch", ylabel="UAR in %" if what == "uar" else what)
    return figure


def audit_figure(points: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw each practice of an audit with its interval, the honest one as a line."""
    figure, (axes,) = panels(5.5, 0.7 + 0.3 * len(points))
    colours = {"honest": "black", "optimistic": ORANGE, "reference": GREY}
    with mpl.rc_context(STYLE):
        for y, point in enumerate(points):
            colour = colours[point["kind"]]
            if point["low"] is not None:
                ends = [100 * point["low"], 100 * point["high"]]
                axes.plot(ends, [y, y], color=colour, lw=3, alpha=0.3)
            axes.plot(100 * point["uar"], y, "o", color=colour, ms=4)
        axes.axvline(100 * points[0]["uar"], color="black", ls="--", lw=1)
        axes.set_yticks(range(len(points)), [clip(p["name"], 60) for p in points])
        axes.invert_yaxis()
        axes.set_xlabel("UAR in %")
    return figure


def speakers_figure(run: Run) -> Figure | None:
    """Draw the UAR of each test speaker, lowest first; None where none is known."""
    scores = part_scores(run, "speaker")
    uars = {name.rpartition("/")[2]: s.uar for name, s in scores.items() if s.n}
    if not uars:
        return None
    names = sorted(uars, key=lambda name: (uars[name], name))
    figure, (axes,) = panels(max(3.0, 1 + 0.18 * len(names)), 2.4)
    with mpl.rc_context(STYLE):
        places = range(len(names))
        axes.vlines(places, 0, [100 * uars[n] for n in names], color=GREY, lw=0.6)
        axes.plot(places, [100 * uars[n] for n in names], "o", color=BLUE, ms=3.5)
        axes.axhline(100 * score_run(run).uar, color=ORANGE, ls="--", lw=1)
        axes.set_xticks(places, [clip(n, 12) for n in names], rotation=90)
        axes.set(xlabel="speaker", ylabel="UAR in %", ylim=(0, 100))
    return figure


def columns_figure(
    told: Mapping[str, Interval], reference: float, unit: str = ""
) -> Figure:
    """Draw an interval and a mark per column, and a dashed line at a reference.

    Args:
        told: name -> UAR, such as of layers or kinds of degraded sound
        reference: UAR of the line
        unit: what the names count; columns that have one are joined
    """
    figure, (axes,) = panels(max(2.6, 0.9 + 0.34 * len(told)), 2.6)
    with mpl.rc_context(STYLE):
        intervals_on(axes, range(len(told)), told.values())
        values = [100 * one.value for one in told.values()]
        axes.plot(values, "D-" if unit else "D", color=BLUE, ms=3.5, lw=1)
        axes.axhline(100 * reference, color=ORANGE, ls="--", lw=1)
        turn = 0 if unit else 90
        axes.set_xticks(range(len(told)), [clip(n, 24) for n in told], rotation=turn)
        axes.set(xlabel=unit, ylabel="UAR in %")
    return figure
