"""Protocols: how a corpus is parted into folds, by name.

A protocol is a function from a view to parts, with its name, source and what one must
know about it. None draws anything: the same corpus gives the same folds on every
machine. Development speakers are training speakers held out by ``hold_out``.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts import variant
from contracts.errors import ManifestError, listing
from contracts.plugins import refuse_unknown
from contracts.view import View
from evaluation.folds import Fold

DEV_SHARE = 0.2  # of the training speakers
LUNA = (  # Luna-Jimenez et al. 2022, test actors of each fold
    (2, 5, 14, 15, 16),
    (3, 6, 7, 13, 18),
    (10, 11, 12, 19, 20),
    (8, 17, 21, 23, 24),
    (1, 4, 9, 22),
)


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

    Attributes:
        title: what it does, in a few words
        citation: who published it; ours where empty
        note: what one must know to compare with published numbers
        split: view -> one ``Part`` per fold
        needs: manifest column that every utterance must have; others are refused
            and counted
        corpus: the only corpus it is for; empty: any
        breaks: what may stand in two parts, said in every output
    """

    name: str
    title: str
    split: Callable[[View], Iterator[Part]]
    citation: str = ""
    note: str = ""
    needs: tuple[str, ...] = ("speaker",)
    corpus: str = ""
    breaks: tuple[str, ...] = ()


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
    beginning behind the first test speaker. Fewer than two training speakers: none.
    """
    if len(train) < 2:
        return []
    n = max(1, round(len(train) * DEV_SHARE))
    everyone = in_order(view.speakers)
    first = everyone.index(in_order(test)[0])
    ordered = [s for s in everyone[first:] + everyone[:first] if s in set(train)]
    sex = sexes(view)
    queues = [[s for s in ordered if sex[s] == x] for x in in_order(sex.values())]
    chosen: list[str] = []
    while len(chosen) < n:
        for queue in queues:
            if queue and len(chosen) < n:
                chosen.append(queue.pop(0))
    return chosen


def by_speakers(view: View, name: str, test: Iterable[str]) -> Part:
    """Make a part whose test holds some speakers and whose dev is held out of train."""
    test = set(test)
    train = [s for s in in_order(view.speakers) if s not in test]
    dev = set(hold_out(view, train, test)) if test else set()
    return Part(
        name,
        _rows(view.speakers, set(train) - dev),
        _rows(view.speakers, dev),
        _rows(view.speakers, test),
    )


def _rows(values: NDArray[np.object_], wanted: Iterable[str]) -> NDArray[np.int64]:
    return np.flatnonzero(np.isin(values.astype(str), list(wanted)))


def _luna(view: View) -> Iterator[Part]:
    for actors in LUNA:
        test = {f"ravdess/{a:02d}" for a in actors} & set(view.speakers)
        yield by_speakers(view, f"actors {listing(actors)}", test)


def _ravdess_20_2_2(view: View) -> Iterator[Part]:
    number = np.array([int(s.rpartition("/")[2]) for s in view.speakers])
    parts = (number <= 20, (number == 21) | (number == 22), number >= 23)
    train, dev, test = (np.flatnonzero(p) for p in parts)
    yield Part("actors 23, 24", train, dev, test)


def _loso(view: View) -> Iterator[Part]:
    for speaker in in_order(view.speakers):
        yield by_speakers(view, speaker, [speaker])


def _speakers_5fold(view: View) -> Iterator[Part]:
    sex = sexes(view)
    ordered = sorted(in_order(view.speakers), key=lambda s: sex[s])  # stable
    for i in range(5):
        test = ordered[i::5]
        yield by_speakers(view, f"speakers {listing(in_order(test))}", test)


def _predefined(view: View) -> Iterator[Part]:
    split = view.manifest["split"].to_numpy(object)
    train, dev, test = (_rows(split, [p]) for p in ("train", "dev", "test"))
    yield Part("the corpus' own split", train, dev, test)


def _sessions(view: View) -> Iterator[Part]:
    session = view.manifest["session"].to_numpy(object)
    for one in in_order(session):
        test = _rows(session, [one])
        speakers = set(view.speakers[test])
        rest = view.take(np.setdiff1d(np.arange(len(view)), test))
        train = [s for s in in_order(rest.speakers) if s not in speakers]
        dev = hold_out(view, train, speakers)
        rows = [_rows(view.speakers, part) for part in (set(train) - set(dev), dev)]
        kept, held = (np.setdiff1d(r, test) for r in rows)
        yield Part(f"session {one}", kept, held, test)


_HELD_OUT = "Dev: one fifth of the training speakers, balanced by sex."
PROTOCOLS: dict[str, Protocol] = {
    p.name: p
    for p in (
        Protocol(
            "ravdess-luna5",
            "five published folds of RAVDESS by actor",
            _luna,
            "Luna-Jimenez et al., Appl. Sci. 2022, 12, 327",
            "The published protocol has no dev part and chose checkpoints on the test "
            f"fold; ours does not. {_HELD_OUT}",
            corpus="ravdess",
        ),
        Protocol(
            "ravdess-20-2-2",
            "RAVDESS actors 1-20 train, 21-22 dev, 23-24 test",
            _ravdess_20_2_2,
            "Pepino, Riera, Ferrer, Interspeech 2021",
            "Two test actors: results swing by 8 points with the actors.",
            corpus="ravdess",
        ),
        Protocol("loso", "leave one speaker out", _loso, note=_HELD_OUT),
        Protocol(
            "speakers-5fold",
            "five folds by speaker, balanced by sex",
            _speakers_5fold,
            note=_HELD_OUT,
        ),
        Protocol(
            "predefined",
            "the partition that the corpus brings (column split)",
            _predefined,
            needs=("speaker", "split"),
            note="Refused where the partition shares speakers between its parts.",
        ),
        Protocol(
            "sessions",
            "leave one session out",
            _sessions,
            needs=("speaker", "session"),
            note=_HELD_OUT,
        ),
    )
}


def get(name: str) -> Protocol:
    """Return a protocol.

    Raises:
        PluginError: if there is none of this name
    """
    refuse_unknown("protocols", [name], list(PROTOCOLS))
    return PROTOCOLS[name]


def default(view: View) -> str:
    """Choose the corpus' published partition, else by the number of speakers."""
    published = {card.get("protocol") for card in view.cards.values()}
    if len(published) == 1 and (one := published.pop()):
        return str(one)
    if set(view.manifest["split"]) >= {"train", "test"}:
        return "predefined"
    return "loso" if len(set(view.speakers) - {""}) < 10 else "speakers-5fold"


