"""A careful user: one file at a time at its true length, one dataset per utterance.

The Hugging Face model with sdpa in inference mode; all hidden states as float32,
``(layer, frame, channel)``, flushed after each utterance, so that a crash loses
little; eGeMAPS by openSMILE's own workers, one for each core.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

SR = 16_000  # Hz


def encode(model: Any, waves: Sequence[NDArray[np.float32]]) -> None:
    """Compute all hidden states of each ``(time,)``, and let them go."""
    with torch.inference_mode():
        for wave in waves:
            model(torch.from_numpy(wave)[None], output_hidden_states=True)


def extract(
    model: Any, preparing: Any, smile: Any, paths: Sequence[Path], out: Path
) -> None:
    """Extract files into one HDF5 file.

    Args:
        model: of the wav2vec 2.0 family
        preparing: its ``Wav2Vec2FeatureExtractor``
        smile: ``opensmile.Smile`` with as many workers as there are cores
        paths: of audio at 16 kHz
        out: file to be written
    """
    import soundfile

    with h5py.File(out, "w") as file:
        for path in paths:
            wave, _ = soundfile.read(path, dtype="float32")
            batch = preparing(wave, sampling_rate=SR, return_tensors="pt")
            with torch.inference_mode():
                told = model(batch.input_values, output_hidden_states=True)
            file[path.stem] = torch.cat(told.hidden_states).numpy()
            file.flush()
        file["egemaps"] = smile.process_files([str(p) for p in paths]).to_numpy()
