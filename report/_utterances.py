"""Every test utterance of every run, small enough to lie inside the page.

What runs share is written once: ids and speakers for the whole page, the order of the
utterances and their labels for all runs that were tested on the same. Numbers are
packed as little-endian integers in base64, probabilities as 16 bits of [0, 1]; what
the model said is written beside them, so that rounding never changes it.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from contracts.run import Run

FULL = 65535  # probability 1, and the code of a label that is not known


def pack(runs: Sequence[Run], names: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Pack the original test utterances of runs.

    Args:
        runs: in the order in which they are to be offered
        names: run id -> the fragment that links to it, and what a reader calls it

    Returns:
        ``ids``, ``speakers``, ``speaker`` (a code per id), ``sets`` (``index`` into the
        ids and ``truth`` per utterance) and ``runs``, ready for JSON
    """
    places: dict[str, int] = {}
    speaker_of: list[str] = []
    sets: dict[tuple[bytes, bytes], int] = {}
    packed = []
    for run in runs:
        rows = run.predictions
        chosen = (rows["variant"] == "").to_numpy()
        rows, shares = rows[chosen], run.probabilities[chosen]
        order = np.argsort(rows["id"].to_numpy(object).astype(str), kind="stable")
        rows, shares = rows.iloc[order], shares[order]
        for one, speaker in zip(rows["id"], rows["speaker"], strict=True):
            if places.setdefault(str(one), len(places)) == len(speaker_of):
                speaker_of.append(str(speaker))
        codes = {label: i for i, label in enumerate(run.classes)}
        key = (
            np.array([places[str(i)] for i in rows["id"]], "<u4").tobytes(),
            np.array([codes.get(t, FULL) for t in rows["label"]], "<u2").tobytes(),
        )
        link, name = names[run.run_id]
        packed.append(
            {
                "link": link,
                "name": name,
                "labels": list(run.classes),
                "set": sets.setdefault(key, len(sets)),
                "said": _text(_said(shares).astype("<u2").tobytes()),
                "p": _text(_shares(shares)),
            }
        )
    speakers = sorted(set(speaker_of))
    code = {name: i for i, name in enumerate(speakers)}
    return {
        "ids": list(places),
        "speakers": speakers,
        "speaker": [code[s] for s in speaker_of],
        "sets": [{"index": _text(i), "truth": _text(t)} for i, t in sets],
        "runs": packed,
    }


def _said(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    return shares.argmax(axis=1) if len(shares) else np.zeros(0, np.int64)


def _shares(shares: NDArray[np.float64]) -> bytes:
    known = np.nan_to_num(np.clip(shares, 0, 1))
    return np.round(known * FULL).astype("<u2").tobytes()


def _text(packed: bytes) -> str:
    return base64.b64encode(packed).decode("ascii")


def data_block(value: object) -> Markup:
    """Write JSON that can stand inside a ``script`` element.

    No sign of it can end the element or begin a comment: ``<``, ``>`` and ``&`` are
    written as escapes, which JSON reads back as they were.
    """
    told = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        told = told.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(told)
