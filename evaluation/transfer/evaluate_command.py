"""The command ``evaluate``: what was fitted, here or by others, on another corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.command import Command, cache_option, runs_option, several
from contracts.errors import EmocacheError
from contracts.terminal import say

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser

    from contracts.run import Run


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "run", nargs="?", metavar="RUN", help="a finished run whose models are tested"
    )
    parser.add_argument(
        "--checkpoint",
        metavar="FOLDER",
        help="a classifier of somebody else instead, folder or hub name, whose "
        "scores the cache has as feature audio_classifier",
    )
    several(parser, "--corpus", "NAME", "corpora in the cache; none: the only one")
    parser.add_argument(
        "--labels",
        metavar="MAP",
        help="label map for the corpora and the models; none: the run's",
    )
    parser.add_argument(
        "--labels-from",
        metavar="TOML",
        help="file that says which name of the checkpoint is which label",
    )
    parser.add_argument(
        "--fold", type=int, metavar="N", help="this fold's model; none: mean of all"
    )
    parser.add_argument(
        "--drop-duplicates",
        action="store_true",
        help="leave out test utterances that were trained on under another name",
    )
    cache_option(parser)
    runs_option(parser)


def evaluate(chosen: Namespace) -> int:
    """Test a run's models, or a checkpoint, on other corpora."""
    from contracts.cache import Cache
    from evaluation.question import choose_corpora
    from evaluation.statistics.run_choice import the_run
    from evaluation.transfer import checkpoints, elsewhere

    _refuse_contradictions(chosen)
    cache = Cache(chosen.cache)
    corpora = choose_corpora(cache, chosen.corpus)
    if chosen.checkpoint:
        run = checkpoints.evaluate(
            *(chosen.checkpoint, cache, corpora, chosen.runs),
            *(chosen.labels, chosen.labels_from),
        )
        said = checkpoints.remarks(run)
    else:
        run = elsewhere.evaluate(
            the_run(chosen.run, chosen.runs),
            *(cache, corpora, chosen.runs, chosen.labels),
            *(chosen.fold, chosen.drop_duplicates),
        )
        said = elsewhere.remarks(run)
    say("\n".join([*said, result(run)]))
    return 0


def _refuse_contradictions(chosen: Namespace) -> None:
    if bool(chosen.run) == bool(chosen.checkpoint):
        msg = (
            "evaluate tests a run or a checkpoint: expected RUN or --checkpoint "
            f"FOLDER, got {'both' if chosen.run else 'neither'}. See: python "
            "pipeline.py runs"
        )
        raise EmocacheError(msg)
    of_runs = [
        flag
        for flag, given in (
            ("--fold", chosen.fold is not None),
            ("--drop-duplicates", chosen.drop_duplicates),
        )
        if given
    ]
    wrong = (
        of_runs if chosen.checkpoint else ["--labels-from"] * bool(chosen.labels_from)
    )
    if wrong:
        what = "a checkpoint" if chosen.checkpoint else "a run"
        msg = f"{' and '.join(wrong)} cannot be asked of {what}: leave it out"
        raise EmocacheError(msg)


def result(run: Run) -> str:
    """Say the scores of a run with their intervals over speakers."""
    from evaluation._fit_text import result_text
    from evaluation.measures.metrics import score_run
    from evaluation.measures.unsaid import unsaid
    from evaluation.statistics.systems import says_labels
    from evaluation.statistics.uncertainty import intervals

    if not says_labels(run):
        return result_text(run)
    told = intervals(run)
    lines = [f"{run.run_id}: {score_run(run).n} utterances"]
    for name in ("uar", "war", "f1"):
        one = told[name]
        span = f" [{one.low:.3f}, {one.high:.3f}]" if one.low == one.low else ""
        lines.append(f"  {name.upper()} {one.value:.3f}{span}")
    if note := told["uar"].note:
        lines.append(f"  {note}")
    lines += [f"  [{warning}]" for warning in (*run.warnings, *unsaid(run))]
    return "\n".join(lines)


EVALUATE = Command(
    "evaluate",
    "Test a fitted run, or somebody else's checkpoint, on another corpus.",
    (
        "python pipeline.py evaluate RUN --corpus emodb --labels common4",
        "python pipeline.py evaluate --checkpoint FOLDER --corpus ravdess",
    ),
    _arguments,
    evaluate,
)
