"""Write a feature as an audformat database, audEERING's format for annotations."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from contracts.errors import CacheError
from contracts.manifest import TRAIT, VOTE
from contracts.terminal import progress
from extract._export import Part

if TYPE_CHECKING:
    import audformat

_TEXT = ("speaker", "sex", "session", "sentence", "split", "text", "source", "variant")
_UNKNOWN = ("", "und")  # languages


def write_audformat(part: Part, folder: Path) -> None:
    """Write ``db.yaml`` with the tables ``utterances`` and ``features``.

    Files are named as in the ids, ``corpus/relative path``: with each corpus' folder
    linked into the database's, the audio is found. What is pooled has a column
    ``layer L mean I`` or ``layer L deviation I`` per number. The whole table is in
    memory, unlike with the other formats.

    Raises:
        CacheError: if the feature has frames
    """
    if part.kind == "frames":
        msg = (
            f"{part.spec.short} has frames, and audformat has none: add --pooled for "
            "their mean and deviation, or take --format parquet or --format npy"
        )
        raise CacheError(msg)
    import audformat

    database = audformat.Database(
        name="+".join(sorted(part.view.cards)),
        source="; ".join(str(c["url"]) for c in part.view.cards.values()),
        usage=audformat.define.Usage.OTHER,
        languages=_languages(part),
        description="; ".join(str(c["title"]) for c in part.view.cards.values()),
        license="; ".join(str(c["licence"]) for c in part.view.cards.values()),
        # through JSON: YAML would write tuples in a way that safe readers refuse
        meta={"emocache": json.loads(json.dumps(part.about("audformat")))},
    )
    index = _index(part)
    _add_utterances(database, index, part)
    _add_features(database, index, part)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
        database.save(str(folder), storage_format="parquet")


def _languages(part: Part) -> list[str]:
    told = [str(card["language"]).split("+") for card in part.view.cards.values()]
    return sorted({one for each in told for one in each} - set(_UNKNOWN))


def _index(part: Part) -> pd.Index:
    """Return files, or segments of files where an utterance is cut from one."""
    import audformat

    rows = part.view.manifest
    files = [name.partition("#")[0] for name in rows["id"]]
    if rows[["start", "end"]].isna().all(axis=None) and len(set(files)) == len(files):
        return audformat.filewise_index(files)
    starts = pd.to_timedelta(rows["start"].fillna(0.0), "s")
    return audformat.segmented_index(files, starts, pd.to_timedelta(rows["end"], "s"))


def _add_utterances(database: audformat.Database, index: pd.Index, part: Part) -> None:
    """Add what the manifest says of each utterance."""
    import audformat

    rows = part.facts()
    extra = [c for c in rows if c.startswith((VOTE, TRAIT))]
    named = {"label": "emotion"} | {c: c for c in (*_TEXT, "id", "waveform", *extra)}
    table = database["utterances"] = audformat.Table(index)
    for column, name in named.items():
        values = rows[column]
        is_number = pd.api.types.is_numeric_dtype(values)
        labels = sorted(set(values) - {""}) if column == "label" else None
        database.schemes[name] = audformat.Scheme(
            "float" if is_number else "str", labels=labels or None
        )
        table[name] = audformat.Column(scheme_id=name)
        known = values if is_number else values.where(values != "", None)
        table[name].set(known.to_numpy())


def _add_features(database: audformat.Database, index: pd.Index, part: Part) -> None:
    """Add a column per number, all of one scheme."""
    import audformat

    names = part.names
    if part.kind == "pooled":
        names = [
            f"layer {layer} {statistic} {i}"
            for layer in part.spec.layers
            for statistic in ("mean", "deviation")
            for i in range(part.spec.n_channels)
        ]
    matrix = np.stack([part.array(row).ravel() for row in range(len(part.keys))])
    words = f"{part.spec.describe()}, float32"
    database.schemes["feature"] = audformat.Scheme("float", description=words)
    database.schemes["valid"] = audformat.Scheme("bool")
    table = database["features"] = audformat.Table(index)
    frame = pd.DataFrame(matrix.astype(np.float64), index, names)
    with (
        warnings.catch_warnings(),
        progress(part.spec.name, len(names), "columns") as advance,
    ):
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
        for name in names:  # audformat takes a minute over some thousands
            table[name] = audformat.Column(scheme_id="feature")
            advance(1)
        table["valid"] = audformat.Column(scheme_id="valid")
        valid = pd.DataFrame({"valid": part.store.valid(part.keys)}, index)
        table.set(pd.concat([frame, valid], axis=1))
