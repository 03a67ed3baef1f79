"""Predictions and manifests of others: two tables, joined row by row.

Columns are known by the names that people give them (nkululeko's ``file``, ``start``,
``end``, ``predicted``, ``truth``, ``speaker`` among them), whatever their case.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import RunError, listing

NAMES: Mapping[str, tuple[str, ...]] = {
    "file": (
        *("file", "id", "path", "filename", "file_name", "filepath", "file_path"),
        *("utterance", "wav", "audio", "name"),
    ),
    "start": ("start",),
    "end": ("end",),
    "speaker": ("speaker", "speaker_id", "spk", "actor", "subject"),
    "truth": (
        *("truth", "label", "emotion", "true", "true_label", "y_true", "target"),
        *("reference", "class_label", "class"),
    ),
    "guess": (
        *("predicted", "prediction", "pred", "preds", "predicted_label", "y_pred"),
        *("guess", "hypothesis", "hyp", "output"),
    ),
    "split": ("split", "part", "partition", "set", "subset"),
    "fold": ("fold",),
    "hash": ("hash", "waveform", "audio_hash", "sha256", "md5", "checksum"),
}
SPLITS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "dev": ("dev", "devel", "development", "val", "valid", "validation"),
    "test": ("test", "testing", "eval", "evaluation"),
}
LEARNT = "train", "dev"  # splits that a model has seen
_PROBABILITY = re.compile(r"(?:p|prob|proba|probability)[:_ ](.+)", re.IGNORECASE)
_KEY = ["file", "start", "end"]


@dataclass(frozen=True)
class Tables:
    """Two tables as they belong together.

    Attributes:
        files: a row per file of the manifest: ``file``, ``speaker``, ``truth``,
            ``split``, ``fold``, ``hash``; ``""`` for what is not told
        guesses: a row per prediction: the same of its file, and ``guess``
        labels: the label list, in order
        said: what was odd about joining them
    """

    files: pd.DataFrame
    guesses: pd.DataFrame
    labels: tuple[str, ...]
    said: tuple[str, ...]


def read_tables(predictions: Path, manifest: Path) -> Tables:
    """Read predictions and the manifest they are of.

    Raises:
        RunError: if a file cannot be read, lacks a column, or they do not belong
            together; the message names every offender
    """
    files = _columns(_read(manifest), manifest, ("file", "speaker"))
    raw = _read(predictions)
    told = _columns(raw, predictions, ("file",))
    known = sorted({*files["truth"], *told["truth"]} - {""})
    told["guess"] = _guesses(raw, told, known, predictions)
    said: list[str] = []
    files, told = _keyed(files, told, manifest, predictions, said)
    _refuse_doubled(files, ["key"], manifest, "file")
    _refuse_doubled(told, ["key", "fold"], predictions, "prediction")
    joined = _joined(files, told, manifest, predictions, said)
    labels = tuple(sorted({*files["truth"], *joined["truth"], *joined["guess"]} - {""}))
    _refuse_labels(joined, manifest, predictions)
    return Tables(files, joined, labels, tuple(said))


def _read(path: Path) -> pd.DataFrame:
    """Read a table, every value as text."""
    try:
        if path.suffix == ".parquet":
            rows = pd.read_parquet(path).reset_index()
        else:
            separator = "\t" if path.suffix == ".tsv" else ","
            rows = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:  # pandas' and Arrow's own are ValueErrors
        msg = f"cannot read {path}: expected a table, CSV or Parquet, got: {error}"
        raise RunError(msg) from error
    if rows.empty:
        msg = f"{path} has no rows: expected one per utterance, got none"
        raise RunError(msg)
    return rows.rename(columns=str).map(lambda v: "" if pd.isna(v) else str(v).strip())


def _columns(rows: pd.DataFrame, path: Path, needed: Sequence[str]) -> pd.DataFrame:
    """Return what is known of each row under our own names, ``""`` where nothing."""
    has = {column.lower().strip(): column for column in reversed(rows.columns)}
    found = {
        name: next((has[other] for other in others if other in has), None)
        for name, others in NAMES.items()
    }
    if lacking := [name for name in needed if found[name] is None]:
        expected = "; ".join(
            f"{name} (one of {listing(NAMES[name], 20)})" for name in lacking
        )
        msg = f"{path} lacks columns: expected {expected}, got {listing(rows.columns)}"
        raise RunError(msg)
    out = pd.DataFrame(
        {name: rows[c] if c is not None else "" for name, c in found.items()},
        index=rows.index,
    )
    out["split"] = _splits(out["split"], path)
    for name in ("start", "end"):  # 1.0 and 1 are one time
        number = pd.to_numeric(out[name], errors="coerce")
        out[name] = number.map(lambda v: "" if pd.isna(v) else f"{v:g}")
    return out


def _splits(values: "pd.Series[str]", path: Path) -> "pd.Series[str]":
    known = {word: name for name, words in SPLITS.items() for word in words} | {"": ""}
    strange = sorted(set(values.str.lower()) - known.keys())
    if strange:
        msg = f"{path} has splits {listing(strange)}: expected some of {list(SPLITS)}"
        raise RunError(msg)
    return values.str.lower().map(known)


def _guesses(
    raw: pd.DataFrame, told: pd.DataFrame, labels: Sequence[str], path: Path
) -> "pd.Series[str]":
    """Return predicted labels, or those of the highest probability."""
    if (told["guess"] != "").all():
        return told["guess"]
    if (told["guess"] != "").any():
        empty = told["file"][told["guess"] == ""]
        msg = f"{path} has no prediction for {listing(empty)}: expected a label each"
        raise RunError(msg)
    columns = {}
    for column in raw.columns:
        found = _PROBABILITY.fullmatch(column)
        if found or column in labels:
            columns[column] = found[1] if found else column
    if len(columns) < 2:
        msg = (
            f"{path} has no predictions: expected a column {listing(NAMES['guess'])}, "
            "or probabilities p:LABEL of two labels or more, got "
            f"{listing(raw.columns)}"
        )
        raise RunError(msg)
    numbers = raw[list(columns)].apply(pd.to_numeric, errors="coerce")
    bad = numbers.isna().any(axis=1)
    if bad.any():
        where = listing(told["file"][bad])
        msg = f"{path} has probabilities that are no numbers: of {where}"
        raise RunError(msg)
    names = np.array(list(columns.values()), object)
    return pd.Series(names[numbers.to_numpy().argmax(axis=1)], index=told.index)


def _keyed(
    files: pd.DataFrame,
    told: pd.DataFrame,
    manifest: Path,
    predictions: Path,
    said: list[str],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give both tables a column ``key`` that they share."""
    times = all(
        (rows[n] != "").all() for rows in (files, told) for n in ("start", "end")
    )
    columns = _KEY if times else _KEY[:1]
    both = [rows[columns].agg("|".join, axis=1) for rows in (files, told)]
    if not set(both[0]) & set(both[1]):
        both = [key.map(last_name) for key in both]
        if set(both[0]) & set(both[1]):
            said.append("files are matched by their names alone, folders differ")
    return files.assign(key=both[0]), told.assign(key=both[1])


