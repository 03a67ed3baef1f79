"""Conformity: what of a published protocol is kept, what is not, and how few speak.

A number stands beside a published one only where a reader is told what differs. The
line made here is kept in the run record and shown wherever the run is.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from contracts.errors import listing
from contracts.run import Run
from contracts.terminal import count
from evaluation.parting import Protocol
from evaluation.uncertainty import MIN_SPEAKERS

OURS = "no published protocol"


def conformity(
    plan: Protocol, labels: str | None = None, seed: int | None = None
) -> str:
    """Say in one line what is as published and what differs.

    Args:
        plan: the protocol
        labels: name of the label map that is used; None: not told
        seed: that is used; None: not told
    """
    same = plan.as_published
    first = f"as published: {same}" if same else OURS
    unlike = [plan.differs] if plan.differs else []
    if labels is not None and plan.labels and labels != plan.labels:
        unlike.append(f"label map {labels}, published with {plan.labels}")
    if seed is not None and plan.seeds and seed not in plan.seeds:
        told = listing(plan.seeds)
        unlike.append(f"seed {seed} is none of the published {told}")
    unlike += [f"the same {what}s stand in train and test" for what in plan.breaks]
    return f"{first}; differs: {'; '.join(unlike)}" if unlike else first


def few_speakers(speakers: Iterable[str]) -> list[str]:
    """Return a caution for each corpus of so few speakers that none speaks for others.

    Args:
        speakers: of all parts, written ``corpus/speaker``; ``""`` does not count
    """
    held = Counter(s.partition("/")[0] for s in set(speakers) if s)
    return [
        f"{corpus} has {count(n, 'speaker')}: its numbers are about them, not about "
        "speakers in general"
        for corpus, n in sorted(held.items())
        if n < MIN_SPEAKERS
    ]


def facts(
    plan: Protocol, labels: str, seed: int, speakers: Iterable[str]
) -> dict[str, Any]:
    """Return what the run record keeps: ``line`` and ``cautions``.

    Args:
        plan: the protocol
        labels: name of the label map
        seed: of the run
        speakers: of the whole view, written ``corpus/speaker``
    """
    line = conformity(plan, labels, seed)
    return {"line": line, "cautions": few_speakers(speakers)}


def of_run(run: Run, known: Mapping[str, Protocol]) -> dict[str, Any]:
    """Return ``line`` and ``cautions`` of a run, also of one that keeps neither.

    Args:
        run: a finished run
        known: the protocols by name; of one that is not there the line is empty
    """
    record = run.record
    if "conformity" in record:
        return dict(record["conformity"])
    parts = ("train_speakers", "dev_speakers", "test_speakers")
    speakers = [s for f in record["folds"] for part in parts for s in f[part]]
    plan = known.get(record["protocol"]["name"])
    if plan is None:
        return {"line": "", "cautions": few_speakers(speakers)}
    return facts(plan, record["labels"]["name"], record["seed"], speakers)
