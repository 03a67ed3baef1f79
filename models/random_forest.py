"""Random forest with scikit-learn's defaults, on eGeMAPS functionals.

Source: the classical baselines of seed 003 (aszharov/wav2vec2_ravdess) and of seed 001
(amansyayf/wav2vec2_emotion_recognition). Inputs: one vector per utterance; frame
features come in as means over time.

Published on RAVDESS, 8 classes:

- .39 accuracy, .37 UAR, .36 F1: 40 MFCC means, library defaults, no seed (seed 003).
  One fold of 300 utterances (actors 2, 5, 14, 15, 16), so +/- 5 points.
- .525 accuracy: eGeMAPS, 100 bagged trees with all columns at each split, leaves of 5
  or more (seed 001). Two test actors, 120 utterances, +/- 9 points; the leaf size was
  chosen by folds that share speakers, and audio was read at 48 kHz.
- 51.2 UAR: eGeMAPS, 500 trees, one actor left out at a time (hsn07pk), silence trimmed.

Over five actor-disjoint folds, 16 kHz, 500 trees, this project measured 45.5 UAR.
"""

from collections.abc import Sequence
from typing import Any, Self

from sklearn.ensemble import RandomForestClassifier

from contracts.published import Published
from contracts.view import View
from models._tables import TableHead

PUBLISHED = (
    Published(
        "aszharov/wav2vec2_ravdess",
        ".39 accuracy, .37 UAR, .36 F1 with 40 MFCC means, library defaults",
        "RAVDESS, 8 classes, one fold: actors 2, 5, 14, 15, 16, 300 utterances",
        "one fold, no seed; +/- 5 points",
    ),
    Published(
        "amansyayf/wav2vec2_emotion_recognition",
        ".525 accuracy with eGeMAPS, 100 bagged trees, leaves of 5 or more",
        "RAVDESS, 8 classes, actors 23 and 24, 120 utterances",
        "two actors, +/- 9 points; leaf size chosen by folds that share speakers; "
        "audio at 48 kHz",
    ),
    Published(
        "hsn07pk/ravdess-speaker-independent-ser (2026)",
        "51.2 UAR with eGeMAPS, 500 trees; 52.3 with ComParE; 48.1 with MFCC and "
        "prosody; 75.5 with a layer of WavLM large",
        "RAVDESS, 8 classes, one of 24 actors left out at a time, silence trimmed",
        "none found",
    ),
)


class Head(TableHead):
    """A forest of trees; each grown on drawn utterances, splits on drawn columns.

    Args:
        features: table features, or frame features taken as means over time
        layers: of frame features; None: 1..L
        n_estimators: trees
        max_features: columns tried at a split: ``sqrt``, ``log2``, a share or a number
        max_depth: of a tree; None: until leaves are pure
        min_samples_leaf: utterances in a leaf, at least
        class_weight: None, ``balanced`` or ``balanced_subsample``
        n_jobs: trees grown at once; -1: as many as there are cores
        seed: of everything that is drawn
    """

    features: Sequence[str] = ("egemaps",)

    def __init__(
        self,
        features: Sequence[str] = features,
        layers: Sequence[int] | None = None,
        n_estimators: int = 100,
        max_features: str | float | None = "sqrt",
        max_depth: int | None = None,
        min_samples_leaf: int = 1,
        class_weight: str | None = None,
        n_jobs: int | None = None,
        seed: int = 0,
    ) -> None:
        self.features = features
        self.layers = layers
        self.n_estimators = n_estimators
        self.max_features = max_features
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.seed = seed

    def _estimator(self) -> Any:
        return RandomForestClassifier(
            n_estimators=self.n_estimators,
            max_features=self.max_features,
            max_depth=self.max_depth,
            min_samples_leaf=self.min_samples_leaf,
            class_weight=self.class_weight,
            n_jobs=self.n_jobs,
            random_state=self.seed,
        )

    def fit(self, train: View, dev: View | None = None) -> Self:
        """Grow the trees on ``train``; ``dev`` is not needed and not looked at."""
        super().fit(train, dev)
        self.estimator_.n_jobs = 1  # threads would sum the trees in any order
        return self
