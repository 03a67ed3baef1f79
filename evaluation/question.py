"""What is asked of every head: utterances, labels, protocol, folds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts import labels as label_maps
from contracts.cache import Cache
from contracts.errors import CacheError, ManifestError, listing
from contracts.labels import LabelMap
from contracts.view import View
from evaluation import protocols
from evaluation.folds import Fold
from evaluation.protocols import Protocol


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
    """

    view: View
    label_map: LabelMap
    counts: Mapping[str, Any]
    protocol: Protocol
    folds: Sequence[Fold]
    partial: bool
    refused: Sequence[tuple[str, int]]

    @property
    def limited(self) -> dict[str, tuple[int, int]]:
        """Corpus -> utterances taken and found, where ``--limit`` left some out."""
        cards = self.view.cards.items()
        return {c: tuple(card["limited"]) for c, card in cards if card.get("limited")}


def choose_corpora(cache: Cache, wanted: Sequence[str] | None) -> list[str]:
    """Take the corpora asked for, or the only one there is.

    Raises:
        CacheError: if the cache is empty, or holds several and none was asked for
    """
    if wanted:
        return sorted(set(wanted))
    there = cache.corpora
    if len(there) == 1:
        return there
    if there:
        msg = f"cache {cache.folder} holds {listing(there)}: choose with --corpus NAME"
    else:
        msg = f"cache {cache.folder} is empty. Run: python pipeline.py extract"
    raise CacheError(msg)


def choose_labels(view: View, name: str | None) -> LabelMap:
    """Take the label map asked for, or the one that the corpora name.

    Raises:
        ManifestError: if the corpora name different ones and none was asked for
    """
    defaults = {c: str(card["label_map"]) for c, card in view.cards.items()}
    chosen = name
    if chosen is None:
        if len(set(defaults.values())) > 1:
            told = listing(f"{c}: {m}" for c, m in defaults.items())
            msg = f"the corpora have different label maps ({told}): choose --labels MAP"
            raise ManifestError(msg)
        chosen = next(iter(defaults.values()))
    if chosen == label_maps.IDENTITY:
        order = [x for card in view.cards.values() for x in card.get("labels", ())]
        return label_maps.identity(view.manifest, order)
    return label_maps.load(chosen)


def ask(
    view: View,
    labels: str | None,
    protocol: str | None,
    wanted: Sequence[int] | None = None,
    drop_duplicates: bool = False,
) -> Question:
    """Map labels, place utterances and build the folds.

    Args:
        view: utterances of a cache, features pinned where they matter
        labels: name of a label map; None: the corpora's own
        protocol: name of a protocol; None: the corpora's own
        wanted: indices of the folds; None: all
        drop_duplicates: keep only the first utterance of every waveform

    Raises:
        ManifestError: if labels are unknown, or a fold would leak or be empty
    """
    label_map = choose_labels(view, labels)
    counts = label_map.counts(view.manifest)
    plan = protocols.get(protocol or protocols.default(view))
    mapped, refused = protocols.placeable(plan, view.relabel(label_map))
    if drop_duplicates:
        again = mapped.manifest["waveform"].duplicated().to_numpy()
        if again.any():
            why = f"waveform heard before: {listing(mapped.ids[again])}"
            refused = [*refused, (why, int(again.sum()))]
            mapped = mapped.take(~again)
    folds = protocols.folds(plan, mapped, wanted)
    whole = len(list(plan.split(mapped)))
    partial = len({f.index for f in folds}) < whole
    return Question(mapped, label_map, counts, plan, folds, partial, refused)