def last_name(path: str) -> str:
    """Return the name of a file without its folders, of Windows' too."""
    return re.split(r"[\\/]", path)[-1]


def _refuse_doubled(
    rows: pd.DataFrame, columns: Sequence[str], path: Path, what: str
) -> None:
    again = rows.duplicated(list(columns), keep=False)
    if again.any():
        named = listing(dict.fromkeys(rows["key"][again]))
        each = "for each file and fold" if "fold" in columns else "for each"
        msg = f"{path} has more than one {what} {each}, expected one: {named}"
        raise RunError(msg)


def _joined(
    files: pd.DataFrame,
    told: pd.DataFrame,
    manifest: Path,
    predictions: Path,
    said: list[str],
) -> pd.DataFrame:
    strange = ~told["key"].isin(files["key"])
    if strange.any():
        msg = (
            f"{strange.sum()} of {len(told)} files of {predictions} are not in "
            f"{manifest}: {listing(told['file'][strange])}. Give the manifest that "
            "they are from"
        )
        raise RunError(msg)
    own = files.set_index("key").loc[told["key"]].reset_index(drop=True)
    told = told.reset_index(drop=True)
    out = own.assign(guess=told["guess"], key=told["key"])
    for name in ("truth", "split", "fold", "speaker"):
        here, there = told[name], own[name]
        if (differ := (here != "") & (there != "") & (here != there)).any():
            named = listing(told["file"][differ])
            said.append(
                f"{name} differs between the two files for {differ.sum()} of "
                f"{len(told)} (the predictions' is taken): {named}"
            )
        out[name] = here.where(here != "", there)
    return out


def _refuse_labels(rows: pd.DataFrame, manifest: Path, predictions: Path) -> None:
    without: NDArray[np.bool_] = (rows["truth"] == "").to_numpy()
    if without.any():
        msg = (
            f"{without.sum()} predicted files have no true label in {manifest} or "
            f"{predictions}: {listing(rows['file'][without])}. Expected one each"
        )
        raise RunError(msg)
    if not set(rows["truth"]) & set(rows["guess"]):
        msg = (
            f"{predictions} predicts {listing(sorted(set(rows['guess'])))}, but the "
            f"truth is {listing(sorted(set(rows['truth'])))}: expected the same names"
        )
        raise RunError(msg)
