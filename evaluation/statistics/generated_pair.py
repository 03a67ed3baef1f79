"""A generated pair of systems with the published marginals of two real ones.

Nobody's predictions: utterances, speakers and labels are those of fold 0 of RAVDESS
(Luna-Jiménez et al., Sensors 21, 2021, 7665: actors 2, 5, 14, 15 and 16, 60 utterances
each), and each system gets as many of them right, in all and on average over labels,
as the notebook of aszharov/wav2vec2_ravdess reports: 0.67 for its VGG and 0.72 for VGG
with eGeMAPS. Which utterances these are is drawn, with speakers, labels and utterances
of unlike difficulty that both systems share.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.statistics.systems import System

_LABELS = (
    *("neutral", "calm", "happy", "sad"),
    *("angry", "fearful", "disgust", "surprised"),
)
_ACTORS = (2, 5, 14, 15, 16)
_SCORES = {"vgg": 0.67, "vgg with egemaps": 0.72}  # both WAR and UAR
_NOTE = (
    "generated, nobody's predictions: fold 0 of RAVDESS, and as many utterances right "
    "as aszharov/wav2vec2_ravdess reports of its two networks (0.67 and 0.72)"
)
_PER_ACTOR = (4, *[8] * 7)  # utterances of each label


def generated_pair(seed: int = 0) -> list[System]:
    """Draw the pair, the weaker system first.

    Args:
        seed: of everything that is drawn
    """
    rng = np.random.default_rng(seed)
    speaker = np.repeat(_ACTORS, sum(_PER_ACTOR))
    truth = np.tile(np.repeat(np.arange(8), _PER_ACTOR), len(_ACTORS))
    take = np.tile([i for n in _PER_ACTOR for i in range(n)], len(_ACTORS))
    ids = np.array(
        [
            f"generated/{s:02d}-{_LABELS[t]}-{i}"
            for s, t, i in zip(speaker, truth, take, strict=True)
        ],
        object,
    )
    names = np.array([f"generated/{s:02d}" for s in speaker], object)
    order = np.argsort(ids)
    known = (ids[order], names[order], truth[order])
    ease = _ease(speaker[order], truth[order], rng)
    facts = {"generated": _NOTE, "seeds": [seed]}
    return [
        System(name, _LABELS, *known, _guess(truth[order], ease, score, rng), facts)
        for name, score in _SCORES.items()
    ]


def _ease(
    speaker: NDArray[Any], truth: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw how easy each utterance is to both systems."""
    of_speaker = dict(zip(_ACTORS, rng.normal(0, 0.5, len(_ACTORS)), strict=True))
    of_label = rng.normal(0, 0.5, 8)
    shared = np.array([of_speaker[s] for s in speaker.tolist()]) + of_label[truth]
    return np.asarray(shared + rng.normal(0, 1, len(truth)))


def _guess(
    truth: NDArray[np.int64],
    ease: NDArray[np.float64],
    score: float,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw guesses ``(1, utterance)`` that score as asked, to two digits."""
    support = np.bincount(truth, minlength=8)
    n_right = round(score * len(truth))
    while True:
        right = np.zeros(len(truth), bool)
        easiest = np.argsort(-(ease + rng.normal(0, 1, len(truth))))
        right[easiest[:n_right]] = True
        recall = np.bincount(truth[right], minlength=8) / support
        if abs(recall.mean() - score) < 0.005:
            break
    wrong = (truth + rng.integers(1, 8, len(truth))) % 8
    return np.where(right, truth, wrong)[None]
