"""Protocols that any corpus can be parted by."""

import hashlib
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.view import View
from evaluation.splits.parting import (
    Part,
    Protocol,
    five_by_speaker,
    leave_one_session_out,
    leave_one_speaker_out,
    rows_with,
)

HELD_OUT = "Dev: one fifth of the training speakers, balanced by sex."
N_RANDOM = 5  # folds of random-kfold; its dev is one part of as many of train


def _predefined(view: View) -> Iterator[Part]:
    split = view.manifest["split"].to_numpy(object)
    train, dev, test = (rows_with(split, [p]) for p in ("train", "dev", "test"))
    yield Part("the corpus' own split", train, dev, test)


def _random_kfold(view: View) -> Iterator[Part]:
    """Part recordings whoever speaks, each label alike; copies stay together.

    The order is that of a hash over the waveform, which no machine changes.
    """
    drawn = _groups(view)
    fold = _dealt(drawn, np.ones(len(drawn), bool), "test")
    for i in range(N_RANDOM):
        dev = _dealt(drawn, fold != i, f"dev {i}") == 0
        test = fold == i
        rows = (np.flatnonzero(r) for r in (~test & ~dev, dev, test))
        yield Part(f"random part {i + 1} of {N_RANDOM}", *rows)


def _groups(view: View) -> pd.DataFrame:
    """Return ``key`` and ``label`` of each utterance; copies share the first's."""
    rows = view.manifest
    key = rows["waveform"].where(rows["waveform"] != "", rows["id"])
    return pd.DataFrame(
        {"key": key, "label": rows["label"].groupby(key).transform("first")}
    )


def _dealt(
    drawn: pd.DataFrame, among: NDArray[np.bool_], purpose: str
) -> NDArray[np.int64]:
    """Deal recordings in turn into parts, label by label; -1: not among them."""
    out = np.full(len(drawn), -1, np.int64)
    for label in sorted(set(drawn["label"][among])):
        chosen = among & (drawn["label"] == label).to_numpy()
        keys = sorted(
            set(drawn["key"][chosen]),
            key=lambda k: hashlib.sha256(f"{purpose} {k}".encode()).hexdigest(),
        )
        place = {k: i % N_RANDOM for i, k in enumerate(keys)}
        out[chosen] = drawn["key"][chosen].map(place)
    return out


GENERAL = (
    Protocol("loso", "leave one speaker out", leave_one_speaker_out, note=HELD_OUT),
    Protocol(
        "speakers-5fold",
        "five folds by speaker, balanced by sex",
        five_by_speaker,
        note=HELD_OUT,
    ),
    Protocol(
        "predefined",
        "the partition that the corpus brings (column split)",
        _predefined,
        needs=("speaker", "split"),
        note="Refused where the partition shares speakers between its parts.",
        as_published="train, dev and test are the corpus' own",
        tests_all=False,
    ),
    Protocol(
        "sessions",
        "leave one session out",
        leave_one_session_out,
        needs=("speaker", "session"),
        note=HELD_OUT,
    ),
    Protocol(
        "random-kfold",
        "speaker-dependent: five random folds, the same speakers in train and test",
        _random_kfold,
        needs=(),
        breaks=("speaker",),
        note="Speaker-dependent: on RAVDESS such folds add 7 to 13 points of UAR to "
        "what new speakers give. Copies of a recording stay on one side.",
        differs="nobody's list of files: papers that part at random publish none, so "
        "no such number can be made again exactly",
    ),
)
