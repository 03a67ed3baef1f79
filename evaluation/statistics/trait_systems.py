"""What heads said of traits, as systems to compare: seeds of one head are one.

Two systems are compared on the same utterances only, with the same annotated values;
whatever is unlike is refused with how much of it there is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import RunError, listing
from contracts.manifest import TRAIT
from contracts.run import PREDICTED, Run
from contracts.terminal import count

Values = NDArray[np.float64]


@dataclass(frozen=True)
class TraitSystem:
    """What one head said of the traits of utterances, in the order of their ids.

    Attributes:
        name: what it is called where it is compared
        rows: ``id``, ``speaker`` and the annotated ``trait:NAME`` of each utterance
        guesses: trait -> predicted values ``(seed, utterance)``
        seeds: of its runs
        warnings: what every output must say beside its numbers
    """

    name: str
    rows: pd.DataFrame
    guesses: Mapping[str, Values]
    seeds: tuple[int, ...]
    warnings: tuple[str, ...]


def traits_said(run: Run) -> list[str]:
    """Name the traits that a run predicted, in the order of its columns."""
    columns = run.predictions.columns
    return [c.removeprefix(PREDICTED) for c in columns if c.startswith(PREDICTED)]


def trait_system(runs: Sequence[Run], name: str = "") -> TraitSystem:
    """Make a system of the runs of one head, one per seed.

    Args:
        runs: those that differ in the seed alone
        name: what to call it; none: the head's name

    Raises:
        RunError: if one predicted no trait, or they were tested on other utterances
    """
    if without := [run.run_id for run in runs if not traits_said(run)]:
        msg = (
            f"{listing(without)} predicted no trait: expected runs of a head that "
            "does, fitted with --model multitask --set 'multitask.traits=[\"valence\"]'"
        )
        raise RunError(msg)
    tables = []
    for run in runs:
        rows = run.predictions[run.predictions["variant"] == ""]
        tables.append(rows.sort_values(["id", "fold"]).reset_index(drop=True))
    traits = traits_said(runs[0])
    known = [_known(table, traits) for table in tables]
    for run, table in zip(runs, known, strict=True):
        refuse_unlike(known[0], table, traits, (runs[0].run_id, run.run_id))
    return TraitSystem(
        name or str(runs[0].record["model"]),
        known[0],
        {
            t: np.stack([r[PREDICTED + t].to_numpy(np.float64) for r in tables])
            for t in traits
        },
        tuple(int(run.record["seed"]) for run in runs),
        tuple(dict.fromkeys(w for run in runs for w in run.warnings)),
    )


def _known(rows: pd.DataFrame, traits: Sequence[str]) -> pd.DataFrame:
    """Keep ids, speakers and the annotated traits, NaN where one is not known."""
    nothing = pd.Series(np.nan, rows.index)
    told = {
        TRAIT + t: pd.to_numeric(rows.get(TRAIT + t, nothing), errors="coerce")
        for t in traits
    }
    return rows[["id", "speaker"]].astype(str).assign(**told)


def refuse_unlike(
    first: pd.DataFrame,
    second: pd.DataFrame,
    traits: Sequence[str],
    names: tuple[str, str],
) -> None:
    """Refuse to compare what was tested on other utterances, speakers or values."""
    said = " and ".join(names)
    one, two = first["id"].tolist(), second["id"].tolist()
    if one != two:
        both = len(set(one) & set(two))
        msg = (
            f"{said} were tested on other utterances: {len(one) - both:,} only by the "
            f"first, {len(two) - both:,} only by the second, {both:,} by both. Fit "
            "both on one corpus, under one --protocol"
        )
        raise RunError(msg)
    columns = ["speaker", *(TRAIT + t for t in traits)]
    same = first[columns].eq(second[columns]) | (
        first[columns].isna() & second[columns].isna()
    )
    if n := int((~same.all(axis=1)).sum()):
        unlike = first["id"][~same.all(axis=1)]
        msg = (
            f"{said} cannot be compared: {count(n, 'utterance')} have another speaker "
            f"or annotated trait in each: {listing(unlike, 3)}. Fit both on the "
            "manifest as it is now"
        )
        raise RunError(msg)
