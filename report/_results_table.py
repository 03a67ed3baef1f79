"""Results laid out for a terminal."""

from collections.abc import Iterable, Mapping
from typing import Any

from contracts.terminal import table
from report._intervals import number
from report._traits import coefficient_ends
from report._words import NOTHING, ends, percent, spread, told

_HEADS = ("rank", "model", "features", "seeds", "UAR %", "95 %", "per fold %")
_TAIL = ("WAR %", "F1 %", "n", "speakers", "warnings")
_TRAIT_HEADS = (
    *("model", "features", "seeds", "trait", "concordance", "95 %", "Spearman"),
    *("n", "speakers", "warnings"),
)


def results_table(rows: Iterable[dict[str, Any]]) -> str:
    """Lay out results for a terminal, one table per group, warnings last.

    Args:
        rows: as ``results`` returns them
    """
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    blocks = []
    for (corpus, labels, _, protocol), members in groups.items():
        if not members[0]["says_labels"]:
            title = f"{corpus}, {labels}, protocol {protocol} (not ranked)"
            cells = [c for row in members for c in _trait_cells(row)]
            blocks.append(f"{title}\n{table(_TRAIT_HEADS, cells)}")
            continue
        chance = percent(members[0]["chance"])
        title = f"{corpus}, labels {labels}, protocol {protocol} (chance {chance} %)"
        cells = [_cells(row) for row in members]
        blocks.append(f"{title}\n{table((*_HEADS, *_TAIL), cells)}")
    return "\n\n".join(blocks)


def heard(row: Mapping[str, Any]) -> str:
    """Say what a row's head heard: its features, and copies that it was trained on."""
    more = f", with {' '.join(row['augmented'])}" if row["augmented"] else ""
    return "+".join(row["features"]) + more


def _trait_cells(row: Mapping[str, Any]) -> list[list[object]]:
    """Write a line for each trait of a row."""
    return [
        [
            _model(row),
            heard(row),
            ",".join(map(str, row["seeds"])),
            one["trait"],
            number(one["interval"].value),
            coefficient_ends(one["interval"]),
            number(one["spearman"]),
            one["n"] if one["pooled"] else f"{one['n_least']} to {one['n']}",
            row["n_speakers"],
            "; ".join(row["warnings"]),
        ]
        for one in row["traits"]
    ]


def _model(row: Mapping[str, Any]) -> str:
    return str(row["model"]) + (f" ({told(row['differs'])})" if row["differs"] else "")


def _cells(row: dict[str, Any]) -> list[object]:
    seeds = ",".join(map(str, row["seeds"]))
    if len(row["seeds"]) > 1:
        seeds += f" (± {percent(row['seed_sd'])})"
    return [
        NOTHING if row["rank"] is None else row["rank"],
        _model(row),
        heard(row),
        seeds,
        percent(row["uar"]),
        ends(row["interval"]),
        spread(row),
        percent(row["war"]),
        percent(row["f1"]),
        row["n_utterances"],
        row["n_speakers"],
        "; ".join(row["warnings"]),
    ]
