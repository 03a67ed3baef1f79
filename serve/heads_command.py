"""The command ``heads``: the table of a README, made again from the runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.command import Command, runs_option
from contracts.errors import RunError, listing
from contracts.terminal import say, warn

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser


def _arguments(parser: ArgumentParser) -> None:
    runs_option(parser)
    for name, usual, what in (
        ("corpus", "ravdess", "whose runs"),
        ("protocol", "ravdess-luna5", "under which folds"),
        ("labels", "ravdess8", "label map"),
    ):
        parser.add_argument(f"--{name}", default=usual, metavar="NAME", help=what)
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="put the table between the lines <!-- heads --> and <!-- /heads --> of a "
        "Markdown file; none: print it",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="write even where rows of the table that stands there vanish",
    )


def _run(chosen: Namespace) -> int:
    """Print the table, or write it into a file."""
    from contracts.run import find_runs
    from serve.heads_table import heads_table, put

    runs, unfinished = find_runs(chosen.runs)
    table = heads_table(runs, chosen.corpus, chosen.protocol, chosen.labels)
    if unfinished:
        warn(f"not in the table, unfinished or broken: {listing(unfinished)}")
    if chosen.write is None:
        say(table)
        return 0
    try:
        text = chosen.write.read_text(encoding="utf-8")
    except OSError as error:
        msg = f"cannot read {chosen.write}: {error.strerror}. Name a file with --write"
        raise RunError(msg) from error
    written = put(text, table, chosen.write)
    if not chosen.force:
        _refuse_loss(text, table, chosen)
    chosen.write.write_text(written, encoding="utf-8")
    say(f"written into {chosen.write}")
    return 0


def _refuse_loss(text: str, table: str, chosen: Namespace) -> None:
    """Refuse to replace a table by one that lacks rows of it.

    Raises:
        RunError: naming some of them and how many they are
    """
    from serve._lost_rows import lost_rows

    lost, n = lost_rows(text, table)
    if lost:
        msg = (
            f"{len(lost)} of the {n} rows of the table in {chosen.write} would vanish, "
            f"as no finished run in {chosen.runs} is theirs: {listing(lost, 5)}. Name "
            "the folder with their runs with --runs DIR, another file with --write "
            "FILE, or let them go with --force"
        )
        raise RunError(msg)


HEADS = Command(
    "heads",
    "Write the table of all heads, ours beside what others published.",
    (
        "python pipeline.py heads",
        "python pipeline.py heads --write README.md",
        "python pipeline.py heads --corpus emodb --protocol emodb-loso --labels emodb7",
    ),
    _arguments,
    _run,
)
