"""The first stage as a whole: find corpora, scan them, make features, name faults."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from contracts import plugins
from contracts.cache import Cache
from contracts.command import AUDIO
from contracts.errors import ExtractionError, ManifestError, listing
from contracts.extraction import Extractor, Options
from contracts.terminal import say, warn
from extract import _engine, _scan
from extract._scan import Scan


def recognised(audio: Path) -> tuple[dict[str, Path], list[str]]:
    """Find the corpora in a folder of corpora.

    Returns:
        name -> folder, and the names of folders that nothing here can read
    """
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
            "with the wav files of RAVDESS, or any folder with a table of file, "
            "speaker and emotion; or name one with --corpus NAME --root PATH. To try "
            "it without audio: make demo"
        )
        raise ManifestError(msg)
    return found


def scan_all(cache: Cache, roots: dict[str, Path], limit: int | None) -> list[Scan]:
    """Make and keep the manifests of some corpora; under the cache's lock."""
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


def make_features(
    cache: Cache, frames: Sequence[pd.DataFrame], names: Sequence[str], options: Options
) -> list[tuple[str, str]]:
    """Make every feature that can be had; return what could not, with its reason."""
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


def say_faults(faults: Sequence[tuple[str, str]]) -> int:
    if not faults:
        return 0
    things = "one thing" if len(faults) == 1 else f"{len(faults)} things"
    warn(f"{things} to mend; all else is done:")
    for what, why in faults:
        warn(f"  {what}: {why}")
    return 1
