"""Commands of the second stage: fit, folds, list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.command import Command, cache_option, runs_option, several
from contracts.errors import EmocacheError, listing
from contracts.terminal import count, say, table
from evaluation._label_text import label_text
from evaluation.label_commands import LABELS

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser

    from contracts.run import Run
    from evaluation.question import Question

KINDS = ("corpora", "features", "models", "protocols", "labels", "variants")


def numbers(text: str | None) -> list[int] | None:
    """Read ``0,1,4-6``.

    Raises:
        EmocacheError: if it is not a list of whole numbers
    """
    if text is None:
        return None
    out: list[int] = []
    try:
        for piece in str(text).replace(" ", "").strip("[]").split(","):
            first, _, last = piece.partition("-")
            span = range(int(first), int(last or first) + 1)
            if not span:
                raise ValueError
            out += span
    except ValueError as error:
        msg = f"bad numbers {text!r}: expected a list such as 0,1,4-6"
        raise EmocacheError(msg) from error
    return sorted(set(out))


def _corpus_options(parser: ArgumentParser) -> None:
    several(parser, "--corpus", "NAME", "corpora in the cache; none: the only one")
    parser.add_argument(
        "--labels", metavar="MAP", help="label map; none: the corpus' own"
    )
    parser.add_argument("--protocol", metavar="NAME", help="none: the corpus' own")
    parser.add_argument(
        "--drop-duplicates",
        action="store_true",
        help="keep only the first utterance of every waveform, and say so",
    )
    cache_option(parser)


def _fit_arguments(parser: ArgumentParser) -> None:
    several(parser, "--model", "NAME", "heads to fit (python pipeline.py list models)")
    _corpus_options(parser)
    several(
        parser,
        "--feature",
        "NAME",
        "inputs of all heads: NAME, NAME:GROUP or NAME@FINGERPRINT; none: each head's",
    )
    parser.add_argument(
        "--encoder", metavar="NAME", help="which encoder, where the cache has several"
    )
    several(
        parser,
        "--augment",
        "NAME",
        "also train on these variants of the training utterances; none by default",
    )
    several(
        parser,
        "--degrade",
        "NAME",
        "also test on these variants of the test utterances, scored apart",
    )
    parser.add_argument("--folds", metavar="0,1", help="only these folds; none: all")
    parser.add_argument(
        "--seeds", metavar="0,1,2", default="0", help="one run per seed"
    )
    several(
        parser,
        "--set",
        "KEY=VALUE",
        "settings: key=value for every head that has it, model.key=value for one",
    )
    several(
        parser,
        "--grid",
        "KEY=V,V",
        "settings to choose in each fold, by cross-validation over its training "
        "speakers: lr=1e-3,1e-4",
    )
    parser.add_argument(
        "--search",
        choices=("grid", "random", "optuna"),
        default="grid",
        help="how the --grid is gone through: all of it, or --trials of it",
    )
    parser.add_argument(
        "--trials", type=int, default=20, metavar="N", help="of random and optuna"
    )
    parser.add_argument("--rerun", action="store_true", help="fit finished runs again")
    runs_option(parser)


def fit(chosen: Namespace) -> int:
    """Fit heads on the cache under a protocol."""
    from contracts.cache import Cache
    from evaluation import experiment, search, settings
    from evaluation.question import ask, choose_corpora, with_variants

    if not chosen.model:
        msg = "fit needs --model NAME. See: python pipeline.py list models"
        raise EmocacheError(msg)
    heads = settings.heads(
        chosen.model, settings.parse(chosen.set or []), chosen.feature
    )
    looked = search.of_heads(heads, chosen.grid or [], chosen.search, chosen.trials)
    seeds, wanted = numbers(chosen.seeds) or [0], numbers(chosen.folds)
    cache = Cache(chosen.cache)
    corpora = choose_corpora(cache, chosen.corpus)
    whole = with_variants(
        cache, corpora, chosen.encoder, chosen.augment or (), chosen.degrade or ()
    )
    # refuse whatever can be refused for any of the heads before the first is fitted
    views = {model: whole.require(head.features) for model, head in heads.items()}
    asked = {
        model: ask(view, chosen.labels, chosen.protocol, wanted, chosen.drop_duplicates)
        for model, view in views.items()
    }
    said = ""
    for model, head in heads.items():
        question = asked[model]
        text = question_text(question, whole.summary())
        if text != said:  # heads on other features may leave out other utterances
            say(text)
            said = text
        for run in experiment.run_head(
            question, model, head, seeds, chosen.runs, chosen.rerun, looked[model]
        ):
            say(_result(run))
    return 0


def question_text(question: Question, summary: str) -> str:
    """Say what is asked: corpus, labels merged and dropped, protocol, what is not."""
    plan = question.protocol
    lines = [f"{summary}; protocol {plan.name}, {count(len(question.folds), 'fold')}"]
    lines.append(label_text(question.counts))
    for corpus, (taken, found) in question.limited.items():
        lines.append(f"limited: only {taken} of {found} utterances of {corpus}")
    lines += [f"protocol {plan.name} breaks {b}: optimistic" for b in plan.breaks]
    lines += [f"{n} utterances are not used: {why}" for why, n in question.refused]
    lines += [
        f"{n} of {whole} utterances have no variant {what}"
        for what, (n, whole) in question.without_variants.items()
    ]
    lines += question.doubtful
    if lost := question.view.left_out:
        named = listing(f"{i} ({why})" for i, why in lost)
        lines.append(f"{len(lost)} utterances without features are left out: {named}")
    return "\n".join(lines)


def _result(run: Run) -> str:
    from evaluation.metrics import per_group, per_variant, score_run

    whole = score_run(run)
    folds = [s.uar for s in per_group(run, "fold").values()]
    spread = f" (folds {min(folds):.3f} to {max(folds):.3f})" if len(folds) > 1 else ""
    said = "".join(f" [{w}]" for w in run.warnings)
    under = "".join(
        f"\n  under {name}: UAR {s.uar:.3f}, {s.n} of {whole.n} utterances"
        for name, s in per_variant(run).items()
    )
    under += "".join(
        f"\n  chosen in fold {f['index']}: {f['searched']['settings']}"
        for f in run.record["folds"]
        if "searched" in f
    )
    return (
        f"{run.run_id}: UAR {whole.uar:.3f}{spread}, WAR {whole.war:.3f}, "
        f"F1 {whole.f1:.3f}, {whole.n} utterances{said}{under}"
    )


def _folds_arguments(parser: ArgumentParser) -> None:
    _corpus_options(parser)
    parser.add_argument("--export", type=Path, metavar="CSV", help="write every row")


def folds(chosen: Namespace) -> int:
    """Show who is in which part of each fold."""
    from contracts.cache import Cache
    from evaluation.folds import folds_hash
    from evaluation.folds import table as fold_table
    from evaluation.question import ask, choose_corpora

    cache = Cache(chosen.cache)
    view = cache.view(*choose_corpora(cache, chosen.corpus))
    question = ask(view, chosen.labels, chosen.protocol, None, chosen.drop_duplicates)
    say(question_text(question, view.summary()))
    rows = [
        [
            *(f.index, f.name, len(f.train), len(f.dev), len(f.test)),
            listing(s.rpartition("/")[2] for s in f.facts["dev_speakers"]),
        ]
        for f in question.folds
    ]
    say(table(["fold", "test", "n train", "n dev", "n test", "dev speakers"], rows))
    say(f"hash of the folds: {folds_hash(question.folds)}")
    if chosen.export:
        chosen.export.parent.mkdir(parents=True, exist_ok=True)
        fold_table(question.folds).to_csv(chosen.export, index=False)
        say(f"written to {chosen.export}")
    return 0


def _list_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("kind", choices=KINDS, help="what to list")


def list_plugins(chosen: Namespace) -> int:
    """List what there is to choose from, read from the plug-ins themselves."""
    from contracts import labels, plugins
    from evaluation import protocols

    if chosen.kind == "protocols":
        rows = [[p.name, p.title, p.citation] for p in protocols.PROTOCOLS.values()]
        say(table(["name", "what it does", "source"], rows))
        return 0
    if chosen.kind == "labels":
        maps = [labels.load(n) for n in labels.names() if n != labels.IDENTITY]
        rows = [[m.name, m.title, m.hash[:12]] for m in maps]
        rows.append([labels.IDENTITY, "the labels as the corpus has them", ""])
        say(table(["name", "what it does", "hash"], rows))
        return 0
    names = plugins.names(chosen.kind)
    rows = [[name, plugins.summary(chosen.kind, name)] for name in names]
    say(table(["name", "what it is"], rows))
    return 0


COMMANDS = [
    Command(
        "fit",
        "Fit heads on the cache under a protocol and keep every prediction.",
        (
            "python pipeline.py fit --model fusion",
            "python pipeline.py fit --model random_forest xgb --feature mfcc:mean "
            "--labels merge-calm --seeds 0,1,2 --set n_estimators=500",
            "python pipeline.py fit --model xgb --augment noise speed --degrade "
            "telephone",
        ),
        _fit_arguments,
        fit,
    ),
    Command(
        "folds",
        "Show who is in which part of each fold of a protocol.",
        ("python pipeline.py folds --protocol loso --export folds.csv",),
        _folds_arguments,
        folds,
    ),
    Command(
        "list",
        "List corpora, features, models, protocols, label maps or variants.",
        ("python pipeline.py list models",),
        _list_arguments,
        list_plugins,
    ),
    LABELS,
]
