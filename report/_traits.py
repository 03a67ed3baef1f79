"""Runs that say traits alone: a box of their own, by concordance and not by UAR."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from contracts.manifest import TRAIT
from contracts.run import Run
from contracts.terminal import count
from evaluation.measures.traits import concordance, concordance_interval, spearman
from evaluation.statistics.trait_systems import trait_system
from evaluation.statistics.uncertainty import MIN_SPEAKERS, Interval
from report._intervals import number
from report._svg import box, clip, drawing, line, mark, text, ticks
from report._words import NOTHING

WIDTH, LEFT, RIGHT, TOP, STEP = 480.0, 12.0, 60.0, 20.0, 40.0


def trait_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Score each trait that runs predicted, over all their seeds.

    Args:
        runs: that differ in the seed only and were tested on the same utterances

    Returns:
        one entry per trait: ``trait``, ``n`` utterances with both values, ``n_least``
        (of the seed that has fewest), ``pooled`` (whether the seeds are),
        ``interval`` (the concordance of all seeds together, over speakers),
        ``spearman`` (mean over seeds) and ``speakers``: the concordance of each where
        they are too few for an interval

    Raises:
        RunError: if a seed was tested on other utterances
    """
    system = trait_system(runs)
    out = []
    for trait, guesses in system.guesses.items():
        truth = system.rows[TRAIT + trait].to_numpy(np.float64)
        who = system.rows["speaker"].to_numpy(object)
        n = len(guesses)
        sure = concordance_interval(np.tile(truth, n), guesses.ravel(), np.tile(who, n))
        ranks = [spearman(truth, guess) for guess in guesses]
        both = int((np.isfinite(truth) & np.isfinite(guesses).all(axis=0)).sum())
        told = {"trait": trait, "n": both, "n_least": both, "pooled": True}
        told |= {"interval": sure, "spearman": statistics.fmean(ranks)}
        out.append(told | {"speakers": _each_of_few(truth, guesses, who)})
    return out


def _each_of_few(
    truth: NDArray[Any], guesses: NDArray[Any], who: NDArray[Any]
) -> dict[str, float]:
    """Score each speaker, mean over seeds, where they are too few for an interval."""
    names = sorted({str(name) for name in who if name})
    if len(names) >= MIN_SPEAKERS:
        return {}
    return {
        name: statistics.fmean(
            concordance(truth[who == name], guess[who == name]) for guess in guesses
        )
        for name in names
    }


def mean_of_seeds(
    each: Sequence[Sequence[Mapping[str, Any]]], why: str
) -> list[dict[str, Any]]:
    """Take the means of what seeds scored on unlike utterances.

    Args:
        each: of every seed, what ``trait_rows`` says of it alone
        why: there is no interval of such means

    Returns:
        as ``trait_rows`` does; ``interval`` has no ends, ``n`` is the most that a seed
        was scored on, and what does not exist in some seed does not exist
    """
    out = []
    for seeds in zip(*each, strict=True):
        value = statistics.fmean(one["interval"].value for one in seeds)
        out.append(
            {
                "trait": seeds[0]["trait"],
                "n": max(one["n"] for one in seeds),
                "n_least": min(one["n"] for one in seeds),
                "pooled": False,
                "interval": Interval(value, math.nan, math.nan, 0, why),
                "spearman": statistics.fmean(one["spearman"] for one in seeds),
                "speakers": {},
            }
        )
    return out


def mean_concordance(row: Mapping[str, Any]) -> float:
    """Return the mean concordance over the traits of a row, NaN for none."""
    known = [t["interval"].value for t in row["traits"]]
    return statistics.fmean(known) if known else math.nan


def coefficient_ends(interval: Interval) -> str:
    """Write the ends of an interval of a coefficient; a dash where there is none."""
    if math.isnan(interval.low):
        return NOTHING
    return f"{number(interval.low)} to {number(interval.high)}"


