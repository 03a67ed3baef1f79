"""eGeMAPSv02 descriptors: 25 low-level ones every 10 ms, computed by openSMILE.

Loudness, alpha ratio, Hammarberg index, two spectral slopes, spectral flux, MFCC 1-4,
pitch, jitter, shimmer, harmonics-to-noise ratio, two harmonic differences and three
formants, as openSMILE gives them: smoothed over three frames, pitch in semitones above
27.5 Hz, 0 where there is no voice. From the decoded array at 16 kHz, limited to full
scale as for ``egemaps``. ``egemaps_lld_20ms`` has them at the frames of wav2vec2.

Frame t begins at 10 t ms. What comes of the spectrum is of the 20 ms from there on
(centre 10 t + 10 ms), pitch, jitter, shimmer and harmonics of 60 ms (centre 10 t +
30 ms); there are (samples - 960) // 160 + 2 of them.

Axes: ``(layer, frame, channel)``, one layer, always float32. An utterance that is too
short for openSMILE (less than 60 ms) has none and says so.

Source: Eyben et al., The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for voice
research and affective computing, IEEE TAC 7(2), 2016. openSMILE's licence allows
research and teaching, not commercial use.
"""

from __future__ import annotations

from contracts.extraction import Options
from extract._descriptors import Descriptors

VERSION = 1


def load(options: Options) -> Descriptors:
    """Make the feature ready; whether frames are stored is the one option."""
    return Descriptors("egemaps_lld", VERSION, options)
