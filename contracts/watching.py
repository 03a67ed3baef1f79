"""Who is told of an epoch as it ends: nobody, unless somebody listens.

Heads with epochs call ``tell``; who listens is said around a fit, and forgotten after
it::

    with listening(hear):
        head.fit(train, dev)

A fit does not know which fold it is for. What it learns from tells: no two folds of a
question share their training utterances.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from contracts.view import View

Listener: TypeAlias = Callable[[View, int, Mapping[str, float]], None]
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(hear: Listener) -> Iterator[None]:
    """Let a function hear of every epoch that ends inside the context.

    Args:
        hear: is given the training utterances of the fit, its seed, and the entry of
            its history: ``epoch``, ``train_loss``, ``dev_loss``, ``dev_uar``
    """
    before = _LISTENER.set(hear)
    try:
        yield
    finally:
        _LISTENER.reset(before)


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
