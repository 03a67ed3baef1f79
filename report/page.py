"""The pages: every run in one HTML file, the corpora in others beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from contracts.command import AUDIO
from contracts.run import Run, command
from contracts.terminal import count
from report._audits import audit_views
from report._budget import BUDGET, PAGE
from report._cautions import cautions
from report._cross import cross_views
from report._groups import groups
from report._html import render_html, write_whole
from report._map import FeatureMap, feature_maps, map_view
from report._players import Players, WrongOne, instructive, players
from report._published import published
from report._ranking import row_name
from report._run import anchor, run_view
from report._studies import layer_views
from report._utterances import FEWER, data_block, pack
from report.corpora import write_corpora
from report.results import results

N_GAPS, FEW = 2, 8  # of more runs than FEW only the best N_GAPS of a box show gaps
TEMPLATE = "page.html.j2"
SCRIPTS = ("page.js", "utterances.js", "maps.js")


@dataclass(frozen=True)
class Asked:
    """What a page may hold beside the runs; nothing of it is needed.

    Attributes:
        baseline: head or run that each row is compared with; empty: the best one
        audits: as ``evaluation.auditing.record.read_audits`` returns first
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
    facts: dict[str, Any] = {
        "written": datetime.now().astimezone(),
        "n_runs": len(runs),
        "corpora": sorted({c for r in rows for c in r["corpus"].split("+")}),
        "groups": shown,
        "cautions": cautions(rows, runs),
        "runs": views,
        "unfinished": unfinished,
        "audits": audit_views(asked.audits),
        "cross": cross_views(runs),
        "published": published(runs),
        "layers": layer_views(runs),
        "command": command(),
        **write_corpora(inspections, out),
    }
    beside = _beside(ordered, by_id, shown, asked)
    return write_whole(_within_size(beside, facts), out)


def _view(run: Run, row: Mapping[str, Any], n_runs: int) -> dict[str, Any]:
    """Collect what the page shows of a run of a row."""
    with_gaps = n_runs <= FEW or (row["rank"] or N_GAPS + 1) <= N_GAPS
    sure = row["intervals"] if len(row["runs"]) == 1 else None
    left_out = "" if with_gaps else f"the first {N_GAPS} rows of each box"
    view = run_view(run, with_gaps, sure)
    return view | {"differs": row["differs"], "gaps_only_of": left_out}


@dataclass(frozen=True)
class _Beside:
    """What the page shows of utterances beside their table.

    Attributes:
        runs: of the table, in the order in which they are offered
        names: run id -> the fragment that links to it, and what a reader calls it
        wrong: the errors that were to be heard
        sound: their players
        maps: of features
        problems: one sentence for each map that could not be made
    """

    runs: Sequence[Run]
    names: Mapping[str, tuple[str, str]]
    wrong: Sequence[WrongOne]
    sound: Players
    maps: Sequence[FeatureMap]
    problems: Sequence[str]


def _beside(
    ordered: Sequence[tuple[str, Mapping[str, Any]]],
    by_id: Mapping[str, Run],
    shown: Sequence[Mapping[str, Any]],
    asked: Asked,
) -> _Beside:
    """Make the players and maps that were asked for."""
    runs = [by_id[i] for i, _ in ordered]
    names = {i: (anchor(i), _name(row, by_id[i])) for i, row in ordered}
    best = [by_id[g["rows"][0]["runs"][0]] for g in shown]
    wrong = instructive(best, asked.n_audio)
    sound = players([w.id for w in wrong], asked.root, AUDIO)
    if asked.cache is None:
        return _Beside(runs, names, wrong, sound, [], [])
    maps, problems = feature_maps(runs, asked.cache, asked.method)
    return _Beside(runs, names, wrong, sound, maps, problems)


def _within_size(beside: _Beside, facts: Mapping[str, Any]) -> str:
    """Return the page, its table cut down where the whole would be too large."""
    packed = pack(beside.runs, beside.names, BUDGET)
    html = _rendered(beside, packed, facts)
    over = len(html.encode()) - PAGE
    if over > 0:
        budget = max(0, len(data_block(packed).encode()) - over)
        packed = pack(beside.runs, beside.names, budget)
        html = _rendered(beside, packed, facts)
    return html


def _rendered(
    beside: _Beside, packed: Mapping[str, Any], facts: Mapping[str, Any]
) -> str:
    return render_html(TEMPLATE, SCRIPTS, **facts, **_utterances(beside, packed))


def _utterances(beside: _Beside, packed: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows of utterances: table, players, maps."""
    places = {one: i for i, one in enumerate(packed["ids"])}
    shown, problems = _shown(beside, places)
    return {
        "data": data_block(packed),
        "players": shown,
        "audio_problems": [*beside.sound.problems, *problems],
        "maps": [map_view(one, places) for one in beside.maps],
        "map_problems": beside.problems,
    }


def _name(row: Mapping[str, Any], run: Run) -> str:
    """Name a run among all runs of a page."""
    record = run.record
    where = (record["corpus"], record["labels"]["name"], record["protocol"]["name"])
    return " · ".join([row_name(row), *where, f"seed {record['seed']}"])


def _shown(
    beside: _Beside, places: Mapping[str, int]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Join each error that can be heard with its sound and its run.

    Args:
        beside: the errors and their sounds
        places: utterance id -> its place in the page's list

    Returns:
        the players, and a sentence where some have no place in the table
    """
    heads = ("one", "uri", "place", "link", "name")
    audio, names = beside.sound.audio, beside.names
    heard = [w for w in beside.wrong if w.id in audio]
    kept = [w for w in heard if w.id in places]
    rows = [(w, audio[w.id], places[w.id], *names[w.run]) for w in kept]
    shown = [dict(zip(heads, row, strict=True)) for row in rows]
    if len(kept) == len(heard):
        return shown, []
    lost = count(len(heard) - len(kept), "utterance")
    problem = (
        f"{lost} of {len(beside.wrong)} that were to be heard have no player: the "
        f"table of utterances has no room for them. {FEWER}."
    )
    return shown, [problem]
