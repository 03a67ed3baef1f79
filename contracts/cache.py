"""CONTRACT 2, the cache: features by waveform and fingerprint.

On disk::

    <cache>/manifest/<corpus>.parquet          CONTRACT 1
    <cache>/features/NAME@FINGERPRINT/         one folder per feature and settings
        feature.json                           what it is (``FeatureSpec``)
        <shard>.h5, <shard>.json               data, and the commit that makes it true
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
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import pandas as pd

from contracts import manifest as manifests
from contracts._store import SPEC_FILE, FeatureStore
from contracts.command import CACHE
from contracts.errors import CacheError, listing
from contracts.feature import FeatureReference, FeatureSpec
from contracts.manifest import Manifest
from contracts.view import View

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
                f"no corpus {corpus!r} in cache {self.folder}: it {has}. "
                f"Run: {_EXTRACT} --corpus {corpus} --root FOLDER"
            )
            raise CacheError(msg)
        return manifests.read_manifest(path)

    @cached_property
    def stores(self) -> list[FeatureStore]:
        """Every feature in the cache."""
        folders = sorted((self.folder / "features").glob(f"*/{SPEC_FILE}"))
        return [FeatureStore(path.parent) for path in folders]

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
        msg = (
            f"cache {self.folder} has no {what} for {listing(corpora)}, it has {has}. "
            f"Run: {self.extract_command(view, want.name, encoder or '')}"
        )
        raise CacheError(msg)

    def extract_command(self, view: View, feature: str, encoder: str = "") -> str:
        """Return the command that makes a feature for the corpora of a view."""
        corpora = sorted(set(view.manifest["corpus"]))
        words = [*_EXTRACT.split(), "--corpus", *corpora, "--feature", feature]
        words += ["--encoder", encoder] if encoder else []
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
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            msg = (
                f"cannot write to cache {self.folder}: {error.strerror}. "
                "Choose another with --cache DIR"
            )
            raise CacheError(msg) from error
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
            os.truncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(handle)

    def put_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest of one corpus; under the lock."""
        for left in (self.folder / "manifest").glob("*.tmp-*"):
            left.unlink(missing_ok=True)
        manifests.write_manifest(manifest, self.folder / "manifest")

    def store(self, spec: FeatureSpec) -> FeatureStore:
        """Open a feature for writing, made if it is not there yet; under the lock."""
        store = FeatureStore.create(self.folder / "features" / spec.short, spec)
        store.sweep()
        self.__dict__.pop("stores", None)
        return store


def encoder_matches(spec: FeatureSpec, encoder: str) -> bool:
    """Whether a feature was made by an encoder, named as then.

    A hub name is a hub name and a folder a folder: neither stands for the other. The
    last part alone will do where there is no slash in what is asked for.
    """
    if not spec.encoder:
        return False
    folder = spec.provenance.get("folder")
    if folder and Path(encoder).absolute() == Path(folder):
        return True
    whole = str(folder or spec.encoder)
    return encoder in (spec.encoder, whole.rpartition("/")[2])
