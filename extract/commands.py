"""Commands of the first stage: inspect, extract, cache, untrained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.command import (
    AUDIO,
    Command,
    cache_option,
    device_option,
    runs_option,
    several,
)
from contracts.errors import ExtractionError, ManifestError
from contracts.terminal import say

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser


FEATURES = ("egemaps", "wav2vec2")  # the default, in the order they are made


def parse_layers(text: str) -> tuple[int, ...] | None:
    """Read ``all``, ``0-12`` or ``0,6,9-12``.

    Raises:
        ExtractionError: if it is none of these
    """
    if text == "all":
        return None
    layers: set[int] = set()
    for piece in text.split(","):
        first, _, last = piece.strip().partition("-")
        if not (first.isdigit() and (last or first).isdigit()):
            msg = (
                f"bad --layers {text!r}: expected all, 0-12 or a list such as 0,6,9-12"
            )
            raise ExtractionError(msg)
        layers |= set(range(int(first), int(last or first) + 1))
    if not layers:
        msg = f"bad --layers {text!r}: the range is empty"
        raise ExtractionError(msg)
    return tuple(sorted(layers))


def corpus_options(parser: ArgumentParser) -> None:
    """Declare which corpora are meant and where they lie."""
    several(
        parser,
        "--corpus",
        "NAME",
        f"corpora; none: all recognised in {AUDIO} (python pipeline.py list corpora)",
    )
    parser.add_argument(
        "--root",
        type=Path,
        metavar="PATH",
        help=f"the corpus' folder, or its table; none: {AUDIO}/NAME",
    )
    cache_option(parser)


def _extract_arguments(parser: ArgumentParser) -> None:
    corpus_options(parser)
    several(
        parser,
        "--feature",
        "NAME",
        f"features; none: {' '.join(FEATURES)} (python pipeline.py list features)",
    )
    parser.add_argument(
        "--encoder",
        metavar="NAME_OR_FOLDER",
        help="pretrained encoder of wav2vec2: hub name or local folder; demo: a small "
        "untrained one; none: facebook/wav2vec2-base",
    )
    parser.add_argument("--revision", metavar="REV", help="of the encoder on the hub")
    parser.add_argument(
        "--layers", default="all", metavar="all|0-12", help="hidden states to store"
    )
    parser.add_argument(
        "--dtype", choices=("float16", "float32"), default="float16", help="of frames"
    )
    device_option(parser)
    parser.add_argument(
        "--limit",
        type=int,
        metavar="N",
        help="only N utterances, spread over the corpus",
    )


def extract(chosen: Namespace) -> int:
    """Write manifests and features into the cache."""
    from contracts import plugins
    from contracts.cache import Cache
    from contracts.extraction import Options
    from extract import _stage

    names = list(dict.fromkeys(chosen.feature or FEATURES))
    plugins.check("features", names)
    if chosen.limit is not None and chosen.limit < 1:
        msg = f"bad --limit {chosen.limit}: expected a number above 0"
        raise ManifestError(msg)
    options = Options(
        chosen.encoder,
        chosen.revision,
        parse_layers(chosen.layers),
        chosen.dtype,
        chosen.device,
    )
    cache = Cache(chosen.cache)
    roots = _stage.choose_roots(chosen.corpus, chosen.root, cache)
    with cache.lock():
        scans, faults = _stage.scan_all(cache, roots, chosen.limit)
        frames = [scan.manifest.rows for scan in scans]
        faults += _stage.make_features(cache, frames, names, options)
    return _stage.say_faults(faults)


def _cache_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=("ls",), help="ls: list what the cache holds")
    parser.add_argument("--json", action="store_true", help="for other programs")
    cache_option(parser)


def cache_ls(chosen: Namespace) -> int:
    """List the corpora and features of a cache."""
    from extract import _listing

    told = _listing.contents(chosen.cache)
    say(json.dumps(told, indent=1) if chosen.json else _listing.as_text(told))
    return 0


def _inspect_arguments(parser: ArgumentParser) -> None:
    corpus_options(parser)
    runs_option(parser)


def inspect(chosen: Namespace) -> int:
    """Say what is in a corpus, and keep it for the report."""
    from contracts.cache import Cache
    from contracts.run import write_json
    from extract import _inspection, _stage

    cache = Cache(chosen.cache)
    roots = _stage.choose_roots(chosen.corpus, chosen.root, cache)
    scans, faults = _stage.scan_all(cache, roots, keep=False)
    (chosen.runs / "inspect").mkdir(parents=True, exist_ok=True)
    for scan in scans:
        left = [
            {"path": str(x.path), "reason": x.reason, "fault": x.fault}
            for x in scan.leftovers
        ]
        facts = _inspection.inspect_manifest(scan.manifest, left)
        say(_inspection.print_inspection(facts))
        write_json(chosen.runs / "inspect" / f"{scan.manifest.corpus}.json", facts)
    say("plots of this are in the page: python pipeline.py report")
    return _stage.say_faults(faults)


def _untrained_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="new")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the weights"
    )


def untrained(chosen: Namespace) -> int:
    """Save an encoder of the base architecture with random weights."""
    from extract._untrained import save_untrained

    save_untrained(chosen.out, chosen.seed)
    say(f"an untrained encoder (seed {chosen.seed}) is in {chosen.out}. Use it with:")
    say(f"  python pipeline.py extract --feature wav2vec2 --encoder {chosen.out}")
    return 0


COMMANDS = [
    Command(
        "inspect",
        "Say what is in a corpus: counts, speakers, audio, duplicates, what is odd.",
        (
            "python pipeline.py inspect",
            "python pipeline.py inspect --corpus ravdess --root ~/ravdess",
        ),
        _inspect_arguments,
        inspect,
    ),
    Command(
        "extract",
        "Write manifests and features of audio into the cache; a killed run goes on.",
        (
            "python pipeline.py extract",
            "python pipeline.py extract --corpus ravdess --root ~/ravdess "
            "--feature egemaps mfcc",
            "python pipeline.py extract --corpus mine --root speech.csv --encoder "
            "facebook/hubert-base-ls960 --layers 0-12",
        ),
        _extract_arguments,
        extract,
    ),
    Command(
        "cache",
        "Show what the cache holds.",
        ("python pipeline.py cache ls", "python pipeline.py cache ls --json"),
        _cache_arguments,
        cache_ls,
    ),
    Command(
        "untrained",
        "Save an encoder with random weights to a folder, to try without the hub.",
        ("python pipeline.py untrained --out data/encoders/untrained-base --seed 0",),
        _untrained_arguments,
        untrained,
    ),
]
