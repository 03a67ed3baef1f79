"""The command ``folds``: who is in which part of each fold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.command import Command
from contracts.errors import listing
from contracts.terminal import say, table
from evaluation.asking import corpus_options, question_text

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser


def _folds_arguments(parser: ArgumentParser) -> None:
    corpus_options(parser)
    parser.add_argument("--export", type=Path, metavar="CSV", help="write every row")


def folds(chosen: Namespace) -> int:
    """Show who is in which part of each fold."""
    from contracts.cache import Cache
    from evaluation.question import ask, choose_corpora
    from evaluation.splits.folds import folds_hash
    from evaluation.splits.folds import table as fold_table

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


FOLDS = Command(
    "folds",
    "Show who is in which part of each fold of a protocol.",
    ("python pipeline.py folds --protocol loso --export folds.csv",),
    _folds_arguments,
    folds,
)
