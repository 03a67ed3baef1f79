"""The command ``reproduce``: published rows beside ours, and one command for each."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

from contracts.command import Command, cache_option, runs_option, several
from contracts.errors import EmocacheError, RunError, listing
from contracts.terminal import count, say, warn

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from jsonargparse import ArgumentParser

    from contracts.run import Run
    from evaluation.reproducing.published_rows import Row
    from evaluation.reproducing.reproduce import Ours


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "row", nargs="?", metavar="ID", help="fit this row; none: list all of them"
    )
    several(parser, "--corpus", "NAME", "list only rows of these corpora")
    parser.add_argument(
        "--json", action="store_true", help="for other programs; fits nothing"
    )
    runs_option(parser)
    cache_option(parser)


def reproduce(chosen: Namespace) -> int:
    """List the published rows beside our runs, or fit one of them."""
    from evaluation.reproducing import published_rows

    known = published_rows.rows()
    if chosen.row is None:
        return _list(chosen, list(known.values()))
    if chosen.row not in known:
        near = difflib.get_close_matches(chosen.row, known, n=3)
        hint = f" Did you mean {listing(near)}?" if near else ""
        msg = (
            f"no published row {chosen.row!r}, expected one of {len(known)} ids.{hint} "
            "See: python pipeline.py reproduce"
        )
        raise EmocacheError(msg)
    row = known[chosen.row]
    if not row.cannot and not chosen.json:
        _fit(row, chosen)
    return _list(chosen, [row])


def _fit(row: Row, chosen: Namespace) -> None:
    """Print the row's command and run it."""
    from jsonargparse import ArgumentParser

    from evaluation import commands
    from evaluation.reproducing._told import fit_words, line

    words = fit_words(row, chosen.runs, chosen.cache)
    say(line(words))
    fit = next(c for c in commands.COMMANDS if c.name == words[0])
    parser = ArgumentParser()
    fit.add_arguments(parser)
    fit.run(parser.parse_args(words[1:]))


def _list(chosen: Namespace, rows: Sequence[Row]) -> int:
    """Show rows beside the finished runs, or hand them out as JSON."""
    from contracts.run import find_runs
    from evaluation.reproducing import _told as words

    wanted = [r for r in rows if not chosen.corpus or {*r.corpus} & {*chosen.corpus}]
    if not wanted:
        there = sorted({c for r in rows for c in r.corpus})
        msg = f"no published row of {listing(chosen.corpus)}, expected {listing(there)}"
        raise EmocacheError(msg)
    runs, others = find_runs(chosen.runs)
    found = {row.id: _ours(row, runs) for row in wanted}
    told = {
        r.id: words.facts(r, found[r.id], chosen.runs, chosen.cache) for r in wanted
    }
    if chosen.json:
        say(json.dumps(list(told.values()), indent=1, allow_nan=False))
        return 0
    for row in wanted:
        say(words.text(row, found[row.id], told[row.id]) + "\n")
    say(_summary(wanted, found))
    if others:
        warn(f"unfinished or broken, so not looked at: {listing(others)}")
    return 0


def _ours(row: Row, runs: Sequence[Run]) -> list[Ours]:
    """Find our runs of a row; one that cannot be scored is named, not lost."""
    from evaluation.reproducing.reproduce import ours

    try:
        return ours(row, runs)
    except RunError as error:
        warn(f"{row.id}: {error}")
        return []


def _summary(rows: Sequence[Row], found: dict[str, Any]) -> str:
    made = sum(any(not one.untrained for one in found[r.id]) for r in rows)
    only = sum(bool(found[r.id]) for r in rows) - made
    never = sum(bool(r.cannot) for r in rows)
    return (
        f"{count(len(rows), 'published row')}: {made} run here, {only} on an untrained "
        f"encoder alone, {len(rows) - made - only - never} not run here, {never} that "
        "no command makes"
    )


REPRODUCE = Command(
    "reproduce",
    "Show published figures beside our runs, each with its command, or run one.",
    (
        "python pipeline.py reproduce",
        "python pipeline.py reproduce hsn07pk-egemaps-logistic",
        "python pipeline.py reproduce --corpus ravdess --json",
    ),
    _arguments,
    reproduce,
)
