"""The page: every run and every corpus in one HTML file that opens offline."""

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from contracts.run import Run
from contracts.terminal import count
from report._cautions import cautions
from report._corpus_plots import corpus_view, worst
from report._plots import fold_dots
from report._run import anchor, run_view
from report._words import percent, short_names, told
from report.results import results

HERE = Path(__file__).resolve().parent


def write_page(
    runs: Sequence[Run],
    unfinished: Sequence[str],
    inspections: Sequence[Mapping[str, Any]],
    out: Path,
) -> Path:
    """Write one self-contained HTML page, whole or not at all.

    Args:
        runs: finished runs
        unfinished: names of runs that are not
        inspections: as ``inspect_manifest`` returns them
        out: the file; its folder is made where it is not there

    Returns:
        ``out``
    """
    rows = results(runs)
    by_id = {run.run_id: run for run in runs}
    groups = _groups(rows, by_id)
    ordered = [(i, r["differs"]) for g in groups for r in g["rows"] for i in r["runs"]]
    script = (HERE / "page.js").read_text(encoding="utf-8")
    html = (
        _environment()
        .get_template("page.html.j2")
        .render(
            style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
            script=Markup(script),
            script_hash=_digest(script),
            written=datetime.now().astimezone(),
            n_runs=len(runs),
            corpora=sorted({c for r in rows for c in r["corpus"].split("+")}),
            groups=groups,
            cautions=cautions(rows, runs),
            runs=[run_view(by_id[i]) | {"differs": d} for i, d in ordered],
            unfinished=unfinished,
            inspections=[corpus_view(facts) for facts in inspections],
        )
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_name(f".{out.name}.tmp-{os.getpid()}")
    aside.write_text(html, encoding="utf-8")
    aside.replace(out)
    return out


def _digest(script: str) -> str:
    """Name the page's own script, so that a browser runs no other."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (percent, told, count, anchor, short_names, worst)
    environment.filters |= {f.__name__: f for f in filters}
    return environment


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
