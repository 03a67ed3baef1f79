"""CONTRACT 3, the run record: what one model did under one protocol and seed.

On disk::

    <runs>/<run_id>/
        settings.json      what was asked; the run's identity is a hash of it
        folds/<n>/         one folder per fold, there only when the fold has ended
            fold.json      who was in it, how long it took, what was chosen
            predictions.parquet
            history.json   one entry per epoch; empty for heads without epochs
            model/         the fitted head
        run.json           all of it, written when the last fold has ended

Metrics are not stored: they are recomputed from the prediction rows. A prediction row
holds ``id``, ``fold``, ``label`` (the truth, may be empty), ``p:<label>`` per class,
``vote:<label>`` where there are votes, ``predicted:<trait>`` where a head says traits,
``speaker``, ``sex``, ``session``,
``sentence``, ``corpus``, ``variant`` and ``trait:<name>``.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts import variant
from contracts._run_shape import (
    HISTORY,
    PREDICTIONS,
    fold_misfits,
    record_misfits,
)
from contracts._run_shape import (
    PROBABILITY as PROBABILITY,
)
from contracts.errors import RunError, listing

FORMAT = 1
PREDICTED = "predicted:"
_PACKAGES = (
    "numpy",
    "scikit-learn",
    "torch",
    "transformers",
    "xgboost-cpu",
    "opensmile",
)
# what a run records but what does not make it another run
_NOT_IDENTITY = (
    *("command", "specs", "left_out", "refused", "limited"),
    *("versions", "machine", "elsewhere", "derived", "conformity"),
    "incomplete",
)


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: where it lies
        record: ``run.json``: ``run_id``, ``model``, ``settings`` (the head's
            parameters), ``corpus``, ``features``, ``specs`` (each ``FeatureSpec``, to
            make the features again), ``labels``, ``protocol``, ``seed``,
            ``conformity`` (``line``, ``cautions``), ``partial``,
            ``limited`` (corpus -> taken, found), ``incomplete`` (corpus -> found,
            published), ``manifest``,
            ``folds``, ``left_out``, ``refused``,
            ``versions``, ``machine``, ``command``, ``seconds``; of runs that no fit
            made also ``elsewhere``, ``derived`` or ``checkpoint``: where from
    """

    folder: Path
    record: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """Name of the run, which is its folder's name."""
        return str(self.record["run_id"])

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels in order."""
        return tuple(self.record["labels"]["labels"])

    @property
    def untrained(self) -> bool:
        """Whether any feature came from an encoder with random weights."""
        return any(f["untrained"] for f in self.record["features"])

    @property
    def warnings(self) -> list[str]:
        """What every output of this run must say beside its numbers."""
        said = []
        if self.untrained:
            said.append("untrained encoder")
        if self.record["partial"]:
            folds = [f["index"] for f in self.record["folds"]]
            noun = "fold" if len(folds) == 1 else "folds"
            said.append(f"partial: {noun} {listing(folds)} only")
        for corpus, (n, found) in self.record.get("limited", {}).items():
            said.append(f"limited: {n} of {found} utterances of {corpus}")
        for corpus, (n, published) in self.record.get("incomplete", {}).items():
            said.append(f"incomplete: {n} of {published} utterances of {corpus}")
        told = [variant.parse(text) for text in self.record.get("variants", {})]
        if names := list(dict.fromkeys(v.asked for v in told if v.role == "augment")):
            said.append(f"trained on {listing(names)} too")
        said += [f"breaks {what}" for what in self.record["protocol"]["breaks"]]
        if own := self.record.get("elsewhere"):
            said.append(f"trained on {own['corpus']}, tested elsewhere")
            if own["labels"] != self.record["labels"]["name"]:
                said.append(f"learnt with labels {own['labels']}")
        if "derived" in self.record:
            said.append("probabilities of merged labels summed")
        if own := self.record.get("checkpoint"):
            said.append(str(own["caution"]))
        said += self.record.get("conformity", {}).get("cautions", [])
        learnt = [f["learnt"] for f in self.record["folds"]]
        said += dict.fromkeys(one["network"] for one in learnt if "network" in one)
        heads = (str(one.get("warning", "")).partition(":")[0] for one in learnt)
        said += dict.fromkeys(word for word in heads if word)
        return said

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row per test utterance, folds one after the other."""
        folds = [f["index"] for f in self.record["folds"]]
        paths = [self.fold_folder(i) / PREDICTIONS for i in folds]
        return pd.concat([pd.read_parquet(p) for p in paths], ignore_index=True)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """Probabilities ``(utterance, class)``."""
        columns = [f"{PROBABILITY}{label}" for label in self.classes]
        return self.predictions[columns].to_numpy(np.float64)

    @property
    def thresholds(self) -> NDArray[np.float64] | None:
        """Thresholds ``(utterance,)`` that the folds chose; None where none did.

        A class with a higher probability is in the predicted set.
        """
        if not self.record.get("threshold"):  # what is derived copies facts of folds
            return None
        chosen = {f["index"]: f["chosen"]["threshold"] for f in self.record["folds"]}
        return self.predictions["fold"].map(chosen).to_numpy(np.float64)

    def history(self, fold: int) -> list[dict[str, float]]:
        """Return one entry per epoch of one fold."""
        path = self.fold_folder(fold) / HISTORY
        entries: list[dict[str, float]] = json.loads(path.read_text(encoding="utf-8"))
        return entries

    def fold_folder(self, fold: int) -> Path:
        """Return the folder of one fold."""
        return self.folder / "folds" / str(fold)


