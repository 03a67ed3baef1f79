"""What a feature is: its axes, its settings and the fingerprint made of them.

The fingerprint is a sha256 over everything that changes the numbers (settings,
axes, layers, stored dtype, the cache's format) and nothing that does not (device,
batch size, folder, time): those stay in ``provenance``.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import CacheError

FORMAT = 2  # of the cache on disk; a reader refuses any other
KEEPS = ("frames", "pooled")


@dataclass(frozen=True)
class FeatureSpec:
    """One feature made in one way.

    Attributes:
        name: plug-in's name
        settings: everything that changes the numbers, as JSON
        channels: names of the columns of a table, or the number of channels
        layers: hidden states stored, e.g. ``(0, ..., 12)``; ``(0,)`` for frame
            features without layers; empty for a table
        dtype: of the stored frames, ``float16`` or ``float32``; tables are float32
        frame_shift: seconds from one frame to the next; 0 for a table
        groups: name -> columns of a table that ``NAME:GROUP`` selects
        keeps: ``frames`` with what is pooled of them, or ``pooled`` alone
        provenance: how it was made, but not what: encoder's name, folder, untrained
    """

    name: str
    settings: Mapping[str, Any]
    channels: tuple[str, ...] | int
    layers: tuple[int, ...] = ()
    dtype: str = "float32"
    frame_shift: float = 0.0
    groups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    keeps: str = "frames"
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no cache can keep."""
        if self.keeps not in KEEPS:
            msg = f"{self.name}: bad keeps {self.keeps!r}, expected one of {KEEPS}"
            raise ValueError(msg)

    @property
    def keeps_frames(self) -> bool:
        """Whether each frame is there, not only what is pooled of them."""
        return bool(self.layers) and self.keeps == "frames"

    @property
    def is_table(self) -> bool:
        """Whether there is one vector per utterance and no frames."""
        return not self.layers

    @property
    def n_channels(self) -> int:
        """Width of one vector."""
        wide = self.channels
        return wide if isinstance(wide, int) else len(wide)

    @property
    def encoder(self) -> str:
        """Name of the encoder as it was asked for; empty where there is none."""
        return str(self.provenance.get("encoder", ""))

    @property
    def untrained(self) -> bool:
        """Whether the numbers come from an encoder with random weights."""
        return bool(self.provenance.get("untrained", False))

    @property
    def fine_tuned(self) -> str:
        """What the encoder was fine-tuned for; empty where it was not, or none is."""
        return str(self.provenance.get("fine_tuned", ""))

    @property
    def fingerprint(self) -> str:
        """Sha256 in hex over what changes the numbers."""
        facts = {k: v for k, v in asdict(self).items() if k != "provenance"}
        text = json.dumps(facts | {"format": FORMAT}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def short(self) -> str:
        """``NAME@FINGERPRINT`` with twelve digits, the folder's name in the cache."""
        return f"{self.name}@{self.fingerprint[:12]}"

    def describe(self) -> str:
        """Say it in a few words, for errors and tables."""
        words = [self.short]
        if self.encoder:
            words.append(f"encoder {self.encoder}")
        if self.untrained:
            words.append("untrained")
        if self.fine_tuned:
            words.append(f"fine-tuned for {self.fine_tuned}")
        if self.layers:
            kept = f"in {self.dtype}" if self.keeps_frames else "pooled alone"
            words.append(f"layers {self.layers[0]}-{self.layers[-1]} {kept}")
        return f"{words[0]} ({', '.join(words[1:])})" if words[1:] else words[0]

    def columns(self, group: str) -> tuple[int, ...] | None:
        """Return the columns of a table that a group selects, None without a group.

        Raises:
            CacheError: if there is no such group
        """
        if not group:
            return None
        if group not in self.groups:
            has = list(self.groups) or "none"
            msg = f"{self.name} has no group {group!r}, expected one of {has}"
            raise CacheError(msg)
        return self.groups[group]

    def to_json(self) -> dict[str, Any]:
        """Return the feature as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> "FeatureSpec":
        """Read back what ``to_json`` wrote."""
        told = dict(facts)
        wide = told["channels"]
        told["channels"] = wide if isinstance(wide, int) else tuple(wide)
        told["layers"] = tuple(told["layers"])
        told["groups"] = {k: tuple(v) for k, v in told["groups"].items()}
        return cls(**told)


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


@dataclass(frozen=True)
class FeatureReference:
    """How a person names a feature: ``NAME[:GROUP][@FINGERPRINT]``.

    Example:
        >>> FeatureReference.parse("mfcc:mean")
        FeatureReference(name='mfcc', group='mean', fingerprint='')
    """

    name: str
    group: str = ""
    fingerprint: str = ""

    @classmethod
    def parse(cls, text: str) -> "FeatureReference":
        """Take a reference apart.

        Raises:
            CacheError: if there is no name in it
        """
        head, _, fingerprint = text.partition("@")
        name, _, group = head.partition(":")
        if not name:
            msg = f"bad feature {text!r}: expected NAME, NAME:GROUP or NAME@FINGERPRINT"
            raise CacheError(msg)
        return cls(name, group, fingerprint)


@dataclass(frozen=True)
class Block:
    """What one utterance puts into a shard.

    Attributes:
        values: ``(layer, frame, channel)`` in the stored dtype, or ``(channel,)``
            float32 for a table; None where only what is pooled is kept
        pooled: ``(layer, 2, channel)`` float32, mean and standard deviation over
            frames of the true values; None for a table
        scale: ``(layer,)`` powers of two that the stored values are to be multiplied
            by; None: all 1
        valid: False: computed, but not to be believed as it is (holds NaN)
        n_frames: number of frames; taken from ``values`` where they are given
    """

    values: NDArray[Any] | None
    pooled: NDArray[np.float32] | None = None
    scale: NDArray[np.float32] | None = None
    valid: bool = True
    n_frames: int = -1

    def __post_init__(self) -> None:
        """Count the frames.

        Raises:
            ValueError: if there are no values and no number of frames either
        """
        if self.values is not None:
            n = self.values.shape[1] if self.values.ndim == 3 else 0
            object.__setattr__(self, "n_frames", n)
        elif self.n_frames < 0 or self.pooled is None:
            msg = "a block without values: expected n_frames and pooled, got none"
            raise ValueError(msg)

    @property
    def checksum(self) -> int:
        """CRC-32 over every number of the block as it is stored."""
        crc, scale = 0, self.scale
        if scale is None and self.pooled is not None:
            scale = np.ones(len(self.pooled), np.float32)
        for part in (self.values, self.pooled, scale):
            if part is not None:
                crc = zlib.crc32(np.ascontiguousarray(part).data, crc)
        return crc
