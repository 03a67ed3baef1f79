"""Commands of the first stage: extract, cache, untrained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.command import AUDIO, Command, cache_option, several
from contracts.errors import CacheError, ExtractionError, ManifestError, listing
from contracts.terminal import say, table, warn

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    import pandas as pd
    from jsonargparse import ArgumentParser

    from contracts.cache import Cache
    from contracts.extraction import Extractor, Options
    from extract._scan import Scan

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
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="to compute on",
    )
    parser.add_argument(
        "--limit",
        type=int,
        metavar="N",
        help="only N utterances, spread over the corpus",
    )


def recognised(audio: Path) -> tuple[dict[str, Path], list[str]]:
    """Find the corpora in a folder of corpora.

    Returns:
        name -> folder, and the names of folders that nothing here can read
    """
    from contracts import plugins
    from extract import _scan

    known = {name: name for name in plugins.names("corpora") if name != _scan.TABLE}
    reads = plugins.load("corpora", _scan.TABLE)
    found, unknown = {}, []
    folders = sorted(audio.iterdir()) if audio.is_dir() else []
    for folder in folders:
        if not folder.is_dir() or folder.name.startswith("."):
            continue
        name = known.get(folder.name.lower())
        if name:
            found[name] = folder
        elif reads.recognises(folder):
            found[folder.name] = folder
        else:
            unknown.append(folder.name)
    return found, unknown


def choose_roots(corpora: Sequence[str] | None, root: Path | None) -> dict[str, Path]:
    """Decide which corpora are meant and where they lie.

    Raises:
        ManifestError: if none is there, or one root is given for several
    """
    if corpora:
        if root is not None and len(set(corpora)) > 1:
            msg = (
                f"one --root for {len(corpora)} corpora: give one --corpus, or no root"
            )
            raise ManifestError(msg)
        return {name: root or AUDIO / name for name in corpora}
    if root is not None:
        msg = f"--root {root} needs to know its corpus: add --corpus NAME"
        raise ManifestError(msg)
    found, unknown = recognised(AUDIO)
    if unknown:
        warn(
            f"{AUDIO}: nothing here can read {listing(unknown)}. A folder is named "
            "like a corpus (python pipeline.py list corpora) or holds a table"
        )
    if not found:
        msg = (
            f"no corpus in {AUDIO}: put or link one there, such as {AUDIO}/ravdess "
            "with the wav files of RAVDESS, or any folder with a table of file, speaker "
            "and emotion; or name one with --corpus NAME --root PATH. To try it without "
            "audio: make demo"
        )
        raise ManifestError(msg)
    return found


def scan_all(cache: Cache, roots: dict[str, Path], limit: int | None) -> list[Scan]:
    """Make and keep the manifests of some corpora; under the cache's lock."""
    from extract import _scan

    scans = []
    for corpus, root in roots.items():
        before = cache.manifest(corpus) if corpus in cache.corpora else None
        scan = _scan.scan(corpus, root, before, limit)
        cache.put_manifest(scan.manifest)
        rows = scan.manifest.rows
        hours = rows["duration"].sum() / 3600
        speakers = len(set(rows["speaker"]) - {""})
        say(f"{corpus}: {len(rows)} utterances, {speakers} speakers, {hours:.2f} hours")
        for warning in scan.warnings:
            warn(f"  {warning}")
        told = [f"{x.path.name} ({x.reason})" for x in scan.leftovers if not x.fault]
        if told:
            warn(f"  {len(told)} files are no utterances: {listing(told)}")
        scans.append(scan)
    return scans


def extract(chosen: Namespace) -> int:
    """Write manifests and features into the cache."""
    from contracts import plugins
    from contracts.cache import Cache
    from contracts.extraction import Options

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
    roots = choose_roots(chosen.corpus, chosen.root)
    cache = Cache(chosen.cache)
    with cache.lock():
        scans = scan_all(cache, roots, chosen.limit)
        faults = [fault for scan in scans for fault in scan.faults]
        faults += _features(cache, [s.manifest.rows for s in scans], names, options)
    return _say_faults(faults)