class RunWriter:
    """Write a run fold by fold; a killed one goes on at the next fold.

    Args:
        runs: folder of all runs
        settings: everything that was asked and everything it rests on, as JSON
    """

    def __init__(self, runs: Path, settings: Mapping[str, Any]) -> None:
        self.settings = {**settings, "format": FORMAT}
        self.run_id = run_id(self.settings)
        self.final = self.folder = runs / self.run_id

    @property
    def finished(self) -> bool:
        """Whether all folds have ended."""
        return (self.folder / "run.json").exists()

    def search_folder(self, fold: int) -> Path:
        """Return where a search of settings keeps what it has judged in one fold."""
        return self.folder / "search" / str(fold)

    @property
    def done(self) -> set[int]:
        """Folds that have ended."""
        return {int(p.parent.name) for p in self.folder.glob("folds/*/fold.json")}

    @contextmanager
    def begin(self, rerun: bool = False) -> Iterator[None]:
        """Make the folder, and keep other processes out of it inside the context.

        Args:
            rerun: fit again beside a finished run, which is replaced in the end

        Raises:
            RunError: if another process is fitting the same run
        """
        if rerun and self.finished:
            self.folder = self.final.with_name(f".{self.run_id}.again")
        (self.folder / "folds").mkdir(parents=True, exist_ok=True)
        lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                msg = f"run {self.run_id} is being fitted by another process: wait"
                raise RunError(msg) from error
            for left in (self.folder / "folds").glob(".*"):
                shutil.rmtree(left)
            if not (self.folder / "settings.json").exists():
                write_json(self.folder / "settings.json", self.settings)
            yield
        finally:
            os.close(lock)

    def save_fold(
        self,
        facts: Mapping[str, Any],
        predictions: pd.DataFrame,
        history: Sequence[Mapping[str, float]],
        save_model: Callable[[Path], None],
    ) -> None:
        """Keep one ended fold, whole or not at all.

        Args:
            facts: ``index``, ``name``, speakers and sizes of the parts, ``seconds``,
                ``learnt`` and ``chosen``
            predictions: one row per test utterance
            history: one entry per epoch
            save_model: writes the fitted head into the folder it is given
        """
        index = facts["index"]
        aside = self.folder / "folds" / f".{index}.tmp-{os.getpid()}"
        (aside / "model").mkdir(parents=True)
        save_model(aside / "model")
        predictions.to_parquet(aside / PREDICTIONS, index=False)
        write_json(aside / HISTORY, list(history))
        made = {"versions": versions(), "machine": machine(), "command": command()}
        write_json(aside / "fold.json", {**facts, "made": made})
        final = self.folder / "folds" / str(index)
        if final.exists():
            shutil.rmtree(final)
        aside.rename(final)

    def finish(self) -> Run:
        """Write ``run.json`` from the folds that have ended."""
        folds = [
            json.loads(
                (self.folder / f"folds/{i}/fold.json").read_text(encoding="utf-8")
            )
            for i in sorted(self.done)
        ]
        seconds = sum(f["seconds"] for f in folds)
        told = json.loads((self.folder / "settings.json").read_text(encoding="utf-8"))
        record = {"run_id": self.run_id, **told, "folds": folds, "seconds": seconds}
        write_json(self.folder / "run.json", record)
        if self.folder != self.final:
            shutil.rmtree(self.final)
            self.folder.rename(self.final)
            self.folder = self.final
        return read_run(self.final)


