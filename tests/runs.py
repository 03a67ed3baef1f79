"""Runs made of drawn probabilities: no cache, no audio, no head."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contracts.run import Run, RunWriter, machine, versions

EIGHT = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
LAYERS = {"attention", "vgg", "fusion"}


def make_run(
    runs: Path,
    *,
    model: str = "random_forest",
    features: Sequence[str] = ("egemaps",),
    settings: Mapping[str, Any] | None = None,
    corpus: str = "ravdess",
    labels: Sequence[str] = EIGHT,
    label_map: str = "ravdess8",
    protocol: str = "speaker5",
    breaks: Sequence[str] = (),
    seed: int = 0,
    strength: float = 2.0,
    n_folds: int = 5,
    n_speakers: int = 24,
    per_label: int = 4,
    history: bool = False,
    untrained: bool = False,
    keep: Sequence[int] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Run:
    """Write a run whose predictions are drawn.

    Args:
        runs: folder of all runs
        strength: how much the right label stands out; 0: chance
        per_label: utterances of a speaker per label
        history: whether there are epochs
        untrained: whether the feature's encoder calls itself untrained
        keep: the folds to keep, which makes the run partial; None: all
        more: parts of the settings to put in place of these

    Returns:
        the finished run
    """
    asked = _settings(
        model, features, settings, corpus, labels, label_map, protocol, breaks, seed
    )
    asked["partial"] = keep is not None
    asked["features"] = [{**f, "untrained": untrained} for f in asked["features"]]
    rows = _utterances(corpus, labels, n_speakers, per_label)
    total = dict.fromkeys(labels, n_speakers * per_label)
    asked["labels"] |= {"before": total, "after": total}
    asked["manifest"] |= {"n_utterances": len(rows), "n_speakers": n_speakers}
    writer = RunWriter(runs, asked | dict(more or {}))
    with writer.begin():
        speakers = sorted(rows["speaker"].unique())
        for fold in range(n_folds):
            if keep is None or fold in keep:
                rng = np.random.default_rng([seed, fold, len(model)])
                test = speakers[fold::n_folds]
                facts = _facts(rows, speakers, fold, n_folds, model, rng)
                part = rows[rows["speaker"].isin(test)].assign(fold=fold)
                drawn = _predictions(part, labels, strength, rng)
                epochs = _history(rng) if history else []
                writer.save_fold(facts, drawn, epochs, lambda _: None)
        return writer.finish()


def _settings(
    model: str,
    features: Sequence[str],
    settings: Mapping[str, Any] | None,
    corpus: str,
    labels: Sequence[str],
    label_map: str,
    protocol: str,
    breaks: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    return {
        "model": model,
        "settings": {"features": list(features), "seed": seed, **(settings or {})},
        "corpus": corpus,
        "features": [
            {
                "name": name,
                "fingerprint": hashlib.sha256(name.encode()).hexdigest(),
                "short": hashlib.sha256(name.encode()).hexdigest()[:8],
                "encoder": "facebook/wav2vec2-base" if name == "wav2vec2" else "",
                "untrained": False,
            }
            for name in features
        ],
        "labels": {
            "name": label_map,
            "hash": hashlib.sha256(repr((label_map, labels)).encode()).hexdigest(),
            "labels": list(labels),
            "original": list(labels),
            "merge": {},
            "drop": {},
            "unlabelled": 0,
        },
        "protocol": {
            "name": protocol,
            "title": "five folds of speakers, dev speakers held out of train",
            "citation": "Luna-Jiménez et al., Sensors 21 (2021) 7665",
            "breaks": list(breaks),
            "note": "fold 0 is the easiest in the paper, too",
        },
        "seed": seed,
        "manifest": {"hash": hashlib.sha256(corpus.encode()).hexdigest()},
        "left_out": [[f"{corpus}/Actor_01/broken.wav", "cannot be decoded"]],
        "refused": [],
        "versions": versions(),
        "machine": machine(),
        "command": f"python pipeline.py fit --corpus {corpus} --model {model}",
    }


def _utterances(
    corpus: str, labels: Sequence[str], n_speakers: int, per_label: int
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": f"{corpus}/{speaker:02d}-{label}-{take}.wav",
            "label": label,
            "speaker": f"{corpus}/{speaker:02d}",
            "sex": "male" if speaker % 2 else "female",
            "session": f"{corpus}/{(speaker + 1) // 2}",
            "sentence": f"{corpus}/{take % 2}",
            "corpus": corpus,
            "variant": "",
            "trait:intensity": "strong" if take % 2 else "normal",
        }
        for speaker in range(1, n_speakers + 1)
        for label in labels
        for take in range(per_label)
    )


def _facts(
    rows: pd.DataFrame,
    speakers: list[str],
    fold: int,
    n_folds: int,
    model: str,
    rng: np.random.Generator,
) -> dict[str, Any]:
    test, dev = speakers[fold::n_folds], speakers[(fold + 1) % n_folds :: n_folds][:3]
    train = [s for s in speakers if s not in {*test, *dev}]
    n = {s: int(c) for s, c in rows["speaker"].value_counts().items()}
    learnt = {}
    if model in LAYERS:
        weights = np.exp(-((np.arange(13) - 8) ** 2) / 18 + rng.normal(0, 0.15, 13))
        learnt = {"layer_weights": (weights / weights.sum()).tolist()}
    return {
        "index": fold,
        "name": f"fold {fold}",
        "train_speakers": train,
        "dev_speakers": dev,
        "test_speakers": test,
        "n_train": sum(n[s] for s in train),
        "n_dev": sum(n[s] for s in dev),
        "n_test": sum(n[s] for s in test),
        "n_unused": 0,
        "refitted": not learnt,
        "seconds": float(rng.uniform(4, 9)),
        "learnt": learnt,
        "chosen": {"epoch": int(rng.integers(10, 20))} if learnt else {},
    }


def _predictions(
    rows: pd.DataFrame, labels: Sequence[str], strength: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw probabilities; speakers differ and neighbouring labels are confused."""
    codes = np.array([list(labels).index(label) for label in rows["label"]])
    far = np.abs(codes[:, None] - np.arange(len(labels)))
    ease = {s: rng.normal(1, 0.35) for s in sorted(rows["speaker"].unique())}
    scale = strength * rows["speaker"].map(ease).to_numpy(float)[:, None]
    logits = scale * np.exp(-far) + rng.standard_normal(far.shape)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    named = {f"p:{label}": shares[:, i] for i, label in enumerate(labels)}
    return rows.assign(**named)


def _history(rng: np.random.Generator, n_epochs: int = 25) -> list[dict[str, float]]:
    epochs = np.arange(1, n_epochs + 1)
    columns = {
        "epoch": epochs,
        "train_loss": 2.1 * np.exp(-epochs / 9) + 0.2 + rng.normal(0, 0.03, n_epochs),
        "dev_loss": 1.6 * np.exp(-epochs / 7) + 0.75 + 0.012 * epochs,
        "dev_uar": 0.66 - 0.5 * np.exp(-epochs / 6) + rng.normal(0, 0.015, n_epochs),
    }
    return [
        {name: values[i].item() for name, values in columns.items()}
        for i in range(n_epochs)
    ]
