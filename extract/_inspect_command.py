"""The command inspect: what is in some corpora, said and kept for the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.command import AUDIO, Command, cache_option, runs_option, several
from contracts.terminal import say

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser


def corpus_options(parser: ArgumentParser) -> None:
    """Declare which corpora are meant and where they lie."""
    several(
        parser,
        "--corpus",
        "NAME",
        f"corpora; none: all recognised in {AUDIO} (python pipeline.py list corpora)",
    )
    several(
        parser,
        "--root",
        "PATH",
        f"the corpus' folder, or its table; none: {AUDIO}/NAME. One for each --corpus, "
        "in the same order",
    )
    cache_option(parser)


def _inspect_arguments(parser: ArgumentParser) -> None:
    corpus_options(parser)
    runs_option(parser)
    parser.add_argument(
        "--near-duplicates",
        action="store_true",
        help="also look for recordings that are there more than once, encoded anew; "
        "keeps their fingerprints in the cache",
    )


def inspect(chosen: Namespace) -> int:
    """Say what is in a corpus, and keep it for the report."""
    from contracts.cache import Cache
    from contracts.run import write_json
    from extract import _inspection, _inspection_near, _inspection_text, _stage

    cache = Cache(chosen.cache)
    roots = _stage.choose_roots(chosen.corpus, chosen.root, cache)
    scans, faults = _stage.scan_all(cache, roots, keep=False)
    near = None
    if chosen.near_duplicates:
        near, lacking = _inspection_near.look(cache, [s.manifest for s in scans])
        faults += lacking
    (chosen.runs / "inspect").mkdir(parents=True, exist_ok=True)
    for scan in scans:
        left = [
            {"path": str(x.path), "reason": x.reason, "fault": x.fault}
            for x in scan.leftovers
        ]
        corpus = scan.manifest.corpus
        facts = _inspection.inspect_manifest(scan.manifest, left)
        say(_inspection.print_inspection(facts))
        if near is not None:
            facts["near_duplicates"] = _inspection_near.of_corpus(near, corpus)
        write_json(chosen.runs / "inspect" / f"{corpus}.json", facts)
    if near is not None:
        say(_inspection_text.near_text(near))
    say("plots of this are in the page: python pipeline.py report")
    return _stage.say_faults(faults)


INSPECT = Command(
    "inspect",
    "Say what is in a corpus: counts, speakers, audio, duplicates, what is odd.",
    (
        "python pipeline.py inspect",
        "python pipeline.py inspect --corpus ravdess --root ~/ravdess",
        "python pipeline.py inspect --corpus crema_d emodb --near-duplicates",
    ),
    _inspect_arguments,
    inspect,
)
