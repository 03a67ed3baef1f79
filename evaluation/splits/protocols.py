"""Protocols: how a corpus is parted into folds, by name.

``parting`` says what a protocol is; those of any corpus and those of one stand in
``_general_protocols`` and ``_published_protocols``. Here they are found by name, and
folds are built of them, each proven not to leak.
"""

from collections.abc import Sequence

import numpy as np

from contracts import variant
from contracts.errors import ManifestError, listing
from contracts.plugins import refuse_unknown
from contracts.view import View
from evaluation.splits._general_protocols import GENERAL
from evaluation.splits._published_protocols import LUNA, PUBLISHED
from evaluation.splits.folds import Fold
from evaluation.splits.parting import (
    DEV_SHARE,
    Part,
    Protocol,
    by_speakers,
    hold_out,
    in_order,
    natural,
    sexes,
)

__all__ = [
    "DEV_SHARE",
    "LUNA",
    "PROTOCOLS",
    "Part",
    "Protocol",
    "by_speakers",
    "default",
    "folds",
    "get",
    "hold_out",
    "in_order",
    "natural",
    "originals",
    "placeable",
    "sexes",
    "with_variants",
]

PROTOCOLS: dict[str, Protocol] = {p.name: p for p in (*PUBLISHED, *GENERAL)}


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
