"""Which label map is meant, of one corpus or of several."""

from collections.abc import Mapping

from contracts import labels as label_maps
from contracts.errors import ManifestError, listing
from contracts.labels import LabelMap
from contracts.view import View

SYNONYMS = "common6"  # the map that says which words mean one emotion


def choose_labels(view: View, name: str | None) -> LabelMap:
    """Take the label map asked for, or the one that the corpora name.

    Raises:
        ManifestError: if the corpora name different ones and none was asked for, or
            their own labels are asked for and name one emotion by two words
    """
    defaults = {c: str(card["label_map"]) for c, card in view.cards.items()}
    chosen = name
    if chosen is None:
        if len(set(defaults.values())) > 1:
            told = listing(f"{c}: {m}" for c, m in defaults.items())
            how = label_maps.choice(label_maps.labels_of(view.manifest))
            msg = f"the corpora have different label maps ({told}). {how}"
            raise ManifestError(msg)
        chosen = next(iter(defaults.values()))
    if chosen == label_maps.IDENTITY:
        _refuse_synonyms(view)
        order = [x for card in view.cards.values() for x in card.get("labels", ())]
        return label_maps.identity(view.manifest, order)
    return label_maps.load(chosen)


def _refuse_synonyms(view: View) -> None:
    """Refuse two words for one emotion, one in some corpora and one in others.

    Two classes that tell corpora apart would look like a good result. A corpus that
    has both words means two things by them.
    """
    rows = view.manifest
    if rows["corpus"].nunique() < 2:
        return
    groups = rows.groupby("corpus")
    words = {str(c): label_maps.labels_of(group) for c, group in groups}
    merge: Mapping[str, str] = label_maps.load(SYNONYMS).merge
    has = {
        word: {c for c, there in words.items() if word in there}
        for word in sorted(set().union(*words.values()))
    }
    pairs = [
        f"{a} ({listing(sorted(has[a]))}) and {b} ({listing(sorted(has[b]))})"
        for a in has
        for b in has
        if a < b and merge.get(a, a) == merge.get(b, b) and not has[a] & has[b]
    ]
    if pairs:
        msg = (
            f"label map {label_maps.IDENTITY!r} would make two classes of words that "
            f"mean one emotion: {listing(pairs)}. {label_maps.choice(has)}"
        )
        raise ManifestError(msg)
