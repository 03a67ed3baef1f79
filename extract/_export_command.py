"""The command ``export``: write a feature for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.command import Command, cache_option, several
from contracts.terminal import count, say, warn

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser


def _arguments(parser: ArgumentParser) -> None:
    several(parser, "--corpus", "NAME", "corpora; none: all in the cache")
    parser.add_argument(
        "--feature",
        required=True,
        metavar="NAME",
        help="in the cache: NAME, NAME:GROUP or NAME@FINGERPRINT",
    )
    parser.add_argument(
        "--encoder",
        metavar="NAME_OR_FOLDER",
        help="whose feature is meant, where there are several",
    )
    parser.add_argument(
        "--format",
        choices=("parquet", "npy", "audformat"),
        default="parquet",
        help="one row per utterance; one array with an index; or a database (tables "
        "and what is pooled)",
    )
    parser.add_argument(
        "--pooled",
        action="store_true",
        help="mean and deviation over time, not the frames",
    )
    parser.add_argument(
        "--variants",
        action="store_true",
        help="also augmented and degraded variants, if the feature was made of them",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="new, or empty"
    )
    cache_option(parser)


def _run(chosen: Namespace) -> int:
    """Write a feature of some corpora into a folder."""
    from extract import _export, _export_arrays, _export_audformat, _stage, _upkeep

    write = {
        "parquet": _export_arrays.write_parquet,
        "npy": _export_arrays.write_npy,
        "audformat": _export_audformat.write_audformat,
    }[chosen.format]
    view = _upkeep.open_cache(chosen.cache).view(
        *(chosen.corpus or ()), variants=chosen.variants, encoder=chosen.encoder
    )
    part = _export.choose(view, chosen.feature, chosen.pooled)
    with _export.new_folder(chosen.out) as folder:
        write(part, folder)
        _export.write_about(part, chosen.format, folder)
    n = count(len(part.keys), "utterance")
    say(f"{part.spec.describe()}: {n} in {chosen.out} as {chosen.format}")
    if part.spec.untrained:
        warn(
            f"  {part.spec.short} is untrained: its numbers come from random weights, "
            f"and {_export.ABOUT} says so"
        )
    return _stage.say_faults(part.view.left_out)


EXPORT = Command(
    "export",
    "Write a feature of the cache as Parquet, npy with an index, or audformat.",
    (
        "python pipeline.py export --corpus ravdess --feature egemaps --format parquet "
        "--out exported/egemaps",
        "python pipeline.py export --feature wav2vec2 --format npy --out exported/w2v2",
        "python pipeline.py export --feature wav2vec2 --pooled --format audformat "
        "--out exported/pooled",
    ),
    _arguments,
    _run,
)
