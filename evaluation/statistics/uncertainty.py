"""Uncertainty of a score: intervals over speakers, never over utterances.

Utterances of one speaker are alike, so the speaker is what is drawn again, as
``_bootstrap`` says. A resample may lack a label that the sample has. That label is then
left out of its UAR and F1, and the resample out of that label's recall; the note counts
such resamples. Below ``MIN_SPEAKERS`` there is no interval: each speaker is shown
instead (``per_speaker``). Nor is there one where the speaker of any utterance is not
known: ``""`` is nobody, and is never drawn. As many speakers are always drawn alike, so
equal predictions have equal intervals.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contracts.errors import listing
from contracts.run import Run
from contracts.terminal import count
from evaluation.statistics._bootstrap import drawn_by, limits, resampled
from evaluation.statistics.confusions import (
    METRICS,
    Values,
    f1_of,
    of_nobody,
    recall_of,
    score_of,
    speaker_confusions,
    uar_of,
)
from evaluation.statistics.systems import System, of_runs

__all__ = [
    "Interval",
    "difference",
    "drawn_by",
    "interval",
    "intervals",
    "limits",
    "nobody_drawn",
    "per_speaker",
    "speaker_confusions",
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
        value: the score, mean over seeds, also of utterances of unknown speakers
        low: lower end, NaN where there is no interval
        high: upper end, NaN where there is no interval
        n_speakers: test speakers, without the unknown
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

    @property
    def n_speakers(self) -> int:
        return len(set(self.speakers) - {""})


def interval(
    data: Data, metric: str = "uar", speakers: Sequence[str] | None = None
) -> Interval:
    """Return one score with its interval over speakers.

    Args:
        data: a run, several that differ in the seed alone, or counts
            ``(speaker, truth, guess)`` or ``(seed, speaker, truth, guess)``
        metric: ``uar``, ``war``, ``f1``, or ``recall:LABEL`` (of counts: its index)
        speakers: of counts, whose they are; ``""`` is nobody, and then there is no
            interval; None: all are known

    Raises:
        ValueError: if the metric is none of these
    """
    told = _counts(data, speakers)
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
    n = told.n_speakers
    if why := _no_interval(told):
        return {
            metric: Interval(value, math.nan, math.nan, n, why)
            for metric, value in zip(metrics, values, strict=True)
        }
    drawn = resampled(told.counts)
    lacking = _lacking(drawn[0], whole[0])
    out = {}
    for metric, value in zip(metrics, values, strict=True):
        draws = _score(drawn, whole[:, None], told.labels, metric).mean(axis=0)
        low, high = limits(draws, n).tolist()
        out[metric] = Interval(value, low, high, n, _note(metric, lacking, told.labels))
    return out


def difference(
    first: Values,
    second: Values,
    metric: str,
    speakers: Sequence[str] | None = None,
) -> Interval:
    """Return how much better the first of two systems is, with its interval.

    Args:
        first: counts ``(speaker, truth, guess)``, mean over seeds
        second: the same of the other system, on the same utterances
        metric: ``uar``, ``war`` or ``f1``
        speakers: as for ``interval``
    """
    both = np.stack([first, second])
    told = _counts(both, speakers)
    whole, labels, n = both.sum(axis=1), told.labels, told.n_speakers
    one, two = _score(whole, whole, labels, metric).tolist()
    unknown = sum(of_nobody(told.speakers, each) for each in both)
    if why := _no_interval(replace(told, n_unknown=unknown)):
        return Interval(one - two, math.nan, math.nan, n, why)
    drawn = resampled(both)
    scores = _score(drawn, whole[:, None], labels, metric)
    low, high = limits(scores[0] - scores[1], n).tolist()
    note = _note(metric, _lacking(drawn[0], whole[0]), labels)
    return Interval(one - two, low, high, n, note)


def _counts(data: Data, speakers: Sequence[str] | None = None) -> _Counts:
    if isinstance(data, np.ndarray):
        counts = np.asarray(data[None] if data.ndim == 3 else data, float)
        if counts.ndim != 4 or counts.shape[-1] != counts.shape[-2]:
            msg = f"bad counts {data.shape}, expected ([seed,] speaker, truth, guess)"
            raise ValueError(msg)
        labels = tuple(str(i) for i in range(counts.shape[-1]))
        names = tuple(speakers or map(str, range(counts.shape[1])))
        return _Counts(labels, names, counts, of_nobody(names, counts))
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


def nobody_drawn(n_unknown: int) -> str:
    """Say why there is no interval where speakers are unknown; empty: none is."""
    if not n_unknown:
        return ""
    return f"no speaker is known of {count(n_unknown, 'utterance')}: no interval"


def _no_interval(told: _Counts) -> str:
    if why := nobody_drawn(told.n_unknown):
        return why
    if (n := told.n_speakers) < MIN_SPEAKERS:
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
