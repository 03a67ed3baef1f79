"""How one of many fits is trained, and the numbers that it draws."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

BYTE = 256  # values of one


@dataclass(frozen=True)
class Settings:
    """How one model is trained.

    Attributes:
        lr: step of Adam
        batch_size: utterances
        max_epochs: passes over train
        patience: epochs without a smaller loss on dev before it ends; None: no end
        dropout: share of both hidden layers that is silenced, in 256ths
        clip_value: largest entry of the gradient; None: any
        clip_norm: largest norm of the gradient; None: any
    """

    lr: float = 1e-3
    batch_size: int = 32
    max_epochs: int = 100
    patience: int | None = 10
    dropout: float = 0.2
    clip_value: float | None = None
    clip_norm: float | None = None

    @property
    def threshold(self) -> int:
        """Bytes below it silence."""
        return round(BYTE * self.dropout)


def number(*words: object) -> int:
    """Return 64 bits that depend on the words alone: no state, no order of drawing."""
    text = "/".join(map(str, words))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
