"""Our own runs beside published rows: which run stands beside which.

A run stands beside a published row where corpus, label map, protocol, head, features,
encoder, settings, choice of settings and variants are the row's; a run of all folds
also answers for some of them. A run on an untrained encoder is shown apart, and called
so, since it says nothing of the published figure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts import variant
from contracts.feature import FeatureReference
from contracts.run import Run
from contracts.terminal import count
from evaluation import settings
from evaluation.reproducing.published_rows import Row
from evaluation.splits.conformity import of_run
from evaluation.splits.protocols import PROTOCOLS
from evaluation.statistics.uncertainty import Interval, intervals

# what a record holds where the run is not a plain fit of the whole corpus
_OTHERWISE = (
    *("limited", "temperature", "threshold"),
    *("elsewhere", "derived", "checkpoint"),
)
_NOT_ASKED = ("seed", "features", "device", "n_jobs")  # of a head's settings


@dataclass(frozen=True)
class Ours:
    """Our runs of a row that differ in the seed alone.

    Attributes:
        runs: in order of their seeds, the folds of the row alone
        scores: metric -> mean over seeds with its interval over speakers
        line: what of the protocol is as published, and what is not
    """

    runs: tuple[Run, ...]
    scores: Mapping[str, Interval]
    line: str

    @property
    def seeds(self) -> list[int]:
        """Return the seeds that were fitted."""
        return [int(run.record["seed"]) for run in self.runs]

    @property
    def untrained(self) -> bool:
        """Whether an encoder has random weights."""
        return any(run.untrained for run in self.runs)

    @property
    def warnings(self) -> list[str]:
        """Return what must be said beside the scores."""
        told = [w for run in self.runs for w in run.warnings]
        told += [w for run in self.runs for w in of_run(run, PROTOCOLS)["cautions"]]
        folds = [f for run in self.runs for f in run.record["folds"]]
        told += [f["learnt"]["warning"] for f in folds if f["learnt"].get("warning")]
        left = sum(len(run.record["left_out"]) for run in self.runs)
        if left:
            told.append(f"{count(left, 'utterance')} without features left out")
        return [w for w in dict.fromkeys(told) if w != "untrained encoder"]


def ours(row: Row, runs: Iterable[Run]) -> list[Ours]:
    """Return our runs of a row, those on trained encoders first.

    Args:
        row: a published row
        runs: finished runs

    Returns:
        one entry per way of making the features and set of utterances
    """
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        if row.model and _is_of(run, row):
            record = run.record
            made = [f["fingerprint"] for f in record["features"]]
            key = (*made, record["manifest"]["hash"], record["labels"]["hash"])
            groups.setdefault(key, []).append(_narrowed(run, row.folds))
    out = []
    for same in groups.values():
        by_seed = {int(run.record["seed"]): run for run in same}
        told = tuple(by_seed[seed] for seed in sorted(by_seed))
        lines = {of_run(run, PROTOCOLS)["line"]: None for run in told}
        out.append(Ours(told, intervals(told), "; ".join(lines)))
    return sorted(out, key=lambda one: one.untrained)


def _is_of(run: Run, row: Row) -> bool:
    """Whether a run is what a row's command makes, but for the encoder's weights."""
    record = run.record
    return (
        record["model"] == row.model
        and record["corpus"] == "+".join(sorted(row.corpus))
        and record["labels"]["name"] == row.labels
        and record["protocol"]["name"] == row.protocol
        and not any(record.get(key) for key in _OTHERWISE)
        and _has_folds(record, row.folds)
        and _hears(record["features"], row)
        and _augmented(record) == sorted(row.augment)
        and record.get("search", {}).get("space", {}) == row.grid
        and _is_set(record["settings"], row)
    )


def _has_folds(record: Mapping[str, Any], wanted: Sequence[int]) -> bool:
    there = {f["index"] for f in record["folds"]}
    return there >= set(wanted) if wanted else not record["partial"]


def _hears(features: Sequence[Mapping[str, Any]], row: Row) -> bool:
    """Whether the features are the row's, of its encoder or of an untrained one."""
    told = [FeatureReference.parse(f.get("reference") or f["name"]) for f in features]
    wanted = [FeatureReference.parse(f) for f in row.features]
    return [(t.name, t.group) for t in told] == [
        (w.name, w.group) for w in wanted
    ] and all(
        f["untrained"] or f["encoder"] == row.encoder for f in features if f["encoder"]
    )


def _augmented(record: Mapping[str, Any]) -> list[str]:
    told = [variant.parse(text) for text in record.get("variants", {})]
    return sorted({v.asked for v in told if v.role == "augment"})


def _is_set(told: Mapping[str, Any], row: Row) -> bool:
    """Whether a head's settings are the row's; what a grid chooses is not asked."""
    heads = settings.heads([row.model], row.settings, row.features)
    wanted = heads[row.model].get_params(deep=False)
    free = {*_NOT_ASKED, *row.grid}
    asked = {k: v for k, v in wanted.items() if k in told or k in row.settings}
    return all(
        k in told and _plain(told[k]) == _plain(v)
        for k, v in asked.items()
        if k not in free
    )


def _plain(value: Any) -> Any:
    """Return lists for tuples, as JSON has them."""
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value


def _narrowed(run: Run, folds: Sequence[int]) -> Run:
    """Return the run with some of its folds alone."""
    if not folds:
        return run
    kept = [f for f in run.record["folds"] if f["index"] in folds]
    return Run(run.folder, {**run.record, "folds": kept})
