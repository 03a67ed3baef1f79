"""Systems to compare: runs that differ in the seed alone are one, fitted several times.

Two systems are compared on the same utterances only. Whatever is unlike is refused with
how much of it there is; ``common`` compares what both were tested on, and counts the
rest.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import RunError, listing
from contracts.run import Run, run_id
from contracts.terminal import count
from evaluation.measures.metrics import answered
from evaluation.statistics.confusions import Counts, speaker_confusions

_NOT_SETTINGS = ("run_id", "folds", "seconds")  # what a record has beside them


@dataclass(frozen=True)
class System:
    """What one head guessed of labelled utterances, in the order of their ids.

    Attributes:
        name: what it is called where it is compared
        labels: the label list
        ids: ``(utterance,)``, in order
        speakers: ``(utterance,)``
        truth: index of the label ``(utterance,)``
        guesses: index of the predicted label ``(seed, utterance)``
        facts: what else is told of it: ``runs``, ``seeds``, ``label_map``,
            ``protocol``, ``warnings``
    """

    name: str
    labels: tuple[str, ...]
    ids: NDArray[np.object_]
    speakers: NDArray[np.object_]
    truth: NDArray[np.int64]
    guesses: NDArray[np.int64]
    facts: Mapping[str, Any]

    @property
    def warnings(self) -> list[str]:
        """What every output must say beside its numbers."""
        return list(self.facts.get("warnings", ()))

    @property
    def n_unknown(self) -> int:
        """Utterances whose speaker is not known."""
        return int((self.speakers == "").sum())

    @property
    def counts(self) -> Counts:
        """Counts ``(seed, speaker, truth, guess)``, speakers in order."""
        n = len(self.labels)
        return np.stack(
            [
                speaker_confusions(self.truth, guess, self.speakers, n)[1]
                for guess in self.guesses
            ]
        )


def but_for_the_seed(run: Run) -> str:
    """Return what two runs share that differ in nothing but the seed."""
    told = {k: v for k, v in run.record.items() if k not in _NOT_SETTINGS}
    told["settings"] = {k: v for k, v in told["settings"].items() if k != "seed"}
    return run_id({**told, "seed": 0})


def refuse_more_than_seeds(runs: Sequence[Run]) -> None:
    """Refuse runs that are given as one system and differ in more than the seed.

    Raises:
        RunError: if they do
    """
    first = runs[0]
    unlike = [
        run.run_id for run in runs if but_for_the_seed(run) != but_for_the_seed(first)
    ]
    if unlike:
        msg = (
            f"{listing(unlike)} is another head, setting or question than "
            f"{first.run_id}: expected runs that differ in the seed alone. "
            "Put a space between systems, a comma only between seeds of one"
        )
        raise RunError(msg)


def of_runs(runs: Sequence[Run], name: str = "") -> System:
    """Make a system of the runs of one head, one per seed.

    Args:
        runs: those that differ in the seed alone
        name: what to call it; none: the head's name

    Raises:
        RunError: if they were tested on other utterances
    """
    first = runs[0]
    tables = [_of_run(run, name or str(first.record["model"])) for run in runs]
    for table in tables[1:]:
        refuse_unlike(tables[0], table)
    guesses = np.concatenate([table.guesses for table in tables])
    return replace(tables[0], guesses=guesses, facts=told_of(runs))


def told_of(runs: Sequence[Run]) -> dict[str, Any]:
    """Collect what is told of a system beside its guesses, see ``System.facts``."""
    first = runs[0]
    return {
        "runs": [run.run_id for run in runs],
        "seeds": [run.record["seed"] for run in runs],
        "model": first.record["model"],
        "features": [
            str(f.get("reference") or f["name"]) for f in first.record["features"]
        ],
        "corpus": first.record["corpus"],
        "label_map": first.record["labels"]["name"],
        "protocol": first.record["protocol"]["name"],
        "warnings": list(dict.fromkeys(w for run in runs for w in run.warnings)),
    }


def says_labels(run: Run) -> bool:
    """Whether a run gave probabilities, or traits alone."""
    return bool(np.isfinite(run.probabilities).any())


def _of_run(run: Run, name: str) -> System:
    """Read one run: its test utterances that have a label, variants apart."""
    rows = answered(run)
    rows = rows[rows["variant"] == ""].sort_values(["id", "fold"])
    return System(
        name,
        run.classes,
        rows["id"].to_numpy(object),
        rows["speaker"].to_numpy(object),
        rows["truth"].to_numpy(np.int64),
        rows["guess"].to_numpy(np.int64)[None],
        {"runs": [run.run_id]},
    )


def refuse_unlike(first: System, second: System) -> None:
    """Refuse two systems that were not tested on the same labelled utterances.

    Raises:
        RunError: if labels or utterances are not the same
    """
    names = f"{_told(first)} and {_told(second)}"
    if first.labels != second.labels:
        msg = (
            f"{names} cannot be compared: their labels are "
            f"{listing(first.labels)} against {listing(second.labels)}. "
            "Fit both with the same --labels"
        )
        raise RunError(msg)
    if not np.array_equal(first.ids, second.ids):
        one, two = Counter(first.ids.tolist()), Counter(second.ids.tolist())
        if set(one) == set(two):
            unlike_often = sum(n != two[i] for i, n in one.items())
            msg = (
                f"{names} cannot be compared: {count(unlike_often, 'utterance')} were "
                "tested more often by the one than by the other. Fit both under one "
                "--protocol"
            )
            raise RunError(msg)
        both = len(set(one) & set(two))
        msg = (
            f"{names} were tested on other utterances: {len(one) - both:,} only by the "
            f"first, {len(two) - both:,} only by the second, {both:,} by both. "
            + ("Compare those with --common" if both else "Fit both on one corpus")
        )
        raise RunError(msg)
    for what in ("truth", "speakers"):
        unlike = getattr(first, what) != getattr(second, what)
        if unlike.any():
            noun = "label" if what == "truth" else "speaker"
            msg = (
                f"{names} cannot be compared: {count(int(unlike.sum()), 'utterance')} "
                f"have another {noun} in each: {listing(first.ids[unlike], 3)}. "
                "Fit both on the manifest as it is now"
            )
            raise RunError(msg)


def _told(system: System) -> str:
    return listing(system.facts.get("runs", [system.name]), 3)


def keep_common(systems: Sequence[System]) -> tuple[list[System], list[int]]:
    """Keep the utterances that every system was tested on.

    Returns:
        the systems, and how many rows each of them lost

    Raises:
        RunError: if there is no such utterance
    """
    both = set(systems[0].ids.tolist())
    for system in systems[1:]:
        both &= set(system.ids.tolist())
    if not both:
        names = listing(_told(system) for system in systems)
        msg = f"no utterance was tested by all of {names}. Fit them on one corpus"
        raise RunError(msg)
    kept, lost = [], []
    for system in systems:
        keep = np.array([i in both for i in system.ids.tolist()])
        lost.append(int((~keep).sum()))
        kept.append(
            replace(
                system,
                ids=system.ids[keep],
                speakers=system.speakers[keep],
                truth=system.truth[keep],
                guesses=system.guesses[:, keep],
            )
        )
    return kept, lost


def name_apart(systems: Sequence[System]) -> list[System]:
    """Call systems by as little as tells them apart, see ``names_apart``."""
    names = names_apart([system.facts for system in systems])
    return [replace(s, name=n) for s, n in zip(systems, names, strict=True)]


def names_apart(told: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name systems, told by their ``facts``, by as little as tells them apart."""
    ways: tuple[Callable[[Mapping[str, Any]], str], ...] = (
        lambda f: str(f["model"]),
        lambda f: f"{f['model']} on {'+'.join(f['features'])}",
        lambda f: f"{f['model']} under {f['protocol']}",
        lambda f: f"{f['model']} on {'+'.join(f['features'])} under {f['protocol']}",
        lambda f: listing(f["runs"], 1),
    )
    for way in ways:
        names = [way(facts) for facts in told]
        if len(set(names)) == len(names):
            break
    return names
