"""What a bench found, as tables in plain text."""

from collections.abc import Mapping
from typing import Any

from contracts.terminal import table


def lay_out(name: str, about: str, told: Mapping[str, Any]) -> str:
    """Write tables, remarks and facts of one bench.

    Args:
        name: of the bench
        about: what it measures, in one sentence
        told: ``_timing.Result`` as JSON values
    """
    parts = [f"{name}: {about}"]
    for one in told["tables"]:
        heads = ["contender", one["unit"], "min to max", one["each"]]
        heads.append("ours is ... times as fast")
        rows = [_cells(row) for row in one["rows"]]
        parts.append(f"{one['title']}\n\n{table(heads, rows)}")
    if told["remarks"]:
        parts.append("\n".join(told["remarks"]))
    facts = "; ".join(f"{key}: {value}" for key, value in told["facts"].items())
    if facts:
        parts.append(facts)
    return "\n\n".join(parts) + "\n"


def _cells(row: Mapping[str, Any]) -> list[str]:
    """Lay out one contender."""
    return [
        row["contender"],
        short(row["rate"]),
        _range(row, "rate"),
        short(row["time"]),
        f"{row['ours_is']:.2f} ({_range(row, 'ours_is')})" if "ours_is" in row else "",
    ]


def _range(row: Mapping[str, Any], name: str) -> str:
    if name == "ours_is":
        return f"{row['ours_is_min']:.2f} to {row['ours_is_max']:.2f}"
    return f"{short(row[name + '_min'])} to {short(row[name + '_max'])}"


def short(value: float) -> str:
    """Write three digits of a number, more where they stand before the point."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}"
