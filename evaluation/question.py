"""What is asked of every head: utterances, labels, protocol, folds."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from contracts import variant
from contracts.cache import Cache
from contracts.errors import CacheError, ManifestError, did_you_mean, listing
from contracts.labels import LabelMap
from contracts.view import View
from evaluation.labelling.choice import choose_labels
from evaluation.splits import protocols
from evaluation.splits.folds import Fold
from evaluation.splits.protocols import Protocol

ALIKE = 0.8  # share of speakers' names from which on two corpora may be one


@dataclass(frozen=True)
class Question:
    """What is asked of every head.

    Attributes:
        view: utterances with their features pinned and labels mapped
        label_map: how labels were mapped
        counts: labels before and after
        protocol: how utterances are parted
        folds: the folds, proven not to leak
        partial: whether they are only some of the protocol's
        refused: ``(why, count)`` of utterances the protocol cannot place
        incomplete: corpus -> utterances found and published, where some are missing
        labels_taken: whether nobody asked for the label map: it is the protocol's
    """

    view: View
    label_map: LabelMap
    counts: Mapping[str, Any]
    protocol: Protocol
    folds: Sequence[Fold]
    partial: bool
    refused: Sequence[tuple[str, int]]
    incomplete: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    labels_taken: bool = False

    @property
    def n_utterances(self) -> int:
        """Utterances that are used, without variants."""
        return int((variant.roles(self.view.manifest) == "").sum())

    @property
    def limited(self) -> dict[str, tuple[int, int]]:
        """Corpus -> utterances taken and found, where ``--limit`` left some out."""
        cards = self.view.cards.items()
        return {c: tuple(card["limited"]) for c, card in cards if card.get("limited")}

    @property
    def without_variants(self) -> dict[str, tuple[int, int]]:
        """Variant -> utterances that lack it and all, where it is there for some."""
        rows = self.view.manifest
        kinds, n = variant.names(rows), int((rows["variant"] == "").sum())
        has = {k: rows["source"][kinds == k].nunique() for k in sorted({*kinds} - {""})}
        return {str(k): (n - held, n) for k, held in has.items() if held < n}

    @property
    def doubtful(self) -> list[str]:
        """Say which corpora may be one: read alike, with speakers of the same names."""
        rows = self.view.manifest
        own = {c: set(rows["speaker"][rows["corpus"] == c]) for c in self.view.cards}
        bare = {c: {s.partition("/")[2] for s in who if s} for c, who in own.items()}
        plugin = {c: card.get("plugin") for c, card in self.view.cards.items()}
        return [
            f"{a} and {b} may be one corpus: {len(both)} speakers have the same names, "
            "and one person would stand on two sides. See: python pipeline.py inspect "
            f"--corpus {a} {b} --near-duplicates"
            for a, b in combinations(self.view.cards, 2)
            if plugin[a] == plugin[b] and (both := bare[a] & bare[b])
            if len(both) >= ALIKE * min(len(bare[a]), len(bare[b]))
        ]


def choose_corpora(cache: Cache, wanted: Sequence[str] | None) -> list[str]:
    """Take the corpora asked for, or the only one there is.

    Raises:
        CacheError: if the cache is empty, lacks several of those asked for, or holds
            several and none was asked for
    """
    there = cache.corpora
    if wanted:
        missing = sorted(set(wanted) - set(there))
        if there and len(missing) > 1:  # of one alone the cache itself speaks
            msg = (
                f"no corpora {listing(missing)} in cache {cache.folder}: it has "
                f"{listing(there)}.{did_you_mean(missing, there)} Run for each: "
                "python pipeline.py extract --corpus NAME --root FOLDER"
            )
            raise CacheError(msg)
        return sorted(set(wanted))
    if len(there) == 1:
        return there
    if there:
        msg = f"cache {cache.folder} holds {listing(there)}: choose with --corpus NAME"
    else:
        msg = f"cache {cache.folder} is empty. Run: python pipeline.py extract"
    raise CacheError(msg)


def with_variants(
    cache: Cache,
    corpora: Sequence[str],
    encoder: str | None,
    augment: Sequence[str] = (),
    degrade: Sequence[str] = (),
) -> View:
    """Select the utterances of some corpora, and the variants of them asked for.

    Args:
        cache: that lists them
        corpora: their names
        encoder: which encoder's features are meant where there are several
        augment: variants for train, as they are named: ``noise``, ``noise-10dB``
        degrade: variants for test

    Raises:
        CacheError: if the cache lists none of a name; the message says how to make it
    """
    if not (augment or degrade):
        return cache.view(*corpora, encoder=encoder)
    view = cache.view(*corpora, variants=True, encoder=encoder)
    role, name = variant.roles(view.manifest), variant.names(view.manifest)
    keep = role == ""
    lacking = []
    for one, asked in (("augment", augment), ("degrade", degrade)):
        for text in dict.fromkeys(asked):
            chosen = (role == one) & (name == text)
            keep |= chosen
            if not chosen.any():
                lacking += [f"--{one}", variant.asked(one, text).asked]
    if lacking:
        again = shlex.join(["python", "pipeline.py", "extract", "--corpus", *corpora])
        msg = (
            f"cache {cache.folder} lists no variants {' '.join(lacking)} of "
            f"{listing(corpora)}. Run: {again} {' '.join(lacking)} --feature NAME"
        )
        raise CacheError(msg)
    return view.take(np.flatnonzero(keep))


def ask(
    view: View,
    labels: str | None,
    protocol: str | Protocol | None,
    wanted: Sequence[int] | None = None,
    drop_duplicates: bool = False,
    as_published: bool = True,
) -> Question:
    """Map labels, place utterances and build the folds.

    Args:
        view: utterances of a cache and variants, features pinned where they matter
        labels: name of a label map; None: the protocol's, else the corpora's own
        protocol: name of a protocol, or one made for this; None: the corpora's own
        wanted: indices of the folds; None: all
        drop_duplicates: keep only the first utterance of every waveform
        as_published: whether the protocol's label map stands before the corpora's own

    Raises:
        ManifestError: if labels are unknown, a fold would leak or be empty, or there
            is no fold
    """
    plan = protocol
    if not isinstance(plan, Protocol):
        plan = protocols.get(plan or protocols.default(view))
    taken = as_published and labels is None and list(view.cards) == [plan.corpus]
    label_map = choose_labels(view, (taken and plan.labels) or labels)
    counts = label_map.counts(protocols.originals(view).manifest)
    mapped, refused = protocols.placeable(plan, view.relabel(label_map))
    if drop_duplicates:
        again = mapped.manifest["waveform"].duplicated().to_numpy()
        if again.any():
            why = f"waveform heard before: {listing(mapped.ids[again])}"
            refused = [*refused, (why, int(again.sum()))]
            mapped = mapped.take(~again)
    folds = protocols.folds(plan, mapped, wanted)
    if not folds:
        msg = (
            f"protocol {plan.name} makes no fold of {listing(view.cards)}: nobody is "
            f"left to test under label map {label_map.name}. Choose another with "
            "--labels MAP, or another protocol: python pipeline.py list protocols"
        )
        raise ManifestError(msg)
    whole = len(list(plan.split(protocols.originals(mapped))))
    partial = len({f.index for f in folds}) < whole
    lacking = _incomplete(view)
    of_plan = taken and bool(plan.labels)
    return Question(
        *(mapped, label_map, counts, plan, folds, partial, refused, lacking, of_plan)
    )


def _incomplete(view: View) -> dict[str, tuple[int, int]]:
    """Find corpora of which fewer utterances are there than were published."""
    found = Counter(protocols.originals(view).manifest["corpus"])
    found.update(str(lost).partition("/")[0] for lost, _ in view.left_out)
    return {
        corpus: (found[corpus], int(published))
        for corpus, card in view.cards.items()
        if not card.get("limited") and (published := card.get("n_utterances"))
        if found[corpus] < published
    }
