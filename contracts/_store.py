"""One feature in the cache: which utterances it holds, and their numbers."""

import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts import _durable
from contracts._commits import SPEC_FILE, Shard, commit, commits
from contracts._sealed import seal, unseal
from contracts.command import repair_command
from contracts.errors import CacheError
from contracts.feature import Block, FeatureSpec

_LOOKS = 1000  # at a folder that changes while it is read


@dataclass(frozen=True)
class Place:
    """Where an utterance's block lies."""

    shard: int
    position: int
    start: int
    n_frames: int
    checksum: int
    valid: int


class FeatureStore:
    """One feature's folder; a snapshot of what was committed when first asked.

    Args:
        folder: ``<cache>/features/NAME@FINGERPRINT``
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spec = read_spec(folder / SPEC_FILE)
        self._chosen: dict[tuple[int, ...] | None, list[int]] = {}

    @classmethod
    def create(cls, folder: Path, spec: FeatureSpec) -> "FeatureStore":
        """Open the folder of a feature, made if it is not there yet."""
        _durable.make_folders(folder)
        if not (folder / SPEC_FILE).exists():
            write_spec(folder, spec)
        return cls(folder)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the mapped files here: another process maps its own."""
        return {k: v for k, v in self.__dict__.items() if k != "_index"}

    @cached_property
    def _index(self) -> tuple[list[Shard], dict[str, Place], dict[str, str]]:
        shards = self._open()
        places: dict[str, Place] = {}
        failed: dict[str, str] = {}
        for number, shard in enumerate(shards):
            failed.update(shard.told["failed"])
            for i, (key, *rest) in enumerate(shard.told["utterances"]):
                places[key] = Place(number, i, *rest)
        return shards, places, {k: v for k, v in failed.items() if k not in places}

    def _open(self) -> list[Shard]:
        """Open every committed shard, while a writer may add and take away.

        What moves to another shard is there before the old one goes. Two listings in
        a row that agree have missed nothing, and no shard between them was removed.
        """
        opened: dict[Path, Shard] = {}
        listed = commits(self.folder)
        for _ in range(_LOOKS):
            try:
                opened |= {p: Shard(p, self.spec) for p in listed if p not in opened}
            except FileNotFoundError:
                listed = commits(self.folder)
                continue
            before, listed = listed, commits(self.folder)
            if before == listed:
                break
        return [opened[path] for path in listed if path in opened]

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

    def sweep(self) -> None:
        """Remove what a killed writer left; only under the cache's lock."""
        _durable.sweep(self.folder)

    def _place(self, key: str) -> tuple[Shard, Place]:
        shards, places, failed = self._index
        place = places.get(key)
        if place is None:
            why = failed.get(key, "never extracted")
            msg = (
                f"{self.spec.short} holds nothing for waveform {key[:12]}: {why}. "
                f"Run: python pipeline.py extract --feature {self.spec.name}"
            )
            raise CacheError(msg)
        return shards[place.shard], place

    def positions(self, layers: Sequence[int] | None) -> list[int]:
        """Turn layer numbers into positions; None: 1..L (all where there is no 1..L).

        What was asked before is known.

        Raises:
            CacheError: if a layer is not stored
        """
        asked = None if layers is None else tuple(layers)
        if asked in self._chosen:
            return self._chosen[asked]
        stored = self.spec.layers
        wanted = asked if asked is not None else ([n for n in stored if n] or stored)
        missing = [n for n in wanted if n not in stored]
        if missing:
            msg = (
                f"{self.spec.short} lacks layers {missing}, expected some of "
                f"{list(stored)}. Choose of these; where the encoder has more, run: "
                "python pipeline.py extract --layers all"
            )
            raise CacheError(msg)
        self._chosen[asked] = [stored.index(n) for n in wanted]
        return self._chosen[asked]

    def frames(self, key: str, layers: Sequence[int] | None) -> NDArray[Any]:
        """Return ``(layer, channel, frame)``, a view of the file where it can be."""
        shard, place = self._place(key)
        n, scale = len(self.spec.layers), shard.scale
        block = shard.values[place.start : place.start + n * place.n_frames]
        block = block.reshape(n, place.n_frames, self.spec.n_channels)
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
        for i, (shard, place) in enumerate(places):
            out[i] = shard.pooled[place.position, chosen]
        return out

    def table(self, keys: Iterable[str]) -> NDArray[np.float32]:
        """Return ``(utterance, channel)``; rows that are not valid hold NaN."""
        places = [self._place(key) for key in keys]
        out = np.empty((len(places), self.spec.n_channels), np.float32)
        for i, (shard, place) in enumerate(places):
            out[i] = shard.values[place.start]
        return out

    def valid(self, keys: Iterable[str]) -> NDArray[np.bool_]:
        """Return ``(utterance,)``: whether the numbers are to be believed."""
        return np.array([self._place(key)[1].valid for key in keys], bool)

    def n_frames(self, keys: Iterable[str]) -> NDArray[np.int64]:
        """Return ``(utterance,)``: frames of each."""
        return np.array([self._place(key)[1].n_frames for key in keys], np.int64)


def read_spec(path: Path) -> FeatureSpec:
    """Read what a feature is, from its folder's ``feature.json``.

    Raises:
        FileNotFoundError: if it is not there
        CacheError: if it is broken, or of another format
    """
    try:
        told = unseal(path.read_bytes(), path)
        del told["format"]
        return FeatureSpec.from_json(told)
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, TypeError, OSError) as error:
        again = repair_command(path.parents[2])
        msg = f"{path} is broken: {error}. Run: {again}"
        raise CacheError(msg) from error


def write_spec(folder: Path, spec: FeatureSpec) -> None:
    """Publish what a feature is."""
    _durable.publish(folder / SPEC_FILE, [seal(spec.to_json(), indent=1)])
