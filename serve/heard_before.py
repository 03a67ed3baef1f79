"""Which files to be predicted a run was trained on, told by their waveforms.

A run knows its speakers, and the cache the waveforms of each as long as it lists the
run's corpus. Of a corpus that it does not list, nothing is known and nothing said.
"""

from collections.abc import Sequence

import pandas as pd

from contracts.cache import Cache
from contracts.errors import listing
from contracts.run import Run
from evaluation.transfer.strangers import trained_speakers
from serve.predict import Predictions


def heard_before(run: Run, told: Predictions, cache: Cache) -> str:
    """Warn of files that were trained on; empty if there are none.

    Args:
        run: that was asked
        told: what it said, with the files' waveforms and the folds that were asked
        cache: may list the run's corpora

    Returns:
        one sentence with how many there are, some of their names, and a fold whose
        model did not hear any of them, if there is one
    """
    listed = sorted(set(run.record["corpus"].split("+")) & set(cache.corpora))
    there = [cache.manifest(corpus).rows for corpus in listed]
    trained = {i: _trained(run, i, there) for i in _folds(run)}
    asked = set().union(*(trained[i] for i in told.models))
    pairs = zip(told.files, told.waveforms, strict=True)
    again = [(file, waveform) for file, waveform in pairs if waveform in asked]
    if not again:
        return ""
    waveforms = [waveform for _, waveform in again]
    free = [i for i, heard in trained.items() if heard.isdisjoint(waveforms)]
    other = f"Ask a model that did not hear them: --fold {free[0]}. " if free else ""
    named = listing((file for file, _ in again), 5)
    return (
        f"run {run.run_id} was trained on the speakers of {len(again)} of "
        f"{len(told.files)} files, and its corpus holds these very recordings: what it "
        f"says of them is optimistic ({named}). {other}Its scores on people it did not "
        "hear: python pipeline.py runs"
    )


def _folds(run: Run) -> list[int]:
    return [fold["index"] for fold in run.record["folds"]]


def _trained(run: Run, fold: int, manifests: Sequence[pd.DataFrame]) -> set[str]:
    """Return waveforms of a fold's training speakers, but for those it tested."""
    speakers = trained_speakers(run, [fold])
    rows = run.predictions
    tested = set(rows["id"][rows["fold"] == fold])
    out: set[str] = set()
    for there in manifests:
        heard = there["speaker"].isin(speakers) & ~there["id"].isin(tested)
        out |= set(there["waveform"][heard])
    return out - {""}
