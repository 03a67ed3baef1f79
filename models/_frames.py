"""Heads over frames: how their maps are read, normalised and disturbed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from contracts.errors import CacheError, RunError, listing
from contracts.view import View
from models import _normalisation as norms
from models._device import choose
from models._maps import map_facts, read_maps
from models._network import Inputs, Reader
from models._resident import Resident, bytes_of_frames, resident
from models._sampling import without_channels, without_run
from models._training import TorchHead


@dataclass(frozen=True)
class Frames:
    """One frame feature of a view.

    Attributes:
        layers: which are read
        norm: None: numbers as they are stored
        means: whether each utterance is one frame, the mean of its own
        chosen: which frames of each utterance are read
        kept: where frames stay once they are read; None: nowhere
    """

    view: View
    feature: str
    layers: Sequence[int]
    norm: norms.Norm | None
    means: bool
    chosen: slice
    kept: Resident | None = None

    def read(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return maps ``(utterance, layer, frame, channel)``, lengths ``(utterance,)``.

        Maps are padded to the longest; lengths say what is no padding.
        """
        if self.means:
            told = self.view.take(rows).pooled(self.feature, self.layers)
            maps = torch.from_numpy(told[:, :, 0][:, :, None].copy())
            lengths = torch.ones(len(rows), dtype=torch.int64)
        else:
            asked = self.feature, rows, self.layers, self.chosen
            maps, lengths = read_maps(self.view, *asked, self.kept)
        if self.norm is not None:
            maps = self.norm.apply(maps, lengths, rows)
        return maps, lengths


@dataclass(eq=False, repr=False, kw_only=True)
class FrameHead(TorchHead):
    """A head over the frames of one feature.

    Attributes:
        arrays_: ``mean 0`` and ``scale 0`` ``(layer, channel)`` of train, of the
            feature at position 0, where all utterances are normalised by them
        enrolled_: position of the feature -> speaker -> mean and deviation
    """

    otherwise: ClassVar[str] = "transformer"  # layers=None, see map_facts
    linear_until_mean: ClassVar[bool] = False  # then the mean over time comes first

    def measure(self, view: View) -> dict[str, Any]:
        """Return layers and channels of the maps."""
        if len(self.features) != 1:
            msg = (
                f"{self.name} takes one feature with frames, got {list(self.features)}"
            )
            raise RunError(msg)
        return map_facts(view, self.features[0], self.layers, self.otherwise)

    def layers_at(self, view: View) -> dict[int, list[int]]:
        """Return, for positions of ``features`` with frames, the layers read."""
        return {0: list(self.facts_["layers"])}

    def how(self, position: int) -> str | None:
        """Return how the feature at a position of ``features`` is normalised."""
        return self.normalise

    def prepare(self, train: View) -> None:
        """Learn mean and deviation of train, where they are asked for."""
        self.enrolled_: dict[int, dict[str, norms.Spread]] = {}
        for i, layers in self.layers_at(train).items():
            if self.how(i) == "global":
                mean, scale = norms.spread_of(train, self.features[i], layers)
                self.arrays_ |= {f"mean {i}": mean, f"scale {i}": scale}
            elif self.how(i) == "speaker":
                self.learnt_["warning"] = norms.TRANSDUCTIVE

    def reader(self, view: View) -> Reader:
        """Return what reads maps and lengths."""
        return self.frames(view, 0).read

    def frames(self, view: View, position: int) -> Frames:
        """Open the frame feature at a position of ``features``.

        Raises:
            RunError: if a speaker is needed and not known
        """
        feature, layers = self.features[position], self.layers_at(view)[position]
        norm = None
        if self.how(position) == "global":
            spread = self.arrays_[f"mean {position}"], self.arrays_[f"scale {position}"]
            norm = norms.norm_of_all(view, feature, spread)
        elif self.how(position) == "speaker":
            enrolled = getattr(self, "enrolled_", {}).get(position, {})
            norm = norms.norm_of_speakers(view, feature, layers, enrolled)
        elif self.how(position) == "utterance":
            norm = norms.norm_of_utterances(view, feature, layers)
        means = self.takes_means()
        kept = None
        if not means:
            n_frames = int(view.n_frames(feature).sum())
            size = bytes_of_frames(view, feature, layers, n_frames)
            kept = resident(size, choose(self.device))
        return Frames(view, feature, layers, norm, means, self.chosen_frames(), kept)

    def chosen_frames(self) -> slice:
        """Return which frames of an utterance the network is handed: all of them."""
        return slice(None)

    def takes_means(self) -> bool:
        """Whether the network is handed means over time in place of frames."""
        return self.linear_until_mean and not self.time_mask

    def enrol(self, view: View) -> None:
        """Take mean and deviation of speakers from speech of theirs.

        Predictions then normalise these speakers by it, whatever else is predicted.

        Args:
            view: utterances, labels are not looked at; those without a speaker are
                taken as one person, to whom then all such utterances belong

        Raises:
            RunError: if the head normalises by no speaker
        """
        if self.normalise != "speaker":
            msg = (
                f"{self.name} has no use for enrolment speech: expected "
                f"normalise='speaker', got {self.normalise!r}"
            )
            raise RunError(msg)
        view = self.checked(view)
        before = getattr(self, "enrolled_", {})
        self.enrolled_ = {
            i: before.get(i, {}) | norms.speaker_spreads(view, self.features[i], layers)
            for i, layers in self.layers_at(view).items()
        }

    def outputs(self, view: View) -> Tensor:
        """Return what the network gives ``(utterance, output)``, float64.

        Raises:
            RunError: if features are others, or strangers' only files are to be
                normalised by themselves
        """
        self.refuse_strangers([view])
        return super().outputs(view)

    def refuse_strangers(self, views: Sequence[View]) -> None:
        """Refuse views in which a speaker has one utterance to be normalised by.

        Args:
            views: what is to be predicted, each by itself

        Raises:
            RunError: naming the utterances, for ``normalise='speaker'`` and speakers
                who are not enrolled
        """
        if self.normalise != "speaker":
            return
        known = [set(one) for one in getattr(self, "enrolled_", {}).values()]
        enrolled = set.intersection(*known) if known else set()
        told = (one for view in views for one in norms.only_ones(view, enrolled))
        alone = list(dict.fromkeys(told))
        if not alone:
            return
        where = "in what is predicted"
        what = f"{alone[0]} is all there is of its speaker {where}: expected several"
        if len(alone) > 1:
            what = (
                f"{len(alone)} utterances are each all there is of its speaker "
                f"{where} ({listing(alone)}): expected several of each"
            )
        msg = (
            f"{what}, or speech to enrol by, for normalise='speaker', which would "
            "normalise such an utterance by itself. Give other speech of theirs with "
            "predict --enrol or head.enrol(view), or fit with normalise=global"
        )
        raise RunError(msg)

    def disturbed(self, inputs: Inputs, draw: np.random.Generator) -> Inputs:
        """Silence channels and a run of frames, of all inputs that are maps."""
        *parts, lengths = inputs
        out = []
        for part in parts:
            if part.ndim == 4:
                part = without_channels(part, self.feature_dropout, draw)
                part = without_run(part, lengths, self.time_mask, draw)
            out.append(part)
        return *out, lengths


