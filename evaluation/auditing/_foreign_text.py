"""What was found of somebody else's predictions, in plain text."""

from collections.abc import Mapping
from typing import Any

from contracts.errors import listing
from contracts.terminal import count, table


def predictions_text(told: Mapping[str, Any]) -> str:
    """Lay out what ``audit_predictions`` found."""
    lines = [
        f"{told['predictions']}: {count(told['n'], 'prediction')} of "
        f"{count(told['n_speakers'], 'speaker')}, {len(told['labels'])} labels: "
        f"{listing(told['labels'], 20)}"
    ]
    for name, one in told["scores"].items():
        lines.append(f"{name.upper():<3}  {_score_text(one)}")
    if told["speakers"]:
        rows = [[name, _short(uar)] for name, uar in told["speakers"].items()]
        lines += ["", table(["speaker", "UAR"], rows)]
    if told["folds"]:
        cells = [
            [f["fold"], f["n"], f["n_speakers"], _short(f["uar"])]
            for f in told["folds"]
        ]
        lines += ["", table(["fold", "n", "speakers", "UAR"], cells)]
    if "unseen" in told:
        one = told["unseen"]
        lines += [
            "",
            f"on the {count(one['n_speakers'], 'speaker')} alone who were not trained "
            f"on ({count(one['n'], 'prediction')}): UAR {_score_text(one['uar'])}",
        ]
    lines += [""] + [
        f"{'optimistic' if f['bad'] else 'found'}: {f['said']}"
        for f in told["findings"]
    ]
    lines += ["", "cannot be known:", *(f"  {what}" for what in told["unknown"])]
    return "\n".join(lines)


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _score_text(one: Mapping[str, Any]) -> str:
    ends = ""
    if one["low"] is not None:
        ends = f" ({one['low']:.3f} to {one['high']:.3f}, 95 % over speakers)"
    note = f"; {one['note']}" if one["note"] else ""
    return f"{_short(one['value'])}{ends}{note}"
