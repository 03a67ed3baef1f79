"""Results of runs as rows: what the terminal, the page and ``--json`` share.

Only runs of the same corpus, labels and protocol are ranked against each other. Runs
that differ in nothing but the seed are one row with the spread over seeds. Runs that
say traits and no labels have groups of their own, best mean concordance first, and no
rank.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contracts.errors import RunError
from contracts.run import Run
from evaluation.layer_study import in_studies
from evaluation.measures.metrics import per_variant, score_run
from evaluation.measures.unsaid import unsaid
from evaluation.statistics.systems import but_for_the_seed, says_labels
from evaluation.statistics.trait_systems import traits_said
from evaluation.statistics.uncertainty import Interval, intervals
from report._results_table import heard, results_table
from report._scores import deviation, fold_scores, lacking, test_speakers
from report._traits import mean_concordance, mean_of_seeds, trait_rows

__all__ = ["feature_name", "heard", "results", "results_table"]

_UNLIKE_SEEDS = "each seed was tested on other utterances: no interval"


def results(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Summarise runs, best UAR of each group first.

    Args:
        runs: finished runs, in any order; those of layer studies have no row

    Returns:
        one row per model, features and settings in each group; ``group`` is
        ``(corpus, label map, its hash, protocol)``, ``rank`` is None for partial
        runs; ``uar``, ``war`` and ``f1`` pool the folds and are means over seeds;
        ``fold_*`` are over all folds of all seeds, ``interval`` is of ``uar`` over
        speakers; NaN where there is nothing; ``says_labels`` is False of runs that say
        ``traits`` alone, which then stand in the place of the label map in ``group``
    """
    alike: dict[str, list[Run]] = {}
    runs = list(runs)
    studied = in_studies(runs)
    for run in runs:
        if run.run_id in studied:
            continue
        alike.setdefault(but_for_the_seed(run), []).append(run)
    rows = [_row(sorted(same, key=_seed)) for same in alike.values()]
    rows.sort(key=lambda r: (r["group"], r["partial"], _last(_worth(r)), r["model"]))
    _rank(rows)
    return rows


def _seed(run: Run) -> tuple[int, str]:
    return int(run.record["seed"]), run.run_id


def _worth(row: Mapping[str, Any]) -> float:
    """Return what rows of a group are put in order by."""
    return float(row["uar"]) if row["says_labels"] else mean_concordance(row)


def _last(value: float) -> float:
    """Sort large values first and NaN last."""
    return math.inf if math.isnan(value) else -value


def _group(run: Run) -> tuple[str, str, str, str]:
    labels = run.record["labels"]
    protocol = str(run.record["protocol"]["name"])
    if not says_labels(run):
        traits = f"traits {', '.join(sorted(traits_said(run)))}"
        return run.record["corpus"], traits, "", protocol
    return run.record["corpus"], labels["name"], labels["hash"], protocol


def feature_name(feature: Mapping[str, Any]) -> str:
    """Name a feature of a run as it was asked for, such as ``mfcc:mean``."""
    return str(feature.get("reference") or feature["name"])


def _row(runs: Sequence[Run]) -> dict[str, Any]:
    """Summarise runs that differ in the seed only."""
    first = runs[0].record
    pooled = [score_run(run) for run in runs]
    folds = [fold_scores(run) for run in runs]
    uars = [s.uar for s in pooled]
    labelled = says_labels(runs[0])
    traits = [] if labelled else _traits(runs)
    return {
        "group": _group(runs[0]),
        "rank": None,
        "model": first["model"],
        "features": [feature_name(f) for f in first["features"]],
        "augmented": _variants(first, "augment"),
        "under": _under(runs),
        "settings": {k: v for k, v in first["settings"].items() if k != "seed"},
        "chosen": _chosen(first),
        "inputs": {feature_name(f): f["fingerprint"] for f in first["features"]},
        "differs": {},
        "corpus": first["corpus"],
        "labels": first["labels"]["name"],
        "protocol": first["protocol"]["name"],
        "seeds": [run.record["seed"] for run in runs],
        "runs": [run.run_id for run in runs],
        "uar": _mean(uars),
        "war": _mean([s.war for s in pooled]),
        "f1": _mean([s.f1 for s in pooled]) if labelled else math.nan,
        "says_labels": labelled,
        "traits": traits,
        **_intervals(runs),
        "seed_uars": uars,
        "seed_sd": deviation(uars),
        "folds": list(folds[0]),
        "fold_uars": [[s.uar for s in scores.values()] for scores in folds],
        **_spread([s.uar for scores in folds for s in scores.values()]),
        "chance": 1 / len(runs[0].classes),
        "n_utterances": max([*(s.n for s in pooled), *(t["n"] for t in traits)]),
        "n_speakers": max(len(test_speakers(run)) for run in runs),
        "n_folds": len(first["folds"]),
        "lacking": sorted(
            {w for r, f in zip(runs, folds, strict=True) for w in lacking(r, f)}
            if labelled
            else ()
        ),
        "warnings": list(
            dict.fromkeys(w for run in runs for w in (*run.warnings, *unsaid(run)))
        ),
        "breaks": list(first["protocol"]["breaks"]),
        "untrained": runs[0].untrained,
        "partial": bool(first["partial"] or first.get("limited")),
        "manifest": first["manifest"]["hash"],
    }


