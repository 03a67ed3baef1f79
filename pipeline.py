"""Speech emotion in two stages: extract once, fit in seconds, report what holds.

    python pipeline.py extract
    python pipeline.py fit --model fusion
    python pipeline.py report

This file joins the commands that the stages declare, and does no more.
"""

import importlib
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contracts.command import Command, join
from contracts.errors import EmocacheError
from contracts.terminal import warn

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

# threads that wait for each other give their core away: on a machine that does
# something else besides, spinning made extraction eight times slower
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

STAGES = ("corpora", "extract", "evaluation", "report", "serve")


def commands() -> dict[str, Command]:
    """Collect the commands of all stages, in the order of the street."""
    modules = [importlib.import_module(f"{stage}.commands") for stage in STAGES]
    return {command.name: command for m in modules for command in m.COMMANDS}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: command line; None: that of the process

    Returns:
        exit code: 0 all well, 1 something named went wrong, 2 refused before work
        began, 130 interrupted
    """
    known = commands()
    chosen = _parser(known).parse_args(None if arguments is None else [*arguments])
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("models").setLevel(logging.INFO)  # seconds per epoch
    try:
        return known[chosen.command].run(chosen[chosen.command])
    except EmocacheError as error:
        warn(f"{chosen.command}: {error}")
        return 2
    except KeyboardInterrupt:
        warn(f"{chosen.command}: stopped. What is committed stays; run it again")
        return 130
    except BrokenPipeError:  # the reader of our output went away: ``| head``
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:  # a folder that is a file, a disk that is full
        where = f" {error.filename}" if error.filename else ""
        why = error.strerror or error
        warn(
            f"{chosen.command}: cannot read or write{where}: {why}. Name another file "
            "or folder, or make room; what is committed stays"
        )
        return 1


def _parser(known: Mapping[str, Command]) -> "ArgumentParser":
    """Join the commands into one parser."""
    from jsonargparse import ArgumentParser, DefaultHelpFormatter

    class Help(DefaultHelpFormatter):
        """Keep the lines of examples; say a default only where there is one."""

        def _fill_text(self, text: str, width: int, indent: str) -> str:
            lines = text.splitlines()
            return "\n".join(f"{indent}{line}" for line in lines)

        def _get_help_string(self, action: Any) -> str:
            told = action.default not in (None, False, [], "==SUPPRESS==")
            said = action.help or ""
            return f"{said} (default: {action.default})" if told else said

    def config(own: ArgumentParser) -> None:
        own.add_argument("--config", action="config", help="YAML file with options")

    parser = ArgumentParser(
        prog="pipeline.py",
        description=(__doc__ or "").partition("\n")[0],
        epilog="Help on one command: python pipeline.py COMMAND --help",
        formatter_class=Help,
        allow_abbrev=False,
    )
    join(parser, "command", known.values(), config)
    return parser


if __name__ == "__main__":
    sys.exit(main())
