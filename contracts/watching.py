"""Who is told of an epoch or a fold as it ends: nobody, unless somebody listens.

Heads with epochs call ``tell``, and the experiment ``tell_fold``; who listens is said
around a fit, and forgotten after it::

    with listening(hear, hear_fold):
        head.fit(train, dev)

A fit does not know which fold it is for. What it learns from tells: no two folds of a
question share their training utterances.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from contracts.run import Run
from contracts.view import View

Listener: TypeAlias = Callable[[View, int, Mapping[str, float]], None]
FoldListener: TypeAlias = Callable[[Run], None]
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)
_OF_FOLDS: ContextVar[FoldListener | None] = ContextVar("of_folds", default=None)


@contextmanager
def listening(hear: Listener, hear_fold: FoldListener | None = None) -> Iterator[None]:
    """Let functions hear of every epoch and fold that ends inside the context.

    Args:
        hear: is given the training utterances of the fit, its seed, and the entry of
            its history: ``epoch``, ``train_loss``, ``dev_loss``, ``dev_uar``
        hear_fold: is given an unfinished run whose record holds the ended fold alone;
            None: nobody is told of folds
    """
    before, of_folds = _LISTENER.set(hear), _OF_FOLDS.set(hear_fold)
    try:
        yield
    finally:
        _LISTENER.reset(before)
        _OF_FOLDS.reset(of_folds)


def tell(train: View, seed: int, entry: Mapping[str, float]) -> None:
    """Say that an epoch has ended, to whoever listens.

    Args:
        train: what is learnt from
        seed: of the fit
        entry: what goes into the history
    """
    hear = _LISTENER.get()
    if hear is not None:
        hear(train, seed, entry)


def tell_fold(run: Run) -> None:
    """Say that a fold has ended and is kept, to whoever listens.

    Args:
        run: not finished; its record holds the ended fold alone
    """
    hear = _OF_FOLDS.get()
    if hear is not None:
        hear(run)
