"""The command ``list``: what there is to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.command import Command
from contracts.errors import EmocacheError, listing
from contracts.terminal import say, table

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser

KINDS = ("corpora", "features", "models", "protocols", "labels", "variants")


def _list_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("kind", choices=KINDS, help="what to list")
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="all that is told of one protocol"
    )


def list_plugins(chosen: Namespace) -> int:
    """List what there is to choose from, read from the plug-ins themselves."""
    from contracts import labels, plugins

    if chosen.name and chosen.kind != "protocols":
        msg = (
            f"list {chosen.kind} takes no name, got {chosen.name!r}: only of a "
            "protocol there is more to tell, by python pipeline.py list protocols NAME"
        )
        raise EmocacheError(msg)
    if chosen.kind == "protocols":
        say(_one_protocol(chosen.name) if chosen.name else _protocols())
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


def _protocols() -> str:
    """Lay out name, corpus and title of every protocol."""
    from evaluation.splits import protocols

    rows = [[p.name, p.corpus or "any", p.title] for p in protocols.PROTOCOLS.values()]
    found = table(["name", "corpus", "what it does"], rows)
    return f"{found}\nsource and conformity: python pipeline.py list protocols NAME"


def _one_protocol(name: str) -> str:
    """Tell all of one protocol, a line for each fact.

    Raises:
        PluginError: if there is none of this name; the message lists those there are
    """
    from evaluation.splits import protocols
    from evaluation.splits.conformity import conformity

    plan = protocols.get(name)
    facts = {
        "name": plan.name,
        "corpus": plan.corpus or "any",
        "what it does": plan.title,
        "source": plan.citation or "ours",
        "label map": plan.labels or "the corpus' own",
        "seeds": listing(plan.seeds) or "as asked for",
        "conformity": conformity(plan),
        "note": plan.note,
    }
    return "\n".join(f"{key}: {told}" for key, told in facts.items() if told)


LIST = Command(
    "list",
    "List corpora, features, models, protocols, label maps or variants.",
    (
        "python pipeline.py list models",
        "python pipeline.py list protocols ravdess-luna5",
    ),
    _list_arguments,
    list_plugins,
)
