"""Alternate contenders; report medians with their spread, and ratios."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Contender:
    """One way of doing the work.

    Attributes:
        name: as it stands in the table
        run: what is timed
        amount: work that it does, in the table's unit times seconds
        warm: called once before anything is timed; None: ``run``
        after: called after each run, not timed: removes what was written
        before: called before each run, not timed: brings about what lasts in practice
    """

    name: str
    run: Callable[[], object]
    amount: float
    warm: Callable[[], object] | None = None
    after: Callable[[], object] | None = None
    before: Callable[[], object] | None = None


@dataclass(frozen=True)
class Result:
    """What a bench found.

    Attributes:
        tables: see ``table``
        remarks: sentences below the tables
        facts: about the machine and the run
    """

    tables: Sequence[Mapping[str, Any]] = ()
    remarks: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def alternate(contenders: Sequence[Contender], rounds: int) -> dict[str, list[float]]:
    """Time contenders in turn, so that a slow minute meets all of them.

    Args:
        contenders: what is compared
        rounds: alternations

    Returns:
        name -> seconds, one for each round
    """
    for one in contenders:
        (one.warm or one.run)()
        if one.after:
            one.after()
    taken: dict[str, list[float]] = {one.name: [] for one in contenders}
    for _ in range(rounds):
        for one in contenders:
            if one.before:
                one.before()
            start = time.perf_counter()
            one.run()
            taken[one.name].append(time.perf_counter() - start)
            if one.after:
                one.after()
    return taken


def amounts(contenders: Sequence[Contender]) -> dict[str, float]:
    """Return the work of one run by contender."""
    return {one.name: one.amount for one in contenders}


def table(
    title: str,
    unit: str,
    taken: Mapping[str, Sequence[float]],
    done: Mapping[str, float],
    ours: str,
    each: tuple[str, float] | None = None,
) -> dict[str, Any]:
    """Sum up contenders, and compare ours with every other one round by round.

    Args:
        title: of the table
        unit: of the rates: work in a second
        taken: contender -> seconds of each round
        done: contender -> work of one run
        ours: the contender that the others are compared with
        each: what a time is called, and the work that it is for; None: seconds for
            what ours does in a run

    Returns:
        values for JSON; ``ours_is`` says how many times as fast ours is
    """
    called, work = each or ("seconds", done[ours])
    rows = []
    for name, seconds in taken.items():
        row: dict[str, Any] = {"contender": name}
        rates = [done[name] / s for s in seconds]
        row |= _spread("rate", rates) | _spread("time", [work / r for r in rates])
        if name != ours:
            own = [done[ours] / s for s in taken[ours]]
            pairs = zip(own, rates, strict=True)
            row |= _spread("ours_is", [mine / rate for mine, rate in pairs])
        rows.append(row)
    told = {"title": title, "unit": unit, "each": called, "ours": ours}
    return told | {"rounds": len(taken[ours]), "rows": rows}


def _spread(name: str, values: Sequence[float]) -> dict[str, Any]:
    return {
        name: statistics.median(values),
        f"{name}_min": min(values),
        f"{name}_max": max(values),
    }
