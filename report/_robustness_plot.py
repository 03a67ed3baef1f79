"""Robustness as pictures: a curve over the levels of each kind of degraded sound."""

from collections.abc import Sequence

from markupsafe import Markup

from contracts import plugins
from evaluation.measures.robustness import Degraded, curves
from report._columns_plot import Axes, Column, by_level, columns_plot, evenly, span
from report._svg import element


def robustness_plots(found: Sequence[Degraded]) -> Markup:
    """Draw one curve for each kind with levels, and columns for all others.

    All pictures have the same axis, so that kinds can be compared. Dashed is the UAR of
    the same utterances as they were, which may be others for each variant.

    Args:
        found: as ``robustness`` returns it, one or more
    """
    over_levels, others = curves(found)
    limits = span(map(_column, found))
    drawn = [_curve(own, limits) for own in over_levels]
    pictures = [element("div", *drawn, class_="multiples")] if drawn else []
    if others:
        columns = [_column(one) for one in others]
        xs, width = evenly(columns)
        label = f"UAR under {', '.join(one.name for one in others)}."
        pictures.append(columns_plot(columns, xs, Axes(width, *limits), label))
    return element("div", *pictures, class_="stack")


def _curve(own: Sequence[Degraded], limits: tuple[float, float]) -> Markup:
    names = [f"{one.level:g}" for one in own]
    xs, width = by_level([one.level for one in own], names)
    columns = [_column(one, name) for one, name in zip(own, names, strict=True)]
    kind, unit = own[0].kind, level_words(own[0])
    label = f"UAR under {kind}, from {own[0].name} to {own[-1].name}."
    title = f"{kind}: UAR %"
    return columns_plot(columns, xs, Axes(width, *limits), label, title, unit)


def _column(one: Degraded, name: str = "") -> Column:
    return Column(name or one.name, one.name, one.uar, one.clean.value)


def level_words(one: Degraded) -> str:
    """Say what the levels of a kind are, as its plug-in does; else their unit."""
    if one.kind not in plugins.names("variants"):
        return one.unit or "level"  # a variant of somebody else's checkout
    words = str(plugins.load("variants", one.kind).PARAMETER)
    return words.partition(", such as")[0] or one.unit or "level"
