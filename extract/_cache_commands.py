"""The command ``cache`` and what it does: ls, verify, repair, why, gc."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from contracts.command import (
    Command,
    cache_option,
    device_option,
    join,
    run_action,
    several,
)
from contracts.errors import CacheError, EmocacheError
from contracts.terminal import say, warn

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser


def _json_option(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for other programs")


def ls(chosen: Namespace) -> int:
    """List the corpora and features of a cache."""
    from extract import _listing

    told = _listing.contents(chosen.cache)
    say(json.dumps(told, indent=1) if chosen.json else _listing.as_text(told))
    return 0


def _verify_arguments(parser: ArgumentParser) -> None:
    several(parser, "--corpus", "NAME", "only what concerns these corpora")
    several(
        parser, "--feature", "NAME", "only these features, NAME or NAME@FINGERPRINT"
    )
    parser.add_argument(
        "--recompute",
        type=int,
        default=0,
        metavar="K",
        help="also compute K random utterances of each feature again, each alone, and "
        "compare",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the draw")
    device_option(parser)
    _json_option(parser)


def verify(chosen: Namespace) -> int:
    """Check every file of a cache."""
    from extract import _upkeep

    if chosen.recompute < 0:
        msg = f"bad --recompute {chosen.recompute}: expected a number of utterances"
        raise CacheError(msg)
    cache = _upkeep.open_cache(chosen.cache)
    told = _upkeep.verify(cache, chosen.corpus, chosen.feature)
    if chosen.recompute:
        _recompute(chosen, told)
    say(json.dumps(told, indent=1) if chosen.json else _upkeep.verified(told))
    return 0 if told["whole"] else 1


def _recompute(chosen: Namespace, told: dict[str, object]) -> None:
    """Compute utterances of each whole feature again; add what came out."""
    from extract import _external, _upkeep, _upkeep_recompute

    if not told["whole"]:
        warn("nothing is computed again before the cache is mended")
        return
    cache = _upkeep.open_cache(chosen.cache)
    parts: list[dict[str, object]] = told["features"]  # type: ignore[assignment]
    for part in parts:
        store = next(s for s in cache.stores if s.spec.short == part["short"])
        if _external.is_external(store.spec):
            part["recomputed"] = [_external.NO_AUDIO]
            continue
        k, seed = chosen.recompute, chosen.seed
        try:
            found, problems = _upkeep_recompute.recompute(
                cache, store, k, seed, chosen.device, chosen.corpus or ()
            )
        except EmocacheError as error:
            part["recomputed"] = [f"not computed again: {error}"]
            told["whole"] = False
            continue
        part["recomputed"] = [found.text(store.spec), *problems]
        told["whole"] = told["whole"] and found.is_explained and not problems


def repair(chosen: Namespace) -> int:
    """Mend what is broken, and nothing else."""
    from extract import _upkeep

    return _upkeep.repair(_upkeep.open_cache(chosen.cache))


def _why_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("what", metavar="FILE_OR_ID", help="audio file, or an id")
    parser.add_argument(
        "--feature",
        metavar="NAME",
        help="also say what this feature would be with the options below, and what the "
        "nearest one in the cache differs in",
    )
    parser.add_argument("--encoder", metavar="NAME_OR_FOLDER", help="as for extract")
    parser.add_argument("--revision", metavar="REV", help="as for extract")
    parser.add_argument(
        "--layers", default="all", metavar="all|0-12", help="as for extract"
    )
    parser.add_argument(
        "--dtype", choices=("float16", "float32"), default="float16", help="of frames"
    )
    parser.add_argument(
        "--store", choices=("frames", "pooled"), default="frames", help="as for extract"
    )
    device_option(parser)
    parser.add_argument(
        "--precision",
        choices=("float32", "float16", "bfloat16"),
        default="float32",
        help="as for extract",
    )


def why(chosen: Namespace) -> int:
    """Say which features a file has, and why."""
    from contracts import plugins
    from contracts.extraction import Options
    from extract import _upkeep, _upkeep_why
    from extract.commands import parse_layers

    cache = _upkeep.open_cache(chosen.cache)
    if chosen.feature:
        plugins.check("features", [chosen.feature])
    lines = _upkeep_why.why(cache, chosen.what)
    if chosen.feature:
        options = Options(
            chosen.encoder,
            chosen.revision,
            parse_layers(chosen.layers),
            chosen.dtype,
            chosen.device,
            chosen.store,
            chosen.precision,
        )
        lines += _upkeep_why.would_be(cache, chosen.feature, options)
    say("\n".join(lines))
    return 0


def _gc_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--yes", action="store_true", help="remove it; without, it is only shown"
    )


def gc(chosen: Namespace) -> int:
    """Show, or remove, what no manifest refers to."""
    from extract import _upkeep

    return _upkeep.collect(_upkeep.open_cache(chosen.cache), chosen.yes)


_ACTIONS = (
    Command(
        "ls",
        "List what the cache holds.",
        ("python pipeline.py cache ls", "python pipeline.py cache ls --json"),
        _json_option,
        ls,
    ),
    Command(
        "verify",
        "Check every byte of the cache; exit code 1 if something is broken.",
        (
            "python pipeline.py cache verify",
            "python pipeline.py cache verify --feature wav2vec2 --recompute 3",
        ),
        _verify_arguments,
        verify,
    ),
    Command(
        "repair",
        "Drop what is broken, and only that; extract makes it again.",
        ("python pipeline.py cache repair",),
        lambda _: None,
        repair,
    ),
    Command(
        "why",
        "Say which features a file has, made how and when, and what extract would do.",
        (
            "python pipeline.py cache why "
            "data/audio/ravdess/Actor_01/03-01-05-01-01-01-01.wav",
            "python pipeline.py cache why NAME.wav --feature wav2vec2 --layers 0-6",
        ),
        _why_arguments,
        why,
    ),
    Command(
        "gc",
        "Show what no manifest refers to; remove it with --yes.",
        ("python pipeline.py cache gc", "python pipeline.py cache gc --yes"),
        _gc_arguments,
        gc,
    ),
)


def _arguments(parser: ArgumentParser) -> None:
    join(parser, "action", _ACTIONS, cache_option)


def _run(chosen: Namespace) -> int:
    return run_action(_ACTIONS, chosen)


CACHE = Command(
    "cache",
    "Show, verify, mend and clear the cache; say why a feature is there or not.",
    (
        "python pipeline.py cache ls",
        "python pipeline.py cache verify",
        "python pipeline.py cache why FILE",
    ),
    _arguments,
    _run,
)
