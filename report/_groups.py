"""The first screen: what was asked, the ranking, and what can be told apart."""

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.run import Run
from contracts.terminal import count
from evaluation.statistics.uncertainty import MIN_SPEAKERS, per_speaker
from report._cautions import careful
from report._ranking import ranking, row_name
from report._scores import has_other_speakers
from report._traits import asked_of_traits, told_of_traits, traits_picture
from report._verdicts import Verdicts, verdicts
from report._words import ends, percent


def groups(
    rows: Sequence[dict[str, Any]], runs: Mapping[str, Run], baseline: str = ""
) -> list[dict[str, Any]]:
    """Put the rows that may be compared together, the largest group first.

    Groups of runs that say traits alone come last.

    Args:
        rows: as ``results`` returns them
        runs: by their ids
        baseline: head or run that each row is compared with; empty: the best one
    """
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["group"], []).append(row)
    ordered = sorted(found.items(), key=lambda item: _place(item[1]))
    return [_group(key, members, runs, baseline) for key, members in ordered]


def _place(rows: Sequence[Mapping[str, Any]]) -> tuple[bool, int]:
    return not rows[0]["says_labels"], -len(rows)


def _group(
    key: tuple[str, ...],
    rows: Sequence[dict[str, Any]],
    runs: Mapping[str, Run],
    baseline: str,
) -> dict[str, Any]:
    corpus, labels, _, protocol = key
    labelled = rows[0]["says_labels"]
    told = verdicts(rows, runs, baseline) if labelled else Verdicts()
    members = [
        {
            **row,
            "name": row_name(row),
            "verdict": told.word(row["runs"][0]),
            "paired": told.pairs.get(row["runs"][0]),
            "speaker_uars": _speakers([runs[i] for i in row["runs"]])
            if labelled
            else {},
        }
        for row in rows
    ]
    return {
        "corpus": corpus,
        "labels": labels,
        "protocol": protocol,
        "title": runs[rows[0]["runs"][0]].record["protocol"]["title"],
        "says_labels": labelled,
        "chance": rows[0]["chance"],
        "n_labels": round(1 / rows[0]["chance"]),
        "rows": members,
        "picture": ranking(members) if labelled else traits_picture(members),
        "asked": _asked(members, protocol) if labelled else asked_of_traits(members),
        "told": _told(members, told) if labelled else told_of_traits(members),
        "careful": careful(rows, [runs[i] for r in rows for i in r["runs"]]),
        "has_interval": any(r["interval"].low == r["interval"].low for r in rows),
        "has_speakers": any(r["speaker_uars"] for r in members),
    }


def _speakers(runs: Sequence[Run]) -> dict[str, float]:
    """Return the UAR of each test speaker where they are too few for an interval."""
    if has_other_speakers(runs):
        return {}
    each = per_speaker(runs)
    return each if len(each) < MIN_SPEAKERS and "" not in each else {}


def _asked(rows: Sequence[Mapping[str, Any]], protocol: str) -> str:
    first = rows[0]
    heads = len({r["model"] for r in rows})
    n, labels = max(r["n_utterances"] for r in rows), round(1 / first["chance"])
    speakers = max(r["n_speakers"] for r in rows)
    new = (
        "on speakers it has met in training"
        if first["breaks"]
        else ("on speakers it has never heard")
    )
    what = f"{count(labels, 'emotion')} of {first['corpus']} apart"
    question = (
        f"Which of {heads} heads best tells {what}, {new}?"
        if heads > 1
        else f"How well does {first['model']} tell {what}, {new}?"
    )
    size = f"{n:,} utterances of {count(speakers, 'speaker')}"
    return f"{question} Tested on {size}."


def _told(rows: Sequence[Mapping[str, Any]], told: Verdicts) -> list[tuple[str, str]]:
    """Say in a few lines what the numbers allow one to say."""
    best = rows[0]
    sure = ends(best["interval"])
    words = f"{best['name']}: {percent(best['uar'])} %"
    words += f" ({sure})" if sure != "–" else ""
    out = [("First" if len(rows) > 1 else "Result", words)]
    if sure == "–" and best["interval"].note:
        out.append(("No interval", best["interval"].note))
    names = {r["runs"][0]: r["name"] for r in rows}
    return out + told.lines(names)
