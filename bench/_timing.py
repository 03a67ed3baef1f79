"""Alternate contenders and report medians with their spread, as ratios."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds of one contender, one entry per alternation."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median in seconds."""
        return statistics.median(self.seconds)


def alternate(
    contenders: Mapping[str, Callable[[], object]], rounds: int = 7
) -> list[Timing]:
    """Time contenders in turn, after one unmeasured round.

    Args:
        contenders: name -> what is timed; the first is the baseline
        rounds: alternations
    """
    for run in contenders.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - start)
    return [Timing(name, tuple(seconds)) for name, seconds in taken.items()]


def rows(timings: list[Timing]) -> list[dict[str, float | str]]:
    """Return, per contender, its median, spread and speed against the first."""
    base = timings[0]
    out: list[dict[str, float | str]] = []
    for one in timings:
        pairs = zip(base.seconds, one.seconds, strict=True)
        ratios = sorted(b / s for b, s in pairs)
        out.append(
            {
                "contender": one.name,
                "seconds": one.median,
                "min": min(one.seconds),
                "max": max(one.seconds),
                "speed": statistics.median(ratios),
                "speed_min": ratios[0],
                "speed_max": ratios[-1],
            }
        )
    return out
