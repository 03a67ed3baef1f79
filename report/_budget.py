"""What of the table of utterances a page holds: all of it, or the best that fits.

A page is to be opened on a phone and sent by mail, so it has a size, and its table gets
what the rest of the page leaves, up to a budget of its own. Every run gives way by the
same steps, each only where the one before does not fit:

- ``WHOLE``: probabilities in 16 bits
- ``ROUNDED``: in 8 bits, shown as whole percents
- ``ERRORS``: in 8 bits, of errors alone; what was said of the others stays
- ``SOME``: of the surest errors alone; what was said of the others stays
- ``FEW``: the surest errors are the only utterances

The first three are taken run by run, so that the best runs keep the step above as long
as there is room; of the last two all runs have as many errors. Labels take turns, each
with its next surest error, as ``instructive`` chooses what is heard.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PAGE = 9_500_000  # bytes of the file
BUDGET = 5_000_000  # of these, what the table takes at most
WHOLE, ROUNDED, ERRORS, SOME, FEW = range(5)
ONE = 4 / 3  # characters of base64 for a byte
_OF_A_ROW = 8  # characters: place and truth, once for all runs of the same utterances

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Tested:
    """What a run said of its test utterances, in the order of their ids.

    Attributes:
        group: utterances and labels; runs of equal numbers share them
        index: place of each id among all ids ``(utterance,)``
        truth: code of the label ``(utterance,)``, -1 for none
        said: code of what was said ``(utterance,)``, -1 where no label was said
        shares: probabilities ``(utterance, label)``
    """

    group: int
    index: NDArray[np.int64]
    truth: NDArray[np.int64]
    said: NDArray[np.int64]
    shares: NDArray[np.float64]

    @property
    def wrong(self) -> NDArray[np.int64]:
        """Places of the errors: labels in turn, the surest of each first."""
        places = np.flatnonzero(
            (self.truth >= 0) & (self.said >= 0) & (self.truth != self.said)
        )
        truth, sure = self.truth[places], self.shares[places, self.said[places]]
        order = np.lexsort((-sure, truth))
        turn = np.zeros(len(places), np.int64)
        _, starts, sizes = np.unique(
            truth[order], return_index=True, return_counts=True
        )
        for start, size in zip(starts, sizes, strict=True):
            turn[order[start : start + size]] = np.arange(size)
        return np.asarray(places[np.lexsort((truth, turn))], np.int64)


@dataclass(frozen=True)
class Part:
    """What is kept of a run.

    Attributes:
        step: ``WHOLE`` to ``FEW``
        rows: the utterances that are there ``(utterance,)``
        shares: those of them with probabilities ``(utterance,)``
        n_wrong: all of its errors
    """

    step: int
    rows: Mask
    shares: Mask
    n_wrong: int

    @property
    def bytes(self) -> int:
        """Bytes of a number."""
        return 2 if self.step == WHOLE else 1

    def said_bytes(self, n_labels: int) -> int:
        """Return the bytes of the code of a label, the largest of which is none."""
        return self.bytes if n_labels < 255 else 2


@dataclass(frozen=True)
class _Sizes:
    """Characters that the parts of some runs take."""

    tested: Sequence[Tested]
    ids: NDArray[np.int64]  # (id,)
    heads: Sequence[int]  # of each run, whatever is kept of it

    def own(self, place: int, part: Part) -> float:
        """Return what a run takes of its own."""
        n_labels = self.tested[place].shares.shape[1]
        numbers = part.rows.sum() * part.said_bytes(n_labels)
        numbers += part.shares.sum() * part.bytes * n_labels
        masks = 0 if part.shares.all() else len(part.rows) / 4  # two bits a row
        return float(self.heads[place] + ONE * (numbers + masks))

    def all(self, parts: Sequence[Part]) -> float:
        """Return what all runs take, with what they share."""
        kept = np.zeros(len(self.ids), bool)
        rows: dict[int, Mask] = {}
        for one, part in zip(self.tested, parts, strict=True):
            kept[one.index[part.rows]] = True
            rows[one.group] = rows.get(one.group, False) | part.rows
        shared = self.ids[kept].sum() + _OF_A_ROW * sum(r.sum() for r in rows.values())
        return float(shared) + sum(self.own(i, p) for i, p in enumerate(parts))


def choose(
    tested: Sequence[Tested],
    ids: NDArray[np.int64],
    heads: Sequence[int],
    order: Sequence[int],
    budget: int = BUDGET,
) -> list[Part]:
    """Choose what is kept of each run.

    Args:
        tested: the runs
        ids: characters that each id takes ``(id,)``
        heads: characters that each run takes, whatever is kept of it
        order: places of the runs, those that keep most first
        budget: characters of all

    Returns:
        one part per run, in the order of ``tested``
    """
    sizes = _Sizes(tested, ids, heads)
    wrong = [one.wrong for one in tested]
    most = max((len(w) for w in wrong), default=0)

    def parts(step: int, n: int = most) -> list[Part]:
        return [_part(t, w, step, n) for t, w in zip(tested, wrong, strict=True)]

    above = parts(WHOLE)
    if sizes.all(above) <= budget:
        return above
    for step in (ROUNDED, ERRORS):
        below = parts(step)
        if (taken := sizes.all(below)) <= budget:
            return _raised(below, above, order, sizes, budget - taken)
        above = below
    step = SOME if sizes.all(parts(SOME, 0)) <= budget else FEW
    n = _most(lambda n: sizes.all(parts(step, n)) <= budget, most)
    return parts(step, n)


def _part(one: Tested, wrong: NDArray[np.int64], step: int, n: int) -> Part:
    every = np.ones(len(one.index), bool)
    if step in (WHOLE, ROUNDED):
        shares = every & (one.said >= 0)
        return Part(step, every, shares, len(wrong))
    chosen = np.zeros(len(every), bool)
    chosen[wrong[:n]] = True
    return Part(step, chosen if step == FEW else every, chosen, len(wrong))


def _raised(
    below: Sequence[Part],
    above: Sequence[Part],
    order: Sequence[int],
    sizes: _Sizes,
    room: float,
) -> list[Part]:
    """Raise runs by a step, one after the other, until the next has no room."""
    out = list(below)
    for place in order:
        more = sizes.own(place, above[place]) - sizes.own(place, below[place])
        if more > room:
            break
        room -= more
        out[place] = above[place]
    return out


def _most(fits: Callable[[int], bool], n: int) -> int:
    """Return the largest number up to ``n`` that fits; 0 is taken to fit."""
    low, high = 0, n
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