def _intervals(runs: Sequence[Run]) -> dict[str, Any]:
    """Return ``interval`` of the UAR over speakers, and ``intervals`` of all scores.

    Args:
        runs: that differ in the seed only; where the seed chose who was tested, there
            is no set of speakers to draw again
    """
    try:
        found = intervals(runs)
    except RunError:
        mean = _mean([score_run(run).uar for run in runs])
        none = Interval(mean, math.nan, math.nan, 0, _UNLIKE_SEEDS)
        return {"interval": none, "intervals": {}}
    return {"interval": found["uar"], "intervals": found}


def _traits(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Score the traits of runs: means where the seed chose who was tested."""
    try:
        return trait_rows(runs)
    except RunError:
        return mean_of_seeds([trait_rows([run]) for run in runs], _UNLIKE_SEEDS)


def _chosen(record: Mapping[str, Any]) -> dict[str, str]:
    """Say what each fold chose on its training speakers, beside the head's own."""
    search = record.get("search") or {}
    out = {
        f"{name} of": "|".join(map(str, values))
        for name, values in search.get("space", {}).items()
    }
    names = [n for n in ("temperature", "threshold") if record.get(n)]
    return out | dict.fromkeys(names, "chosen")


def _variants(record: Mapping[str, Any], role: str) -> list[str]:
    """Name the variants of a role that a run used."""
    told = [v for v in record.get("variants", {}) if v.startswith(f"{role}:")]
    return list(dict.fromkeys(v.partition(":")[2].partition("#")[0] for v in told))


def _under(runs: Sequence[Run]) -> dict[str, tuple[float, int]]:
    """Return degraded variant -> UAR, mean over seeds, and how many utterances."""
    scores = [per_variant(run) for run in runs]
    return {
        kind: (_mean([s[kind].uar for s in scores if kind in s]), first.n)
        for kind, first in scores[0].items()
    }


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else math.nan


def _spread(values: Sequence[float]) -> dict[str, float]:
    known = [v for v in values if not math.isnan(v)]
    return {
        "fold_mean": _mean(known),
        "fold_sd": deviation(known),
        "fold_min": min(known, default=math.nan),
        "fold_max": max(known, default=math.nan),
    }


def _rank(rows: Sequence[dict[str, Any]]) -> None:
    """Rank the whole runs of each group; name settings that tell runs apart."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    for members in groups.values():
        whole = [r for r in members if not r["partial"] and r["says_labels"]]
        for rank, row in enumerate(whole, start=1):
            row["rank"] = rank
        for row in members:
            same = [m for m in members if m["model"] == row["model"]]
            row["differs"] = _differs(row, same)


def _differs(
    row: Mapping[str, Any], same: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what tells a row from others of its head, by name."""
    settings = {k: v for k, v in sorted(row["settings"].items()) if k != "features"}
    found = {
        k: v
        for part, own in (("settings", settings), ("chosen", row["chosen"]))
        for k, v in own.items()
        if any(m[part].get(k) != v for m in same)
    }
    one = len(row["inputs"]) == 1
    return found | {
        "fingerprint" if one else f"{k} fingerprint": v[:12]
        for k, v in row["inputs"].items()
        if any(m["inputs"].get(k, v) != v for m in same)
    }
