"""Trained on some corpora, tested on others: who is in which part of which fold.

A corpus that is tested and not trained on is tested as a whole, by a head that was
fitted on every speaker of the training corpora but those held out for development. One
that stands on both sides is parted by its own protocol, so that its test speakers are
in no training, and the other training corpora are added to each fold's training. All
folds are proven by ``evaluation.splits.folds``. Labels need one map for all corpora.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from contracts.errors import ManifestError, listing
from contracts.labels import IDENTITY
from contracts.view import View
from evaluation.labelling.choice import choose_labels
from evaluation.question import Question, ask
from evaluation.splits import protocols
from evaluation.splits.parting import Part, Protocol, hold_out, in_order
from evaluation.transfer.cross_matrix import Cell, Matrix, cells, matrix

__all__ = ["Cell", "Matrix", "cells", "matrix", "only", "plans", "questions"]


def questions(
    view: View,
    train: Sequence[str],
    test: Sequence[str],
    labels: str | None,
    drop_duplicates: bool = False,
) -> list[Question]:
    """Ask for every test corpus what is learnt from the training corpora.

    Args:
        view: utterances of all of them, features pinned where they matter
        train: corpora to train on
        test: corpora to test on
        labels: name of a label map for all of them
        drop_duplicates: keep only the first utterance of every waveform

    Returns:
        one question for all corpora that are tested only, and one for each that is
        trained on too

    Raises:
        ManifestError: if the corpora have no label map in common, or a fold would leak
    """
    name = _common_labels(view, labels)
    out = []
    for corpora, plan in plans(view, train, test):
        part = only(view, corpora)
        out.append(ask(part, name, plan, None, drop_duplicates))
    return out


def _common_labels(view: View, labels: str | None) -> str:
    """Return the name of the one label map; each corpus' own labels are none."""
    chosen = choose_labels(view, labels).name
    if chosen == IDENTITY and len(view.cards) > 1:
        msg = (
            f"{listing(view.cards)} are to be trained and tested together: expected a "
            f"label map that says which labels are one, got {IDENTITY!r}. Choose one "
            "with --labels MAP, such as common4"
        )
        raise ManifestError(msg)
    return chosen


def plans(
    view: View, train: Sequence[str], test: Sequence[str]
) -> Iterator[tuple[list[str], Protocol | str]]:
    """Yield corpora and how they are parted, for each question.

    Args:
        view: utterances of all corpora
        train: corpora to train on
        test: corpora to test on
    """
    train, test = in_order(train), in_order(test)
    outside = [c for c in test if c not in train]
    if outside:
        yield [*train, *outside], _outside(train, outside)
    for corpus in test:
        if corpus in train:
            own = protocols.get(protocols.default(only(view, [corpus])))
            joint = len(train) > 1
            yield train, _inside(train, corpus, own) if joint else own.name


def only(view: View, corpora: Iterable[str]) -> View:
    """Select the utterances of some corpora of a view."""
    wanted = set(corpora)
    chosen = view.take(view.manifest["corpus"].isin(wanted).to_numpy())
    cards = {c: card for c, card in view.cards.items() if c in wanted}
    lost = tuple(x for x in view.left_out if x[0].partition("/")[0] in wanted)
    return replace(chosen, cards=cards, left_out=lost)


def _outside(train: Sequence[str], test: Sequence[str]) -> Protocol:
    """Train on all speakers of some corpora, test all of others."""

    def split(view: View) -> Iterator[Part]:
        corpus = view.manifest["corpus"].to_numpy(object).astype(str)
        is_train, is_test = np.isin(corpus, train), np.isin(corpus, test)
        held = _held_out(view, train, set(view.speakers[is_test]))
        is_dev = is_train & np.isin(view.speakers.astype(str), held)
        rows = (is_train & ~is_dev, is_dev, is_test)
        yield Part(f"all of {listing(test)}", *map(np.flatnonzero, rows))

    return Protocol(
        f"cross-{'+'.join(train)}-to-{'+'.join(test)}",
        f"trained on {listing(train)}, tested on {listing(test)}",
        split,
        note="Dev: one fifth of the speakers of each training corpus, balanced by sex.",
    )


def _inside(train: Sequence[str], test: str, own: Protocol) -> Protocol:
    """Part one corpus by its own protocol, and add others to each training."""

    def split(view: View) -> Iterator[Part]:
        corpus = view.manifest["corpus"].to_numpy(object).astype(str)
        known = [(view.manifest[c] != "").to_numpy() for c in own.needs]
        where = np.flatnonzero((corpus == test) & np.all(known, axis=0))
        more = np.isin(corpus, [c for c in train if c != test])
        for part in own.split(only(view.take(where), [test])):
            tested = where[part.test]
            rest = [c for c in train if c != test]
            held = _held_out(view, rest, set(view.speakers[tested]))
            is_dev = more & np.isin(view.speakers.astype(str), held)
            yield Part(
                part.name,
                np.sort([*where[part.train], *np.flatnonzero(more & ~is_dev)]),
                np.sort([*where[part.dev], *np.flatnonzero(is_dev)]).astype(np.int64),
                tested,
            )

    return Protocol(
        f"cross-{'+'.join(train)}-to-{test}-{own.name}",
        f"{test} by {own.name}, trained on {listing(train)}",
        split,
        own.citation,
        own.note,
        breaks=own.breaks,
    )


def _held_out(view: View, corpora: Sequence[str], test: set[str]) -> list[str]:
    """Hold development speakers out of each corpus, so that none is without."""
    corpus = view.manifest["corpus"].to_numpy(object)
    out = []
    for one in corpora:
        speakers = in_order(view.speakers[corpus == one])
        out += hold_out(view, speakers, test)
    return out
