"""The forward of the wav2vec 2.0 family over batches that are padded, as GPUs like it.

By transformers' own modules: the transformer gets a mask, and the group norm behind the
first convolution, which knows none and averages over time, gets its statistics from the
true frames alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch


def is_exact(model: Any) -> bool:
    """Whether zeros behind an utterance leave its numbers alone, given a mask.

    Not where there are norms between positional convolutions (data2vec), or before
    one (some HuBERTs): they turn zeros into something that frames hear.
    """
    position = model.encoder.pos_conv_embed
    return hasattr(position, "conv") and getattr(position, "batch_norm", None) is None


def run(model: Any, samples: Sequence[torch.Tensor], lengths: Sequence[int]) -> None:
    """Run waveforms ``(time,)`` through a model, whose layers are listened to.

    Args:
        model: of the family
        samples: float32, normalised if the model wants that
        lengths: frames of each
    """
    whole = torch.nn.utils.rnn.pad_sequence(list(samples), batch_first=True)
    time = torch.arange(max(lengths), device=whole.device)
    mask = time < torch.tensor(lengths, device=whole.device)[:, None]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Support for mismatched")  # WavLM's masks
        frames = _convolve(model, whole, [len(one) for one in samples])
        projected = model.feature_projection(frames.transpose(1, 2))
        rows = projected[0] if isinstance(projected, tuple) else projected
        model.encoder(rows, attention_mask=mask if len(lengths) > 1 else None)


def _convolve(
    model: Any, whole: torch.Tensor, n_samples: Sequence[int]
) -> torch.Tensor:
    """Run ``(utterance, time)`` through the convolutions, padded behind."""
    first, *others = model.feature_extractor.conv_layers
    norm = getattr(first, "layer_norm", None)
    if isinstance(norm, torch.nn.GroupNorm):
        out = _group_normed(first.conv(whole[:, None]), first.conv, norm, n_samples)
        out = first.activation(out)
    else:
        out = first(whole[:, None])
    for layer in others:
        out = layer(out)
    return out


def _group_normed(
    values: torch.Tensor, conv: Any, norm: Any, n_samples: Sequence[int]
) -> torch.Tensor:
    """Normalise ``(utterance, channel, frame)`` by its true frames alone."""
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    n = [(samples - kernel) // stride + 1 for samples in n_samples]
    count = torch.tensor(n, device=values.device)[:, None, None]
    beyond = torch.arange(values.shape[2], device=values.device) >= count
    values = values.float()
    mean = values.masked_fill(beyond, 0).sum(dim=2, keepdim=True) / count
    centred = (values - mean).masked_fill_(beyond, 0)
    variance = centred.square().sum(dim=2, keepdim=True) / count
    gain = norm.weight[:, None] / torch.sqrt(variance + norm.eps)
    return centred * gain + norm.bias[:, None]
