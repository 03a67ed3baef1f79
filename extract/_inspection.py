"""What a corpus holds, whether it is what was published, and what is odd about it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from contracts.errors import listing
from contracts.manifest import Manifest
from extract._inspection_text import blocks

UNKNOWN = "unknown"
N_WORST = 10
N_BINS = 24
SHARES = (0.0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)


def inspect_manifest(
    manifest: Manifest, leftovers: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Look at one corpus; nothing is read but the manifest.

    Variants (augmented copies) are counted, but describe nothing here.

    Args:
        manifest: of the corpus
        leftovers: files that became no utterance: ``path``, ``reason``, ``fault``

    Returns:
        facts as JSON values; what is not known is None
    """
    original = manifest.rows[manifest.rows["source"] == ""]
    speakers = _unique(original["speaker"])
    labels = _counts(original["label"], manifest.card.get("labels", ()))
    shares = {name: _shares(original, name) for name in ("clipping", "silence")}
    keep = ("title", "language", "licence", "url", "citation", "limited")
    return {
        "corpus": manifest.corpus,
        **{key: manifest.card.get(key) for key in keep},
        "n_utterances": len(original),
        "n_variants": len(manifest.rows) - len(original),
        "variants": _variants(manifest.rows),
        "n_speakers": len(speakers),
        "n_unknown_speaker": int((original["speaker"] == "").sum()),
        "sexes": _sexes(original),
        "hours": float(original["duration"].sum() / 3600),
        "label_counts": labels,
        "expected": _expected(manifest.card),
        "differences": _differences(
            manifest.card, len(original), len(speakers), labels
        ),
        "label_by_speaker": _label_by_speaker(original, list(labels)),
        "sampling_rates": _numbers(original["sampling_rate"]),
        "channels": _numbers(original["channels"]),
        "duration": _durations(original["duration"]),
        **shares,
        **_duplicates(original),
        "near_duplicates": None,  # looked for only where it is asked for
        "problems": [
            [str(i), str(why)]
            for i, why in zip(original["id"], original["problem"], strict=True)
            if why
        ],
        "leftovers": [
            {
                "path": str(left["path"]),
                "reason": str(left["reason"]),
                "fault": bool(left["fault"]),
            }
            for left in leftovers
        ],
    }


def _unique(values: "pd.Series[str]") -> list[str]:
    return sorted({str(v) for v in values if v})


def _variants(rows: pd.DataFrame) -> dict[str, int]:
    """Count variants by kind, ``ROLE:NAME``, whatever their copy."""
    made = rows["variant"][rows["source"] != ""].map(lambda v: v.partition("#")[0])
    found = made.replace("", UNKNOWN).value_counts().sort_index()
    return {str(kind): int(n) for kind, n in found.items()}


def _counts(values: "pd.Series[str]", order: Sequence[str]) -> dict[str, int]:
    """Count labels: published ones in their order, then others, unlabelled last."""
    found = values.value_counts()
    names = [*order, *sorted({str(v) for v in found.index} - {*order, ""})]
    counts = {name: int(found.get(name, 0)) for name in names}
    return counts | ({"": int(found[""])} if "" in found else {})


def _numbers(values: "pd.Series[float]") -> dict[str, int]:
    """Count distinct numbers; the keys are text, as JSON has it."""
    found = values.dropna().value_counts().sort_index()
    out = {f"{value:.6g}": int(n) for value, n in found.items()}
    missing = int(values.isna().sum())
    return out | ({UNKNOWN: missing} if missing else {})


def _sexes(rows: pd.DataFrame) -> dict[str, int]:
    """Count speakers by sex."""
    known = rows[rows["speaker"] != ""].drop_duplicates("speaker")
    found = known["sex"].replace("", UNKNOWN).value_counts().sort_index()
    return {str(sex): int(n) for sex, n in found.items()}


def _expected(card: Mapping[str, Any]) -> dict[str, Any]:
    """Collect what was published about the corpus."""
    return {
        "n_utterances": card.get("n_utterances"),
        "n_speakers": card.get("n_speakers"),
        "label_counts": dict(card.get("label_counts") or {}),
    }


