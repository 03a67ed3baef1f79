"""Scores of the parts of a run."""

import math
import statistics
from collections.abc import Sequence

from contracts.run import Run
from evaluation.measures.metrics import Scores, score


def part_scores(run: Run, column: str) -> dict[str, Scores]:
    """Score a run for each value of a prediction column; variants do not count.

    Args:
        run: a finished run
        column: ``fold`` or ``speaker``; rows where it is empty count nowhere
    """
    rows = run.predictions.reset_index(drop=True)
    truth, probabilities = rows["label"].to_numpy(object), run.probabilities
    originals = rows[(rows["variant"] == "") & (rows[column].astype(str) != "")]
    parts = originals.groupby(column).indices
    places = originals.index.to_numpy()
    return {
        str(part): score(truth[places[i]], probabilities[places[i]], run.classes)
        for part, i in parts.items()
    }


def fold_scores(run: Run) -> dict[int, Scores]:
    """Score each fold of a run, by the fold's index."""
    scores = part_scores(run, "fold")
    return {
        f["index"]: scores[str(f["index"])]
        for f in run.record["folds"]
        if str(f["index"]) in scores
    }


def test_speakers(run: Run) -> list[str]:
    """List the speakers that a run was tested on."""
    rows = run.predictions
    found = rows.loc[rows["variant"] == "", "speaker"].unique()
    return sorted(str(s) for s in found if s)


def lacking(run: Run, folds: dict[int, Scores]) -> list[str]:
    """Say which folds have no utterance of some label."""
    return [
        f"{label} in fold {index}"
        for index, scores in folds.items()
        for label, n in zip(run.classes, scores.support, strict=True)
        if n == 0
    ]


def deviation(values: Sequence[float]) -> float:
    """Return the sample standard deviation (n - 1).

    NaN for fewer than two values, or where one is not known.
    """
    if len(values) < 2 or any(map(math.isnan, values)):
        return math.nan
    return statistics.stdev(values)


def has_other_speakers(runs: Sequence[Run]) -> bool:
    """Whether seeds of one head were tested on other speakers or utterances."""
    sets = {frozenset(run.predictions["id"].astype(str)) for run in runs}
    return len(sets) > 1
