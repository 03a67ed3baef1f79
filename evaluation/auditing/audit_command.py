"""The command ``audit``: one head under bad practices, or somebody's predictions."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.command import (
    CACHE,
    RUNS,
    Command,
    cache_option,
    runs_option,
    several,
)
from contracts.errors import EmocacheError, listing
from contracts.terminal import say

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from jsonargparse import ArgumentParser

    from contracts.cache import Cache
    from contracts.view import View
    from evaluation.auditing._work import Case
    from evaluation.question import Question

_OF_A_HEAD = (
    *("model", "corpus", "labels", "protocol", "feature", "encoder", "set"),
    *("practice", "augment", "folds"),
)


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--model", metavar="NAME", help="head (python pipeline.py list models)"
    )
    several(parser, "--corpus", "NAME", "corpora in the cache; none: the only one")
    parser.add_argument(
        "--labels", metavar="MAP", help="label map; none: the corpus' own"
    )
    parser.add_argument(
        "--protocol", metavar="NAME", help="the honest one; none: the corpus' own"
    )
    several(parser, "--feature", "NAME", "inputs of the head; none: the head's own")
    parser.add_argument(
        "--encoder", metavar="NAME", help="which encoder, where the cache has several"
    )
    several(parser, "--set", "KEY=VALUE", "settings of the head")
    parser.add_argument("--seeds", metavar="0-4", default="0", help="of all fits")
    parser.add_argument("--folds", metavar="0,1", help="only these folds; none: all")
    several(parser, "--practice", "NAME", "only these, beside the honest; none: all")
    several(
        parser,
        "--augment",
        "NAME",
        "copies that are audited, of those in the cache; none: all of them",
    )
    parser.add_argument(
        "--predictions",
        type=Path,
        metavar="FILE",
        help="audit predictions of somebody else: CSV or Parquet, a row per utterance",
    )
    parser.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="of --predictions: file, speaker, label, split or fold",
    )
    parser.add_argument("--json", action="store_true", help="for other programs")
    cache_option(parser)
    runs_option(parser)


def _run(chosen: Namespace) -> int:
    if chosen.predictions or chosen.manifest:
        return _audit_predictions(chosen)
    if not chosen.model:
        msg = (
            "audit needs --model NAME (python pipeline.py list models), or "
            "--predictions FILE --manifest FILE"
        )
        raise EmocacheError(msg)
    from evaluation.asking import question_text
    from evaluation.auditing._text import audit_text
    from evaluation.auditing.audit import audit, with_counterparts
    from evaluation.auditing.record import facts, path_of, save

    with_counterparts(chosen.practice)  # refuses an unknown one before all else
    case = _case(chosen)
    if not chosen.json:
        say(question_text(case.question, case.question.view.summary()) + "\n")
    told = facts(case)

    def keep(row: dict[str, Any]) -> None:
        row["command"] = _again(chosen, row["practice"])
        save(told, [row], chosen.runs)

    rows = audit(case, chosen.practice, keep)
    if chosen.json:
        say(json.dumps(told | {"rows": rows}, indent=1))
    else:
        say(audit_text(told, rows))
        say(f"\nwritten to {path_of(told, chosen.runs)}")
    return 0


def _case(chosen: Namespace) -> Case:
    """Make what is audited ready, copies too where the cache has them."""
    from contracts.cache import Cache
    from evaluation import settings
    from evaluation.asking import numbers
    from evaluation.auditing._work import Case
    from evaluation.question import ask, choose_corpora

    model = chosen.model
    head = settings.heads([model], settings.parse(chosen.set or []), chosen.feature)
    cache, wanted = Cache(chosen.cache), numbers(chosen.folds)
    corpora = choose_corpora(cache, chosen.corpus)
    view = cache.view(*corpora, encoder=chosen.encoder).require(head[model].features)
    question = ask(view, chosen.labels, chosen.protocol, wanted)
    case = Case(cache, question, model, head[model], numbers(chosen.seeds) or [0])
    case.copies, case.no_copies = _copies(chosen, cache, corpora, question, head[model])
    return case


def _copies(
    chosen: Namespace,
    cache: Cache,
    corpora: Sequence[str],
    question: Question,
    head: object,
) -> tuple[Question | None, str]:
    """Ask the same with augmented copies in train; else say why there are none."""
    from dataclasses import replace

    from contracts import variant
    from contracts.errors import CacheError
    from evaluation.asking import numbers
    from evaluation.question import ask, with_variants

    features: Sequence[str] = head.features  # type: ignore[attr-defined]
    rows = cache.view(*corpora, variants=True).manifest
    there = variant.names(rows)[variant.roles(rows) == "augment"]
    names = chosen.augment or list(dict.fromkeys(map(str, there)))
    if not names:
        again = cache.extract_command(question.view, features[0]) if features else ""
        how = f": {again} --augment noise" if again else ""
        return None, f"no augmented variants in the cache{how}"
    view = with_variants(cache, corpora, chosen.encoder, names)
    try:
        pinned: View = replace(view, pins=question.view.pins).require(features)
    except CacheError as error:
        return None, str(error)
    return ask(pinned, chosen.labels, chosen.protocol, numbers(chosen.folds)), ""


def _again(chosen: Namespace, practice: str) -> str:
    """Return the command that makes one row again."""
    words = ["python", "pipeline.py", "audit", "--model", chosen.model]
    for name in ("corpus", "labels", "protocol", "feature", "encoder", "set"):
        told = getattr(chosen, name)
        if told:
            words += [f"--{name}", *(told if isinstance(told, list) else [told])]
    words += ["--augment", *chosen.augment] if chosen.augment else []
    words += ["--folds", str(chosen.folds)] if chosen.folds else []
    words += ["--seeds", str(chosen.seeds)] if str(chosen.seeds) != "0" else []
    for name, usual in (("cache", CACHE), ("runs", RUNS)):
        told = getattr(chosen, name)
        words += [f"--{name}", str(told)] if told != usual else []
    return shlex.join([*words, "--practice", practice])


def _audit_predictions(chosen: Namespace) -> int:
    from evaluation.auditing._foreign_text import predictions_text
    from evaluation.auditing.foreign_predictions import audit_predictions

    doubled = [f"--{name}" for name in _OF_A_HEAD if getattr(chosen, name)]
    if doubled:
        msg = (
            f"--predictions audits what somebody else fitted: {listing(doubled)} "
            "concern a head of ours. Give either"
        )
        raise EmocacheError(msg)
    if not (chosen.predictions and chosen.manifest):
        lacks = "--manifest" if chosen.predictions else "--predictions"
        msg = f"audit of predictions needs both files: {lacks} FILE is missing"
        raise EmocacheError(msg)
    told = audit_predictions(chosen.predictions, chosen.manifest)
    say(json.dumps(told, indent=1) if chosen.json else predictions_text(told))
    return 0


AUDIT = Command(
    "audit",
    "Show what bad practices would add to a head's number, or audit predictions.",
    (
        "python pipeline.py audit --model logistic_regression --feature egemaps",
        "python pipeline.py audit --model pepino --practice test-checkpoint best-seed "
        "--seeds 0-4",
        "python pipeline.py audit --predictions theirs.csv --manifest files.csv",
    ),
    _arguments,
    _run,
)
