"""The table of heads for a README: ours beside what others published.

One row for each head and input that has a finished run under one protocol and label
map, by name of the head and then from the best down. A run that is not the whole
experiment says so in the row: an encoder with random weights, some of the folds, a
limited corpus, fewer epochs than the head has by default.

It stands between two comment lines, and is made again from the runs, never by hand.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from contracts import plugins
from contracts.errors import RunError, listing
from contracts.published import Published
from contracts.run import Run
from report.results import results
from serve._differences import Row, defaults, differences, plain

BEGIN, END = "<!-- heads -->", "<!-- /heads -->"
NOTHING = "–"
COLUMNS = (
    "head",
    "input",
    "ours: UAR %",
    "published",
    "its protocol",
    "why they differ",
)


def heads_table(runs: Iterable[Run], corpus: str, protocol: str, labels: str) -> str:
    """Lay out finished runs and published figures in Markdown.

    Args:
        runs: finished runs, in any order
        corpus: whose runs are shown, and whose published figures come first
        protocol: name
        labels: name of the label map

    Returns:
        a sentence on what is shown, and the table

    Raises:
        RunError: if there is no such run
    """
    asked = corpus, labels, protocol
    by_id = {run.run_id: run for run in _chosen(runs, asked)}
    rows = results(by_id.values())
    rows.sort(key=lambda r: (r["model"], r["partial"], -_number(r["uar"])))
    for row in rows:
        row["encoders"] = _encoders(by_id[row["runs"][0]])
    named = [(row, *_named(row)) for row in rows]
    most: dict[tuple[str, str], int] = {}
    for row, name, heard in named:
        most[name, heard] = max(len(row["seeds"]), most.get((name, heard), 0))
    lines, left_out = [_line(COLUMNS), _line(["---"] * len(COLUMNS))], []
    before = why = ""
    for row, name, heard in named:
        if len(row["seeds"]) < most[name, heard]:
            left_out += [f"`{run}`" for run in row["runs"]]
            continue
        published = _told(row, asked)
        shown = list(published)
        if row["model"] == before:
            shown = ["see above", "", "" if published[2] == why else published[2]]
        lines.append(_line([name, heard, _ours(row), *shown]))
        before, why = row["model"], published[2]
    out = f"{_about(rows, asked)}\n\n" + "\n".join(lines) + "\n"
    if left_out:
        out += "\nLeft out, as there are more seeds of the same head on the same "
        out += f"input: {listing(left_out, 100)}.\n"
    return out


def _chosen(runs: Iterable[Run], asked: tuple[str, str, str]) -> list[Run]:
    """Choose the runs of a corpus, label map and protocol; refuse none at all."""
    found = list(runs)
    kinds = [
        (run.record["corpus"], run.record["labels"]["name"], _protocol(run))
        for run in found
    ]
    if asked not in kinds:
        corpus, labels, protocol = asked
        got = listing(map("/".join, sorted(set(kinds)))) or "none"
        msg = (
            f"no finished run of corpus {corpus}, labels {labels}, protocol "
            f"{protocol}: expected some, got {got}. Run: python pipeline.py fit "
            f"--model random_forest --corpus {corpus} --labels {labels} "
            f"--protocol {protocol}"
        )
        raise RunError(msg)
    return [run for run, kind in zip(found, kinds, strict=True) if kind == asked]


def put(text: str, table: str, path: Path) -> str:
    """Return a document with the table between its two comment lines.

    Args:
        text: of the document
        table: in Markdown
        path: of the document, for the message

    Raises:
        RunError: if the two lines are not there once each, in their order
    """
    n = text.count(BEGIN), text.count(END)
    if n != (1, 1) or text.index(BEGIN) > text.index(END):
        msg = (
            f"{path} has no one place for the table: expected a line {BEGIN} and below "
            f"it a line {END}, got {n[0]} and {n[1]} of them. Put both in"
        )
        raise RunError(msg)
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table}{END}{rest.partition(END)[2]}"


def _protocol(run: Run) -> str:
    return str(run.record["protocol"]["name"])


def _number(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def _about(rows: Sequence[Row], asked: tuple[str, str, str]) -> str:
    """Say what all rows share, and what the numbers mean."""
    corpus, labels, protocol = asked
    chance = _percent(rows[0]["chance"])
    return (
        f"`{corpus}` under `{protocol}`, labels `{labels}`, chance {chance}. Ours is "
        "the UAR over all folds together, mean over seeds; in brackets its 95 % "
        "interval over speakers; then the range over folds of all seeds and, where "
        "there are several seeds, the deviation over them."
    )


def _named(row: Row) -> tuple[str, str]:
    """Write head and input: what a row is known by."""
    short, settings = _shortcomings(row), _settings(row)
    name = f"`{row['model']}`" + (f" ({settings})" if settings else "")
    name += f"<br>**{'; '.join(short)}**" if short else ""
    heard = "+".join(row["features"]) or "nothing"
    if row["augmented"]:
        heard += f", with {' '.join(row['augmented'])}"
    if row["encoders"]:
        heard += f"<br>{listing(row['encoders'])}"
    return name, heard


def _encoders(run: Run) -> list[str]:
    """Return the encoders that a run's features are of."""
    told = [Path(f.get("encoder") or "") for f in run.record["features"]]
    named = {path.name if path.is_absolute() else str(path) for path in told}
    return sorted(named - {"."})


