"""Verify, repair and clear a cache, in words: what the ``cache`` command says."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts import clearing, integrity, mending, plugins
from contracts.cache import Cache, sizes
from contracts.command import repair_command
from contracts.errors import CacheError, ManifestError, listing
from contracts.terminal import count, progress, say, table


def open_cache(folder: Path) -> Cache:
    """Open a cache that is there.

    Raises:
        CacheError: if there is none
    """
    if not folder.is_dir():
        msg = f"no cache {folder}. Run: python pipeline.py extract"
        raise CacheError(msg)
    return Cache(folder)


def names(cache: Cache, corpora: Sequence[str] | None = None) -> dict[str, list[str]]:
    """Return waveform hash -> ids, by the manifests that can be read."""
    out: dict[str, list[str]] = defaultdict(list)
    for corpus in corpora or cache.corpora:
        try:
            rows = cache.manifest(corpus).rows
        except ManifestError:
            continue
        for key, name in zip(rows["waveform"], rows["id"], strict=True):
            out[key].append(name)
    return dict(out)


def meant(cache: Cache, features: Sequence[str] | None) -> list[Path]:
    """Return the folders of the features that ``NAME`` or ``NAME@FINGERPRINT`` name.

    Raises:
        PluginError: if one names none; the message lists those there are
    """
    folders = cache.feature_folders()
    if not features:
        return folders
    there = [f.name for f in folders]
    known = [n for f in features for n in there if _is_named(n, f)]
    missing = [f for f in features if not any(_is_named(n, f) for n in there)]
    plugins.refuse_unknown("features", missing, there)
    return [f for f in folders if f.name in known]


def _is_named(short: str, asked: str) -> bool:
    name, _, fingerprint = short.partition("@")
    want, _, begins = asked.partition("@")
    return name == want and (fingerprint.startswith(begins[: len(fingerprint)]))


def verify(
    cache: Cache,
    corpora: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Check every file of a cache, or those that concern some corpora and features.

    Returns:
        what was checked and what is broken, as JSON

    Raises:
        CacheError: if it is of another format, or a corpus is not in it
        PluginError: if a feature is not in it
    """
    for corpus in set(corpora or ()) - set(cache.corpora):
        cache.manifest(corpus)  # says which there are
    ids = names(cache)
    chosen = names(cache, corpora) if corpora else ids
    folders = meant(cache, features)
    told: dict[str, Any] = {"cache": str(cache.folder), "manifests": [], "features": []}
    for corpus in corpora or cache.corpora:
        path = cache.folder / "manifest" / f"{corpus}.parquet"
        faults = integrity.check_manifest(path)
        size = path.stat().st_size
        told["manifests"].append(
            {"corpus": corpus, "bytes": size, "faults": _told(cache, faults, ids)}
        )

    def is_meant(commit: Mapping[str, Any]) -> bool:
        return not corpora or any(u[0] in chosen for u in commit["utterances"])

    with progress("verify", _shard_bytes(folders), "bytes") as advance:
        for folder in folders:
            state = integrity.check_feature(folder, advance, is_meant)
            told["features"].append(_feature(cache, state, ids))
    parts = told["manifests"] + told["features"]
    told["whole"] = not any(part["faults"] for part in parts)
    return told


def _shard_bytes(folders: Sequence[Path]) -> int:
    """Return how much there is to be read."""
    return sum(n for f in folders for _, n in sizes(f.glob("*.h5")))


def _feature(
    cache: Cache, state: integrity.FeatureState, ids: Mapping[str, list[str]]
) -> dict[str, Any]:
    return {
        "short": state.folder.name,
        "utterances": len({k for s in state.shards for k in s.keys}),
        "shards": sum(bool(s.told and s.told["shard"]) for s in state.shards),
        "files": len(list(state.folder.iterdir())),
        "bytes": sum(n for _, n in sizes(state.folder.iterdir())),
        "faults": _told(cache, list(state.all_faults()), ids),
        "leftovers": [str(p.relative_to(cache.folder)) for p in state.leftovers],
    }


