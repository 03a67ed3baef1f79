"""The command ``merging``: labels merged before learning, or summed after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from contracts.command import Command, cache_option, runs_option, several
from contracts.errors import CacheError, EmocacheError, listing
from contracts.terminal import say, warn

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME", help="the head to fit both ways")
    parser.add_argument("--into", metavar="MAP", help="label map that merges")
    several(parser, "--corpus", "NAME", "corpora in the cache; none: the only one")
    several(parser, "--feature", "NAME", "inputs of the head; none: the head's own")
    parser.add_argument(
        "--labels", metavar="MAP", help="map with all labels; none: the corpus' own"
    )
    parser.add_argument("--protocol", metavar="NAME", help="none: the corpus' own")
    parser.add_argument(
        "--encoder", metavar="NAME", help="which encoder, where the cache has several"
    )
    parser.add_argument("--seeds", metavar="0,1,2", default="0", help="one pair each")
    several(parser, "--set", "KEY=VALUE", "settings of the head")
    cache_option(parser)
    runs_option(parser)


def merging(chosen: Namespace) -> int:
    """Fit a head both ways on the same folds, and compare."""
    from contracts.cache import Cache
    from evaluation import settings
    from evaluation.asking import numbers, question_text
    from evaluation.labelling.merging import both_ways
    from evaluation.question import ask, choose_corpora

    if not (chosen.model and chosen.into):
        _refuse_missing(chosen)
    given = settings.parse(chosen.set or [])
    head = settings.heads([chosen.model], given, chosen.feature)[chosen.model]
    cache = Cache(chosen.cache)
    whole = cache.view(*choose_corpora(cache, chosen.corpus), encoder=chosen.encoder)
    view = whole.require(head.features)
    fine = ask(view, chosen.labels, chosen.protocol, as_published=False)
    merged = ask(view, chosen.into, fine.protocol)
    say(question_text(merged, whole.summary()))
    there = [len(set(question.view.labels) - {""}) for question in (fine, merged)]
    if there[0] == there[1]:
        warn(
            f"label map {merged.label_map.name} merges no labels that "
            f"{listing(merged.view.cards)} has: both ways are the same. Choose another "
            "with --into MAP"
        )
    seeds = numbers(chosen.seeds) or [0]
    pairs = both_ways(fine, merged, chosen.model, head, seeds, chosen.runs)
    learnt, summed = ([pair[i] for pair in pairs] for i in (0, 1))
    say(text(learnt, summed))
    return 0


def _refuse_missing(chosen: Namespace) -> NoReturn:
    """Say which of head and label map was not given, and what there is to choose.

    Raises:
        EmocacheError: always
    """
    missing, see = [], []
    if not chosen.model:
        missing.append("--model NAME")
        see.append("python pipeline.py list models")
    if not chosen.into:
        missing.append(f"--into MAP{_maps(chosen)}")
        see.append("python pipeline.py list labels")
    msg = f"merging needs {' and '.join(missing)}. See: {', and '.join(see)}"
    raise EmocacheError(msg)


def _maps(chosen: Namespace) -> str:
    """Name the maps that merge labels of the corpora, where the cache tells which."""
    from contracts.cache import Cache
    from contracts.labels import labels_of
    from evaluation.labelling.merging import maps_that_merge
    from evaluation.question import choose_corpora

    cache = Cache(chosen.cache)
    try:
        corpora = choose_corpora(cache, chosen.corpus)
        maps = maps_that_merge(labels_of(cache.view(*corpora).manifest))
    except CacheError:  # told once the map is given
        return ""
    if not maps:
        return f" (no map merges labels of {listing(corpora)}: write one)"
    return f" (of {listing(corpora)}: {listing(maps)})"


def text(learnt: list, summed: list) -> str:  # type: ignore[type-arg]
    """Say which way is better, if that can be told."""
    from evaluation.statistics import paired
    from evaluation.statistics._paired_text import notes, sentence, systems_text
    from evaluation.statistics.systems import of_runs

    systems = [of_runs(summed, "summed afterwards"), of_runs(learnt, "learnt merged")]
    (pair,) = paired.compare(systems)
    lines = [systems_text(systems, "uar"), sentence(pair), *notes(pair)]
    lines += [f"{w}" for s in systems for w in s.warnings if w != ""]
    named = [f"{s.name}: {', '.join(s.facts['runs'])}" for s in systems]
    return "\n".join([*dict.fromkeys(lines), *named])


MERGING = Command(
    "merging",
    "Test whether merging labels before learning beats summing them afterwards.",
    (
        "python pipeline.py merging --model logistic_regression --corpus ravdess "
        "--into merge-calm",
    ),
    _arguments,
    merging,
)
