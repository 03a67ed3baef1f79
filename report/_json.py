"""Runs and their metrics for other programs."""

import math
from collections.abc import Iterable
from typing import Any

from contracts.run import Run
from evaluation.measures.metrics import Scores, score_run
from evaluation.measures.traits import TraitScores, traits_of
from evaluation.statistics.systems import says_labels
from report._scores import fold_scores
from report.results import feature_name


def runs_json(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Return runs with their metrics as JSON knows it: what is not there is null."""
    return [_as_json(run) for run in runs]


def _as_json(run: Run) -> dict[str, Any]:
    record, scores = run.record, score_run(run)
    by_fold, labelled = fold_scores(run), says_labels(run)
    return {
        "run_id": run.run_id,
        "model": record["model"],
        "corpus": record["corpus"],
        "protocol": record["protocol"]["name"],
        "labels": record["labels"]["name"],
        "seed": record["seed"],
        "metrics": {
            **{
                name: _or_null(value) if labelled else None
                for name, value in scores.headline().items()
            },
            "per_class": _per_class(scores) if labelled else None,
            "confusion": scores.confusion.tolist() if labelled else None,
            "traits": [_trait(one) for one in traits_of(run) or ()],
        },
        "features": [feature_name(f) for f in record["features"]],
        "untrained": run.untrained,
        "partial": bool(record["partial"]),
        "warnings": run.warnings,
        "folds": [
            {
                "index": fold["index"],
                "name": fold["name"],
                "test_speakers": list(fold["test_speakers"]),
                "n_utterances": by_fold[fold["index"]].n,
                "uar": _or_null(by_fold[fold["index"]].uar),
            }
            for fold in record["folds"]
            if fold["index"] in by_fold
        ],
        "n_utterances": scores.n,
        "command": record["command"],
        "folder": str(run.folder),
    }


def _trait(one: TraitScores) -> dict[str, str | int | float | None]:
    return {
        "trait": one.trait,
        "concordance": _or_null(one.concordance),
        "low": _or_null(one.interval.low),
        "high": _or_null(one.interval.high),
        "pearson": _or_null(one.pearson),
        "spearman": _or_null(one.spearman),
        "n_utterances": one.n,
    }


def _per_class(scores: Scores) -> dict[str, dict[str, float | int | None]]:
    columns = zip(
        scores.labels,
        scores.precision,
        scores.recall,
        scores.f1_per_class,
        scores.support,
        strict=True,
    )
    return {
        label: {
            "precision": _or_null(precision),
            "recall": _or_null(recall),
            "f1": _or_null(f1),
            "support": int(support),
        }
        for label, precision, recall, f1, support in columns
    }


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
