"""Confidence against accuracy, in bins that hold equally many utterances.

Confidence is the probability of the class that is guessed, the likeliest. Expected
calibration error: Naeini, Cooper and Hauskrecht, Obtaining well calibrated
probabilities using Bayesian binning, AAAI 2015, for the likeliest class as in Guo et
al., On calibration of modern neural networks, ICML 2017; on bins that hold equally
many utterances, after Nguyen and O'Connor, Posterior calibration and exploratory
analysis for natural language processing models, EMNLP 2015. It is the mean over bins,
weighted by their utterances, of the distance of accuracy from mean confidence.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

BINS = 10
N_SIMULATIONS = 1_000

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Reliability:
    """What a reliability diagram draws; bins that hold no utterance are not in it.

    Attributes:
        n: utterances ``(bin,)``
        lowest: smallest confidence ``(bin,)``
        highest: largest confidence ``(bin,)``
        confidence: mean confidence ``(bin,)``
        accuracy: share of utterances that are right ``(bin,)``
    """

    n: NDArray[np.int64]
    lowest: Values
    highest: Values
    confidence: Values
    accuracy: Values

    @property
    def error(self) -> float:
        """Expected calibration error; NaN without utterances."""
        if not self.n.sum():
            return math.nan
        gaps = np.abs(self.accuracy - self.confidence)
        return float(np.average(gaps, weights=self.n))


def confidences(
    truth: NDArray[np.int64], probabilities: Values
) -> tuple[Values, Values]:
    """Return the probability of the class that is guessed, and 1 where it is right.

    Args:
        truth: positions in the label list ``(utterance,)``
        probabilities: ``(utterance, class)``; of equal ones the first class is guessed
    """
    guess = probabilities.argmax(axis=1)
    return probabilities.max(axis=1), np.asarray(guess == truth, np.float64)


def equal_mass_bins(confidence: Values, n_bins: int = BINS) -> NDArray[np.int64]:
    """Put utterances into bins that hold equally many, by rising confidence.

    Equal confidences are never parted: they stand at the middle of their places, all in
    the bin that has it, so bins may be unequal or empty then.

    Args:
        confidence: ``(utterance,)``
        n_bins: how many

    Returns:
        ``(utterance,)`` from 0; without ties bins differ by one utterance at most
    """
    place = rankdata(confidence) - 0.5  # equal ones share their mean rank
    return np.asarray(place * n_bins // max(len(confidence), 1), np.int64)


def reliability(
    confidence: Values, right: Values, bins: NDArray[np.int64]
) -> Reliability:
    """Average confidence and accuracy in each bin.

    Args:
        confidence: probability of the class that is guessed ``(utterance,)``
        right: 1 where the guess is right, else 0 ``(utterance,)``
        bins: ``(utterance,)``, see ``equal_mass_bins``
    """
    there, place, n = np.unique(bins, return_inverse=True, return_counts=True)
    low, high = np.full(len(there), np.inf), np.full(len(there), -np.inf)
    np.minimum.at(low, place, confidence)
    np.maximum.at(high, place, confidence)
    total = np.bincount(place, confidence, len(there))
    hits = np.bincount(place, right, len(there))
    return Reliability(n.astype(np.int64), low, high, total / n, hits / n)


def perfect_errors(
    confidence: Values, bins: NDArray[np.int64], n: int = N_SIMULATIONS, seed: int = 0
) -> Values:
    """Simulate the error of a model that is right as often as it says ``(draw,)``.

    Args:
        confidence: ``(utterance,)``
        bins: ``(utterance,)``
        n: number of draws
        seed: of the draws
    """
    rng = np.random.default_rng(seed)
    out = np.empty(n)
    for i in range(n):  # one draw at a time: n times all utterances may not fit
        right = rng.random(len(confidence)) < confidence
        out[i] = np.abs(np.bincount(bins, right - confidence)).sum()
    return out / len(confidence)
