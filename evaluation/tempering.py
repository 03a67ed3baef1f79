"""One temperature and one threshold per fold, chosen on training speakers alone.

What a temperature is, and how one is fitted, is in ``evaluation.measures.temperature``;
what a threshold is for, in ``evaluation.thresholds``; on whom they are chosen, in
``evaluation.unheard``. Where both are asked for, the temperature is fitted first, and
the threshold is chosen on probabilities under it, as it is used on the test part. Both
are chosen on the same speakers; the temperature is one number and bends little.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.view import View
from evaluation.measures.temperature import FLOOR, apply_temperature, fit_temperature
from evaluation.splits import inner
from evaluation.thresholds import FACTS as OF_THRESHOLD
from evaluation.thresholds import choose_threshold
from evaluation.unheard import Unheard, judged

OF_TEMPERATURE = {"parts": inner.PARTS, "floor": FLOOR}


@dataclass(frozen=True)
class After:
    """What is chosen in each fold once its head is fitted.

    Attributes:
        temperature: soften probabilities by one number
        threshold: find above which probability a class is in the predicted set
    """

    temperature: bool = False
    threshold: bool = False

    @property
    def facts(self) -> dict[str, Any]:
        """What a run's identity holds of it: nothing where nothing is chosen."""
        out: dict[str, Any] = {}
        if self.temperature:
            out["temperature"] = dict(OF_TEMPERATURE)
        if self.threshold:
            out["threshold"] = dict(OF_THRESHOLD)
        return out

    def __bool__(self) -> bool:
        """Whether anything is chosen."""
        return self.temperature or self.threshold


class Tempered:
    """A fitted head whose probabilities are softened.

    Args:
        head: fitted
        temperature: above 0
    """

    def __init__(self, head: Any, temperature: float) -> None:
        self.head = head
        self.temperature = temperature

    def predict_proba(self, view: View) -> NDArray[np.float64]:
        """Return ``(utterance, class)``."""
        return apply_temperature(self.head.predict_proba(view), self.temperature)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the head's."""
        if name in ("head", "temperature"):
            raise AttributeError(name)
        return getattr(self.head, name)


def tempered(head: Any, temperature: float | None) -> Any:
    """Give a fitted head its temperature; None: it has none and stays as it is."""
    return head if temperature is None else Tempered(head, temperature)


def settle(fitted: Any, given: View | Unheard, after: After) -> dict[str, float]:
    """Choose what is to be chosen for a fitted head.

    Args:
        fitted: the head
        given: of its job, see ``unheard.prepared``
        after: what is asked for

    Returns:
        ``temperature`` and ``threshold``, where asked for

    Raises:
        RunError: if nothing in ``given`` has a label, or votes
    """
    told = judged(fitted, given) if isinstance(given, View) else given
    out: dict[str, float] = {}
    probabilities = told.probabilities
    if after.temperature:
        out["temperature"] = fit_temperature(probabilities, told.truth)
        probabilities = apply_temperature(probabilities, out["temperature"])
    if after.threshold:
        out["threshold"] = choose_threshold(told.votes, probabilities)
    return out
