"""What concordance is made of, speaker by speaker.

Lin's concordance (``evaluation.measures.traits``) is a function of sums over
utterances: their number, both values, their squares and their product. So speakers are
swapped, left out and drawn by their sums. Sums are means over seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.manifest import TRAIT
from evaluation.statistics.trait_systems import TraitSystem, Values


@dataclass(frozen=True)
class TraitSums:
    """A trait where it is annotated and every one of some systems predicted it.

    Attributes:
        trait: its name
        speakers: ``(utterance,)``
        sums: what concordance is made of ``(system, speaker, quantity)``
        n_annotated: utterances whose trait is annotated
    """

    trait: str
    speakers: NDArray[np.object_]
    sums: Values
    n_annotated: int

    @property
    def scores(self) -> Values:
        """Concordance ``(system,)``, NaN where there is none."""
        return concordance_of(self.sums.sum(axis=1))

    @property
    def exists(self) -> bool:
        """Whether every system has a concordance."""
        return bool(np.isfinite(self.scores).all())

    @property
    def n_unknown(self) -> int:
        """Utterances whose speaker is not known."""
        return int((self.speakers == "").sum())


def read_sums(systems: Sequence[TraitSystem], trait: str) -> TraitSums:
    """Add up one trait by speakers, where it is annotated and all systems predicted it.

    Args:
        systems: of the same utterances, with the same annotated values
        trait: that all of them predicted
    """
    rows = systems[0].rows
    annotated = rows[TRAIT + trait].notna().to_numpy()
    there = annotated
    for system in systems:
        there = there & np.isfinite(system.guesses[trait]).all(axis=0)
    truth = rows[TRAIT + trait].to_numpy(np.float64)[there]
    middle = truth.mean() if len(truth) else 0.0  # squares of large values lose digits
    speakers = rows["speaker"].to_numpy(object)[there]
    names, who = np.unique(speakers.astype(str), return_inverse=True)
    x = truth - middle
    sums = np.zeros((len(systems), len(names), 6))
    for own, system in zip(sums, systems, strict=True):
        y = system.guesses[trait][:, there] - middle
        parts = [np.ones(len(x)), x, y.mean(0), x * x, (y * y).mean(0), x * y.mean(0)]
        np.add.at(own, who, np.column_stack(parts))
    return TraitSums(trait, speakers, sums, int(annotated.sum()))


def concordance_of(sums: Values) -> Values:
    """Return Lin's concordance of sums ``(..., quantity)``, NaN where there is none.

    Args:
        sums: number, values, predictions, squares of each, and products
    """
    n = np.maximum(sums[..., 0], 1)
    x, y, xx, yy, xy = (sums[..., i] / n for i in range(1, 6))
    below = xx - x**2 + yy - y**2 + (x - y) ** 2
    # values that never vary leave what rounding leaves of their squares
    there = (sums[..., 0] > 1) & (below > 1e-12 * (xx + yy))
    out = np.full(below.shape, np.nan)
    np.divide(2 * (xy - x * y), below, out=out, where=there)
    return out
