"""Hidden states of base geometry on this CPU: usual practice, HF alone, the extractor.

Usual practice is one file at a time, padded with zeros to 5 s, which changes the
numbers; "HF one by one" is the Hugging Face model at true length. All with sdpa, in
inference mode, random weights, six noises as long as RAVDESS recordings.
"""

from collections.abc import Callable

import numpy as np

SECONDS = (3.1, 3.4, 3.6, 3.7, 3.9, 4.3)


def contenders() -> dict[str, Callable[[], object]]:
    """Return the three ways to the same hidden states (the first one's differ)."""
    import torch

    from extract._encoder import Encoder
    from extract._untrained import make_untrained

    model = make_untrained("base", 0).eval()
    encoder = Encoder(model, do_normalize=False, layers=range(13))
    rng = np.random.default_rng(0)
    waves = [rng.standard_normal(int(s * 16_000), np.float32) for s in SECONDS]
    padded = [np.pad(w, (0, 80_000 - len(w))) for w in waves]

    def hugging_face(inputs: list[np.ndarray]) -> Callable[[], object]:
        def run() -> None:
            with torch.inference_mode():
                for wave in inputs:
                    model(torch.from_numpy(wave)[None], output_hidden_states=True)

        return run

    return {
        "usual practice (padded to 5 s)": hugging_face(padded),
        "HF one by one": hugging_face(waves),
        "the extractor": lambda: encoder(waves),
    }


def run(measure: Callable[[dict[str, Callable[[], object]]], object]) -> object:
    """Measure the contenders."""
    return measure(contenders())
