"""Exports: the page's figures as SVG and PDF, its tables as CSV and LaTeX."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts.errors import RunError
from contracts.run import Run, command
from evaluation.layer_study import LayerStudy, studies
from evaluation.measures.gaps import robustness
from evaluation.measures.metrics import score_run
from report import _tables
from report._audit_plot import audit_points
from report._audits import audit_views
from report._cross import cross_views
from report._groups import groups
from report._published import published

_STRANGE = re.compile(r"[^\w.-]+")
RESULT_HEADS = (
    *("rank", "model", "features", "settings", "seeds"),
    *("uar", "low", "high", "against", "p_holm", "verdict", "war", "f1"),
    *("utterances", "speakers", "warnings"),
)


class Exporter:
    """Writes files into a folder and remembers which command made each.

    Args:
        folder: made where it is not there
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[tuple[str, str]] = []
        self.taken: dict[str, int] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def stem(self, *words: str) -> Path:
        """Name a file by words, without its ending; no two are one."""
        name = _STRANGE.sub("_", "-".join(words)).strip("._")[:150]
        self.taken[name] = self.taken.get(name, 0) + 1
        n = self.taken[name]
        return self.folder / (name if n == 1 else f"{name}.{n}")

    def figure(self, drawn: Any, about: str, *words: str) -> None:
        """Write a figure, None for none."""
        from report import _figures

        if drawn is not None:
            self._note(_figures.save(drawn, self.stem(*words), about), about)

    def table(
        self, heads: Sequence[str], rows: Sequence[Sequence[object]], *words: str
    ) -> None:
        """Write a table; empty ones are not."""
        if rows:
            made = _tables.save(heads, rows, self.stem(*words), command())
            self._note(made, command())

    def _note(self, paths: Sequence[Path], about: str) -> None:
        self.made += [(path.name, about) for path in paths]

    def finish(self) -> None:
        """Write which command makes each file again."""
        _tables.save(("file", "command"), self.made, self.folder / "commands", "")


def export(
    runs: Sequence[Run],
    audits: Sequence[Mapping[str, Any]],
    folder: Path,
    rows: Sequence[dict[str, Any]],
    baseline: str = "",
) -> int:
    """Write figures and tables of what the page shows.

    Args:
        runs: finished runs
        audits: as ``evaluation.auditing.record.read_audits`` returns them
        folder: where to
        rows: what ``results`` made of the runs
        baseline: as for the page

    Returns:
        number of files

    Raises:
        RunError: if matplotlib is not installed
    """
    try:
        from report import _figures
    except ImportError as error:
        msg = (
            "figures for print need matplotlib, which is not installed. Run: "
            "pip install matplotlib"
        )
        raise RunError(msg) from error
    by_id = {run.run_id: run for run in runs}
    out = Exporter(folder)
    for group in groups(rows, by_id, baseline):
        where = (group["corpus"], group["labels"], group["protocol"])
        out.table(RESULT_HEADS, [_result(row) for row in group["rows"]], *where)
        drawn = _figures.ranking_figure(group["rows"])
        out.figure(drawn, command(), "ranking", *where)
        for row in group["rows"]:
            _run(out, by_id[row["runs"][0]])
    _others(out, runs, audits)
    out.finish()
    return len(out.made) + 2


def _run(out: Exporter, run: Run) -> None:
    """Write what concerns one run; its own command makes it again."""
    from report import _figures

    about, name = f"{run.record['command']} && {command()}", run.run_id
    out.figure(_figures.confusion_figure(run), about, "confusion", name)
    out.figure(_figures.certainty_figure(run), about, "certainty", name)
    out.figure(_figures.history_figure(run), about, "training", name)
    out.figure(_figures.speakers_figure(run), about, "speakers", name)
    if degraded := robustness(run):
        told = {one.name: one.uar for one in degraded}
        drawn = _figures.columns_figure(told, degraded[0].clean.value)
        out.figure(drawn, about, "degraded", name)
    scores = score_run(run)
    columns = zip(
        scores.labels,
        map(_share, scores.recall.tolist()),
        map(_share, scores.precision.tolist()),
        map(_share, scores.f1_per_class.tolist()),
        scores.support.tolist(),
        *scores.confusion.T.tolist(),
        strict=True,
    )
    heads = ("label", "recall", "precision", "f1", "utterances")
    said = [f"said {label}" for label in scores.labels]
    out.table((*heads, *said), list(columns), "per-label", name)


def _layers(out: Exporter, study: LayerStudy) -> None:
    """Write the UAR of each layer of an encoder."""
    from report import _figures

    words = ("layers", study.corpus, study.feature, study.protocol, f"s{study.seed}")
    told = dict(zip(map(str, study.layers), study.uar, strict=True))
    drawn = _figures.columns_figure(told, study.nested.value, "layer")
    out.figure(drawn, command(), *words)
    cells = [
        [layer, *map(_share, (one.value, one.low, one.high))]
        for layer, one in zip(study.layers, study.uar, strict=True)
    ]
    out.table(("layer", "uar", "low", "high"), cells, *words)


def _result(row: Mapping[str, Any]) -> list[object]:
    pair, interval = row["paired"], row["interval"]
    return [
        row["rank"],
        row["model"],
        "+".join(row["features"]),
        ", ".join(f"{k}={v}" for k, v in row["differs"].items()),
        " ".join(map(str, row["seeds"])),
        *map(_share, (row["uar"], interval.low, interval.high)),
        _share(pair.interval.value) if pair else None,
        float(f"{pair.p_holm:.3g}") if pair else None,
        row["verdict"],
        *map(_share, (row["war"], row["f1"])),
        row["n_utterances"],
        row["n_speakers"],
        "; ".join(row["warnings"]),
    ]


def _share(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def _others(
    out: Exporter,
    runs: Sequence[Run],
    audits: Sequence[Mapping[str, Any]],
) -> None:
    from report import _figures

    for told, view in zip(audits, audit_views(audits), strict=True):
        if points := audit_points(told):
            drawn = _figures.audit_figure(points)
            out.figure(drawn, str(told["command"]), "audit", told["id"])
        heads = ("practice", "uar", "range", "inflation", "inflation_range", "remark")
        cells = [[row[head] for head in heads] for row in view["rows"]]
        out.table(heads, cells, "audit", told["id"])
    for study in studies(runs):
        _layers(out, study)
    for i, one in enumerate(cross_views(runs)):
        cells = [
            [train, *(c and _share(c["uar"]) for c in places)]
            for train, places in one["rows"]
        ]
        out.table(("trained on", *one["tests"]), cells, "cross", f"{i + 1}")
    figures = [
        [
            *(p["model"], f.number, f.source, f.protocol, f.flaw, p["differs"]),
            *("; ".join(o["words"] for o in p["ours"]), p["command"]),
        ]
        for p in published(runs)
        for f in [p["figure"]]
    ]
    named = ["head", "published", "source", "protocol", "known fault"]
    out.table([*named, "differs here", "ours", "command"], figures, "published")
