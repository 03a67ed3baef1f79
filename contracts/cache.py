"""CONTRACT 2, the cache: features by waveform and fingerprint.

On disk::

    <cache>/manifest/<corpus>.parquet          CONTRACT 1
    <cache>/features/NAME@FINGERPRINT/         one folder per feature and settings
        feature.json                           what it is (``FeatureSpec``)
        <shard>.h5, <shard>.json               data, and the commit that makes it true
    <cache>/notes/<corpus>.txt                 what was odd, for people
    <cache>/quarantine/                        what ``cache repair`` took out
    <cache>/lock                               held by the one that writes

The Python door, from the checkout or with it on PYTHONPATH::

    from contracts.cache import Cache

    view = Cache("data/cache").view("ravdess")  # manifest order
    view.frames("wav2vec2", 0)  # (12, 768, T), layers 1..12
    view.table("egemaps")  # (N, 88) float32
    view.pooled("wav2vec2")  # (N, 12, 2, 768)
"""

import fcntl
import os
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from contracts import _durable, plugins, variant
from contracts import manifest as manifests
from contracts._commits import SPEC_FILE, commits
from contracts._store import FeatureStore as FeatureStore
from contracts.command import CACHE, repair_command
from contracts.errors import CacheError, did_you_mean, listing
from contracts.feature import FeatureReference, FeatureSpec, encoder_matches
from contracts.manifest import Manifest
from contracts.view import View

__all__ = ["Cache", "FeatureStore", "encoder_matches", "sizes"]

_EXTRACT = "python pipeline.py extract"


