"""The weights that heads with weighted layers learnt, beside a layer study."""

from collections.abc import Iterable, Iterator, Sequence
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
    found = [run for run in others if _weighs(run, first)]
    for run, name in zip(found, _told_apart(found), strict=True):
        learnt = [fold["learnt"] for fold in run.record["folds"]]
        weights = np.array([one["layer_weights"] for one in learnt], np.float64)
        layers = tuple(learnt[0]["layers"])
        yield Weights(str(run.record["model"]), run.run_id, layers, weights, name)


def _weighs(run: Run, first: Run) -> bool:
    """Whether a run weighs layers of the feature, on the same question."""
    record, asked = run.record, first.record
    learnt = [f["learnt"] for f in record["folds"]]
    return (
        all(record.get(x) == asked.get(x) for x in ("corpus", "folds_hash", "partial"))
        and record["labels"]["hash"] == asked["labels"]["hash"]
        and asked["features"][0]["fingerprint"]
        in [f["fingerprint"] for f in record["features"]]
        and all("layer_weights" in one and "layers" in one for one in learnt)
    )


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
