"""Support vector machine with a radial kernel, calibrated over speakers.

Source: hsn07pk/ravdess-speaker-independent-ser (2026) and Luna-Jimenez et al. 2022
(Appl. Sci. 12, 327). Inputs: one vector per utterance, standardised; a frame feature
comes in as means over time. Parameters: the support vectors, and one temperature. C is
1; the first source chose it by folds of training actors, as ``--grid C=...`` does.

Published on RAVDESS, 8 classes, see ``PUBLISHED``: 51.2 UAR with eGeMAPS, 59.5 with
ComParE, one of 24 actors left out at a time; 50.1, 53.1 and 53.1 % accuracy with C of
1, 10 and 100 on means of a large encoder's convolutions, over five folds of actors.

Probabilities: the margins of each pair of labels are summed up for each label, and a
softmax of the sums over a temperature gives the probabilities (Guo et al. 2017, On
calibration of modern neural networks). The temperature is fitted on margins of
utterances whose speaker the machine did not hear, in folds of training speakers; then
the machine is fitted on all of them. The folds within scikit-learn's own
``SVC(probability=True)`` share speakers. Its ``CalibratedClassifierCV`` would take
folds of speakers, but for several labels it is handed votes and not margins: over the
five folds of RAVDESS with eGeMAPS that gave 1.49 nats an utterance, this 1.39.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from contracts.published import Published
from contracts.view import View
from models._calibration import inverse_temperature, margins, speaker_splits, unheard
from models._tables import TableHead

PUBLISHED = (
    Published(
        "hsn07pk/ravdess-speaker-independent-ser (2026)",
        "51.2 UAR with eGeMAPS; 59.5 with ComParE; 50.5 with MFCC and prosody; 81.0 "
        "with a layer of WavLM large",
        "RAVDESS, 8 classes, one of 24 actors left out at a time, silence trimmed",
        "none found: layer and C by folds within the training actors",
    ),
    Published(
        "Luna-Jimenez et al. 2022, Appl. Sci. 12, 327",
        "50.13, 53.12 and 53.10 % accuracy with C = 1, 10 and 100, on means over time "
        "of the 512 convolution channels of XLSR-53 English",
        "RAVDESS, 8 classes, five folds of actors (ravdess-luna5), 1440 utterances",
        "another encoder, fine-tuned for recognition; no fold to choose C on",
    ),
    Published(
        "audEERING, w2v2-how-to (notebook beside Wagner et al. 2023)",
        "77.08 UAR with ComParE 2016",
        "EMO-DB, 7 classes, one speaker left out at a time",
        "gamma='auto', weights not balanced",
    ),
)


class Head(TableHead):
    """Margins of a radial kernel, as probabilities.

    Args:
        features: table features, or frame features taken as means over time
        layers: of frame features; None: 1..L
        C: price of an utterance on the wrong side of its margin
        gamma: of the kernel ``exp(-gamma |x - x'|^2)``; None: one over the number of
            columns times their variance, which is 1 once they are standardised
        class_weight: ``balanced`` or None

    Attributes:
        learnt_: also ``inverse_temperature``, ``n_support`` and ``calibration_parts``
    """

    features: Sequence[str] = ("egemaps",)

    def __init__(
        self,
        features: Sequence[str] = features,
        layers: Sequence[int] | None = None,
        C: float = 1.0,
        gamma: float | None = None,
        class_weight: str | None = "balanced",
    ) -> None:
        self.features = features
        self.layers = layers
        self.C = C
        self.gamma = gamma
        self.class_weight = class_weight

    def _estimator(self) -> Any:
        machine = SVC(
            C=self.C,
            gamma="scale" if self.gamma is None else self.gamma,
            class_weight=self.class_weight,
            decision_function_shape="ovo",
            random_state=0,  # unused, but None would draw from everybody's generator
        )
        return make_pipeline(StandardScaler(), machine)  # each fold by its own rest

    def _learn(self, X: NDArray[Any], targets: NDArray[Any], train: View) -> None:
        """Fit the temperature on unheard speakers, then the machine on all."""
        n_labels = len(self.present_)
        splits = speaker_splits(train, self.name)

        def fit(rows: NDArray[np.int64]) -> Any:
            return self._estimator().fit(X[rows], targets[rows])

        rows, told = unheard(fit, X, n_labels, splits)
        self.estimator_ = self._estimator().fit(X, targets)
        self.learnt_ |= {
            "inverse_temperature": inverse_temperature(told, targets[rows]),
            "n_support": int(self.estimator_[-1].n_support_.sum()),
            "calibration_parts": len(splits),
        }

    def _told(self, ready: NDArray[Any]) -> NDArray[Any]:
        told = margins(self.estimator_, ready, len(self.present_))
        return np.asarray(softmax(self.learnt_["inverse_temperature"] * told, axis=1))
