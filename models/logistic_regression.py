"""Logistic regression on standardised vectors, every class weighing the same.

Source: hsn07pk/ravdess-speaker-independent-ser (2026). Inputs: one vector per
utterance; a frame feature comes in as means over time, so ``features=("wav2vec2",)``
with ``layers=[9]`` is a linear probe of one layer.

Published on RAVDESS, 8 classes, one of 24 actors left out at a time, silence trimmed:
53.1 UAR [49.5, 56.4] with eGeMAPS, 50.5 with MFCC and prosody, 63.6 with ComParE; 77.8
to 81.9 with layers of large encoders. wav2vec2-base was not run. Layer and C were
chosen by folds within the training actors, standardisation learnt on them alone, so
nothing was wrong there; its own controls say what is: random folds add 7 to 13
points, choosing the layer on the test actors up to 2. Here C is fixed unless asked
for: ``fit --grid C=0.01,0.1,1`` chooses it as the source does, ``layer_probe`` layer
and C.

Over five actor-disjoint folds, eGeMAPS, C 0.1, this project measured 51.5 UAR, and
53.1 with one actor left out at a time.
"""

from collections.abc import Sequence
from typing import Any

from sklearn.linear_model import LogisticRegression

from contracts.published import Published
from models._tables import TableHead

PUBLISHED = (
    Published(
        "hsn07pk/ravdess-speaker-independent-ser (2026)",
        "53.1 UAR [49.5, 56.4] with eGeMAPS; 50.5 with MFCC and prosody; 63.6 with "
        "ComParE; 77.8 to 81.9 with layers of large encoders",
        "RAVDESS, 8 classes, one of 24 actors left out at a time, silence trimmed",
        "none found: layer and C by folds within the training actors",
    ),
)


class Head(TableHead):
    """A linear map to the classes, weights kept small; nothing in it is drawn.

    Args:
        features: table features, or frame features taken as means over time
        layers: of frame features; None: 1..L
        C: inverse strength of the penalty on the weights
        class_weight: ``balanced`` or None
        max_iter: steps of the solver, at most
    """

    features: Sequence[str] = ("egemaps",)
    standardise = True

    def __init__(
        self,
        features: Sequence[str] = features,
        layers: Sequence[int] | None = None,
        C: float = 0.1,
        class_weight: str | None = "balanced",
        max_iter: int = 10_000,
    ) -> None:
        self.features = features
        self.layers = layers
        self.C = C
        self.class_weight = class_weight
        self.max_iter = max_iter

    def _estimator(self) -> Any:
        return LogisticRegression(
            C=self.C, class_weight=self.class_weight, max_iter=self.max_iter
        )