def _told(
    cache: Cache, faults: Sequence[integrity.Fault], ids: Mapping[str, list[str]]
) -> list[dict[str, Any]]:
    return [
        {
            "file": str(fault.path.relative_to(cache.folder)),
            "what": fault.what,
            "utterances": [n for k in fault.keys for n in ids.get(k, [k[:12]])],
        }
        for fault in faults
    ]


def verified(told: Mapping[str, Any]) -> str:
    """Say what ``verify`` found, in lines."""
    lines = []
    for part in told["manifests"]:
        what = f"{part['corpus']}: manifest, {part['bytes'] / 1e6:.2f} MB"
        lines += _lines(what, part["faults"])
    for part in told["features"]:
        what = (
            f"{part['short']}: {count(part['utterances'], 'utterance')} in "
            f"{count(part['shards'], 'shard')}, {part['bytes'] / 1e6:.2f} MB"
        )
        lines += _lines(what, part["faults"])
        if part["leftovers"]:
            left = count(len(part["leftovers"]), "unfinished file")
            lines.append(f"  and {left}, which nothing reads: cache gc removes such")
        lines += [f"  {line}" for line in part.get("recomputed", [])]
    n = sum(len(p["faults"]) for p in [*told["manifests"], *told["features"]])
    if n:
        again = repair_command(Path(told["cache"]))
        lines.append(f"{count(n, 'fault')} in {told['cache']}. Mend them: {again}")
    return "\n".join(lines or [f"cache {told['cache']} is empty"])


def _lines(what: str, faults: Sequence[Mapping[str, Any]]) -> list[str]:
    if not faults:
        return [f"{what}: whole"]
    out = [f"{what}: {count(len(faults), 'fault')}"]
    for fault in faults:
        whose = f": {listing(fault['utterances'])}" if fault["utterances"] else ""
        out.append(f"  {fault['file']}: {fault['what']}{whose}")
    return out


def repair(cache: Cache) -> int:
    """Mend a cache and say what was done; return the exit code."""
    done: list[str] = []
    with cache.lock():
        ids = names(cache)
        done += mending.mend_manifests(cache)
        folders = cache.feature_folders()
        lost: dict[str, set[str]] = {}
        with progress("repair", _shard_bytes(folders), "bytes") as advance:
            for folder in folders:
                did, lost[folder.name] = mending.mend_feature(cache, folder, advance)
                done += did
    for line in done:
        say(line)
    for short, keys in lost.items():
        if keys:
            gone = sorted(n for k in keys for n in ids.get(k, [k[:12]]))
            say(f"{short}: {count(len(keys), 'utterance')} dropped: {listing(gone)}")
    if any(lost.values()):
        say("What was dropped is made again by: python pipeline.py extract")
    if not done:
        say(f"cache {cache.folder} is whole: nothing to mend")
    return 0


def collect(cache: Cache, is_sure: bool) -> int:
    """Show what nothing refers to, and remove it if ``is_sure``; the exit code."""
    if not is_sure:
        rubbish = clearing.find_rubbish(cache)
        say(_rubbish(cache, rubbish))
        if rubbish:
            say("nothing was removed: to remove it, add --yes")
        return 0
    with cache.lock():
        rubbish = clearing.clear(cache)
    say(_rubbish(cache, rubbish))
    if rubbish:
        say("removed")
    return 0


def _rubbish(cache: Cache, rubbish: clearing.Rubbish) -> str:
    """Lay out what nothing refers to."""
    if not rubbish:
        return f"cache {cache.folder}: everything in it is referred to"
    rows: list[list[object]] = [
        [
            f.store.spec.short,
            "in no manifest",
            len(f.keys),
            len(f.failed),
            f"{f.n_bytes / 1e6:.2f}",
        ]
        for f in rubbish.features
    ]
    for what, files in (
        ("unfinished", rubbish.files),
        ("quarantined", rubbish.quarantined),
    ):
        rows += [
            [p.relative_to(cache.folder), what, "", "", f"{n / 1e6:.2f}"]
            for p, n in files
        ]
    return table(["what", "why", "utterances", "failed", "MB"], rows)
