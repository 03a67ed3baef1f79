"""A view: a read-only selection of utterances with their labels and features.

Heads see nothing but views. A view knows its manifest, how labels are mapped, and
which way of making each feature is meant; the numbers stay in the cache's files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contracts import manifest as manifests
from contracts.errors import CacheError, ManifestError, listing
from contracts.feature import FeatureReference, FeatureSpec

if TYPE_CHECKING:
    import pandas as pd

    from contracts._store import FeatureStore
    from contracts.cache import Cache
    from contracts.labels import LabelMap


@dataclass(frozen=True)
class View:
    """Some utterances of a cache, in order.

    Attributes:
        manifest: their rows (CONTRACT 1)
        cards: corpus -> what it is
        classes: labels in order, once a label map is applied; before, empty
        left_out: ``(id, reason)`` of utterances that are not here and why
        pins: feature reference -> the store that is meant
    """

    cache: Cache
    manifest: pd.DataFrame
    cards: Mapping[str, Mapping[str, Any]]
    classes: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    encoder: str | None = None
    pins: Mapping[str, FeatureStore] = field(default_factory=dict)
    _found: dict[tuple[str, str | None], FeatureStore] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __len__(self) -> int:
        """Return the number of utterances."""
        return len(self.manifest)

    @property
    def ids(self) -> NDArray[np.object_]:
        """Ids ``(utterance,)``."""
        return self.manifest["id"].to_numpy(object)

    @property
    def speakers(self) -> NDArray[np.object_]:
        """Speakers ``(utterance,)``, written ``corpus/speaker``, ``""`` if unknown."""
        return self.manifest["speaker"].to_numpy(object)

    @property
    def labels(self) -> NDArray[np.object_]:
        """Labels ``(utterance,)``, ``""`` where there is none."""
        return self.manifest["label"].to_numpy(object)

    @property
    def y(self) -> NDArray[np.int64]:
        """Positions of the labels in ``classes`` ``(utterance,)``; -1: unlabelled.

        Raises:
            ManifestError: if no label map was applied
        """
        if not self.classes:
            msg = "a view has no classes yet: apply a label map with view.relabel(...)"
            raise ManifestError(msg)
        codes = {label: i for i, label in enumerate(self.classes)}
        return np.array([codes.get(label, -1) for label in self.labels], np.int64)

    @property
    def votes(self) -> pd.DataFrame | None:
        """Annotators' shares ``(utterance, label)``; None if the corpus has none."""
        return manifests.votes(self.manifest)

    def take(self, rows: Sequence[int] | NDArray[Any]) -> View:
        """Select utterances by position or by a mask, in the order given."""
        rows = np.asarray(rows)
        if rows.size == 0:
            rows = rows.astype(np.int64)
        return replace(self, manifest=self.manifest.iloc[rows].reset_index(drop=True))

    def relabel(self, label_map: LabelMap) -> View:
        """Map labels and votes; utterances whose label is dropped are not in it."""
        rows, classes = label_map.apply(self.manifest)
        return replace(self, manifest=rows, classes=classes)

    def require(self, features: Iterable[str]) -> View:
        """Pin features, and leave out utterances whose extraction failed.

        Returns:
            the view with each feature's store pinned; what is left out is added to
            ``left_out`` with its reason

        Raises:
            CacheError: if a feature is missing, ambiguous, or was never tried for
                some utterance
        """
        pins = dict(self.pins)
        keys = self.manifest["waveform"].to_numpy(object)
        keep, left_out = np.ones(len(self), bool), list(self.left_out)
        for feature in features:
            store = self._store(feature)
            pins[feature] = store
            store.spec.columns(FeatureReference.parse(feature).group)  # it is there
            held, failed = store.places, store.failed
            untried = [k not in held and k not in failed for k in keys]
            if any(untried):
                self._refuse_untried(store, np.array(untried))
            bad = np.array([k in failed for k in keys], bool)
            reasons = [f"{store.spec.name}: {failed[k]}" for k in keys[bad]]
            left_out += zip(self.ids[bad], reasons, strict=True)
            keep &= ~bad
        chosen = self.take(keep) if len(self) else self
        return replace(chosen, pins=pins, left_out=tuple(left_out))

    def _refuse_untried(self, store: FeatureStore, untried: NDArray[Any]) -> None:
        spec = store.spec
        again = self.cache.extract_command(self, spec.name, spec.encoder)
        msg = (
            f"{spec.short} was never extracted for {untried.sum()} of {len(self)} "
            f"utterances (first: {self.ids[untried][0]}). Run: {again}"
        )
        raise CacheError(msg)

    def _store(self, feature: str, encoder: str | None = None) -> FeatureStore:
        if encoder is None and feature in self.pins:
            return self.pins[feature]
        asked = feature, encoder or self.encoder
        if asked not in self._found:
            self._found[asked] = self.cache.resolve(feature, self, asked[1])
        return self._found[asked]

    @cached_property
    def _keys(self) -> list[str]:
        return list(self.manifest["waveform"])

    def spec(self, feature: str, encoder: str | None = None) -> FeatureSpec:
        """Say what a feature is: layers, channels, settings, fingerprint."""
        return self._store(feature, encoder).spec

    def frames(
        self,
        feature: str,
        row: int,
        layers: Sequence[int] | None = None,
        encoder: str | None = None,
    ) -> NDArray[Any]:
        """Return one utterance's frames ``(layer, channel, frame)``.

        Args:
            feature: ``NAME`` or ``NAME@FINGERPRINT``
            row: position of the utterance in this view
            layers: hidden states; None: 1..L, without the encoder's input 0
            encoder: which encoder is meant where the cache has several

        Returns:
            true values at the utterance's own length, no padding: a read-only view
            of the file in the stored dtype, or float32 where a layer carries a scale

        Raises:
            CacheError: if the feature is missing, ambiguous or has no frames
        """
        store = self._store(feature, encoder)
        if not store.spec.keeps_frames:
            self._refuse_frames(feature, store.spec)
        return store.frames(self._keys[row], layers)

    def pooled(
        self,
        feature: str,
        layers: Sequence[int] | None = None,
        encoder: str | None = None,
    ) -> NDArray[np.float32]:
        """Return ``(utterance, layer, 2, channel)``: mean and deviation over frames.

        Raises:
            CacheError: if the feature is missing, ambiguous or has no frames
        """
        store = self._store(feature, encoder)
        if store.spec.is_table:
            self._refuse_kind(feature, "pooled frames", "table")
        return store.pooled(self._keys, layers)

    def table(self, feature: str, encoder: str | None = None) -> NDArray[np.float32]:
        """Return one vector per utterance ``(utterance, channel)``, float32.

        Args:
            feature: ``NAME``, ``NAME:GROUP`` for some of its columns, or
                ``NAME@FINGERPRINT``
            encoder: which encoder is meant where the cache has several

        Returns:
            rows that are not ``valid`` hold NaN where the number is not defined

        Raises:
            CacheError: if the feature is missing, ambiguous or has frames
        """
        store = self._store(feature, encoder)
        if not store.spec.is_table:
            self._refuse_kind(feature, "a table", "pooled")
        rows = store.table(self._keys)
        columns = store.spec.columns(FeatureReference.parse(feature).group)
        return rows if columns is None else rows[:, list(columns)]

    def valid(self, feature: str, encoder: str | None = None) -> NDArray[np.bool_]:
        """Return ``(utterance,)``: False where a feature is not to be believed."""
        return self._store(feature, encoder).valid(self._keys)

    def n_frames(self, feature: str, encoder: str | None = None) -> NDArray[np.int64]:
        """Return the number of frames of each utterance ``(utterance,)``."""
        return self._store(feature, encoder).n_frames(self._keys)

    def _refuse_frames(self, feature: str, spec: FeatureSpec) -> None:
        if spec.is_table:
            self._refuse_kind(feature, "frames", "table")
        again = self.cache.extract_command(self, spec.name, spec.encoder)
        msg = (
            f"{spec.short} keeps what is pooled of its frames and no frames: use "
            f"view.pooled({feature!r}), or run: {again} --store frames"
        )
        raise CacheError(msg)

    def _refuse_kind(self, feature: str, asked: str, has: str) -> None:
        msg = f"feature {feature} has no {asked}: use view.{has}({feature!r}) instead"
        raise CacheError(msg)

    def count(self, column: str) -> dict[str, int]:
        """Count the values of a manifest column."""
        return {str(k): int(v) for k, v in self.manifest[column].value_counts().items()}

    def summary(self) -> str:
        """Say in a few words what is in this view."""
        corpora = listing(sorted(set(self.manifest["corpus"])))
        n = int((self.manifest["variant"] == "").sum())
        made = f", {len(self) - n} variants" if n < len(self) else ""
        return f"{corpora}: {n} utterances, {len(self.count('speaker'))} speakers{made}"
