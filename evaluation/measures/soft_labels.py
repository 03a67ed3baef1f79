"""Predictions against the votes of several annotators, not against one label.

Votes may be counts or shares; both are made shares that sum to 1. Utterances without
votes count nowhere, and how many they are is said. Where something ties, the rules of
``vote_shares`` stand; how many utterances tie for the most votes is said.

Sources: top-1, top-2, tau over few classes and the exact set are those of seed 002
(WidjanarkoJoshua/Emotional-Audio-Classification), tau-b see ``rank_agreement``,
divergences see ``divergence``.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contracts.run import Run
from evaluation.measures.divergence import jensen_shannon, kl
from evaluation.measures.metrics import answers
from evaluation.measures.rank_agreement import (
    SEED_002,
    FewClasses,
    Tau,
    TauByEntropy,
    Values,
    tau,
    tau_b,
    tau_by_entropy,
    tau_of_few,
)
from evaluation.measures.vote_shares import (
    DECIMALS,
    exact_set,
    most_voted,
    shares_of,
    top_k,
)
from evaluation.statistics.mean_interval import mean_interval, mean_intervals
from evaluation.statistics.uncertainty import Interval


@dataclass(frozen=True)
class SoftScores:
    """Metrics of one set of predictions against votes.

    Attributes:
        n: utterances with votes
        n_voteless: utterances without, which count nowhere
        n_tied: utterances where several classes share the most votes
        top1: share of utterances whose likeliest class has the most votes
        top2: share of those where one of the two likeliest has
        agreement: mean share of the votes that are for the likeliest class
        ceiling: mean largest share: no answer can agree better
        tau: tau-b over all classes
        tau_of_few: tau-b over the classes with more than 0.2 of the votes
        exact_set: share of utterances where the classes with more than 0.2 of the
            votes are those with a probability above 0.2
        exact_set_chosen: the same where probabilities are held against the threshold
            that each fold chose on its training speakers (``evaluation.thresholds``);
            None where none was chosen
        kl: mean divergence of the votes from the probabilities in nats; infinite where
            a class with votes has probability 0
        n_infinite: utterances whose divergence is infinite
        finite_kl: mean over the others
        jensen_shannon: mean Jensen-Shannon divergence in bits, 0 to 1, which is the
            square of the distance of that name
    """

    n: int
    n_voteless: int
    n_tied: int
    top1: float
    top2: float
    agreement: float
    ceiling: float
    tau: Tau
    tau_of_few: FewClasses
    exact_set: float
    kl: float
    n_infinite: int
    finite_kl: float
    jensen_shannon: float
    exact_set_chosen: float | None = None


def soft_scores(votes: Values, probabilities: Values) -> SoftScores | None:
    """Score probabilities against votes.

    Args:
        votes: counts or shares ``(utterance, class)``, zeros for utterances without
        probabilities: ``(utterance, class)``, rows sum to 1

    Returns:
        the scores, None where no utterance has votes

    Raises:
        RunError: if votes are negative or not known
    """
    every = shares_of(np.asarray(votes, np.float64))
    voted = every.sum(axis=1) > 0
    if not voted.any():
        return None
    shares, told = every[voted], np.asarray(probabilities, np.float64)[voted]
    compared = np.round(shares, DECIMALS)
    each = per_utterance(shares, told)
    mean = {name: float(values.mean()) for name, values in each.items()}
    finite = each["kl"][np.isfinite(each["kl"])]
    return SoftScores(
        n=len(shares),
        n_voteless=int((~voted).sum()),
        n_tied=int((most_voted(shares).sum(axis=1) > 1).sum()),
        top1=mean["top1"],
        top2=mean["top2"],
        agreement=mean["agreement"],
        ceiling=mean["ceiling"],
        tau=tau(compared, told),
        tau_of_few=tau_of_few(compared, told),
        exact_set=mean["exact_set"],
        kl=mean["kl"],
        n_infinite=len(shares) - len(finite),
        finite_kl=float(finite.mean()) if len(finite) else float("nan"),
        jensen_shannon=mean["jensen_shannon"],
    )


def per_utterance(votes: Values, probabilities: Values) -> dict[str, Values]:
    """Return every metric that is a mean over utterances, before the mean.

    Args:
        votes: shares ``(utterance, class)``, rows sum to 1
        probabilities: ``(utterance, class)``, rows sum to 1

    Returns:
        name, as in ``SoftScores``, -> ``(utterance,)``; ``tau`` and ``tau_of_few`` are
        NaN where they do not exist, ``finite_kl`` where ``kl`` is infinite
    """
    likeliest = probabilities.argmax(axis=1)
    compared, apart = np.round(votes, DECIMALS), kl(votes, probabilities)
    return {
        "top1": top_k(votes, probabilities, 1),
        "top2": top_k(votes, probabilities, 2),
        "agreement": votes[np.arange(len(votes)), likeliest],
        "ceiling": votes.max(axis=1),
        "tau": tau_b(compared, probabilities),
        "tau_of_few": tau_b(compared, probabilities, compared > SEED_002),
        "exact_set": exact_set(votes, probabilities),
        "kl": apart,
        "finite_kl": np.where(np.isfinite(apart), apart, np.nan),
        "jensen_shannon": jensen_shannon(votes, probabilities),
    }


def soft_scores_of(run: Run) -> SoftScores | None:
    """Score a run against its votes, folds pooled; variants do not count.

    Returns:
        the scores, None where the run knows of no votes
    """
    told = _voted(run)
    if told is None:
        return None
    rows = answers(run)
    scores = soft_scores(np.asarray(rows.votes), rows.probabilities)
    if scores is None or told.thresholds is None:
        return scores
    return replace(scores, exact_set_chosen=float(told.exact_set_chosen.mean()))


def soft_intervals_of(run: Run) -> dict[str, Interval]:
    """Give a run's metrics that are means their intervals over speakers.

    Returns:
        name, as in ``SoftScores``, -> interval; empty where there are no votes
    """
    told = _voted(run)
    if told is None:
        return {}
    each = per_utterance(told.shares, told.probabilities)
    over_same: dict[bytes, list[str]] = {}
    for name, values in each.items():
        over_same.setdefault(np.isnan(values).tobytes(), []).append(name)
    out: dict[str, Interval] = {}
    for names in over_same.values():
        columns = np.column_stack([each[name] for name in names])
        out |= dict(zip(names, mean_intervals(columns, told.speakers), strict=True))
    if told.thresholds is not None:
        own = mean_interval(told.exact_set_chosen, told.speakers)
        out["exact_set_chosen"] = own
    return out


def tau_by_entropy_of(run: Run) -> TauByEntropy | None:
    """Count the utterances of a run by the entropy of their votes and by tau-b.

    Returns:
        the counts, None where the run knows of no votes
    """
    told = _voted(run)
    if told is None:
        return None
    return tau_by_entropy(np.round(told.shares, DECIMALS), told.probabilities)


@dataclass(frozen=True)
class _Voted:
    """The test utterances of a run that have votes, in order."""

    shares: Values
    probabilities: Values
    speakers: NDArray[np.object_]
    thresholds: Values | None  # (utterance,)

    @property
    def exact_set_chosen(self) -> Values:
        """Whether the set at the chosen thresholds is right ``(utterance,)``."""
        return exact_set(self.shares, self.probabilities, told_above=self.thresholds)


def _voted(run: Run) -> _Voted | None:
    rows = answers(run)
    if rows.votes is None or not rows.votes.any():
        return None
    shares = shares_of(rows.votes)
    voted = shares.sum(axis=1) > 0
    limits = run.thresholds
    if limits is not None:
        limits = limits[rows.mask][voted]
    told = shares[voted], rows.probabilities[voted], rows.speakers[voted]
    return _Voted(*told, limits)
