"""The forward of the wav2vec 2.0 family on a CPU: packed rows, no padding anywhere.

Does what transformers does, in another order of memory. Convolutions lie channels last
and run as matrix products over strided views of their input, without copies of it. The
group norm behind the first one is folded into that convolution's weights for each
utterance: its statistics follow from the mean and covariance of the samples' windows.
The rows of all utterances go through the linear layers as one matrix; only attention
and the positional convolution, which is done by FFT, look at each utterance alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from extract._attention import Biases, Fused, attend, fuse, is_by_distance
from extract._convolutions import Convolution, in_place, position

Keep = Callable[[int, torch.Tensor, Sequence[int]], None]

TILE_FRAMES = 3_000  # through the convolutions at once: one minute
_PARTS = ("feature_extractor", "feature_projection", "encoder")


def fits(model: Any) -> bool:
    """Whether a model is built as this forward expects."""
    if not all(hasattr(model, part) for part in _PARTS):
        return False
    first, *others = model.feature_extractor.conv_layers
    norms = [getattr(layer, "layer_norm", None) for layer in (first, *others)]
    is_group = [isinstance(norm, torch.nn.GroupNorm) for norm in norms]
    if not is_group[0]:
        return not any(is_group)
    norm: Any = norms[0]
    return norm.num_groups == norm.num_channels and not any(is_group[1:])


class Packed:
    """A model's forward over utterances of any lengths.

    Args:
        model: of the family, in evaluation mode on the CPU, float32
        tile_frames: frames that go through the convolutions at once
    """

    def __init__(self, model: Any, tile_frames: int = TILE_FRAMES) -> None:
        self.model = model
        self.tile_frames = tile_frames
        with torch.inference_mode():
            self.convolutions = [
                Convolution(layer) for layer in model.feature_extractor.conv_layers
            ]
            self.position = position(model.encoder.pos_conv_embed)
            self.layers = [fuse(layer.attention) for layer in model.encoder.layers]
        self.is_stable = bool(getattr(model.config, "do_stable_layer_norm", False))

    def __call__(self, waveforms: Sequence[torch.Tensor], keep: Keep) -> None:
        """Run waveforms ``(time,)`` through the model.

        Args:
            waveforms: float32, normalised if the model wants that
            keep: called with each hidden state: its number, ``(row, channel)`` with
                the rows of all utterances below each other, and where each begins.
                The rows are overwritten after it returns
        """
        frames = [self._convolve(samples) for samples in waveforms]
        bounds = [0]
        for one in frames:
            bounds.append(bounds[-1] + len(one))
        rows = self.model.feature_projection(torch.cat(frames))
        rows = rows[0] if isinstance(rows, tuple) else rows
        del frames
        rows = rows + self.position(rows, bounds)
        if not self.is_stable:
            rows = self.model.encoder.layer_norm(rows)
        keep(0, rows, bounds)
        by_distance = is_by_distance(self.model)
        biases = Biases(self.model, bounds) if by_distance else None
        for i, layer in enumerate(self.model.encoder.layers):
            step = self._stable if self.is_stable else self._usual
            rows = step(layer, rows, self.layers[i], bounds, biases)
            keep(i + 1, rows, bounds)

    # the convolutions

    def _convolve(self, samples: torch.Tensor) -> torch.Tensor:
        """Run ``(time,)`` through the convolutions, to ``(frame, channel)``."""
        first = self.convolutions[0]
        folded = first.folded(samples) if first.is_group else None
        field = hop = 1
        for conv in self.convolutions:
            field += (conv.kernel - 1) * hop
            hop *= conv.stride
        n = (len(samples) - field) // hop + 1
        tiles = []
        for start in range(0, n, self.tile_frames):
            end = (min(start + self.tile_frames, n) - 1) * hop + field
            rows = samples[start * hop : end, None]
            for conv in self.convolutions:
                rows = conv(rows, *(folded or ()) if conv is first else ())
            tiles.append(rows)
        return tiles[0] if len(tiles) == 1 else torch.cat(tiles)

    # the transformer

    def _usual(
        self,
        layer: Any,
        rows: torch.Tensor,
        fused: Fused,
        bounds: Sequence[int],
        biases: Biases | None,
    ) -> torch.Tensor:
        """One layer with its norms behind: ``(row, channel)`` to the same."""
        attended = attend(layer.attention, rows, fused, bounds, biases)
        rows = layer.layer_norm(attended.add_(rows))
        return layer.final_layer_norm(_feed(layer.feed_forward, rows).add_(rows))

    def _stable(
        self,
        layer: Any,
        rows: torch.Tensor,
        fused: Fused,
        bounds: Sequence[int],
        biases: Biases | None,
    ) -> torch.Tensor:
        """One layer with its norms before: ``(row, channel)`` to the same."""
        normed = layer.layer_norm(rows)
        rows = attend(layer.attention, normed, fused, bounds, biases).add_(rows)
        fed = _feed(layer.feed_forward, layer.final_layer_norm(rows))
        rows = fed.add_(rows)
        adapter = getattr(layer, "adapter_layer", None)
        return rows if adapter is None else rows + adapter(rows)


def _feed(feed: Any, rows: torch.Tensor) -> torch.Tensor:
    inner = in_place(feed.intermediate_act_fn)(feed.intermediate_dense(rows))
    out: torch.Tensor = feed.output_dense(inner)
    return out


def flops(model: Any, n_frames: int) -> float:
    """Count the multiplications and additions that one utterance needs.

    Two for each product of a convolution or linear layer, those of attention (scores
    and weighted sum) included; norms and activations left out.
    """
    total, frames = 0.0, n_frames
    for layer in reversed(model.feature_extractor.conv_layers):
        total += 2 * frames * layer.conv.weight.numel()
        frames = (frames - 1) * layer.conv.stride[0] + layer.conv.kernel_size[0]
    modules = [model.feature_projection, model.encoder]
    for module in (m for root in modules for m in root.modules()):
        if type(module).__name__ in ("Linear", "NonDynamicallyQuantizableLinear"):
            total += 2 * n_frames * module.weight.numel()
        elif hasattr(module, "kernel_size"):
            total += 2 * n_frames * math.prod(module.weight.shape)
    width = model.config.hidden_size
    return total + len(model.encoder.layers) * 4 * n_frames**2 * width
