"""Exact hidden states of Whisper's encoder, window by window.

The encoder hears windows of one length, 30 s, whatever there is to hear: what is
shorter is filled up with silence. So windows of any utterances make up a batch that
needs no mask. Frames that begin beyond the utterance's end are cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contracts.extraction import SAMPLING_RATE

if TYPE_CHECKING:
    import torch


class WindowEncoder:
    """Turns waveforms into hidden states.

    Args:
        model: Whisper's encoder, ready for inference on its device; layers beyond the
            last one asked for are taken out of it
        preparing: transformers' feature extractor, which makes the log-mel spectrogram
        layers: hidden states to return; 0 is the input of the first layer
        batch_windows: windows that the encoder gets at once

    Attributes:
        field: samples that a waveform has at least
        hop: samples from frame to frame
        window: samples of a window
    """

    field = 1

    def __init__(
        self, model: Any, preparing: Any, layers: Sequence[int], batch_windows: int = 1
    ) -> None:
        self.model = model
        self.preparing = preparing
        self.layers = tuple(layers)
        self.batch_windows = batch_windows
        self.hop = 2 * preparing.hop_length  # the second convolution halves the rate
        self.window = preparing.n_samples
        model.layers = model.layers[: max(1, *self.layers)]
        # so that transformers' last hidden state is the last layer's, before the norm
        model.config.tie_last_hidden_states = False

    def n_frames(self, n_samples: int) -> int:
        """Return how many frames begin within a waveform."""
        return -(-n_samples // self.hop)

    def __call__(self, waveforms: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return ``(layer, frame, channel)``, float32, of each waveform ``(time,)``."""
        import torch

        out = [self._empty(waveform) for waveform in waveforms]
        places = [
            (i, start)
            for i, waveform in enumerate(waveforms)
            for start in range(0, len(waveform), self.window)
        ]
        with torch.inference_mode():
            for first in range(0, len(places), self.batch_windows):
                some = places[first : first + self.batch_windows]
                mels = [self._prepare(waveforms[i][at:]) for i, at in some]
                for n, states in enumerate(self._states(torch.cat(mels))):
                    if n in self.layers:
                        values = states.float().cpu().numpy()
                        for row, (i, at) in zip(values, some, strict=True):
                            self._put(out[i], self.layers.index(n), at, row)
        return out

    def alone(self, waveform: NDArray[Any]) -> NDArray[np.float32]:
        """Return what transformers itself gives for one ``(time,)``."""
        import torch

        out = self._empty(waveform)
        with torch.inference_mode():
            for at in range(0, len(waveform), self.window):
                mel = self._prepare(waveform[at:])
                told = self.model(mel, output_hidden_states=True).hidden_states
                for place, n in enumerate(self.layers):
                    self._put(out, place, at, told[n][0].float().cpu().numpy())
        return out

    def _empty(self, waveform: NDArray[Any]) -> NDArray[np.float32]:
        shape = len(self.layers), self.n_frames(len(waveform))
        return np.empty((*shape, self.model.config.d_model), np.float32)

    def _put(
        self, out: NDArray[np.float32], place: int, start: int, row: NDArray[np.float32]
    ) -> None:
        """Put a window's ``(frame, channel)`` where it belongs, cut at the end."""
        first = start // self.hop
        part = out[place, first : first + len(row)]
        part[:] = row[: len(part)]

    def _prepare(self, samples: NDArray[Any]) -> torch.Tensor:
        """Return the log-mel spectrogram ``(1, band, time)`` of what fits a window.

        One window at a time: its loudest point sets the floor of it alone.
        """
        values = np.asarray(samples[: self.window], np.float32)
        mel = self.preparing(values, sampling_rate=SAMPLING_RATE, return_tensors="pt")
        return mel.input_features.to(self.model.device)

    def _states(self, mels: torch.Tensor) -> Iterator[torch.Tensor]:
        """Run ``(window, band, time)`` through, yielding each hidden state."""
        from torch.nn.functional import gelu

        model = self.model
        states = gelu(model.conv2(gelu(model.conv1(mels))))
        # (window, channel, frame) -> (window, frame, channel)
        states = states.transpose(1, 2) + model.embed_positions.weight
        yield states
        for layer in model.layers:
            given = layer(states, None)
            states = given[0] if isinstance(given, tuple) else given
            yield states
