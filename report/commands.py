"""Commands of the report: report, runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.command import REPORT, Command, runs_option
from contracts.errors import RunError, listing
from contracts.terminal import say, table, warn

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser

    from contracts.run import Run


def _report_arguments(parser: ArgumentParser) -> None:
    runs_option(parser)
    parser.add_argument(
        "--out", type=Path, default=REPORT, metavar="FILE", help="the page"
    )


def report(chosen: Namespace) -> int:
    """Write the page over all runs and print the results."""
    from report.page import write_page
    from report.results import results_table

    runs, unfinished = _find(chosen.runs)
    paths = sorted((chosen.runs / "inspect").glob("*.json"))
    inspections = [json.loads(p.read_text(encoding="utf-8")) for p in paths]
    if not runs and not inspections and not unfinished:
        warn(
            f"no runs in {chosen.runs}. Run: python pipeline.py fit --model "
            "random_forest"
        )
    if runs:
        say(results_table(runs))
    if unfinished:
        warn(f"unfinished, fit them once more: {listing(unfinished)}")
    page = write_page(runs, unfinished, inspections, chosen.out)
    say(f"the page is {page}")
    return 0


def _find(folder: Path) -> tuple[list[Run], list[str]]:
    from contracts.run import find_runs

    if folder.exists() and not folder.is_dir():
        msg = (
            f"{folder} is a file, expected a folder of runs: choose one with --runs DIR"
        )
        raise RunError(msg)
    return find_runs(folder)


def _runs_arguments(parser: ArgumentParser) -> None:
    runs_option(parser)
    parser.add_argument("--json", action="store_true", help="for other programs")


def runs(chosen: Namespace) -> int:
    """List the finished runs with their metrics."""
    from report.results import runs_json

    found, unfinished = _find(chosen.runs)
    told = runs_json(found)
    if chosen.json:
        say(json.dumps(told, indent=1))
        return 0
    rows = []
    for r in told:
        values = [r["metrics"][name] for name in ("uar", "war", "f1")]
        shown = ["" if v is None else f"{v:.3f}" for v in values]
        rows.append([r["run_id"], *shown, "; ".join(r["warnings"])])
    say(table(["run_id", "UAR", "WAR", "F1", ""], rows))
    if unfinished:
        warn(f"unfinished: {listing(unfinished)}")
    return 0


COMMANDS = [
    Command(
        "report",
        "Write one HTML page over all runs, and print the results.",
        (
            "python pipeline.py report",
            "python pipeline.py report --runs data/runs --out page.html",
        ),
        _report_arguments,
        report,
    ),
    Command(
        "runs",
        "List the finished runs and their metrics.",
        ("python pipeline.py runs", "python pipeline.py runs --json"),
        _runs_arguments,
        runs,
    ),
]
