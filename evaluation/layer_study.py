"""Layer study: how well each layer of an encoder tells emotions, from one extraction.

Each layer has a run of its own: ``layer_probe`` on that layer alone, which chooses C in
every fold on its training speakers. What that layer is worth is its test UAR, with an
interval over speakers. Taking the layer that is best on the test speakers flatters; the
nested choice does not: in every fold the layer that was best among its training
speakers (the lower of equal ones) is taken, and its test rows alone. Beside it stand
the weights that heads with weighted layers learnt on the same feature.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import RunError, listing
from contracts.run import Run
from evaluation import experiment, settings
from evaluation.learnt_weights import Weights, learnt_weights
from evaluation.question import Question
from evaluation.statistics.confusions import Counts, speaker_confusions
from evaluation.statistics.uncertainty import Interval, interval

HEAD = "layer_probe"


@dataclass(frozen=True)
class LayerStudy:
    """What the layers of one feature are worth on one question.

    Attributes:
        corpus: names joined by ``+``
        feature: as it was asked for
        encoder: its name
        labels: name of the label map
        protocol: its name
        seed: of the runs
        layers: hidden states that have a run, rising
        uar: of each layer's run on test speakers
        inner: UAR among training speakers at the best C ``(fold, layer)``
        chosen: fold -> layer, by training speakers alone
        nested: UAR on test speakers with the layer chosen in each fold
        runs: one per layer
        weights: learnt by heads with weighted layers on the same question
        warnings: what must be said beside the numbers
    """

    corpus: str
    feature: str
    encoder: str
    labels: str
    protocol: str
    seed: int
    layers: tuple[int, ...]
    uar: tuple[Interval, ...]
    inner: NDArray[np.float64]
    chosen: Mapping[int, int]
    nested: Interval
    runs: tuple[str, ...]
    weights: tuple[Weights, ...]
    warnings: tuple[str, ...]

    @property
    def best_on_test(self) -> int:
        """The layer of the highest test UAR: nobody can know it beforehand."""
        values = [one.value for one in self.uar]
        return self.layers[int(np.argmax(values))]

    @property
    def flattery(self) -> float:
        """By how much UAR rises when the layer is chosen on test speakers."""
        return max(one.value for one in self.uar) - self.nested.value


def fit_layers(
    question: Question,
    feature: str,
    runs: Path,
    layers: Sequence[int] | None = None,
    options: Mapping[str, Any] | None = None,
    rerun: bool = False,
) -> list[Run]:
    """Fit one linear model per layer and fold; runs that are there stay.

    Args:
        question: with the feature pinned
        feature: a frame feature
        runs: folder of all runs
        layers: hidden states; None: every one that is stored
        options: settings of ``layer_probe``
        rerun: fit finished runs again

    Raises:
        RunError: if the feature has no layers, a layer is not stored, or ``options``
            say layers too
    """
    told = dict(options or {})
    if "layers" in told:
        msg = (
            f"a layer study gives each run its layer: expected --layers, got --set "
            f"layers={told['layers']}. Leave it out, or say --layers 0,4-8"
        )
        raise RunError(msg)
    stored = question.view.spec(feature).layers
    wanted = sorted(set(stored if layers is None else layers))
    missing = [n for n in wanted if n not in stored]
    if not stored or missing:
        has = f"layers {listing(stored)}" if stored else "no layers"
        msg = (
            f"{feature} has {has}: expected a feature of an encoder"
            f"{f' with layers {listing(missing)}' if stored else ''}. Run: python "
            "pipeline.py extract --feature wav2vec2 --layers all"
        )
        raise RunError(msg)
    out = []
    for layer in wanted:
        given = {"features": (feature,), "layers": (layer,)} | told
        head = settings.head_class(HEAD)(**given)
        out += experiment.run_head(question, HEAD, head, [0], runs, rerun)
    return out


def studies(runs: Iterable[Run]) -> list[LayerStudy]:
    """Find the layer studies among runs.

    Args:
        runs: in any order

    Returns:
        one for each question and feature of which two layers or more have a run
    """
    runs = list(runs)
    others = [run for run in runs if single_layer(run) is None]
    return [study(layers, others) for layers in _by_layer(runs)]


def in_studies(runs: Iterable[Run]) -> frozenset[str]:
    """Return ids of runs that layer studies rest on.

    They are in no ranking: whoever ranks them chooses a layer on the test speakers, and
    makes the family of a paired comparison larger than what was asked.
    """
    found = _by_layer(runs)
    return frozenset(run.run_id for layers in found for run in layers.values())


def _by_layer(runs: Iterable[Run]) -> list[dict[int, Run]]:
    """Put runs of single layers together that differ in the layer only."""
    groups: dict[str, dict[int, Run]] = {}
    for run in runs:
        if (layer := single_layer(run)) is not None:
            groups.setdefault(_key(run), {})[layer] = run
    return [layers for layers in groups.values() if len(layers) > 1]


def single_layer(run: Run) -> int | None:
    """Return the layer of a run of ``layer_probe`` on one layer; else None."""
    layers = run.record["settings"].get("layers")
    fitted = run.record["model"] == HEAD and "kind" not in run.record
    if not fitted or not layers or len(layers) != 1:
        return None
    return int(layers[0])


def _key(run: Run) -> str:
    """Return what the layers of one study share."""
    record = run.record
    told = {k: v for k, v in record["settings"].items() if k != "layers"}
    facts = (
        *(record["corpus"], record["labels"]["hash"], record["protocol"]["name"]),
        *(record["folds_hash"], record["features"][0]["fingerprint"]),
        *(record["seed"], sorted(map(str, told.items()))),
        *(record.get("temperature"), record.get("threshold")),
    )
    return repr(facts)


def study(by_layer: Mapping[int, Run], others: Iterable[Run] = ()) -> LayerStudy:
    """Put the runs of single layers together.

    Args:
        by_layer: layer -> its run; all on the same folds
        others: runs that may hold learnt weights of the same layers
    """
    layers = tuple(sorted(by_layer))
    runs = [by_layer[n] for n in layers]
    first = runs[0].record
    inner = np.array(
        [[f["learnt"]["layer_uar"][0] for f in run.record["folds"]] for run in runs]
    ).T
    folds = [int(f["index"]) for f in first["folds"]]
    chosen = {i: layers[int(row.argmax())] for i, row in zip(folds, inner, strict=True)}
    feature = first["features"][0]
    names, counts = _nested(by_layer, chosen)
    return LayerStudy(
        corpus=first["corpus"],
        feature=str(feature["reference"]),
        encoder=str(feature["encoder"]),
        labels=str(first["labels"]["name"]),
        protocol=str(first["protocol"]["name"]),
        seed=int(first["seed"]),
        layers=layers,
        uar=tuple(interval(run) for run in runs),
        inner=inner,
        chosen=chosen,
        nested=interval(counts, speakers=names),
        runs=tuple(run.run_id for run in runs),
        weights=tuple(learnt_weights(runs[0], others)),
        warnings=tuple(dict.fromkeys(w for run in runs for w in run.warnings)),
    )


def _nested(
    by_layer: Mapping[int, Run], chosen: Mapping[int, int]
) -> tuple[list[str], Counts]:
    """Count what is guessed where each fold takes its own layer."""
    truth, guess, speakers = [], [], []
    for fold, layer in chosen.items():
        run = by_layer[layer]
        rows = run.predictions
        own = ((rows["fold"] == fold) & (rows["variant"] == "")).to_numpy()
        codes = {label: i for i, label in enumerate(run.classes)}
        truth += [codes.get(label, -1) for label in rows["label"][own]]
        guess += run.probabilities[own].argmax(axis=1).tolist()
        speakers += rows["speaker"][own].tolist()
    n_labels = len(next(iter(by_layer.values())).classes)
    told = np.array(truth, np.int64), np.array(guess, np.int64)
    return speaker_confusions(*told, speakers, n_labels)
