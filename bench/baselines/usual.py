"""Usual practice: one file at a time, padded with zeros to 5 s, into one HDF5 array.

The Hugging Face model with sdpa in inference mode; hidden states 1 to L as float32 in
``(utterance, layer, channel, frame)``, contiguous or in h5py's own chunks with gzip;
eGeMAPS by openSMILE file after file. The padding changes the numbers, and what is
longer than 5 s is cut.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

SR = 16_000  # Hz
SAMPLES = 5 * SR
_PADDED = {"padding": "max_length", "max_length": SAMPLES, "truncation": True}


def padded(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring ``(time,)`` to 5 s."""
    return np.pad(wave[:SAMPLES], (0, max(0, SAMPLES - len(wave))))


def encode(model: Any, waves: Sequence[NDArray[np.float32]]) -> None:
    """Compute all hidden states of each ``(time,)``, and let them go."""
    with torch.inference_mode():
        for wave in waves:
            model(torch.from_numpy(wave)[None], output_hidden_states=True)


def extract(
    model: Any,
    preparing: Any,
    smile: Any,
    paths: Sequence[Path],
    out: Path,
    compression: str | None = None,
    n_rows: int | None = None,
) -> None:
    """Extract files into one HDF5 file.

    Args:
        model: of the wav2vec 2.0 family
        preparing: its ``Wav2Vec2FeatureExtractor``
        smile: ``opensmile.Smile``
        paths: of audio at 16 kHz
        out: file to be written
        compression: of the array, which then has h5py's own chunks
        n_rows: utterances that the array is made for; None: as many as there are files
    """
    import soundfile

    config = model.config
    n_frames = int(model._get_feat_extract_output_lengths(torch.tensor(SAMPLES)))
    shape = n_rows or len(paths), config.num_hidden_layers, config.hidden_size, n_frames
    with h5py.File(out, "w") as file:
        whole = file.create_dataset("frames", shape, "f4", compression=compression)
        for i, path in enumerate(paths):
            wave, _ = soundfile.read(path, dtype="float32")
            batch = preparing(wave, sampling_rate=SR, return_tensors="pt", **_PADDED)
            with torch.inference_mode():
                told = model(batch.input_values, output_hidden_states=True)
            layers = torch.cat(told.hidden_states[1:])  # (layer, frame, channel)
            whole[i] = layers.transpose(1, 2).numpy()
        file["egemaps"] = np.concatenate([smile.process_file(str(p)) for p in paths])