def _features(
    cache: Cache, frames: Sequence[pd.DataFrame], names: Sequence[str], options: Options
) -> list[tuple[str, str]]:
    """Make every feature that can be had; return what could not, with its reason."""
    import pandas as pd

    from contracts import plugins
    from extract import _engine

    rows = pd.concat(list(frames), ignore_index=True)
    faults: list[tuple[str, str]] = []
    ready: list[Extractor] = []
    for name in names:
        try:
            ready.append(plugins.load("features", name).load(options))
        except ExtractionError as error:
            faults.append((name, str(error)))
    ready.sort(key=lambda e: not e.spec.is_table)  # what is quick comes first
    wanted = [(e.spec, _engine.missing(cache, e.spec, rows)) for e in ready]
    _engine.refuse_full_disk(cache, wanted)
    for extractor in ready:
        outcome = _engine.run(cache, extractor, rows)
        spec, before = outcome.spec, outcome.n_before
        say(
            f"{spec.describe()}: {outcome.n_new} utterances extracted"
            + (f", {before} were there" if before else "")
            + (f", {len(outcome.failed)} failed" if outcome.failed else "")
        )
        faults += [(i, f"{spec.name}: {why}") for i, why in outcome.failed.items()]
    return faults


def _say_faults(faults: Sequence[tuple[str, str]]) -> int:
    if not faults:
        return 0
    things = "one thing" if len(faults) == 1 else f"{len(faults)} things"
    warn(f"{things} to mend; all else is done:")
    for what, why in faults:
        warn(f"  {what}: {why}")
    return 1


def _cache_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=("ls",), help="ls: list what the cache holds")
    parser.add_argument("--json", action="store_true", help="for other programs")
    cache_option(parser)


def cache_ls(chosen: Namespace) -> int:
    """List the corpora and features of a cache."""
    from contracts.cache import Cache

    cache = Cache(chosen.cache)
    if not cache.folder.is_dir():
        msg = f"no cache {cache.folder}. Run: python pipeline.py extract"
        raise CacheError(msg)
    told = {"cache": str(cache.folder), **_corpora(cache), "features": _stores(cache)}
    if chosen.json:
        say(json.dumps(told, indent=1))
        return 0
    corpora = [
        [
            c["corpus"],
            c["utterances"],
            c["speakers"],
            f"{c['hours']:.2f}",
            c["problems"],
        ]
        for c in told["corpora"]
    ]
    say(table(["corpus", "utterances", "speakers", "hours", "problems"], corpora))
    say()
    features = [
        [
            *(f[k] for k in ("short", "utterances", "failed", "layers", "channels")),
            *(f["dtype"], f"{f['bytes'] / 1e6:.1f}", f["encoder"], f["note"]),
        ]
        for f in told["features"]
    ]
    heads = ["feature", "utterances", "failed", "layers", "channels", "dtype", "MB"]
    say(table([*heads, "encoder", ""], features))
    return 0


def _corpora(cache: Cache) -> dict[str, Any]:
    out = []
    for name in cache.corpora:
        rows = cache.manifest(name).rows
        out.append(
            {
                "corpus": name,
                "utterances": len(rows),
                "speakers": len(set(rows["speaker"]) - {""}),
                "hours": float(rows["duration"].sum() / 3600),
                "problems": int((rows["problem"] != "").sum()),
            }
        )
    return {"corpora": out}


def _stores(cache: Cache) -> list[dict[str, Any]]:
    return [
        {
            "short": s.spec.short,
            "name": s.spec.name,
            "fingerprint": s.spec.fingerprint,
            "encoder": s.spec.encoder,
            "untrained": s.spec.untrained,
            "note": "untrained" if s.spec.untrained else "",
            "layers": len(s.spec.layers),
            "channels": s.spec.n_channels,
            "dtype": s.spec.dtype,
            "utterances": len(s.places),
            "failed": len(s.failed),
            "bytes": sum(p.stat().st_size for p in s.folder.iterdir()),
            "settings": dict(s.spec.settings),
        }
        for s in cache.stores
    ]


def _untrained_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="new")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the weights"
    )


def untrained(chosen: Namespace) -> int:
    """Save an encoder of the base architecture with random weights."""
    from extract._untrained import save_untrained

    if chosen.out.exists() and any(chosen.out.iterdir()):
        msg = f"{chosen.out} is not empty: choose a new folder with --out"
        raise ExtractionError(msg)
    save_untrained(chosen.out, chosen.seed)
    say(f"an untrained encoder (seed {chosen.seed}) is in {chosen.out}. Use it with:")
    say(f"  python pipeline.py extract --feature wav2vec2 --encoder {chosen.out}")
    return 0


COMMANDS = [
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
