"""The threshold above which a class is in the predicted set, chosen in each fold.

Annotators' votes say several emotions of one utterance at once: those with more than
0.2 of the votes (seed 002, WidjanarkoJoshua/Emotional-Audio-Classification). Seed 002
puts the same 0.2 to the probabilities. A head that is surer or less sure of itself than
annotators are is worth more under another one, which is chosen on training speakers:
of ``GRID`` the threshold under which most utterances have exactly the classes that
annotators name. The votes' own 0.2 stays as it is.
"""

from collections.abc import Sequence

from contracts.errors import RunError, listing
from evaluation.measures.rank_agreement import SEED_002, Values
from evaluation.measures.vote_shares import exact_set, shares_of
from evaluation.splits import inner
from evaluation.splits.folds import Fold
from evaluation.splits.protocols import originals
from evaluation.unheard import votes_of

GRID = tuple(n / 100 for n in range(1, 61))  # above 0.5 a set has one class at most
FACTS = {"parts": inner.PARTS, "grid": list(GRID), "by": "exact set"}


def choose_threshold(votes: Values, probabilities: Values) -> float:
    """Find the threshold with the most exact sets.

    Args:
        votes: counts or shares ``(utterance, class)``; rows of zeros count not
        probabilities: ``(utterance, class)`` of utterances held out of training

    Returns:
        one of ``GRID``; of equally good ones the nearest to 0.2, of two equally near
        the lower

    Raises:
        RunError: if no utterance has votes
    """
    shares = shares_of(votes)
    voted = shares.sum(axis=1) > 0
    if not voted.any():
        msg = (
            f"a threshold cannot be chosen: none of {len(votes)} utterances that were "
            "held out of training has votes. Leave --threshold out, or choose a "
            "protocol whose training speakers have some"
        )
        raise RunError(msg)
    right = {
        one: int(exact_set(shares[voted], probabilities[voted], told_above=one).sum())
        for one in GRID
    }
    # hundredths, so that two thresholds equally near are equally near
    return min(
        GRID, key=lambda one: (-right[one], abs(round(100 * (one - SEED_002))), one)
    )


def refuse_voteless(folds: Sequence[Fold], corpora: Sequence[str]) -> None:
    """Refuse folds on whose training speakers no threshold can be chosen.

    Args:
        folds: of a question
        corpora: their names, to be said

    Raises:
        RunError: if a fold has no votes in training
    """
    without = [f.index for f in folds if not votes_of(originals(f.refit)).any()]
    if without:
        noun = "fold" if len(without) == 1 else "folds"
        where = "" if len(without) == len(folds) else f" in {noun} {listing(without)}"
        msg = (
            "--threshold is chosen by annotators' votes on training speakers: expected "
            f"votes in {listing(corpora)}, got none{where}. Leave --threshold out, or "
            "choose a corpus with votes"
        )
        raise RunError(msg)
