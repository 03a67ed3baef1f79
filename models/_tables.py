"""What heads share, and what the heads on one vector per utterance are made of.

Saved heads are ``head.json`` (parameters, classes) beside arrays in safetensors and
estimators in skops or XGBoost's own format; nothing is pickled.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from contracts.errors import RunError, listing
from contracts.run import write_json
from contracts.view import View
from models import _skops
from models._columns import inputs, joined, refuse_layers

_FACTS, _ARRAYS, _ESTIMATOR = "head.json", "preparation.safetensors", "estimator.skops"


def matrix(
    view: View, features: Sequence[str], layers: Sequence[int] | None = None
) -> NDArray[np.float32]:
    """Put features side by side ``(utterance, column)``, see ``_columns.inputs``."""
    return joined(inputs(view, features, layers), len(view))


def codes(view: View, what: str) -> NDArray[np.int64]:
    """Return the labels' positions in ``classes`` ``(utterance,)``, none missing.

    Args:
        view: utterances to learn from
        what: name of the part, for the message

    Raises:
        RunError: if there are no utterances, or some have no label
    """
    y = view.y
    if not len(y):
        msg = f"{what} has no utterances: expected some to learn from, got none"
        raise RunError(msg)
    if (y < 0).any():
        msg = (
            f"{what} holds {(y < 0).sum()} unlabelled utterances (first: "
            f"{view.ids[y < 0][0]}): expected a label for each. Leave them out, or "
            "choose a label map that keeps theirs"
        )
        raise RunError(msg)
    return y


def spread(X: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Learn what ``standardised`` needs from ``(utterance, column)``.

    Returns:
        ``median``, ``mean``, ``scale``, each ``(column,)``; of a column without any
        value the median is 0, of a constant one the scale is 1
    """
    filled, median = X.astype(np.float64), np.zeros(X.shape[1])
    if np.isnan(filled).any():
        imputer = SimpleImputer(strategy="median", keep_empty_features=True)
        filled = imputer.fit_transform(filled)
        median = imputer.statistics_
    elif len(filled):
        median = np.median(filled, axis=0)  # the same, ten times as fast
    scaler = StandardScaler().fit(filled)
    learnt = (median, scaler.mean_, scaler.scale_)
    return dict(zip(("median", "mean", "scale"), map(np.asarray, learnt), strict=True))


def standardised(
    X: NDArray[Any], learnt: dict[str, NDArray[np.float64]], scale: bool = True
) -> NDArray[np.float64]:
    """Put medians where nothing is; if asked, bring to mean 0, deviation 1."""
    filled = np.where(np.isnan(X), learnt["median"], X)
    return (filled - learnt["mean"]) / learnt["scale"] if scale else filled


