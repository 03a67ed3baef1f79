"""The command ``list``: what there is to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.command import Command
from contracts.terminal import say, table

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser

KINDS = ("corpora", "features", "models", "protocols", "labels", "variants")


def _list_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("kind", choices=KINDS, help="what to list")


def list_plugins(chosen: Namespace) -> int:
    """List what there is to choose from, read from the plug-ins themselves."""
    from contracts import labels, plugins
    from evaluation.splits import protocols
    from evaluation.splits.conformity import conformity

    if chosen.kind == "protocols":
        rows = [
            [p.name, p.title, p.citation, conformity(p)]
            for p in protocols.PROTOCOLS.values()
        ]
        say(table(["name", "what it does", "source", "conformity"], rows))
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


LIST = Command(
    "list",
    "List corpora, features, models, protocols, label maps or variants.",
    ("python pipeline.py list models",),
    _list_arguments,
    list_plugins,
)
