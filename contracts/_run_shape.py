"""What a finished run must hold on the disk, for reading it without surprises."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts.errors import listing

HISTORY = "history.json"  # of a fold: one entry per epoch
PREDICTIONS = "predictions.parquet"
PROBABILITY = "p:"

NUMBER = (int, float)
# a mapping lists keys that must be there; a list holds the shape of each entry
RECORD: Mapping[str, Any] = {
    **dict.fromkeys(("run_id", "model", "corpus", "command"), str),
    **dict.fromkeys(("settings", "versions", "machine"), dict),
    "features": [{"name": str, "fingerprint": str}],
    "labels": {
        **dict.fromkeys(("name", "hash"), str),
        "labels": [str],
        **dict.fromkeys(("merge", "drop", "before", "after"), dict),
    },
    "protocol": {"name": str, "breaks": [str]},
    "seed": int,
    "partial": bool,
    "manifest": {"hash": str},
    "left_out": list,
    "refused": list,
    "folds": [
        {
            **dict.fromkeys(("index", "n_train", "n_dev", "n_test"), int),
            "name": str,
            **{f"{part}_speakers": [str] for part in ("train", "dev", "test")},
            "seconds": NUMBER,
            **dict.fromkeys(("learnt", "chosen"), dict),
        }
    ],
}


def record_misfits(record: object) -> list[str]:
    """Say what of a record is not as it must be."""
    bad = list(_misfits(record, RECORD, "it"))
    if not bad and not record["folds"]:  # type: ignore[index]
        bad = ["folds has none"]
    return bad


def _misfits(value: Any, shape: Any, at: str) -> Iterator[str]:
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            yield f"{at} is no object"
            return
        for key, inner in shape.items():
            where = key if at == "it" else f"{at}.{key}"
            if key not in value:
                yield f"it lacks {where}"
            else:
                yield from _misfits(value[key], inner, where)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{at} is no list"
            return
        for i, one in enumerate(value):
            yield from _misfits(one, shape[0], f"{at}[{i}]")
    elif not isinstance(value, shape):
        yield f"{at} is of type {type(value).__name__}"


def fold_misfits(folder: Path, classes: Sequence[str]) -> list[str]:
    """Say what of a fold's files is not as it must be.

    Args:
        folder: of the fold
        classes: whose probabilities its predictions must have
    """
    from pyarrow import ArrowInvalid, parquet

    try:
        told = parquet.read_metadata(folder / PREDICTIONS)
        history = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
    except (OSError, ValueError, ArrowInvalid) as error:
        return [str(error).partition("\n")[0]]
    schema = told.schema.to_arrow_schema()
    shares = [f"{PROBABILITY}{label}" for label in classes]
    needed = ["id", "fold", "label", "speaker", "variant", *shares]
    bad = []
    if lacking := sorted(set(needed) - set(schema.names)):
        bad.append(f"its predictions lack {listing(lacking)}")
    kinds = {name: str(schema.field(name).type) for name in set(shares) - set(lacking)}
    if others := sorted(n for n, k in kinds.items() if k not in ("float", "double")):
        bad.append(f"its predictions have no numbers in {listing(others)}")
    if not (isinstance(history, list) and all(isinstance(e, dict) for e in history)):
        bad.append("its history is no list of epochs")
    return bad
