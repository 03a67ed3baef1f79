"""Uncertainty of a score: intervals over speakers, never over utterances.

Utterances of one speaker are alike, so the speaker is what is drawn again, as
``_bootstrap`` says. A resample may lack a label that the sample has. That label is then
left out of its UAR and F1, and the resample out of that label's recall; the note counts
such resamples. Below ``MIN_SPEAKERS`` there is no interval: each speaker is shown
instead (``per_speaker``). Everything drawn is seeded from the counts themselves, so
equal predictions have equal intervals.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.errors import listing
from contracts.run import Run
from evaluation._bootstrap import (
    drawn_by,
    limits,
    resampled,
    speaker_weights,
)
from evaluation.confusions import (
    METRICS,
    Values,
    f1_of,
    recall_of,
    score_of,
    speaker_confusions,
    uar_of,
)
from evaluation.systems import System, of_runs

__all__ = [
    "Interval",
    "difference",
    "drawn_by",
    "interval",
    "intervals",
    "limits",
    "per_speaker",
    "speaker_confusions",
    "speaker_weights",
    "uar_of",
]

MIN_SPEAKERS = 8  # fewer give no interval
RECALL = "recall:"

# runs: the same but for the seed; counts: ([seed,] speaker, truth, guess)
Data = Run | Sequence[Run] | System | NDArray[np.integer] | Values


@dataclass(frozen=True)
class Interval:
    """A score and its 95 % interval over speakers.

    Attributes:
        value: the score, mean over seeds
        low: lower end, NaN where there is no interval
        high: upper end, NaN where there is no interval
        n_speakers: test speakers
        note: why there is no interval, or which resamples lacked a label; else empty
    """

    value: float
    low: float
    high: float
    n_speakers: int
    note: str = ""


@dataclass(frozen=True)
class _Counts:
    """Counts ``(seed, speaker, truth, guess)`` and whose they are."""

    labels: tuple[str, ...]
    speakers: tuple[str, ...]
    counts: Values
    n_unknown: int = 0  # utterances without a speaker


def interval(data: Data, metric: str = "uar") -> Interval:
    """Return one score with its interval over speakers.

    Args:
        data: a run, several that differ in the seed alone, or counts
            ``(speaker, truth, guess)`` or ``(seed, speaker, truth, guess)``
        metric: ``uar``, ``war``, ``f1``, or ``recall:LABEL`` (of counts: its index)

    Raises:
        ValueError: if the metric is none of these
    """
    told = _counts(data)
    known = _names(told.labels)
    if metric not in known:
        msg = f"unknown metric {metric!r}, expected one of {listing(known, 40)}"
        raise ValueError(msg)
    return _intervals(told, [metric])[metric]


def intervals(data: Data) -> dict[str, Interval]:
    """Return every score with its interval: UAR, WAR, F1 and each label's recall.

    Seeds are averaged inside each resample, so an interval speaks of the mean over the
    seeds that were fitted.

    Args:
        data: as for ``interval``
    """
    told = _counts(data)
    return _intervals(told, _names(told.labels))


def _names(labels: Sequence[str]) -> list[str]:
    return [*METRICS, *(f"{RECALL}{label}" for label in labels)]


def _intervals(told: _Counts, metrics: Sequence[str]) -> dict[str, Interval]:
    whole = told.counts.sum(axis=1)
    values = [float(_score(whole, whole, told.labels, m).mean()) for m in metrics]
    n = len(told.speakers)
    if why := _no_interval(told):
        return {
            metric: Interval(value, math.nan, math.nan, n, why)
            for metric, value in zip(metrics, values, strict=True)
        }
    drawn = resampled(told.counts, told.counts)
    lacking = _lacking(drawn[0], whole[0])
    out = {}
    for metric, value in zip(metrics, values, strict=True):
        draws = _score(drawn, whole[:, None], told.labels, metric).mean(axis=0)
        low, high = limits(draws, n).tolist()
        out[metric] = Interval(value, low, high, n, _note(metric, lacking, told.labels))
    return out


def difference(first: Values, second: Values, metric: str) -> Interval:
    """Return how much better the first of two systems is, with its interval.

    Args:
        first: counts ``(speaker, truth, guess)``, mean over seeds
        second: the same of the other system, on the same utterances
        metric: ``uar``, ``war`` or ``f1``
    """
    labels = tuple(str(i) for i in range(first.shape[-1]))
    both = np.stack([first, second])
    whole = both.sum(axis=1)
    one, two = _score(whole, whole, labels, metric).tolist()
    names = tuple(str(i) for i in range(len(first)))
    if why := _no_interval(_Counts(labels, names, both)):
        return Interval(one - two, math.nan, math.nan, len(first), why)
    drawn = resampled(both, first + second)
    scores = _score(drawn, whole[:, None], labels, metric)
    low, high = limits(scores[0] - scores[1], len(first)).tolist()
    note = _note(metric, _lacking(drawn[0], whole[0]), labels)
    return Interval(one - two, low, high, len(first), note)


def _counts(data: Data) -> _Counts:
    if isinstance(data, np.ndarray):
        counts = np.asarray(data[None] if data.ndim == 3 else data, float)
        if counts.ndim != 4 or counts.shape[-1] != counts.shape[-2]:
            msg = f"bad counts {data.shape}, expected ([seed,] speaker, truth, guess)"
            raise ValueError(msg)
        labels = tuple(str(i) for i in range(counts.shape[-1]))
        return _Counts(labels, tuple(str(i) for i in range(counts.shape[1])), counts)
    if not isinstance(data, System):
        data = of_runs([data] if isinstance(data, Run) else data)
    names = tuple(sorted(set(data.speakers.tolist())))
    return _Counts(data.labels, names, data.counts.astype(float), data.n_unknown)


def _lacking(confusions: Values, whole: Values) -> NDArray[np.bool_]:
    """Return which labels ``(..., label)`` are in the whole, and not in these."""
    return np.asarray((confusions.sum(axis=-1) == 0) & (whole.sum(axis=-1) > 0))


def _score(
    confusions: Values, whole: Values, labels: Sequence[str], metric: str
) -> Values:
    """Score ``(..., truth, guess)`` without labels that only the whole has."""
    if metric.startswith(RECALL):
        i = list(labels).index(metric.removeprefix(RECALL))
        return recall_of(confusions)[..., i]
    if metric == "f1":
        return f1_of(confusions, _lacking(confusions, whole))
    return score_of(confusions, metric)


def _no_interval(told: _Counts) -> str:
    if told.n_unknown:
        return f"no speaker is known of {told.n_unknown} utterances: no interval"
    if (n := len(told.speakers)) < MIN_SPEAKERS:
        return (
            f"{n} test speakers, fewer than {MIN_SPEAKERS}: no interval, see each "
            "speaker's score"
        )
    return ""


def _note(name: str, lacking: NDArray[np.bool_], labels: Sequence[str]) -> str:
    if name == "war":
        return ""
    of_label = name.startswith(RECALL)
    if of_label:
        lacking = lacking[:, [labels.index(name.removeprefix(RECALL))]]
    if not (n := int(lacking.any(axis=1).sum())):
        return ""
    what = "are not counted" if of_label else "are scored on the labels they have"
    return f"{n:,} of {len(lacking):,} resamples lack a label: they {what}"


def per_speaker(data: Data, metric: str = "uar") -> dict[str, float]:
    """Return the score of each speaker, mean over seeds, over the labels they have.

    Args:
        data: as for ``interval``; of counts the speakers are numbers
        metric: ``uar``, ``war`` or ``f1``
    """
    told = _counts(data)
    values = score_of(told.counts, metric).mean(axis=0)
    return dict(zip(told.speakers, values.tolist(), strict=True))
