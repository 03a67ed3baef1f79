"""An audit in plain text: a table of numbers, then what must be said of each."""

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.errors import listing
from contracts.terminal import table

Row = Mapping[str, Any]
_HEADS = ("practice", "", "UAR", "95 %", "inflation", "95 %", "n", "speakers", "seeds")


def audit_text(told: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """Lay an audit out.

    Args:
        told: what it is of, see ``audit.facts``
        rows: see ``audit.audit``
    """
    seeds = listing(told["seeds"])
    first = (
        f"audit of {told['model']} on {listing(told['features']) or 'no feature'}, "
        f"protocol {told['protocol']['name']}, seeds {seeds}; chance is "
        f"{told['chance']:.3f}"
    )
    lines = [first]
    if told["untrained"]:
        lines.append("the encoder is untrained: random weights, nothing was learnt")
    if told["partial"]:
        lines.append(f"partial: folds {listing(told['folds'])} of the protocol alone")
    lines += [
        f"protocol {told['protocol']['name']} itself breaks {what}: optimistic"
        for what in told["protocol"]["breaks"]
    ]
    lines.append("")
    fitted = [row for row in rows if not row["skipped"]]
    lines.append(table(_HEADS, [_cells(row) for row in fitted]))
    lines += ["", *(_said(row) for row in fitted)]
    if skipped := [row for row in rows if row["skipped"]]:
        lines += ["", "not applied:"]
        lines += [f"  {row['practice']}: {row['skipped']}" for row in skipped]
    return "\n".join(lines)


def _cells(row: Row) -> list[object]:
    compared = row["inflation"] is not None
    return [
        row["practice"],
        row["kind"],
        f"{row['uar']:.3f}",
        _ends(row["low"], row["high"], ".3f"),
        f"{row['inflation']:+.3f}" if compared else "",
        _ends(row["inflation_low"], row["inflation_high"], "+.3f"),
        row["n"],
        row["n_speakers"],
        row["n_seeds"],
    ]


def _ends(low: float | None, high: float | None, form: str) -> str:
    if low is None or high is None:
        return ""
    return f"{low:{form}} to {high:{form}}"


def _said(row: Row) -> str:
    words = [row["title"]]
    if row["inflation"] is not None:
        same = "the same" if row["paired"] else "other"
        words.append(f"inflation over {row['against']}, {same} test utterances")
    if row["note"]:
        words.append(row["note"])
    return f"  {row['practice']}: {'; '.join(words)}"
