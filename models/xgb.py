"""Gradient-boosted trees with XGBoost's defaults, on eGeMAPS functionals.

Source: seed 003 (aszharov/wav2vec2_ravdess), ``XGBClassifier()`` with library
defaults. Inputs: one vector per utterance; frame features come in as means over time.

Published on RAVDESS, 8 classes, one fold (test actors 2, 5, 14, 15, 16; 300
utterances, so +/- 6 points):

- .56 accuracy, .54 UAR, .55 F1 with eGeMAPS. The scaler was fitted again on the test
  actors, which normalises them by their own statistics; no seed.
- .41 accuracy, .39 UAR, .37 F1 with 40 MFCC means, not scaled; no seed.

Trees need no scaling, so none is done here. Over five actor-disjoint folds this
project measured 46.7 UAR with eGeMAPS. No early stopping: all trees are grown.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import xgboost
from xgboost import XGBClassifier

from contracts.errors import RunError
from contracts.published import Published
from contracts.view import View
from models._tables import TableHead

PUBLISHED = (
    Published(
        "aszharov/wav2vec2_ravdess",
        ".56 accuracy, .54 UAR, .55 F1 with eGeMAPS, library defaults",
        "RAVDESS, 8 classes, one fold: actors 2, 5, 14, 15, 16, 300 utterances",
        "the scaler was fitted again on the test actors; one fold, no seed",
    ),
    Published(
        "aszharov/wav2vec2_ravdess",
        ".41 accuracy, .39 UAR, .37 F1 with 40 MFCC means, library defaults",
        "RAVDESS, 8 classes, one fold: actors 2, 5, 14, 15, 16, 300 utterances",
        "one fold, no seed; +/- 6 points",
    ),
)
_FILE = "estimator.ubj"


class Head(TableHead):
    """Trees grown one after the other, each on what the others got wrong.

    Args:
        features: table features, or frame features taken as means over time
        layers: of frame features; None: 1..L
        n_estimators: rounds; each grows one tree per class
        max_depth: of a tree
        learning_rate: share of each tree that is added
        subsample: share of utterances drawn for a tree
        colsample_bytree: share of columns drawn for a tree
        n_jobs: threads; None: as many as there are cores
        device: ``cpu``, ``cuda`` or ``auto``
        seed: of everything that is drawn
    """

    features: Sequence[str] = ("egemaps",)

    def __init__(
        self,
        features: Sequence[str] = features,
        layers: Sequence[int] | None = None,
        n_estimators: int = 100,
        max_depth: int = 6,
        learning_rate: float = 0.3,
        subsample: float = 1.0,
        colsample_bytree: float = 1.0,
        n_jobs: int | None = None,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.features = features
        self.layers = layers
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.n_jobs = n_jobs
        self.device = device
        self.seed = seed

    @property
    def single_core(self) -> bool:  # type: ignore[override]
        """Whether fits go side by side; a GPU takes one after the other."""
        return _device(self.device) == "cpu"

    @property
    def draws(self) -> bool:
        """Whether the seed matters: only where trees see a share."""
        return self.subsample < 1 or self.colsample_bytree < 1

    def _estimator(self) -> Any:
        # objective: XGBClassifier takes binary:logistic for two classes, else softprob
        return XGBClassifier(
            n_estimators=self.n_estimators,
            max_depth=self.max_depth,
            learning_rate=self.learning_rate,
            subsample=self.subsample,
            colsample_bytree=self.colsample_bytree,
            n_jobs=self.n_jobs,
            device=_device(self.device),
            random_state=self.seed,
        )

    def fit(self, train: View, dev: View | None = None) -> Self:
        """Grow the trees on ``train``; ``dev`` is not needed and not looked at.

        Raises:
            RunError: without a tree, which the library takes without a word
        """
        if self.n_estimators < 1:
            msg = (
                "xgb cannot be fitted: expected n_estimators 1 or more, got "
                f"{self.n_estimators}. Choose another with --set xgb.n_estimators=100"
            )
            raise RunError(msg)
        super().fit(train, dev)
        self.estimator_.set_params(device="cpu")  # where predict_proba's arrays are
        return self

    def _save_estimator(self, folder: Path) -> None:
        self.estimator_.save_model(folder / _FILE)

    def _load_estimator(self, folder: Path) -> None:
        self.estimator_ = XGBClassifier()
        self.estimator_.load_model(folder / _FILE)


def _device(wanted: str) -> str:
    """Say where trees are grown; refuse a GPU that is not there."""
    if wanted not in ("auto", "cpu", "cuda"):
        msg = f"unknown device {wanted!r}: expected one of ['auto', 'cpu', 'cuda']"
        raise RunError(msg)
    if wanted == "cpu" or (wanted == "auto" and not xgboost.build_info()["USE_CUDA"]):
        return "cpu"
    import torch

    usable = xgboost.build_info()["USE_CUDA"] and torch.cuda.is_available()
    if wanted == "cuda" and not usable:
        msg = (
            "no GPU for xgb: expected an XGBoost built with CUDA and a GPU, got none. "
            "Choose device=cpu, or install xgboost instead of xgboost-cpu"
        )
        raise RunError(msg)
    return "cuda" if usable else "cpu"
