"""One run as the page shows it."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from contracts.run import Run
from evaluation.measures.metrics import Scores, score_run
from evaluation.measures.unsaid import n_unsaid, unsaid
from evaluation.statistics.confusions import METRICS
from evaluation.statistics.mean_interval import top_k_interval
from evaluation.statistics.systems import says_labels
from evaluation.statistics.uncertainty import RECALL, Interval, intervals
from report._certainty import certainty
from report._corpus_plots import tone
from report._curves import curves
from report._layer_weights import LAYERS, NUMBERS, layer_weights
from report._plots import layers, speaker_dots
from report._scores import fold_scores, part_scores
from report._strips import class_strips, is_binned
from report._studies import gap_views, robustness_view
from report._svg import clip
from report._votes import votes_view
from report.results import feature_name

N_LISTED = 50
TOLD = ("features", "seed")  # settings that the page has elsewhere


def anchor(run_id: str) -> str:
    """Return the fragment by which a run is linked."""
    return "run-" + re.sub(r"[^A-Za-z0-9_-]+", "-", run_id)


def run_view(
    run: Run, with_gaps: bool = True, sure: Mapping[str, Interval] | None = None
) -> dict[str, Any]:
    """Collect what the page shows of one run.

    Args:
        run: a finished run
        with_gaps: whether groups of utterances are compared, which takes half a second
        sure: the intervals of its scores; None: made here
    """
    record, whole, folds = run.record, score_run(run), fold_scores(run)
    speakers, sure = _speakers(run), sure or intervals([run])
    classes = _per_class(whole, sure)
    left_out = [(str(i), str(why)) for i, why in record["left_out"]]
    return {
        "record": record,
        "anchor": anchor(run.run_id),
        "warnings": [*run.warnings, *unsaid(run)],
        "features": [(feature_name(f), f) for f in record["features"]],
        "scores": whole,
        "says_labels": says_labels(run),
        "robust": robustness_view(run),
        "gaps": gap_views(run) if with_gaps else [],
        "n_tested": int((run.predictions["variant"] == "").sum()),
        "n_unsaid": n_unsaid(run),
        "n_labels": len(run.classes),
        "confusion": _confusion(whole),
        "per_class": classes,
        "sure": {"top2": top_k_interval(run)} | {m: sure[m] for m in METRICS},
        "certainty": certainty(run),
        **votes_view(run),
        "speakers": speakers,
        "sexes": _by_sex(speakers),
        "speaker_plot": speaker_dots(speakers, whole.uar) if speakers else "",
        "strips": class_strips(speakers, classes, 1 / len(classes)) if speakers else "",
        "strips_binned": is_binned(speakers),
        "folds": [
            (_fold_name(run, f), f, folds[f["index"]])
            for f in record["folds"]
            if f["index"] in folds
        ],
        "curves": _curves(run),
        "layers": [
            layers(told, f"Layer weights {name}".strip())
            for name, told in layer_weights(record["folds"]).items()
        ],
        "learnt": _learnt(run),
        "settings": {
            k: _words(v) for k, v in record["settings"].items() if k not in TOLD
        },
        "label_rows": _label_rows(record["labels"]),
        "left_out": left_out[:N_LISTED],
        "n_left_out": len(left_out),
        "versions": dict(record["versions"]),
        "machine": {k: _words(v) for k, v in record["machine"].items()},
    }


def _words(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _confusion(scores: Scores) -> list[dict[str, Any]]:
    """Return one row per true label: cells with count, share of the row and ink."""
    out = []
    for label, counts, support in zip(
        scores.labels, scores.confusion, scores.support, strict=True
    ):
        shares = [int(n) / int(support) if support else 0.0 for n in counts]
        cells = [
            {"n": int(n), "share": share, "tone": tone(share)}
            for n, share in zip(counts, shares, strict=True)
        ]
        out.append({"label": label, "cells": cells, "support": int(support)})
    return out


def _per_class(scores: Scores, sure: Mapping[str, Interval]) -> list[dict[str, Any]]:
    names = ("label", "recall", "precision", "f1", "support", "sure")
    columns = zip(
        scores.labels,
        scores.recall.tolist(),
        scores.precision.tolist(),
        scores.f1_per_class.tolist(),
        scores.support.tolist(),
        [sure[RECALL + label] for label in scores.labels],
        strict=True,
    )
    return [dict(zip(names, values, strict=True)) for values in columns]


def _speakers(run: Run) -> list[dict[str, Any]]:
    """Score each speaker, lowest UAR first; ``right`` and ``support`` per label."""
    rows = run.predictions.drop_duplicates("speaker")
    sexes = dict(zip(rows["speaker"].astype(str), rows["sex"].astype(str), strict=True))
    scored = [
        {
            "name": name,
            "sex": sexes.get(name, ""),
            "n": scores.n,
            "uar": scores.uar,
            "war": scores.war,
            "right": np.diag(scores.confusion).tolist(),
            "support": scores.support.tolist(),
        }
        for name, scores in part_scores(run, "speaker").items()
        if scores.n
    ]
    return sorted(scored, key=lambda s: (s["uar"], s["name"]))


def _by_sex(speakers: Sequence[Mapping[str, Any]]) -> list[tuple[str, int, float]]:
    """Return sex, number of speakers and their mean UAR, where both are known."""
    out = []
    for sex in ("female", "male"):
        uars = [s["uar"] for s in speakers if s["sex"] == sex]
        if uars:
            out.append((sex, len(uars), sum(uars) / len(uars)))
    return out


def _curves(run: Run) -> list[Any]:
    """Draw the epochs of each fold that has any."""
    out = []
    for fold in run.record["folds"]:
        history = run.history(fold["index"])
        if history:
            epochs = [v for k, v in fold["chosen"].items() if "epoch" in k]
            name = _fold_name(run, fold)
            out.append(curves(name, history, epochs[0] if epochs else None))
    return out


def _fold_name(run: Run, fold: Mapping[str, Any]) -> str:
    """Name a fold in a few words: its speakers without their corpus."""
    name = str(fold["name"])
    for corpus in str(run.record["corpus"]).split("+"):
        name = name.replace(f"{corpus}/", "")
    return clip(name, 34)


def _learnt(run: Run) -> list[tuple[str, str, str]]:
    """List whatever else was learnt: fold, name, value."""
    return [
        (_fold_name(run, fold), key, clip(_words(value), 300))
        for fold in run.record["folds"]
        for key, value in fold["learnt"].items()
        if key not in (LAYERS, NUMBERS)
    ]


def _label_rows(labels: Mapping[str, Any]) -> list[tuple[str, str, int | None, int]]:
    """Return original label, what became of it, its count, and its class' count."""
    out: list[tuple[str, str, int | None, int]] = []
    before, after = labels["before"], labels["after"]
    order = [*labels["labels"], *(b for b in before if b not in labels["labels"])]
    for label in order:
        if label in labels["drop"]:
            fate = "dropped"
        elif label in labels["merge"]:
            fate = f"merged into {labels['merge'][label]}"
        else:
            fate = "kept"
        out.append((label, fate, before.get(label), after.get(label, 0)))
    return out
