"""The pages: every run in one HTML file, the corpora in others beside it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from contracts.run import Run
from report._cautions import cautions
from report._html import write_html
from report._plots import fold_dots
from report._run import run_view
from report.corpora import write_corpora
from report.results import results


def write_page(
    runs: Sequence[Run],
    unfinished: Sequence[str],
    inspections: Sequence[Mapping[str, Any]],
    out: Path,
) -> Path:
    """Write the page of all runs, and one for each corpus that was inspected.

    Args:
        runs: finished runs
        unfinished: names of runs that are not
        inspections: as ``inspect_manifest`` returns them
        out: the file; its folder is made where it is not there, and the pages of
            corpora lie beside it, see ``write_corpora``

    Returns:
        ``out``
    """
    rows = results(runs)
    by_id = {run.run_id: run for run in runs}
    groups = _groups(rows, by_id)
    ordered = [(i, r["differs"]) for g in groups for r in g["rows"] for i in r["runs"]]
    return write_html(
        "page.html.j2",
        out,
        written=datetime.now().astimezone(),
        n_runs=len(runs),
        corpora=sorted({c for r in rows for c in r["corpus"].split("+")}),
        groups=groups,
        cautions=cautions(rows, runs),
        runs=[run_view(by_id[i]) | {"differs": d} for i, d in ordered],
        unfinished=unfinished,
        **write_corpora(inspections, out),
    )


def _groups(
    rows: Sequence[dict[str, Any]], runs: Mapping[str, Run]
) -> list[dict[str, Any]]:
    """Put the rows that may be compared together, the largest group first."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [
        {
            "corpus": corpus,
            "labels": labels,
            "protocol": protocol,
            "title": runs[members[0]["runs"][0]].record["protocol"]["title"],
            "chance": members[0]["chance"],
            "n_labels": round(1 / members[0]["chance"]),
            "rows": members,
            "picture": fold_dots(members),
        }
        for (corpus, labels, _, protocol), members in ordered
    ]
