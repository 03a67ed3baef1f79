"""eGeMAPSv02 descriptors at the frames of wav2vec2: 25 every 20 ms, by openSMILE.

Those of ``egemaps_lld``, each frame the mean of two, as Pepino et al. join them to
wav2vec2: frame t is the mean of the descriptors' frames 2 t and 2 t + 1, and there are
exactly as many frames as wav2vec2 has, (samples - 400) // 320 + 1. Where openSMILE has
fewer, its last frame is repeated (the last two or three frames of an utterance).

Frame t of wav2vec2 sees the samples from 20 t to 20 t + 25 ms, centre 20 t + 12.5 ms.
Here, what comes of the spectrum is of 20 t to 20 t + 30 ms, centre 20 t + 15 ms; pitch,
jitter, shimmer and harmonics look at 20 t to 20 t + 70 ms, centre 20 t + 35 ms. All of
it is smoothed over three frames of 10 ms. Pitch is 0 where there is no voice, and its
mean with a frame that has none is half of it, as in Pepino's.

Axes: ``(layer, frame, channel)``, one layer, always float32. An utterance that is too
short for openSMILE (less than 60 ms) has none and says so.

Source: Pepino, Riera, Ferrer, Emotion recognition from speech using wav2vec 2.0
embeddings, Interspeech 2021, arXiv:2104.03502; Eyben et al., The Geneva Minimalistic
Acoustic Parameter Set (GeMAPS), IEEE TAC 7(2), 2016. openSMILE's licence allows
research and teaching, not commercial use.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contracts.extraction import Options
from extract._descriptors import SHIFT, Descriptors

VERSION = 1
FIELD, STRIDE = 400, 320  # samples that a frame of wav2vec2 sees, and between two
_HOW = "mean of two; as many as wav2vec2 has, the last repeated"


def pairs(frames: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
    """Average frames two by two, to as many as wav2vec2 has of so many samples.

    Args:
        frames: ``(frame, channel)``, 10 ms apart
        n_samples: of the waveform at 16 kHz
    """
    n = (n_samples - FIELD) // STRIDE + 1
    rows = np.minimum(np.arange(2 * n), len(frames) - 1)
    return frames[rows].reshape(n, 2, -1).mean(axis=1, dtype=np.float32)


def load(options: Options) -> Descriptors:
    """Make the feature ready; whether frames are stored is the one option."""
    return Descriptors("egemaps_lld_20ms", VERSION, options, 2 * SHIFT, (_HOW, pairs))
