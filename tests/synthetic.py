"""A small cache made of drawn numbers: no audio, no encoder, the street behind it.

Labels are separable by construction (each shifts its own direction), speakers add an
offset, utterances have unequal lengths.
"""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from contracts.cache import Cache
from contracts.feature import Block, FeatureSpec
from contracts.manifest import Corpus, Manifest, card, complete

LABELS = ("neutral", "happy", "sad", "angry")
CORPUS = Corpus(
    title="Toy corpus",
    language="en",
    labels=LABELS,
    licence="none",
    url="none",
    citation="none",
)


def rows(
    n_speakers: int = 8, per_label: int = 2, corpus: str = "toy", votes: bool = False
) -> pd.DataFrame:
    """Return manifest rows: every speaker says every label ``per_label`` times."""
    out = []
    for speaker in range(1, n_speakers + 1):
        for label in LABELS:
            for take in range(per_label):
                name = f"{speaker:02d}-{label}-{take}.wav"
                row = {
                    "id": f"{corpus}/{name}",
                    "corpus": corpus,
                    "path": f"/nowhere/{name}",
                    "waveform": hashlib.sha256(f"{corpus}{name}".encode()).hexdigest(),
                    "speaker": f"{corpus}/{speaker:02d}",
                    "sex": "male" if speaker % 2 else "female",
                    "session": f"{corpus}/{(speaker + 1) // 2}",
                    "sentence": f"{corpus}/{take}",
                    "label": label,
                    "duration": 1.0,
                    "sampling_rate": 16_000,
                    "channels": 1,
                    "clipping": 0.0,
                    "silence": 0.1,
                    "trait:intensity": "strong" if take else "normal",
                }
                if votes:
                    row |= {f"vote:{c}": 0.7 if c == label else 0.1 for c in LABELS}
                out.append(row)
    return complete(pd.DataFrame(out))


def make_cache(
    folder: Path,
    manifest_rows: pd.DataFrame | None = None,
    *,
    strength: float = 2.0,
    n_layers: int = 12,
    width: int = 96,
    corpus: str = "toy",
    untrained: bool = False,
) -> Cache:
    """Write a cache with ``egemaps``, ``mfcc`` and ``wav2vec2`` for some rows.

    Args:
        folder: of the cache
        manifest_rows: the utterances; None: those of ``rows()``
        strength: how far labels lie apart, in standard deviations; 0: not at all
        n_layers: transformer layers; hidden state 0 is stored too
        width: channels of ``wav2vec2``
        corpus: name of the corpus
        untrained: whether ``wav2vec2`` calls itself untrained
    """
    frame = rows(corpus=corpus) if manifest_rows is None else manifest_rows
    cache = Cache(folder)
    with cache.lock():
        cache.put_manifest(
            Manifest(corpus, frame, card(CORPUS, plugin="toy", root="/nowhere"))
        )
        for spec in specs(n_layers, width, untrained):
            keys = dict(zip(frame["waveform"], frame.index, strict=True))
            blocks = {k: _block(spec, frame.loc[i], strength) for k, i in keys.items()}
            store = cache.store(spec)
            half = len(blocks) // 2  # two shards
            items = list(blocks.items())
            for part in (items[:half], items[half:]):
                store.commit(dict(part), {}, "cpu")
    return Cache(folder)


def specs(
    n_layers: int = 12, width: int = 96, untrained: bool = False
) -> list[FeatureSpec]:
    """Return the features of the synthetic cache."""
    mean, deviation = tuple(range(40)), tuple(range(40, 80))
    return [
        FeatureSpec("egemaps", {"toy": 1}, tuple(f"functional_{i}" for i in range(88))),
        FeatureSpec(
            "mfcc",
            {"toy": 1},
            tuple(f"mfcc_{i}" for i in range(80)),
            groups={"mean": mean, "deviation": deviation},
        ),
        FeatureSpec(
            "wav2vec2",
            {"toy": 1},
            width,
            layers=tuple(range(n_layers + 1)),
            dtype="float16",
            frame_shift=0.02,
            provenance={"encoder": "toy-encoder", "untrained": untrained},
        ),
    ]


def _block(spec: FeatureSpec, row: "pd.Series[str]", strength: float) -> Block:
    rng = np.random.default_rng(int(row["waveform"][:8], 16))
    speaker = np.random.default_rng(int(row["speaker"].rpartition("/")[2]))
    label = LABELS.index(row["label"])
    shift = np.zeros(spec.n_channels, np.float32)
    shift[label :: len(LABELS)] = strength
    shift += 0.3 * speaker.standard_normal(spec.n_channels).astype(np.float32)
    if spec.is_table:
        noise = rng.standard_normal(spec.n_channels).astype(np.float32)
        return Block((shift + noise).astype(np.float32))
    n_frames = int(rng.integers(20, 60))
    shape = (len(spec.layers), n_frames, spec.n_channels)
    values = shift + rng.standard_normal(shape).astype(np.float32)
    pooled = np.stack([values.mean(1), values.std(1)], axis=1).astype(np.float32)
    return Block(values.astype(spec.dtype), pooled)
