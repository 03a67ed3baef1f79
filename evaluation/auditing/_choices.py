"""Practices that choose after all is fitted, and the encoder that learnt nothing."""

import shlex

import numpy as np
import pandas as pd

from contracts.command import CACHE
from contracts.feature import FeatureReference, FeatureSpec
from evaluation._fits import draws
from evaluation.auditing._practices import pinned
from evaluation.auditing._scores import uar_of_rows
from evaluation.auditing._views import exact, layered
from evaluation.auditing._work import Case, Outcome, Skipped, Trial
from evaluation.settings import needs_dev

ENCODERS = "data/encoders/untrained-base"
_BASE = (768, 13)  # channels and hidden states of what the command untrained makes


def best_fold(case: Case) -> Outcome:
    """Report the best of the folds."""
    rows = case.known["honest"].rows
    folds = sorted(rows["fold"].unique())
    if len(folds) < 2:
        msg = "the protocol has one fold: there is none to choose"
        raise Skipped(msg)
    scores = {f: uar_of_rows(rows[rows["fold"] == f], case.n_labels) for f in folds}
    best = max(scores, key=lambda f: scores[f])
    name = next(f.name for f in case.question.folds if f.index == best)
    low, high = min(scores.values()), max(scores.values())
    note = f"fold {best} ({name}); folds {low:.3f} to {high:.3f}"
    return Outcome(rows[rows["fold"] == best], note)


def best_seed(case: Case) -> Outcome:
    """Report the best of the seeds."""
    if not draws(case.head):
        msg = f"{case.model} draws nothing: all seeds are equal"
        raise Skipped(msg)
    if len(case.seeds) < 2:
        msg = "one seed was fitted, there is none to choose: give more, --seeds 0-4"
        raise Skipped(msg)
    rows = case.known["honest"].rows
    scores = {
        s: uar_of_rows(rows[rows["seed"] == s], case.n_labels) for s in case.seeds
    }
    best = max(scores, key=lambda s: scores[s])
    low, high = min(scores.values()), max(scores.values())
    note = f"seed {best}; seeds {low:.3f} to {high:.3f}"
    return Outcome(rows[rows["seed"] == best], note)


def layer_on_dev(case: Case) -> Outcome:
    """Take in each fold the layer that is best on its development speakers."""
    rows = _by_layer(case)
    chosen, kept = {}, []
    for (seed, fold), part in rows.groupby(["seed", "fold"]):
        dev = part[part["part"] == "dev"]
        scores = {n: uar_of_rows(one, case.n_labels) for n, one in dev.groupby("layer")}
        best = max(scores, key=lambda n: scores[n])
        chosen[seed, fold] = best
        kept.append(part[(part["layer"] == best) & (part["part"] == "test")])
    said = ", ".join(str(n) for n in dict.fromkeys(chosen.values()))
    return Outcome(pd.concat(kept, ignore_index=True), f"layers {said}")


def layer_on_test(case: Case) -> Outcome:
    """Take the layer that is best on the test speakers."""
    rows = _by_layer(case)
    test = rows[rows["part"] == "test"]
    scores = {n: uar_of_rows(one, case.n_labels) for n, one in test.groupby("layer")}
    best = max(scores, key=lambda n: scores[n])
    low = min(scores.values())
    note = f"layer {best} of {len(scores)}; layers {low:.3f} to {scores[best]:.3f}"
    return Outcome(test[test["layer"] == best], note)


def _by_layer(case: Case) -> pd.DataFrame:
    """Fit the head on each layer alone; guesses of dev and of test, kept once made."""
    if "layers" in case.known:
        return case.known["layers"].rows
    if not layered(case.question.view, case.features):
        msg = f"{', '.join(case.features) or 'no feature'}: no layers to choose from"
        raise Skipped(msg)
    if "layers" not in case.head.get_params(deep=False):
        msg = f"{case.model} takes no choice of layers"
        raise Skipped(msg)
    if without := [f.index for f in case.question.folds if not len(f.dev)]:
        msg = f"folds {without} have no development speakers to choose a layer on"
        raise Skipped(msg)
    trials, told = [], []
    for layer in _candidates(case):
        for trial in case.honest(layers=[layer]):
            own = _with_dev(case, trial)
            trials += own
            told += [layer] * len(own)
    rows = case.fit(trials)
    place = np.repeat(np.arange(len(trials)), [len(t.test) for t in trials])
    rows["layer"] = np.array(told)[place]
    dev = {f.index: set(f.part("dev").ids) for f in case.question.folds}
    in_dev = [i in dev[f] for i, f in zip(rows["id"], rows["fold"], strict=True)]
    rows["part"] = np.where(in_dev, "dev", "test")
    case.known["layers"] = Outcome(rows)
    return rows


