"""A paired comparison in words: a table of the systems, and a sentence per pair."""

import math
from collections.abc import Sequence

import numpy as np

from contracts.errors import listing
from contracts.terminal import count, table
from evaluation.statistics._power import unseen
from evaluation.statistics.confusions import score_of
from evaluation.statistics.paired import UNKNOWN, Comparison
from evaluation.statistics.systems import System
from evaluation.statistics.uncertainty import (
    MIN_SPEAKERS,
    Interval,
    interval,
    per_speaker,
)

NAMES = {"uar": "UAR", "war": "WAR", "f1": "F1"}


def points(value: float, sign: bool = False) -> str:
    """Write a share in percent points with one digit."""
    return f"{100 * value:+.1f}" if sign else f"{100 * value:.1f}"


def systems_text(systems: Sequence[System], metric: str) -> str:
    """Lay out each system's score, with its interval or each speaker's score."""
    names = sorted(set(systems[0].speakers.tolist()))
    one = [interval(s.counts.mean(axis=0), metric, names) for s in systems]
    several = any(len(system.guesses) > 1 for system in systems)
    few = one[0].n_speakers < MIN_SPEAKERS
    heads = ["system", "seeds", *(["seed SD"] if several else ()), f"{NAMES[metric]} %"]
    rows = []
    for system, told in zip(systems, one, strict=True):
        each = score_of(system.counts.sum(axis=1), metric)
        sd = points(float(np.std(each, ddof=1))) if len(each) > 1 else ""
        rows.append(
            [
                system.name,
                listing(system.facts.get("seeds", ())),
                *([sd] if several else ()),
                points(told.value),
                _speakers(system, metric) if few else _ends(told) or told.note,
            ]
        )
    return table([*heads, "each speaker %" if few else "95 % interval"], rows)


def _speakers(system: System, metric: str) -> str:
    each = per_speaker(system, metric).items()
    return ", ".join(f"{s.rpartition('/')[2]}: {points(v)}" for s, v in each)


def _ends(one: Interval, sign: bool = False) -> str:
    if math.isnan(one.low):
        return ""
    return f"[{points(one.low, sign)}, {points(one.high, sign)}]"


def sentence(pair: Comparison) -> str:
    """Say what one pair comes to."""
    one, n = pair.interval, pair.interval.n_speakers
    ends = f" {told}" if (told := _ends(one, sign=True)) else ""
    why = f", since {pair.why}" if pair.verdict == UNKNOWN else ""
    holm = (
        f"Holm over {pair.family}: {p_text(pair.p_holm)}; " if pair.family > 1 else ""
    )
    how = f"{pair.test.n_draws:,} drawn" if pair.test.n_draws else "all counted"
    return (
        f"{pair.first} against {pair.second}: {NAMES[pair.metric]} "
        f"{points(one.value, sign=True)} points{ends}, p {p_text(pair.test.p)} ({holm}"
        f"swaps of {count(n, 'speaker')}, {how}, smallest p "
        f"{p_text(pair.test.smallest)}): {pair.verdict}{why}"
    )


def p_text(value: float) -> str:
    """Write a p with two digits where it is small."""
    return f"{value:.2g}" if value < 0.01 else f"{value:.3g}"


def notes(pair: Comparison) -> list[str]:
    """Say what else belongs to one pair: power, resamples, McNemar."""
    if math.isnan(pair.visible):
        seen = unseen(pair.test.smallest * pair.family <= pair.alpha)
    else:
        seen = (
            "smallest true difference seen with 80 % power here: "
            f"{points(pair.visible)} points"
        )
    told = pair.mcnemar
    out = [seen, *([pair.interval.note] if pair.interval.note else [])]
    out.append(
        f"ignores speakers and decides nothing: McNemar's p {p_text(told.p)} "
        f"({told.only_first} utterances right by {pair.first} only, "
        f"{told.only_second} by {pair.second} only)"
    )
    return out
