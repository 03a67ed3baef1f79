"""What colours the points of a map in print: emotion, speaker, error of a run."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from contracts.run import Run
from report._map import FeatureMap

N_SPEAKERS = 30  # of more, colours could not be told apart
RIGHT, WRONG, UNTESTED = "right", "wrong", "not tested"


@dataclass(frozen=True)
class Colouring:
    """One way to colour a map.

    Attributes:
        name: ``emotion``, ``speaker`` or ``error``
        title: over the legend
        kinds: of each point ``(utterance,)``; points of one kind have one colour
    """

    name: str
    title: str
    kinds: tuple[str, ...]


def colourings(one: FeatureMap, runs: Sequence[Run]) -> list[Colouring]:
    """List the ways to colour a map.

    Args:
        one: the map
        runs: best first; the first that says labels of utterances of the map is the
            one whose errors are shown

    Returns:
        emotion; speaker where they are at most ``N_SPEAKERS``; error where there is
        such a run
    """
    labels = tuple(label or "no label" for label in one.labels)
    out = [Colouring("emotion", "emotion", labels)]
    if len(set(one.speakers)) <= N_SPEAKERS:
        speakers = tuple(speaker or "not known" for speaker in one.speakers)
        out.append(Colouring("speaker", "speaker", speakers))
    for run in runs:
        outcomes = _outcomes(run)
        if any(i in outcomes for i in one.ids):
            kinds = tuple(outcomes.get(i, UNTESTED) for i in one.ids)
            out.append(Colouring("error", f"error of {run.record['model']}", kinds))
            break
    return out


def _outcomes(run: Run) -> dict[str, str]:
    """Say of each utterance that a run was tested on whether it was told right.

    Utterances without a label, and those of which no label was said, are left out; one
    that was tested more than once is right where all answers are.
    """
    rows, shares = run.predictions, run.probabilities
    told = (rows["variant"] == "").to_numpy() & rows["label"].isin(run.classes)
    told &= np.isfinite(shares).all(axis=1)
    said = np.array(run.classes, object)[shares[told].argmax(axis=1)]
    out: dict[str, str] = {}
    for i, truth, guess in zip(
        rows["id"][told], rows["label"][told], said, strict=True
    ):
        right = truth == guess and out.get(str(i)) != WRONG
        out[str(i)] = RIGHT if right else WRONG
    return out
