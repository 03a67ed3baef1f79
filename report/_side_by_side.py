"""Corpora side by side: small multiples that share their rows and their scale."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from contracts.terminal import count
from report._corpus_plots import bins
from report._svg import box, drawing, line, text, ticks
from report._words import percent

Facts = Mapping[str, Any]
SEXES = ("female", "male", "unknown")
N_BINS = 28
LEAST = 0.05  # seconds, where the axis of durations begins at the earliest
_WIDTH, _HEIGHT = 260.0, 110.0  # pixels of one small histogram


def side_by_side(facts: Sequence[Facts]) -> dict[str, Any]:
    """Turn inspections into what the page of all of them shows."""
    return {
        "corpora": [{**f, "rates": _tally(f["sampling_rates"])} for f in facts],
        "multiples": [
            _bars("Labels", "utterance", facts, lambda f: f["label_counts"]),
            _bars("Sexes", "speaker", facts, lambda f: f["sexes"], SEXES),
            _bars("Sampling rates in Hz", "utterance", facts, _rates),
            _bars("Samples at full scale", "utterance", facts, _binned("clipping")),
            _bars("Frames below -60 dBFS", "utterance", facts, _binned("silence")),
        ],
        "durations": _histograms([f["duration"]["histogram"] for f in facts]),
        "per_speaker": _per_speaker(facts),
        "problems": _problems(facts),
    }


def _tally(numbers: Mapping[str, int]) -> str:
    return ", ".join(numbers) or "–"


def _rates(facts: Facts) -> Mapping[str, int]:
    found: Mapping[str, int] = facts["sampling_rates"]
    return found


def _as_number(name: str) -> float:
    try:
        return float(name)
    except ValueError:  # unknown: behind all others
        return float("inf")


def _binned(name: str) -> Callable[[Facts], dict[str, int]]:
    return lambda facts: {label: n for label, n, _ in bins(facts[name])}


def _bars(
    title: str,
    noun: str,
    facts: Sequence[Facts],
    choose: Callable[[Facts], Mapping[str, int]],
    order: Sequence[str] = (),
) -> dict[str, Any]:
    """Make one panel for each corpus: the same rows, bars of shares on one scale."""
    counts = [choose(f) for f in facts]
    names = list(dict.fromkeys([*order, *(name for c in counts for name in c)]))
    if choose is _rates:
        names.sort(key=_as_number)
    names.sort(key=lambda name: name in ("", "unknown"))  # these stand last
    names = [name for name in names if any(c.get(name) for c in counts)]
    totals = [sum(c.values()) for c in counts]
    shares = [
        [c.get(name, 0) / total if total else 0.0 for name in names]
        for c, total in zip(counts, totals, strict=True)
    ]
    most = max((s for each in shares for s in each), default=0.0) or 1.0
    return {
        "title": title,
        "noun": noun,
        "most": percent(most),
        "panels": [
            {
                "corpus": f["corpus"],
                "total": count(total, noun),
                "rows": [
                    (name or "(no label)", c.get(name, 0), percent(s), s / most)
                    for name, s in zip(names, each, strict=True)
                ],
            }
            for f, c, total, each in zip(facts, counts, totals, shares, strict=True)
        ],
    }


def _histograms(found: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """Draw durations, a histogram for each corpus, all on the same axes.

    The bins are of equal width on a logarithmic scale; what lies within one bin of the
    inspection is taken to be spread evenly over it.
    """
    ends = [e for f in found for e in (f["edges"][:1] or []) + (f["edges"][-1:] or [])]
    low, high = max(min(ends, default=1.0), LEAST), max([*ends, 2 * LEAST])
    edges = np.geomspace(low, max(high, 2 * low), N_BINS + 1)
    shares = [_rebinned(f, edges) for f in found]
    most = max((s for each in shares for s in each), default=0.0) or 1.0
    return [_histogram(edges.tolist(), each, most) for each in shares]


def _rebinned(found: Mapping[str, Any], edges: NDArray[np.float64]) -> list[float]:
    """Return the share of utterances in each bin."""
    if not sum(found["counts"]):
        return []
    reached = np.cumsum([0, *found["counts"]]) / sum(found["counts"])
    # the first bin takes what is shorter
    told = np.interp(edges, found["edges"], reached)
    told[0] = 0.0
    shares: list[float] = np.diff(told).tolist()
    return shares


def _histogram(edges: Sequence[float], shares: Sequence[float], most: float) -> Markup:
    left, top = 30.0, 8.0
    wide = _WIDTH - left - 8
    span = math.log(edges[-1] / edges[0])

    def place(value: float) -> float:
        return left + wide * math.log(value / edges[0]) / span

    out = []
    for tick in ticks(0, most, 3):
        y = top + _HEIGHT * (1 - tick / most)
        out.append(line(left, y, _WIDTH - 8, y, "grid"))
        out.append(text(left - 5, y + 4, f"{100 * tick:g}", "tick", "end"))
    for a, b, share in zip(edges, edges[1:], shares, strict=False):
        tall, x = _HEIGHT * share / most, place(a)
        said = f"{a:.2g} to {b:.2g} s: {percent(share)} % of utterances"
        out.append(box(x, top + _HEIGHT - tall, place(b) - x - 0.5, tall, "bar", said))
    for tick in _round_numbers(edges[0], edges[-1]):
        y = top + _HEIGHT + 15
        out.append(text(place(tick), y, f"{tick:g}", "tick", "middle"))
    label = f"Utterances by duration, {edges[0]:.2g} to {edges[-1]:.2g} s. "
    if shares:
        at = max(range(len(shares)), key=shares.__getitem__)
        label += f"Most: {percent(shares[at])} % at {edges[at]:.2g} s."
    else:
        label += "No durations known."
    return drawing(_WIDTH, top + _HEIGHT + 22, label, out, "histogram")


def _round_numbers(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten in [low, high], or the powers alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(powers) < 5 else (1,)
    told = [step * 10.0**power for power in powers for step in steps]
    return [value for value in told if low <= value <= high]


def _per_speaker(facts: Sequence[Facts]) -> list[dict[str, Any]]:
    """Say how many utterances speakers have: least, median, most, on one scale."""
    out = []
    for f in facts:
        sizes = sorted(
            sum(labels.values())
            for speaker, labels in f["label_by_speaker"].items()
            if speaker != "unknown"
        )
        ends = (sizes[0], sizes[len(sizes) // 2], sizes[-1]) if sizes else None
        out.append({"corpus": f["corpus"], "n": len(sizes), "ends": ends})
    most = max((o["ends"][2] for o in out if o["ends"]), default=1)
    for o in out:
        o["at"] = [end / most for end in o["ends"]] if o["ends"] else None
    return out


def _problems(facts: Sequence[Facts]) -> list[tuple[str, list[int | None]]]:
    """Count what a person should look at: a row for each kind, a column a corpus."""
    kinds: list[tuple[str, Callable[[Facts], int | None]]] = [
        ("differences from what was published", lambda f: len(f["differences"])),
        ("utterances without features", lambda f: len(f["problems"])),
        ("utterances of no known speaker", lambda f: f["n_unknown_speaker"]),
        ("utterances without a label", lambda f: f["label_counts"].get("", 0)),
        ("files to mend", lambda f: sum(1 for x in f["leftovers"] if x["fault"])),
        ("groups of one waveform", lambda f: len(f["duplicates"])),
        ("of them told differently", lambda f: len(f["duplicate_conflicts"])),
        ("groups of one recording, encoded anew", _n_near),
    ]
    return [(what, [of(f) for f in facts]) for what, of in kinds]


def _n_near(facts: Facts) -> int | None:
    near = facts.get("near_duplicates")
    return len(near["groups"]) if near else None
