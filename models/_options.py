"""The options that all torch heads have, declared once.

A head is a dataclass whose fields are its options: scikit-learn reads them from the
signature of ``__init__`` that comes of them, and a subclass only names other defaults
and options of its own, under the same decorator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from contracts.errors import RunError, listing
from models._columns import refuse_layers
from models._tables import BaseHead

_SHARES = ("dropout", "feature_dropout", "time_mask", "label_smoothing")  # in [0, 1)
_COUNTS = ("batch_size", "max_epochs", "patience")  # of 1 or more, where given
_SIZES = ("lr", "clip_norm", "clip_value")  # above 0, where given


@dataclass(eq=False, repr=False, kw_only=True)
class TorchOptions(BaseHead):
    """What can be chosen for every torch head.

    Args:
        features: what it hears
        layers: of frame features; None: what the head's data sheet says
        lr: step of the optimiser
        weight_decay: pull of the weights towards 0, apart from the gradient
        batch_size: utterances
        max_epochs: passes over train
        patience: epochs without a smaller loss on dev before it ends; None: no end
        clip_norm: largest norm of the gradient; None: any
        clip_value: largest entry of the gradient; None: any
        dropout: share of what is silenced within the network while training
        class_weight: None, ``balanced`` (utterances per class, inverted) or
            ``effective`` (effective number of utterances, inverted)
        sampling: None: each utterance once an epoch; ``balanced``: as many draws, each
            class as likely, an utterance perhaps often or never
        label_smoothing: share of the truth that is spread over all classes
        targets: ``hard``: labels; ``soft``: the annotators' votes
        feature_dropout: share of the channels of an utterance that are silenced while
            training
        time_mask: largest share of an utterance's frames that is silenced, in one run,
            while training
        normalise: frame features: None; by layer and channel ``global`` (frames of
            train) or ``speaker`` (each speaker's own, in test too: transductive); by
            layer alone ``utterance`` (all its own frames and channels)
        seed: of first weights, order and everything that is drawn
        device: ``cpu``, ``cuda`` or ``auto``
    """

    needs_dev = True
    choices: ClassVar[Mapping[str, tuple[str | None, ...]]] = {
        "class_weight": (None, "balanced", "effective"),
        "sampling": (None, "balanced"),
        "targets": ("hard", "soft"),
        "normalise": (None, "global", "speaker", "utterance"),
    }

    features: Sequence[str] = ("wav2vec2",)
    layers: Sequence[int] | None = None
    lr: float = 1e-4
    weight_decay: float = 0.0
    batch_size: int = 32
    max_epochs: int = 100
    patience: int | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    dropout: float = 0.1
    class_weight: str | None = None
    sampling: str | None = None
    label_smoothing: float = 0.0
    targets: str = "hard"
    feature_dropout: float = 0.0
    time_mask: float = 0.0
    normalise: str | None = None
    seed: int = 0
    device: str = "auto"

    def refuse_options(self) -> None:
        """Refuse options that cannot work, all of them at once.

        Raises:
            RunError: naming each, what was expected and what was got
        """
        refuse_layers(self.name, self.layers)
        told = self.get_params(deep=False)
        bad = [
            f"{name} one of {list(known)}, got {told[name]!r}"
            for name, known in self.choices.items()
            if told[name] not in known
        ]
        bad += [f"{n} in [0, 1), got {told[n]}" for n in _SHARES if not _share(told[n])]
        for names, least in ((_COUNTS, 1), (_SIZES, 0)):
            above = "1 or more" if least else "above 0"
            for name in names:
                value = told[name]
                if value is not None and not (value >= least and 0 < value < math.inf):
                    bad.append(f"{name} {above}, got {value}")
        if not (self.weight_decay >= 0 and math.isfinite(self.weight_decay)):
            bad.append(f"weight_decay of 0 or more, got {self.weight_decay}")
        if bad:
            msg = f"{self.name} cannot train: expected {listing(bad)}"
            raise RunError(msg)


def _share(value: float) -> bool:
    return 0 <= value < 1
