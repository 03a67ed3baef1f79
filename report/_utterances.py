"""The test utterances of every run, small enough to lie inside the page.

What runs share is written once: ids and speakers for the whole page, the order of the
utterances and their labels for all runs that were tested on the same. Numbers are
packed as little-endian integers in base64, probabilities as 16 or 8 bits of [0, 1];
what the model said is written beside them, so that rounding never changes it. Where
that is more than a page should hold, ``_budget`` chooses, and what is not there is
said of the whole and of each run.
"""

import base64
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from contracts.run import Run
from contracts.terminal import count
from evaluation.measures.metrics import label_codes
from report._budget import (
    BUDGET,
    ERRORS,
    FEW,
    ROUNDED,
    SOME,
    WHOLE,
    Part,
    Tested,
    choose,
)

FEWER = (
    "A page of fewer runs holds more of each: python pipeline.py report --runs DIR, "
    "where DIR holds only the folders of those runs"
)
FULL = 65535  # probability 1, and the code of a label that is not known
_KINDS = {1: "<u1", 2: "<u2"}  # bytes -> how a number is written


def pack(
    runs: Sequence[Run],
    names: Mapping[str, tuple[str, str]],
    budget: int = BUDGET,
) -> dict[str, Any]:
    """Pack the original test utterances of runs.

    Args:
        runs: in the order in which they are to be offered, of each group the best first
        names: run id -> the fragment that links to it, and what a reader calls it
        budget: characters that the table should not exceed

    Returns:
        ``ids``, ``speakers``, ``speaker`` (a code per id), ``sets`` (``index`` into the
        ids and ``truth`` per utterance), ``runs``, and ``left`` (what is not there, in
        words; empty: nothing), ready for JSON
    """
    places: dict[str, int] = {}
    speaker_of: list[str] = []
    sets: dict[tuple[bytes, bytes], int] = {}
    tested = [_tested(run, places, speaker_of, sets) for run in runs]
    ids = np.array([len(data_block(one)) + 6 for one in places], np.int64)
    heads = [_head(run, names[run.run_id]) for run in runs]
    sizes = [len(data_block(head)) + 400 for head in heads]
    room = budget - len(data_block(sorted(set(speaker_of))))
    parts = choose(tested, ids, sizes, _best_first(runs), room)
    kept = np.zeros(len(places), bool)
    rows: dict[int, NDArray[np.bool_]] = {}
    for one, part in zip(tested, parts, strict=True):
        kept[one.index[part.rows]] = True
        rows[one.group] = rows.get(one.group, False) | part.rows
    first = {one.group: one for one in reversed(tested)}
    moved = np.cumsum(kept) - 1
    speakers = sorted({s for s, there in zip(speaker_of, kept, strict=True) if there})
    code = {name: i for i, name in enumerate(speakers)}
    return {
        "ids": [one for one, there in zip(places, kept, strict=True) if there],
        "speakers": speakers,
        "speaker": [code[s] for s, k in zip(speaker_of, kept, strict=True) if k],
        "sets": [
            {
                "index": _text(moved[first[i].index[rows[i]]], "<u4"),
                "truth": _text(first[i].truth[rows[i]], "<u2"),
            }
            for i in range(len(sets))
        ],
        "runs": [
            head | _packed(one, part, rows[one.group])
            for head, one, part in zip(heads, tested, parts, strict=True)
        ],
        "left": _left(parts, budget),
    }


def _tested(
    run: Run,
    places: dict[str, int],
    speaker_of: list[str],
    sets: dict[tuple[bytes, bytes], int],
) -> Tested:
    """Read a run, and note ids, speakers and sets of utterances that are new."""
    rows = run.predictions
    chosen = (rows["variant"] == "").to_numpy()
    rows, shares = rows[chosen], run.probabilities[chosen]
    order = np.argsort(rows["id"].to_numpy(object).astype(str), kind="stable")
    rows, shares = rows.iloc[order], shares[order]
    for one, speaker in zip(rows["id"], rows["speaker"], strict=True):
        if places.setdefault(str(one), len(places)) == len(speaker_of):
            speaker_of.append(str(speaker))
    index = np.array([places[str(i)] for i in rows["id"]], np.int64)
    truth = label_codes(rows["label"].to_numpy(object), run.classes)
    known = np.isfinite(shares).all(axis=1)
    said = np.full(len(rows), -1)
    said[known] = shares[known].argmax(axis=1)
    group = sets.setdefault((index.tobytes(), truth.tobytes()), len(sets))
    return Tested(group, index, truth, said, shares)


