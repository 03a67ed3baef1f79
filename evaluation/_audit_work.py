"""What is audited, and how a practice fits its heads and hands out its guesses.

A practice that leaks is never a ``Fold`` that says nothing: it is a list of trials made
here alone, which no other command can ask for.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.cache import Cache
from contracts.job import Job
from contracts.terminal import progress
from contracts.view import View
from evaluation._fits import draws, fits
from evaluation.folds import Fold
from evaluation.question import Question
from evaluation.settings import needs_dev

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


def in_random_parts(
    view: View, folds: Sequence[Fold], seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Part utterances at random by label alone, into as many folds as a protocol.

    Where the protocol tests every utterance once, so does this; otherwise each fold
    tests as large a share as the protocol's does. The same share is held out as dev.

    Args:
        view: what is parted
        folds: of the protocol
        seed: of what is drawn

    Yields:
        positions of train, dev and test
    """
    from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

    rows, y = np.arange(len(view)), view.y
    whole = len(folds[0].view)
    tested = np.sort(np.concatenate([f.test for f in folds]))
    if len(folds) > 1 and np.array_equal(tested, np.arange(whole)):
        parts = list(
            StratifiedKFold(len(folds), shuffle=True, random_state=seed).split(rows, y)
        )
    else:
        parts = [
            next(
                StratifiedShuffleSplit(
                    1, test_size=len(f.test) / whole, random_state=seed + f.index
                ).split(rows, y)
            )
            for f in folds
        ]
    for fold, (rest, test) in zip(folds, parts, strict=True):
        draw = np.random.default_rng([seed, fold.index])
        drawn = draw.permutation(rest)
        n_dev = round(len(rest) * len(fold.dev) / (len(fold.train) + len(fold.dev)))
        yield np.sort(drawn[n_dev:]), np.sort(drawn[:n_dev]), np.asarray(test)


Practised = Callable[[Case], Outcome]
