"""Commands of the first stage: inspect, extract, cache, external, export, untrained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.command import (
    Command,
    device_option,
    several,
)
from contracts.errors import ExtractionError, ManifestError
from contracts.terminal import say
from extract._cache_commands import CACHE
from extract._export_command import EXPORT
from extract._external_command import EXTERNAL
from extract._inspect_command import INSPECT, corpus_options

if TYPE_CHECKING:
    from argparse import Namespace

    import pandas as pd
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
        help="pretrained encoder of wav2vec2 or whisper: hub name or local folder; "
        "demo: a small untrained one; none: facebook/wav2vec2-base, "
        "openai/whisper-base",
    )
    parser.add_argument("--revision", metavar="REV", help="of the encoder on the hub")
    several(
        parser,
        "--augment",
        "NAME",
        "also variants that may stand only in train: noise, noise-10dB, speed, pitch "
        "... (python pipeline.py list variants)",
    )
    parser.add_argument(
        "--copies", type=int, default=1, metavar="N", help="of each --augment"
    )
    several(
        parser,
        "--degrade",
        "NAME",
        "also variants that may stand only in test: telephone, noise-10dB, mp3-16k, "
        "reverb ...",
    )
    parser.add_argument(
        "--layers", default="all", metavar="all|0-12", help="hidden states to store"
    )
    parser.add_argument(
        "--dtype", choices=("float16", "float32"), default="float16", help="of frames"
    )
    parser.add_argument(
        "--store",
        choices=("frames", "pooled"),
        default="frames",
        help="frames and what is pooled of them, or mean and deviation alone",
    )
    device_option(parser)
    parser.add_argument(
        "--precision",
        choices=("float32", "float16", "bfloat16"),
        default="float32",
        help="of the encoder's matrix products; less than float32 is for GPUs, "
        "changes the numbers and says by how much",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes on the CPU; none: one per core where that pays",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say what it would take, in time and disk, and write nothing",
    )
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
    from extract import _estimate, _spool, _stage, _variants

    names = list(dict.fromkeys(chosen.feature or FEATURES))
    plugins.check("features", names)
    for option in ("limit", "workers", "copies"):
        value = getattr(chosen, option)
        if value is not None and value < 1:
            msg = f"bad --{option} {value}: expected a number above 0"
            raise ManifestError(msg)
    options = Options(
        chosen.encoder,
        chosen.revision,
        parse_layers(chosen.layers),
        chosen.dtype,
        chosen.device,
        chosen.store,
        chosen.precision,
    )
    wanted = _variants.choose("augment", chosen.augment or (), chosen.copies)
    wanted += _variants.choose("degrade", chosen.degrade or ())
    cache = Cache(chosen.cache)
    roots = _stage.choose_roots(chosen.corpus, chosen.root, cache)

    def found(keep: bool) -> tuple[list[pd.DataFrame], list[tuple[str, str]]]:
        scans, faults = _stage.scan_all(cache, roots, chosen.limit, keep, wanted)
        # variants that are not asked for are not made, even where they are listed
        rows = [_variants.belonging(scan.manifest.rows, wanted) for scan in scans]
        return rows, faults

    if chosen.dry_run:
        rows, faults = found(keep=False)
        faults += _estimate.say_estimate(cache, rows, names, options, chosen.workers)
        return _stage.say_faults(faults)
    with cache.lock():
        _spool.sweep(cache.folder)
        rows, faults = found(keep=True)
        faults += _stage.make_features(cache, rows, names, options, chosen.workers)
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
    INSPECT,
    Command(
        "extract",
        "Write manifests and features of audio into the cache; a killed run goes on.",
        (
            "python pipeline.py extract",
            "python pipeline.py extract --corpus ravdess --root ~/ravdess "
            "--feature egemaps mfcc",
            "python pipeline.py extract --corpus mine --root speech.csv --encoder "
            "facebook/hubert-base-ls960 --layers 0-12",
            "python pipeline.py extract --feature wav2vec2 --dry-run",
            "python pipeline.py extract --feature egemaps --augment noise speed "
            "--copies 2 --degrade telephone noise-10dB",
        ),
        _extract_arguments,
        extract,
    ),
    CACHE,
    EXTERNAL,
    EXPORT,
    Command(
        "untrained",
        "Save an encoder with random weights to a folder, to try without the hub.",
        ("python pipeline.py untrained --out data/encoders/untrained-base --seed 0",),
        _untrained_arguments,
        untrained,
    ),
]
