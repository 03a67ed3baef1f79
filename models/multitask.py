"""One trunk for the emotion and for any traits: valence, activation and their like.

Source: what seed 004 (swathiarasu/SER) names as future work; the loss of traits is that
of Wagner et al., Dawn of the transformer era, 2023: one minus Lin's concordance
correlation coefficient. Input: the mean over time of an encoder's layers, weighted by
a softmax. 256 numbers, ReLU, dropout .2, which all tasks share; then the labels'
logits and one number for each trait, each a linear map. Adam, 1e-3, 32 utterances.

A trait is a column ``trait:<name>`` of the manifest that holds numbers. Utterances may
lack the label or any trait: each task learns from those that have it. With
``emotions=False`` the head is a plain regression of traits, and gives no
probabilities. The mean and deviation of each trait come from train. Nothing before
the mean is more than linear, so the means in the cache are read.

Published: nothing for this head. With fine-tuned encoders, MSP-Podcast: valence .638
(concordance), without the text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from numpy.typing import NDArray
from torch import Tensor, nn

from contracts.errors import RunError, listing
from contracts.manifest import TRAIT
from contracts.published import Published
from contracts.view import View
from models import _losses
from models._frames import FrameHead
from models._layers import WeightedLayers, masked_mean
from models._tables import codes

PUBLISHED = (
    Published(
        "Wagner et al. 2023, Dawn of the transformer era",
        "concordance .638 for valence",
        "MSP-Podcast, published test set",
        "the encoder was fine-tuned, which takes up the words: no frozen encoder",
    ),
)


class Multitask(nn.Module):
    """Weighted layers, masked mean, a shared hidden layer, one output per task."""

    def __init__(
        self, n_outputs: int, n_layers: int, channels: int, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.layers = WeightedLayers(n_layers)
        self.shared = nn.Linear(channels, 256)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(256, n_outputs)

    def forward(self, maps: Tensor, lengths: Tensor) -> Tensor:
        """Return logits, then traits ``(utterance, label + trait)``.

        Args:
            maps: ``(utterance, layer, frame, channel)``
            lengths: frames of each ``(utterance,)``, what lies behind does not count
        """
        mean = masked_mean(self.layers(maps), lengths)
        outputs: Tensor = self.out(self.dropout(F.relu(self.shared(mean))))
        return outputs


@dataclass(eq=False, repr=False, kw_only=True)
class Head(FrameHead):
    """Emotion and traits; ``layers=None`` is every transformer layer.

    Args:
        traits: names of the traits, such as ``("valence", "activation")``
        emotions: whether labels are learnt
        trait_weight: how much the loss of the traits counts beside that of the labels

    Attributes:
        arrays_: ``trait mean`` and ``trait scale`` of train ``(trait,)``
    """

    linear_until_mean: ClassVar[bool] = True

    lr: float = 1e-3
    max_epochs: int = 50
    patience: int | None = 10
    dropout: float = 0.2
    traits: Sequence[str] = ()
    emotions: bool = True
    trait_weight: float = 1.0

    def refuse_options(self) -> None:
        """Refuse to learn nothing, too."""
        super().refuse_options()
        if not (self.emotions or self.traits):
            msg = "multitask has nothing to learn: expected emotions=True or traits"
            raise RunError(msg)
        if self.trait_weight <= 0:
            msg = f"multitask: expected trait_weight above 0, got {self.trait_weight}"
            raise RunError(msg)

    def truth(self, view: View, what: str) -> Tensor:
        """Return shares of labels, then traits ``(utterance, label + trait)``.

        What is not known is NaN: all shares of an utterance, or a trait.

        Raises:
            RunError: if an utterance has neither, or a trait is not there
        """
        traits = self.trait_values(view)
        some = np.asarray(np.isfinite(traits).any(axis=0))
        if lost := [t for t, there in zip(self.traits, some, strict=True) if not there]:
            msg = f"{what} has no numbers for traits {listing(lost)}: expected some"
            raise RunError(msg)
        labels = np.full((len(view), len(view.classes)), np.nan)
        known = view.y >= 0
        if self.emotions:
            some_lack = bool(self.traits) and known.any()
            known |= not some_lack  # else each needs a label: what lacks it is refused
            part = view.take(known)
            if self.targets == "soft":
                labels[known] = _losses.shares(part, what)[0].numpy()
            else:
                labels[known] = np.eye(len(view.classes))[codes(part, what)]
        return torch.from_numpy(np.hstack([labels, traits]).astype(np.float32))

    def trait_values(self, view: View) -> NDArray[np.float64]:
        """Return the traits ``(utterance, trait)``, NaN where one is not known.

        Raises:
            RunError: if a trait is no column of numbers
        """
        rows = view.manifest
        there = [c.removeprefix(TRAIT) for c in rows if c.startswith(TRAIT)]
        numbers = [t for t in there if pd.api.types.is_numeric_dtype(rows[TRAIT + t])]
        if bad := [t for t in self.traits if t not in numbers]:
            msg = (
                f"multitask cannot learn traits {listing(bad)}: expected some of "
                f"{listing(numbers) or 'none'}, which are the corpus' traits in numbers"
            )
            raise RunError(msg)
        columns = [TRAIT + t for t in self.traits]
        return rows[columns].to_numpy(np.float64).reshape(len(view), len(columns))

    def prepare(self, train: View) -> None:
        """Learn mean and deviation of each trait, too."""
        super().prepare(train)
        values = self.trait_values(train)
        scale = np.nanstd(values, axis=0)
        self.arrays_["trait mean"] = np.nanmean(values, axis=0)
        self.arrays_["trait scale"] = np.where(scale > 0, scale, 1.0)

    def build(self, n_labels: int, facts: dict[str, Any]) -> nn.Module:
        """Return the network."""
        sizes = facts["n_layers"], facts["channels"]
        return Multitask(n_labels + len(self.traits), *sizes, self.dropout)

    def loss(self, outputs: Tensor, truth: Tensor, weight: Tensor | None) -> Tensor:
        """Return the labels' loss and one minus the concordance of each trait.

        A task of which fewer than two utterances (for labels: none) are known here is
        passed over.
        """
        n = len(self.classes_)
        total = outputs.sum() * 0.0  # a batch may know nothing
        labelled = truth[:, 0].isfinite()
        if labelled.any():
            shares = truth[labelled, :n]
            told = shares if self.targets == "soft" else shares.argmax(dim=1)
            total = total + _losses.loss(
                outputs[labelled, :n], told, weight, self.label_smoothing
            )
        mean, scale = (
            torch.from_numpy(self.arrays_[f"trait {part}"]).to(outputs)
            for part in ("mean", "scale")
        )
        for i in range(len(self.traits)):
            known = truth[:, n + i].isfinite()
            if known.sum() > 1:
                value = (truth[known, n + i] - mean[i]) / scale[i]
                near = _losses.concordance(outputs[known, n + i], value)
                total = total + self.trait_weight * (1 - near) / len(self.traits)
        return total

    def predict_proba(self, view: View) -> NDArray[np.float64]:
        """Return probabilities ``(utterance, class)``.

        Raises:
            RunError: if no labels were learnt
        """
        if not self.emotions:
            msg = (
                "multitask learnt no labels (emotions=False), so it has no "
                "probabilities to test or to use: ask it for traits with "
                "predict_traits(view), or fit it on that corpus: python pipeline.py "
                "fit --model multitask --corpus NAME"
            )
            raise RunError(msg)
        return super().predict_proba(view)

    def predict_traits(self, view: View) -> NDArray[np.float64]:
        """Return the traits ``(utterance, trait)``, in the order of ``traits``."""
        if not len(view):
            return np.zeros((0, len(self.traits)))
        told = self.outputs(view)[:, len(self.classes_) :].numpy()
        scaled: NDArray[np.float64] = told * self.arrays_["trait scale"]
        return scaled + self.arrays_["trait mean"]
