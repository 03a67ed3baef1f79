"""One linear model per layer, the layer chosen on training speakers.

Source: ours, in the manner of hsn07pk/ravdess-speaker-independent-ser (2026), which
chose layer and C in the same way. Inputs: means over time of each stored layer of one
frame feature, the encoder's input 0 too; on request deviations beside them. Parameters:
a weight for each channel and label, and a bias for each label.

Every layer is asked how well a logistic regression on it knows speakers that it has
not heard: five folds of training speakers, the predictions of all folds pooled, UAR.
The layer and C of the highest UAR are taken (the lower layer and smaller C of equal
ones), and a model is fitted on all training speakers. The UAR of every layer and C is
kept: it says where in the encoder emotion lies. That of the chosen one is the highest
of many, so it flatters; the test speakers' UAR does not.

Published on RAVDESS, 8 classes: 77.8 to 81.9 UAR with large encoders, see
``PUBLISHED``; wav2vec2-base was not run. Taking the layer that is best on the test
speakers added up to 2 points there, taking the last one lost 2 to 6.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from contracts.errors import RunError, listing
from contracts.published import Published
from contracts.view import View
from models._calibration import Split, speaker_splits
from models._columns import inputs, joined
from models._tables import TableHead, spread, standardised

PUBLISHED = (
    Published(
        "hsn07pk/ravdess-speaker-independent-ser (2026)",
        "UAR 81.9 with XLS-R 300M (layers 8-15), 81.3 with WavLM large (9-11), 80.2 "
        "with Whisper large v3, 77.8 with HuBERT large (11-15)",
        "RAVDESS, 8 classes, one of 24 actors left out at a time, silence trimmed; "
        "layer and C by 5 folds of training actors",
        "none found; wav2vec2-base was not run",
    ),
)
_TOLERANCE = 3e-3  # of the gradient, where models are compared; the last one: 1e-4


class Head(TableHead):
    """A linear model on the layer that tells training speakers' emotions best.

    Args:
        features: one frame feature
        layers: to choose from; None: every one that is stored
        strengths: inverse strengths of the penalty to choose from, rising
        deviation: take deviations over time beside means
        class_weight: ``balanced`` or None
        max_iter: steps of the solver, at most

    Attributes:
        chosen_: ``layer`` and ``C``
        learnt_: both too; ``layers``; ``layer_uar``: of each at its best C, by folds of
            training speakers; ``strengths``; ``uar``: ``(layer, strength)``
    """

    features: Sequence[str] = ("wav2vec2",)
    standardise = True

    def __init__(
        self,
        features: Sequence[str] = features,
        layers: Sequence[int] | None = None,
        strengths: Sequence[float] = (0.001, 0.01, 0.1),
        deviation: bool = False,
        class_weight: str | None = "balanced",
        max_iter: int = 10_000,
    ) -> None:
        self.features = features
        self.layers = layers
        self.strengths = strengths
        self.deviation = deviation
        self.class_weight = class_weight
        self.max_iter = max_iter

    def _estimator(self) -> Any:
        return self._model(C=self.chosen_["C"])

    def _model(self, **more: Any) -> Any:
        told = {"class_weight": self.class_weight, "max_iter": self.max_iter}
        return LogisticRegression(**told, **more)

    def _inputs(self, view: View) -> dict[str, NDArray[np.float32]]:
        return self._layer(view, self.learnt_["layer"])

    def _layer(self, view: View, layer: int) -> dict[str, NDArray[np.float32]]:
        return inputs(view, self.features, [layer], self.deviation)

    def _choose(self, train: View, targets: NDArray[Any]) -> None:
        """Choose layer and C by speakers of train that were not heard."""
        layers, strengths = self._candidates(train)
        splits = speaker_splits(train, self.name)
        uar = np.array(
            [
                self._uar(joined(self._layer(train, n), len(train)), targets, splits)
                for n in layers
            ]
        )
        layer, strength = np.unravel_index(uar.argmax(), uar.shape)
        self.chosen_ = {"layer": layers[layer], "C": strengths[strength]}
        self.learnt_ |= self.chosen_ | {
            "layers": layers,
            "layer_uar": uar.max(axis=1).tolist(),
            "strengths": strengths,
            "uar": uar.tolist(),
        }

    def _candidates(self, train: View) -> tuple[list[int], list[float]]:
        """Return layers and strengths to choose from; refuse what cannot be."""
        strengths = list(self.strengths)
        if not strengths or sorted(strengths) != strengths or strengths[0] <= 0:
            msg = (
                f"{self.name} cannot take strengths={self.strengths!r}: expected "
                "numbers above 0, rising, such as --set strengths=0.01,0.1"
            )
            raise RunError(msg)
        if len(self.features) != 1 or train.spec(self.features[0]).is_table:
            msg = (
                f"{self.name} chooses a layer: expected one frame feature such as "
                f"--feature wav2vec2, got {listing(self.features)}"
            )
            raise RunError(msg)
        stored = train.spec(self.features[0]).layers
        return list(stored if self.layers is None else self.layers), strengths

    def _uar(
        self, X: NDArray[Any], targets: NDArray[Any], splits: Sequence[Split]
    ) -> list[float]:
        """Return UAR of unheard speakers, one for each strength."""
        guessed = np.empty((len(self.strengths), len(X)), targets.dtype)
        for rest, part in splits:
            known = spread(X[rest])
            heard, unheard = (
                standardised(X[rows], known).astype(np.float32) for rows in (rest, part)
            )
            # each strength goes on where the one before, which is smoother, ended
            model = self._model(warm_start=True, tol=_TOLERANCE)
            for i, strength in enumerate(self.strengths):
                model.set_params(C=strength).fit(heard, targets[rest])
                guessed[i, part] = model.predict(unheard)
        rows = np.concatenate([part for _, part in splits])
        return [
            float(balanced_accuracy_score(targets[rows], one[rows])) for one in guessed
        ]
