"""Test utterances that a run should have answered and did not.

A score counts utterances that have both a label and probabilities. A run that lacks
some probabilities, copied from elsewhere or damaged since, is scored on fewer, and
whoever reads the score must see how many.
"""

import numpy as np
from numpy.typing import NDArray

from contracts.run import Run
from contracts.terminal import count
from evaluation.measures.metrics import label_codes
from evaluation.statistics.systems import says_labels


def n_unsaid(run: Run) -> int:
    """Count labelled test utterances without probabilities; variants do not count.

    Returns:
        0 for a run that says traits alone: it was asked for no label
    """
    if not says_labels(run):
        return 0
    said = np.isfinite(run.probabilities).all(axis=1)
    return int((_asked(run) & ~said).sum())


def unsaid(run: Run) -> list[str]:
    """Say in a warning how many utterances a score is without; nothing if none."""
    if not (n := n_unsaid(run)):
        return []
    asked = count(int(_asked(run).sum()), "labelled test utterance")
    return [f"no probabilities for {n:,} of {asked}: not scored"]


def _asked(run: Run) -> NDArray[np.bool_]:
    """Return which rows are test utterances that have a label ``(row,)``."""
    rows = run.predictions
    codes = label_codes(rows["label"].to_numpy(object), run.classes)
    return (rows["variant"] == "").to_numpy(bool) & (codes >= 0)
