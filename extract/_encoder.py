"""Exact hidden states of Wav2Vec2, HuBERT and WavLM, in batches or alone.

What the models return for an utterance alone at its true length, they return here in
any batch. The convolutions, whose group norm averages over time and so over padding,
hear each utterance alone; only the transformer, which knows masks, gets a batch. Long
utterances go through in tiles of time that leave the numbers as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ExtractionError

if TYPE_CHECKING:
    import torch

TILE_FRAMES = 3_000  # through the convolutions at once: one minute
QUERY_TILE = 256  # frames that attend at once in WavLM, whose bias is a matrix
WAVLM_FRAMES = 1_500  # from here on the matrices are not held whole


class Encoder:
    """Turns waveforms into hidden states.

    Args:
        model: a base model, ready for inference on its device; layers beyond the last
            one asked for are taken out of it
        do_normalize: whether each waveform is brought to zero mean and unit variance
        layers: hidden states to return; 0 is the input of the first layer
        batch_frames: frames, padding counted, that the transformer gets at once;
            longer utterances go alone
        tile_frames: frames that go through the convolutions at once
    """

    def __init__(
        self,
        model: Any,
        do_normalize: bool,
        layers: Sequence[int],
        batch_frames: int = 1,
        tile_frames: int = TILE_FRAMES,
    ) -> None:
        self.model = model
        self.do_normalize = do_normalize
        self.layers = tuple(layers)
        # a batch norm turns padded zeros into something that the next frames hear
        alone = getattr(model.config, "conv_pos_batch_norm", False)
        self.batch_frames = 1 if alone else batch_frames
        self.tile_frames = tile_frames
        model.encoder.layers = model.encoder.layers[: max(1, *self.layers)]
        self.hop = self.field = 1  # samples from frame to frame, and in one frame
        kernels, strides = model.config.conv_kernel, model.config.conv_stride
        for kernel, stride in zip(kernels, strides, strict=True):
            self.field += (kernel - 1) * self.hop
            self.hop *= stride

    def n_frames(self, n_samples: int) -> int:
        """Return how many frames a waveform has."""
        return max(0, (n_samples - self.field) // self.hop + 1)

    def __call__(self, waveforms: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return ``(layer, frame, channel)``, float32, of each waveform ``(time,)``.

        Raises:
            ExtractionError: if there are not as many as the config says
        """
        import torch

        out: dict[int, NDArray[np.float32]] = {}
        lengths = [self.n_frames(len(w)) for w in waveforms]
        with torch.inference_mode():
            for rows in batches(lengths, self.batch_frames):
                out |= zip(rows, self._batch([waveforms[i] for i in rows]), strict=True)
        return [out[i] for i in range(len(waveforms))]

    def _batch(self, waveforms: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        import torch

        projected = [self._project(waveform) for waveform in waveforms]
        lengths = [len(frames) for frames in projected]
        padded = torch.nn.utils.rnn.pad_sequence(projected, batch_first=True)
        time = torch.arange(max(lengths), device=padded.device)
        mask = time < torch.tensor(lengths, device=padded.device)[:, None]
        with warnings.catch_warnings(), _tiled_attention(self.model, lengths):
            warnings.filterwarnings("ignore", "Support for mismatched")  # WavLM's masks
            with self._capture(lengths) as out:
                self.model.encoder(
                    padded, attention_mask=mask if len(lengths) > 1 else None
                )
        return out

    @contextmanager
    def _capture(self, lengths: Sequence[int]) -> Iterator[list[NDArray[np.float32]]]:
        """Fill arrays ``(layer, frame, channel)`` while the transformer runs.

        As in transformers: the input of the first layer, then what each layer
        returns, before any norm that follows the last one.
        """
        n, width = len(self.layers), self.model.config.hidden_size
        out = [np.empty((n, length, width), np.float32) for length in lengths]
        expected = min(self.model.config.num_hidden_layers, max(1, *self.layers)) + 1
        seen = []

        def keep(layer: int, states: torch.Tensor) -> None:
            seen.append(layer)
            if layer in self.layers:
                at = self.layers.index(layer)
                values = states.float().cpu().numpy()
                for array, row in zip(out, values, strict=True):
                    array[at] = row[: array.shape[1]]

        def hear(layer: int, _module: Any, args: Any, given: Any) -> None:
            if layer == 1:
                keep(0, args[0])
            keep(layer, given[0] if isinstance(given, tuple) else given)

        layers = enumerate(self.model.encoder.layers, start=1)
        hooks = [m.register_forward_hook(partial(hear, i)) for i, m in layers]
        try:
            yield out
        finally:
            for hook in hooks:
                hook.remove()
        if seen != list(range(expected)):
            msg = f"bad encoder: expected hidden states 0 to {expected - 1}, got {seen}"
            raise ExtractionError(msg)

    def _project(self, waveform: NDArray[Any]) -> torch.Tensor:
        """Return the transformer's input ``(frame, channel)`` of one waveform."""
        import torch
        from transformers import Wav2Vec2FeatureExtractor

        values = np.asarray(waveform, np.float32)
        if self.do_normalize:
            norm = Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm
            values = norm([values], None)[0]
        samples = torch.from_numpy(np.ascontiguousarray(values)).to(self.model.device)
        # (1, channel, frame) -> (1, frame, channel)
        frames = self._convolve(samples[None]).transpose(1, 2)
        projected = self.model.feature_projection(frames)
        return (projected[0] if isinstance(projected, tuple) else projected)[0]

    def _convolve(self, samples: torch.Tensor) -> torch.Tensor:
        """Run ``(1, time)`` through the convolutions, to ``(1, channel, frame)``."""
        import torch

        n, step = self.n_frames(samples.shape[1]), self.tile_frames
        if n <= step:
            return self.model.feature_extractor(samples)
        first, *others = self.model.feature_extractor.conv_layers
        norm = self._group_norm(samples)
        tiles = []
        for start in range(0, n, step):
            end = (min(start + step, n) - 1) * self.hop + self.field
            tile = samples[:, None, start * self.hop : end]
            tile = first.activation(norm(first.conv(tile))) if norm else first(tile)
            for layer in others:
                tile = layer(tile)
            tiles.append(tile)
        return torch.cat(tiles, dim=2)

    def _group_norm(self, samples: torch.Tensor) -> Callable[..., torch.Tensor] | None:
        """Return the first layer's norm with the statistics of all of ``(1, time)``.

        None where there are layer norms, which look at one frame each.
        """
        import torch

        first = self.model.feature_extractor.conv_layers[0]
        norm = getattr(first, "layer_norm", None)
        if not isinstance(norm, torch.nn.GroupNorm):
            return None
        kernel, stride = first.conv.kernel_size[0], first.conv.stride[0]
        n = (samples.shape[1] - kernel) // stride + 1
        step = self.tile_frames * self.hop // stride
        mean = square = torch.zeros((), device=samples.device)
        for start in range(0, n, step):
            end = (min(start + step, n) - 1) * stride + kernel
            tile = first.conv(samples[:, None, start * stride : end])[0].double()
            mean = mean + tile.sum(dim=1) / n
            square = square + tile.square_().sum(dim=1) / n
        variance = (square - mean**2).clamp_min(0)
        return lambda values: torch.nn.functional.batch_norm(
            values, mean.float(), variance.float(), norm.weight, norm.bias, eps=norm.eps
        )


def batches(lengths: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Group positions of similar lengths, at most ``limit`` frames with padding."""
    rows: list[int] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        if rows and lengths[rows[0]] * (len(rows) + 1) > limit:
            yield rows
            rows = []
        rows.append(i)
    if rows:
        yield rows


@contextmanager
def _tiled_attention(model: Any, lengths: Sequence[int]) -> Iterator[None]:
    """Let WavLM attend tile by tile where an utterance alone is long."""
    attentions = [layer.attention for layer in model.encoder.layers]
    is_long = len(lengths) == 1 and lengths[0] > WAVLM_FRAMES
    if not (is_long and hasattr(attentions[0], "rel_attn_embed")):
        yield
        return
    for attention in attentions:
        attention.forward = partial(_attend, attention)
    try:
        yield
    finally:
        for attention in attentions:
            del attention.forward


def _attend(
    own: Any, states: torch.Tensor, position_bias: torch.Tensor | None = None, **_: Any
) -> tuple[torch.Tensor, None, torch.Tensor]:
    """Do what ``WavLMAttention`` does to ``(1, frame, channel)``, in little memory."""
    import torch

    n = states.shape[1]
    time = torch.arange(n, device=states.device)
    if position_bias is None:
        distance = torch.arange(1 - n, n, device=states.device)
        position_bias = own.rel_attn_embed(own._relative_positions_bucket(distance)).T

    def heads(values: torch.Tensor) -> torch.Tensor:
        return values.view(1, n, own.num_heads, -1).transpose(1, 2)

    gates = own.gru_rel_pos_linear(heads(states)).unflatten(-1, (2, 4)).sum(-1)
    one, other = torch.sigmoid(gates).chunk(2, dim=-1)
    gate = one * (other * own.gru_rel_pos_const - 1.0) + 2.0  # (1, head, frame, 1)
    query, key, value = (heads(p(states)) for p in (own.q_proj, own.k_proj, own.v_proj))
    attend = torch.nn.functional.scaled_dot_product_attention
    tiles = []
    for rows in time.split(QUERY_TILE):
        bias = gate[:, :, rows] * position_bias[:, time - rows[:, None] + n - 1]
        tiles.append(attend(query[:, :, rows], key, value, attn_mask=bias))
    joined = torch.cat(tiles, dim=2).transpose(1, 2).reshape(1, n, -1)
    return own.out_proj(joined), None, position_bias
