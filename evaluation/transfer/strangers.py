"""Whether people and waveforms that are to be tested were trained on.

Speakers are told apart by name within their corpus. Waveforms of training speakers are
known as long as the cache lists the corpus that was trained on.
"""

from collections.abc import Sequence

from contracts.cache import Cache
from contracts.errors import RunError, listing
from contracts.run import Run
from contracts.view import View


def strangers(
    run: Run,
    folds: Sequence[int],
    cache: Cache,
    view: View,
    drop_duplicates: bool,
) -> tuple[View, list[tuple[str, int]]]:
    """Refuse people and waveforms that were trained on; leave out the nameless.

    Args:
        run: finished
        folds: whose models are asked
        cache: lists the corpora
        view: what is to be tested
        drop_duplicates: leave out waveforms that were trained on, instead of refusing

    Returns:
        who can be tested, and ``(why, count)`` of utterances left out

    Raises:
        RunError: if a speaker or a waveform was trained on, or nobody is left
    """
    heard = trained_speakers(run, folds)
    named = (view.speakers != "").astype(bool)
    refused = [("speaker unknown", int((~named).sum()))] if not named.all() else []
    view = view.take(named)
    known = sorted(set(view.speakers) & heard)
    if known:
        msg = (
            f"run {run.run_id} was trained on {len(known)} of the "
            f"{len(set(view.speakers))} test speakers ({listing(known)}): expected "
            "people that it never heard. Its own test speakers are in its own scores, "
            "see: python pipeline.py runs"
        )
        raise RunError(msg)
    waveforms = _trained_waveforms(run, cache, heard)
    again = view.manifest["waveform"].isin(waveforms).to_numpy()
    if again.any() and not drop_duplicates:
        who = f"{listing(view.ids[again])}"
        msg = (
            f"run {run.run_id} was trained on {again.sum()} of the {len(view)} test "
            f"waveforms, under other names ({who}): expected none. Leave them out with "
            "--drop-duplicates"
        )
        raise RunError(msg)
    if again.any():
        why = f"waveform was trained on: {listing(view.ids[again])}"
        refused.append((why, int(again.sum())))
    if again.all():
        msg = (
            f"nothing of {listing(view.cards)} can be tested: expected utterances of "
            f"known speakers that run {run.run_id} was not trained on, got none. "
            "Choose another with --corpus NAME"
        )
        raise RunError(msg)
    return view.take(~again), refused


def trained_speakers(run: Run, folds: Sequence[int]) -> set[str]:
    """Return train and dev speakers of some folds of a run."""
    chosen = [f for f in run.record["folds"] if f["index"] in set(folds)]
    return {
        s for f in chosen for s in (*f["train_speakers"], *f["dev_speakers"]) if s != ""
    }


def _trained_waveforms(run: Run, cache: Cache, speakers: set[str]) -> set[str]:
    """Return what training speakers said, of corpora that the cache still lists."""
    out: set[str] = set()
    for corpus in set(run.record["corpus"].split("+")) & set(cache.corpora):
        rows = cache.manifest(corpus).rows
        out |= set(rows["waveform"][rows["speaker"].isin(speakers)])
    return out - {""}
