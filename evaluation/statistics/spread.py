"""How a score differs over folds and over seeds: shown beside an interval, is none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from contracts.run import Run
from evaluation.measures.metrics import per_group, score_run


@dataclass(frozen=True)
class Spread:
    """How a score differs over folds and over seeds; no interval.

    Attributes:
        folds: score of each fold, mean over seeds, in the order of the folds
        seeds: score of each seed, folds pooled
    """

    folds: tuple[float, ...]
    seeds: tuple[float, ...]

    @property
    def fold_sd(self) -> float:
        """Standard deviation over folds; NaN for fewer than two."""
        return _deviation(self.folds)

    @property
    def seed_sd(self) -> float:
        """Standard deviation over seeds; NaN for fewer than two."""
        return _deviation(self.seeds)


def _deviation(values: Sequence[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return float(np.std(known, ddof=1)) if len(known) > 1 else math.nan


def spread(runs: Run | Sequence[Run], metric: str = "uar") -> Spread:
    """Return the score of each fold and of each seed.

    Args:
        runs: one run, or several that differ in the seed alone
        metric: ``uar``, ``war`` or ``f1``
    """
    runs = [runs] if isinstance(runs, Run) else runs
    seeds = [getattr(score_run(run), metric) for run in runs]
    folds = [
        [getattr(s, metric) for s in per_group(run, "fold").values()] for run in runs
    ]
    return Spread(tuple(np.mean(folds, axis=0).tolist()), tuple(seeds))
