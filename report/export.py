"""Exports: the page's figures as SVG and PDF, its tables as CSV and LaTeX."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts.errors import RunError
from contracts.run import Run, command
from report._export_run import export_run
from report._export_studies import export_studies
from report._exporter import Exporter, ends_of, share
from report._groups import groups
from report._map import FeatureMap, feature_maps
from report._words import told

RESULT_HEADS = (
    *("rank", "model", "features", "settings", "seeds"),
    *("uar", "low", "high", "against", "p_holm", "verdict", "war", "f1"),
    *("utterances", "speakers", "warnings"),
)
TRAIT_HEADS = (
    *("model", "features", "settings", "seeds", "trait"),
    *("concordance", "low", "high", "spearman", "utterances", "note", "warnings"),
)


def export(
    runs: Sequence[Run],
    audits: Sequence[Mapping[str, Any]],
    folder: Path,
    rows: Sequence[dict[str, Any]],
    baseline: str = "",
    cache: Path | None = None,
    method: str = "pca",
) -> int:
    """Write figures and tables of what the page shows.

    Args:
        runs: finished runs
        audits: as ``evaluation.auditing.record.read_audits`` returns first
        folder: where to
        rows: what ``results`` made of the runs
        baseline: as for the page
        cache: where maps of features are read from; None: no maps
        method: ``pca`` or ``umap``, of the maps

    Returns:
        number of files

    Raises:
        RunError: if matplotlib is not installed, or UMAP where it is asked for
    """
    try:
        from report import _figures
    except ImportError as error:
        msg = (
            "figures for print need matplotlib: expected the package, got none. Run: "
            "pip install -c constraints.txt -e '.[print]'"
        )
        raise RunError(msg) from error
    by_id = {run.run_id: run for run in runs}
    out = Exporter(folder)
    shown: list[Run] = []
    for group in groups(rows, by_id, baseline):
        where = (group["corpus"], group["labels"], group["protocol"])
        if group["says_labels"]:
            cells = [_result(row) for row in group["rows"]]
            out.table(RESULT_HEADS, cells, command(), *where)
            drawn = _figures.ranking_figure(group["rows"])
            out.figure(drawn, command(), "ranking", *where)
        else:
            cells = [cell for row in group["rows"] for cell in _traits(row)]
            out.table(TRAIT_HEADS, cells, command(), "concordance", *where)
            drawn = _figures.traits_figure(group["rows"])
            out.figure(drawn, command(), "concordance", *where)
        for row in group["rows"]:
            export_run(out, by_id[row["runs"][0]])
            shown += [by_id[i] for i in row["runs"]]
    maps: list[FeatureMap] = []
    if cache is not None:
        maps, _ = feature_maps(shown, cache, method)
    export_studies(out, runs, audits, maps, shown)
    out.finish()
    return len(out.made) + 2


def _system(row: Mapping[str, Any]) -> list[str]:
    """Return model, features, settings and seeds of a row."""
    return [
        row["model"],
        "+".join(row["features"]),
        told(row["differs"]),
        " ".join(map(str, row["seeds"])),
    ]


def _traits(row: Mapping[str, Any]) -> list[list[object]]:
    """Return the cells of each trait that a row predicted."""
    return [
        [
            *(*_system(row), one["trait"], *ends_of(one["interval"])),
            *(share(one["spearman"]), one["n"], one["interval"].note),
            "; ".join(row["warnings"]),
        ]
        for one in row["traits"]
    ]


def _result(row: Mapping[str, Any]) -> list[object]:
    pair = row["paired"]
    return [
        row["rank"],
        *_system(row),
        share(row["uar"]),
        *ends_of(row["interval"])[1:],
        share(pair.interval.value) if pair else None,
        float(f"{pair.p_holm:.3g}") if pair else None,
        row["verdict"],
        *map(share, (row["war"], row["f1"])),
        row["n_utterances"],
        row["n_speakers"],
        "; ".join(row["warnings"]),
    ]
