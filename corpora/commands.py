"""The command of the corpora: speak the demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.command import AUDIO, Command

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser

FOLDER = AUDIO / "demo"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of ``speak``."""
    parser.add_argument(
        "--root", type=Path, default=FOLDER, metavar="DIR", help="folder to speak into"
    )


def speak(root: Path) -> int:
    """Speak the demo corpus and say how many files and where.

    Args:
        root: folder to speak into

    Returns:
        exit code
    """
    from contracts.terminal import say
    from corpora import demo

    spoken = demo.speak(root)
    there = len(demo.names()) - spoken
    say(f"spoke {spoken} utterances into {root} ({there} were there already)")
    return 0


def _run(arguments: Namespace) -> int:
    return speak(arguments.root)


COMMANDS = [
    Command(
        name="speak",
        summary="Speak the demo corpus: 384 utterances by eSpeak NG, no download.",
        examples=("python pipeline.py speak",),
        add_arguments=add_arguments,
        run=_run,
    )
]
