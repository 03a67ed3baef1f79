"""What an audit leaves behind: one JSON file, which has no rank among runs."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts.errors import listing
from contracts.manifest import manifest_hash
from contracts.run import command, machine, versions, write_json
from evaluation.auditing._work import Case
from evaluation.auditing.audit import PRACTICES, Row
from evaluation.splits.folds import folds_hash

FORMAT = 2  # 1 lacked folds, manifest and augment
FOLDER = "audit"  # in the folder of runs
_KINDS = {practice.kind for practice in PRACTICES.values()}
_NUMBER = (int, float, type(None))
_KEYS: dict[str, tuple[type, ...]] = {  # that the page and the plot read
    **dict.fromkeys(("id", "model", "corpus", "command"), (str,)),
    **dict.fromkeys(("features", "seeds", "rows"), (list,)),
    **dict.fromkeys(("labels", "protocol"), (dict,)),
    **dict.fromkeys(("untrained", "partial"), (bool,)),
    **dict.fromkeys(("n_utterances", "n_speakers"), (int,)),
    "chance": (int, float),
}
_ROW_KEYS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("practice", "title", "skipped", "note"), (str,)),
    **dict.fromkeys(("uar", "low", "high"), _NUMBER),
    **dict.fromkeys(("inflation", "inflation_low", "inflation_high"), _NUMBER),
}


def facts(case: Case) -> dict[str, Any]:
    """Return what an audit is of, as JSON; ``id`` names it."""
    question, view = case.question, case.question.view
    parameters = case.head.get_params(deep=False)
    told: dict[str, Any] = {
        "format": FORMAT,
        "model": case.model,
        "settings": {k: v for k, v in parameters.items() if k != "seed"},
        "corpus": "+".join(view.cards),
        "features": [view.spec(f).describe() for f in case.features],
        "untrained": any(view.spec(f).untrained for f in case.features),
        "labels": {"name": question.label_map.name, "labels": list(view.classes)},
        "protocol": {
            "name": question.protocol.name,
            "title": question.protocol.title,
            "breaks": list(question.protocol.breaks),
            "n_folds": len(question.folds),
        },
        "partial": question.partial,
        "folds": [f.index for f in question.folds],
        "folds_hash": folds_hash(question.folds),
        "manifest": manifest_hash(view.manifest),
        "augment": _copies(case),
        "seeds": list(case.seeds),
        "n_utterances": len(view),
        "n_speakers": len(set(view.speakers)),
        "chance": 1 / case.n_labels,
    }
    told = json.loads(json.dumps(told))  # as it is read back
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    words = [
        case.model,
        told["corpus"],
        question.protocol.name,
        question.label_map.name,
    ]
    told["id"] = "-".join([*words, digest[:8]])
    return told


def _copies(case: Case) -> list[str]:
    """Name the augmented copies that are audited, as the manifest does."""
    if case.copies is None:
        return []
    return sorted({*case.copies.view.manifest["variant"]} - {""})


def path_of(told: dict[str, Any], runs: Path) -> Path:
    """Return where an audit is kept, see ``save``."""
    return runs / FOLDER / f"{told['id']}.json"


def save(told: dict[str, Any], rows: Iterable[Row], runs: Path) -> Path:
    """Keep an audit as ``<runs>/audit/<id>.json``.

    Rows that were audited before, of the same case, stay where they are not anew.

    Args:
        told: as ``facts`` returned it
        rows: as ``audit`` returned them, each with its ``command``
        runs: folder of all runs

    Returns:
        the file
    """
    path = path_of(told, runs)
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {}
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        kept = {row["practice"]: row for row in before["rows"]}
    kept |= {row["practice"]: row for row in rows}
    ordered = [kept[name] for name in PRACTICES if name in kept]
    made = {"versions": versions(), "machine": machine(), "command": command()}
    write_json(path, told | {"rows": ordered} | made)
    return path


def read_audits(runs: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Read the audits of a folder of runs, in the order of their names.

    Returns:
        the audits, and every file that holds none, with the reason in brackets
    """
    found, broken = [], []
    for path in sorted((runs / FOLDER).glob("*.json")):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            broken.append(f"{path} ({error})")
            continue
        if bad := _misfits(told):
            broken.append(f"{path} ({bad})")
        else:
            found.append(told)
    return found, broken


def broken_audits(broken: Sequence[str]) -> str:
    """Say which audits cannot be read, and what to do."""
    return (
        f"these audits are broken: {listing(broken)}. Delete them, and audit "
        "again: python pipeline.py audit --model NAME"
    )


def _misfits(told: Any) -> str:
    """Say what an audit lacks of all that is read of it; empty: nothing."""
    if not isinstance(told, dict):
        return f"expected an audit, got {type(told).__name__}"
    bad = _misfits_in(told, _KEYS)
    for name in ("labels", "protocol"):
        if isinstance(told.get(name), dict):
            bad += _misfits_in(told[name], {"name": (str,)}, f"of its {name} ")
    rows = told["rows"] if isinstance(told.get("rows"), list) else []
    for i, row in enumerate(rows):
        where = f"of row {i} "
        if isinstance(row, dict):
            bad += _misfits_in(row, _ROW_KEYS, where)
            bad += [f"{where}uar"] if _without_number(row) else []
            bad += [f"{where}kind"] if row.get("kind") not in _KINDS else []
        else:
            bad.append(f"{where}everything")
    if not bad and all(row["skipped"] for row in rows):
        bad = ["a row that came to a number"]
    return f"missing or of another type: {listing(bad)}" if bad else ""


def _without_number(row: Mapping[str, Any]) -> bool:
    """Whether a practice that was done came to nothing."""
    return row.get("skipped") == "" and row.get("uar", 0) is None


def _misfits_in(
    told: dict[str, Any], keys: Mapping[str, tuple[type, ...]], where: str = ""
) -> list[str]:
    return [
        f"{where}{key}"
        for key, kinds in keys.items()
        if key not in told or not isinstance(told[key], kinds)
    ]
