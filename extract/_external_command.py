"""The command ``external``: put arrays that were made elsewhere into the cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.command import Command, cache_option, several
from contracts.errors import ExtractionError, listing
from contracts.terminal import count, say, warn

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        type=Path,
        required=True,
        metavar="FILE",
        help=".parquet, .csv, .tsv or .npz with one array per utterance "
        "(extract/external.py says how)",
    )
    several(parser, "--corpus", "NAME", "corpora; none: all in the cache")
    parser.add_argument(
        "--name", metavar="NAME", help="of the feature; none: the file's name"
    )
    parser.add_argument(
        "--frame-shift",
        type=float,
        metavar="SECONDS",
        help="from one frame to the next, where the arrays have frames",
    )
    parser.add_argument(
        "--dtype", choices=("float16", "float32"), default="float32", help="of frames"
    )
    cache_option(parser)


def _run(chosen: Namespace) -> int:
    """Put a file's arrays into the cache, and say what has none."""
    import pandas as pd

    from extract import _arrays, _external, _pairing, _stage, _upkeep

    path: Path = getattr(chosen, "from")
    name = chosen.name or path.stem
    _external.check_name(name)
    if not path.is_file():
        msg = f"no file {path}: expected one with arrays. Give it with --from FILE"
        raise ExtractionError(msg)
    arrays = _arrays.read(path)
    cache = _upkeep.open_cache(chosen.cache)
    corpora = list(dict.fromkeys(chosen.corpus or cache.corpora))
    if not corpora:
        msg = f"cache {cache.folder} has no corpus. Run: python pipeline.py extract"
        raise ExtractionError(msg)
    with cache.lock():
        frames = [cache.manifest(corpus).rows for corpus in corpora]
        rows = pd.concat(frames, ignore_index=True)
        meant = (rows["variant"] == "") | rows["id"].isin(arrays.keys)
        rows = rows[meant].reset_index(drop=True)
        found = _pairing.match(arrays, rows, path)
        keys = list(found.key_of.values())
        shift, dtype = chosen.frame_shift, chosen.dtype
        spec = _external.understand(arrays, keys, path, name, shift, dtype)
        n_new, n_before = _external.put(cache, rows, spec, arrays, found)
    n = len(found.lacking)
    say(
        f"{spec.describe()}: {count(n_new, 'utterance')} put in"
        + (f", {n_before} were there" if n_before else "")
        + (f", {n} without an array" if n else "")
    )
    if arrays.ignored:
        warn(f"  columns that are no features: {listing(arrays.ignored)}")
    if found.unknown:
        n_unknown = len(found.unknown)
        warn(
            f"  {n_unknown} of the file are no utterances of {listing(corpora)}: "
            f"{listing(found.unknown)}"
        )
    faults = [(i, f"{name}: {path} has no array for it") for i in found.lacking]
    bad = rows[rows["problem"] != ""]
    faults += list(zip(bad["id"], bad["problem"], strict=True))
    return _stage.say_faults(faults)


EXTERNAL = Command(
    "external",
    "Put arrays made elsewhere into the cache: embeddings, another model's.",
    (
        "python pipeline.py external --from face.parquet --corpus ravdess --name face",
        "python pipeline.py external --from hubert.npz --frame-shift 0.02",
    ),
    _arguments,
    _run,
)
