"""What a paired comparison tells of one system against another, by any score."""

import math
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from evaluation.statistics._permutation import SwapTest
from evaluation.statistics.uncertainty import Interval


@dataclass(frozen=True)
class Judged:
    """What is known of one system against another, whatever they are scored by.

    Attributes:
        first: name of the one
        second: name of the other, the baseline where there is one
        scores: of both
        interval: first less second
        test: by swaps of speakers
        p_holm: ``test.p``, corrected for the family
        family: how many comparisons are judged together
        alpha: how often a family without any difference may give a verdict
        visible: smallest true difference that would be found with 80 % power in a
            family of this size; NaN if none would
        n_utterances: test utterances that both are scored on
        verdict: ``better``, ``worse`` or ``cannot tell``, said of the first
        why: why it cannot be told; else empty
    """

    first: str
    second: str
    scores: tuple[float, float]
    interval: Interval
    test: SwapTest
    p_holm: float
    family: int
    alpha: float
    visible: float
    n_utterances: int
    verdict: str
    why: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON knows it: what is not there is null."""
        return without_nan(asdict(self))


def without_nan(value: Any) -> Any:
    """Return a value as JSON knows it: NaN is null, tuples are lists."""
    if isinstance(value, dict):
        return {k: without_nan(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return [without_nan(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def pairs_of(n_systems: int, all_pairs: bool) -> list[tuple[int, int]]:
    """List which systems are compared: each with the first, or all with each other.

    Returns:
        places of each and of the one that it is compared with

    Raises:
        ValueError: if there is one system only
    """
    if n_systems < 2:
        msg = f"expected two systems or more to compare, got {n_systems}"
        raise ValueError(msg)
    pairs = [(b, a) for a, b in combinations(range(n_systems), 2)]
    return [pair for pair in pairs if all_pairs or pair[1] == 0]