class Cache:
    """A cache folder; a snapshot of what was committed when first asked.

    Args:
        folder: the cache

    Example:
        >>> view = Cache("data/cache").view("ravdess")  # doctest: +SKIP
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    # reading

    @property
    def corpora(self) -> list[str]:
        """Names of the corpora that have a manifest."""
        return manifests.names(self.folder / "manifest")

    def manifest(self, corpus: str) -> Manifest:
        """Read the manifest of one corpus.

        Raises:
            CacheError: if the cache has none; the message lists those there are
        """
        path = self.folder / "manifest" / f"{corpus}.parquet"
        if not path.exists():
            has = f"has only {listing(self.corpora)}" if self.corpora else "is empty"
            msg = (
                f"no corpus {corpus!r} in cache {self.folder}: it {has}."
                f"{did_you_mean([corpus], self.corpora)} "
                f"Run: {_EXTRACT} --corpus {corpus} --root FOLDER"
            )
            raise CacheError(msg)
        return manifests.read_manifest(path)

    @cached_property
    def stores(self) -> list[FeatureStore]:
        """Every feature in the cache.

        Raises:
            CacheError: if one is broken, or of another format
        """
        out = []
        for folder in self.feature_folders():
            with suppress(FileNotFoundError):  # swept away since it was listed
                out.append(FeatureStore(folder))
                continue
            if commits(folder):
                msg = (
                    f"{folder / SPEC_FILE} is missing, and the features beside it need "
                    f"it. Run: {repair_command(self.folder)}"
                )
                raise CacheError(msg)
        return out

    def feature_folders(self) -> list[Path]:
        """List the folders of features, finished or not."""
        return sorted(p for p in (self.folder / "features").glob("*@*") if p.is_dir())

    def view(
        self, *corpora: str, variants: bool = False, encoder: str | None = None
    ) -> View:
        """Select the utterances of some corpora, in manifest order.

        Utterances that could not be decoded are left out and counted in
        ``view.left_out``.

        Args:
            corpora: their names; none: every corpus in the cache
            variants: also take augmented and degraded variants
            encoder: which encoder's features are meant where there are several

        Raises:
            CacheError: if a corpus is not in the cache
        """
        told = [self.manifest(name) for name in (corpora or self.corpora)]
        if not told:
            msg = f"cache {self.folder} is empty. Run: {_EXTRACT}"
            raise CacheError(msg)
        rows = pd.concat([m.rows for m in told], ignore_index=True)
        if not variants:
            rows = rows[rows["variant"] == ""]
        bad = rows[rows["problem"] != ""]
        left_out = tuple(zip(bad["id"], bad["problem"], strict=True))
        rows = manifests.complete(rows[rows["problem"] == ""].reset_index(drop=True))
        cards = {m.corpus: m.card for m in told}
        return View(self, rows, cards, left_out=left_out, encoder=encoder)

    def resolve(self, feature: str, view: View, encoder: str | None) -> FeatureStore:
        """Find the one store that a reference means for the utterances of a view.

        Where several would do and one alone keeps frames, that one is meant.

        Raises:
            CacheError: if there is none, or several: the message lists them
        """
        want = FeatureReference.parse(feature)
        named = [s for s in self.stores if s.spec.name == want.name]
        keys = set(view.manifest["waveform"])
        here = [s for s in named if not keys or keys & (s.places.keys() | s.failed)]
        asked = [s for s in here if s.spec.fingerprint.startswith(want.fingerprint)]
        if encoder and any(s.spec.encoder for s in asked):
            asked = [s for s in asked if encoder_matches(s.spec, encoder)]
        asked = _fullest(asked, keys)
        if len(asked) == 1:
            return asked[0]
        if asked:
            several = listing(s.spec.describe() for s in asked)
            msg = (
                f"cache {self.folder} holds {want.name} in {len(asked)} ways: "
                f"{several}. Choose one with --encoder NAME or "
                "--feature NAME@FINGERPRINT"
            )
            raise CacheError(msg)
        corpora = sorted(set(view.manifest["corpus"]))
        has = listing(s.spec.describe() for s in self._held(view)) or "no features"
        what = feature + (f" of encoder {encoder}" if encoder and named else "")
        known = {*plugins.names("features"), *(s.spec.name for s in self._held(view))}
        hint = "" if want.name in known else did_you_mean([want.name], sorted(known))
        msg = (
            f"cache {self.folder} has no {what} for {listing(corpora)}, it has {has}."
            f"{hint} Run: {self.extract_command(view, want.name, encoder or '')}"
        )
        raise CacheError(msg)

    def extract_command(self, view: View, feature: str, encoder: str = "") -> str:
        """Return the command that makes a feature for the corpora of a view."""
        corpora = sorted(set(view.manifest["corpus"]))
        if feature == "external" or feature not in plugins.names("features"):
            words = ["python", "pipeline.py", "external", "--from", "FILE"]
            return shlex.join([*words, "--corpus", *corpora, "--name", feature])
        words = [*_EXTRACT.split(), "--corpus", *corpora, "--feature", feature]
        words += ["--encoder", encoder] if encoder else []
        words += variant.options(view.manifest)
        words += ["--cache", str(self.folder)] if self.folder != CACHE else []
        return shlex.join(words)

    def _held(self, view: View) -> list[FeatureStore]:
        keys = set(view.manifest["waveform"])
        return [s for s in self.stores if keys & s.places.keys()]

    # writing, by extract alone

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other writer out; a dead process' lock is no lock.

        Raises:
            CacheError: if somebody else is writing, or the folder cannot be written
        """
        _durable.make_folders(self.folder)
        try:
            handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _durable.refusal(self.folder / "lock", error) from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                who = os.read(handle, 100).decode() or "unknown"
                msg = (
                    f"cache {self.folder} is being written by process {who}. Wait "
                    "for it, or choose another with --cache DIR"
                )
                raise CacheError(msg) from error
            with suppress(OSError):  # a full disk: the lock holds without its name
                os.truncate(handle, 0)
                os.pwrite(handle, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(handle)

    def put_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest of one corpus; under the lock."""
        folder = self.folder / "manifest"
        _durable.make_folders(folder)
        _durable.sweep(folder)
        manifests.write_manifest(manifest, folder)

    def put_notes(self, corpus: str, text: str) -> Path:
        """Replace what is written down of a corpus for people; under the lock."""
        folder = self.folder / "notes"
        _durable.make_folders(folder)
        _durable.sweep(folder)
        _durable.publish(folder / f"{corpus}.txt", [text.encode()])
        return folder / f"{corpus}.txt"

    def store(self, spec: FeatureSpec) -> FeatureStore:
        """Open a feature for writing, made if it is not there yet; under the lock."""
        _durable.make_folders(self.folder / "features")
        store = FeatureStore.create(self.folder / "features" / spec.short, spec)
        store.sweep()
        self.__dict__.pop("stores", None)
        return store


def _fullest(stores: list[FeatureStore], keys: set[str]) -> list[FeatureStore]:
    """Choose between stores of which one keeps frames and others what is pooled.

    Frames have what is pooled beside them; but what is pooled counts more where they
    are not there for every utterance that it is there for.
    """
    same = {
        replace(s.spec, keeps="pooled", dtype="float32").fingerprint
        for s in stores
        if not s.spec.is_table
    }
    if len(same) != 1 or len(stores) == 1:
        return stores
    tried = [keys & (s.places.keys() | s.failed.keys()) for s in stores]
    full = [s for s, t in zip(stores, tried, strict=True) if t == set.union(*tried)]
    return [s for s in full if s.spec.keeps_frames] or full or stores


def sizes(paths: Iterable[Path]) -> list[tuple[Path, int]]:
    """Return files with their bytes; one that a writer takes away meanwhile is not."""
    out = []
    for path in paths:
        with suppress(FileNotFoundError):
            out.append((path, path.stat().st_size))
    return out