def _differences(
    card: Mapping[str, Any],
    n_utterances: int,
    n_speakers: int,
    labels: Mapping[str, int],
) -> list[str]:
    """Say where the corpus differs from what was published."""
    pairs = [
        ("utterances", card.get("n_utterances"), n_utterances),
        ("speakers", card.get("n_speakers"), n_speakers),
    ]
    published = card.get("label_counts") or {}
    pairs += [(f"{name!r}", n, labels.get(name, 0)) for name, n in published.items()]
    out = [
        f"{what}: expected {expected}, got {got} ({got - expected:+d})"
        for what, expected, got in pairs
        if expected is not None and expected != got
    ]
    known = {*card.get("labels", ()), ""}
    if card.get("labels") and (
        strange := [name for name in labels if name not in known]
    ):
        out.append(f"labels that the corpus does not name: {listing(strange)}")
    if card.get("limited") and out:
        taken, found = card["limited"]
        out.append(f"only {taken} of {found} utterances were asked for")
    return out


def _label_by_speaker(
    rows: pd.DataFrame, labels: Sequence[str]
) -> dict[str, dict[str, int]]:
    grid = pd.crosstab(rows["speaker"], rows["label"])
    grid = grid.reindex(columns=list(labels), fill_value=0)
    return {
        str(speaker) or UNKNOWN: {
            label: int(n) for label, n in zip(labels, counts, strict=True)
        }
        for speaker, counts in zip(grid.index, grid.to_numpy(), strict=True)
    }


def _histogram(
    values: Sequence[float], edges: Sequence[float]
) -> dict[str, list[float]]:
    counts, edges_used = np.histogram(values, bins=np.asarray(edges, float))
    return {"edges": edges_used.tolist(), "counts": counts.tolist()}


def _durations(values: "pd.Series[float]") -> dict[str, Any]:
    """Describe durations in seconds."""
    known = values.dropna().to_numpy(float)
    if not known.size:
        nothing = dict.fromkeys(("min", "mean", "median", "p95", "max"))
        return {**nothing, "histogram": {"edges": [], "counts": []}}
    width = _round_up((known.max() - known.min()) / N_BINS or 0.1)
    first = math.floor(known.min() / width)
    edges = [
        round(width * i, 9) for i in range(first, math.floor(known.max() / width) + 2)
    ]
    return {
        "min": float(known.min()),
        "mean": float(known.mean()),
        "median": float(np.median(known)),
        "p95": float(np.quantile(known, 0.95)),
        "max": float(known.max()),
        "histogram": _histogram(known.tolist(), edges),
    }


def _round_up(width: float) -> float:
    """Take the next of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(s * power for s in (1, 2, 5, 10) if s * power >= width * 0.999)


def _shares(rows: pd.DataFrame, column: str) -> dict[str, Any]:
    """Describe a column of shares in [0, 1] and name the worst utterances."""
    known = rows[["id", column]].dropna()
    values = known[column].to_numpy(float)
    worst = known[values > 0].nlargest(N_WORST, column)
    return {
        "n_above_zero": int((values > 0).sum()),
        "median": float(np.median(values)) if values.size else None,
        "max": float(values.max()) if values.size else None,
        "n_none": int((values == 0).sum()),
        # the first bin is (0, 0.001): zeros are counted apart
        "histogram": _histogram(values[values > 0].tolist(), SHARES),
        "worst": [
            [str(i), float(v)] for i, v in zip(worst["id"], worst[column], strict=True)
        ],
    }


def _duplicates(rows: pd.DataFrame) -> dict[str, Any]:
    """Find utterances of one waveform, and where their labels or speakers differ."""
    heard = rows[rows["waveform"] != ""]
    groups, conflicts = [], []
    again = heard[heard["waveform"].duplicated(keep=False)]
    for _, same in again.groupby("waveform", sort=False):
        ids = [str(i) for i in same["id"]]
        groups.append(ids)
        for column in ("label", "speaker"):
            if len(set(same[column])) > 1:
                named = listing(sorted({str(v) or UNKNOWN for v in same[column]}))
                conflicts.append(f"{listing(ids)}: one waveform, {column}s {named}")
    return {"duplicates": groups, "duplicate_conflicts": conflicts}


def print_inspection(facts: Mapping[str, Any]) -> str:
    """Write an inspection for a terminal."""
    return "\n\n".join(blocks(facts))
