"""What others published with the heads of a page, beside ours."""

import shlex
from collections.abc import Sequence
from typing import Any

from contracts import plugins
from contracts.published import Published
from contracts.run import Run
from evaluation.reproducing import published_rows
from evaluation.reproducing.published_rows import METRICS, Row
from evaluation.reproducing.reproduce import Ours, ours
from evaluation.statistics.systems import says_labels
from report._run import anchor
from report._words import ends, percent

_REPRODUCE = "python pipeline.py reproduce"


def published(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Put the published figures of each head beside our runs of the same recipe.

    Args:
        runs: finished runs

    Returns:
        one entry per published row: ``model``, ``figure`` (a ``Published``),
        ``differs`` (what is not the same here), ``ours`` (``words`` and ``link``
        each), ``command`` (what would run it here; empty: nothing can) and ``here``
        (whether one of its corpora is one of the runs')
    """
    corpora = {c for run in runs for c in str(run.record["corpus"]).split("+")}
    heads = list(dict.fromkeys(str(run.record["model"]) for run in runs))
    known = [row for row in published_rows.rows().values() if row.model in heads]
    out = [_entry(row, runs) | {"here": _on(row, corpora)} for row in known]
    for model in heads:
        if not any(row.model == model for row in known):
            out += [_bare(model, figure) for figure in _figures(model)]
    return sorted(out, key=lambda e: (heads.index(e["model"]), not e["ours"]))


def _entry(row: Row, runs: Sequence[Run]) -> dict[str, Any]:
    own = [r for r in runs if r.record["model"] == row.model and says_labels(r)]
    return {
        "model": row.model,
        "figure": row.published(),
        "differs": row.differs,
        "ours": [_told(row, one) for one in ours(row, own)],
        "command": ""
        if row.cannot
        else f"python pipeline.py reproduce {shlex.quote(row.id)}",
    }


def _on(row: Row, corpora: set[str]) -> bool:
    return not corpora.isdisjoint(row.corpus)


def _told(row: Row, own: Ours) -> dict[str, str]:
    """Write our scores of the metrics that a row has."""
    words = []
    for metric in row.figures:
        if metric in own.scores:
            sure = ends(own.scores[metric])
            said = f"{METRICS[metric]} {percent(own.scores[metric].value)}"
            words.append(said + (f" ({sure})" if sure != "–" else ""))
    if own.untrained:
        words.append("untrained encoder")
    return {
        "words": ", ".join([*words, *own.warnings]),
        "link": anchor(own.runs[0].run_id),
    }


def _bare(model: str, figure: Published) -> dict[str, Any]:
    return {
        "model": model,
        "figure": figure,
        "differs": "",
        "ours": [],
        "command": "",
        "here": False,  # its corpus is told in words alone
    }


def _figures(model: str) -> tuple[Published, ...]:
    if model not in plugins.names("models"):
        return ()  # a head of somebody else's checkout
    return tuple(getattr(plugins.load("models", model), "PUBLISHED", ()))
