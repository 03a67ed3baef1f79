"""Mean over time, two hidden layers: the plainest network on an encoder's frames.

Source: seed 002 (WidjanarkoJoshua/Emotional-Audio-Classification), and EmoBox
(Interspeech 2024) in the order of what it does. Input: the mean over an utterance's
own frames of the last layer, or of several that are weighted (``layers``). As in seed
002: 256, ReLU, dropout .2, 64, ReLU, dropout .2, labels; AdamW, 3e-3, down along a
cosine, 16 utterances a batch, 15 epochs. With ``framewise=True`` the first hidden
layer and its ReLU come before the mean, frame by frame, as in EmoBox, which has no
second one (``hidden=(256,)``), Adam, 1e-4, 32 utterances and 100 epochs, and
normalises each utterance over all its frames and channels (``normalise="utterance"``):
``pipeline.py reproduce emobox-ravdess-wav2vec2-base`` has all that but for the rate,
which falls along the cosine here.

Not as in seed 002 unless asked for: seed 002 learns the annotators' votes
(``targets="soft"``). Its weight decay of the head is not stated; .01 is torch's own.
Its weights of labels, 1 / log(1.3 + share), which make targets that sum to no 1, are
not offered: see ``class_weight``.

Without ``framewise`` nothing before the mean is more than linear, so that the means in
the cache are read and no frame is, unless ``time_mask`` asks for frames.

Published: none of seed 002's notebook, whose outputs were removed. EmoBox, frozen
wav2vec2-base, last layer: 54.33 UA on RAVDESS (8 classes, six folds of four actors),
61.95 on CREMA-D, 82.06 on EMO-DB, 58.27 on IEMOCAP. Its printed scores pool the
predictions of all epochs so far (a list that is never emptied), which makes them too
low; its development utterances are of speakers that it trains on; its folds of EMO-DB
and CREMA-D are not apart by speakers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn

from contracts.errors import RunError
from contracts.published import Published
from models._frames import FrameHead
from models._layers import WeightedLayers, masked_mean

_BOX = "EmoBox, Interspeech 2024"
_POOLED = "each score pools the predictions of all epochs so far, so it is too low; "
PUBLISHED = (
    Published(
        _BOX,
        "UA 54.33, WA 55.40, F1 53.99; wav2vec2-base, last layer",
        "RAVDESS speech, 8 classes, six folds of four actors",
        _POOLED + "development utterances are of training speakers",
    ),
    Published(
        _BOX,
        "UA 65.43, WA 66.21, F1 65.31; HuBERT-base, last layer",
        "RAVDESS speech, 8 classes, six folds of four actors",
        _POOLED + "development utterances are of training speakers",
    ),
    Published(
        _BOX,
        "UA 61.95, WA 61.90, F1 61.75; wav2vec2-base, last layer",
        "CREMA-D, 6 classes, one random split (1856 test utterances)",
        _POOLED + "all speakers are on both sides",
    ),
    Published(
        _BOX,
        "UA 58.27, WA 57.73, F1 57.83; wav2vec2-base, last layer",
        "IEMOCAP, 4 classes, one of five sessions left out at a time",
        _POOLED + "development utterances are of training speakers",
    ),
)


class MLP(nn.Module):
    """Weighted layers, masked mean, hidden layers, logits."""

    def __init__(
        self,
        n_labels: int,
        n_layers: int,
        channels: int,
        hidden: Sequence[int] = (256, 64),
        dropout: float = 0.2,
        framewise: bool = False,
    ) -> None:
        super().__init__()
        self.layers = WeightedLayers(n_layers)
        blocks = [
            nn.Sequential(nn.Linear(n, m), nn.ReLU(), nn.Dropout(dropout))
            for n, m in pairwise((channels, *hidden))
        ]
        n_before = len(blocks[:1]) if framewise else 0
        self.before = nn.Sequential(*blocks[:n_before])
        self.behind = nn.Sequential(*blocks[n_before:])
        self.out = nn.Linear((channels, *hidden)[-1], n_labels)

    def forward(self, maps: Tensor, lengths: Tensor) -> Tensor:
        """Return logits ``(utterance, label)``.

        Args:
            maps: ``(utterance, layer, frame, channel)``
            lengths: frames of each ``(utterance,)``, what lies behind does not count
        """
        mean = masked_mean(self.before(self.layers(maps)), lengths)
        logits: Tensor = self.out(self.behind(mean))
        return logits


@dataclass(eq=False, repr=False, kw_only=True)
class Head(FrameHead):
    """Mean over time, hidden layers; ``layers=None`` is the last hidden state.

    Args:
        hidden: widths of the hidden layers
        framewise: whether the first of them comes before the mean
    """

    otherwise: ClassVar[str] = "last"
    linear_until_mean: ClassVar[bool] = True

    lr: float = 3e-3
    weight_decay: float = 0.01
    batch_size: int = 16
    max_epochs: int = 15
    dropout: float = 0.2
    hidden: Sequence[int] = (256, 64)
    framewise: bool = False

    def refuse_options(self) -> None:
        """Refuse hidden layers without width, too."""
        super().refuse_options()
        if any(width < 1 for width in self.hidden) or not self.hidden:
            msg = f"mlp needs hidden layers: expected widths, got {self.hidden}"
            raise RunError(msg)

    def takes_means(self) -> bool:
        """Whether nothing before the mean is more than linear."""
        return super().takes_means() and not self.framewise

    def build(self, n_labels: int, facts: dict[str, Any]) -> nn.Module:
        """Return the network."""
        sizes = n_labels, facts["n_layers"], facts["channels"], self.hidden
        return MLP(*sizes, self.dropout, self.framewise)

    def rate(self, done: float) -> float:
        """Return the share of ``lr``, along half a cosine."""
        return (1 + math.cos(math.pi * done / self.max_epochs)) / 2
