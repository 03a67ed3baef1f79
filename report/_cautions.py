"""What a reader must know before comparing the numbers of a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.errors import listing
from contracts.run import Run
from contracts.terminal import count
from evaluation.splits.conformity import OURS, of_run
from evaluation.splits.protocols import PROTOCOLS

FEW_SPEAKERS = 8


def cautions(
    rows: Sequence[Mapping[str, Any]], runs: Sequence[Run]
) -> list[tuple[str, str]]:
    """Return title and sentence of every caution that these runs call for.

    Args:
        rows: as ``results`` returns them
        runs: what the rows were made from
    """
    return careful(rows, runs) + _always(rows)


def careful(
    rows: Sequence[Mapping[str, Any]], runs: Sequence[Run]
) -> list[tuple[str, str]]:
    """Return the cautions that not every page has to give."""
    out = []
    if untrained := [r for r in rows if r["untrained"]]:
        out.append(
            (
                "Untrained encoder",
                f"{count(len(untrained), 'row')} ({_models(untrained)}) used an "
                "encoder with random weights. Such a number says nothing about "
                "pretrained features; it only shows that the program runs.",
            )
        )
    if partial := [r for r in rows if r["partial"]]:
        out.append(
            (
                "Partial runs",
                f"{count(len(partial), 'row')} ({_models(partial)}) did not run every "
                "fold, or rest on a limited corpus. Such a run is tested on fewer "
                "utterances than the others, so it has no rank.",
            )
        )
    if broken := sorted({b for r in rows for b in r["breaks"]}):
        named = sorted({r["protocol"] for r in rows if r["breaks"]})
        out.append(
            (
                "Protocol breaks",
                f"Protocol {listing(named)} breaks: {listing(broken)}. The model may "
                "have met in training what it is tested on: expect less on new "
                "speakers.",
            )
        )
    told = {
        str(fold["learnt"]["warning"])
        for run in runs
        for fold in run.record["folds"]
        if fold["learnt"].get("warning")
    }
    out += [("Transductive", sentence) for sentence in sorted(told)]
    out += _conformity(runs)
    return out + _small(rows) + _lost(rows, runs)


def _conformity(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Say what of a published protocol is kept, and whose corpus has few speakers."""
    told = [(run, of_run(run, PROTOCOLS)) for run in runs]
    boxes: dict[str, set[str]] = {}
    for run, facts in told:
        if facts["line"] not in ("", OURS):
            boxes.setdefault(facts["line"], set()).add(_box(run.record))
    lines = [f"{listing(sorted(b))}: {line}." for line, b in boxes.items()]
    few = {sentence for _, facts in told for sentence in facts["cautions"]}
    return [("Protocol and its source", line) for line in sorted(lines)] + [
        ("Corpus of few speakers", f"{sentence}.") for sentence in sorted(few)
    ]


def _box(record: Mapping[str, Any]) -> str:
    """Name the box of the page that a run stands in, as its heading does."""
    labels, protocol = record["labels"]["name"], record["protocol"]["name"]
    return f"{record['corpus']} · {labels} · {protocol}"


def _models(rows: Sequence[Mapping[str, Any]]) -> str:
    return listing(sorted({r["model"] for r in rows}), 5)


def _small(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Speak of few speakers, few seeds and folds that lack a label."""
    out = []
    few = [r for r in rows if r["n_speakers"] < FEW_SPEAKERS]
    if few:
        least = min(r["n_speakers"] for r in few)
        out.append(
            (
                "Few speakers",
                f"{count(len(few), 'row')} ({_models(few)}) rest on fewer than "
                f"{FEW_SPEAKERS} test speakers (least: {least}). Other speakers may "
                "give quite another number.",
            )
        )
    if lacking := sorted({x for r in rows for x in r["lacking"]}):
        out.append(
            (
                "Folds without a label",
                f"{listing(lacking)}. The UAR of such a fold is a mean over fewer "
                "labels; the pooled UAR is not affected.",
            )
        )
    return out


def _lost(
    rows: Sequence[Mapping[str, Any]], runs: Sequence[Run]
) -> list[tuple[str, str]]:
    """Speak of utterances that were not used, and of unlike sets of utterances."""
    out = []
    left = sum(1 for r in runs if r.record["left_out"] or r.record["refused"])
    if left:
        out.append(
            (
                "Utterances not used",
                f"{count(left, 'run')} could not use every utterance of the corpus. "
                "Each names them and says why under “What was run”.",
            )
        )
    groups: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        groups.setdefault(row["group"], set()).add(row["manifest"])
    if mixed := [
        " / ".join((g[0], g[1], g[3])) for g, m in groups.items() if len(m) > 1
    ]:
        out.append(
            (
                "Not the same utterances",
                f"In {listing(mixed)} the runs rest on different sets of utterances "
                "(their manifests differ), so their ranks compare only roughly.",
            )
        )
    return out


def _always(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    ranked = [r for r in rows if r["says_labels"]]
    apart = "95 %, from drawing the test speakers again, never single utterances. Two "
    apart += "models whose intervals overlap may still differ: "
    out = []
    if ranked:
        spread = (
            "The ± is the standard deviation over folds: how much one group of test "
            "speakers differs from the next. It is no confidence interval."
        )
        out.append(("Spread over folds", spread))
        apart += "the column “Against” compares them on the same utterances."
    else:
        apart += "python pipeline.py compare judges them on the same utterances."
    out.append(("Intervals", apart))
    if len(ranked) > 1:
        out.append(
            (
                "The first of many",
                "The first row of a box is the best of its rows on the very numbers "
                "that are shown, so expect a little less of it on other speakers.",
            )
        )
    if rows and all(len(r["seeds"]) == 1 for r in rows):
        out.append(
            (
                "One seed each",
                "Every model was fitted with one seed. Another seed gives another "
                "number; small differences between rows may be no more than that.",
            )
        )
    return out
