"""What can be told apart: each row of a group against the best or a named one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.errors import RunError, listing
from contracts.run import Run
from contracts.terminal import count
from evaluation.statistics.paired import (
    ALPHA,
    BETTER,
    UNKNOWN,
    WORSE,
    Comparison,
    among,
    compare,
)
from evaluation.statistics.systems import System, of_runs, refuse_unlike
from report._words import points

REFERENCE = "reference"


@dataclass(frozen=True)
class Verdicts:
    """The comparison of a group; rows are known by their first run.

    Attributes:
        reference: the row that all others are compared with; empty: none is
        named: whether it was asked for by name, and is not simply the first
        pairs: row -> its comparison with the reference
        apart: row -> why it is not compared
    """

    reference: str = ""
    named: bool = False
    pairs: Mapping[str, Comparison] = field(default_factory=dict)
    apart: Mapping[str, str] = field(default_factory=dict)

    def word(self, row: str) -> str:
        """Return the verdict on a row in a word or two."""
        if row == self.reference and self.pairs:
            return REFERENCE
        return self.pairs[row].verdict if row in self.pairs else ""

    def lines(self, names: Mapping[str, str]) -> list[tuple[str, str]]:
        """Say which rows can be told from the reference: title and sentence each."""
        if not self.pairs:
            return [("Not compared", why) for why in dict.fromkeys(self.apart.values())]
        told = []
        than = f"than {names[self.reference]}" if self.named else "than it"
        for verdict, title in (
            (BETTER, f"Better {than}"),
            (WORSE, f"Worse {than}"),
            (UNKNOWN, "Cannot tell"),
        ):
            rows = [i for i, pair in self.pairs.items() if pair.verdict == verdict]
            if len(rows) == len(self.pairs) > 3:
                told.append((title, f"all {len(rows)} others"))
            elif rows:
                told.append((title, listing([names[i] for i in rows], 4)))
        if self.apart:
            said = [f"{names[i]} ({why})" for i, why in self.apart.items()]
            told.append(("Not compared", listing(said, 4)))
        return [*told, ("How sure", self._how())]

    def _how(self) -> str:
        pairs = list(self.pairs.values())
        smallest = max(pair.test.smallest for pair in pairs)
        few = count(pairs[0].interval.n_speakers, "speaker")
        seen = [p.visible for p in pairs if p.visible == p.visible]
        sight = (
            f"A difference of {_span(seen)} points would have been found in four "
            "cases of five"
            if len(seen) == len(pairs)
            else "A difference of some of these pairs could hardly have been found"
        )
        return (
            f"{sight}. Judged by swapping speakers, at p below {ALPHA:g}; the least "
            f"that {few} can give is {smallest:.1g}.{self._family()}"
        )

    def _family(self) -> str:
        family = next(iter(self.pairs.values())).family
        if family == 1:
            return ""
        if self.named:
            return f" p by Holm over {count(family, 'pair')}."
        return (
            f" p by Holm over {count(family, 'pair')}, each row with each other, since "
            "the reference is the best on these very utterances."
        )


def _span(differences: Sequence[float]) -> str:
    """Write the least and the most of differences in points; equal ones once."""
    said = points(min(differences)), points(max(differences))
    return " to ".join(dict.fromkeys(said))


def verdicts(
    rows: Sequence[Mapping[str, Any]], runs: Mapping[str, Run], baseline: str = ""
) -> Verdicts:
    """Compare the rows of a group with the first of them, or with a named one.

    Args:
        rows: as ``results`` returns them, best first
        runs: by their ids
        baseline: a head or a run; where the group has none such, its first row
    """
    whole = [row for row in rows if row["rank"] is not None]
    apart = {r["runs"][0]: "not every fold" for r in rows if r["rank"] is None}
    if not whole:
        return Verdicts()
    named = [r for r in whole if baseline and baseline in (r["model"], *r["runs"])]
    reference = (named or whole)[0]["runs"][0]
    systems: dict[str, System] = {}
    for row in whole:
        key = row["runs"][0]
        try:
            systems[key] = of_runs([runs[i] for i in row["runs"]], key)
        except RunError:
            apart[key] = "each seed was tested on other utterances"
    if reference not in systems:
        return Verdicts(apart=apart)
    base = systems.pop(reference)
    others = _alike(base, systems, apart)
    if not others:
        return Verdicts(reference, bool(named), apart=apart)
    # the best row on these utterances was chosen by looking at every pair
    family = None if named else among(1 + len(others))
    pairs = {c.first: c for c in compare([base, *others], family=family)}
    return Verdicts(reference, bool(named), pairs, apart)


def _alike(
    base: System, systems: Mapping[str, System], apart: dict[str, str]
) -> list[System]:
    """Keep the systems that were tested on what the reference was tested on."""
    out = []
    for key, system in systems.items():
        try:
            refuse_unlike(base, system)
        except RunError:
            apart[key] = "tested on other utterances"
            continue
        out.append(system)
    return out
