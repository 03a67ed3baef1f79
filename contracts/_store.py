"""One feature in the cache: which utterances it holds, and their numbers."""

import json
import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts._shards import Shard, commit, publish, read_commit
from contracts.errors import CacheError
from contracts.feature import Block, FeatureSpec

SPEC_FILE = "feature.json"


@dataclass(frozen=True)
class Place:
    """Where an utterance's block lies."""

    shard: int
    position: int
    start: int
    n_frames: int
    checksum: int
    valid: bool


class FeatureStore:
    """One feature's folder; a snapshot of what was committed when first asked.

    Args:
        folder: ``<cache>/features/NAME@FINGERPRINT``
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            told = json.loads((folder / SPEC_FILE).read_text(encoding="utf-8"))
            self.spec = FeatureSpec.from_json(told)
        except (ValueError, KeyError, TypeError) as error:
            msg = (
                f"{folder / SPEC_FILE} is broken: {error!r}. Delete the folder "
                f"{folder} and run: python pipeline.py extract"
            )
            raise CacheError(msg) from error
        self._arrays: dict[tuple[int, str], NDArray[Any] | None] = {}

    @classmethod
    def create(cls, folder: Path, spec: FeatureSpec) -> "FeatureStore":
        """Open the folder of a feature, made if it is not there yet."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / SPEC_FILE
        if not path.exists():
            aside = folder / f".{SPEC_FILE}.tmp-{os.getpid()}"
            aside.write_text(json.dumps(spec.to_json(), indent=1), encoding="utf-8")
            publish(aside, path)
        return cls(folder)

    @cached_property
    def _index(self) -> tuple[list[Shard], dict[str, Place], dict[str, str]]:
        shards: list[Shard] = []
        places: dict[str, Place] = {}
        failed: dict[str, str] = {}
        for path in sorted(self.folder.glob("*.json")):
            if path.name == SPEC_FILE:
                continue
            told = read_commit(path)
            failed.update(told["failed"])
            shard = Shard(self.folder / str(told["shard"]), self.spec, told)
            for i, (key, *rest) in enumerate(told["utterances"]):
                places[key] = Place(len(shards), i, *rest)
            shards.append(shard)
        return shards, places, {k: v for k, v in failed.items() if k not in places}

    @property
    def shards(self) -> list[Shard]:
        """The committed shards."""
        return self._index[0]

    @property
    def places(self) -> dict[str, Place]:
        """Waveform hash -> where its block lies."""
        return self._index[1]

    @property
    def failed(self) -> dict[str, str]:
        """Waveform hash -> why there is no block."""
        return self._index[2]

    def commit(
        self, blocks: Mapping[str, Block], failed: Mapping[str, str], device: str
    ) -> None:
        """Add one shard; it is there after this returns, whatever happens next."""
        made = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "host": platform.node(),
            "device": device,
        }
        commit(self.folder, self.spec, blocks, failed, made)
        self.__dict__.pop("_index", None)
        self._arrays.clear()

    def sweep(self) -> None:
        """Remove what a killed writer left; only under the cache's lock."""
        for path in self.folder.glob(".*.tmp-*"):
            path.unlink(missing_ok=True)

    def _array(self, shard: int, name: str) -> NDArray[Any] | None:
        if (shard, name) not in self._arrays:
            self._arrays[shard, name] = getattr(self.shards[shard], name)()
        return self._arrays[shard, name]

    def _place(self, key: str) -> Place:
        place = self.places.get(key)
        if place is None:
            why = self.failed.get(key, "never extracted")
            msg = (
                f"{self.spec.short} holds nothing for waveform {key[:12]}: {why}. "
                f"Run: python pipeline.py extract --feature {self.spec.name}"
            )
            raise CacheError(msg)
        return place

    def positions(self, layers: Sequence[int] | None) -> list[int]:
        """Turn layer numbers into positions; None: 1..L (all where there is no 1..L).

        Raises:
            CacheError: if a layer is not stored
        """
        stored = self.spec.layers
        wanted = layers if layers is not None else ([n for n in stored if n] or stored)
        missing = [n for n in wanted if n not in stored]
        if missing:
            msg = (
                f"{self.spec.short} lacks layers {missing}, expected some of "
                f"{list(stored)}. Run: python pipeline.py extract --layers all"
            )
            raise CacheError(msg)
        return [stored.index(n) for n in wanted]

    def frames(self, key: str, layers: Sequence[int] | None) -> NDArray[Any]:
        """Return ``(layer, channel, frame)``, a view of the file where it can be."""
        place = self._place(key)
        values = self._array(place.shard, "values")
        scale = self._array(place.shard, "scale")
        n = len(self.spec.layers)
        block = values[place.start : place.start + n * place.n_frames]  # type: ignore[index]
        block = block.reshape(n, place.n_frames, -1)
        chosen = self.positions(layers)
        if chosen == list(range(chosen[0], chosen[0] + len(chosen))):
            block = block[chosen[0] : chosen[0] + len(chosen)]  # stays a view
        else:
            block = block[chosen]
        if scale is not None:
            factors = scale[place.position, chosen]
            block = block.astype(np.float32) * factors[:, None, None]
        return block.transpose(0, 2, 1)  # (layer, frame, channel) -> as handed out

    def pooled(
        self, keys: Iterable[str], layers: Sequence[int] | None
    ) -> NDArray[np.float32]:
        """Return ``(utterance, layer, 2, channel)``: mean, standard deviation."""
        chosen = self.positions(layers)
        places = [self._place(key) for key in keys]
        out = np.empty((len(places), len(chosen), 2, self.spec.n_channels), np.float32)
        for i, place in enumerate(places):
            out[i] = self._array(place.shard, "pooled")[place.position, chosen]  # type: ignore[index]
        return out

    def table(self, keys: Iterable[str]) -> NDArray[np.float32]:
        """Return ``(utterance, channel)``; rows that are not valid hold NaN."""
        places = [self._place(key) for key in keys]
        out = np.empty((len(places), self.spec.n_channels), np.float32)
        for i, place in enumerate(places):
            out[i] = self._array(place.shard, "values")[place.start]  # type: ignore[index]
        return out

    def valid(self, keys: Iterable[str]) -> NDArray[np.bool_]:
        """Return ``(utterance,)``: whether the numbers are to be believed."""
        return np.array([self._place(key).valid for key in keys], bool)

    def n_frames(self, keys: Iterable[str]) -> NDArray[np.int64]:
        """Return ``(utterance,)``: frames of each."""
        return np.array([self._place(key).n_frames for key in keys], np.int64)
