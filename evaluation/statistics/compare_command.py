"""The command ``compare``: runs against each other, on the same utterances."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from contracts.command import Command, runs_option
from contracts.errors import EmocacheError, RunError, listing
from contracts.terminal import count, say

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from jsonargparse import ArgumentParser

    from evaluation.statistics.systems import System

EXAMPLE = "seed-003"


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
        "--metric", choices=("uar", "war", "f1"), default="uar", help="what to compare"
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
    systems = generated_pair() if chosen.example else _systems(chosen)
    lost = [0] * len(systems)
    if chosen.common:
        systems, lost = keep_common(systems)
    pairs = paired.compare(systems, chosen.metric, chosen.all_pairs)
    if chosen.json:
        facts = [
            {"name": s.name, **s.facts, "left_out": n}
            for s, n in zip(systems, lost, strict=True)
        ]
        told = {"systems": facts, "pairs": [pair.to_json() for pair in pairs]}
        say(json.dumps(told, indent=1, ensure_ascii=False))
        return 0
    say(_title(systems))
    say(systems_text(systems, chosen.metric))
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
    plans = list(dict.fromkeys(str(s.facts.get("protocol")) for s in systems))
    if len(plans) > 1:
        out.append(
            f"unlike protocols ({listing(plans)}): a difference may be theirs, not "
            "the heads'"
        )
    return out


def _systems(chosen: Namespace) -> list[System]:
    """Find the runs of each system, the baseline first, and name them apart."""
    from evaluation.statistics.run_choice import choose
    from evaluation.statistics.systems import (
        name_apart,
        of_runs,
        refuse_more_than_seeds,
    )

    given = [*([chosen.baseline] if chosen.baseline else []), *chosen.run]
    found = choose(given, chosen.runs)
    for one in found:
        refuse_more_than_seeds(one)
    systems: dict[tuple[str, ...], System] = {}
    for one in found:  # the baseline may be named among the runs, too
        systems.setdefault(tuple(run.run_id for run in one), of_runs(one))
    if len(systems) < 2:
        msg = f"{listing(given)} are one and the same: expected two systems or more"
        raise RunError(msg)
    return name_apart(list(systems.values()))


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
