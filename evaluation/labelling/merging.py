"""Merged labels: learnt merged, or summed up afterwards.

Merging calm into neutral makes one class of two before anything is learnt, and is
taken to help. It need not: a head that learns all labels says as much about the merged
classes once the probabilities of what is merged are summed. Both are fitted on the same
folds here, and compared on the same utterances.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts import labels as label_maps
from contracts.errors import ManifestError, RunError, listing
from contracts.labels import LabelMap
from contracts.run import PROBABILITY, Run, command
from evaluation import experiment
from evaluation._derived import keep, to_be_said
from evaluation.question import Question
from evaluation.splits.folds import folds_hash
from evaluation.statistics.systems import but_for_the_seed

SUMMED = "summed"  # behind the name of the head, in the name of the derived run


def maps_that_merge(labels: Iterable[str]) -> list[str]:
    """Name the label maps that know all of these labels and make fewer of them."""
    found, out = set(labels), []
    for name in label_maps.names():
        if name == label_maps.IDENTITY:
            continue
        one = label_maps.load(name)
        kept = found - set(one.drop)
        if not one.unknown(found) and len({one.merge.get(x, x) for x in kept}) < len(
            kept
        ):
            out.append(name)
    return out


def summed(
    label_map: LabelMap, classes: Sequence[str], probabilities: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum probabilities of classes that a label map merges.

    Args:
        label_map: knows every class
        classes: of the columns
        probabilities: ``(utterance, class)``

    Returns:
        ``(utterance, label)``, labels in the map's order, each row summing to 1: what
        was for dropped classes is left out before; a row that was for dropped classes
        alone says every label alike

    Raises:
        ManifestError: if the map does not know a class
        RunError: if a row has no probabilities
    """
    if not np.isfinite(probabilities).all():
        msg = (
            "some utterances have no probabilities to sum: expected a head that says "
            "labels. Choose another with --model"
        )
        raise RunError(msg)
    if unknown := label_map.unknown(classes):
        msg = (
            f"label map {label_map.name!r} does not know {listing(unknown)}, which the "
            f"model tells apart: expected a map that knows {listing(classes)}. See: "
            "python pipeline.py list labels"
        )
        raise ManifestError(msg)
    out = np.zeros((len(probabilities), len(label_map.labels)))
    for i, name in enumerate(classes):
        if name not in label_map.drop:
            label = label_map.merge.get(name, name)
            out[:, label_map.labels.index(label)] += probabilities[:, i]
    total = out.sum(axis=1, keepdims=True)
    return np.where(total > 0, out / np.where(total > 0, total, 1), 1 / out.shape[1])


def summed_run(run: Run, label_map: LabelMap, question: Question, runs: Path) -> Run:
    """Keep, as a run of its own, what a run says of merged labels.

    Args:
        run: fitted on all labels
        label_map: merges some of them
        question: what is asked with this map, on the folds that ``run`` was fitted on
        runs: folder of all runs

    Returns:
        a run that says in its name and in ``derived`` how it was made

    Raises:
        RunError: if the folds of the question are not those of the run
    """
    _refuse_other_folds(run, question)
    told = summed(label_map, run.classes, run.probabilities)
    columns = [c for c in run.predictions if not str(c).startswith((PROBABILITY,))]
    rows = run.predictions[columns].drop(columns=["label"])
    named = {f"{PROBABILITY}{c}": told[:, i] for i, c in enumerate(label_map.labels)}
    rows = rows.assign(**named)
    truth = question.view.manifest.set_index("id")
    rows = rows[rows["id"].isin(truth.index).to_numpy()].copy()
    rows = rows.drop(columns=[c for c in rows if c.startswith("vote:")])
    extra = ["label", *(c for c in truth if c.startswith("vote:"))]
    rows = rows.join(truth[extra], on="id")
    kept = ("settings", "corpus", "features", "specs", "seed", "limited", "left_out")
    settings = {k: run.record[k] for k in kept if k in run.record} | {
        "model": f"{run.record['model']}-{SUMMED}",
        "labels": dict(question.counts),
        "protocol": run.record["protocol"],
        "partial": run.record["partial"],
        "folds_asked": run.record["folds_asked"],
        "folds_hash": folds_hash(question.folds),
        "manifest": run.record["manifest"],
        "refused": [list(x) for x in question.refused],
        "derived": {
            "from": run.run_id,
            "how": "probabilities of merged labels summed, after training on all: "
            + listing(run.classes),
        },
        "fitted": but_for_the_seed(run),
        **{k: run.record[k] for k in ("versions", "machine") if k in run.record},
        "command": command(),
    }
    folds = [
        (
            {**f, "learnt": to_be_said([f]), "seconds": 0.0},
            rows[rows["fold"] == f["index"]],
        )
        for f in run.record["folds"]
    ]
    return keep(runs, settings, folds)


def _refuse_other_folds(run: Run, question: Question) -> None:
    """Refuse folds that part speakers in another way."""
    then = {f["index"]: set(f["test_speakers"]) for f in run.record["folds"]}
    now = {f.index: set(f.part("test").speakers) for f in question.folds}
    other = [i for i in sorted(then.keys() | now.keys()) if then.get(i) != now.get(i)]
    if other:
        msg = (
            f"with label map {question.label_map.name} folds {listing(other)} test "
            f"other speakers than with {run.record['labels']['name']}: expected the "
            "same, so that both can be compared. Choose another protocol with "
            "--protocol, such as speakers-5fold"
        )
        raise RunError(msg)


def both_ways(
    fine: Question,
    merged: Question,
    model: str,
    head: Any,
    seeds: Sequence[int],
    runs: Path,
) -> list[tuple[Run, Run]]:
    """Fit a head on merged labels and on all, and sum up the latter.

    Args:
        fine: the question with all labels
        merged: the same with the map that merges
        model: the head's name
        head: unfitted estimator
        seeds: one pair of runs each
        runs: folder of all runs

    Returns:
        ``(learnt merged, summed afterwards)`` for each seed

    Raises:
        RunError: if the folds are not the same
        ManifestError: if the map does not know a label
    """
    summed(merged.label_map, fine.view.classes, np.empty((0, len(fine.view.classes))))
    learnt = experiment.run_head(merged, model, head, seeds, runs)
    whole = experiment.run_head(fine, model, head, seeds, runs)
    return [
        (one, summed_run(other, merged.label_map, merged, runs))
        for one, other in zip(learnt, whole, strict=True)
    ]


def narrowed(label_map: LabelMap, classes: Sequence[str]) -> LabelMap:
    """Drop the labels of a map that a model of these classes cannot say.

    Returns:
        the same map with fewer labels and more that are dropped; itself, where every
        label can be said
    """
    said = {label_map.merge.get(c, c) for c in classes if c not in label_map.drop}
    lost = [label for label in label_map.labels if label not in said]
    if not lost:
        return label_map
    gone = [*lost, *(k for k, v in label_map.merge.items() if v in lost)]
    return replace(
        label_map,
        labels=tuple(x for x in label_map.labels if x not in lost),
        merge={k: v for k, v in label_map.merge.items() if v not in lost},
        drop=(*label_map.drop, *gone),
        original=tuple(x for x in label_map.original if x not in gone),
    )
