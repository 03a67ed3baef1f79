"""The cross-corpus heat map: trained on the one, tested on the other."""

import math
from collections.abc import Sequence
from typing import Any

from contracts.run import Run
from evaluation.transfer.cross_matrix import Cell, matrix, trained_on
from report._commands import commands_of
from report._corpus_plots import tone
from report._run import anchor
from report._words import ends


def cross_views(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return one table per head that was tested on a corpus it was not trained on.

    Args:
        runs: in the order of the page

    Returns:
        ``title`` and ``tests``, and for each training set of corpora one row of cells
        with ``uar``, ``interval``, ``share`` (from chance to 1, what the ink shows),
        ``ends``, ``n``, ``run``, ``link`` and ``warnings``; None where nothing was run.
        ``warnings`` of the table are those of all its cells, ``commands`` what fitted
        its runs
    """
    by_id = {run.run_id: run for run in runs}
    if all("+".join(trained_on(run)) == run.record["corpus"] for run in runs):
        return []
    tables = []
    for one in matrix(runs):
        if len(one.trains) < 2 and len(one.tests) < 2:
            continue
        chance = 1 / len(one.classes)
        shown = [cell for cell in one.cells if not math.isnan(cell.uar.value)]
        tables.append(
            {
                "title": f"{one.model} · {' + '.join(one.features)}",
                "about": f"labels {one.labels}, seed {one.seed}",
                "chance": chance,
                "tests": one.tests,
                "warnings": _said_of_all(shown),
                "commands": commands_of(by_id[cell.run] for cell in shown),
                "rows": [
                    (train, [_cell(one.at(train, test), chance) for test in one.tests])
                    for train in one.trains
                ],
            }
        )
    return tables


def _said_of_all(cells: Sequence[Cell]) -> list[str]:
    first = cells[0].warnings if cells else ()
    return [said for said in first if all(said in cell.warnings for cell in cells)]


def _cell(found: Sequence[Cell], chance: float) -> dict[str, Any] | None:
    """Describe a place of the table; of several runs the last, and how many."""
    known = [cell for cell in found if not math.isnan(cell.uar.value)]
    if not known:
        return None
    cell = known[-1]
    share = max(0.0, min(1.0, (cell.uar.value - chance) / (1 - chance)))
    return {
        "uar": cell.uar.value,
        "interval": cell.uar,
        "ends": ends(cell.uar),
        "share": share,
        "tone": tone(share),
        "n": cell.n,
        "speakers": cell.uar.n_speakers,
        "within": cell.is_within,
        "run": cell.run,
        "link": anchor(cell.run),
        "warnings": cell.warnings,
        "more": len(known) - 1,
    }
