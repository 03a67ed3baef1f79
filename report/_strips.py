"""Strips: the recall of each label in each speaker, a strip of dots per label."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from contracts.terminal import count
from report._plots import N_SPEAKERS
from report._svg import clip, drawing, element, line, mark, text
from report._words import ends, percent

WIDTH, LEFT, RIGHT, TOP, ROW = 400.0, 96.0, 14.0, 16.0, 27.0  # in pixels
LARGEST = 11.0  # radius of the largest dot
DOT = 3.2  # radius of one speaker's dot, where no dot is larger than that
N_BINS = 20  # of recall, where speakers are too many to name


def class_strips(
    speakers: Sequence[Mapping[str, Any]],
    classes: Sequence[Mapping[str, Any]],
    chance: float,
) -> Markup:
    """Draw the recall of each label in each speaker.

    Speakers of equal recall share a dot, whose area says how many they are. More than
    ``N_SPEAKERS`` are counted in bins of 5 % and not named.

    Args:
        speakers: ``name``, and for each label how many of their utterances are said
            ``right`` and how many there are (``support``)
        classes: ``label``, ``recall`` over all utterances and ``sure``, its interval
        chance: recall of a guess
    """
    dots = [_dots(speakers, i) for i in range(len(classes))]
    most = max((n for row in dots for _, n, _ in row), default=1)
    scale = min(DOT, LARGEST / math.sqrt(most))
    bottom = TOP + ROW * len(classes)
    out = [line(_x(chance), TOP - 6, _x(chance), bottom, "chance")]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        out.append(line(_x(tick), TOP, _x(tick), bottom, "grid"))
        out.append(text(_x(tick), bottom + 15, f"{100 * tick:.0f}", "tick", "middle"))
    for i, one in enumerate(classes):
        y = TOP + ROW * (i + 0.5)
        out.append(text(LEFT - 14, y + 4, clip(str(one["label"]), 12), "name", "end"))
        for at, n, said in dots[i]:
            out.append(_dot(_x(at), y, scale * math.sqrt(n), said))
        out += _mean(one, y)
    label = f"Recall of each label in {count(len(speakers), 'speaker')}: "
    label += "; ".join(_told(one, row) for one, row in zip(classes, dots, strict=True))
    return drawing(WIDTH, bottom + 22, f"{label}.", out, "strips", least=290)


def is_binned(speakers: Sequence[object]) -> bool:
    """Whether so many speakers are counted in bins and not named."""
    return len(speakers) > N_SPEAKERS


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _dot(x: float, y: float, size: float, said: str) -> Markup:
    told = element("title", said)
    return element("circle", told, cx=x, cy=y, r=round(size, 1), class_="dot")


def _dots(
    speakers: Sequence[Mapping[str, Any]], label: int
) -> list[tuple[float, int, str]]:
    """Return recall, number of speakers and words of each dot of a label's strip."""
    heard = [s for s in speakers if s["support"][label]]
    if is_binned(speakers):
        return _bins([s["right"][label] / s["support"][label] for s in heard])
    names = _short([str(s["name"]) for s in speakers])
    places: dict[int, dict[tuple[int, int], list[str]]] = {}
    for s in heard:
        right, n = s["right"][label], s["support"][label]
        same = places.setdefault(round(100 * right / n), {})
        same.setdefault((right, n), []).append(names[str(s["name"])])
    out = []
    for _, same in sorted(places.items()):
        parts = sorted(same.items(), key=lambda part: part[0][0] / part[0][1])
        said = [
            f"{percent(right / n)} % ({right} of {n}): {', '.join(sorted(who))}"
            for (right, n), who in parts
        ]
        total = sum(len(who) for who in same.values())
        mean = sum(right / n * len(who) for (right, n), who in parts) / total
        out.append((mean, total, "; ".join(said)))
    return out


def _bins(recalls: Sequence[float]) -> list[tuple[float, int, str]]:
    found: dict[int, list[float]] = {}
    for recall in recalls:
        found.setdefault(min(N_BINS - 1, int(recall * N_BINS)), []).append(recall)
    step = 100 // N_BINS
    return [
        (
            sum(values) / len(values),
            len(values),
            f"{step * i} to {step * (i + 1)} %: {count(len(values), 'speaker')}",
        )
        for i, values in sorted(found.items())
    ]


def _short(names: Sequence[str]) -> dict[str, str]:
    """Name speakers without their corpus, where all are of one."""
    of_one = len({name.partition("/")[0] for name in names}) == 1
    return {n: clip(n.partition("/")[2] or n if of_one else n, 24) for n in names}


def _mean(one: Mapping[str, Any], y: float) -> list[Markup]:
    """Draw the recall over all utterances, with its interval where there is one."""
    recall, sure = float(one["recall"]), one["sure"]
    if math.isnan(recall):
        return []
    said = f"{one['label']}: {percent(recall)} %"
    out = []
    if not math.isnan(sure.low):
        said += f", 95 % over speakers {ends(sure)} %"
        out.append(line(_x(sure.low), y, _x(sure.high), y, "whisker"))
    out.append(mark("diamond", _x(recall), y, "pooled", said, 4))
    return out


def _told(one: Mapping[str, Any], row: Sequence[tuple[float, int, str]]) -> str:
    """Say a strip in words, for who does not see it."""
    said = f"{one['label']} {percent(one['recall'])} %"
    if not row:
        return said
    return f"{said}, speakers from {percent(row[0][0])} to {percent(row[-1][0])}"
