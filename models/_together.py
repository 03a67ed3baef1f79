"""Heads whose fits share one pass over the frames: folds, seeds and small grids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from contracts.job import Job
from contracts.view import View
from models import _losses
from models._device import choose, drawing
from models._frames import FrameHead
from models._joint import Fitted, Settings, Task, fit_jointly, weighted_targets

_NAMES = {"weights": "layers.scalars"}  # in the engine -> in the network


@dataclass(eq=False, repr=False, kw_only=True)
class TogetherHead(FrameHead):
    """A head with Pepino's network, fitted by the engine of ``models/_joint.py``.

    A fit alone goes through the same engine, so it equals the same fit among others.
    What the engine has no way for (silenced channels or frames, balanced sampling,
    weight decay, normalisation by speaker or utterance) is fitted alone, by the usual
    loop. Of votes (``targets=soft``) the engine tells cross-entropy, the usual loop the
    divergence: losses differ by the votes' own entropy, which moves nothing.
    """

    @property
    def joins(self) -> bool:
        """Whether the engine can fit it."""
        usual = (self.feature_dropout, self.time_mask, self.weight_decay) == (0, 0, 0)
        # torch weighs smoothed classes in a way of its own
        plain = self.class_weight is None or not self.label_smoothing
        return (
            usual
            and plain
            and self.sampling is None
            and self.normalise in (None, "global")
            and type(self).clip is FrameHead.clip
        )

    def fit(self, train: View, dev: View | None = None) -> Self:
        """Learn from ``train``; ``dev`` chooses the epoch whose weights are kept.

        Raises:
            RunError: without development speakers, labels or a finite loss
        """
        self.refuse_options()
        if not self.joins:
            return super().fit(train, dev)
        task = self._task(train, dev)
        device = choose(self.device)
        for _, fitted in fit_jointly([task], *self._heard(), device=device):
            self._keep(fitted)
        return self

    @classmethod
    def fit_jobs(cls, jobs: Sequence[Job]) -> Iterator[tuple[Job, Any]]:
        """Fit jobs together where they read the same frames; yield each as it ends."""
        groups: dict[tuple[str, torch.device], list[Job]] = {}
        for job in jobs:
            job.head.refuse_options()
            if job.head.joins:
                heard = str((job.head.features, job.head.layers))
                key = heard, choose(job.head.device)
                groups.setdefault(key, []).append(job)
            else:
                yield job, job.head.fit(job.train, job.dev)
        for (_, device), group in groups.items():
            tasks = [job.head._task(job.train, job.dev) for job in group]
            heard = group[0].head._heard()
            for i, fitted in fit_jointly(tasks, *heard, device=device):
                group[i].head._keep(fitted)
                yield group[i], group[i].head

    def _heard(self) -> tuple[str, list[int]]:
        """Return the feature and the layers that are read."""
        return self.features[0], list(self.facts_["layers"])

    def _task(self, train: View, dev: View | None) -> Task:
        """Make ready all that a fit needs."""
        learnt_on, judged_on, _ = self.begin(train, dev)
        n = len(self.classes_)
        weight = _losses.class_weights(learnt_on.view.y, n, self.class_weight)
        told = None if weight is None else weight.numpy()
        with drawing(self.seed):
            start = self.build(n, self.facts_).state_dict()
        back = {there: here for here, there in _NAMES.items()}
        return Task(
            learnt_on.view,
            judged_on.view,
            weighted_targets(self._smoothed(learnt_on.truth), n, told),
            weighted_targets(self._smoothed(judged_on.truth), n, told),
            Settings(
                self.lr,
                self.batch_size,
                self.max_epochs,
                self.patience,
                self.dropout,
                self.clip_value,
                self.clip_norm,
            ),
            self.seed,
            self.arrays_.get("mean 0"),
            self.arrays_.get("scale 0"),
            {back.get(name, name): value for name, value in start.items()},
        )

    def _smoothed(self, truth: Tensor) -> Any:
        """Spread a share of the truth over all classes, if that is asked for."""
        n, shares = (
            len(self.classes_),
            weighted_targets(truth.numpy(), len(self.classes_)),
        )
        return shares * (1 - self.label_smoothing) + self.label_smoothing / n

    def _keep(self, fitted: Fitted) -> None:
        """Take over what a fit came to."""
        with drawing(self.seed):
            self.network_ = self.build(len(self.classes_), self.facts_)
        self.network_.load_state_dict(_named(fitted.state))
        self.history_ = list(fitted.history)
        self.conclude(fitted.best_epoch)


def _named(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {_NAMES.get(name, name): value for name, value in state.items()}
