"""Training curves: one small picture per fold."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from report._svg import drawing, line, polyline, text, ticks

WIDTH, LEFT, RIGHT = 250.0, 38.0, 10.0
LOSS_TOP, UAR_TOP, HEIGHT = 24.0, 122.0, 80.0


def curves(fold: str, history: Sequence[Mapping[str, float]], chosen: Any) -> Markup:
    """Draw losses above and UAR below over epochs; a line marks the chosen epoch."""
    epochs = [float(e.get("epoch", i + 1)) for i, e in enumerate(history)]
    span = (epochs[-1] - epochs[0]) or 1.0
    xs = [LEFT + (e - epochs[0]) / span * (WIDTH - LEFT - RIGHT) for e in epochs]
    named = {
        part: sorted({k for e in history for k in e if part in k.lower()}, reverse=True)
        for part in ("loss", "uar")
    }
    out = [text(LEFT, 13, fold, "name")]
    out += _panel(history, named["loss"], xs, LOSS_TOP, "loss")
    out += _panel(history, named["uar"], xs, UAR_TOP, "UAR %")
    bottom = UAR_TOP + HEIGHT
    for epoch, x, anchor in ((epochs[0], xs[0], "start"), (epochs[-1], xs[-1], "end")):
        out.append(text(x, bottom + 15, f"{epoch:g}", "tick", anchor))
    middle = (LEFT + WIDTH - RIGHT) / 2
    out.append(text(middle, bottom + 15, "epoch", "tick", "middle"))
    if isinstance(chosen, int | float) and epochs[0] <= chosen <= epochs[-1]:
        x = LEFT + (chosen - epochs[0]) / span * (WIDTH - LEFT - RIGHT)
        out.append(line(x, LOSS_TOP, x, bottom, "reference"))
    label = (
        f"{fold}: {', '.join(named['loss'] + named['uar'])} over {len(epochs)} epochs."
    )
    return drawing(WIDTH, bottom + 22, label, out, "curves")


def _panel(
    history: Sequence[Mapping[str, float]],
    names: Sequence[str],
    xs: Sequence[float],
    top: float,
    title: str,
) -> list[Markup]:
    values = {name: [float(e.get(name, math.nan)) for e in history] for name in names}
    seen = [v for vs in values.values() for v in vs if math.isfinite(v)]
    if not seen:
        return []
    is_share = title.startswith("UAR")
    low, high = min(0.0, *seen), max(seen)
    high = 1.0 if is_share else high or 1.0

    def place(value: float) -> float:
        return top + HEIGHT * (1 - (value - low) / (high - low))

    out = []
    for tick in ticks(low, high, 2):
        y, said = place(tick), f"{100 * tick:.0f}" if is_share else f"{tick:g}"
        out.append(line(LEFT, y, WIDTH - RIGHT, y, "grid"))
        out.append(text(LEFT - 5, y + 4, said, "tick", "end"))
    out.append(text(WIDTH - RIGHT, top + 4, title, "tick halo", "end"))
    for name, vs in values.items():
        points = [
            (x, place(v)) for x, v in zip(xs, vs, strict=True) if math.isfinite(v)
        ]
        out.append(polyline(points, "curve-train" if "train" in name else "curve-dev"))
    return out