@dataclass(eq=False, repr=False, kw_only=True)
class TwoFrameHead(FrameHead):
    """A head over the frames of two features that have as many frames.

    The second one is normalised over all frames of train whatever ``normalise`` says,
    unless by speaker: its channels are in different units, with no mean in common.
    """

    def measure(self, view: View) -> dict[str, Any]:
        """Return layers and channels of both, the second's as ``n_descriptors``."""
        if len(self.features) != 2:
            msg = (
                f"{self.name} takes two features with frames, one by one: expected "
                f"such as {list(type(self).features)}, got {list(self.features)}"
            )
            raise RunError(msg)
        first, second = self.features
        facts = map_facts(view, first, self.layers, self.otherwise)
        return facts | {"n_descriptors": map_facts(view, second)["channels"]}

    def layers_at(self, view: View) -> dict[int, list[int]]:
        """Return the layers read of both features."""
        second: list[int] = map_facts(view, self.features[1])["layers"]
        return super().layers_at(view) | {1: second}

    def how(self, position: int) -> str | None:
        """Return how a feature is normalised."""
        by_channel = self.normalise in ("global", "speaker")
        return "global" if position and not by_channel else self.normalise

    def reader(self, view: View) -> Reader:
        """Return what reads maps, maps of the second feature, and lengths.

        Raises:
            CacheError: if an utterance has not as many frames of both
        """
        first, second = self.features
        n, m = view.n_frames(first), view.n_frames(second)
        if (n != m).any():
            i = int(np.flatnonzero(n != m)[0])
            msg = (
                f"{first} and {second} differ in frames for {(n != m).sum()} of "
                f"{len(view)} utterances (first: {view.ids[i]}, {n[i]} and {m[i]}): "
                "expected as many. Choose features of the same frame shift"
            )
            raise CacheError(msg)
        one, other = self.frames(view, 0), self.frames(view, 1)

        def read(rows: Sequence[int]) -> Inputs:
            maps, lengths = one.read(rows)
            return maps, other.read(rows)[0], lengths

        return read
