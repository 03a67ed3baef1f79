"""Which labels are taken for each other, in words and a table."""

from collections.abc import Sequence

from contracts.errors import listing
from contracts.terminal import table
from evaluation.labelling.suggestion import Merge, pooled, rank
from evaluation.measures.metrics import Scores

_READING = (
    "confused: share of the one taken for the other, mean of both ways. above chance: "
    "(UAR - chance) / (1 - chance). bits lost: what labels tell less per utterance; "
    "heard: how much of it the predictions told. UAR over fewer classes is not "
    "comparable with UAR over more: it rises even where nothing is learnt."
)
_ALL_SEEN = (
    "Every speaker trains in one of these folds, so this is made from all speakers' "
    "labels. To judge a map on speakers it was not made from, take one fold here, "
    "--folds N, and test on that fold."
)


def confusions_text(
    scores: Sequence[Scores], who: str, top: int, unseen: Sequence[str]
) -> str:
    """Say what is confused, and what each merge would do.

    Args:
        scores: development confusions of each fold
        who: head and features
        top: how many pairs of classes to show
        unseen: speakers whose labels play no part in it
    """
    whole, several = pooled(scores), len(scores) > 1
    chance = 1 / len(whole.labels)
    folds = f"each of {len(scores)} folds" if several else "the fold"
    lines = [
        f"development confusions of {who}: {whole.n} predictions of the training "
        f"speakers of {folds}, each by a head fitted on others of them. UAR "
        f"{whole.uar:.3f} over {len(whole.labels)} classes, chance {chance:.3f}, above "
        f"chance {_above(whole.uar, chance)}",
        _ranking(rank(whole, scores)[: max(top, 1)], len(scores)),
        _READING,
    ]
    none_of = f"Made from no label of {listing(unseen)}: test on them."
    return "\n".join([*lines, none_of if unseen else _ALL_SEEN])


def _ranking(pairs: Sequence[Merge], n_folds: int) -> str:
    """Lay out the most confused pairs."""
    heads = ["merge", "into", "confused", "UAR", "chance", "above chance"]
    heads += ["bits lost", "heard", *(["first in folds"] if n_folds > 1 else [])]
    rows = []
    for p in pairs:
        row = [p.gone, p.into, f"{p.confused:.3f}", f"{p.uar:.3f}", f"{p.chance:.3f}"]
        row += [_above(p.uar, p.chance), f"{p.lost:.3f}", f"{p.heard:.3f}"]
        rows.append([*row, f"{p.folds} of {n_folds}"] if n_folds > 1 else row)
    return table(heads, rows)


def _above(uar: float, chance: float) -> str:
    """Write how far a UAR is on the way from chance to 1; two classes or more."""
    return f"{(uar - chance) / (1 - chance):.3f}" if chance < 1 else ""