class BaseHead(ClassifierMixin, BaseEstimator):
    """What every head has: a name, the classes, its parameters on disk.

    Attributes:
        classes_: the labels of the label map ``(class,)``
        history_: one entry per epoch
        learnt_: what is worth showing
    """

    features: Sequence[str] = ()
    needs_dev = False

    @property
    def name(self) -> str:
        """The plug-in's name, which is the file's."""
        return type(self).__module__.rpartition(".")[2]

    def predict(self, view: View) -> NDArray[np.object_]:
        """Return the most probable label of each utterance ``(utterance,)``."""
        chosen: NDArray[np.object_] = self.classes_[
            self.predict_proba(view).argmax(axis=1)
        ]
        return chosen

    def predict_proba(self, view: View) -> NDArray[np.float64]:
        """Return probabilities ``(utterance, class)``."""
        raise NotImplementedError

    def _set_classes(self, classes: Sequence[str]) -> None:
        self.classes_ = np.array(classes, dtype=object)
        self.history_: list[dict[str, float]] = []
        self.learnt_: dict[str, Any] = {}

    def _write(self, folder: Path, **facts: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        told = {"parameters": self.get_params(deep=False), "learnt": self.learnt_}
        write_json(folder / _FACTS, told | {"classes": list(self.classes_), **facts})

    @classmethod
    def _read(cls, folder: Path) -> tuple[Self, dict[str, Any]]:
        path = folder / _FACTS
        if not path.exists():
            msg = f"{folder} holds no model: expected {_FACTS} in it. Fit it again"
            raise RunError(msg)
        facts = json.loads(path.read_text(encoding="utf-8"))
        told, default = facts["parameters"], cls().get_params(deep=False)
        if other := sorted(told.keys() - default.keys()):
            msg = (
                f"{folder} holds a model of another version: expected settings out of "
                f"{listing(sorted(default), 100)}, got {listing(other)} too. Fit it "
                "again"
            )
            raise RunError(msg)
        tuples = {k: tuple(told[k]) for k in told if isinstance(default[k], tuple)}
        head = cls(**told | tuples)
        head._set_classes(facts["classes"])
        head.learnt_ = facts["learnt"]
        return head, facts


class TableHead(BaseHead):
    """A head that fits a scikit-learn estimator on one vector per utterance.

    A subclass gives ``_estimator()`` and says whether columns are standardised.

    Attributes:
        estimator_: fitted on all of train
        preparation_: see ``spread``
        present_: positions in ``classes_`` of the labels that train has
        learnt_: ``n_columns``; ``columns``: how many of each input, told in words
    """

    layers: Sequence[int] | None = None
    standardise = False
    single_core = True  # many fits go side by side

    def _estimator(self) -> Any:
        raise NotImplementedError

    def _choose(self, train: View, targets: NDArray[Any]) -> None:
        """Choose on train what is to be chosen before columns are read."""

    def _inputs(self, view: View) -> dict[str, NDArray[np.float32]]:
        """Return what is learnt from: words -> ``(utterance, column)``."""
        return inputs(view, self.features, self.layers)

    def _learn(self, X: NDArray[Any], targets: NDArray[Any], train: View) -> None:
        """Fit ``estimator_`` on ``(utterance, column)`` and ``(utterance,)``."""
        self.estimator_ = self._estimator()
        self.estimator_.fit(X, targets)

    def _told(self, ready: NDArray[Any]) -> NDArray[Any]:
        """Return probabilities ``(utterance, present class)``."""
        return np.asarray(self.estimator_.predict_proba(ready), np.float64)

    def refuse_options(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            RunError: for layers that are none, or no feature
        """
        refuse_layers(self.name, self.layers)
        if not self.features:
            msg = f"{self.name} needs a feature: expected --feature NAME, got none"
            raise RunError(msg)

    def measure(self, view: View) -> None:
        """Refuse features that settings do not go with, before anything is fitted.

        Raises:
            CacheError: if the cache lacks one
            RunError: for layers where no feature has frames: they would choose nothing
        """
        layers = self.layers
        if layers is not None and all(view.spec(f).is_table for f in self.features):
            msg = (
                f"there is nothing to choose layers={list(layers)} of: expected a "
                f"feature with frames, got {listing(self.features)}. Say whose layers "
                "they are: --set MODEL.layers=[6]"
            )
            raise RunError(msg)

    def fit(self, train: View, dev: View | None = None) -> Self:
        """Learn from ``train``; ``dev`` is not needed and not looked at.

        Raises:
            RunError: without a feature, or two labels or more
            CacheError: if the cache lacks what is asked for
        """
        self.refuse_options()
        y = codes(train, "train")
        self.measure(train)
        present, targets = np.unique(y, return_inverse=True)
        if len(present) < 2:
            msg = (
                f"{self.name} needs two labels or more in train, got only "
                f"{train.classes[present[0]]}. Choose a corpus with more, or another "
                "label map: python pipeline.py list labels"
            )
            raise RunError(msg)
        self._set_classes(train.classes)
        self._choose(train, targets)
        parts = self._inputs(train)
        X = joined(parts, len(train))
        told = {words: part.shape[1] for words, part in parts.items()}
        self.learnt_ |= {"n_columns": X.shape[1], "columns": told}
        self.preparation_, self.present_ = spread(X), present
        ready = standardised(X, self.preparation_, self.standardise)
        self._learn(ready, targets, train)
        return self

    def predict_proba(self, view: View) -> NDArray[np.float64]:
        """Return ``(utterance, class)``; a class that train lacked holds 0."""
        X = joined(self._inputs(view), len(view))
        if X.shape[1] != self.learnt_["n_columns"]:
            msg = (
                f"{self.name} was fitted on {self.learnt_['n_columns']} columns of "
                f"{listing(self.features)}: expected as many, got {X.shape[1]}. "
                "Choose the same features with --feature NAME@FINGERPRINT"
            )
            raise RunError(msg)
        out = np.zeros((len(view), len(self.classes_)))
        if len(view):
            ready = standardised(X, self.preparation_, self.standardise)
            told = self._told(ready)
            out[:, self.present_] = told / told.sum(axis=1, keepdims=True)
        return out

    def save(self, folder: Path) -> None:
        """Write the fitted head; no pickle."""
        from safetensors.numpy import save_file

        self._write(folder, present=self.present_.tolist())
        save_file(self.preparation_, folder / _ARRAYS)
        self._save_estimator(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            RunError: if there is no head, or it would run code of unknown types
        """
        from safetensors.numpy import load_file

        head, facts = cls._read(folder)
        head.present_ = np.array(facts["present"], np.int64)
        head.preparation_ = load_file(folder / _ARRAYS)
        head._load_estimator(folder)
        return head

    def _save_estimator(self, folder: Path) -> None:
        _skops.dump(self.estimator_, folder / _ESTIMATOR)

    def _load_estimator(self, folder: Path) -> None:
        self.estimator_ = _skops.load(folder / _ESTIMATOR)
