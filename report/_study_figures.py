"""Figures for a paper of speakers, degraded sound, votes, layers, corpora, maps."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from contracts.run import Run
from evaluation.measures.metrics import Scores, score_run
from evaluation.measures.rank_agreement import TauByEntropy
from evaluation.measures.robustness import Degraded, curves
from evaluation.statistics.uncertainty import RECALL, intervals
from report._colourings import RIGHT, UNTESTED, WRONG, Colouring
from report._figures import BLUE, GREY, ORANGE, STYLE, intervals_on, panels
from report._layer_weights import LayerWeights
from report._map import FeatureMap
from report._robustness_plot import level_words
from report._svg import clip

A_ROW = 3  # pictures beside each other
COLOURS = 20  # of matplotlib's tab20; more than these have another mark
MARKS = ("o", "^", "s")
OUTCOMES = {RIGHT: BLUE, WRONG: ORANGE, UNTESTED: GREY}


def robustness_figure(found: Sequence[Degraded]) -> Figure:
    """Draw a curve for each kind with levels, and columns for all others.

    Args:
        found: as ``robustness`` returns it, one or more
    """
    over_levels, others = curves(found)
    n = len(over_levels) + bool(others)
    beside = min(n, A_ROW)
    below = math.ceil(n / beside)
    figure, axes = panels(1 + 1.9 * beside, 2.4 * below, beside, below, same=True)
    with mpl.rc_context(STYLE):
        for own, one in zip(over_levels, axes, strict=False):
            levels = [each.level for each in own]
            _degraded(one, levels, own, "D-")
            one.set(xlabel=level_words(own[0]), title=own[0].kind)
            one.set_xticks(levels)
            if levels[0] > levels[-1]:
                one.invert_xaxis()
        if others:
            one = axes[len(over_levels)]
            _degraded(one, range(len(others)), others, "D")
            names = [clip(each.name, 24) for each in others]
            one.set_xticks(range(len(others)), names, rotation=90)
            one.margins(x=0.3 if len(others) == 1 else 0.1)
        for i in range(0, n, beside):
            axes[i].set_ylabel("UAR in %")
        for unused in axes[n:]:
            unused.set_axis_off()
    return figure


def _degraded(
    axes: Any, places: Sequence[float], own: Sequence[Degraded], style: str
) -> None:
    intervals_on(axes, places, [one.uar for one in own])
    values = [100 * one.uar.value for one in own]
    axes.plot(places, values, style, color=BLUE, ms=3.5, lw=1)
    clean = [100 * one.clean.value for one in own]
    if "-" in style:
        axes.plot(places, clean, color=ORANGE, ls="--", lw=1)
    else:
        axes.plot(places, clean, "_", color=ORANGE, ms=12)


def tau_figure(told: TauByEntropy) -> Figure:
    """Draw utterances by the entropy of their votes and tau-b, and the means."""
    figure, (axes,) = panels(3.4, 2.6)
    edges = told.entropy_edges
    with mpl.rc_context(STYLE):
        counts = np.ma.masked_equal(told.counts.T, 0)
        axes.pcolormesh(edges, told.tau_edges, counts, cmap="Blues", vmin=0)
        middles = (edges[:-1] + edges[1:]) / 2
        known = ~np.isnan(told.mean)
        axes.plot(middles[known], told.mean[known], "D-", color="black", ms=3.5, lw=1)
        axes.set(xlabel="entropy of the votes in bits", ylabel="tau-b", ylim=(-1, 1))
    return figure


def weights_figure(told: LayerWeights) -> Figure:
    """Draw learnt layer weights: a dot per fold, a line through their mean."""
    figure, (axes,) = panels(max(2.6, 0.9 + 0.3 * len(told.layers)), 2.4)
    with mpl.rc_context(STYLE):
        for weights in told.weights:
            places = told.layers[: len(weights)]
            axes.plot(places, weights, "o", color=BLUE, ms=2.5, alpha=0.5)
        whole = [w for w in told.weights if len(w) == len(told.layers)]
        axes.plot(told.layers, np.mean(whole, axis=0), color="black", lw=1)
        axes.set_xticks(told.layers)
        axes.set(xlabel="layer", ylabel="weight")
    return figure


def cross_figure(told: Mapping[str, Any]) -> Figure:
    """Draw a cross-corpus matrix: UAR and its interval in each cell.

    Args:
        told: one of what ``cross_views`` returns
    """
    rows, tests = told["rows"], told["tests"]
    figure, (axes,) = panels(1.6 + 0.8 * len(tests), 1.0 + 0.5 * len(rows))
    with mpl.rc_context(STYLE):
        shares = [[c["share"] if c else math.nan for c in cells] for _, cells in rows]
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for i, (_, cells) in enumerate(rows):
            for j, cell in enumerate(cells):
                if cell:
                    _cell_on(axes, j, i, cell)
        names = [clip(name, 24) for name, _ in rows]
        axes.set_yticks(range(len(rows)), names)
        turn = 90 if max(map(len, tests)) > 12 else 0
        axes.set_xticks(range(len(tests)), [clip(t, 24) for t in tests], rotation=turn)
        axes.set(xlabel="tested on", ylabel="trained on", title=clip(told["title"], 60))
    return figure


def _cell_on(axes: Any, x: int, y: int, cell: Mapping[str, Any]) -> None:
    ink = "white" if cell["share"] > 0.6 else "black"
    said = f"{100 * cell['uar']:.1f}"
    if not math.isnan(cell["interval"].low):
        said += f"\n{cell['ends']}"
    bold = "bold" if cell["within"] else "normal"
    told = {"ha": "center", "va": "center", "color": ink, "weight": bold}
    axes.text(x, y, said, fontsize=7, **told)


def strips_figure(run: Run, speakers: Mapping[str, Scores]) -> Figure:
    """Draw the recall of each label in each speaker, and over all utterances.

    Args:
        run: says labels
        speakers: its scores by speaker, one or more; speakers of equal recall share a
            dot, whose area says how many they are
    """
    whole, sure = score_run(run), intervals([run])
    figure, (axes,) = panels(4.2, 1.1 + 0.28 * len(whole.labels))
    with mpl.rc_context(STYLE):
        for y, label in enumerate(whole.labels):
            recalls = [own.recall[y] for own in speakers.values() if own.support[y]]
            places, n = np.unique(np.round(recalls, 2), return_counts=True)
            heights = np.full(len(places), y)
            axes.scatter(100 * places, heights, s=8 * n, color=BLUE, alpha=0.5, lw=0)
            one = sure[RECALL + label]
            if not math.isnan(one.low):
                ends = [100 * one.low, 100 * one.high]
                axes.plot(ends, [y, y], color="black", lw=1)
            axes.plot(100 * whole.recall[y], y, "D", color="black", ms=4)
        axes.axvline(100 / len(whole.labels), color=ORANGE, ls="--", lw=1)
        names = [clip(label, 24) for label in whole.labels]
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set(xlabel="recall in each speaker, %", xlim=(-3, 103))
    return figure


def map_figure(one: FeatureMap, by: Colouring) -> Figure:
    """Draw a map of a feature, a colour for each kind of utterance."""
    figure, (axes,) = panels(5.0, 3.4)
    kinds = sorted(set(by.kinds))
    palette = mpl.colormaps["tab20"]
    drawn = []
    with mpl.rc_context(STYLE):
        for i, kind in enumerate(kinds):
            own = one.at[[each == kind for each in by.kinds]]
            colour = OUTCOMES[kind] if by.name == "error" else palette(i % COLOURS)
            told = {"s": 6, "color": colour, "lw": 0, "rasterized": False}
            drawn.append(axes.scatter(*own.T, marker=MARKS[i // COLOURS % 3], **told))
        names = [clip(kind, 24) for kind in kinds]
        where = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
        beside = {"ncols": math.ceil(len(kinds) / COLOURS), "frameon": False}
        axes.legend(drawn, names, title=clip(by.title, 40), **where, **beside)
        axes.set(xticks=[], yticks=[], title=clip(one.name, 60))
        if one.explained:
            first, second = (f"{100 * share:.1f}" for share in one.explained)
            axes.set(xlabel=f"first component, {first} % of the variance")
            axes.set(ylabel=f"second component, {second} %")
        else:
            axes.set(xlabel="UMAP")
            axes.xaxis.label.set_color(GREY)
    return figure