def _head(run: Run, told: tuple[str, str]) -> dict[str, Any]:
    link, name = told
    return {"link": link, "name": name, "labels": list(run.classes)}


def _best_first(runs: Sequence[Run]) -> list[int]:
    """Let the boxes of a page take turns, each with its next run."""
    turns: list[int] = []
    seen: Counter[tuple[str, ...]] = Counter()
    for run in runs:
        record = run.record
        labels, plan = record["labels"]["hash"], record["protocol"]["name"]
        box = record["corpus"], labels, plan
        turns.append(seen[box])
        seen[box] += 1
    return sorted(range(len(runs)), key=lambda i: (turns[i], i))


def _packed(one: Tested, part: Part, of_set: NDArray[np.bool_]) -> dict[str, Any]:
    """Pack what is kept of a run, over those utterances that its set keeps."""
    n_labels = one.shares.shape[1]
    kind = _KINDS[part.said_bytes(n_labels)]
    top = 2 ** (8 * part.bytes) - 1
    shares = np.round(np.clip(one.shares[part.shares], 0, 1) * top)
    out: dict[str, Any] = {
        "set": one.group,
        "bytes": part.bytes,
        "said": _text(one.said[part.rows], kind),
        "p": _text(shares, _KINDS[part.bytes]),
        "n": len(one.index),
        "part": _told(one, part),
    }
    if not part.rows[of_set].all():
        out["rows"] = _bits(part.rows[of_set])
    if not part.shares[part.rows].all():
        out["with"] = _bits(part.shares[part.rows])
    return out


def _told(one: Tested, part: Part) -> str:
    """Say what is not there of a run; empty: nothing."""
    if len(one.said) and (one.said < 0).all():
        return "This run says traits, and no labels: it has no probabilities."
    wrong, n = count(part.n_wrong, "error"), int(part.shares.sum())
    some = f"the {n:,} surest of its {wrong}, each true label in turn"
    rounded = "Probabilities are rounded to whole percents"
    return {
        WHOLE: "",
        ROUNDED: f"{rounded}.",
        ERRORS: f"{rounded}, and there for its {wrong} alone; what was said is there "
        "for all.",
        SOME: f"{rounded}, and there for {some}; what was said is there for all.",
        FEW: f"{rounded}. Of {count(len(one.index), 'utterance')} the page holds "
        f"{some}: filters and cells of the matrix see these alone.",
    }[part.step]


def _left(parts: Sequence[Part], budget: int) -> str:
    """Say what is not there of the whole table; empty: nothing."""
    steps = [part.step for part in parts]
    if all(step == WHOLE for step in steps):
        return ""
    words = {
        WHOLE: "complete",
        ROUNDED: "with probabilities in whole percents",
        ERRORS: "with probabilities of errors alone",
        SOME: "with probabilities of the surest errors alone",
        FEW: "with the surest errors alone",
    }
    told = [
        f"{count(steps.count(step), 'run')} {said}"
        for step, said in words.items()
        if step in steps
    ]
    return (
        f"Not everything fits into the {budget / 1e6:.2g} MB that this table may take: "
        f"{', '.join(told)}; the first of each box keep most. Every number above is of "
        f"all utterances. {FEWER}. All of a run is in its folder, in "
        "folds/*/predictions.parquet."
    )


def _text(values: NDArray[Any], kind: str) -> str:
    """Write numbers in base64; -1 becomes the largest of its kind."""
    return base64.b64encode(values.astype(np.int64).astype(kind).tobytes()).decode()


def _bits(mask: NDArray[np.bool_]) -> str:
    """Write which are there, the first in the lowest bit of the first byte."""
    return base64.b64encode(np.packbits(mask, bitorder="little").tobytes()).decode()


def data_block(value: object) -> Markup:
    """Write JSON that can stand inside a ``script`` element.

    No sign of it can end the element or begin a comment: ``<``, ``>`` and ``&`` are
    written as escapes, which JSON reads back as they were.
    """
    told = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        told = told.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(told)
