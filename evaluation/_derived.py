"""Runs that no fit has made: what fitted heads or other programs say, kept as one."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from contracts.manifest import manifest_hash
from contracts.run import Run, RunWriter, command, machine, versions
from contracts.view import View

NOTHING_LEARNT = {
    "train_speakers": [],
    "dev_speakers": [],
    "n_train": 0,
    "n_dev": 0,
    "refitted": False,
    "learnt": {},
    "chosen": {},
}


def keep(
    runs: Path,
    settings: Mapping[str, Any],
    folds: Sequence[tuple[Mapping[str, Any], pd.DataFrame]],
) -> Run:
    """Write a run without models; one that is there is replaced.

    What it was made from may have been fitted again since.

    Args:
        runs: folder of all runs
        settings: what its identity is made of, as ``experiment.settings_of`` has it
        folds: the facts of each fold and its prediction rows

    Raises:
        RunError: if another process is writing the same run
    """
    writer = RunWriter(runs, settings)
    with writer.begin(rerun=True):
        for facts, rows in folds:
            writer.save_fold(facts, rows.reset_index(drop=True), [], lambda _: None)
        return writer.finish()


def to_be_said(folds: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return of what models learnt the words that go with every number of theirs.

    Of a warning ``Run.warnings`` has what stands before a colon: there is one kind.

    Args:
        folds: facts of the folds whose models they are
    """
    out = {}
    for key in ("network", "warning"):
        told = dict.fromkeys(f["learnt"].get(key, "") for f in folds)
        if words := "; ".join(word for word in told if word):
            out[key] = words
    return out


def test_facts(view: View, name: str) -> dict[str, Any]:
    """Return the facts of the one fold in which every utterance is tested.

    Args:
        view: all that is tested
        name: of the fold
    """
    speakers = sorted(set(view.speakers))
    return NOTHING_LEARNT | {
        "index": 0,
        "name": name,
        "test_speakers": speakers,
        "n_test": len(view),
        "n_unused": 0,
        "seconds": 0.0,
    }


def view_facts(view: View) -> dict[str, Any]:
    """Return what a record says of utterances that are all tested, in one fold."""
    cards = view.cards.items()
    return {
        "corpus": "+".join(view.cards),
        "partial": False,
        "folds_asked": [0],
        "manifest": {
            "hash": manifest_hash(view.manifest),
            "n_utterances": len(view),
            "n_speakers": len(set(view.speakers)),
        },
        "limited": {c: list(x["limited"]) for c, x in cards if x.get("limited")},
        "left_out": [list(x) for x in view.left_out],
        "versions": versions(),
        "machine": machine(),
        "command": command(),
    }
