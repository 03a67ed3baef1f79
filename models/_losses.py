"""What torch heads learn towards: labels or votes, and how much each class counts.

Sources: Cui et al., Class-balanced loss based on effective number of samples, CVPR
2019 (beta .999); label smoothing: Szegedy et al., Rethinking the Inception
architecture, CVPR 2016; divergence from annotators' votes: seed 002.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from numpy.typing import NDArray
from torch import Tensor

from contracts.errors import RunError
from contracts.view import View
from models._tables import codes

BETA = 0.999  # of the effective number


def shares(view: View, what: str) -> tuple[Tensor, int]:
    """Return the annotators' shares, the label alone where there are no votes.

    Args:
        view: utterances to learn from
        what: name of the part, for the message

    Returns:
        ``(utterance, class)`` float32, rows sum to 1, and the number of utterances
        without votes

    Raises:
        RunError: if an utterance has no label
    """
    y = codes(view, what)
    out = np.eye(len(view.classes), dtype=np.float32)[y]
    if (votes := view.votes) is None:
        return torch.from_numpy(out), len(view)
    told = votes.reindex(columns=list(view.classes), fill_value=0.0).to_numpy(float)
    total = told.sum(axis=1)
    out[total > 0] = told[total > 0] / total[total > 0, None]
    return torch.from_numpy(out), int((total <= 0).sum())


def voted(view: View, what: str) -> tuple[Tensor, int]:
    """Return what ``shares`` does, and refuse to learn from no votes at all.

    Raises:
        RunError: if no utterance has votes
    """
    out, without = shares(view, what)
    if without == len(view):
        msg = (
            f"{what} has no votes: expected columns vote:<label> for targets='soft', "
            "got none. Choose targets=hard"
        )
        raise RunError(msg)
    return out, without


def class_weights(
    y: NDArray[np.int64], n_classes: int, how: str | None
) -> Tensor | None:
    """Return how much each class counts ``(class,)``; 0 for one that is not there.

    Args:
        y: positions of the labels; -1 is passed over
        n_classes: all of them
        how: None, ``balanced`` or ``effective``
    """
    if how is None:
        return None
    counts = np.bincount(y[y >= 0], minlength=n_classes)
    there = counts > 0
    weight = np.zeros(n_classes)
    if how == "balanced":
        weight[there] = counts.sum() / there.sum() / counts[there]
    else:
        weight[there] = (1 - BETA) / (1 - BETA ** counts[there])
        weight *= there.sum() / weight.sum()
    return torch.from_numpy(weight.astype(np.float32))


def loss(
    logits: Tensor, truth: Tensor, weight: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Return cross-entropy of labels, or divergence from shares.

    Both are means over utterances, each counting by the weight of its class or, for
    shares, of its classes in their shares.

    Args:
        logits: ``(utterance, class)``
        truth: positions ``(utterance,)``, or shares ``(utterance, class)``
        weight: ``(class,)``; None: all count the same
        smoothing: share of the truth that is spread over all classes
    """
    if not truth.is_floating_point():
        return F.cross_entropy(logits, truth, weight, label_smoothing=smoothing)
    truth = (truth * (1 - smoothing) + smoothing / truth.shape[1]).to(logits.dtype)
    each = F.kl_div(logits.log_softmax(dim=1), truth, reduction="none")
    if weight is None:
        return each.sum() / len(truth)
    return (each * weight).sum() / (truth * weight).sum()


def concordance(guess: Tensor, truth: Tensor) -> Tensor:
    """Return Lin's concordance correlation coefficient of two lines ``(utterance,)``.

    1 where both are the same; 0 where they have nothing to do with each other, or
    both are constant. Deviations are those of the utterances themselves.
    """
    apart = guess.mean() - truth.mean()
    together = ((guess - guess.mean()) * (truth - truth.mean())).mean()
    spread = guess.var(correction=0) + truth.var(correction=0) + apart**2
    return 2 * together / spread.clamp_min(torch.finfo(spread.dtype).tiny)
