"""Convolutions over log-mel spectrograms: four blocks, mean over what is left.

Source: seed 004 (swathiarasu/SER), its network without an encoder. Input: 128 mel
bands in decibels, a frame per 16 ms, each utterance brought to mean 0 and deviation 1.
Four 3 x 3 convolutions (32, 64, 128, 256 maps), each followed by batch norm, ReLU,
max-pooling of 2 x 2 and dropout .3; the mean over all places; 256, ReLU, dropout .5,
labels. Adam, 1e-3, 32 utterances a batch, at most 50 epochs, ended by six without a
smaller loss.

While training each spectrogram is changed anew: shifted in time by up to a tenth, what
leaves at one end coming in at the other (in seven of ten); white noise is added, whose
deviation is up to .005 of the waveform's peak (in seven of ten); one run of bands and
one run of frames, of up to a tenth each, are set to the mean. Shift and noise were
made on the waveform there; a head hears none. The shift is made on the spectrogram; the
noise is added to its powers, each as one bin of a spectrum, at the level that it has
where the loudest power and the peak are as far apart as in the median of RAVDESS. Tried
on twelve of its files, such noise moves the numbers 0.98 to 1.7 times as far as noise
in the waveform does. Of another feature, or with ``normalise``, there are no decibels,
and so there is no noise.

Any length is accepted in place of 2.5 s, cut or mirrored: padding is never looked at
(``models/_trunk.py``). An utterance under 16 frames is lengthened to 16 by zeros.

Published on CREMA-D, 6 classes: .53 accuracy, .52 F1, on a random tenth (745
utterances): the same speakers and sentences were on both sides.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from contracts.errors import RunError
from contracts.feature import FeatureReference
from contracts.published import Published
from contracts.view import View
from models._frames import FrameHead
from models._layers import valid
from models._network import Inputs, Reader
from models._sampling import without_run
from models._trunk import Convolutions

PUBLISHED = (
    Published(
        "seed 004, swathiarasu/SER",
        "accuracy .53, macro F1 .52; log-mel of 2.5 s",
        "CREMA-D, 6 classes; random tenth of the utterances (745)",
        "same speakers and sentences on both sides; one split",
    ),
)
BLOCKS = ((32,), (64,), (128,), (256,))
POOL = 2
OFTEN = 0.7  # chance of a shift, and of noise
# power of white noise in a band, where its deviation is the waveform's peak and the
# loudest power is 1: the median of 24 files of RAVDESS (0.026 to 0.14 of most). What
# noise of deviation 1 has: 384, the sum of the window's squares, times .064, that of a
# band of ``extract/logmel.py``
FLOOR = 0.068
RANGE = 80.0  # decibels below the loudest, as there


def standardised(maps: Tensor, lengths: Tensor) -> Tensor:
    """Bring each ``(layer, frame, band)`` to mean 0 and deviation 1; padding is 0."""
    there = valid(lengths, maps.shape[2]).to(maps.device)
    maps, own = maps.float(), there[:, None, :, None]
    size = own.sum(dim=(1, 2, 3), keepdim=True) * maps.shape[1] * maps.shape[3]
    kept = maps.masked_fill(~own, 0.0)
    apart = (kept - kept.sum((1, 2, 3), keepdim=True) / size) * own
    square = apart.square().sum((1, 2, 3), keepdim=True) / size
    # silence throughout stays 0
    return apart / square.sqrt().clamp_min(1e-6)


def noisy(decibels: Tensor, level: float, draw: np.random.Generator) -> Tensor:
    """Add white noise to powers in decibels, the loudest of which is 0.

    Args:
        decibels: ``(layer, frame, band)``
        level: deviation of the noise, as a share of the waveform's peak
        draw: of the noise
    """
    if not level or decibels.max() == decibels.min():  # silence has no peak
        return decibels
    size = level * math.sqrt(FLOOR / 2)
    drawn = size * draw.standard_normal((2, *decibels.shape), np.float32)
    real, imaginary = torch.from_numpy(drawn).to(decibels.device)
    top = decibels.max()
    heard = 10 ** ((decibels - top) / 20) + real
    power = heard.square_().add_(imaginary.square_()).clamp_min_(1e-12)
    out = power.log10_().mul_(10)
    return (out - out.max()).clamp_min_(-RANGE)


class CNN(Convolutions):
    """Four blocks, mean over all places, one hidden layer, logits."""

    def __init__(
        self,
        n_labels: int,
        n_layers: int = 1,
        dropout: float = 0.5,
        within: float = 0.3,
    ) -> None:
        super().__init__(n_layers, BLOCKS, POOL, within)
        self.hidden = nn.Linear(BLOCKS[-1][-1], 256)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(256, n_labels)

    def forward(self, maps: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits ``(utterance, label)``; arguments as of ``ends``."""
        means = torch.stack([end.mean(dim=(1, 2)) for end in self.ends(maps, lengths)])
        logits: Tensor = self.out(self.dropout(F.relu(self.hidden(means))))
        return logits