def placeable(protocol: Protocol, view: View) -> tuple[View, list[tuple[str, int]]]:
    """Leave out the utterances that a protocol cannot place.

    Returns:
        the others, and ``(why, count)`` for those refused

    Raises:
        ManifestError: if the protocol is for another corpus, or nothing is left
    """
    corpora = sorted(set(view.manifest["corpus"]))
    if protocol.corpus and corpora != [protocol.corpus]:
        msg = (
            f"protocol {protocol.name} is for corpus {protocol.corpus}, got "
            f"{listing(corpora)}. Choose another: python pipeline.py list protocols"
        )
        raise ManifestError(msg)
    refused = []
    for column in protocol.needs:
        known = (view.manifest[column] != "").to_numpy()
        if not known.all():
            is_original = variant.roles(view.manifest) == ""
            refused.append((f"{column} unknown", int((~known & is_original).sum())))
            view = view.take(known)
    if not len(view):
        msg = (
            f"protocol {protocol.name} can place no utterance of {listing(corpora)}: "
            f"{listing(f'{n} {why}' for why, n in refused) or 'none is labelled'}. "
            "Give it in the corpus (by a table of file, speaker and emotion, for one), "
            "or choose another: python pipeline.py list protocols"
        )
        raise ManifestError(msg)
    return view, refused


def originals(view: View) -> View:
    """Leave out augmented and degraded variants."""
    return view.take(np.flatnonzero(variant.roles(view.manifest) == ""))


def with_variants(view: View, part: Part) -> Part:
    """Turn positions among the originals of a view into positions in the view."""
    role = variant.roles(view.manifest)
    where = np.flatnonzero(role == "")
    rows = {name: where[getattr(part, name)] for name in ("train", "dev", "test")}
    source = view.manifest["source"].to_numpy(object)
    for one, name in variant.PARTS.items():
        follows = (role == one) & np.isin(
            source.astype(str), view.ids[rows[name]].astype(str)
        )
        rows[name] = np.concatenate([rows[name], np.flatnonzero(follows)])
    return Part(part.name, **rows)


def folds(
    protocol: Protocol, view: View, wanted: Sequence[int] | None = None
) -> list[Fold]:
    """Build the folds of a protocol, each proven not to leak.

    The protocol parts originals. Their augmented variants follow them into train and
    their degraded ones into test; those of all others are not used.

    Args:
        protocol: the protocol
        view: utterances it can place
        wanted: indices of the folds; None: all

    Raises:
        ManifestError: if there is no such fold, or one would leak or be empty
    """
    parts = [with_variants(view, part) for part in protocol.split(originals(view))]
    chosen = range(len(parts)) if wanted is None else wanted
    unknown = [i for i in chosen if not 0 <= i < len(parts)]
    if unknown:
        msg = (
            f"protocol {protocol.name} has no fold {listing(unknown)}, expected some "
            f"of 0 to {len(parts) - 1}"
        )
        raise ManifestError(msg)
    return [
        Fold(i, p.name, view, p.train, p.dev, p.test, protocol.breaks)
        for i, p in ((i, parts[i]) for i in chosen)
    ]
