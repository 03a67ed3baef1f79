"""What is audited, and how a practice fits its heads and hands out its guesses.

A practice that leaks is never a ``Fold`` that says nothing: it is a list of trials made
here alone, which no other command can ask for.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.cache import Cache
from contracts.errors import listing
from contracts.job import Job
from contracts.terminal import progress
from contracts.view import View
from evaluation._fits import draws, fits
from evaluation.question import Question
from evaluation.settings import needs_dev
from evaluation.splits.folds import Fold

Rows = NDArray[np.int64]
Parts = tuple[Rows, Rows, Rows]
COLUMNS = ("seed", "fold", "id", "speaker", "truth", "guess")


class Skipped(Exception):
    """A practice cannot apply; says why, and the command that would mend it."""


class Outcome(NamedTuple):
    """What a practice came to.

    Attributes:
        rows: one per test utterance and seed: ``COLUMNS``; truth and guess are codes,
            -1 for no label
        note: what one must know of it
    """

    rows: pd.DataFrame
    note: str = ""


class Trial(NamedTuple):
    """One fit: the head, what it learns from and what it is tested on."""

    head: Any
    train: View
    dev: View | None
    test: View
    fold: int
    seed: int


@dataclass
class Case:
    """A head, its features, and the honest protocol they are audited under.

    Attributes:
        question: utterances without variants, and the folds
        copies: the same with augmented copies in train; None: the cache has none
        no_copies: why there are none
        known: outcomes of practices that were asked for before
    """

    cache: Cache
    question: Question
    model: str
    head: Any
    seeds: Sequence[int]
    copies: Question | None = None
    no_copies: str = ""
    known: dict[str, Outcome] = field(default_factory=dict)

    @property
    def features(self) -> tuple[str, ...]:
        """The head's inputs."""
        return tuple(self.head.features)

    @property
    def n_labels(self) -> int:
        """Length of the label list."""
        return len(self.question.view.classes)

    def head_of(self, seed: int, **settings: Any) -> Any:
        """Return an unfitted head of one seed."""
        from sklearn.base import clone

        one = clone(self.head)
        if "seed" in one.get_params(deep=False):
            settings = {"seed": seed, **settings}
        return one.set_params(**settings) if settings else one

    def asked_seeds(self, practice_draws: bool = False) -> list[int]:
        """Return the seeds worth fitting: one alone where nothing is drawn."""
        anything = practice_draws or draws(self.head)
        return list(self.seeds if anything else self.seeds[:1])

    def learnt_on(self, fold: Fold) -> tuple[View, View | None]:
        """Return train and dev of a fold, as the head is handed them."""
        if needs_dev(self.head):
            return fold.part("train"), fold.part("dev")
        return fold.refit, None

    def honest(
        self, question: Question | None = None, **settings: Any
    ) -> Iterator[Trial]:
        """Make the trials of the folds as they are."""
        for seed in self.asked_seeds():
            for fold in (question or self.question).folds:
                head = self.head_of(seed, **settings)
                train, dev = self.learnt_on(fold)
                yield Trial(head, train, dev, fold.part("test"), fold.index, seed)

    def fit(self, trials: Iterable[Trial]) -> pd.DataFrame:
        """Fit trials and return their guesses, in the order of the trials."""
        asked = list(trials)
        # each is a fold of its own, so that no two are taken for equal fits
        jobs = [
            Job(t.head, t.train, t.dev, t.test, i, t.seed) for i, t in enumerate(asked)
        ]
        found: dict[int, pd.DataFrame] = {}
        with progress(self.model, len(jobs), "fits") as advance:
            for job, fitted, _ in fits(self.head, jobs):
                told = fitted.predict_proba(job.test).argmax(axis=1)
                found[job.fold] = guesses(asked[job.fold], told)
                advance(1)
        return pd.concat([found[i] for i in range(len(asked))], ignore_index=True)


def guesses(trial: Trial, codes: NDArray[np.integer]) -> pd.DataFrame:
    """Put what was guessed beside the truth, one row per test utterance."""
    told: Mapping[str, Any] = {
        "seed": trial.seed,
        "fold": trial.fold,
        "id": trial.test.ids,
        "speaker": trial.test.speakers,
        "truth": trial.test.y,
        "guess": codes,
    }
    return pd.DataFrame(told)[list(COLUMNS)]


def in_random_parts(view: View, folds: Sequence[Fold], seed: int) -> Iterator[Parts]:
    """Part utterances at random by label alone, into as many folds as a protocol.

    Where the protocol tests every utterance once, so does this; otherwise each fold
    tests as large a share as the protocol's does. The same share is held out as dev.

    Args:
        view: what is parted
        folds: of the protocol
        seed: of what is drawn

    Yields:
        positions of train, dev and test

    Raises:
        Skipped: if a label has too few utterances; says which
    """
    whole = len(folds[0].view)
    tested = np.sort(np.concatenate([f.test for f in folds]))
    if len(folds) > 1 and np.array_equal(tested, np.arange(whole)):
        parts = _each_once(view, len(folds), seed)
    else:
        shares = [len(f.test) / whole for f in folds]
        seeds = [seed + f.index for f in folds]
        parts = [_drawn(view, *one) for one in zip(shares, seeds, strict=True)]
    for fold, (rest, test) in zip(folds, parts, strict=True):
        draw = np.random.default_rng([seed, fold.index])
        drawn = draw.permutation(rest)
        n_dev = round(len(rest) * len(fold.dev) / (len(fold.train) + len(fold.dev)))
        yield np.sort(drawn[n_dev:]), np.sort(drawn[:n_dev]), np.asarray(test)


def _each_once(view: View, n_parts: int, seed: int) -> list[tuple[Rows, Rows]]:
    """Return the rest and the test part of each fold; labels may lack in some."""
    from sklearn.model_selection import StratifiedKFold

    if (most := np.unique(view.y, return_counts=True)[1].max()) < n_parts:
        msg = (
            f"{n_parts} random parts by label need a label of {n_parts} utterances or "
            f"more, but the most frequent has {most}: choose a protocol of fewer folds "
            "with --protocol"
        )
        raise Skipped(msg)
    parts = StratifiedKFold(n_parts, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # that rare labels lack in some parts is no harm
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return list(parts.split(np.arange(len(view)), view.y))


def _drawn(view: View, share: float, seed: int) -> tuple[Rows, Rows]:
    """Return the rest and a test part of a share of the utterances."""
    from sklearn.model_selection import StratifiedShuffleSplit

    codes, n_each = np.unique(view.y, return_counts=True)
    if alone := [c for c, n in zip(codes, n_each, strict=True) if n < 2]:
        named = listing(view.classes[c] if c >= 0 else "no label" for c in alone)
        msg = (
            f"one utterance alone of {named}: a random part by label needs two or "
            "more. Merge labels with --labels"
        )
        raise Skipped(msg)
    n_test = round(share * len(view))
    if min(n_test, len(view) - n_test) < len(codes):
        msg = (
            f"a random test part of {n_test} of {len(view)} utterances cannot hold, "
            f"and leave, each of {len(codes)} labels: choose a protocol of larger "
            "parts with --protocol"
        )
        raise Skipped(msg)
    part = StratifiedShuffleSplit(1, test_size=n_test, random_state=seed)
    one: tuple[Rows, Rows] = next(part.split(np.arange(len(view)), view.y))
    return one


Practised = Callable[[Case], Outcome]
