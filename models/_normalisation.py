"""Mean and deviation of frame features by layer and channel, or by layer alone.

They come from the tables of means and deviations that the cache holds of every
utterance, weighted by numbers of frames, so that no frame is read for them: over all
frames of train (``global``), or over each speaker's own (``speaker``). The latter
looks at all utterances of the very speakers that are tested, as Pepino et al. 2021 do
(arXiv:2104.03502, +8.6 points there): it is transductive, and shown so. Or over all
frames and channels of a layer of the utterance itself (``utterance``), as EmoBox does
(Interspeech 2024): one mean and one deviation, as of torch's ``layer_norm``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contracts.errors import RunError
from contracts.view import View

TRANSDUCTIVE = (
    "transductive: frames are normalised by the mean and deviation of each speaker's "
    "own utterances, those of test speakers included"
)
Spread = tuple[NDArray[np.float32], NDArray[np.float32]]  # (layer, channel) each
_LEAST = 1e-5  # that is added to the variance of an utterance, as torch's layer_norm


class Norm(NamedTuple):
    """How the frames of a view are normalised.

    Attributes:
        mean: ``(group, layer, channel)``, or ``(group, layer, 1)`` for all channels
        scale: as ``mean``; never 0
        group: of each utterance ``(utterance,)``
        whole: whether an utterance holds numbers alone ``(utterance,)``
    """

    mean: Tensor
    scale: Tensor
    group: Tensor
    whole: NDArray[np.bool_]

    def apply(self, maps: Tensor, lengths: Tensor, rows: Sequence[int]) -> Tensor:
        """Return maps ``(utterance, layer, frame, channel)`` in float32, mean 0.

        What is no number becomes the mean, as does padding. A layer at a time, which
        the processor's cache holds; on a GPU all at once.
        """
        if maps.device.type != "cpu":
            return self.at_once(maps, lengths, rows)
        out = torch.zeros(maps.shape)
        for row, one, into, n in zip(rows, maps, out, lengths.tolist(), strict=True):
            group = self.group[row]
            parts = zip(one, into, self.mean[group], self.scale[group], strict=True)
            for layer, ready, mean, scale in parts:
                torch.sub(layer[:n], mean, out=ready[:n]).div_(scale)
            if not self.whole[row]:
                into.nan_to_num_(nan=0.0)
        return out

    def at_once(self, maps: Tensor, lengths: Tensor, rows: Sequence[int]) -> Tensor:
        """Return what ``apply`` returns, in few steps over all of it."""
        group = self.group[list(rows)]
        mean, scale = (x[group].to(maps.device) for x in (self.mean, self.scale))
        out = (maps.float() - mean[:, :, None]).div_(scale[:, :, None]).nan_to_num_(0.0)
        behind = torch.arange(maps.shape[2]) >= lengths[:, None]
        return out.masked_fill_(behind[:, None, :, None].to(maps.device), 0.0)


def spread_of(view: View, feature: str, layers: Sequence[int] | None) -> Spread:
    """Return mean and deviation over all frames of a view, ``(layer, channel)`` each.

    An utterance that holds no number somewhere (NaN) does not count there.
    """
    pooled = view.pooled(feature, layers)  # (utterance, layer, 2, channel)
    return _spread(pooled, view.n_frames(feature))


def _spread(pooled: NDArray[np.float32], n_frames: NDArray[np.int64]) -> Spread:
    means, scales = [], []
    for layer in range(pooled.shape[1]):
        # a layer at a time: it is large
        whole, square = _joined(pooled[:, layer], n_frames[:, None], axis=0)
        means.append(whole)
        scales.append(np.where(square > 0, np.sqrt(square), 1.0))
    return np.stack(means).astype(np.float32), np.stack(scales).astype(np.float32)


def _joined(
    pooled: NDArray[np.float32], weight: NDArray[np.int64] | int, axis: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance of all that means and deviations were taken of.

    Args:
        pooled: ``(utterance, 2, channel)``; what holds no number does not count
        weight: of each mean, as ``(utterance, channel)`` or what becomes so
        axis: that is gone then: 0 utterances, 1 channels
    """
    told = pooled.astype(np.float64)
    there = np.asarray(np.isfinite(told).all(axis=1))
    share = weight * there
    share = share / np.maximum(share.sum(axis=axis, keepdims=True), 1)
    mean, deviation = np.where(there[:, None], told, 0.0).transpose(1, 0, 2)
    whole = (share * mean).sum(axis=axis, keepdims=True)
    square = (share * (deviation**2 + (mean - whole) ** 2)).sum(axis=axis)
    return whole.squeeze(axis), square


