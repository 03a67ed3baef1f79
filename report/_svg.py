"""The few pieces that the plots are drawn from; every text is escaped.

Colours are classes of the page's style sheet, so that one drawing serves light, dark
and print.
"""

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape


def element(name: str, *inside: object, **attributes: object) -> Markup:
    """Write one element; ``class_`` and ``text_anchor`` become attribute names."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_short(value))}"'
        for key, value in attributes.items()
        if value != ""
    )
    body = "".join(map(escape, inside))
    return Markup(f"<{name}{told}>{body}</{name}>")


def _short(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value


def drawing(
    width: float,
    height: float,
    label: str,
    inside: Iterable[Markup],
    class_: str = "",
    least: float = 0,
) -> Markup:
    """Wrap a drawing.

    Args:
        width: of the view box, in pixels at full size
        height: of the view box
        label: what a person sees who does not see
        inside: its elements
        class_: of the drawing
        least: least width in pixels; narrower screens scroll
    """
    style = f"max-width:{width:.0f}px" + (f";min-width:{least:.0f}px" if least else "")
    return element(
        "svg",
        *inside,
        class_=f"plot {class_}".strip(),
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        aria_label=label,
        style=style,
    )


def text(
    x: float, y: float, said: object, class_: str = "", anchor: str = "start"
) -> Markup:
    """Write a text; ``anchor`` is start, middle or end."""
    return element("text", said, x=x, y=y, class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Draw a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def box(
    x: float,
    y: float,
    width: float,
    height: float,
    class_: str,
    said: str = "",
    ink: float | None = None,
) -> Markup:
    """Draw a rectangle; ``said`` is shown when it is pointed at, ``ink`` is 0 to 1."""
    inside = [element("title", said)] if said else []
    size = {"x": x, "y": y, "width": width, "height": height, "class_": class_}
    faint = {} if ink is None else {"fill_opacity": ink}
    return element("rect", *inside, **size, **faint)


def polyline(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """Draw a line through points."""
    told = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return element("polyline", points=told, class_=class_)


def mark(
    kind: str, x: float, y: float, class_: str, said: str, size: float = 4
) -> Markup:
    """Draw a mark: ``circle``, ``square``, ``diamond`` or ``triangle``."""
    title = element("title", said)
    if kind == "circle":
        return element("circle", title, cx=x, cy=y, r=size, class_=class_)
    shapes = {
        "square": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        "diamond": [(0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)],
        "triangle": [(0, -1.2), (1.1, 0.9), (-1.1, 0.9)],
    }
    told = " ".join(f"{x + a * size:.1f},{y + b * size:.1f}" for a, b in shapes[kind])
    return element("polygon", title, points=told, class_=class_)


def clip(said: str, n: int) -> str:
    """Shorten a text to ``n`` signs."""
    return said if len(said) <= n else said[: n - 1] + "…"


def ticks(low: float, high: float, n: int = 5) -> list[float]:
    """Return about ``n`` round numbers in [low, high]."""
    rough = (high - low) / n or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(step * i, 10) for i in range(first, last + 1)]
