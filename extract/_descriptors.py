"""Low-level descriptors of eGeMAPSv02, frame by frame, for the features of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ExtractionError
from contracts.extraction import Options
from contracts.feature import FeatureSpec
from extract._smile import Smile

SHIFT = 0.01  # seconds from one frame of openSMILE to the next
SHORTEST = 960  # samples at 16 kHz: openSMILE's frame for pitch, 60 ms
Frames = NDArray[np.float32]


class Descriptors:
    """Low-level descriptors of waveforms.

    Args:
        name: of the feature
        version: of the plug-in
        options: whether frames are kept
        frame_shift: seconds from one frame to the next, as they are stored
        prepare: turns openSMILE's frames ``(frame, channel)`` of a waveform of so many
            samples into what is stored, with words that say how; None: as they are
    """

    device = "cpu"

    def __init__(
        self,
        name: str,
        version: int,
        options: Options,
        frame_shift: float = SHIFT,
        prepare: tuple[str, Callable[[Frames, int], Frames]] | None = None,
    ) -> None:
        self._smile = Smile("eGeMAPSv02", "low-level descriptors")
        self._prepare = prepare
        told = {"frames": prepare[0]} if prepare else {}
        self.spec = FeatureSpec(
            name,
            self._smile.settings(version) | told,
            self._smile.names,
            layers=(0,),
            dtype="float32",  # hertz and decibels: float16 would lose digits
            frame_shift=frame_shift,
            keeps=options.store,
        )

    def __call__(
        self, waveforms: Sequence[NDArray[Any]]
    ) -> list[Frames | ExtractionError]:
        """Return ``(1, frame, channel)`` per waveform ``(time,)``.

        A waveform that is too short for openSMILE gets the error that says so.
        """
        found = self._smile(waveforms)
        return [self._stored(f, len(w)) for f, w in zip(found, waveforms, strict=True)]

    def _stored(self, frames: Frames, n_samples: int) -> Frames | ExtractionError:
        if np.isnan(frames).all():
            return ExtractionError(
                f"too short: expected at least {SHORTEST} samples at 16 kHz, got "
                f"{n_samples}"
            )
        if self._prepare is not None:
            frames = self._prepare[1](frames, n_samples)
        return frames[None]
