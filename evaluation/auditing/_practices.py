"""The bad practices of the literature that have to do with folds, scalers and fits.

Each is a function of the case that is audited, and raises ``Skipped`` where it cannot
apply. What is chosen after all is fitted (a fold, a seed, a layer) is in
``_audit_choices.py``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from contracts.view import View
from evaluation.auditing._views import Level, between, level, moved, standard
from evaluation.auditing._work import Case, Outcome, Skipped, Trial, in_random_parts
from evaluation.question import Question
from evaluation.settings import needs_dev
from evaluation.splits.folds import Fold

LEAKS = ("speaker", "waveform", "source")
ANOTHER = 10_000  # added to a seed, where a second draw must differ from the first
TRANSDUCTIVE = (
    "normalise='speaker' looks at all utterances of the test speakers, so this is not "
    "honest either: audit with --set normalise=global"
)


def honest(case: Case) -> Outcome:
    """Fit the head on the folds as they are."""
    own = case.head.get_params(deep=False).get("normalise") == "speaker"
    return Outcome(case.fit(case.honest()), TRANSDUCTIVE if own else "")


def random_split(case: Case) -> Outcome:
    """Part utterances at random, whoever speaks them."""
    view, folds = case.question.view, case.question.folds
    trials = []
    for seed in case.asked_seeds(practice_draws=True):
        for plain, rows in zip(folds, in_random_parts(view, folds, seed), strict=True):
            # a fold can leak only where it says what it breaks
            fold = Fold(plain.index, "random", view, *rows, breaks=LEAKS)
            trials.append(
                Trial(
                    case.head_of(seed),
                    *case.learnt_on(fold),
                    fold.part("test"),
                    plain.index,
                    seed,
                )
            )
    return Outcome(case.fit(trials))


def checkpoint_on_test(case: Case) -> Outcome:
    """Choose the epoch on the fold that is reported."""
    if not needs_dev(case.head):
        msg = f"{case.model} has no epochs to choose: try a torch head, --model pepino"
        raise Skipped(msg)
    trials = (t._replace(dev=t.test) for t in case.honest())
    return Outcome(case.fit(trials))


def scaler_on_test(case: Case) -> Outcome:
    """Fit the scaler again on each test fold."""
    return Outcome(case.fit(_test_moved(case)))


def _test_moved(case: Case) -> Iterator[Trial]:
    _refuse_deaf(case)
    for trial in case.honest():
        target = _levels(case, trial.train)
        own = _levels(case, trial.test)
        view = moved(
            trial.test,
            case.features,
            ["test"] * len(trial.test),
            lambda f, _, own=own, target=target: between(own[f], target[f]),  # type: ignore[misc]
        )
        yield trial._replace(test=view)


def speaker_scaler(case: Case) -> Outcome:
    """Bring every speaker, the test speakers too, to the same mean and deviation."""
    if case.head.get_params(deep=False).get("normalise") == "speaker":
        msg = f"{case.model} does so by itself here (normalise='speaker')"
        raise Skipped(msg)
    _refuse_deaf(case)
    return Outcome(
        case.fit(_speakers_moved(case)),
        "transductive: looks at all utterances of the test speakers, without labels",
    )


def _speakers_moved(case: Case) -> Iterator[Trial]:
    view = case.question.view
    own = {
        str(s): _levels(case, view.take(view.speakers == s))
        for s in dict.fromkeys(view.speakers)
    }
    for trial in case.honest():
        target = _levels(case, trial.train)

        def ready(part: View, target: dict[str, Level] = target) -> View:
            return moved(
                part,
                case.features,
                [str(s) for s in part.speakers],
                lambda f, s: between(own[s][f], target[f]),
            )

        dev = None if trial.dev is None else ready(trial.dev)
        yield trial._replace(train=ready(trial.train), dev=dev, test=ready(trial.test))


def scaler_on_all(case: Case) -> Outcome:
    """Fit the scaler on all utterances, those of the test folds among them."""
    own = case.head.get_params(deep=False).get("normalise")
    by_columns = bool(getattr(case.head, "standardise", False))
    if not by_columns and own != "global":
        has = f"normalise={own!r}" if own else "no scaler of its own"
        msg = f"{case.model} has {has}: there is none of train to be fitted on all"
        raise Skipped(msg)
    _refuse_deaf(case)
    view = case.question.view
    told = {f: standard(one) for f, one in _levels(case, view).items()}

    def ready(part: View) -> View:
        groups = ["all"] * len(part)
        return moved(part, case.features, groups, lambda f, _: told[f])

    trials = []
    for trial in case.honest():
        if by_columns:
            trial.head.standardise = False  # it is done already, and so but once
        else:
            trial.head.set_params(normalise=None)
        dev = None if trial.dev is None else ready(trial.dev)
        trials.append(
            trial._replace(train=ready(trial.train), dev=dev, test=ready(trial.test))
        )
    return Outcome(case.fit(trials))


def _levels(case: Case, view: View) -> dict[str, Level]:
    """Return mean and deviation of each feature, as the head would take them."""
    by_frames = "normalise" in case.head.get_params(deep=False)
    return {f: level(view, f, by_frames) for f in case.features}


def _refuse_deaf(case: Case) -> None:
    if not case.features:
        msg = f"{case.model} hears nothing: there is nothing to scale"
        raise Skipped(msg)


def copies_in_train(case: Case) -> Outcome:
    """Train on augmented copies of training utterances too, as it should be done."""
    return Outcome(case.fit(case.honest(_copies(case))))


def copies_across(case: Case) -> Outcome:
    """Part augmented copies at random, beside originals parted as at random."""
    view = _copies(case).view
    copy = (view.manifest["variant"] != "").to_numpy()
    trials = _beside(case, view, np.flatnonzero(~copy), np.flatnonzero(copy))
    return Outcome(case.fit(trials), "scored on originals")


def _copies(case: Case) -> Question:
    if case.copies is None:
        raise Skipped(case.no_copies)
    return case.copies


def duplicates_across(case: Case) -> Outcome:
    """Take every file in twice, the second of each parted at random too."""
    view = case.question.view
    n = len(view)
    first, second = np.arange(n), np.arange(n, 2 * n)
    twice = view.take(np.concatenate([first, first]))
    again = int(view.manifest["waveform"].duplicated().sum())
    has = f"{again} waveforms" if again != 1 else "1 waveform"
    note = f"scored on the first of each; this corpus itself has {has} twice"
    return Outcome(case.fit(_beside(case, twice, first, second)), note)


def _beside(
    case: Case, view: View, originals: NDArray[np.int64], copies: NDArray[np.int64]
) -> Iterator[Trial]:
    """Put copies into the random parts of their originals, each wherever it falls.

    Originals are parted as ``random_split`` parts them, so that the copies alone make
    the difference. No copy is tested: those that fall into test are not used.
    """
    folds = case.question.folds
    for seed in case.asked_seeds(practice_draws=True):
        parts = in_random_parts(view.take(originals), folds, seed)
        # of another seed, or a copy would fall where its original does
        more = in_random_parts(view.take(copies), folds, seed + ANOTHER)
        for fold, own, new in zip(folds, parts, more, strict=True):
            train, dev = (
                np.concatenate([originals[own[i]], copies[new[i]]]) for i in (0, 1)
            )
            # no Fold takes a copy from its original: parts without one
            yield _trial(case, view, train, dev, originals[own[2]], fold, seed)


def _trial(
    case: Case,
    view: View,
    train: NDArray[np.int64],
    dev: NDArray[np.int64],
    test: NDArray[np.int64],
    fold: Fold,
    seed: int,
) -> Trial:
    if not needs_dev(case.head):
        rows: Sequence[NDArray[np.int64]] = (np.sort(np.concatenate([train, dev])),)
        held = None
    else:
        rows, held = (train,), view.take(dev)
    head = case.head_of(seed)
    return Trial(head, view.take(rows[0]), held, view.take(test), fold.index, seed)


def pinned(case: Case, features: Sequence[str]) -> Case:
    """Return the case with other features, named exactly, of the same utterances.

    Raises:
        CacheError: if the cache lacks them
    """
    from sklearn.base import clone

    question = case.question
    # an encoder that was asked for is another than that of these
    view = replace(question.view, encoder=None).require(features)
    folds = [replace(f, view=view) for f in question.folds]
    head = clone(case.head).set_params(features=tuple(features))
    return replace(
        case, question=replace(question, view=view, folds=folds), head=head, known={}
    )
