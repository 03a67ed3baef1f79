"""Exact hidden states of the wav2vec 2.0 family, in batches or alone.

What a model returns for an utterance alone at its true length, it returns here in any
batch. On a CPU utterances are packed (``extract._packed``). On a GPU they are padded:
the transformer gets a mask, and the group norm behind the first convolution, which
knows none and averages over time, gets its statistics from the true frames alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from contracts.errors import ExtractionError
from contracts.feature import Block, FeatureSpec
from extract import _attention, _packed, _padded
from extract._blocks import Collector

BATCH_FRAMES = {"cpu": 2_400, "cuda": 16_000}  # of 20 ms, by device
PADDED_FRAMES = 6_000  # longer utterances are packed on any device: two minutes
_PRECISIONS = {"float16": torch.float16, "bfloat16": torch.bfloat16}

States = NDArray[np.float32]
Take = Callable[[int, torch.Tensor, Sequence[int] | None], None]


class Encoder:
    """Turns waveforms into hidden states.

    Args:
        model: a base model, ready for inference on its device; layers beyond the last
            one asked for are taken out of it
        do_normalize: whether each waveform is brought to zero mean and unit variance
        layers: hidden states to return; 0 is the input of the first layer, n what
            layer n returns, before any norm that follows the last one
        batch_frames: frames, padding counted, that go through at once; a longer
            utterance goes alone. None: what suits the device
        tile_frames: frames that go through the convolutions at once
        precision: ``float32``, or ``float16`` or ``bfloat16`` for matrix products;
            what does not come out finite is computed again in float32
        padded: pad and mask batches, as on a GPU. None: as suits the device
    """

    def __init__(
        self,
        model: Any,
        do_normalize: bool,
        layers: Sequence[int],
        batch_frames: int | None = None,
        tile_frames: int = _packed.TILE_FRAMES,
        precision: str = "float32",
        padded: bool | None = None,
    ) -> None:
        self.model = model
        self.do_normalize = do_normalize
        self.layers = tuple(layers)
        self.precision = precision
        self.tile_frames = tile_frames
        device = torch.device(model.device).type
        apart = device != "cpu" or self.is_reduced
        self.is_padded = apart if padded is None else padded
        self.is_padded &= _padded.is_exact(model)
        limit = BATCH_FRAMES["cuda" if self.is_padded else "cpu"]
        self.batch_frames = limit if batch_frames is None else batch_frames
        model.encoder.layers = model.encoder.layers[: max(1, *self.layers)]
        self.hop = self.field = 1  # samples from frame to frame, and in one frame
        kernels, strides = model.config.conv_kernel, model.config.conv_stride
        for kernel, stride in zip(kernels, strides, strict=True):
            self.field += (kernel - 1) * self.hop
            self.hop *= stride
        self._packed: _packed.Packed | None = None
        self.deviations: list[NDArray[np.float64]] = []
        self.n_again = 0  # utterances that reduced precision was too little for

    @property
    def is_reduced(self) -> bool:
        """Whether matrix products are less exact than float32."""
        return self.precision in _PRECISIONS

    def n_frames(self, n_samples: int) -> int:
        """Return how many frames a waveform has."""
        return max(0, (n_samples - self.field) // self.hop + 1)

    def bytes_needed(self, n_samples: int, kept_bytes: int) -> int:
        """Estimate the memory that one utterance takes while it goes through.

        Args:
            n_samples: its length
            kept_bytes: of each frame, layer and channel that is kept; 0: pooled alone
        """
        config = self.model.config
        width, inner = config.hidden_size, config.intermediate_size
        kept = len(self.layers) * width * kept_bytes
        passing = 4 * (8 * width + 2 * inner)  # joined heads, residuals, both widths
        if _attention.is_by_distance(self.model):  # a tile of queries by all keys
            passing += 4 * 2 * config.num_attention_heads * _attention.QUERY_TILE
        return self.n_frames(n_samples) * (kept + passing) + 16 * n_samples

    # what comes out

    def __call__(self, waveforms: Sequence[NDArray[Any]]) -> list[States]:
        """Return ``(layer, frame, channel)``, float32, of each waveform ``(time,)``.

        Raises:
            ExtractionError: if there are not as many as the config says
        """
        lengths = [self.n_frames(len(w)) for w in waveforms]
        shape = len(self.layers), self.model.config.hidden_size
        out = [np.empty((shape[0], n, shape[1]), np.float32) for n in lengths]

        def start(chosen: Sequence[int]) -> Take:
            def take(at: int, rows: torch.Tensor, bounds: Sequence[int] | None) -> None:
                values = rows.float().cpu().numpy()
                for j, i in enumerate(chosen):
                    whole = values[j] if bounds is None else values[bounds[j] :]
                    out[i][at] = whole[: lengths[i]]

            return take

        self._run(waveforms, start)
        return out

    def blocks(
        self, waveforms: Sequence[NDArray[Any]], spec: FeatureSpec
    ) -> list[Block | ExtractionError]:
        """Return what is to be stored of each waveform ``(time,)``, pooled and cast."""
        out: dict[int, Block | ExtractionError] = {}
        lengths = [self.n_frames(len(w)) for w in waveforms]
        collectors: list[tuple[Sequence[int], Collector]] = []

        def start(chosen: Sequence[int]) -> Take:
            collector = Collector(spec, [lengths[i] for i in chosen])
            collectors.append((chosen, collector))

            def take(at: int, rows: torch.Tensor, bounds: Sequence[int] | None) -> None:
                if bounds is None:
                    collector.padded(at, rows)
                else:
                    collector.rows(at, rows, bounds)

            return take

        self._run(waveforms, start)
        for chosen, collector in collectors:
            for j, i in enumerate(chosen):
                out[i] = collector.block(j)
        if self.is_reduced:
            again = [i for i, b in out.items() if isinstance(b, ExtractionError)]
            self.n_again += len(again)
            with self._exactly():
                out |= {i: self.blocks([waveforms[i]], spec)[0] for i in again}
        return [out[i] for i in range(len(waveforms))]

    def alone(self, waveform: NDArray[Any]) -> States:
        """Return ``(layer, frame, channel)`` by transformers itself, in float32."""
        shape = self.n_frames(len(waveform)), self.model.config.hidden_size
        out = np.empty((len(self.layers), *shape), np.float32)

        def take(at: int, rows: torch.Tensor, _bounds: Sequence[int] | None) -> None:
            out[at] = rows[0].float().cpu().numpy()

        with torch.inference_mode(), self._hear(take):
            self.model(self._samples(waveform)[None])
        return out

    def measure_deviation(self, waveforms: Sequence[NDArray[Any]]) -> None:
        """Note by how much reduced precision changes some waveforms, per layer."""
        reduced = self(waveforms)
        with self._exactly():
            exact = self(waveforms)
        for a, b in zip(reduced, exact, strict=True):
            axes = (1, 2)
            difference = np.linalg.norm(a - b, axis=axes)
            self.deviations.append(difference / np.linalg.norm(b, axis=axes))

    @contextmanager
    def _exactly(self) -> Iterator[None]:
        """Compute in float32 for a while."""
        wanted, self.precision = self.precision, "float32"
        try:
            yield
        finally:
            self.precision = wanted

    # how it is computed

    def _run(
        self,
        waveforms: Sequence[NDArray[Any]],
        start: Callable[[Sequence[int]], Take],
    ) -> None:
        """Send waveforms through in batches; ``start`` is told what is in each."""
        lengths = [self.n_frames(len(w)) for w in waveforms]
        with torch.inference_mode():
            for chosen in batches(lengths, self.batch_frames):
                samples = [self._samples(waveforms[i]) for i in chosen]
                longest = max(lengths[i] for i in chosen)
                if not _packed.fits(self.model):
                    for i, one in zip(chosen, samples, strict=True):
                        with self._hear(start([i])):
                            self.model(one[None])
                elif self.is_padded and longest <= PADDED_FRAMES:
                    self._run_padded(samples, start(chosen))
                else:
                    self._run_packed(samples, start(chosen))

    def _samples(self, waveform: NDArray[Any]) -> torch.Tensor:
        from transformers import Wav2Vec2FeatureExtractor

        values = np.asarray(waveform, np.float32)
        if self.do_normalize:
            norm = Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm
            values = norm([values], None)[0]
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.model.device)

    def _run_packed(self, samples: Sequence[torch.Tensor], take: Take) -> None:
        if self._packed is None:
            self._packed = _packed.Packed(self.model, self.tile_frames)

        def keep(layer: int, rows: torch.Tensor, bounds: Sequence[int]) -> None:
            if layer in self.layers:
                take(self.layers.index(layer), rows.cpu(), bounds)

        self._packed(samples, keep)

    def _run_padded(self, samples: Sequence[torch.Tensor], take: Take) -> None:
        mixed: Any = contextlib.nullcontext()
        if self.is_reduced:
            device = torch.device(self.model.device).type
            mixed = torch.autocast(device, _PRECISIONS[self.precision])
        with mixed, self._hear(take):
            _padded.run(
                self.model, samples, [self.n_frames(len(one)) for one in samples]
            )

    @contextmanager
    def _hear(self, take: Take) -> Iterator[None]:
        """Take the states of the transformer's layers while it runs.

        The input of the first layer, then what each layer returns, before any norm
        that follows the last one.
        """
        expected = min(self.model.config.num_hidden_layers, max(1, *self.layers)) + 1
        seen = []

        def keep(layer: int, states: torch.Tensor) -> None:
            seen.append(layer)
            if layer in self.layers:
                take(self.layers.index(layer), states, None)

        def hear(layer: int, _module: Any, args: Any, given: Any) -> None:
            if layer == 1:
                keep(0, args[0])
            keep(layer, given[0] if isinstance(given, tuple) else given)

        layers = enumerate(self.model.encoder.layers, start=1)
        hooks = [m.register_forward_hook(partial(hear, i)) for i, m in layers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
        if seen != list(range(expected)):
            msg = f"bad encoder: expected hidden states 0 to {expected - 1}, got {seen}"
            raise ExtractionError(msg)


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
