"""Commands of what leaves the lab: predict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.command import CACHE, Command, device_option, runs_option
from contracts.errors import EmocacheError, listing
from contracts.terminal import say, table, warn
from serve.heads_command import HEADS

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser

    from serve.predict import Predictions


def _predict_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "audio", nargs="+", type=Path, metavar="FILE|FOLDER", help="what to predict"
    )
    parser.add_argument(
        "--run",
        required=True,
        metavar="RUN_ID",
        help="python pipeline.py runs lists them",
    )
    runs_option(parser)
    parser.add_argument(
        "--fold", type=int, metavar="N", help="one fold's model; none: the mean of all"
    )
    parser.add_argument(
        "--encoder",
        metavar="FOLDER",
        help="where the run's encoder lies now, if it moved",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=CACHE,
        metavar="DIR",
        help="tells which files the run was trained on, if it lists the run's corpus",
    )
    device_option(parser)
    parser.add_argument(
        "--enrol",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE|FOLDER",
        help="other speech of the one person who speaks in all files, for a run that "
        "normalises by speaker",
    )
    parser.add_argument(
        "--original-labels",
        action="store_true",
        help="the corpus' own label order; a merged label holds probability 0",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a CSV file")


def predict(chosen: Namespace) -> int:
    """Predict new audio with the models of a run."""
    from contracts.cache import Cache
    from evaluation.statistics.run_choice import the_run
    from serve.heard_before import heard_before
    from serve.predict import find_audio, in_original_labels
    from serve.predict import predict as predict_files

    if chosen.json and chosen.csv:
        msg = "--json and --csv exclude each other: choose one"
        raise EmocacheError(msg)
    files = find_audio(chosen.audio)
    run = the_run(chosen.run, chosen.runs)
    speech = find_audio(chosen.enrol)
    how = chosen.fold, chosen.encoder, chosen.device, speech
    told = predict_files(run, files, *how)
    if chosen.original_labels:
        told = in_original_labels(run, told)
    models = len(told.models)
    whose = (
        f"fold {told.models[0]}" if models == 1 else f"the mean of {models} fold models"
    )
    said = "".join(f" [{w}]" for w in run.warnings)
    warn(f"{run.record['model']} of run {run.run_id}: {whose}{said}")
    if again := heard_before(run, told, Cache(chosen.cache)):
        warn(again)
    if chosen.json:
        say(json.dumps(told.rows(), indent=1))
    elif chosen.csv:
        told.frame().to_csv(chosen.csv, index=False)
        say(f"written to {chosen.csv}")
    else:
        say(_text(told))
    bad = [f"{f} ({p})" for f, p in zip(told.files, told.problems, strict=True) if p]
    if bad:
        warn(f"{len(bad)} files could not be predicted: {listing(bad)}")
    return 1 if bad else 0


def _text(told: Predictions) -> str:
    rows = []
    for row in told.rows():
        p = row["probabilities"]
        values = [f"{p[label]:.2f}" if p else "" for label in told.labels]
        rows.append([row["file"], row["label"] or row["problem"], *values])
    return table(["file", "label", *told.labels], rows)


COMMANDS = [
    Command(
        "predict",
        "Predict new audio with the models of a run, through the same extractors.",
        (
            "python pipeline.py predict speech.wav --run RUN_ID",
            "python pipeline.py predict recordings/ --run RUN_ID --csv predictions.csv",
        ),
        _predict_arguments,
        predict,
    ),
    HEADS,
]
