"""The command ``compare``: runs against each other, on the same utterances."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from contracts.command import Command, runs_option
from contracts.errors import EmocacheError, RunError, listing
from contracts.terminal import count, say

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping, Sequence

    from jsonargparse import ArgumentParser

    from contracts.run import Run
    from evaluation.statistics.systems import System

EXAMPLE = "seed-003"
TRAITS = "concordance"


def _arguments(parser: ArgumentParser) -> None:
    options: dict[str, Any] = {"nargs": "*", "metavar": "RUN", "default": []}
    parser.add_argument(
        "run",
        help="a run's name or a beginning that only it has; several seeds of one head "
        "with commas between, or a beginning that only they have",
        **options,
    )
    parser.add_argument(
        "--baseline",
        metavar="RUN",
        help="what the others are compared with; none: the first",
    )
    parser.add_argument(
        "--all-pairs", action="store_true", help="compare each with each other"
    )
    parser.add_argument(
        "--metric",
        choices=("uar", "war", "f1", TRAITS),
        help="what to compare; none: uar, or concordance where no labels are said",
    )
    parser.add_argument(
        "--common",
        action="store_true",
        help="compare on the utterances that all were tested on, and say what is lost",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument(
        "--example",
        choices=(EXAMPLE,),
        help="compare a generated pair with published scores instead of runs",
    )
    runs_option(parser)


def compare(chosen: Namespace) -> int:
    """Compare runs pair by pair and print a verdict on each."""
    from evaluation.statistics import paired
    from evaluation.statistics._paired_text import notes, sentence, systems_text
    from evaluation.statistics.generated_pair import generated_pair
    from evaluation.statistics.systems import keep_common

    _refuse(chosen)
    found = [] if chosen.example else _found(chosen)
    if _of_traits(found, chosen.metric):
        return _compare_traits(found, chosen)
    metric = chosen.metric or "uar"
    systems = generated_pair() if chosen.example else _systems(found)
    lost = [0] * len(systems)
    if chosen.common:
        systems, lost = keep_common(systems)
    pairs = paired.compare(systems, metric, chosen.all_pairs)
    if chosen.json:
        facts = [
            {"name": s.name, **s.facts, "left_out": n}
            for s, n in zip(systems, lost, strict=True)
        ]
        told = {"systems": facts, "pairs": [pair.to_json() for pair in pairs]}
        say(json.dumps(told, indent=1, ensure_ascii=False))
        return 0
    say(_title(systems))
    say(systems_text(systems, metric))
    for line in _told(systems, lost):
        say(line)
    for pair in pairs:
        say("\n" + sentence(pair))
        for note in notes(pair):
            say(f"  {note}")
    return 0


def _refuse(chosen: Namespace) -> None:
    given = [*chosen.run, *([chosen.baseline] if chosen.baseline else [])]
    if chosen.example and given:
        msg = f"--example compares a generated pair: got {listing(given)} too. Give one"
        raise EmocacheError(msg)
    if chosen.example and chosen.metric == TRAITS:
        msg = f"--example has labels and no traits: leave out --metric {TRAITS}"
        raise EmocacheError(msg)
    if not chosen.example and len(given) < 2:
        msg = (
            f"compare needs two runs or more, got {listing(given) or 'none'}. See: "
            "python pipeline.py runs"
        )
        raise EmocacheError(msg)


def _title(systems: Sequence[System]) -> str:
    first = systems[0]
    speakers = count(len(set(first.speakers.tolist())), "speaker")
    size = f"{count(len(first.ids), 'utterance')} of {speakers}"
    if note := first.facts.get("generated"):
        return f"{note}\n{size}"
    return f"{first.facts['corpus']}, labels {first.facts['label_map']}: {size}"


def _told(systems: Sequence[System], lost: Sequence[int]) -> list[str]:
    """Say what a reader must know of each system."""
    out = [f"{s.name}: {w}" for s in systems for w in s.warnings]
    out += [
        f"{s.name}: {count(n, 'test utterance')} left out, not tested by all"
        for s, n in zip(systems, lost, strict=True)
        if n
    ]
    return out + _unlike_protocols([s.facts for s in systems])


def _unlike_protocols(facts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say, of systems that were not tested under one protocol, that they were not."""
    plans = list(dict.fromkeys(str(one.get("protocol")) for one in facts))
    if len(plans) < 2:
        return []
    return [
        f"unlike protocols ({listing(plans)}): a difference may be theirs, not the "
        "heads'"
    ]


