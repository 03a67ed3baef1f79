"""How fast a feature is on this machine, by trying it on some of the audio."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from contracts.errors import ExtractionError
from contracts.extraction import Extractor
from extract import _audio, _work
from extract._plan import Item

_SEVERAL = 8  # at once, so that what is packed or padded can be
_LONGEST = 10.0  # seconds of an utterance that are heard


def audio_per_second(
    extractor: Extractor, todo: Sequence[Item], seconds: float = 0.0
) -> float:
    """Return seconds of audio that this process hears and computes in a second.

    Args:
        extractor: the feature
        todo: utterances to draw from, by rising length; ten seconds of each are heard
        seconds: how long to try, on some utterances at a time; at 0 one of middle
            length is tried, after the shortest, which is not counted
    """
    _try(extractor, todo[:1])
    audio = taken = 0.0
    first, n = len(todo) // 2, min(_SEVERAL, len(todo)) if seconds else 1
    while not audio or taken < seconds:
        some = [todo[(first + i) % len(todo)] for i in range(n)]
        heard, took = _try(extractor, some)
        audio, taken = audio + heard, taken + took
        first += len(todo) // 5 + 1  # long ones and short ones
    return audio / max(taken, 1e-9)


def _try(extractor: Extractor, items: Sequence[Item]) -> tuple[float, float]:
    """Return seconds of audio that were tried, and how long that took."""
    start = time.perf_counter()
    heard = [_hear(item) for item in items]
    _work.compute(extractor, items, heard)
    audio = sum(min(item.duration, _LONGEST) for item in items)
    return audio, time.perf_counter() - start


def _hear(item: Item) -> NDArray[Any] | ExtractionError:
    begin = item.start or 0.0
    end = item.end
    if item.duration > _LONGEST:
        end = begin + _LONGEST
    try:
        decoded = _audio.decode(Path(item.sound or item.path), item.start, end)
    except ExtractionError as error:
        return error
    return _audio.resample(decoded)