def norm_of_all(view: View, feature: str, spread: Spread) -> Norm:
    """Return the norm that is the same for each utterance of a view."""
    mean, scale = (torch.from_numpy(part)[None] for part in spread)
    group = torch.zeros(len(view), dtype=torch.int64)
    return Norm(mean, scale, group, view.valid(feature))


def norm_of_utterances(view: View, feature: str, layers: Sequence[int] | None) -> Norm:
    """Return the norm of each utterance, the same for all channels of a layer.

    A channel that holds no number somewhere does not count.
    """
    pooled = view.pooled(feature, layers)
    mean, scale = np.empty((2, *pooled.shape[:2], 1), np.float32)
    for layer in range(pooled.shape[1]):
        whole, square = _joined(pooled[:, layer], 1, axis=1)  # a layer at a time
        mean[:, layer, 0], scale[:, layer, 0] = whole, np.sqrt(square + _LEAST)
    own, valid = torch.arange(len(view)), view.valid(feature)
    return Norm(torch.from_numpy(mean), torch.from_numpy(scale), own, valid)


def speaker_spreads(
    view: View, feature: str, layers: Sequence[int] | None
) -> dict[str, Spread]:
    """Return mean and deviation of each speaker of a view, variants left out.

    Whose variants alone are there has theirs.
    """
    pooled, n_frames = view.pooled(feature, layers), view.n_frames(feature)
    plain = (view.manifest["variant"] == "").to_numpy()
    out = {}
    for speaker in dict.fromkeys(view.speakers):
        own = view.speakers == speaker
        rows = own & plain if (own & plain).any() else own
        out[str(speaker)] = _spread(pooled[rows], n_frames[rows])
    return out


def only_ones(view: View, enrolled: Collection[str]) -> list[str]:
    """Return ids of speakers' only utterances, of those who are not enrolled.

    Variants of an utterance are no other speech. Who has no name is left out: see
    ``norm_of_speakers``.
    """
    frame = view.manifest
    origin = frame["source"].where(frame["source"] != "", frame["id"])
    new = ~frame["speaker"].isin(["", *enrolled])
    heard = origin[new].groupby(frame["speaker"][new], sort=False)
    told = heard.agg(["nunique", "first"])
    return list(told["first"][told["nunique"] == 1])


def norm_of_speakers(
    view: View,
    feature: str,
    layers: Sequence[int] | None,
    enrolled: Mapping[str, Spread],
) -> Norm:
    """Return the norm of each speaker: as enrolled, else from this very view.

    Raises:
        RunError: if a speaker is not known, who was not enrolled either
    """
    unknown = np.array([not s and s not in enrolled for s in view.speakers], bool)
    if unknown.any():
        msg = (
            f"{unknown.sum()} of {len(view)} utterances have no speaker (first: "
            f"{view.ids[unknown][0]}): expected one for normalise='speaker', which "
            "takes mean and deviation of each speaker's speech. Give other speech of "
            "theirs with predict --enrol or head.enrol(view), or fit with "
            "normalise=global"
        )
        raise RunError(msg)
    new = np.array([s not in enrolled for s in view.speakers], bool)
    found = {**speaker_spreads(view.take(new), feature, layers), **enrolled}
    order = {s: i for i, s in enumerate(dict.fromkeys(map(str, view.speakers)))}
    mean, scale = (
        torch.from_numpy(np.stack([found[s][part] for s in order])) for part in (0, 1)
    )
    group = torch.tensor([order[str(s)] for s in view.speakers])
    return Norm(mean, scale, group, view.valid(feature))
