"""Somebody else's predictions: what can be known of them, and what cannot.

From predictions and a manifest alone one sees who was tested, whether the same people
or recordings were trained on, how large the folds were, and how far the number can be
trusted. What was chosen on the test part (checkpoint, layer, scaler, fold, seed) leaves
no trace in predictions, and is said to be unknown.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contracts.errors import listing
from contracts.terminal import count
from evaluation.auditing._foreign_tables import (
    LEARNT,
    SPLITS,
    Tables,
    last_name,
    read_tables,
)
from evaluation.statistics.confusions import METRICS, score_of, speaker_confusions
from evaluation.statistics.uncertainty import MIN_SPEAKERS, intervals

UNKNOWN = (
    "whether the epoch, layer, settings, fold or seed was chosen on the test part",
    "whether a scaler, or a speaker's own normalisation, looked at the test part",
    "whether what was pretrained had heard the test part",
)


def audit_predictions(predictions: Path, manifest: Path) -> dict[str, Any]:
    """Say what can be known of predictions.

    Args:
        predictions: CSV or Parquet, a row per utterance: file, and a predicted label
            or probabilities; truth, fold and split if they are told
        manifest: CSV or Parquet: file, speaker, label, and split or fold; hashes of
            the audio if they are known

    Returns:
        ``n``, ``n_speakers``, ``labels``; ``scores``: metric -> ``value``, ``low``,
        ``high``, ``note``; ``speakers``: name -> UAR, of fewer than ``MIN_SPEAKERS``;
        ``folds``: one entry each; ``findings``: ``bad`` and ``said`` each;
        ``unknown``: what cannot be known; ``optimistic``: whether anything is bad

    Raises:
        RunError: if the files cannot be read or do not belong together
    """
    tables = read_tables(predictions, manifest)
    rows = tables.guesses
    findings = [{"bad": False, "said": said} for said in tables.said]
    findings += list(_findings(tables))
    known = rows["speaker"] != ""
    told: dict[str, Any] = {
        "predictions": str(predictions),
        "manifest": str(manifest),
        "n": len(rows),
        "n_speakers": int(rows["speaker"][known].nunique()),
        "labels": list(tables.labels),
        "scores": _scores(rows, tables.labels),
        "speakers": _speakers(rows, tables.labels),
        "folds": _folds(tables),
        "findings": findings,
        "unknown": [*_not_told(tables), *UNKNOWN],
        "optimistic": any(f["bad"] for f in findings),
    }
    if unseen := _unseen(tables):
        told["unseen"] = unseen
    return told


def _counts(
    rows: pd.DataFrame, labels: tuple[str, ...]
) -> tuple[list[str], "np.typing.NDArray[np.int64]"]:
    code = {label: i for i, label in enumerate(labels)}
    return speaker_confusions(
        rows["truth"].map(code).to_numpy(np.int64),
        rows["guess"].map(code).to_numpy(np.int64),
        rows["speaker"].to_numpy(object),
        len(labels),
    )


def _scores(rows: pd.DataFrame, labels: tuple[str, ...]) -> dict[str, Any]:
    found = intervals(_counts(rows, labels)[1])
    unknown = int((rows["speaker"] == "").sum())
    why = f"the speaker of {unknown} utterances is not known: no interval"
    out = {}
    for name in METRICS:
        one = found[name]
        out[name] = {
            "value": _number(one.value),
            "low": None if unknown else _number(one.low),
            "high": None if unknown else _number(one.high),
            "note": why if unknown else one.note,
        }
    return out


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _speakers(rows: pd.DataFrame, labels: tuple[str, ...]) -> dict[str, float | None]:
    """Return the UAR of each speaker where they are too few for an interval."""
    names, counts = _counts(rows, labels)
    if len(names) >= MIN_SPEAKERS:
        return {}
    values = score_of(counts, "uar").tolist()
    return {n or "unknown": _number(v) for n, v in zip(names, values, strict=True)}


def _folds(tables: Tables) -> list[dict[str, Any]]:
    out = []
    for fold, rows in tables.guesses.groupby("fold", sort=True):
        uar = _scores(rows, tables.labels)["uar"]["value"]
        n = rows["speaker"].nunique()
        out.append({"fold": str(fold), "n": len(rows), "n_speakers": n, "uar": uar})
    return out if [f["fold"] for f in out] != [""] else []


def trained_on(tables: Tables) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Yield the name of a test part, its predictions, and what was trained on.

    With files that are said to be train or dev: those. Else with folds: for each fold,
    all files of other folds. Where neither tells of anything that was trained on,
    nothing.
    """
    files, rows = tables.files, tables.guesses
    tested = set(rows["key"])
    learnt = files[files["split"].isin(LEARNT) & ~files["key"].isin(tested)]
    learnt = pd.concat([learnt, rows[rows["split"].isin(LEARNT)]])
    if len(learnt):
        yield "the split", rows, learnt
        return
    fold_of = dict(zip(rows["key"], rows["fold"], strict=True))
    own = files["key"].map(fold_of).fillna(files["fold"])
    for fold, part in rows[rows["fold"] != ""].groupby("fold", sort=True):
        here = files["key"].isin(part["key"])  # a file may be in several folds
        learnt = files[~here & (own != fold) & (own != "")]
        if len(learnt):
            yield f"fold {fold}", part, learnt


