"""What a feature plug-in is handed, and what it gives back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from contracts.errors import ExtractionError
from contracts.feature import FeatureSpec

SAMPLING_RATE = 16_000  # Hz, of every waveform that an extractor is given


@dataclass(frozen=True)
class Options:
    """What a person may ask of a feature; each feature takes what concerns it.

    Attributes:
        encoder: hub name or local folder of a pretrained encoder; None: the default
        revision: of the encoder on the hub; None: its main branch
        layers: hidden states to store; None: all of them
        dtype: of stored frames, ``float16`` or ``float32``
        device: ``auto``, ``cpu`` or ``cuda``
    """

    encoder: str | None = None
    revision: str | None = None
    layers: tuple[int, ...] | None = None
    dtype: str = "float16"
    device: str = "auto"


class Extractor(Protocol):
    """A feature that is ready to compute."""

    spec: FeatureSpec
    device: str

    def __call__(
        self, waveforms: Sequence[NDArray[Any]]
    ) -> Sequence[NDArray[Any] | ExtractionError]:
        """Turn waveforms into ``(channel,)`` or ``(layer, frame, channel)``."""