def told_of_trait(one: Mapping[str, Any]) -> str:
    """Say in a line how well a trait was predicted."""
    sure = coefficient_ends(one["interval"])
    ends = f" ({sure})" if sure != NOTHING else ""
    return (
        f"{one['trait']}: concordance {number(one['interval'].value)}{ends}, "
        f"Spearman {number(one['spearman'])}"
    )


def told_of_traits(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Say how well each row of a box predicted, and how rows are compared."""
    told = [(r["name"], "; ".join(map(told_of_trait, r["traits"]))) for r in rows]
    notes = [t["interval"].note for r in rows for t in r["traits"]]
    told += [("No interval", note) for note in dict.fromkeys(filter(None, notes))]
    for row in rows:
        for one in row["traits"]:
            if one["speakers"]:
                each = [f"{k} {number(v)}" for k, v in one["speakers"].items()]
                where = f"Each speaker, {row['name']}, {one['trait']}"
                told.append((where, ", ".join(each)))
    if len(rows) > 1:
        names = " ".join(",".join(r["runs"]) for r in rows[:2])
        how = f"python pipeline.py compare {names}"
        told.append(("Not ranked", f"Paired, speaker by speaker: {how}"))
    return told


def asked_of_traits(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say what the runs of a box were asked, and on how much."""
    first = rows[0]
    what = " and ".join(t["trait"] for t in first["traits"])
    met = "has met in training" if first["breaks"] else "has never heard"
    n = max(t["n"] for r in rows for t in r["traits"])
    speakers = count(max(r["n_speakers"] for r in rows), "speaker")
    return (
        f"How near does each head come to {what} in {first['corpus']}, on speakers it "
        f"{met}? Tested on {n:,} utterances of {speakers}. These runs say no labels, "
        "so they have no UAR and no rank."
    )


def traits_picture(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Draw the concordance of each row and trait, with its interval over speakers.

    Args:
        rows: of one box, with ``name`` and ``traits``
    """
    lines = [(row, one) for row in rows for one in row["traits"]]
    ends = [
        v
        for _, one in lines
        for v in (one["interval"].value, one["interval"].low, one["interval"].high)
        if not math.isnan(v)
    ]
    low = math.floor(min([0.0, *ends]) * 5) / 5
    bottom = TOP + STEP * len(lines)

    def place(value: float) -> float:
        return LEFT + (value - low) / (1 - low) * (WIDTH - LEFT - RIGHT)

    out: list[Markup] = []
    for tick in ticks(low, 1.0, 6):
        out.append(line(place(tick), TOP, place(tick), bottom, "grid"))
        out.append(text(place(tick), bottom + 16, f"{tick:.1f}", "tick", "middle"))
    out.append(text(WIDTH - RIGHT, bottom + 33, "concordance", "tick", "end"))
    for i, (row, one) in enumerate(lines):
        out += _line(row, one, TOP + STEP * i, place)
    said = "; ".join(f"{row['name']}, {told_of_trait(one)}" for row, one in lines[:20])
    return drawing(WIDTH, bottom + 40, f"Concordance of traits. {said}", out, "folds")


def _line(
    row: Mapping[str, Any],
    one: Mapping[str, Any],
    y: float,
    place: Callable[[float], float],
) -> list[Markup]:
    sure, middle = one["interval"], y + 28
    name = f"{one['trait']} · {row['name']}"
    out = [text(4, y + 14, clip(name, 62), "name halo")]
    if not math.isnan(sure.low):
        left, right = place(sure.low), place(sure.high)
        said = f"95 % of speakers like these: {coefficient_ends(sure)}"
        out.append(box(left, middle - 7, right - left, 14, "interval", said))
    if not math.isnan(sure.value):
        said = f"all folds pooled: {number(sure.value)}"
        weak = " weak" if row["partial"] or row["untrained"] else ""
        where = place(sure.value)
        out.append(mark("diamond", where, middle, f"pooled{weak}", said, 5))
    value = number(sure.value)
    out.append(text(WIDTH - 2, middle + 4, value, "value", "end"))
    return out