def _findings(tables: Tables) -> Iterator[dict[str, Any]]:
    """Yield what is right or wrong with the parts, each with what was found."""
    files, rows = tables.files, tables.guesses
    inside = rows["split"].isin(LEARNT)
    if inside.any():
        said = f"{inside.sum()} predicted files are of train or dev"
        yield _finding(True, f"{said}: {listing(rows['file'][inside])}")
    lacking = files[(files["split"] == "test") & ~files["key"].isin(rows["key"])]
    if len(lacking):
        said = f"{count(len(lacking), 'test file')} of the manifest have no prediction"
        yield _finding(True, f"{said}: {listing(lacking['file'])}")
    yield from _shared(tables)
    never = sorted(set(rows["truth"]) - set(rows["guess"]))
    if never:
        yield _finding(False, f"never predicted: {listing(never)}")
    alone = sorted(set(rows["guess"]) - set(rows["truth"]))
    if alone:
        yield _finding(False, f"predicted, but never true: {listing(alone)}")


def _shared(tables: Tables) -> Iterator[dict[str, Any]]:
    """Yield speakers and recordings that were trained on and tested."""
    parts = list(trained_on(tables))
    if not parts:
        return
    kinds = {
        "speaker": ("speaker", ""),
        "hash": ("waveform", ""),
        "name": ("file name", " (the same name in another folder: look at them)"),
    }
    for column, (what, more) in kinds.items():
        found: dict[str, list[str]] = {}
        looked = False
        for name, tested, learnt in parts:
            one, other = _values(tested, column), _values(learnt, column)
            looked |= bool(one and other)
            if both := sorted(one & other):
                found[name] = both
        if found:
            everyone = sorted({value for both in found.values() for value in both})
            where = f" in {count(len(found), 'fold')}" if len(parts) > 1 else ""
            said = f"trained on and tested{where}: {count(len(everyone), what)}"
            yield _finding(True, f"{said}{more}: {listing(everyone)}")
        elif looked:
            yield _finding(False, f"no {what} is trained on and tested")


def _values(rows: pd.DataFrame, column: str) -> set[str]:
    if column == "name":
        return set(rows["file"][rows["hash"] == ""].map(last_name)) - {""}
    return set(rows[column]) - {""}


def _finding(bad: bool, said: str) -> dict[str, Any]:
    return {"bad": bad, "said": said}


def _not_told(tables: Tables) -> Iterator[str]:
    """Yield what these two files leave open and others would tell."""
    if not list(trained_on(tables)):
        yield (
            "who was trained on: neither split nor fold says so, so shared speakers "
            f"cannot be seen (a column split with {listing(SPLITS)}, or fold)"
        )
    elif unplaced := _unplaced(tables):
        yield f"who was trained on for {count(unplaced, 'prediction')} without a fold"
    if (tables.files["hash"] == "").any():
        yield "whether a recording is there twice under other names: no hashes are told"
    if unknown := int((tables.guesses["speaker"] == "").sum()):
        yield f"who speaks {count(unknown, 'predicted file')}"


def _unplaced(tables: Tables) -> int:
    """Count predictions of which it is not known who was trained on."""
    parts = trained_on(tables)
    return len(tables.guesses) - sum(len(tested) for _, tested, _ in parts)


def _unseen(tables: Tables) -> dict[str, Any]:
    """Score the speakers who were not trained on, where some were."""
    kept = []
    for _, tested, learnt in trained_on(tables):
        heard = _values(learnt, "speaker")
        kept.append(tested[~tested["speaker"].isin([*heard, ""])])
    rows = pd.concat(kept) if kept else tables.guesses
    if len(rows) in (0, len(tables.guesses)):
        return {}
    n = int(rows["speaker"].nunique())
    uar = _scores(rows, tables.labels)["uar"]
    return {"n": len(rows), "n_speakers": n, "uar": uar}
