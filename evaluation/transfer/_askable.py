"""What the models of a run can be asked of a corpus that they were not fitted on.

Of labels, those that they know by some map; of traits, those that somebody annotated.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from contracts import labels as label_maps
from contracts.errors import RunError, listing
from contracts.labels import LabelMap
from contracts.manifest import TRAIT
from contracts.run import Run
from contracts.view import View
from evaluation.labelling.choice import choose_labels
from evaluation.labelling.merging import narrowed
from evaluation.statistics.trait_systems import traits_said

# the map of labels, who is tested, and ``(why, count)`` of utterances left out
Askable = tuple[LabelMap, View, list[tuple[str, int]]]


def _labels(run: Run, view: View, name: str | None) -> LabelMap:
    """Choose the label map: the one asked for, or the run's."""
    if name is not None:
        return choose_labels(view, name)
    told = run.record["labels"]
    if told["name"] == label_maps.IDENTITY:
        return LabelMap(told["name"], "the run's own labels", run.classes)
    own = label_maps.load(told["name"])
    if own.hash != told["hash"]:
        msg = (
            f"label map {told['name']} is another than when run {run.run_id} was "
            "fitted. Fit it again, or choose a map with --labels NAME"
        )
        raise RunError(msg)
    return own


def sayable(run: Run, view: View, labels: str | None) -> Askable:
    """Map labels; count those that no model of the run can say.

    Raises:
        RunError: if none is left, or the run's label map has changed
        ManifestError: if the label map does not know a label
    """
    whole = _labels(run, view, labels)
    chosen = narrowed(whole, run.classes)
    mapped = view.relabel(chosen)
    if not len(mapped):
        msg = (
            f"run {run.run_id} can say no label of {listing(view.cards)}: it knows "
            f"{listing(run.classes)}, the corpus has "
            f"{listing(sorted(label_maps.labels_of(view.manifest)))}. Choose a map "
            "that knows both with --labels MAP, such as common4"
        )
        raise RunError(msg)
    lost = [label for label in whole.labels if label not in chosen.labels]
    if not lost:
        return chosen, mapped, []
    had = view.relabel(whole).count("label")
    return (
        chosen,
        mapped,
        [
            (f"the model cannot say {label}", had[label])
            for label in lost
            if label in had
        ],
    )


def annotated(run: Run, view: View, labels: str | None) -> Askable:
    """Keep the utterances that have a trait annotated which the run says.

    Labels stay as the corpus has them; an utterance needs none.

    Raises:
        RunError: if there is no such utterance, or a label map is asked for
    """
    if labels is not None:
        msg = (
            f"run {run.run_id} says traits and no labels: expected no label map, got "
            f"{labels!r}. Leave out --labels"
        )
        raise RunError(msg)
    known = np.zeros(len(view), bool)
    for trait in annotated_traits(run, view):
        known |= _numbers(view, trait).notna().to_numpy(bool)
    said = listing(traits_said(run))
    if not known.any():
        msg = (
            f"run {run.run_id} says {said}, which nobody annotated in "
            f"{listing(view.cards)}: expected numbers in trait:NAME of its manifest. "
            "Choose another with --corpus NAME"
        )
        raise RunError(msg)
    chosen = label_maps.identity(view.manifest, run.classes)
    if not chosen.labels:
        chosen = replace(chosen, labels=run.classes)
    lost = int((~known).sum())
    refused = [(f"nobody annotated {said}", lost)] if lost else []
    return chosen, replace(view.take(known), classes=chosen.labels), refused


def annotated_traits(run: Run, view: View) -> list[str]:
    """Name the traits that the run says and that some utterance has as a number."""
    there = [t for t in traits_said(run) if TRAIT + t in view.manifest]
    return [t for t in there if _numbers(view, t).notna().any()]


def _numbers(view: View, trait: str) -> "pd.Series[float]":
    return pd.to_numeric(view.manifest[TRAIT + trait], errors="coerce")
