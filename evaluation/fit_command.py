"""The command ``fit``: heads on the cache, under a protocol or across corpora."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.command import Command, runs_option, several
from contracts.errors import EmocacheError, listing
from contracts.terminal import say
from evaluation.asking import corpus_options, numbers, question_text

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser

    from contracts.cache import Cache
    from contracts.view import View
    from evaluation.question import Question


def _fit_arguments(parser: ArgumentParser) -> None:
    several(parser, "--model", "NAME", "heads to fit (python pipeline.py list models)")
    corpus_options(parser)
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
        "--seeds",
        metavar="0,1,2",
        help="one run per seed; none: those of the published protocol, else 0",
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
    parser.add_argument(
        "--temperature",
        action="store_true",
        help="soften probabilities by one number, chosen in each fold on its training "
        "speakers",
    )
    parser.add_argument(
        "--threshold",
        action="store_true",
        help="choose, in each fold on its training speakers, above which "
        "probability a label is in the predicted set, by annotators' votes; scored "
        "beside the fixed 0.2",
    )
    several(
        parser,
        "--train-corpus",
        "NAME",
        "train on all speakers of these, instead of --corpus and --protocol",
    )
    several(
        parser,
        "--test-corpus",
        "NAME",
        "test on these; one that is trained on too is parted by its own protocol",
    )
    parser.add_argument("--rerun", action="store_true", help="fit finished runs again")
    parser.add_argument(
        "--tensorboard",
        type=Path,
        metavar="DIR",
        help="show runs as they go: tensorboard --logdir DIR",
    )
    runs_option(parser)


def fit(chosen: Namespace) -> int:
    """Fit heads on the cache under a protocol, or on some corpora for others."""
    from contracts.cache import Cache
    from evaluation import experiment, search, settings
    from evaluation._fit_text import result_text
    from evaluation._watching import Board, watching
    from evaluation.question import with_variants
    from evaluation.tempering import After
    from evaluation.thresholds import refuse_voteless
    from evaluation.transfer.cross import only

    if not chosen.model:
        msg = "fit needs --model NAME. See: python pipeline.py list models"
        raise EmocacheError(msg)
    heads = settings.heads(
        chosen.model, settings.parse(chosen.set or []), chosen.feature
    )
    looked = search.of_heads(heads, chosen.grid or [], chosen.search, chosen.trials)
    cache = Cache(chosen.cache)
    corpora = _corpora(chosen, cache)
    whole = with_variants(
        cache, corpora, chosen.encoder, chosen.augment or (), chosen.degrade or ()
    )
    # refuse whatever can be refused for any of the heads before the first is fitted
    views = {model: whole.require(head.features) for model, head in heads.items()}
    settings.refuse_unfit(heads, views)
    asked = {model: _questions(chosen, view) for model, view in views.items()}
    after = After(chosen.temperature, chosen.threshold)
    board = Board(chosen.tensorboard) if chosen.tensorboard else None
    if after.threshold:
        for question in (q for own in asked.values() for q in own):
            refuse_voteless(question.folds, list(question.view.cards))
    said = ""
    for model, head in heads.items():
        for question in asked[model]:
            seeds, taken = _seeds(chosen, question)
            summary = only(whole, question.view.cards).summary()
            text = question_text(question, summary, seeds, taken)
            if text != said:  # heads on other features may leave out other utterances
                say(text)
                said = text
            more = looked[model], after
            told = (
                experiment.settings_of(question, model, head, seed, *more)
                for seed in seeds
            )
            with watching(board, question.folds, told, chosen.runs) as show:
                for run in experiment.run_head(
                    *(question, model, head, seeds, chosen.runs, chosen.rerun), *more
                ):
                    show(run)
                    say(result_text(run))
    return 0


def _corpora(chosen: Namespace, cache: Cache) -> list[str]:
    """Return every corpus that is asked for; refuse options that contradict it.

    Raises:
        EmocacheError: if only one side is given, or one beside what replaces it
    """
    from evaluation.question import choose_corpora

    train, test = chosen.train_corpus or [], chosen.test_corpus or []
    if not (train or test):
        return choose_corpora(cache, chosen.corpus)
    if not (train and test):
        msg = (
            "--train-corpus and --test-corpus go together: expected both, got only "
            f"--{'train' if train else 'test'}-corpus"
        )
        raise EmocacheError(msg)
    beside = [x for x in ("corpus", "protocol", "folds") if getattr(chosen, x)]
    if beside:
        msg = (
            f"--train-corpus and --test-corpus say who is in which part: leave out "
            f"{listing(f'--{x}' for x in beside)}"
        )
        raise EmocacheError(msg)
    return sorted({*train, *test})


def _questions(chosen: Namespace, view: View) -> list[Question]:
    """Ask what is asked: one question, or one for each side of a matrix."""
    from evaluation.question import ask
    from evaluation.transfer import cross

    if chosen.train_corpus:
        sides = chosen.train_corpus, chosen.test_corpus
        return cross.questions(view, *sides, chosen.labels, chosen.drop_duplicates)
    wanted = numbers(chosen.folds)
    told = chosen.labels, chosen.protocol, wanted, chosen.drop_duplicates
    return [ask(view, *told)]


def _seeds(chosen: Namespace, question: Question) -> tuple[list[int], bool]:
    """Return the seeds to fit, and whether nobody asked: they are the protocol's.

    All cells of a cross-corpus matrix have the same seeds.
    """
    asked = numbers(chosen.seeds)
    if asked is None and not chosen.train_corpus and question.protocol.seeds:
        return list(question.protocol.seeds), True
    return asked or [0], False


FIT = Command(
    "fit",
    "Fit heads on the cache under a protocol and keep every prediction.",
    (
        "python pipeline.py fit --model fusion",
        "python pipeline.py fit --model random_forest xgb --feature mfcc:mean "
        "--labels merge-calm --seeds 0,1,2 --set n_estimators=500",
        "python pipeline.py fit --model xgb --augment noise speed --degrade telephone",
        "python pipeline.py fit --model svm --train-corpus ravdess --test-corpus "
        "ravdess emodb --labels common4",
    ),
    _fit_arguments,
    fit,
)