def _candidates(case: Case) -> list[int]:
    """Return the layers to choose from: those given with --set layers, else all."""
    asked = case.head.get_params(deep=False)["layers"]
    stored = case.question.view.spec(
        layered(case.question.view, case.features)[0]
    ).layers
    return list(asked or stored)


def _with_dev(case: Case, trial: Trial) -> list[Trial]:
    """Have dev guessed too, by a head that has not learnt from it."""
    fold = next(f for f in case.question.folds if f.index == trial.fold)
    if not needs_dev(case.head):
        head = case.head_of(trial.seed, layers=trial.head.layers)
        return [
            trial,
            trial._replace(head=head, train=fold.part("train"), test=fold.part("dev")),
        ]
    both = fold.view.take(np.concatenate([fold.dev, fold.test]))
    return [trial._replace(test=both)]


def untrained_twin(case: Case) -> Outcome:
    """Fit the head on the same architecture with random weights."""
    view = case.question.view
    encoded = [f for f in case.features if view.spec(f).encoder]
    if not encoded:
        what = ", ".join(case.features) or "no feature"
        msg = f"{what}: made by no encoder, so nothing was pretrained"
        raise Skipped(msg)
    twins = {f: _twin(case, f) for f in encoded}
    lacking = [f for f, found in twins.items() if found is None]
    if lacking:
        raise Skipped("; ".join(_how(case, f) for f in lacking))
    features = [twins.get(f) or exact(view, f) for f in case.features]
    own = [view.spec(f).untrained for f in encoded]
    rows = (two := pinned(case, features)).fit(two.honest())
    note = "features " + ", ".join(str(twins[f]) for f in encoded)
    if any(own):
        note = f"untrained, both: two draws of random weights; {note}"
    return Outcome(rows, note)


def _twin(case: Case, feature: str) -> str | None:
    """Find the same architecture with random, other weights in the cache."""
    view = case.question.view
    spec, asked = view.spec(feature), FeatureReference.parse(feature)
    keys = set(view.manifest["waveform"])
    for store in case.cache.stores:
        other = store.spec
        if other.untrained and _alike(spec, other) and keys <= store.places.keys():
            group = f":{asked.group}" if asked.group else ""
            return f"{asked.name}{group}@{other.fingerprint[:12]}"
    return None


def _alike(spec: FeatureSpec, other: FeatureSpec) -> bool:
    """Whether features differ in nothing but the weights of their encoder."""

    def facts(one: FeatureSpec) -> dict[str, object]:
        return {k: v for k, v in one.settings.items() if k != "weights"}

    return (
        (spec.name, spec.channels, spec.layers)
        == (other.name, other.channels, other.layers)
        and facts(spec) == facts(other)
        and spec.fingerprint != other.fingerprint
        and spec.settings.get("weights") != other.settings.get("weights")
    )


def _how(case: Case, feature: str) -> str:
    """Say which commands make the twin of a feature."""
    view = case.question.view
    spec = view.spec(feature)
    if (spec.n_channels, len(spec.layers)) != _BASE or spec.name != "wav2vec2":
        return (
            f"{spec.short} has no untrained twin in the cache, and random weights of "
            "its architecture are made by no command here: save such an encoder with "
            '"untrained": true in its config.json, then extract it'
        )
    seed = 1 if spec.untrained else 0
    folder = f"{ENCODERS}-1" if seed else ENCODERS
    make = ["python", "pipeline.py", "untrained", "--out", folder, "--seed", str(seed)]
    corpora = sorted(set(view.manifest["corpus"]))
    extract = ["python", "pipeline.py", "extract", "--corpus", *corpora]
    extract += ["--feature", spec.name, "--encoder", folder]
    if case.cache.folder != CACHE:
        extract += ["--cache", str(case.cache.folder)]
    which = "a second draw of random weights" if seed else "an untrained twin"
    return (
        f"{which} of {spec.short} is not in the cache: {shlex.join(make)} && "
        f"{shlex.join(extract)}"
    )
