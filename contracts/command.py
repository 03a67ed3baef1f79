"""How a stage declares its commands; pipeline.py finds and joins them.

Each stage has a ``commands.py`` with a list ``COMMANDS``. Declaring one imports
nothing heavy: what a command needs is imported when it runs, so ``--help`` is quick.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser

AUDIO, CACHE, RUNS = Path("data/audio"), Path("data/cache"), Path("data/runs")
REPORT = Path("data/reports/report.html")


@dataclass(frozen=True)
class Command:
    """One command of the command line.

    Attributes:
        name: what is typed
        summary: one line for the list of commands
        examples: command lines that work
        add_arguments: declares the arguments on a parser
        run: does it; returns the exit code: 0 all well, 1 something is named that
            went wrong while everything else was done
    """

    name: str
    summary: str
    examples: tuple[str, ...]
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]


def join(
    parser: ArgumentParser,
    dest: str,
    commands: Iterable[Command],
    more: Callable[[ArgumentParser], None] | None = None,
) -> None:
    """Give each command a parser of its own below another one.

    Args:
        parser: that they go below
        dest: where the name that is typed is kept
        commands: what can be typed
        more: declares what all of them have, behind their own arguments
    """
    below = parser.add_subcommands(dest=dest, required=True)
    for command in commands:
        lines = "\n".join(f"  {line}" for line in command.examples)
        own = type(parser)(
            description=command.summary,
            epilog=f"examples:\n{lines}",
            formatter_class=parser.formatter_class,
            allow_abbrev=False,
        )
        # joined first: a command's own sub-commands go below it
        below.add_subcommand(command.name, own, help=command.summary)
        command.add_arguments(own)
        if more is not None:
            more(own)


def run_action(actions: Iterable[Command], chosen: Namespace) -> int:
    """Run the one of some commands, joined as ``action``, that was typed."""
    action = next(one for one in actions if one.name == chosen.action)
    return action.run(getattr(chosen, chosen.action))


def several(parser: ArgumentParser, flag: str, metavar: str, help: str) -> None:
    """Declare an option that takes one value or more and may be given again."""
    kwargs: dict[str, Any] = {"nargs": "+", "action": "extend", "metavar": metavar}
    parser.add_argument(flag, help=help, **kwargs)


def cache_option(parser: ArgumentParser) -> None:
    """Declare ``--cache``."""
    parser.add_argument(
        "--cache", type=Path, default=CACHE, metavar="DIR", help="the cache"
    )


def runs_option(parser: ArgumentParser) -> None:
    """Declare ``--runs``."""
    parser.add_argument(
        "--runs", type=Path, default=RUNS, metavar="DIR", help="folder of the runs"
    )


def device_option(parser: ArgumentParser) -> None:
    """Declare ``--device``."""
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="to extract on",
    )


def repair_command(cache: Path) -> str:
    """Return the command that mends a cache."""
    where = "" if cache == CACHE else f" --cache {shlex.quote(str(cache))}"
    return f"python pipeline.py cache repair{where}"
