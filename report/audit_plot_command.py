"""The command ``audit-plot``: the picture of one audit as a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.command import Command, runs_option
from contracts.errors import RunError, listing
from contracts.terminal import say

if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from jsonargparse import ArgumentParser

OUT = Path("data/reports/audit.svg")


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--audit",
        metavar="ID",
        help="which one, as its file in the folder audit is named; none: the only one",
    )
    parser.add_argument(
        "--out", type=Path, default=OUT, metavar="FILE", help="the picture, an SVG"
    )
    runs_option(parser)


def _run(chosen: Namespace) -> int:
    from report._audit_plot import audit_file

    out: Path = chosen.out
    if out.suffix.lower() != ".svg":
        msg = f"bad --out {out}: expected a file that ends in .svg, got {out.name!r}"
        raise RunError(msg)
    drawn = audit_file(_choose(chosen.runs, chosen.audit))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(drawn, encoding="utf-8")
    except OSError as error:
        msg = f"cannot write {out}: {error}. Choose another file with --out"
        raise RunError(msg) from error
    say(f"the picture is {out}")
    return 0


def _choose(runs: Path, wanted: str | None) -> dict[str, Any]:
    """Read the audit asked for, or the only one there is.

    Raises:
        RunError: if there is none of this name, or several and none was asked for
    """
    from evaluation.auditing.record import read_audits

    by_id = {told["id"]: told for told in read_audits(runs)}
    if not by_id:
        msg = f"no audits in {runs}. Run: python pipeline.py audit --model NAME"
        raise RunError(msg)
    if wanted is None and len(by_id) == 1:
        return next(iter(by_id.values()))
    if wanted not in by_id:
        asked = f"no audit {wanted!r}" if wanted else f"{len(by_id)} audits"
        msg = f"{asked} in {runs}: choose with --audit one of {listing(by_id, 30)}"
        raise RunError(msg)
    return by_id[wanted]


AUDIT_PLOT = Command(
    "audit-plot",
    "Draw an audit that was made, as one SVG file.",
    (
        "python pipeline.py audit-plot",
        "python pipeline.py audit-plot --audit logistic_regression-toy-loso-toy-0123 "
        "--out docs/audit.svg",
    ),
    _arguments,
    _run,
)
