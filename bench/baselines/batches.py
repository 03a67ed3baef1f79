"""Padded batches of files of like lengths, as the Hugging Face model offers them.

Without attention mask: it is what transformers advises for models whose feature
encoder has a group norm, such as wav2vec2-base. The padding changes the numbers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def batches(waves: Sequence[NDArray[np.float32]], n: int) -> list[torch.Tensor]:
    """Sort ``(time,)`` by length; pad ``n`` at a time to ``(utterance, time)``."""
    tensors = [torch.from_numpy(w) for w in sorted(waves, key=len)]
    pad = torch.nn.utils.rnn.pad_sequence
    return [
        pad(tensors[i : i + n], batch_first=True) for i in range(0, len(tensors), n)
    ]


def encode(model: Any, padded: Sequence[torch.Tensor]) -> None:
    """Compute all hidden states of each batch, and let them go."""
    with torch.inference_mode():
        for batch in padded:
            model(batch, output_hidden_states=True)
