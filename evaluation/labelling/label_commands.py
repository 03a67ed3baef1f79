"""The command ``labels`` and what it does: check, suggest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.command import (
    Command,
    cache_option,
    join,
    run_action,
    runs_option,
    several,
)
from contracts.errors import EmocacheError, RunError, listing
from contracts.terminal import say

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping
    from typing import Any

    from jsonargparse import ArgumentParser

    from contracts.labels import LabelMap
    from evaluation.question import Question

HEAD = "logistic_regression"  # cheap, and nothing in it is drawn
_OF_A_RUN = ("model", "feature", "corpus", "labels", "protocol", "encoder")


def _corpus_options(parser: ArgumentParser) -> None:
    several(parser, "--corpus", "NAME", "corpora in the cache; none: the only one")
    parser.add_argument(
        "--labels", metavar="MAP", help="label map; none: the corpus' own"
    )
    cache_option(parser)


def check(chosen: Namespace) -> int:
    """Show what a label map does to corpora."""
    from contracts.cache import Cache
    from evaluation.labelling import check as _label_check
    from evaluation.labelling.choice import choose_labels
    from evaluation.question import choose_corpora

    cache = Cache(chosen.cache)
    view = cache.view(*choose_corpora(cache, chosen.corpus))
    found = _label_check.check(view.manifest, choose_labels(view, chosen.labels))
    say(view.summary())
    say(_label_check.text(found))
    return 1 if found.unknown else 0


def _suggest_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--run", metavar="NAME", help="ask what this finished run asked, of its head"
    )
    parser.add_argument("--model", metavar="NAME", help=f"head; none: {HEAD}")
    several(parser, "--feature", "NAME", "inputs of the head; none: the head's own")
    _corpus_options(parser)
    parser.add_argument("--protocol", metavar="NAME", help="none: the corpus' own")
    parser.add_argument(
        "--encoder", metavar="NAME", help="which encoder, where the cache has several"
    )
    parser.add_argument(
        "--folds",
        metavar="0,1",
        help="only the training speakers of these folds; none: of all",
    )
    parser.add_argument(
        "--drop-duplicates",
        action="store_true",
        help="keep only the first utterance of every waveform, and say so",
    )
    parser.add_argument(
        "--classes", type=int, metavar="K", help="merge until K are left; none: once"
    )
    parser.add_argument(
        "--top", type=int, default=5, metavar="N", help="pairs of labels to show"
    )
    parser.add_argument(
        "--out", type=Path, metavar="TOML", help="write the proposed map to a new file"
    )
    runs_option(parser)


def suggest(chosen: Namespace) -> int:
    """Propose merges of labels that are taken for each other in development."""
    from evaluation.asking import question_text
    from evaluation.labelling import suggestion as _label_suggestion
    from evaluation.labelling import suggestion_text as _label_suggestion_text

    _refuse_early(chosen)
    question, name, head, summary = _asked(chosen)
    has = question.view.classes
    n_classes = chosen.classes or len(has) - 1
    if not 2 <= n_classes < len(has):
        msg = (
            f"bad --classes {n_classes}: expected 2 or more, and fewer than the "
            f"{len(has)} of label map {question.label_map.name}"
        )
        raise EmocacheError(msg)
    say(question_text(question, summary))
    scores = _label_suggestion.development(question, head)
    who = f"{name} on {listing(head.features)}"
    rest = _label_suggestion.unseen(question)
    say("\n" + _label_suggestion_text.confusions_text(scores, who, chosen.top, rest))
    merge = _label_suggestion.propose(_label_suggestion.pooled(scores), n_classes)
    if (left := len(has) - len(merge)) > n_classes:
        say(f"{left} classes are left, and no two of them are confused")
    if merge:
        plan = f"protocol {question.protocol.name}"
        folds = f"folds {listing(f.index for f in question.folds)}"
        where = f"{who}, {listing(question.view.cards)}, {plan}, {folds}"
        _hand_over(chosen.out, question.label_map, merge, where)
    return 0


def _refuse_early(chosen: Namespace) -> None:
    """Refuse what can be refused before anything is fitted."""
    from contracts.labels import names

    doubled = [f"--{x}" for x in _OF_A_RUN if chosen.run and getattr(chosen, x)]
    if doubled:
        msg = f"--run says {listing(doubled)} already: give either, not both"
        raise EmocacheError(msg)
    out = chosen.out
    if out and out.stem in names():
        msg = f"bad --out {out}: there is a label map {out.stem!r}. Name it anew"
        raise EmocacheError(msg)
    if out and (out.suffix != ".toml" or out.exists()):
        what = "a file that is there" if out.exists() else repr(out.name)
        msg = f"bad --out {out}: expected a new file NAME.toml, got {what}"
        raise EmocacheError(msg)


def _asked(chosen: Namespace) -> tuple[Question, str, Any, str]:
    """Return the question, the name of the head, the head and what is in the view."""
    from contracts.cache import Cache
    from evaluation import settings
    from evaluation.asking import numbers
    from evaluation.question import ask, choose_corpora
    from evaluation.statistics.run_choice import the_run

    cache = Cache(chosen.cache)
    labels, protocol, facts = chosen.labels, chosen.protocol, None
    if chosen.run:
        facts = the_run(chosen.run, chosen.runs).record
        name, head = str(facts["model"]), _head_of(facts)
        corpora = facts["corpus"].split("+")
        labels, protocol = facts["labels"]["name"], facts["protocol"]["name"]
    else:
        name = chosen.model or HEAD
        head = settings.heads([name], {}, chosen.feature)[name]
        corpora = choose_corpora(cache, chosen.corpus)
    whole = cache.view(*corpora, encoder=chosen.encoder)
    question = ask(
        whole.require(head.features),
        labels,
        protocol,
        numbers(chosen.folds),
        chosen.drop_duplicates,
    )
    if facts and facts["labels"]["hash"] != question.label_map.hash:
        msg = (
            f"label map {labels} is another than when run {chosen.run} was fitted. "
            f"Fit it again, or ask without it: --model {name} --labels {labels}"
        )
        raise RunError(msg)
    return question, name, head, whole.summary()


def _head_of(facts: Any) -> Any:
    """Make the unfitted head of a run, on exactly the features that it had."""
    from evaluation.settings import head_class

    told = {
        k: tuple(v) if isinstance(v, list) else v for k, v in facts["settings"].items()
    }
    exact = []
    for one in facts["features"]:
        reference, _, _ = one["reference"].partition("@")
        exact.append(f"{reference}@{one['short'].partition('@')[2]}")
    head = head_class(facts["model"])(**{**told, "features": tuple(exact)})
    if "seed" in head.get_params(deep=False):
        head.set_params(seed=facts["seed"])
    return head


def _hand_over(
    out: Path | None, label_map: LabelMap, merge: Mapping[str, str], where: str
) -> None:
    """Show the proposed map, or write it."""
    from evaluation.labelling.suggestion import as_map

    what = listing(f"{a} into {b}" for a, b in merge.items())
    title = f"{what}: proposed from development confusions of {where}"
    told = as_map(label_map, merge, title).to_toml()
    if out is None:
        say(f"\nsave it as corpora/labels/NAME.toml, then --labels NAME:\n\n{told}")
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(told, encoding="utf-8")
    say(f"written to {out}: {what}")


_ACTIONS = (
    Command(
        "check",
        "Show what a label map does to corpora; exit code 1 if labels are unknown.",
        ("python pipeline.py labels check --corpus ravdess emodb --labels common6",),
        _corpus_options,
        check,
    ),
    Command(
        "suggest",
        "Propose merges from confusions among training speakers, never from test.",
        (
            "python pipeline.py labels suggest --feature egemaps --folds 0",
            "python pipeline.py labels suggest --run NAME --classes 4 --out four.toml",
        ),
        _suggest_arguments,
        suggest,
    ),
)


def _arguments(parser: ArgumentParser) -> None:
    join(parser, "action", _ACTIONS)


def _run(chosen: Namespace) -> int:
    return run_action(_ACTIONS, chosen)


LABELS = Command(
    "labels",
    "Show what a label map does, and propose merges.",
    (
        "python pipeline.py labels check --labels common4",
        "python pipeline.py labels suggest",
    ),
    _arguments,
    _run,
)
