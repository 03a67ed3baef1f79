"""Predict new audio with the models of a run.

A file goes the way that the corpus went: the same decoder, resampler, extractors and
cache, only that the cache is thrown away. An extractor that would give other numbers
than those the run was fitted on is refused by its fingerprint.
"""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts import labels as label_maps
from contracts import plugins
from contracts.cache import Cache
from contracts.errors import EmocacheError, RunError, listing
from contracts.extraction import Extractor, Options
from contracts.feature import FeatureSpec
from contracts.manifest import Leftover, Manifest, Utterance, complete
from contracts.run import Run
from contracts.view import View
from corpora._files import AUDIO, VIDEO, walk
from evaluation.transfer.elsewhere import heads
from extract import _engine, _hearing, _scan

NAME = "predict"


@dataclass(frozen=True)
class Predictions:
    """What a run says of some files.

    Attributes:
        labels: classes in order
        files: as they were given
        probabilities: ``(file, class)``, NaN where a file has a problem
        problems: why there is no prediction, ``""`` where there is one
        models: folds whose models were averaged
        waveforms: hash of each file's decoded audio, ``""`` where it has a problem
    """

    labels: tuple[str, ...]
    files: tuple[str, ...]
    probabilities: NDArray[np.float64]
    problems: tuple[str, ...]
    models: tuple[int, ...]
    waveforms: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """Return one dict per file, for JSON."""
        out: list[dict[str, Any]] = []
        for file, p, why in zip(
            self.files, self.probabilities, self.problems, strict=True
        ):
            row: dict[str, Any] = {"file": file, "label": None, "probabilities": None}
            if not why:
                told = dict(zip(self.labels, p.tolist(), strict=True))
                row |= {"label": self.labels[int(p.argmax())], "probabilities": told}
            out.append(row | {"problem": why or None})
        return out

    def frame(self) -> pd.DataFrame:
        """Return one row per file: ``file``, ``label``, ``p:<label>``, ``problem``."""
        rows = [
            {"file": r["file"], "label": r["label"] or ""}
            | {f"p:{k}": v for k, v in (r["probabilities"] or {}).items()}
            | {"problem": r["problem"] or ""}
            for r in self.rows()
        ]
        columns = ["file", "label", *(f"p:{c}" for c in self.labels), "problem"]
        return pd.DataFrame(rows, columns=columns)


def find_audio(paths: Sequence[Path]) -> list[Path | Leftover]:
    """List files, and the audio files of folders, sorted; links are followed.

    A file that was to be audio but cannot be, by its name, is a ``Leftover`` that says
    why; other files of folders are passed over.

    Raises:
        EmocacheError: if a path is not there, or a folder holds no audio
    """
    out: list[Path | Leftover] = []
    empty = []
    for path in paths:
        if path.is_dir():
            inside = [
                i for i in walk(path, AUDIO | VIDEO) if isinstance(i, Path) or i.fault
            ]
            out += inside
            if not inside:
                empty.append(path)
        elif path.exists():
            out.append(path)
        else:
            empty.append(path)
    if empty:
        msg = (
            f"no audio at {listing(empty)}: expected a file or a folder of audio files"
        )
        raise EmocacheError(msg)
    return out


def same_extractors(run: Run, encoder: str | None, device: str) -> list[Extractor]:
    """Make the extractors that a run's features came from.

    Args:
        run: a finished run
        encoder: where the encoder lies now; None: where it lay then
        device: ``auto``, ``cpu`` or ``cuda``

    Raises:
        RunError: if one would give other numbers; the message says which
    """
    specs = [FeatureSpec.from_json(told) for told in run.record["specs"]]
    if encoder and len({s.encoder for s in specs if s.encoder}) > 1:
        msg = f"run {run.run_id} has several encoders: --encoder cannot stand for all"
        raise RunError(msg)
    out, other = [], []
    for spec in specs:
        made = spec.provenance
        options = Options(
            encoder or made.get("folder") or made.get("encoder"),
            None if encoder else made.get("revision"),
            spec.layers or None,
            spec.dtype,
            device,
        )
        extractor = plugins.load("features", spec.name).load(options)
        if extractor.spec.fingerprint != spec.fingerprint:
            changed = _difference(spec, extractor.spec)
            other.append(
                f"{spec.short} against {extractor.spec.short} here ({changed})"
            )
        out.append(extractor)
    if other:
        msg = (
            f"run {run.run_id} was fitted on {listing(other)}: the same encoder and "
            "library versions are needed. Name the encoder with --encoder FOLDER, or "
            "install the versions in run.json"
        )
        raise RunError(msg)
    return out


