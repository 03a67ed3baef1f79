"""One decision tree with scikit-learn's defaults, on means of MFCC.

Source: the classical baselines of seed 003 (aszharov/wav2vec2_ravdess), a
``DecisionTreeClassifier()`` with library defaults on 40 MFCC means, not scaled; trees
need no scaling. Inputs: one vector per utterance; frame features come in as means over
time. Leaves are pure, so its probabilities are 0 or 1.

Published on RAVDESS, 8 classes: .25 accuracy, .25 UAR, .25 F1 on one fold of 300
utterances (actors 2, 5, 14, 15, 16), so +/- 5 points; no seed. See ``PUBLISHED``.
"""

from collections.abc import Sequence
from typing import Any

from sklearn.tree import DecisionTreeClassifier

from contracts.published import Published
from models._tables import TableHead

PUBLISHED = (
    Published(
        "aszharov/wav2vec2_ravdess",
        ".25 accuracy, .25 UAR, .25 F1 with 40 MFCC means",
        "RAVDESS, 8 classes, one fold: actors 2, 5, 14, 15, 16, 300 utterances",
        "one fold, no seed; +/- 5 points",
    ),
)


class Head(TableHead):
    """Questions about one column at a time, until a leaf holds one label.

    Args:
        features: table features, or frame features taken as means over time
        layers: of frame features; None: 1..L
        max_depth: questions to a leaf; None: until leaves are pure
        min_samples_leaf: utterances in a leaf, at least
        class_weight: ``balanced`` or None
        seed: which of equally good questions is asked
    """

    features: Sequence[str] = ("mfcc:mean",)

    def __init__(
        self,
        features: Sequence[str] = features,
        layers: Sequence[int] | None = None,
        max_depth: int | None = None,
        min_samples_leaf: int = 1,
        class_weight: str | None = None,
        seed: int = 0,
    ) -> None:
        self.features = features
        self.layers = layers
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.class_weight = class_weight
        self.seed = seed

    def _estimator(self) -> Any:
        return DecisionTreeClassifier(
            max_depth=self.max_depth,
            min_samples_leaf=self.min_samples_leaf,
            class_weight=self.class_weight,
            random_state=self.seed,
        )
