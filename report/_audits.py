"""Audits as the page shows them: a row per practice, and the picture."""

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.errors import listing
from contracts.terminal import count
from report._audit_plot import audit_plot, audit_title
from report._words import NOTHING, percent


def audit_views(audits: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Collect what the page shows of audits.

    Args:
        audits: as ``evaluation.auditing.record.read_audits`` returns them
    """
    return [_view(told) for told in audits]


def _view(told: Mapping[str, Any]) -> dict[str, Any]:
    size = f"{count(told['n_utterances'], 'utterance')}, "
    size += count(told["n_speakers"], "speaker")
    about = [told["corpus"], told["labels"]["name"], told["protocol"]["name"], size]
    warnings = ["untrained encoder"] if told["untrained"] else []
    folds = listing(told.get("folds", ()))
    warnings += [f"partial: folds {folds} only"] if told["partial"] else []
    return {
        "title": audit_title(told),
        "about": " · ".join([*about, count(len(told["seeds"]), "seed")]),
        "warnings": warnings,
        "picture": audit_plot(told),
        "rows": [_row(row) for row in told["rows"]],
        "command": told["command"],
    }


def _row(row: Mapping[str, Any]) -> dict[str, str]:
    remark = f"not done: {row['skipped']}" if row["skipped"] else row["note"]
    inflation = row["inflation"]
    return {
        "practice": row["practice"],
        "title": row["title"],
        "kind": row["kind"],
        "uar": percent(row["uar"]),
        "range": _range(row["low"], row["high"]),
        "inflation": NOTHING if inflation is None else f"{100 * inflation:+.1f}",
        "inflation_range": _range(row["inflation_low"], row["inflation_high"]),
        "remark": remark,
    }


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    return f"{percent(low)} to {percent(high)}"
