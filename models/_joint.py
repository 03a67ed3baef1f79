"""Many fits of pepino in one pass over the cache: folds, seeds and small grids.

What a fit alone spends on reading, converting and mixing frames is shared here: each
utterance is read and converted once for all models that learn from it. What a model
gets is what it gets alone:

- the order of utterances depends on the epoch alone: ids are sorted by a hash of order
  seed, epoch and id, and taking some of them out leaves the others in their order;
- a model sees its own training ids in that order and steps when it has seen a batch
  of its own, the last one of an epoch being shorter;
- targets, weights of utterances and classes, dropout, the sum that its loss is
  divided by, Adam's moments, the end of training: all are its own.

So fits together equal fits one by one, up to rounding.

On a GPU that has the memory, frames stay there as they are stored, and weights, moments
and all arithmetic are there: what goes there in an epoch are targets, lengths and, for
dropout, one number per utterance and seed; what comes back are losses and logits of
development speakers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contracts.errors import RunError, listing
from contracts.terminal import progress
from models._joint_model import Fitted, Model, Task
from models._joint_reader import CPU, Source
from models._joint_settings import BYTE, Settings
from models._joint_work import Work

__all__ = ["Fitted", "Settings", "Task", "fit_jointly", "weighted_targets"]


def weighted_targets(
    targets: NDArray[Any],
    n_classes: int,
    class_weight: NDArray[Any] | None = None,
    sample_weight: NDArray[Any] | None = None,
) -> NDArray[np.float64]:
    """Return what each class weighs in each utterance's loss ``(utterance, class)``.

    The loss of a batch is ``- sum(weighed * log p) / sum(weighed)``: for codes that of
    ``torch.nn.CrossEntropyLoss`` with its class weights; for shares that sum to one,
    without weights, KL divergence but for a constant.

    Args:
        targets: codes ``(utterance,)``, or shares ``(utterance, class)``
        n_classes: how many there are
        class_weight: ``(class,)``
        sample_weight: ``(utterance,)``
    """
    hard = targets.ndim == 1
    out = np.eye(n_classes)[targets] if hard else np.array(targets, np.float64)
    if class_weight is not None:
        out = out * np.asarray(class_weight, np.float64)
    if sample_weight is not None:
        out = out * np.asarray(sample_weight, np.float64)[:, None]
    return out


def fit_jointly(
    tasks: Sequence[Task],
    feature: str,
    layers: Sequence[int] | None = None,
    *,
    order_seed: int = 0,
    n_threads: int | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device = CPU,
) -> Iterator[tuple[int, Fitted]]:
    """Fit models together; yield each with its position in ``tasks`` as it ends.

    Args:
        tasks: the fits
        feature: that all of them read, with frames
        layers: hidden states; None: 1..L
        order_seed: of the order of utterances in each epoch
        n_threads: that work is shared out among; None: as many as torch has, or one
            for a GPU, which does one thing after the other
        dtype: of all numbers
        device: where frames, weights and all that is computed are

    Raises:
        CacheError: if the feature is missing or has no frames
        RunError: for tasks that cannot work, before anything is fitted; for models
            whose loss was no number, when all others are yielded
    """
    if bad := [f"fit {i}: {said}" for i, t in enumerate(tasks) for said in _wrong(t)]:
        msg = f"{len(bad)} things are wrong with {len(tasks)} fits: {listing(bad)}"
        raise RunError(msg)
    if not tasks:
        return
    views = [view for task in tasks for view in (task.train, task.dev)]
    source = Source(views, feature, layers, device)
    _refuse_shapes(tasks, source)
    pairs = zip(tasks, _factors(tasks, dtype, device), strict=True)
    models = [Model(i, t, source, factor, dtype) for i, (t, factor) in enumerate(pairs)]
    n = n_threads or (torch.get_num_threads() if device.type == "cpu" else 1)
    work = Work(source, len(models), n, order_seed, dtype)
    try:
        yield from _epochs(models, work)
    finally:  # a traceback, or torch, may hold this frame
        work.release()


def _epochs(models: Sequence[Model], work: Work) -> Iterator[tuple[int, Fitted]]:
    """Go through the epochs until every model has ended."""
    most = max(model.task.settings.max_epochs for model in models)
    active = list(models)
    with progress("pepino", most, "epochs") as advance:
        for epoch in range(1, most + 1):
            if not active:
                break
            work.epoch(epoch, active)
            ended = [m for m in active if m.ended and not m.diverged]
            active = [model for model in active if not model.ended]
            advance(1, f"{len(active)} of {len(models)} fits go on")
            for model in ended:
                yield model.position, model.result()
    if bad := [model.about for model in models if model.diverged]:
        msg = (
            f"{len(bad)} of {len(models)} fits diverged: expected a finite loss, got "
            f"another in {listing(bad)}. Choose a smaller lr"
        )
        raise RunError(msg)


def _factors(
    tasks: Sequence[Task], dtype: torch.dtype, device: torch.device
) -> list[Tensor | None]:
    """Return 1 / scale ``(layer, 1, channel)``, one object for equal ones."""
    kept: dict[bytes, Tensor] = {}
    out: list[Tensor | None] = []
    for task in tasks:
        if task.scale is None:
            out.append(None)
            continue
        key = task.scale.tobytes()
        if key not in kept:
            factor = torch.from_numpy(1 / task.scale).to(device, dtype)
            kept[key] = factor[:, None].contiguous()
        out.append(kept[key])
    return out


def _wrong(task: Task) -> Iterator[str]:
    """Say what keeps a task from being fitted."""
    own = task.settings
    if min(own.batch_size, own.max_epochs) < 1 or not own.lr > 0:
        yield (
            "expected batch_size and max_epochs of 1 or more and lr above 0, got "
            f"{own.batch_size}, {own.max_epochs} and {own.lr:g}"
        )
    if not (0 <= own.dropout < 1 and own.threshold < BYTE):
        yield f"expected dropout from 0 to 0.99, got {own.dropout:g}"
    yield from _wrong_targets("train", len(task.train), task.train_targets, every=True)
    yield from _wrong_targets("dev", len(task.dev), task.dev_targets, every=False)
    if (task.mean is None) != (task.scale is None):
        yield "expected mean and scale, or neither, got one of them"
    elif (
        task.scale is not None
        and not (np.isfinite(task.scale) & (task.scale > 0)).all()
    ):
        yield "expected scales above 0, got others. Put 1 where a channel is constant"


def _wrong_targets(
    name: str, n: int, targets: NDArray[Any], every: bool
) -> Iterator[str]:
    """Say what is wrong with targets; each utterance must weigh something if asked."""
    if not n:
        yield f"{name} has no utterances: expected some, got none"
    elif targets.ndim != 2 or len(targets) != n:
        yield f"expected {name} targets ({n}, class), got shape {targets.shape}"
    elif not (np.isfinite(targets).all() and (targets >= 0).all() and targets.any()):
        yield f"expected {name} targets of 0 or more, some above, got others"
    elif every and not targets.any(axis=1).all():
        none = int((~targets.any(axis=1)).sum())
        yield f"{none} of {name} weigh nothing: expected none. Leave them out"


def _refuse_shapes(tasks: Sequence[Task], source: Source) -> None:
    """Refuse means and scales of other frames."""
    shape = source.n_layers, source.channels
    arrays = [(i, a) for i, t in enumerate(tasks) for a in (t.mean, t.scale)]
    if bad := [
        f"fit {i} {a.shape}" for i, a in arrays if a is not None and a.shape != shape
    ]:
        msg = f"mean and scale of other frames: expected {shape}, got {listing(bad)}"
        raise RunError(msg)
