"""One fit of an experiment, as it is handed to a head."""

from dataclasses import dataclass
from typing import Any

from contracts.view import View


@dataclass(frozen=True)
class Job:
    """A head, not fitted yet, and the parts of the fold it is for.

    Attributes:
        head: the estimator with its settings
        train: utterances to fit on; holds the development speakers too where the
            head needs none
        dev: development speakers; None for a head that needs none
        test: utterances to predict
        fold: index of the fold
        seed: of everything that is drawn
    """

    head: Any
    train: View
    dev: View | None
    test: View
    fold: int
    seed: int
