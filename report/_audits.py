"""Audits as the page shows them: a row per practice, and the picture."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from contracts.errors import listing
from contracts.terminal import count
from report._audit_plot import audit_plot, audit_title, signed
from report._words import NOTHING, percent, points

# a remark is kept as the terminal has it, where every share has three decimals
_SHARE = re.compile(r"(?<![\w.])([+-]?)([01]\.\d{3})(?!\.?\d)")


def audit_views(audits: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Collect what the page shows of audits.

    Args:
        audits: as ``evaluation.auditing.record.read_audits`` returns first
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
    noted = _SHARE.sub(_in_percent, row["note"])
    remark = f"not done: {row['skipped']}" if row["skipped"] else noted
    return {
        "practice": row["practice"],
        "title": row["title"],
        "kind": row["kind"],
        "uar": percent(row["uar"]),
        "range": _range(row["low"], row["high"], percent),
        "inflation": signed(row["inflation"]) or NOTHING,
        "inflation_range": _range(row["inflation_low"], row["inflation_high"], signed),
        "skipped": row["skipped"],
        "remark": remark,
    }


def _in_percent(share: re.Match[str]) -> str:
    return share[1] + points(float(share[2]))


def _range(low: float | None, high: float | None, write: Callable[[float], str]) -> str:
    if low is None or high is None:
        return ""
    return f"{write(low)} to {write(high)}"
