"""Hear what is to be computed: the waveform of an utterance, or of its variant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts import variant
from contracts.errors import ExtractionError
from extract import _audio, _variants
from extract._plan import Item


def listen(items: Sequence[Item]) -> list[NDArray[Any] | ExtractionError]:
    """Hear a shard; what cannot be heard as the manifest has it is an error."""
    out: list[NDArray[Any] | ExtractionError] = []
    for item in items:
        try:
            out.append(hear(item))
        except ExtractionError as error:
            out.append(error)
    return out


def hear(item: Item) -> NDArray[np.float32]:
    """Return the waveform ``(time,)``, mono float32 at 16 kHz.

    Raises:
        ExtractionError: if it cannot be heard, or is no longer what the manifest says
    """
    decoded = _audio.decode(Path(item.sound or item.path), item.start, item.end)
    heard = _audio.waveform_hash(decoded)
    if heard != (item.source or item.key):
        msg = f"{item.path} was replaced since it was listed: run extract again"
        raise ExtractionError(msg)
    waveform = _audio.resample(decoded)
    if not item.variant:
        return waveform
    what = variant.parse(item.variant)
    if _variants.key(heard, what) != item.key:
        asked = f"--{what.role} {what.asked}"
        msg = f"{item.id} was made in another version: run extract {asked} again"
        raise ExtractionError(msg)
    return _variants.make(waveform, heard, what)
