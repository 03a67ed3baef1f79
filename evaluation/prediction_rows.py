"""Prediction rows: what a fitted head says of test utterances, beside what is known."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import RunError, listing
from contracts.job import Job
from contracts.manifest import TRAIT, VOTE
from contracts.run import PREDICTED, PROBABILITY
from contracts.view import View

KEPT = ("id", "corpus", "speaker", "sex", "session", "sentence", "variant", "label")


def predicted(job: Job, fitted: Any, fold: int) -> pd.DataFrame:
    """Let a fitted head judge the test part of its job.

    Of a head that learnt traits alone all probabilities are NaN.

    Raises:
        RunError: if a head that says labels gives no number
    """
    if getattr(job.head, "emotions", True):
        told = fitted.predict_proba(job.test)
        _refuse_no_numbers(job.test, told)
    else:
        told = np.full((len(job.test), len(job.test.classes)), np.nan)
    rows = prediction_rows(job.test, told, fold)
    if names := [f"{PREDICTED}{trait}" for trait in getattr(job.head, "traits", ())]:
        said = pd.DataFrame(fitted.predict_traits(job.test), rows.index, names)
        rows = pd.concat([rows, said], axis=1)
    return rows


def _refuse_no_numbers(view: View, probabilities: NDArray[np.float64]) -> None:
    """Refuse probabilities that are none.

    Raises:
        RunError: naming the utterances
    """
    bad = ~np.isfinite(probabilities).all(axis=1)
    if bad.any():
        msg = (
            f"the head gives no number for {bad.sum()} of {len(view)} test utterances "
            f"({listing(view.ids[bad])}): expected probabilities. Look at their "
            "features: python pipeline.py cache verify"
        )
        raise RunError(msg)


def prediction_rows(
    view: View, probabilities: NDArray[np.float64], fold: int
) -> pd.DataFrame:
    """Put probabilities ``(utterance, class)`` beside what is known of utterances."""
    told = view.manifest
    extra = [c for c in told if c.startswith((TRAIT, VOTE))]
    rows = told[[*KEPT, *extra]].assign(fold=fold)
    columns = [f"{PROBABILITY}{label}" for label in view.classes]
    values = pd.DataFrame(np.asarray(probabilities), columns=columns, index=rows.index)
    return pd.concat([rows, values], axis=1)