def run_id(settings: Mapping[str, Any]) -> str:
    """Name a run: what a person looks for first, then a hash of all of it."""
    facts = {k: v for k, v in settings.items() if k not in _NOT_IDENTITY}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    words = [settings["model"], settings["corpus"], settings["protocol"]["name"]]
    words += [settings["labels"]["name"], f"s{settings['seed']}", digest[:8]]
    return "-".join(words)


def read_run(folder: Path) -> Run:
    """Read one finished run.

    Raises:
        RunError: if it is not there, unfinished or of another format
    """
    path = folder / "run.json"
    if not path.exists():
        if (folder / "settings.json").exists():
            what = f"run {folder.name} is unfinished: give its fit command once more"
        else:
            what = f"no run {folder.name!r} in {folder.parent}"
            if near := _that_begin(folder):
                what += f". Runs that begin so, to be named whole: {listing(near, 5)}"
        msg = f"{what}. See: python pipeline.py runs --runs {folder.parent}"
        raise RunError(msg)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        msg = f"{path} is broken: {error}. Fit it again with --rerun"
        raise RunError(msg) from error
    if isinstance(record, dict) and record.get("format") != FORMAT:
        msg = (
            f"{path} is of format {record.get('format')}, expected {FORMAT}. "
            "Fit it again with --rerun"
        )
        raise RunError(msg)
    if bad := record_misfits(record):
        msg = f"{path} is broken: {listing(bad)}. Fit it again with --rerun"
        raise RunError(msg)
    run = Run(folder, record)
    bad = [
        f"fold {fold['index']}: {said}"
        for fold in record["folds"]
        for said in fold_misfits(run.fold_folder(fold["index"]), run.classes)
    ]
    if bad:
        msg = (
            f"run {folder.name} is broken: {listing(bad)}. Delete its folder and fit "
            "it again"
        )
        raise RunError(msg)
    return run


def _that_begin(folder: Path) -> list[str]:
    """Return names of runs that begin with the name of a folder that is not there."""
    runs = folder.parent
    names = [p.parent.name for p in runs.glob("*/run.json")] if runs.is_dir() else []
    return sorted(n for n in names if folder.name and n.startswith(folder.name))


def find_runs(runs: Path) -> tuple[list[Run], list[str]]:
    """Read every finished run of a folder.

    Returns:
        the runs in the order of their names, and the names of those that are
        unfinished, or broken with the reason in brackets
    """
    known = {p.parent for n in ("settings", "run") for p in runs.glob(f"*/{n}.json")}
    folders = sorted(known)
    found, others = [], []
    for folder in folders:
        if folder.name.startswith("."):
            continue
        if not (folder / "run.json").exists():
            others.append(folder.name)
            continue
        try:
            found.append(read_run(folder))
        except RunError as error:
            others.append(f"{folder.name} ({error})")
    return found, others


def write_json(path: Path, value: object) -> None:
    """Write JSON, whole or not at all."""
    aside = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with aside.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def versions() -> dict[str, str]:
    """Return the versions that numbers depend on."""
    out = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return out


def machine() -> dict[str, Any]:
    """Say what machine this is."""
    return {
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
    }


def command() -> str:
    """Return the command line that is running."""
    import shlex

    return shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]])
