"""The weights that heads with weighted layers learnt, beside a layer study."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.run import Run


@dataclass(frozen=True)
class Weights:
    """What a head with weighted layers learnt.

    Attributes:
        model: name of the head
        run: name of the run
        layers: hidden states, in order
        weights: ``(fold, layer)``, each row summing to 1
        name: the head's, with what tells its runs apart where there are several
    """

    model: str
    run: str
    layers: tuple[int, ...]
    weights: NDArray[np.float64]
    name: str


def learnt_weights(first: Run, others: Iterable[Run]) -> Iterator[Weights]:
    """Yield the learnt weights of heads on the same question and feature.

    Another protocol, other folds and copies beside them give another hash of the folds.

    Args:
        first: says which question, and the feature
        others: runs of any heads
    """
    fingerprint = first.record["features"][0]["fingerprint"]
    found = [
        (run, weights)
        for run in others
        if _same_question(run, first) and (weights := _weights_of(run, fingerprint))
    ]
    names = _told_apart([run for run, _ in found])
    for (run, weights), name in zip(found, names, strict=True):
        layers = tuple(run.record["folds"][0]["learnt"]["layers"])
        model = str(run.record["model"])
        yield Weights(model, run.run_id, layers, np.array(weights, np.float64), name)


def _same_question(run: Run, first: Run) -> bool:
    """Whether runs answer the same question, on the same folds."""
    record, asked = run.record, first.record
    same = ("corpus", "folds_hash", "partial")
    return (
        all(record.get(x) == asked.get(x) for x in same)
        and record["labels"]["hash"] == asked["labels"]["hash"]
    )


def _weights_of(run: Run, fingerprint: str) -> list[Sequence[float]]:
    """Return what each fold learnt of a feature's layers; empty: nothing of it.

    Weights without a name are those of the one encoder that a head reads. Of a head
    that reads several it is not told which they are of, so they are of none.
    """
    features = run.record["features"]
    encoders = [f["fingerprint"] for f in features if f.get("encoder")]
    if not encoders and len(features) == 1:
        encoders = [features[0]["fingerprint"]]
    names = [f["name"] for f in features if f["fingerprint"] == fingerprint]
    out: list[Sequence[float]] = []
    for learnt in (fold["learnt"] for fold in run.record["folds"]):
        told, layers = learnt.get("layer_weights", ()), learnt.get("layers", ())
        if isinstance(told, Mapping):
            told = next((told[name] for name in names if name in told), ())
        elif encoders != [fingerprint]:
            return []
        if not told or len(told) != len(layers):
            return []
        out.append(told)
    return out


def _told_apart(runs: Sequence[Run]) -> list[str]:
    """Name runs by their head; by its seed or the end of their names where it must."""
    heads = [str(run.record["model"]) for run in runs]
    seeds = [f"{run.record['model']} seed {run.record['seed']}" for run in runs]
    hashes = [f"{run.record['model']} {run.run_id[-8:]}" for run in runs]
    names = []
    for head, seed, hashed in zip(heads, seeds, hashes, strict=True):
        alone = seed if seeds.count(seed) == 1 else hashed
        names.append(head if heads.count(head) == 1 else alone)
    return names
