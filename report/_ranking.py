"""The picture of a ranking: each row's UAR with its interval over speakers."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from contracts.terminal import count
from report._svg import box, clip, drawing, element, line, mark, text, ticks
from report._uprights import beside_names
from report._words import ends, percent

WIDTH, LEFT, RIGHT, TOP, STEP = 480.0, 4.0, 46.0, 34.0, 44.0
NAME = 20.0  # of a row's height, above its marks
PARTIAL = " · partial"
Place = Callable[[float], float]


def ranking(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Draw UAR per row: a bar for the interval, a dot per fold, a diamond for all.

    Rows with too few speakers for an interval have a tick for each speaker instead.

    Args:
        rows: of one group, in order, as ``page`` makes them: ``results`` with
            ``verdict`` (what the comparison says, may be empty) and ``speaker_uars``
    """
    place, (low, high) = _scale(rows)
    bottom = TOP + STEP * len(rows)
    chance = float(rows[0]["chance"])
    out: list[Markup] = []
    for tick in ticks(low, high, 6):
        out.append(line(place(tick), TOP, place(tick), bottom, "grid"))
        said = f"{100 * tick:.0f}"
        out.append(text(place(tick), bottom + 16, said, "tick", "middle"))
    out += beside_names(place(chance), TOP, STEP, len(rows), "chance", NAME)
    anchor = "start" if place(chance) < WIDTH / 2 else "end"
    said = f"chance {percent(chance)}"
    out.append(text(place(chance) - 4, TOP - 11, said, "tick chance-text", anchor))
    out.append(text(WIDTH - RIGHT - 8, bottom + 33, "UAR in %", "tick", "end"))
    for i, row in enumerate(rows):
        out += _row(row, TOP + STEP * i, place)
    best = rows[0]
    label = (
        f"UAR of {count(len(rows), 'row')} with 95 % intervals over speakers. First: "
        f"{best['model']}, {percent(best['uar'])} % ({ends(best['interval'])}). "
        f"Chance is {percent(chance)} %. The table holds the same numbers."
    )
    return drawing(WIDTH, bottom + 40, label, out, "folds")


def _scale(
    rows: Sequence[Mapping[str, Any]],
) -> tuple[Place, tuple[float, float]]:
    """Return where a UAR stands, and the ends of the axis."""
    seen: list[float] = [float(rows[0]["chance"])]
    for row in rows:
        seen += [u for seed in row["fold_uars"] for u in seed]
        seen += [row["uar"], row["interval"].low, row["interval"].high]
        seen += row["speaker_uars"].values()
    known = [v for v in seen if not math.isnan(v)]
    low = max(0.0, math.floor(min(known) * 10 - 0.2) / 10)
    high = min(1.0, math.ceil(max(known) * 10 + 0.2) / 10)

    def place(value: float) -> float:
        return LEFT + 8 + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT - 16)

    return place, (low, high)


def row_name(row: Mapping[str, Any]) -> str:
    """Name a row of results in one line."""
    differs = ", ".join(f"{k}={v}" for k, v in row["differs"].items())
    words = [row["model"], " + ".join(row["features"]), differs]
    return " · ".join(word for word in words if word)


def _row(row: Mapping[str, Any], y: float, place: Place) -> list[Markup]:
    middle = y + 30
    partial = row["partial"]
    weak = " weak" if partial or row["untrained"] else ""
    verdict = row["verdict"]
    said = clip(row_name(row), 62 - len(verdict) - (len(PARTIAL) if partial else 0))
    out = [text(4, y + 15, said + (PARTIAL if partial else ""), "name halo")]
    if verdict:
        kind = "verdict v-" + verdict.replace(" ", "-")
        out.append(text(WIDTH - 2, y + 15, verdict, f"{kind} halo", "end"))
    out += _band(row, middle, place)
    for seed, uars in zip(row["seeds"], row["fold_uars"], strict=True):
        for fold, uar in enumerate(uars):
            if not math.isnan(uar):
                said = f"fold {row['folds'][fold]}, seed {seed}: {percent(uar)} %"
                out.append(mark("circle", place(uar), middle, f"dot{weak}", said, 3))
    if not math.isnan(row["uar"]):
        said = f"all folds pooled: {percent(row['uar'])} %"
        out.append(mark("diamond", place(row["uar"]), middle, f"pooled{weak}", said, 5))
    out.append(text(WIDTH - 2, middle + 4, percent(row["uar"]), "value", "end"))
    return out


def _band(row: Mapping[str, Any], y: float, place: Place) -> list[Markup]:
    """Draw the interval, or a tick for each speaker where there is none."""
    interval = row["interval"]
    if not math.isnan(interval.low):
        left, right = place(interval.low), place(interval.high)
        said = f"95 % of speakers like these: {ends(interval)} %"
        return [box(left, y - 7, right - left, 14, "interval", said)]
    return [
        element(
            "line",
            element("title", f"{name}: {percent(uar)} %"),
            x1=place(uar),
            x2=place(uar),
            y1=y - 7,
            y2=y + 7,
            class_="speaker-tick",
        )
        for name, uar in row["speaker_uars"].items()
        if not math.isnan(uar)
    ]
