"""Folds within a fold: its training speakers, parted once more by speaker."""

from collections.abc import Iterator

import numpy as np

from contracts.errors import RunError
from evaluation.splits import protocols
from evaluation.splits.folds import Fold
from evaluation.splits.protocols import Part

PARTS = 5  # of the training speakers


def parts(fold: Fold, n: int = PARTS, with_dev: bool = False) -> Iterator[Fold]:
    """Part the training speakers of a fold; its test part is not looked at.

    Each part is what the fold itself is: speakers stand on one side, augmented
    variants follow their source into train, and what a protocol breaks stays broken.

    Args:
        fold: train and dev together are its training speakers
        n: number of parts; fewer where there are fewer speakers
        with_dev: hold some speakers of each inner train out once more, for heads that
            stop by them

    Raises:
        RunError: if there are too few training speakers
    """
    from sklearn.model_selection import GroupKFold

    view = fold.refit
    plain = protocols.originals(view)
    n_speakers = len(set(plain.speakers))
    least = 3 if with_dev else 2
    if n_speakers < least:
        msg = (
            f"fold {fold.index} ({fold.name}) has {n_speakers} training speakers: "
            f"expected {least} or more to hold some out. Choose other folds with "
            "--folds, or another protocol: python pipeline.py list protocols"
        )
        raise RunError(msg)
    split = GroupKFold(min(n, n_speakers)).split(plain.ids, groups=plain.speakers)
    for i, (train, held) in enumerate(split):
        dev = np.array([], np.int64)
        if with_dev:
            inside = protocols.in_order(set(plain.speakers[train]))
            chosen = protocols.hold_out(plain, inside, set(plain.speakers[held]))
            is_dev = np.isin(plain.speakers[train].astype(str), chosen)
            train, dev = train[~is_dev], train[is_dev]
        name = f"part {i} of the training speakers of fold {fold.index}"
        part = protocols.with_variants(view, Part(name, train, dev, held))
        yield Fold(i, name, view, part.train, part.dev, part.test, fold.breaks)
