"""Conformity: what of a published protocol is kept, what is not, and how few speak.

A number stands beside a published one only where a reader is told what differs. The
line made here is kept in the run record and shown wherever the run is.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from contracts.errors import listing
from contracts.run import Run
from contracts.terminal import count
from evaluation.splits.parting import Protocol
from evaluation.statistics.uncertainty import MIN_SPEAKERS

OURS = "no published protocol"


def conformity(
    plan: Protocol,
    labels: str | None = None,
    seeds: Collection[int] = (),
    here: int | None = None,
) -> str:
    """Say in one line what is as published and what differs.

    Args:
        plan: the protocol
        labels: name of the label map that is used; None: not told
        seeds: those that are used; none: not told
        here: utterances that are used; None: nobody counted them
    """
    same = [plan.as_published] if plan.as_published else []
    unlike = [plan.differs] if plan.differs else []
    if labels in (None, plan.labels):
        same += [plan.classes] if plan.classes else []
    elif plan.labels:
        unlike.append(f"label map {labels}, published with {plan.labels}")
    (same if here in (None, plan.n_utterances) else unlike).extend(_size(plan, here))
    is_kept = {*seeds} <= {*plan.seeds}
    (same if is_kept else unlike).extend(_seeds(plan, seeds))
    unlike += [f"the same {what}s stand in train and test" for what in plan.breaks]
    first = f"as published: {'; '.join(same)}" if plan.as_published else OURS
    return f"{first}; differs: {'; '.join(unlike)}" if unlike else first


def _seeds(plan: Protocol, seeds: Collection[int]) -> list[str]:
    """Say which seeds are used, where the source says which it has."""
    if not plan.seeds:
        return []
    told = listing(plan.seeds)
    other = [f"seed {seed}" for seed in seeds if seed not in plan.seeds]
    if other:
        is_none = "is none" if len(other) == 1 else "are none"
        return [f"{listing(other)} {is_none} of the published {told}"]
    if set(seeds) in (set(), set(plan.seeds)):
        return [f"seeds {told}"]
    return [f"{count(len(seeds), 'seed')} ({listing(seeds)}) of {told}"]


def _size(plan: Protocol, here: int | None) -> list[str]:
    """Say how many utterances are here, where the source says how many it has."""
    published = plan.n_utterances
    if not published:
        return []
    if here is None:
        return [f"{published} utterances in the source"]
    if here == published:
        return [f"{here} utterances"]
    if here < published:
        return [f"here {here} of {published} utterances"]
    return [f"here {here} utterances, the source has {published}"]


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
    plan: Protocol,
    labels: str,
    seed: int,
    speakers: Iterable[str],
    here: int | None = None,
) -> dict[str, Any]:
    """Return what the run record keeps: ``line`` and ``cautions``.

    Args:
        plan: the protocol
        labels: name of the label map
        seed: of the run
        speakers: of the whole view, written ``corpus/speaker``
        here: utterances of the whole view, without variants; None: not counted
    """
    line = conformity(plan, labels, [seed], here)
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
    here = record["manifest"].get("n_utterances")
    return facts(plan, record["labels"]["name"], record["seed"], speakers, here)