def _difference(then: FeatureSpec, now: FeatureSpec) -> str:
    keys = [k for k in then.settings if then.settings[k] != now.settings.get(k)]
    return f"other {listing(keys)}" if keys else "other layers, columns or dtype"


def predict(
    run: Run,
    files: Sequence[Path | Leftover],
    fold: int | None = None,
    encoder: str | None = None,
    device: str = "auto",
    enrol: Sequence[Path | Leftover] = (),
) -> Predictions:
    """Predict files with one fold's model, or the mean of all.

    Args:
        run: a finished run
        files: audio files
        fold: which fold's model; None: the mean of all folds' probabilities
        encoder: where the encoder lies now; None: where it lay then
        device: to extract on
        enrol: other audio files of the one person who speaks in ``files``

    Raises:
        RunError: if there is no such fold, the extractors differ, a speaker is needed
            and not known, or nobody needs one
    """
    there = [f["index"] for f in run.record["folds"]]
    if fold is not None and fold not in there:
        msg = f"run {run.run_id} has no fold {fold}, expected one of {listing(there)}"
        raise RunError(msg)
    folds = there if fold is None else [fold]
    extractors = same_extractors(run, encoder, device)
    loaded = heads(run, folds)
    if enrol:
        _enrol(run, loaded, enrol, extractors)
    with tempfile.TemporaryDirectory(prefix="emocache-predict-") as folder:
        view, problems, waveforms = _extract(Path(folder), files, extractors)
        told = np.full((len(files), len(run.classes)), np.nan)
        if len(view):
            each = [head.predict_proba(view.require(head.features)) for head in loaded]
            rows = [int(i.partition("/")[2]) for i in view.ids]
            told[rows] = np.mean(each, axis=0)
    paths = [f.path if isinstance(f, Leftover) else f for f in files]
    names = tuple(os.fsencode(p).decode(errors="backslashreplace") for p in paths)
    found = names, told, tuple(problems), tuple(folds), tuple(waveforms)
    return Predictions(run.classes, *found)


def _enrol(
    run: Run,
    loaded: Sequence[Any],
    files: Sequence[Path | Leftover],
    extractors: Sequence[Extractor],
) -> None:
    """Have heads take mean and deviation of the person who speaks in some files."""
    if not all(hasattr(head, "enrol") for head in loaded):
        msg = (
            f"run {run.run_id} has no use for --enrol: expected a head that normalises "
            f"by speaker, got {run.record['model']}. Leave it out"
        )
        raise RunError(msg)
    with tempfile.TemporaryDirectory(prefix="emocache-enrol-") as folder:
        view, problems, _ = _extract(Path(folder), files, extractors)
        if bad := [f"{f} ({p})" for f, p in zip(files, problems, strict=True) if p]:
            msg = f"{len(bad)} of {len(files)} files to enrol by are of no use: "
            raise RunError(msg + f"expected speech, got {listing(bad)}. Leave them out")
        for head in loaded:
            head.enrol(view.require(head.features))


def _extract(
    folder: Path, files: Sequence[Path | Leftover], extractors: Sequence[Extractor]
) -> tuple[View, list[str], list[str]]:
    """Put files through the extractors into a cache that will be thrown away."""
    rows = []
    for i, file in enumerate(files):
        row = {"id": f"{NAME}/{i}", "corpus": NAME}
        if isinstance(file, Leftover):
            row["problem"] = file.reason
        elif _scan.is_text(str(file)):
            row |= {"path": str(file)} | _hearing.hear(Utterance(file))
        else:
            row["problem"] = "file name is not UTF-8. Rename the file"
        rows.append(row)
    frame = complete(pd.DataFrame(rows))
    problems = list(frame["problem"])
    cache = Cache(folder)
    with cache.lock():
        cache.put_manifest(Manifest(NAME, frame, {}))
        for extractor in extractors:
            _engine.run(cache, extractor, frame)
    made = dict.fromkeys(extractor.spec.short for extractor in extractors)
    view = Cache(folder).view(NAME).require(made)
    for name, why in view.left_out:
        problems[int(name.partition("/")[2])] = why
    return view, problems, list(frame["waveform"])


def in_original_labels(run: Run, told: Predictions) -> Predictions:
    """Write predictions in the corpus' own label order; a merged label holds 0."""
    facts = run.record["labels"]
    label_map = label_maps.LabelMap(
        facts["name"], "", run.classes, facts["merge"], (), tuple(facts["original"])
    )
    labels, values = label_map.to_original(told.probabilities)
    values[[bool(p) for p in told.problems]] = np.nan
    return replace(told, labels=labels, probabilities=values)
