"""What heads say of training speakers whom they did not hear, fold by fold.

A temperature or a threshold is chosen on it, before the test part is looked at:

- a head that needs no development speakers is cross-fitted: the fold's training
  speakers are parted (``evaluation.splits.inner``), each part is judged by a head
  fitted on the others, and all of these probabilities together are what is chosen on;
- a head that stops by development speakers gives one half of them up. It never hears
  those. Where a grid is searched as well, its inner folds had all training speakers,
  these among them; the test part takes no part in either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import RunError
from contracts.job import Job
from contracts.view import View
from evaluation._fits import fits
from evaluation.settings import needs_dev
from evaluation.splits import inner
from evaluation.splits.folds import Fold
from evaluation.splits.parting import sexes
from evaluation.splits.protocols import originals


@dataclass(frozen=True)
class Unheard:
    """Training utterances of one fold, by speakers that the judging head did not hear.

    Attributes:
        probabilities: ``(utterance, class)``
        truth: positions in the label list ``(utterance,)``, -1 for no label
        votes: annotators' shares ``(utterance, class)``, rows of zeros where an
            utterance has none, or all of them where the corpus has none
    """

    probabilities: NDArray[np.float64]
    truth: NDArray[np.int64]
    votes: NDArray[np.float64]


def votes_of(view: View) -> NDArray[np.float64]:
    """Return shares of votes ``(utterance, class)``, zeros where there are none."""
    if view.votes is None:
        return np.zeros((len(view), len(view.classes)))
    told = view.votes.reindex(columns=list(view.classes), fill_value=0.0)
    return told.to_numpy(np.float64)


def judged(fitted: Any, view: View) -> Unheard:
    """Let a fitted head judge utterances as they were recorded, without variants."""
    plain = originals(view)
    return Unheard(fitted.predict_proba(plain), plain.y, votes_of(plain))


def halved(job: Job) -> tuple[Job, View]:
    """Take half of the development speakers away from a head, to choose on them.

    Every second one in the order of sex and name, so that both halves hold both sexes.

    Returns:
        the job with the other half as ``dev``, and the half taken

    Raises:
        RunError: if there are fewer than two
    """
    dev = job.dev
    speakers = {} if dev is None else sexes(dev)
    if dev is None or len(speakers) < 2:
        msg = (
            f"fold {job.fold} has {len(speakers)} development speakers: --temperature "
            "and --threshold need two or more, one to end the training by and one for "
            "nothing but them. Choose another protocol, or a head that needs none"
        )
        raise RunError(msg)
    ordered = sorted(speakers, key=lambda s: (speakers[s], s))
    taken = np.isin(dev.speakers.astype(str), ordered[1::2])
    return replace(job, dev=dev.take(~taken)), dev.take(taken)


def out_of_fold(jobs: Sequence[Job], folds: Mapping[int, Fold]) -> list[Unheard]:
    """Judge the training speakers of each job by heads fitted on the others of them.

    Args:
        jobs: of heads that need no development speakers, not fitted
        folds: index -> the fold it belongs to

    Returns:
        one per job, with every training utterance that is no variant

    Raises:
        RunError: if a fold has too few training speakers
    """
    from sklearn.base import clone

    inside: list[Job] = []
    owner: dict[int, int] = {}
    for i, job in enumerate(jobs):
        for n, part in enumerate(inner.parts(folds[job.fold])):
            told = part.part("train"), None, originals(part.part("test"))
            number = i * inner.PARTS + n  # fits of several seeds are told apart
            inside.append(Job(clone(job.head), *told, number, job.seed))
            owner[number] = i
    found: list[list[Unheard]] = [[] for _ in jobs]
    for job, fitted, _ in fits(jobs[0].head, inside) if inside else ():
        found[owner[job.fold]].append(judged(fitted, job.test))
    names = "probabilities", "truth", "votes"
    return [
        Unheard(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))
        for parts in found
    ]


def prepared(
    jobs: Sequence[Job], folds: Mapping[int, Fold]
) -> tuple[list[Job], list[View | Unheard]]:
    """Make jobs ready for what is chosen after their fits.

    Returns:
        the jobs to fit, and for each the utterances to choose on once it is fitted, or
        what was said of them where other heads judge them
    """
    if not jobs:
        return [], []
    if not needs_dev(jobs[0].head):
        return list(jobs), list(out_of_fold(jobs, folds))
    pairs = [halved(job) for job in jobs]
    return [job for job, _ in pairs], [view for _, view in pairs]
