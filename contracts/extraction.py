"""What a feature plug-in is handed, and what it gives back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from contracts.errors import ExtractionError
from contracts.feature import Block, FeatureSpec

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
        store: ``frames`` with what is pooled of them, or ``pooled`` alone
        precision: of an encoder's matrix products: ``float32``, ``float16``,
            ``bfloat16``
    """

    encoder: str | None = None
    revision: str | None = None
    layers: tuple[int, ...] | None = None
    dtype: str = "float16"
    device: str = "auto"
    store: str = "frames"
    precision: str = "float32"


class Extractor(Protocol):
    """A feature that is ready to compute.

    It may have more, where there is something to say:

    - ``alone(waveform)`` gives ``(layer, frame, channel)`` float32 of one waveform by
      the plainest way there is: ``cache verify --recompute`` compares with it;
    - ``bytes_held``: memory that it takes by itself, such as an encoder's weights;
    - ``bytes_needed(seconds)``: memory that one waveform takes while it is computed;
    - ``remarks()``: what a person should know of how it went, in sentences.
    """

    spec: FeatureSpec
    device: str

    def __call__(
        self, waveforms: Sequence[NDArray[Any]]
    ) -> Sequence[NDArray[Any] | Block | ExtractionError]:
        """Turn waveforms into ``(channel,)``, ``(layer, frame, channel)`` or blocks."""


def bytes_held(extractor: Extractor) -> int:
    """Return the memory that a feature takes by itself, 0 where it does not say."""
    return int(getattr(extractor, "bytes_held", 0))


def bytes_needed(extractor: Extractor, seconds: float) -> int:
    """Return the memory that so much audio in one piece takes, 0 if that is unknown."""
    needed = getattr(extractor, "bytes_needed", None)
    return 0 if needed is None else int(needed(seconds))


def remarks(extractor: Extractor) -> list[str]:
    """Return what a feature has to say of how it went."""
    told = getattr(extractor, "remarks", None)
    return [] if told is None else list(told())
