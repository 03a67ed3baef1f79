"""The pages: every run in one HTML file, the corpora in others beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from contracts.command import AUDIO
from contracts.run import Run, command
from report._audits import audit_views
from report._budget import BUDGET
from report._cautions import cautions
from report._cross import cross_views
from report._groups import groups
from report._html import write_html
from report._map import feature_maps, map_view
from report._players import WrongOne, instructive, players
from report._published import published
from report._ranking import row_name
from report._run import anchor, run_view
from report._studies import layer_views
from report._utterances import data_block, pack
from report.corpora import write_corpora
from report.results import results

N_GAPS, FEW = 2, 8  # of more runs than FEW only the best N_GAPS of a box show gaps
SCRIPTS = ("page.js", "utterances.js", "maps.js")


@dataclass(frozen=True)
class Asked:
    """What a page may hold beside the runs; nothing of it is needed.

    Attributes:
        baseline: head or run that each row is compared with; empty: the best one
        audits: as ``evaluation.auditing.record.read_audits`` returns them
        cache: where maps of features are read from; None: no maps
        method: ``pca`` or ``umap``, of the maps
        n_audio: errors to embed a player for
        root: folder of the corpus' files; None: ``data/audio/CORPUS``
    """

    baseline: str = ""
    audits: Sequence[Mapping[str, Any]] = ()
    cache: Path | None = None
    method: str = "pca"
    n_audio: int = 0
    root: Path | None = None


def write_page(
    runs: Sequence[Run],
    unfinished: Sequence[str],
    inspections: Sequence[Mapping[str, Any]],
    out: Path,
    asked: Asked | None = None,
    rows: Sequence[dict[str, Any]] | None = None,
) -> Path:
    """Write the page of all runs, and one for each corpus that was inspected.

    Args:
        runs: finished runs
        unfinished: names of runs that are not
        inspections: as ``inspect_manifest`` returns them
        out: the file; its folder is made where it is not there, and the pages of
            corpora lie beside it, see ``write_corpora``
        asked: what else the page is to hold
        rows: what ``results`` made of the runs; None: made here

    Returns:
        ``out``
    """
    asked = asked or Asked()
    rows = results(runs) if rows is None else rows
    by_id = {run.run_id: run for run in runs}
    shown = groups(rows, by_id, asked.baseline)
    ordered = [(i, r) for g in shown for r in g["rows"] for i in r["runs"]]
    views = [
        _view(by_id[i], row, len(runs)) | {"place": place}
        for place, (i, row) in enumerate(ordered)
    ]
    return write_html(
        "page.html.j2",
        out,
        SCRIPTS,
        written=datetime.now().astimezone(),
        n_runs=len(runs),
        corpora=sorted({c for r in rows for c in r["corpus"].split("+")}),
        groups=shown,
        cautions=cautions(rows, runs),
        runs=views,
        unfinished=unfinished,
        audits=audit_views(asked.audits),
        cross=cross_views(runs),
        published=published(runs),
        layers=layer_views(runs),
        command=command(),
        **_utterances(ordered, by_id, shown, asked),
        **write_corpora(inspections, out),
    )


def _view(run: Run, row: Mapping[str, Any], n_runs: int) -> dict[str, Any]:
    """Collect what the page shows of a run of a row."""
    with_gaps = n_runs <= FEW or (row["rank"] or N_GAPS + 1) <= N_GAPS
    sure = row["intervals"] if len(row["runs"]) == 1 else None
    left_out = "" if with_gaps else f"the first {N_GAPS} rows of each box"
    view = run_view(run, with_gaps, sure)
    return view | {"differs": row["differs"], "gaps_only_of": left_out}


def _utterances(
    ordered: Sequence[tuple[str, Mapping[str, Any]]],
    runs: Mapping[str, Run],
    shown: Sequence[Mapping[str, Any]],
    asked: Asked,
) -> dict[str, Any]:
    """Pack what the table of utterances shows, with the players that were asked for."""
    best = [runs[g["rows"][0]["runs"][0]] for g in shown]
    wrong = instructive(best, asked.n_audio)
    sound = players([w.id for w in wrong], asked.root, AUDIO)
    names = {i: (anchor(i), _name(row, runs[i])) for i, row in ordered}
    left = BUDGET - sum(map(len, sound.audio.values()))
    packed = pack([runs[i] for i, _ in ordered], names, budget=left)
    maps, problems = _maps([runs[i] for i, _ in ordered], packed["ids"], asked)
    return {
        "data": data_block(packed),
        "players": _shown(wrong, sound.audio, names, packed["ids"]),
        "audio_problems": sound.problems,
        "maps": maps,
        "map_problems": problems,
    }


def _maps(
    runs: Sequence[Run], ids: Sequence[str], asked: Asked
) -> tuple[list[dict[str, Any]], list[str]]:
    if asked.cache is None:
        return [], []
    found, problems = feature_maps(runs, asked.cache, asked.method)
    places = {one: i for i, one in enumerate(ids)}
    return [map_view(one, places) for one in found], problems


def _name(row: Mapping[str, Any], run: Run) -> str:
    """Name a run among all runs of a page."""
    record = run.record
    where = (record["corpus"], record["labels"]["name"], record["protocol"]["name"])
    return " · ".join([row_name(row), *where, f"seed {record['seed']}"])


def _shown(
    wrong: Sequence[WrongOne],
    audio: Mapping[str, str],
    names: Mapping[str, tuple[str, str]],
    ids: Sequence[str],
) -> list[dict[str, Any]]:
    """Join each error that can be heard with its sound and its run."""
    places = {one: i for i, one in enumerate(ids)}
    heads = ("one", "uri", "place", "link", "name")
    return [
        dict(zip(heads, (w, audio[w.id], places[w.id], *names[w.run]), strict=True))
        for w in wrong
        if w.id in audio and w.id in places
    ]
