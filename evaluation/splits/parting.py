"""What a protocol is, and what those that part by speaker share.

A protocol is a function from a view to parts, with its name, source and what one must
know about it. None draws anything: the same corpus gives the same folds on every
machine. Development speakers are training speakers held out by ``hold_out``.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.errors import listing
from contracts.view import View

DEV_SHARE = 0.2  # of the training speakers


@dataclass(frozen=True)
class Part:
    """Positions in a view for one fold."""

    name: str
    train: NDArray[np.int64]
    dev: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True)
class Protocol:
    """A named way to part a corpus.

    Title, citation, note and breaks are part of what names a run: another wording
    makes another run of it. What is told of the source in more words, or later, stands
    in the fields below ``breaks``.

    Attributes:
        title: what it does, in a few words
        citation: who published it; ours where empty
        note: what one must know to compare with published numbers
        split: view -> one ``Part`` per fold
        needs: manifest column that every utterance must have; others are refused
            and counted
        corpus: the only corpus it is for; empty: any
        breaks: what may stand in two parts, said in every output
        as_published: what is the same as in the source; empty: nobody published it
        differs: what is not, and why
        labels: the label map of the source; empty: it names none
        classes: what that map makes, told only where it is used
        n_utterances: the source's own count; 0: it names none, or counts others too
        seeds: those of the source; empty: it names none
        tests_all: whether each utterance is tested in one of the folds
    """

    name: str
    title: str
    split: Callable[[View], Iterator[Part]]
    citation: str = ""
    note: str = ""
    needs: tuple[str, ...] = ("speaker",)
    corpus: str = ""
    breaks: tuple[str, ...] = ()
    as_published: str = ""
    differs: str = ""
    labels: str = ""
    classes: str = ""
    n_utterances: int = 0
    seeds: tuple[int, ...] = ()
    tests_all: bool = True


def natural(text: str) -> list[tuple[int, str]]:
    """Return a key that sorts ``s2`` before ``s10``."""
    pieces = re.split(r"(\d+)", text)
    return [(int(p), "") if p.isdigit() else (-1, p) for p in pieces]


def in_order(values: Iterable[str]) -> list[str]:
    """Sort distinct values the way people count."""
    return sorted(set(values), key=natural)


def sexes(view: View) -> dict[str, str]:
    """Return speaker -> sex."""
    return dict(zip(view.speakers, view.manifest["sex"], strict=True))


def hold_out(view: View, train: Sequence[str], test: Iterable[str]) -> list[str]:
    """Choose development speakers out of the training speakers.

    One fifth of them (at least one), sexes in turn, in the order of their names
    beginning behind the first test speaker. Fewer than two training speakers, or no
    test speaker (which no fold may have): none.
    """
    tested = in_order(test)
    if len(train) < 2 or not tested:
        return []
    n = max(1, round(len(train) * DEV_SHARE))
    everyone = in_order(view.speakers)
    first = everyone.index(tested[0])
    ordered = [s for s in everyone[first:] + everyone[:first] if s in set(train)]
    sex = sexes(view)
    queues = [[s for s in ordered if sex[s] == x] for x in in_order(sex.values())]
    chosen: list[str] = []
    while len(chosen) < n:
        for queue in queues:
            if queue and len(chosen) < n:
                chosen.append(queue.pop(0))
    return chosen


def rows_with(values: NDArray[np.object_], wanted: Iterable[str]) -> NDArray[np.int64]:
    """Return the positions whose value is one of those wanted."""
    return np.flatnonzero(np.isin(values.astype(str), list(wanted)))


def by_speakers(view: View, name: str, test: Iterable[str]) -> Part:
    """Make a part whose test holds some speakers and whose dev is held out of train."""
    test = set(test)
    train = [s for s in in_order(view.speakers) if s not in test]
    dev = set(hold_out(view, train, test))
    return Part(
        name,
        rows_with(view.speakers, set(train) - dev),
        rows_with(view.speakers, dev),
        rows_with(view.speakers, test),
    )


def leave_one_speaker_out(view: View) -> Iterator[Part]:
    """Test each speaker in turn."""
    for speaker in in_order(view.speakers):
        yield by_speakers(view, speaker, [speaker])


def five_by_speaker(view: View) -> Iterator[Part]:
    """Test a fifth of the speakers at a time, sexes spread over the folds."""
    sex = sexes(view)
    ordered = sorted(in_order(view.speakers), key=lambda s: sex[s])  # stable
    for i in range(5):
        test = ordered[i::5]
        yield by_speakers(view, f"speakers {listing(in_order(test))}", test)


def leave_one_session_out(view: View) -> Iterator[Part]:
    """Test each session in turn; who speaks in it is trained on nowhere."""
    session = view.manifest["session"].to_numpy(object)
    for one in in_order(session):
        test = rows_with(session, [one])
        speakers = set(view.speakers[test])
        rest = view.take(np.setdiff1d(np.arange(len(view)), test))
        train = [s for s in in_order(rest.speakers) if s not in speakers]
        dev = hold_out(view, train, speakers)
        rows = [rows_with(view.speakers, part) for part in (set(train) - set(dev), dev)]
        kept, held = (np.setdiff1d(r, test) for r in rows)
        yield Part(f"session {one}", kept, held, test)


def partner_as_dev(view: View) -> Iterator[Part]:
    """Test each speaker in turn; dev is who else speaks in the session."""
    session = view.manifest["session"].to_numpy(object)
    for speaker in in_order(view.speakers):
        test = rows_with(view.speakers, [speaker])
        beside = rows_with(session, set(session[test]))
        dev = rows_with(view.speakers, set(view.speakers[beside]) - {speaker})
        train = np.setdiff1d(np.arange(len(view)), np.concatenate([test, dev]))
        yield Part(speaker, train, dev, test)
