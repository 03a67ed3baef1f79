"""The first stage as a whole: find corpora, scan them, make features, name faults."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd

from contracts import plugins
from contracts.cache import Cache
from contracts.command import AUDIO
from contracts.errors import ExtractionError, ManifestError, PluginError, listing
from contracts.extraction import Extractor, Options, remarks
from contracts.feature import FeatureSpec
from contracts.terminal import count, say, warn
from contracts.variant import Variant
from extract import _engine, _plan, _recognising, _scan, _spool
from extract._engine import Job
from extract._oddities import Note
from extract._scan import Scan
from extract._work import Recipe


def choose_roots(
    corpora: Sequence[str] | None, roots: Sequence[str] | None, cache: Cache
) -> dict[str, Path]:
    """Decide which corpora are meant and where they lie.

    A corpus that is named without a root lies in ``data/audio``, else where it lay
    when the cache met it.

    Args:
        corpora: names; none: all that are recognised in ``data/audio``
        roots: one for each name, in that order; none: where they are known to lie
        cache: which knows where corpora lay

    Raises:
        ManifestError: if none is there, or there are not as many roots as corpora
    """
    if corpora:
        given = [Path(root) for root in roots or ()]
        names = [_spelled(name, cache) for name in dict.fromkeys(corpora)]
        return _named_roots(names, given, cache)
    if roots:
        msg = f"--root {listing(roots)} needs to know its corpus: add --corpus NAME"
        raise ManifestError(msg)
    found, unknown = _recognising.corpora_in(AUDIO)
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


def _spelled(name: str, cache: Cache) -> str:
    """Return the name of a corpus as it is here: ``CREMA-D`` is ``crema_d``."""
    known = _recognising.published(name)
    if known in (None, name) or name in cache.corpora:
        return name
    warn(f"{name} is taken for the corpus {known}")
    return str(known)


def _named_roots(
    corpora: Sequence[str], given: Sequence[Path], cache: Cache
) -> dict[str, Path]:
    bad = [name for name in corpora if not re.fullmatch(r"\w[\w.-]*", name)]
    if bad:
        msg = (
            f"bad --corpus {listing(map(repr, bad))}: expected a name of letters, "
            "digits, dots, dashes; the folder goes into --root PATH"
        )
        raise ManifestError(msg)
    if given and len(given) != len(corpora):
        msg = (
            f"--root is given {len(given)} times for {len(corpora)} corpora: give one "
            "for each, in the same order, or none"
        )
        raise ManifestError(msg)
    found = {} if given else _recognising.corpora_in(AUDIO)[0]
    roots = {}
    for i, name in enumerate(corpora):
        known = cache.corpora
        lay = Path(cache.manifest(name).card["root"]) if name in known else AUDIO / name
        roots[name] = given[i] if given else found.get(name) or lay
    if gone := {name: path for name, path in roots.items() if not path.exists()}:
        first = next(iter(gone))
        if not given:  # a name that nothing here can read is said first
            plugins.check("corpora", [n for n in gone if n not in cache.corpora])
        msg = (
            f"no folder {listing(gone.values())}: put the corpus' audio there or link "
            f"it, or name its folder: python pipeline.py extract --corpus {first} "
            "--root PATH"
        )
        raise ManifestError(msg)
    return roots


def scan_all(
    cache: Cache,
    roots: dict[str, Path],
    limit: int | None = None,
    keep: bool = True,
    variants: Sequence[Variant] = (),
) -> tuple[list[Scan], list[tuple[str, str]]]:
    """Scan some corpora; one that cannot be read does not keep the others back.

    Args:
        cache: whose manifests spare listening again
        roots: corpus -> folder
        limit: of utterances per corpus
        keep: put the manifests into the cache, under its lock
        variants: to be made of every utterance

    Returns:
        the scans, and ``(what, why)`` of everything to mend

    Raises:
        ManifestError: if none of the corpora can be read
        PluginError: if nothing here reads the only one
    """
    scans, faults = [], []
    held = {key for store in cache.stores for key in store.places}
    for corpus, root in roots.items():
        before = cache.manifest(corpus) if corpus in cache.corpora else None
        try:
            near = cache.folder if keep else None
            scan = _scan.scan(corpus, root, before, limit, held, near, variants)
        except (ManifestError, PluginError) as error:
            if len(roots) == 1:
                raise
            faults.append((corpus, str(error)))
            continue
        if keep:
            cache.put_manifest(scan.manifest)
        _say_scan(scan, cache if keep else None)
        scans.append(scan)
        faults += scan.faults
    if not scans:
        msg = "; ".join(why for _, why in faults)
        raise ManifestError(msg)
    return scans, faults


def _say_scan(scan: Scan, cache: Cache | None) -> None:
    """Say what was found and what is odd; write it with every name into a cache."""
    rows = scan.manifest.rows
    made = rows["variant"] != ""
    hours = rows["duration"][~made].sum() / 3600
    speakers = len(set(rows["speaker"]) - {""})
    say(
        f"{scan.manifest.corpus}: {count(int((~made).sum()), 'utterance')}, "
        f"{count(speakers, 'speaker')}, {hours:.2f} hours"
        + (f", and {count(int(made.sum()), 'variant')}" if made.any() else "")
    )
    reader = scan.manifest.card["plugin"].rpartition(".")[2]
    if reader not in (scan.manifest.corpus, _recognising.TABLE):
        warn(
            f"  read as {reader}, by what lies there (python pipeline.py list corpora)"
        )
    notes = list(scan.notes)
    left = [f"{x.path.name} ({x.reason})" for x in scan.leftovers if not x.fault]
    if left:
        notes.append(Note(f"{len(left)} files are no utterances", tuple(left)))
    for note in notes:
        warn(f"  {note.text()}")
    if cache is not None and any(len(note.names) > 10 for note in notes):
        text = "\n".join(f"{n.what}:\n  " + "\n  ".join(n.names) for n in notes)
        path = cache.put_notes(scan.manifest.corpus, text + "\n")
        warn(f"  every name is in {path}")


def make_features(
    cache: Cache,
    frames: Sequence[pd.DataFrame],
    names: Sequence[str],
    options: Options,
    workers: int | None = None,
) -> list[tuple[str, str]]:
    """Make every feature that can be had; return what could not, with its reason."""
    rows = pd.concat(list(frames), ignore_index=True)
    jobs, faults = prepare(cache, rows, names, options)
    _plan.refuse_full_disk(cache, [(job.spec, job.todo) for job in jobs])
    with _spooled(cache, jobs):
        for outcome in _engine.run_all(cache, jobs, workers):
            spec, before = outcome.spec, outcome.n_before
            say(
                f"{spec.describe()}: {count(outcome.n_new, 'utterance')} extracted"
                + (f", {before} were there" if before else "")
                + (f", {len(outcome.failed)} failed" if outcome.failed else "")
            )
            faults += [(i, f"{spec.name}: {why}") for i, why in outcome.failed.items()]
    for job in jobs:
        for remark in remarks(job.extractor):
            warn(f"{job.spec.name}: {remark}")
    return faults


@contextmanager
def _spooled(cache: Cache, jobs: Sequence[Job]) -> Iterator[None]:
    """Decode long files of many segments once, for all jobs and all processes."""
    segments = {(i.path, i.start, i.end) for job in jobs for i in job.todo}
    with _spool.spool([path for path, *_ in segments], cache.folder) as sounds:
        where = {}
        for path in sorted(sounds.wanted):
            with suppress(ExtractionError):  # each segment will say it
                where[path] = str(sounds.sound(path))
        for job in jobs:
            job.todo = [replace(i, sound=where.get(i.path, "")) for i in job.todo]
        yield


def prepare(
    cache: Cache, rows: pd.DataFrame, names: Sequence[str], options: Options
) -> tuple[list[Job], list[tuple[str, str]]]:
    """Load features, and say what each lacks.

    Returns:
        one job per feature, quick ones first, and ``(feature, why)`` for those that
        cannot be had
    """
    jobs: list[Job] = []
    faults: list[tuple[str, str]] = []
    for name in names:
        try:
            extractor: Extractor = plugins.load("features", name).load(options)
        except ExtractionError as error:
            faults.append((name, str(error)))
            continue
        spec = extractor.spec
        recipe = Recipe(name, options, spec.fingerprint)
        job = Job(cache, extractor, rows, recipe)
        beside = _with_frames(cache, spec) if job.todo else None
        if beside is not None and not _plan.missing(cache, beside, rows):
            say(f"{spec.name}: {beside.describe()} holds what is pooled already")
            continue
        jobs.append(job)
    jobs.sort(key=lambda job: not job.spec.is_table)
    return jobs, faults


def _with_frames(cache: Cache, spec: FeatureSpec) -> FeatureSpec | None:
    """Find a feature in the cache that holds more than this: the frames as well."""
    if spec.is_table or spec.keeps_frames:
        return None
    for store in cache.stores:
        same = replace(store.spec, keeps="pooled", dtype="float32")
        if store.spec.keeps_frames and same.fingerprint == spec.fingerprint:
            return store.spec
    return None


def say_faults(faults: Sequence[tuple[str, str]]) -> int:
    """Name everything to mend; return the exit code."""
    if not faults:
        return 0
    things = "one thing" if len(faults) == 1 else f"{len(faults)} things"
    warn(f"{things} to mend; all else is done:")
    for what, why in faults:
        warn(f"  {what}: {why}")
    return 1
