"""Intervals over speakers of anything that is a mean over utterances.

The resamples are those of ``uncertainty``: speakers are drawn, never utterances, and
below ``MIN_SPEAKERS`` there is no interval. A speaker's share in a mean is the number
of their utterances, in the sample and in every resample.
"""

import math

import numpy as np
from numpy.typing import NDArray

from contracts.run import Run
from contracts.terminal import count
from evaluation.measures.metrics import answers, top_k
from evaluation.statistics._bootstrap import drawn_sums, limits
from evaluation.statistics.uncertainty import MIN_SPEAKERS, Interval, nobody_drawn

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
    return sums.sum(axis=0), drawn_sums(sums), len(names)


def mean_interval(values: Values, speakers: NDArray[np.object_]) -> Interval:
    """Return a mean over utterances with its interval over speakers.

    Args:
        values: ``(utterance,)``; NaN counts nowhere, and a speaker who has nothing
            else is no speaker here
        speakers: ``(utterance,)``, ``""`` for unknown

    Returns:
        NaN where no utterance has a value; no interval where a value is infinite
    """
    return mean_intervals(values[:, None], speakers)[0]


def mean_intervals(values: Values, speakers: NDArray[np.object_]) -> list[Interval]:
    """Return several means over the same utterances, from the same resamples.

    Args:
        values: ``(utterance, quantity)``; an utterance with a NaN counts nowhere
        speakers: as for ``mean_interval``

    Returns:
        an interval each, as ``mean_interval`` returns it
    """
    known = ~np.isnan(values).any(axis=1)
    told, who = values[known], speakers[known]
    n_speakers = len(set(who) - {""})
    means = told.mean(axis=0) if len(told) else np.full(told.shape[1], math.nan)
    infinite = np.isinf(told).sum(axis=0)
    ends, why = np.full((2, told.shape[1]), math.nan), no_interval(who)
    if not why:
        finite = np.where(infinite > 0, 0.0, told)
        _, drawn, _ = speaker_sums(np.column_stack([finite, np.ones(len(told))]), who)
        ends = limits(drawn[:, :-1] / drawn[:, -1:], n_speakers)
    out = []
    for mean, n, low, high in zip(means.tolist(), infinite, *ends, strict=True):
        if n:
            note = f"{count(n, 'utterance')} without a finite value: no interval"
            out.append(Interval(mean, math.nan, math.nan, n_speakers, note))
        else:
            out.append(Interval(mean, float(low), float(high), n_speakers, why))
    return out


def top_k_interval(run: Run, k: int = 2) -> Interval:
    """Return a run's top-k accuracy with its interval; variants do not count.

    Args:
        run: a finished run
        k: how many classes may be named
    """
    rows = answers(run)
    return mean_interval(top_k(rows.truth, rows.probabilities, k), rows.speakers)
