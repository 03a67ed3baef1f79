"""A fitted model on a corpus that it was not fitted on.

Every fold of a run has a model of its own. Elsewhere all of them are asked and the mean
of their probabilities is taken: nobody there was heard by any of them, so none is to be
kept out, and the mean is what ``predict`` gives. One fold's model alone is asked where
it is named. Whoever was trained on is not tested: a speaker or a waveform that stands
in training is refused.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contracts.cache import Cache
from contracts.errors import CacheError, RunError, listing
from contracts.labels import LabelMap
from contracts.run import PREDICTED, Run
from contracts.view import View
from evaluation._derived import keep, test_facts, to_be_said, view_facts
from evaluation.labelling.merging import summed
from evaluation.prediction_rows import prediction_rows
from evaluation.settings import head_class
from evaluation.statistics.systems import but_for_the_seed, says_labels
from evaluation.statistics.trait_systems import traits_said
from evaluation.tempering import tempered
from evaluation.transfer._askable import annotated, annotated_traits, sayable
from evaluation.transfer.strangers import strangers, trained_speakers

KIND = "elsewhere"


def evaluate(
    run: Run,
    cache: Cache,
    corpora: Sequence[str],
    runs: Path,
    labels: str | None = None,
    fold: int | None = None,
    drop_duplicates: bool = False,
) -> Run:
    """Test the models of a run on other corpora, and keep what they say as a run.

    Args:
        run: finished, with its models
        cache: has the corpora, with exactly the run's features
        corpora: their names
        runs: folder of all runs
        labels: label map for the corpora and for what the models say; None: the run's
        fold: whose model alone is asked; None: the mean of all
        drop_duplicates: leave out utterances that stand in training under another
            name, and say so

    Returns:
        a run of one fold; ``elsewhere`` in its record says what was asked of whom

    Raises:
        RunError: if a test speaker or waveform was trained on, the run has no such
            fold, its label map has changed, or it says traits alone and the corpora
            have none of them annotated
        ManifestError: if the label map does not know a label
        CacheError: if the cache lacks a corpus or a feature
    """
    folds = _folds(run, fold)
    whole = cache.view(*corpora)
    view, refused = strangers(run, folds, cache, whole, drop_duplicates)
    to_ask = sayable if says_labels(run) else annotated
    chosen, mapped, unsaid = to_ask(run, view, labels)
    view = pinned(mapped, run)
    rows = _rows(run, heads(run, folds), view, chosen)
    facts = _facts(run, folds, cache, view, chosen)
    own = {
        "labels": chosen.counts(whole.manifest),
        "refused": [list(x) for x in [*refused, *unsaid]],
    }
    settings = _settings(run, view, facts) | own
    asked = [f for f in run.record["folds"] if f["index"] in folds]
    learnt = {"learnt": to_be_said(asked)}
    return keep(runs, settings, [(test_facts(view, "all of it") | learnt, rows)])


def _rows(
    run: Run, fitted: Sequence[Any], view: View, chosen: LabelMap
) -> pd.DataFrame:
    """Put what fitted heads say, on average, beside what is known of utterances.

    Of a run that says traits alone all probabilities are NaN.
    """
    told = np.full((len(view), len(view.classes)), np.nan)
    if says_labels(run):
        mean = np.mean([head.predict_proba(view) for head in fitted], axis=0)
        told = summed(chosen, run.classes, mean)
    rows = prediction_rows(view, told, 0)
    if names := annotated_traits(run, view):
        each = np.mean([head.predict_traits(view) for head in fitted], axis=0)
        said = pd.DataFrame(each, rows.index, traits_said(run))[names]
        rows = pd.concat([rows, said.add_prefix(PREDICTED)], axis=1)
    return rows


def heads(run: Run, folds: Sequence[int]) -> list[Any]:
    """Load the fitted heads of some folds of a run, with their temperatures.

    Raises:
        RunError: if a fold has no model
    """
    load = head_class(run.record["model"]).load
    by_index = {f["index"]: f for f in run.record["folds"]}
    return [
        tempered(
            load(run.fold_folder(i) / "model"),
            by_index[i].get("chosen", {}).get("temperature"),
        )
        for i in folds
    ]


def pinned(view: View, run: Run) -> View:
    """Read a run's features in exactly the way it read them.

    Raises:
        CacheError: if the cache lacks one for some utterances
    """
    pins, missing = {}, []
    for one in run.record["features"]:
        exact = f"{one['name']}@{one['fingerprint']}"
        try:
            pins[one["reference"]] = view.cache.resolve(exact, view, None)
        except CacheError as error:
            missing.append(str(error))
    if missing:
        msg = (
            f"run {run.run_id} needs its very features: {'; '.join(missing)}. If that "
            "was done, the encoder or a library differs: see versions in run.json"
        )
        raise CacheError(msg)
    return replace(view, pins=pins).require(pins)


def _folds(run: Run, fold: int | None) -> list[int]:
    if run.record.get("kind") or run.record.get("derived"):
        msg = (
            f"run {run.run_id} was not fitted and holds no model: expected a run made "
            "by fit. See: python pipeline.py runs"
        )
        raise RunError(msg)
    there = [int(f["index"]) for f in run.record["folds"]]
    if fold is not None and fold not in there:
        msg = f"run {run.run_id} has no fold {fold}, expected one of {listing(there)}"
        raise RunError(msg)
    return there if fold is None else [fold]


def _facts(
    run: Run, folds: Sequence[int], cache: Cache, view: View, chosen: LabelMap
) -> dict[str, Any]:
    """Say what was asked of whom, for the record."""
    own = run.record["corpus"].split("+")
    has, what = set(view.labels), "probabilities"
    if not says_labels(run):
        has, what = set(chosen.labels), "traits"  # labels are not asked for
    told = annotated_traits(run, view)
    return {
        "run": run.run_id,
        "corpus": run.record["corpus"],
        "protocol": run.record["protocol"]["name"],
        "labels": run.record["labels"]["name"],
        "folds": list(folds),
        "models": f"mean of the {what} of {len(folds)} folds' models"
        if len(folds) > 1
        else f"the model of fold {folds[0]}",
        "n_training_speakers": len(trained_speakers(run, folds)),
        "not_in_corpus": [c for c in chosen.labels if c not in has],
        "traits": told,
        "traits_not_in_corpus": [t for t in traits_said(run) if t not in told],
        "waveforms_unknown_of": [c for c in own if c not in cache.corpora],
    }


def _settings(run: Run, view: View, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a run that tests another one's models."""
    told = {k: run.record[k] for k in ("model", "settings", "features", "specs")}
    name = f"from-{facts['corpus']}-{facts['protocol']}"
    if len(facts["folds"]) == 1 < len(run.record["folds"]):
        name += f"-fold{facts['folds'][0]}"
    augmented = {
        k: n
        for k, n in run.record.get("variants", {}).items()
        if k.startswith("augment:")
    }
    return (
        told
        | view_facts(view)
        | {
            "kind": KIND,
            "protocol": {
                "name": name,
                "title": f"fitted on {facts['corpus']}, tested here",
                "citation": "",
                "note": f"{facts['models']} of run {facts['run']}",
                "breaks": list(run.record["protocol"]["breaks"]),
            },
            "seed": run.record["seed"],
            KIND: facts,
            "fitted": but_for_the_seed(run),
            **({"variants": augmented} if augmented else {}),
        }
    )


def remarks(run: Run) -> list[str]:
    """Say what must be known of a run that was tested elsewhere, in sentences."""
    told = run.record[KIND]
    out = [f"{told['models']} of run {told['run']}, fitted on {told['corpus']}"]
    if len(told["folds"]) > 1:
        out[0] += ": no test speaker was heard by any of them"
    out += [f"{n} utterances are not used: {why}" for why, n in run.record["refused"]]
    if lost := told["not_in_corpus"]:
        out.append(
            f"the corpus has no {listing(lost)}: UAR is over the other "
            f"{len(run.classes) - len(lost)} labels, and guessing these is an error"
        )
    if told.get("traits"):
        out.append(
            f"predicted {listing(told['traits'])} is on the scale of {told['corpus']}: "
            "where the corpus was annotated on another, concordance falls and "
            "Spearman does not"
        )
    if lost := told.get("traits_not_in_corpus"):
        out.append(f"the corpus has no annotated {listing(lost)}: not tested")
    if unknown := told["waveforms_unknown_of"]:
        out.append(
            f"the cache does not list {listing(unknown)}: whether a test waveform was "
            "trained on is not known, speakers were compared by name"
        )
    return out
