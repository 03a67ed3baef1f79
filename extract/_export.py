"""Write a feature out of the cache for other programs: what, and into which folder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.cache import FeatureStore
from contracts.errors import CacheError
from contracts.feature import FeatureReference, FeatureSpec
from contracts.view import View

ABOUT = "about.json"
AXES = {
    "table": ("channel",),
    "frames": ("layer", "frame", "channel"),
    "pooled": ("layer", "mean or deviation", "channel"),
}
_LOCAL = ["path", "stat", "problem"]  # of this machine, or empty here


@dataclass(frozen=True)
class Part:
    """One feature of some utterances.

    Attributes:
        view: the utterances that have it
        store: the feature in the cache
        group: some columns of a table; empty: all
        kind: ``table``, ``frames`` or ``pooled``
    """

    view: View
    store: FeatureStore
    group: str
    kind: str

    @property
    def spec(self) -> FeatureSpec:
        """What the feature is."""
        return self.store.spec

    @cached_property
    def keys(self) -> list[str]:
        """Waveform hash of each utterance."""
        return list(self.view.manifest["waveform"])

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """What holds every true value: float32 where a layer was scaled to fit."""
        if self.kind != "frames":
            return np.dtype(np.float32)
        numbers = {self.store.places[key].shard for key in self.keys}
        scaled = any(self.store.shards[n].scale is not None for n in numbers)
        return np.dtype(np.float32 if scaled else self.spec.dtype)

    @cached_property
    def columns(self) -> list[int]:
        """Positions of the channels that are taken."""
        chosen = self.spec.columns(self.group)
        return list(range(self.spec.n_channels) if chosen is None else chosen)

    @property
    def names(self) -> list[str]:
        """Names of the channels of a table."""
        wide = self.spec.channels
        every = [f"{self.spec.name}_{i}" for i in range(self.spec.n_channels)]
        every = every if isinstance(wide, int) else list(wide)
        return [every[i] for i in self.columns]

    @cached_property
    def n_frames(self) -> NDArray[np.int64]:
        """Frames of each utterance; 1 where there is one array without frames."""
        if self.kind != "frames":
            return np.ones(len(self.keys), np.int64)
        return self.store.n_frames(self.keys)

    def shape(self, row: int) -> tuple[int, ...]:
        """Return the shape of one utterance's array."""
        if self.kind == "table":
            return (len(self.columns),)
        middle = 2 if self.kind == "pooled" else int(self.n_frames[row])
        return len(self.spec.layers), middle, self.spec.n_channels

    def array(self, row: int) -> NDArray[Any]:
        """Return one utterance's true values, axes as in ``AXES``."""
        key, layers = self.keys[row], self.spec.layers
        if self.kind == "table":
            return self.store.table([key])[0][self.columns]
        if self.kind == "pooled":
            return self.store.pooled([key], layers)[0]
        frames = self.store.frames(key, layers).transpose(0, 2, 1)
        return np.ascontiguousarray(frames, self.dtype)

    def facts(self) -> pd.DataFrame:
        """Return what is known of each utterance but where it lies, and ``valid``."""
        told = self.view.manifest.drop(columns=_LOCAL)
        return told.assign(valid=self.store.valid(self.keys))

    def about(self, form: str) -> dict[str, Any]:
        """Say what is written, for whoever finds it."""
        cards = self.view.cards.items()
        told = ("title", "licence", "url", "citation")
        return {
            "format": form,
            "feature": self.spec.short,
            "kind": self.kind,
            "axes": ["utterance", *AXES[self.kind]],
            "layers": list(self.spec.layers),
            "channels": self.names if self.kind == "table" else self.spec.n_channels,
            "dtype": self.dtype.name,
            "frame_shift": self.spec.frame_shift,
            "untrained": self.spec.untrained,
            "spec": self.spec.to_json(),
            "fingerprint": self.spec.fingerprint,
            "utterances": len(self.keys),
            "corpora": {name: {k: card.get(k) for k in told} for name, card in cards},
            "left_out": [list(each) for each in self.view.left_out],
        }


def choose(view: View, feature: str, pooled: bool = False) -> Part:
    """Decide what is to be written.

    Args:
        view: utterances; those whose extraction failed are left out and told of
        feature: ``NAME``, ``NAME:GROUP`` or ``NAME@FINGERPRINT``
        pooled: mean and deviation over time instead of frames

    Raises:
        CacheError: if the feature is not to be had so
    """
    view = view.require([feature])
    store, group = view.pins[feature], FeatureReference.parse(feature).group
    if not len(view):
        msg = (
            f"no utterance has {store.spec.short}: nothing to write. See: "
            "python pipeline.py cache ls"
        )
        raise CacheError(msg)
    if store.spec.is_table and pooled:
        msg = f"{store.spec.short} is a table and has no frames: leave out --pooled"
        raise CacheError(msg)
    if store.spec.is_table:
        return Part(view, store, group, "table")
    is_pooled = pooled or not store.spec.keeps_frames
    return Part(view, store, group, "pooled" if is_pooled else "frames")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder beside the one that is meant; it gets the name when all is there.

    Raises:
        CacheError: if there is something in it already, or it cannot be written
    """
    folder = folder.absolute()
    aside = folder.with_name(f".{folder.name}.tmp-{os.getpid()}")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            what = "one with files in it" if folder.is_dir() else "a file"
            msg = (
                f"cannot write into {folder}: expected a new or empty folder, got "
                f"{what}. Choose another with --out FOLDER"
            )
            raise CacheError(msg)
        aside.mkdir(parents=True)
        yield aside
        aside.replace(folder)
    except OSError as error:
        msg = (
            f"cannot write {folder}: {error.strerror or error}. Nothing is left of it: "
            "free space, or choose another with --out FOLDER"
        )
        raise CacheError(msg) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_about(part: Part, form: str, folder: Path) -> None:
    """Write down what lies in a folder."""
    text = json.dumps(part.about(form), indent=1, ensure_ascii=False)
    (folder / ABOUT).write_text(text + "\n", encoding="utf-8")
