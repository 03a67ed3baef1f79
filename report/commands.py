"""Commands of the report: report, runs."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.command import REPORT, RUNS, Command, runs_option
from contracts.errors import RunError, did_you_mean, listing
from contracts.terminal import count, say, table, warn
from report.audit_plot_command import AUDIT_PLOT

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping, Sequence

    from jsonargparse import ArgumentParser

    from contracts.run import Run
    from report.page import Asked


def _report_arguments(parser: ArgumentParser) -> None:
    runs_option(parser)
    parser.add_argument(
        "--out", type=Path, default=REPORT, metavar="FILE", help="the page"
    )
    parser.add_argument(
        "--baseline",
        default="",
        metavar="NAME",
        help="head or run that the others are compared with; default: the best",
    )
    parser.add_argument(
        "--audio",
        type=int,
        default=0,
        metavar="N",
        help="players for the N most instructive errors",
    )
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="the corpus' files, for --audio"
    )
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="draw maps of the features in it"
    )
    parser.add_argument(
        "--map", choices=("pca", "umap"), default="pca", help="how, with --cache"
    )
    parser.add_argument(
        "--export",
        type=Path,
        metavar="DIR",
        help="figures as SVG and PDF, tables as CSV and LaTeX",
    )


def report(chosen: Namespace) -> int:
    """Write the page over all runs and print the results."""
    from report.page import write_page
    from report.results import results, results_table

    runs, unfinished = _find(chosen.runs)
    paths = sorted((chosen.runs / "inspect").glob("*.json"))
    inspections = [json.loads(p.read_text(encoding="utf-8")) for p in paths]
    rows = results(runs)
    _refuse_unknown(chosen.baseline, rows)
    if rows:
        say(results_table(rows))
    if unfinished:
        warn(f"unfinished, fit them once more: {listing(unfinished)}")
    asked = _asked(chosen)
    page = write_page(runs, unfinished, inspections, chosen.out, asked, rows)
    say(f"the page is {page}")
    if not runs and not inspections:
        warn(
            f"no finished runs in {chosen.runs}, so the page has no results. "
            f"{_fit_command(chosen.runs)}"
        )
        return 1
    if chosen.export is not None:
        from report.export import export

        to, named = chosen.export, chosen.baseline
        n = export(runs, asked.audits, to, rows, named, asked.cache, asked.method)
        say(f"{count(n, 'file')} for print in {chosen.export}")
    return 0


def _fit_command(runs: Path) -> str:
    """Say how to come by a run."""
    where = "" if runs == RUNS else f" --runs {shlex.quote(str(runs))}"
    return f"Run: python pipeline.py fit --model random_forest{where}"


def _refuse_unknown(baseline: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a baseline that is neither a head nor a run of the page.

    Raises:
        RunError: naming the heads there are and the nearest of them
    """
    if baseline and not any(baseline in (r["model"], *r["runs"]) for r in rows):
        heads = dict.fromkeys(str(r["model"]) for r in rows)
        msg = (
            f"no head or run {baseline!r} on the page: expected a run's whole name or "
            f"one of {listing(heads) or 'no heads'}.{did_you_mean([baseline], heads)} "
            "See: python pipeline.py runs"
        )
        raise RunError(msg)


def _asked(chosen: Namespace) -> Asked:
    """Read what the page is to hold beside the runs.

    Raises:
        RunError: if it cannot be had
    """
    from evaluation.auditing.record import broken_audits, read_audits
    from report.page import Asked

    if chosen.audio < 0:
        msg = f"bad --audio {chosen.audio}: expected the number of errors, 0 or more"
        raise RunError(msg)
    missing = [
        f"--{name} {folder}"
        for name in ("cache", "root")
        if (folder := getattr(chosen, name)) is not None and not folder.is_dir()
    ]
    if missing:
        msg = f"no such folder: {listing(missing)}. Name one that is there"
        raise RunError(msg)
    audits, broken = read_audits(chosen.runs)
    if broken:
        warn(broken_audits(broken))
    return Asked(
        chosen.baseline,
        audits,
        chosen.cache,
        chosen.map,
        chosen.audio,
        chosen.root,
    )


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
    from report._json import runs_json

    found, unfinished = _find(chosen.runs)
    told = runs_json(found)
    if chosen.json:
        say(json.dumps(told, indent=1))
        return 0
    if told:
        say(_runs_table(told))
    else:
        warn(f"no finished runs in {chosen.runs}. {_fit_command(chosen.runs)}")
    if unfinished:
        warn(f"unfinished: {listing(unfinished)}")
    return 0


def _runs_table(told: Sequence[Mapping[str, Any]]) -> str:
    """Write a line for each run; concordance only where some run predicts traits."""
    with_traits = any(r["metrics"]["traits"] for r in told)
    rows = []
    for r in told:
        values = [r["metrics"][name] for name in ("uar", "war", "f1")]
        shown = ["" if v is None else f"{v:.3f}" for v in values]
        if with_traits:
            found = r["metrics"]["traits"]
            near = [(t["trait"], t["concordance"]) for t in found]
            words = [f"{k} {v:.3f}" if v is not None else f"{k} –" for k, v in near]
            shown.append(", ".join(words))
        rows.append([r["run_id"], *shown, "; ".join(r["warnings"])])
    more = ["concordance"] if with_traits else []
    return table(["run_id", "UAR", "WAR", "F1", *more, ""], rows)


COMMANDS = [
    Command(
        "report",
        "Write one HTML page over all runs, and print the results.",
        (
            "python pipeline.py report",
            "python pipeline.py report --audio 20 --cache data/cache",
            "python pipeline.py report --baseline prior --export data/reports/print",
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
    AUDIT_PLOT,
]