def _told(row: Row, asked: tuple[str, str, str]) -> list[str]:
    """Write what others published with a head, and why it is not ours."""
    known = _published(row["model"], asked[0])
    if not known:
        return ["nobody published it", "", ""]
    sources = "; ".join(dict.fromkeys(p.source for _, p in known))
    return [
        f"{_numbered([p.number for _, p in known])}<br>({sources})",
        _numbered([p.protocol for _, p in known]),
        _numbered(["; ".join(differences(p, row, asked, place)) for place, p in known]),
    ]


def _ours(row: Row) -> str:
    """Write UAR, its interval, and how folds and seeds spread."""
    out = f"**{_percent(row['uar'])}**"
    sure = row["interval"]
    if not math.isnan(sure.low):
        out += f" [{_percent(sure.low)}, {_percent(sure.high)}]"
    if row["n_folds"] > 1:
        low, high = _percent(row["fold_min"]), _percent(row["fold_max"])
        out += f"<br>{row['n_folds']} folds {low} to {high}"
    seeds = listing(row["seeds"])
    if len(row["seeds"]) > 1:
        return f"{out}<br>{len(row['seeds'])} seeds ± {_percent(row['seed_sd'])}"
    return f"{out}<br>seed {seeds}, {row['n_speakers']} speakers"


def _shortcomings(row: Row) -> list[str]:
    """Say why a row is not the experiment that was published or asked for."""
    out = [str(warning) for warning in row["warnings"]]
    asked = row["settings"].get("max_epochs")
    usual = defaults(row["model"]).get("max_epochs")
    if asked is not None and usual is not None and asked < usual:
        out.append(f"budgeted: {asked} of {usual} epochs")
    return out


def _settings(row: Row) -> str:
    """Write the settings that are not the head's own, but for those told elsewhere."""
    usual = defaults(row["model"])
    return ", ".join(
        f"{key}={value}"
        for key, value in sorted(row["settings"].items())
        if key in usual
        and key not in ("features", "seed", "device", "max_epochs")
        and plain(value) != plain(usual[key])
    )


def _published(model: str, corpus: str) -> list[tuple[str, Published]]:
    """Return what others published on this corpus; where nobody did, on any.

    With its place, as ``published_rows.Row.entry`` has it.
    """
    if model not in plugins.names("models"):
        return []
    told: Sequence[Published] = getattr(plugins.load("models", model), "PUBLISHED", ())
    placed = [(f"{model}:{i}", one) for i, one in enumerate(told)]
    name = corpus.replace("_", "-").lower()
    here = [(place, p) for place, p in placed if name in p.protocol.lower()]
    return here or placed


def _numbered(told: Sequence[str]) -> str:
    """Join sentences, numbered where they differ from each other."""
    if len(set(told)) <= 1:
        return told[0]
    return "<br>".join(f"{i}. {one}" for i, one in enumerate(told, start=1))


def _percent(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{100 * value:.1f}"


def _line(cells: Sequence[str]) -> str:
    """Write a row; what would end a cell is escaped."""
    whole = (c.replace("|", "\\|").replace("\n", " ") for c in cells)
    return f"| {' | '.join(whole)} |"
