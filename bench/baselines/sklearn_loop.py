"""Table heads as a script would fit them: scikit-learn's classes, one after the other.

Each function fits on ``rows`` ``(utterance, column)`` and returns probabilities of
``test`` ``(utterance, class)``; ``layer_probe`` takes ``(utterance, layer, column)``.
"""

from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from xgboost import XGBClassifier


def random_forest(rows: Any, y: Any, _speakers: Any, test: Any, seed: int) -> Any:
    """Fit a forest."""
    return RandomForestClassifier(random_state=seed).fit(rows, y).predict_proba(test)


def xgb(rows: Any, y: Any, _speakers: Any, test: Any, seed: int) -> Any:
    """Fit boosted trees."""
    return XGBClassifier(random_state=seed).fit(rows, y).predict_proba(test)


def logistic_regression(
    rows: Any, y: Any, _speakers: Any, test: Any, _seed: int
) -> Any:
    """Fit a linear model."""
    return _linear(0.1).fit(rows, y).predict_proba(test)


def svm(rows: Any, y: Any, speakers: Any, test: Any, _seed: int) -> Any:
    """Fit a machine, calibrated on folds of speakers."""
    splits = list(GroupKFold(5).split(rows, y, speakers))
    machine = make_pipeline(StandardScaler(), SVC(class_weight="balanced"))
    calibrated = CalibratedClassifierCV(
        machine, method="temperature", cv=splits, ensemble=False
    )
    return calibrated.fit(rows, y).predict_proba(test)


def layer_probe(rows: Any, y: Any, speakers: Any, test: Any, _seed: int) -> Any:
    """Choose layer and C by folds of speakers, and fit the chosen."""
    best = (-np.inf, 0, 0.0)
    for layer in range(rows.shape[1]):
        for strength in (0.001, 0.01, 0.1):
            told = cross_val_predict(
                *(_linear(strength), rows[:, layer], y),
                groups=speakers,
                cv=GroupKFold(5),
            )
            best = max(best, (balanced_accuracy_score(y, told), layer, strength))
    _, layer, strength = best
    return _linear(strength).fit(rows[:, layer], y).predict_proba(test[:, layer])


def _linear(strength: float) -> Any:
    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=10_000)
    return make_pipeline(StandardScaler(), model)
