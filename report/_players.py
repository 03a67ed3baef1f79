"""Players for the errors from which one learns most, embedded in the page."""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from contracts.run import Run

RATE = 16_000  # Hz, what the models hear
SECONDS = 15.0  # of an utterance that are embedded at most
TOTAL = 2_000_000  # bytes of sound in a page
_SEGMENT = re.compile(r"^(?P<path>.*)#(?P<start>\d+(?:\.\d+)?)-(?P<end>\d+(?:\.\d+)?)$")


@dataclass(frozen=True)
class WrongOne:
    """An utterance that a run took for another, and how sure it was.

    Attributes:
        id: of the utterance
        run: id of the run
        truth: its label
        said: what the model took it for
        share: the probability of what was said
        label_share: the probability of the label
    """

    id: str
    run: str
    truth: str
    said: str
    share: float
    label_share: float


def instructive(runs: Sequence[Run], n: int) -> list[WrongOne]:
    """Choose the most confident errors, spread over runs and true labels.

    Labels take turns, each with its next most confident error, so that one label that
    is often missed does not fill the list. An utterance is taken once.

    Args:
        runs: the runs that take turns
        n: how many errors
    """
    lanes = [_lanes(run) for run in runs]
    chosen: dict[str, WrongOne] = {}
    while len(chosen) < n and any(any(lane) for lane in lanes):
        for lane in lanes:
            for label in lane:
                while label and label[0].id in chosen:
                    label.pop(0)
                if label and len(chosen) < n:
                    one = label.pop(0)
                    chosen[one.id] = one
    return list(chosen.values())


def _lanes(run: Run) -> list[list[WrongOne]]:
    """List the errors of a run by true label, most confident first."""
    rows, shares = run.predictions, run.probabilities
    lanes: dict[str, list[WrongOne]] = {label: [] for label in run.classes}
    codes = {label: i for i, label in enumerate(run.classes)}
    said = shares.argmax(axis=1)
    answered = (rows["variant"] == "").to_numpy() & np.isfinite(shares).all(axis=1)
    originals = np.flatnonzero(answered)
    ids, truth = rows["id"].to_numpy(object), rows["label"].to_numpy(object)
    for i in originals.tolist():
        code = codes.get(truth[i])
        if code is not None and code != said[i]:
            share, right = float(shares[i, said[i]]), float(shares[i, code])
            label = run.classes[said[i]]
            one = WrongOne(str(ids[i]), run.run_id, truth[i], label, share, right)
            lanes[truth[i]].append(one)
    return [sorted(lane, key=lambda w: (-w.share, w.id)) for lane in lanes.values()]


@dataclass(frozen=True)
class Players:
    """What could be embedded.

    Attributes:
        audio: utterance id -> data URI, 16 kHz mono FLAC
        problems: one sentence for each thing that could not be
    """

    audio: dict[str, str]
    problems: list[str]


def players(ids: Sequence[str], root: Path | None, default: Path) -> Players:
    """Embed the sound of utterances, until the page has enough of it.

    Args:
        ids: of the utterances, ``corpus/relative path[#start-end]``
        root: folder of the corpus' files, or of one folder per corpus
        default: folder with one folder per corpus, where ``root`` is None
    """
    audio: dict[str, str] = {}
    missing: dict[str, list[str]] = {}
    size, beyond = 0, 0
    for one in ids:
        where = _folder(one, root, default)
        try:
            sound = _flac(one, where)
        except (OSError, ValueError, soundfile.SoundFileError) as error:
            missing.setdefault(f"{where}", []).append(f"{one} ({_reason(error)})")
            continue
        if size + len(sound) > TOTAL:
            beyond += 1
            continue
        size += len(sound)
        audio[one] = "data:audio/flac;base64," + base64.b64encode(sound).decode()
    said = [
        f"{len(names)} of {len(ids)} utterances have no player: nothing to be heard "
        f"below {folder}, first {names[0]}. Name the corpus' folder with --root DIR."
        for folder, names in missing.items()
    ]
    if beyond:
        said.append(
            f"{beyond} of {len(ids)} utterances have no player: a page holds "
            f"{TOTAL / 1e6:.0f} MB of sound. Ask for fewer with --audio N."
        )
    return Players(audio, said)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return str(error).rstrip(".") or type(error).__name__


def _folder(one: str, root: Path | None, default: Path) -> Path:
    """Return a corpus' folder: the one that was named, or one by its name in it."""
    corpus = one.partition("/")[0]
    if root is None:
        return default / corpus
    return root / corpus if (root / corpus).is_dir() else root


def _flac(one: str, folder: Path) -> bytes:
    """Decode an utterance to 16 kHz mono FLAC.

    Raises:
        OSError: if it cannot be read
        ValueError: if its name leads out of the folder, or it holds nothing
        soundfile.SoundFileError: if it is no sound file
    """
    name, start, end = one.partition("/")[2], 0.0, SECONDS
    told = _SEGMENT.match(name)
    if told and not (folder / name).exists():
        name, start = told["path"], float(told["start"])
        end = min(float(told["end"]), start + SECONDS)
    inside = PurePosixPath(name)
    if inside.is_absolute() or ".." in inside.parts or not name:
        msg = "its name leads out of the folder"
        raise ValueError(msg)
    if not (folder / inside).is_file():
        raise FileNotFoundError
    with soundfile.SoundFile(folder / inside) as file:
        rate = file.samplerate
        file.seek(min(int(start * rate), file.frames))
        wave = file.read(int((end - start) * rate), dtype="float32", always_2d=True)
    if not len(wave):
        msg = "it holds no sound"
        raise ValueError(msg)
    return _encoded(soxr.resample(wave.mean(axis=1), rate, RATE))


def _encoded(wave: NDArray[np.float32]) -> bytes:
    out = io.BytesIO()
    limited = np.clip(wave, -1, 1 - 2**-15)
    soundfile.write(out, limited, RATE, format="FLAC", subtype="PCM_16")
    return out.getvalue()
