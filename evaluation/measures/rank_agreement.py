"""Kendall's tau-b between the votes on an utterance and the model's probabilities.

tau-b (Kendall, The treatment of ties in ranking problems, Biometrika 33 (1945) 239)
counts the pairs of classes that both put in the same order, less those in the opposite
one, over the geometric mean of the pairs that each orders at all. It does not exist
where either side holds all classes equal; such utterances are counted and left out of
means.

Votes tie often, probabilities hardly ever, so tau-b cannot reach 1: all votes on one of
K classes leave at most sqrt(2 / K), which is 0.5 for 8 classes. The attainable maximum
of an utterance is the largest tau-b that the very same probabilities reach in another
order. It is found by sorting both sides, as no arrangement is more concordant.

Everything is over all utterances at once; the number of pairs is small, K (K - 1) / 2.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

SEED_002 = 0.2  # votes above it take part in that system's tau

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Tau:
    """Means of tau-b over utterances.

    Attributes:
        mean: of tau-b over the utterances where it exists; NaN where there is none
        n: utterances where it exists
        n_undefined: utterances where one side holds all classes equal
        attainable: mean of the attainable maxima of the same utterances
        share: mean of tau-b over its utterance's attainable maximum, at most 1
    """

    mean: float
    n: int
    n_undefined: int
    attainable: float
    share: float


@dataclass(frozen=True)
class FewClasses:
    """Means of tau-b over some of the classes, as seed 002 computes it.

    Attributes:
        mean: of tau-b over the utterances where it exists; NaN where there is none
        n: utterances where it exists
        n_single: utterances with fewer than two classes above the threshold
        n_undefined: utterances with more, which one side holds all equal
    """

    mean: float
    n: int
    n_single: int
    n_undefined: int


@dataclass(frozen=True)
class TauByEntropy:
    """How tau-b falls or rises with the annotators' disagreement.

    Attributes:
        entropy_edges: bits, edges of the bins ``(entropy bin + 1,)`` from 0 to log2 of
            the number of classes
        tau_edges: edges of the bins ``(tau bin + 1,)`` from -1 to 1
        counts: utterances ``(entropy bin, tau bin)``; a value on an edge is in the bin
            above it, the last edge in the last bin
        n: utterances per entropy bin ``(entropy bin,)``
        mean: mean tau-b per entropy bin ``(entropy bin,)``, NaN where it is empty
        n_undefined: utterances without a tau-b, which are in no bin
    """

    entropy_edges: Values
    tau_edges: Values
    counts: NDArray[np.int64]
    n: NDArray[np.int64]
    mean: Values
    n_undefined: int


def tau_b(
    votes: Values, probabilities: Values, among: NDArray[np.bool_] | None = None
) -> Values:
    """Return tau-b of each utterance ``(utterance,)``, NaN where it does not exist.

    Args:
        votes: ``(utterance, class)``
        probabilities: ``(utterance, class)``
        among: which classes take part ``(utterance, class)``; None: all
    """
    one, other = np.triu_indices(votes.shape[1], 1)
    of_votes = np.sign(votes[:, one] - votes[:, other])
    of_model = np.sign(probabilities[:, one] - probabilities[:, other])
    if among is not None:
        both = among[:, one] & among[:, other]
        of_votes, of_model = of_votes * both, of_model * both
    agreed = (of_votes * of_model).sum(axis=1)
    ordered = np.abs(of_votes).sum(axis=1) * np.abs(of_model).sum(axis=1)
    out = np.full(len(votes), np.nan)
    np.divide(agreed, np.sqrt(ordered), out=out, where=ordered > 0)
    return out


def attainable(votes: Values, probabilities: Values) -> Values:
    """Return the largest tau-b that the same probabilities reach in another order.

    Args:
        votes: ``(utterance, class)``
        probabilities: ``(utterance, class)``

    Returns:
        ``(utterance,)`` above 0, NaN where tau-b does not exist; the square root of
        the share of pairs that the votes order, if no probabilities are equal
    """
    return tau_b(np.sort(votes, axis=1), np.sort(probabilities, axis=1))


def tau(votes: Values, probabilities: Values) -> Tau:
    """Average tau-b over utterances.

    Args:
        votes: ``(utterance, class)``
        probabilities: ``(utterance, class)``
    """
    each, most = tau_b(votes, probabilities), attainable(votes, probabilities)
    known = ~np.isnan(each)
    return Tau(
        mean=_mean(each[known]),
        n=int(known.sum()),
        n_undefined=int((~known).sum()),
        attainable=_mean(most[known]),
        share=_mean(each[known] / most[known]),
    )


def tau_of_few(
    votes: Values, probabilities: Values, above: float = SEED_002
) -> FewClasses:
    """Average tau-b over the classes that got votes enough, as seed 002 does.

    Classes with few votes are left out, so it never sees probability that the model
    gives to a class that nobody named; it cannot stand for tau-b over all classes.

    Args:
        votes: shares ``(utterance, class)``
        probabilities: ``(utterance, class)``
        above: classes with a larger share take part; utterances with fewer than two
            of them do not
    """
    among = votes > above
    several = among.sum(axis=1) >= 2
    each = tau_b(votes[several], probabilities[several], among[several])
    known = ~np.isnan(each)
    return FewClasses(
        mean=_mean(each[known]),
        n=int(known.sum()),
        n_single=int((~several).sum()),
        n_undefined=int((~known).sum()),
    )


def entropy(votes: Values) -> Values:
    """Return the entropy of shares of votes in bits ``(utterance,)``.

    Args:
        votes: shares ``(utterance, class)``, rows sum to 1
    """
    return np.asarray(entr(votes).sum(axis=1) / np.log(2))


def tau_by_entropy(
    votes: Values, probabilities: Values, n_entropy: int = 8, n_tau: int = 20
) -> TauByEntropy:
    """Count utterances by the entropy of their votes and by tau-b.

    Args:
        votes: shares ``(utterance, class)``, rows sum to 1
        probabilities: ``(utterance, class)``
        n_entropy: bins of entropy, equally wide
        n_tau: bins of tau-b, equally wide
    """
    each = tau_b(votes, probabilities)
    known = ~np.isnan(each)
    most = max(float(np.log2(votes.shape[1])), np.finfo(float).eps)
    # rounding puts sqrt(2 / K) and log2 K a hair past an edge, or before it
    bits = np.minimum(np.round(entropy(votes[known]), 9), most)
    tau_edges = np.linspace(-1, 1, n_tau + 1)
    taus = np.clip(np.round(each[known], 9), -1, 1)
    bins = np.linspace(0, most, n_entropy + 1)
    counts, _, _ = np.histogram2d(bits, taus, bins=(bins, tau_edges))
    n, _ = np.histogram(bits, bins)
    total, _ = np.histogram(bits, bins, weights=each[known])
    mean = np.full(n_entropy, np.nan)
    np.divide(total, n, out=mean, where=n > 0)
    undefined = int((~known).sum())
    return TauByEntropy(
        bins, tau_edges, counts.astype(np.int64), n.astype(np.int64), mean, undefined
    )


def _mean(values: Values) -> float:
    return float(values.mean()) if values.size else float("nan")
