"""Class frequencies of the training utterances, whatever is heard: the floor.

Source: ZeroR of the tables of Luna-Jimenez et al. 2022 (Appl. Sci. 12, 327).
Inputs: none. Parameters: one frequency per class.
Published: 13.3 % accuracy on RAVDESS (8 classes, 5 actor-disjoint folds), which is the
share of the largest class. UAR is one over the number of classes by construction, so
a head near it has learnt nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from contracts.published import Published
from contracts.view import View
from models._tables import BaseHead, codes

PUBLISHED = (
    Published(
        "Luna-Jimenez et al. 2022, Appl. Sci. 12, 327",
        "13.33 % accuracy (+/- 1.76)",
        "RAVDESS, 8 classes, five folds of actors (ravdess-luna5), 1440 utterances",
        "no flaw found: it is the share of the largest class",
    ),
)


class Head(BaseHead):
    """Predict how often each class is in train, for every utterance alike.

    Attributes:
        frequencies_: ``(class,)``, sums to 1
    """

    features: Sequence[str] = ()

    def __init__(self, features: Sequence[str] = features) -> None:
        self.features = features

    def fit(self, train: View, dev: View | None = None) -> Self:
        """Count the labels of ``train``."""
        counts = np.bincount(codes(train, "train"), minlength=len(train.classes))
        self._set_classes(train.classes)
        self.frequencies_ = counts / counts.sum()
        self.learnt_ = {"frequencies": self.frequencies_.tolist()}
        return self

    def predict_proba(self, view: View) -> NDArray[np.float64]:
        """Return the same row for each utterance ``(utterance, class)``."""
        return np.tile(self.frequencies_, (len(view), 1))

    def save(self, folder: Path) -> None:
        """Write ``head.json``."""
        self._write(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote."""
        head, _ = cls._read(folder)
        head.frequencies_ = np.array(head.learnt_["frequencies"])
        return head