@dataclass(eq=False, repr=False, kw_only=True)
class Head(FrameHead):
    """Convolutions over log-mel.

    Args:
        dropout_within: share of what is silenced behind each pooling while training
        time_shift: largest shift, as a share of an utterance's frames
        noise: largest deviation of added noise, as a share of the waveform's peak
        band_mask: largest share of the bands that is set to the mean, in one run
    """

    features: Sequence[str] = ("logmel",)
    lr: float = 1e-3
    max_epochs: int = 50
    patience: int | None = 6
    dropout: float = 0.5
    dropout_within: float = 0.3
    time_mask: float = 0.1
    time_shift: float = 0.1
    noise: float = 0.005
    band_mask: float = 0.1

    def refuse_options(self) -> None:
        """Refuse shares that are none, too."""
        super().refuse_options()
        names = ("dropout_within", "time_shift", "noise", "band_mask")
        if bad := [n for n in names if not 0 <= getattr(self, n) < 1]:
            got = [getattr(self, n) for n in bad]
            msg = f"{self.name} cannot train: expected {bad} in [0, 1), got {got}"
            raise RunError(msg)

    @property
    def hears_decibels(self) -> bool:
        """Whether there are powers that noise can be added to."""
        name = FeatureReference.parse(self.features[0]).name
        return self.normalise is None and name == "logmel"

    def build(self, n_labels: int, facts: dict[str, Any]) -> nn.Module:
        """Return the network."""
        sizes = n_labels, facts["n_layers"]
        return CNN(*sizes, self.dropout, self.dropout_within)

    def reader(self, view: View) -> Reader:
        """Return what reads spectrograms, each of mean 0 and deviation 1."""
        read = self.learner(view)

        def ready(rows: Sequence[int]) -> Inputs:
            maps, lengths = read(rows)
            return standardised(maps, lengths), lengths

        return ready

    def learner(self, view: View) -> Reader:
        """Return what reads spectrograms as they are stored."""
        return super().reader(view)

    def disturbed(self, inputs: Inputs, draw: np.random.Generator) -> Inputs:
        """Shift, add noise, set a run of bands to the mean, then what all heads do.

        Args:
            inputs: as of ``learner``
            draw: of what is changed

        Returns:
            as of ``reader``
        """
        maps, lengths = inputs[0].float(), inputs[1]  # decibels
        maps = maps.clone() if maps is inputs[0] else maps
        for one, n in zip(maps, lengths.tolist(), strict=True):
            own = one[:, :n]
            if draw.random() < OFTEN:
                far = int(self.time_shift * n)
                own[:] = own.roll(int(draw.integers(-far, far + 1)), dims=1)
            if draw.random() < OFTEN:
                level = self.noise * draw.random()
                if self.hears_decibels:
                    own[:] = noisy(own, level, draw)
        maps = standardised(maps, lengths)
        bands = torch.full((len(maps),), maps.shape[3])
        maps = without_run(maps.transpose(2, 3), bands, self.band_mask, draw)
        return super().disturbed((maps.transpose(2, 3), lengths), draw)
