"""Say of one file which features the cache has of it, and why: ``cache why``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts import plugins, variant
from contracts.cache import Cache, FeatureStore
from contracts.errors import CacheError, ExtractionError
from contracts.extraction import Options
from extract import _audio, _external, _variants
from extract._upkeep_recompute import differences


@dataclass(frozen=True)
class Stretch:
    """An utterance of a manifest, or a file that is in none.

    Attributes:
        name: id in the manifest, or the file's path
        known: waveform hash that the manifest has; empty: it has none
        problem: why the manifest says that it has no features
        key: waveform hash of what can be heard now; empty: nothing can
        reason: why nothing can be heard
    """

    name: str
    path: Path
    start: float | None
    end: float | None
    is_listed: bool
    known: str = ""
    problem: str = ""
    key: str = ""
    reason: str = ""
    seconds: float = 0.0


def why(cache: Cache, what: str) -> list[str]:
    """Say which features an utterance has, made how and when, and what would be made.

    Args:
        cache: to look into
        what: an audio file, or an id of a manifest

    Returns:
        lines

    Raises:
        CacheError: if it is neither a file nor an id
    """
    lines: list[str] = []
    for stretch in _stretches(cache, what):
        lines += _heard(stretch)
        for store in cache.stores:
            lines += _feature(stretch, store)
        if not cache.stores:
            lines.append("  the cache has no features yet")
    return lines


def _stretches(cache: Cache, what: str) -> Iterator[Stretch]:
    """Yield what is meant: every segment of a file, or the one utterance of an id."""
    path, found = Path(what), 0
    for corpus in cache.corpora:
        rows = cache.manifest(corpus).rows
        lie = rows["path"].isin({str(path.absolute()), str(path.resolve())})
        for row in rows[(rows["id"] == what) | lie].to_dict("records"):
            found += 1
            yield _listen(row)
    if found:
        return
    if not path.is_file():
        msg = (
            f"{what!r} is no file, and no id in the manifests of {cache.folder}: "
            "expected an audio file or an id such as ravdess/Actor_01/name.wav. See: "
            "python pipeline.py cache ls"
        )
        raise CacheError(msg)
    yield _listen({"id": what, "path": what, "start": None, "end": None})


def _listen(row: dict[str, Any]) -> Stretch:
    key, reason, seconds = "", "", 0.0
    try:
        decoded = _audio.decode(row["path"], row["start"], row["end"])
        key, seconds = _audio.waveform_hash(decoded), decoded.duration
        if row.get("variant"):
            key = _variants.key(key, variant.parse(row["variant"]))
    except ExtractionError as error:
        reason = str(error)
    return Stretch(
        row["id"],
        Path(row["path"]),
        row["start"],
        row["end"],
        "corpus" in row,
        row.get("waveform", ""),
        row.get("problem", ""),
        key,
        reason,
        seconds,
    )


def _heard(stretch: Stretch) -> list[str]:
    """Say what the audio is now, and whether the manifest knows it so."""
    lines = [stretch.name, f"  file: {stretch.path}"]
    if stretch.start == stretch.start and stretch.start is not None:
        end = "its end" if stretch.end != stretch.end else f"{stretch.end:g} s"
        lines[-1] += f", from {stretch.start:g} s to {end}"
    now = f"{stretch.key[:16]}, {stretch.seconds:.2f} s"
    if not stretch.key:
        now = f"cannot be heard: {stretch.reason}"
    if not stretch.is_listed:
        now += "; it is in no manifest"
    elif stretch.known == stretch.key:
        now += ", as in the manifest"
    elif stretch.key and stretch.known:
        now += f"; the manifest has {stretch.known[:16]}: the audio was replaced since"
    if stretch.problem:
        now += f"; the manifest says: {stretch.problem}"
    return [*lines, f"  waveform: {now}"]


def _feature(stretch: Stretch, store: FeatureStore) -> list[str]:
    """Say what one feature has of it, and what extract would do."""
    spec, key = store.spec, stretch.key or stretch.known
    place = store.places.get(key)
    lines = [f"  {spec.describe()}"]
    if place is not None:
        shard = store.shards[place.shard]
        what = f"{place.n_frames} frames, " if spec.layers else ""
        is_sound = "" if place.valid else "holds NaN, "
        lines.append(
            f"    there: {what}{is_sound}made {_made(shard.told)} in {shard.path}"
        )
    elif key in store.failed:
        told = next(s.told for s in store.shards if key in s.told["failed"])
        lines.append(f"    failed: {store.failed[key]}; tried {_made(told)}")
    else:
        lines.append("    never tried")
    if _external.is_external(spec):
        lines.append(f"    {_external.NO_AUDIO}")
    else:
        lines.append(f"    extract {_would(stretch, store, key)}")
    lines.append(f"    settings: {_short(spec.settings)}")
    return lines


def _would(stretch: Stretch, store: FeatureStore, key: str) -> str:
    """Say whether extract would make it again, with the same options."""
    if not stretch.key:
        return "would not make it: the audio cannot be heard"
    if not stretch.is_listed:
        return "would not make it: the file is in no corpus that it was told of"
    if key in store.places:
        return "would not make it again: same waveform, same fingerprint"
    if stretch.known and stretch.known != stretch.key:
        return "would make it: the audio was replaced since"
    if key in store.failed:
        return "would try it again: it failed before"
    return "would make it: it is not there"


def _made(told: dict[str, Any]) -> str:
    made = told["made"]
    words = (made.get("time", "?"), made.get("host", "?"), made.get("device", "?"))
    return "{} on {} by {}".format(*words)


def _short(settings: Any) -> str:
    """Write settings in a line; what is long is cut."""
    words = [
        f"{k} ({len(v)} settings)" if isinstance(v, dict) else f"{k} {v}"
        for k, v in settings.items()
    ]
    cut = [w if len(w) <= 48 else f"{w[:45]}..." for w in words]
    return ", ".join(cut) or "none"


def would_be(cache: Cache, feature: str, options: Options) -> list[str]:
    """Say what a feature's fingerprint would be now, and what it would differ in.

    Raises:
        ExtractionError: if its encoder cannot be had
        PluginError: if there is no such feature
    """
    spec = plugins.load("features", feature).load(options).spec
    lines = [f"{feature} with these options is {spec.describe()}"]
    stores: Sequence[FeatureStore] = [
        s for s in cache.stores if s.spec.name == spec.name
    ]
    if any(s.spec.fingerprint == spec.fingerprint for s in stores):
        return [*lines, "  the cache has it: extract makes only what is missing"]
    if not stores:
        return [*lines, f"  the cache has no {feature}: extract makes all of it"]
    ways = {s.spec.describe(): differences(s.spec, spec) for s in stores}
    nearest = min(ways, key=lambda name: len(ways[name]))
    lines.append(f"  the cache lacks it; nearest is {nearest}, which differs in:")
    return [*lines, *(f"    {line}" for line in ways[nearest])]
