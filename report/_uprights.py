"""Upright lines of a plot with a row per item, which leave the rows' names alone."""

from markupsafe import Markup

from report._svg import line


def beside_names(
    x: float, top: float, step: float, n: int, class_: str, names: float
) -> list[Markup]:
    """Draw an upright line beside what each row shows, broken where its name stands.

    Args:
        x: where it stands, in pixels
        top: of the first row
        step: height of a row
        n: rows
        class_: of the line
        names: height of the name, at the top of each row
    """
    tops = [top + step * i for i in range(n)]
    return [line(x, y + names, x, y + step, class_) for y in tops]
