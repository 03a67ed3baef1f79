"""Intervals over speakers of anything that is a mean over utterances.

The resamples are those of ``uncertainty``: speakers are drawn, never utterances, and
below ``MIN_SPEAKERS`` there is no interval. A speaker's share in a mean is the number
of their utterances, in the sample and in every resample.
"""

import math

import numpy as np
from numpy.typing import NDArray

from evaluation.statistics.uncertainty import (
    MIN_SPEAKERS,
    Interval,
    limits,
    nobody_drawn,
    speaker_weights,
)

Values = NDArray[np.float64]


def no_interval(speakers: NDArray[np.object_]) -> str:
    """Say why these speakers ``(utterance,)`` allow no interval; ``""``: they do."""
    if why := nobody_drawn(int((speakers == "").sum())):
        return why
    if (n := len(set(speakers))) < MIN_SPEAKERS:
        return f"{n} test speakers, fewer than {MIN_SPEAKERS}: no interval"
    return ""


def speaker_sums(
    values: Values, speakers: NDArray[np.object_]
) -> tuple[Values, Values, int]:
    """Add up values in the whole sample and in each resample of speakers.

    Args:
        values: ``(utterance, quantity)``
        speakers: ``(utterance,)``

    Returns:
        sums of the sample ``(quantity,)``, sums ``(resample, quantity)``, and the
        number of speakers
    """
    names, who = np.unique(speakers.astype(str), return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, who, values)
    weights = speaker_weights(len(names), sums).astype(np.float64)
    return sums.sum(axis=0), weights @ sums, len(names)


def mean_interval(values: Values, speakers: NDArray[np.object_]) -> Interval:
    """Return a mean over utterances with its interval over speakers.

    Args:
        values: ``(utterance,)``; NaN counts nowhere, and a speaker who has nothing
            else is no speaker here
        speakers: ``(utterance,)``, ``""`` for unknown

    Returns:
        NaN where no utterance has a value; no interval where a value is infinite
    """
    known = ~np.isnan(values)
    told, who = values[known], speakers[known]
    n_speakers = len(set(who) - {""})
    mean = float(told.mean()) if len(told) else math.nan
    why = no_interval(who)
    if n := int(np.isinf(told).sum()):
        why = f"{n} utterances have no finite value: no interval"
    if why:
        return Interval(mean, math.nan, math.nan, n_speakers, why)
    _, drawn, _ = speaker_sums(np.column_stack([told, np.ones(len(told))]), who)
    low, high = limits(drawn[:, 0] / drawn[:, 1], n_speakers).tolist()
    return Interval(mean, low, high, n_speakers)
