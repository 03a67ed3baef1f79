"""eGeMAPSv02: 88 functionals of voice, computed by openSMILE.

Statistics of pitch, jitter, formants, shimmer, loudness, harmonics, spectral slope,
MFCC 1-4 and the timing of voiced stretches over the utterance, by the ``opensmile``
package, from the decoded array at 16 kHz. openSMILE takes 16-bit samples: what is
beyond full scale (resampling overshoots) is limited to it, where openSMILE itself
would let it wrap round to the other sign.

Channels: 88, one vector per utterance, NaN throughout where openSMILE cannot compute
them (50 ms and shorter).

Source: Eyben et al., The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for voice
research and affective computing, IEEE TAC 7(2), 2016. openSMILE's licence allows
research and teaching, not commercial use.
"""

from __future__ import annotations

from contracts.extraction import Options
from extract._smile import Functionals

VERSION = 1


def load(options: Options) -> Functionals:
    """Make the feature ready; no option concerns it."""
    return Functionals("egemaps", "eGeMAPSv02", VERSION)
