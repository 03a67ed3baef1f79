"""Temperature: one number that makes probabilities more or less sure of themselves.

Source: Guo et al., On calibration of modern neural networks, ICML 2017, section 4.2:
logits are divided by a temperature before the softmax. Here the logarithms of the
probabilities are, which differ from the logits by a constant that the softmax forgets.
The order of an utterance's classes stays as it is, and so do UAR, accuracy and F1.

The temperature is the one with the smallest negative log likelihood on utterances that
it is not used on: those of other speakers. Trees give probabilities of exactly 0, which
no temperature can move; below ``FLOOR`` they are taken as it, when a temperature is
fitted and when it is applied.

Cross-fitting takes predictions as they are. Where they come from several folds, the
model of another fold has mostly been trained on the speakers whose rows are calibrated
here; only one number passes by that way.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from contracts.errors import RunError

FLOOR = 1e-12  # the smallest probability that is believed
PARTS = 5
RANGE = (0.01, 100.0)  # where temperatures are looked for

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """Some speakers and the temperature that others gave them.

    Attributes:
        speakers: whose rows it is used on
        temperature: as fitted; near an end of ``RANGE`` where nothing holds it, as
            when every utterance that it was fitted on is right
        n_fitted: utterances it was fitted on, of other speakers
    """

    speakers: tuple[str, ...]
    temperature: float
    n_fitted: int


@dataclass(frozen=True)
class CrossFitted:
    """Probabilities, each under a temperature fitted on other speakers.

    Attributes:
        probabilities: ``(utterance, class)``
        parts: which speakers got which temperature
    """

    probabilities: Values
    parts: tuple[Part, ...]

    @property
    def temperatures(self) -> tuple[float, ...]:
        """What was chosen in each part."""
        return tuple(part.temperature for part in self.parts)


def apply_temperature(probabilities: Values, temperature: float) -> Values:
    """Divide the logarithms of probabilities by a temperature.

    Args:
        probabilities: ``(utterance, class)``; below ``FLOOR`` they are taken as it
        temperature: above 1 makes them less sure, below 1 surer

    Returns:
        ``(utterance, class)``, rows sum to 1

    Raises:
        RunError: if the temperature is not above 0
    """
    if not temperature > 0:
        msg = f"bad temperature {temperature}: expected a number above 0, such as 1.5"
        raise RunError(msg)
    return np.asarray(softmax(_logarithms(probabilities) / temperature, axis=1))


def _logarithms(probabilities: Values) -> Values:
    return np.asarray(np.log(np.maximum(probabilities, FLOOR)))


def fit_temperature(probabilities: Values, truth: NDArray[np.int64]) -> float:
    """Find the temperature with the smallest negative log likelihood.

    In the inverse of the temperature the likelihood has one optimum alone.

    Args:
        probabilities: ``(utterance, class)`` of utterances held out of training
        truth: positions in the label list ``(utterance,)``; -1, no label, counts not

    Returns:
        the temperature, within ``RANGE``

    Raises:
        RunError: if no utterance has a label
    """
    known = truth >= 0
    if not known.any():
        msg = (
            f"a temperature cannot be fitted: none of {len(truth)} utterances has a "
            "label. Fit it on utterances of other speakers that have one"
        )
        raise RunError(msg)
    told = _logarithms(probabilities[known])
    told -= told.max(axis=1, keepdims=True)  # so that no exponential overflows
    of_truth = np.take_along_axis(told, truth[known, None], axis=1).mean()

    def loss(logarithm: float) -> float:
        inverse = math.exp(-logarithm)
        total = np.log(np.exp(told * inverse).sum(axis=1)).mean()
        return float(total - inverse * of_truth)

    ends = (math.log(RANGE[0]), math.log(RANGE[1]))
    found = minimize_scalar(
        loss, bounds=ends, method="bounded", options={"xatol": 1e-5}
    )
    return math.exp(found.x)


def cross_fitted_temperature(
    probabilities: Values,
    truth: NDArray[np.int64],
    speakers: NDArray[np.object_],
    n_parts: int = PARTS,
) -> CrossFitted:
    """Calibrate the rows of each speaker with a temperature fitted on others.

    Speakers are dealt out to the parts one by one in the order of their names.
    Utterances without a known speaker count as those of one.

    Args:
        probabilities: ``(utterance, class)``
        truth: positions in the label list ``(utterance,)``, -1 for no label; such rows
            are calibrated but not fitted on
        speakers: ``(utterance,)``, ``""`` for unknown
        n_parts: parts; fewer where there are fewer speakers

    Raises:
        RunError: if there are fewer than two speakers, or if those of a part leave
            nobody with a label
    """
    names = sorted(set(speakers))
    if len(names) < 2 or n_parts < 2:
        msg = (
            "a temperature must be fitted on other speakers: expected two speakers and "
            f"two parts at least, got {len(names)} and {n_parts}. Take a protocol with "
            "more test speakers"
        )
        raise RunError(msg)
    out = np.empty(probabilities.shape, np.float64)
    parts = []
    for first in range(min(n_parts, len(names))):
        chosen = names[first :: min(n_parts, len(names))]
        here = np.isin(speakers.astype(str), chosen)
        temperature = fit_temperature(probabilities[~here], truth[~here])
        out[here] = apply_temperature(probabilities[here], temperature)
        n_fitted = int((truth[~here] >= 0).sum())
        parts.append(Part(tuple(chosen), temperature, n_fitted))
    return CrossFitted(out, tuple(parts))