def _of_traits(found: Sequence[Sequence[Run]], metric: str | None) -> bool:
    """Say whether traits are to be compared: asked for, or all that there is.

    Raises:
        EmocacheError: if some runs say no labels, and labels are to be compared
    """
    from evaluation.statistics.systems import says_labels

    if metric == TRAITS:
        return True
    without = [run.run_id for one in found for run in one if not says_labels(run)]
    if not without:
        return False
    if metric is None and len(without) == sum(len(one) for one in found):
        return True
    msg = (
        f"{listing(without, 4)} say traits and no labels, so there is no "
        f"{(metric or 'uar').upper()} to compare: expected runs that say labels, or "
        f"--metric {TRAITS} for traits that all of them predicted"
    )
    raise EmocacheError(msg)


def _compare_traits(found: Sequence[Sequence[Run]], chosen: Namespace) -> int:
    """Compare the concordance of traits pair by pair and print a verdict on each."""
    from evaluation.statistics import _traits_text as text
    from evaluation.statistics.paired_traits import compare_traits
    from evaluation.statistics.systems import names_apart, told_of
    from evaluation.statistics.trait_systems import trait_system

    if chosen.common:
        msg = "--common is for labels: traits are compared on the same utterances only"
        raise EmocacheError(msg)
    facts = [told_of(one) for one in found]
    names = names_apart(facts)
    systems = [
        replace(trait_system(one), name=name)
        for one, name in zip(found, names, strict=True)
    ]
    pairs = compare_traits(systems, chosen.all_pairs)
    if chosen.json:
        told = {
            "systems": [
                {"name": s.name, **one, "traits": list(s.guesses)}
                for s, one in zip(systems, facts, strict=True)
            ],
            "pairs": [pair.to_json() for pair in pairs],
        }
        say(json.dumps(told, indent=1, ensure_ascii=False))
        return 0
    say(text.title(systems))
    say(text.systems_text(systems))
    for line in (f"{s.name}: {w}" for s in systems for w in s.warnings):
        say(line)
    for line in _unlike_protocols(facts):
        say(line)
    for pair in pairs:
        say("\n" + text.sentence(pair))
        for note in text.notes(pair):
            say(f"  {note}")
    return 0


def _found(chosen: Namespace) -> list[list[Run]]:
    """Find the runs of each system, the baseline first, each system once."""
    from evaluation.statistics.run_choice import choose
    from evaluation.statistics.systems import refuse_more_than_seeds

    given = [*([chosen.baseline] if chosen.baseline else []), *chosen.run]
    found = choose(given, chosen.runs)
    for one in found:
        refuse_more_than_seeds(one)
    # the baseline may be named among the runs, too
    apart = {tuple(run.run_id for run in one): one for one in reversed(found)}
    if len(apart) < 2:
        msg = f"{listing(given)} are one and the same: expected two systems or more"
        raise RunError(msg)
    return [apart[k] for k in dict.fromkeys(tuple(r.run_id for r in o) for o in found)]


def _systems(found: Sequence[Sequence[Run]]) -> list[System]:
    """Make systems of runs, and name them apart."""
    from evaluation.statistics.systems import name_apart, of_runs

    return name_apart([of_runs(one) for one in found])


COMPARE = Command(
    "compare",
    "Compare runs on the same utterances: better, worse, or cannot tell.",
    (
        "python pipeline.py compare RUN RUN",
        "python pipeline.py compare RUN,RUN RUN,RUN --baseline RUN --metric war",
        f"python pipeline.py compare --example {EXAMPLE}",
    ),
    _arguments,
    compare,
)
