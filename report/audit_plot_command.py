"""The command ``audit-plot``: the picture of one audit as a file of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.command import Command, runs_option
from contracts.errors import RunError, listing
from contracts.terminal import say, warn

if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from jsonargparse import ArgumentParser

OUT = Path("data/reports/audit.svg")


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--audit",
        metavar="ID",
        help="which one, as its file in the folder audit is named; none: the only one, "
        "or the newest where all are of one head, corpus, input and protocol",
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
    """Read the audit asked for; else the only one, or the newest of several alike.

    Raises:
        RunError: if there is none of this name, or none was asked for and they are of
            several heads, corpora, inputs or protocols
    """
    from evaluation.auditing.record import broken_audits, read_audits

    audits, broken = read_audits(runs)
    if broken:
        warn(broken_audits(broken))
    by_id = {told["id"]: told for told in audits}
    if not by_id:
        msg = f"no audits in {runs}. Run: python pipeline.py audit --model NAME"
        raise RunError(msg)
    if wanted is None and len(by_id) == 1:
        return next(iter(by_id.values()))
    made = {name: _made(told, runs) for name, told in by_id.items()}
    if wanted is None and len({_question(told) for told in audits}) == 1:
        newest = max(by_id, key=lambda name: (made[name], name))
        say(f"{newest} is the newest of {len(by_id)} audits alike in {runs}")
        return by_id[newest]
    if wanted not in by_id:
        asked = f"no audit {wanted!r}" if wanted else f"{len(by_id)} audits"
        each = "; ".join(_told(told, made[name]) for name, told in by_id.items())
        msg = f"{asked} in {runs}: choose with --audit one of {each}"
        raise RunError(msg)
    return by_id[wanted]


def _question(told: dict[str, Any]) -> tuple[str, ...]:
    """Return what audits share that are of one question: head, corpus and so on."""
    inputs = "+".join(map(str, told["features"]))
    return told["model"], told["corpus"], inputs, told["protocol"]["name"]


def _told(told: dict[str, Any], made: str) -> str:
    """Say what an audit is of, behind its name."""
    model, corpus, inputs, protocol = _question(told)
    seeds = f"seeds {listing(told['seeds'])}"
    words = [model, f"corpus {corpus}", inputs, f"protocol {protocol}", seeds, made]
    return f"{told['id']} ({', '.join(filter(None, words))})"


def _made(told: dict[str, Any], runs: Path) -> str:
    """Return when an audit was written, to the second; empty if its file moved."""
    from evaluation.auditing.record import path_of

    path = path_of(told, runs)
    if not path.exists():
        return ""
    made = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return f"{made:%Y-%m-%d %H:%M:%S} UTC"


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
