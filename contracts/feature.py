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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import CacheError

FORMAT = 1  # of the cache on disk; a reader refuses any other


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
        provenance: how it was made, but not what: encoder's name, folder, untrained
    """

    name: str
    settings: Mapping[str, Any]
    channels: tuple[str, ...] | int
    layers: tuple[int, ...] = ()
    dtype: str = "float32"
    frame_shift: float = 0.0
    groups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

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
        if self.layers:
            words.append(f"layers {self.layers[0]}-{self.layers[-1]} in {self.dtype}")
        return f"{words[0]} ({', '.join(words[1:])})" if words[1:] else words[0]

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
            float32 for a table
        pooled: ``(layer, 2, channel)`` float32, mean and standard deviation over
            frames of the true values; None for a table
        scale: ``(layer,)`` powers of two that the stored values are to be multiplied
            by; None: all 1
        valid: False: computed, but not to be believed as it is (holds NaN)
    """

    values: NDArray[Any]
    pooled: NDArray[np.float32] | None = None
    scale: NDArray[np.float32] | None = None
    valid: bool = True

    @property
    def checksum(self) -> int:
        """CRC-32 over every number of the block."""
        crc = zlib.crc32(np.ascontiguousarray(self.values).data)
        for part in (self.pooled, self.scale):
            if part is not None:
                crc = zlib.crc32(np.ascontiguousarray(part).data, crc)
        return crc
