"""ComParE 2016: 6373 functionals of voice, computed by openSMILE.

The feature set of the Computational Paralinguistics Challenges since 2013, in its form
of 2016: some hundred functionals each of 65 low-level descriptors (auditory and
spectral energies, MFCC, pitch, jitter, shimmer, harmonicity) and of their slopes, by
the ``opensmile`` package, from the decoded array at 16 kHz, limited to full scale as
for ``egemaps``. Most channels are close relatives of others: a head needs
regularisation or a choice among them.

Channels: 6373, one vector per utterance, NaN throughout where openSMILE cannot compute
them (60 ms and shorter).

Source: Schuller et al., The INTERSPEECH 2016 Computational Paralinguistics Challenge:
Deception, Sincerity and Native Language, Interspeech 2016; Weninger et al., On the
acoustics of emotion in audio, Frontiers in Psychology 4:292, 2013. openSMILE's licence
allows research and teaching, not commercial use.
"""

from __future__ import annotations

from contracts.extraction import Options
from extract._smile import Functionals

VERSION = 1


def load(options: Options) -> Functionals:
    """Make the feature ready; no option concerns it."""
    return Functionals("compare16", "ComParE_2016", VERSION)
