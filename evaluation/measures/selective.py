"""Risk and coverage: the errors that are left if unsure utterances are not answered.

Source: El-Yaniv and Wiener, On the foundations of noise-free selective classification,
JMLR 11 (2010) 1605; the area under the curve and its best value: Geifman, Uziel and
El-Yaniv, Bias-reduced uncertainty estimation for deep neural classifiers, ICLR 2019.

Utterances are answered from the surest down. Coverage is the share that is answered,
risk the share of those that are wrong. How sure a model is is the probability of the
class that it guesses. Utterances of equal confidence are answered together, so they
share one point: nothing says which of them would come first.
"""

import math
from dataclasses import dataclass

import numpy as np

from contracts.run import Run
from evaluation.measures.metrics import answers
from evaluation.measures.reliability import Values, confidences


@dataclass(frozen=True)
class RiskCoverage:
    """The curve, from the surest utterances alone to all of them.

    Attributes:
        confidence: smallest confidence that is still answered ``(point,)``, falling
        coverage: share of utterances that are answered ``(point,)``, rising to 1
        risk: share of the answered ones that are wrong ``(point,)``; the last is the
            error rate
        area: mean risk over the coverages of all utterances
        best: the area if every right answer were surer than every wrong one
    """

    confidence: Values
    coverage: Values
    risk: Values
    area: float
    best: float

    @property
    def excess(self) -> float:
        """What the order of the confidences costs: the area less the best one."""
        return self.area - self.best


def risk_coverage(confidence: Values, right: Values) -> RiskCoverage | None:
    """Draw the curve.

    Args:
        confidence: ``(utterance,)``
        right: 1 where the guess is right, else 0 ``(utterance,)``

    Returns:
        the curve, None without utterances
    """
    n = len(confidence)
    if not n:
        return None
    order = np.argsort(-confidence, kind="stable")
    sure = confidence[order]
    wrong = np.cumsum(1 - right[order])
    last = np.append(np.flatnonzero(np.diff(sure)), n - 1)  # of each group of equals
    answered = last + 1
    risk = wrong[last] / answered
    n_right = n - float(wrong[-1])
    ideal = np.maximum(np.arange(1, n + 1) - n_right, 0) / np.arange(1, n + 1)
    return RiskCoverage(
        confidence=sure[last],
        coverage=answered / n,
        risk=risk,
        area=math.fsum(risk * np.diff(answered, prepend=0)) / n,
        best=float(ideal.mean()),
    )


def risk_coverage_of(run: Run) -> RiskCoverage | None:
    """Draw the curve of a run, folds pooled; variants do not count.

    Returns:
        the curve, None where no utterance has a label
    """
    rows = answers(run)
    known = rows.truth >= 0
    truth, told = rows.truth[known], rows.probabilities[known]
    return risk_coverage(*confidences(truth, told)) if len(truth) else None
