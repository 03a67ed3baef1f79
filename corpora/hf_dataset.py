"""Hugging Face dataset on disk: what ``save_to_disk`` of ``datasets`` wrote.

A folder with ``dataset_info.json``, ``state.json`` and ``data-*.arrow``, or one such
folder per split beside ``dataset_dict.json``. Needs the extra ``hf``. The column of
audio is the only one of type ``Audio``, else ``audio``, ``file`` or ``path``; labels
that are numbers with names (``ClassLabel``) become the names; every other column is
read as in a ``table``: ``emotion`` (or label) is needed, a speaker is not.

Sound that lies inside the dataset is unpacked once into
``data/audio/.unpacked/<digest>/``, never beside the dataset; the digest is over the
dataset's heads and the names and sizes of its files. The licence is the dataset's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from contracts.command import AUDIO
from contracts.errors import ManifestError, PluginError, listing
from contracts.manifest import Corpus, Leftover, Utterance
from corpora._columns import cell, understand
from corpora._import import frame_of, remark_once, with_files
from corpora._rows import read_row, split_named, without_repeats
from corpora._unpack import Unpacked

CORPUS = Corpus(
    title="Hugging Face dataset on disk",
    language="und",
    labels=(),
    licence="that of the dataset",
    url="",
    citation="that of the dataset",
)
EXAMPLES: dict[str, tuple[str, str]] = {}
_INFO, _STATE, _DICT = "dataset_info.json", "state.json", "dataset_dict.json"
_BESIDE = "audio file"  # a column of ours, named as no column of a dataset is


def recognises(root: Path) -> bool:
    """Say whether ``root`` is, or is one of the heads of, a dataset on disk."""
    folder = _folder(root)
    single = (folder / _INFO).is_file() and (folder / _STATE).is_file()
    return single or (folder / _DICT).is_file()


def describe(root: Path) -> Corpus:
    """Say what the dataset says of itself."""
    info = _json(next(iter(_parts(_folder(root)).values())) / _INFO)
    return replace(
        CORPUS,
        title=str(info.get("dataset_name") or _folder(root).absolute().name),
        licence=str(info.get("license") or CORPUS.licence),
        url=str(info.get("homepage") or CORPUS.url),
        citation=str(info.get("citation") or CORPUS.citation).strip(),
    )


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each row of the dataset is.

    Args:
        root: the folder that was saved to disk, or a head in it

    Raises:
        ManifestError: if it cannot be read or lacks a column
        PluginError: if ``datasets`` is not installed
    """
    folder = _folder(root)
    items, said = [], list[str]()
    for split, part in _parts(folder).items():
        found, remarks = _read(part, split)
        items += found
        said += remarks
    yield from remark_once(items, list(dict.fromkeys(said)))


def _folder(root: Path) -> Path:
    return root.parent if root.is_file() else root


def _parts(folder: Path) -> dict[str, Path]:
    """List the folders of the splits; one without splits is named ``""``.

    Raises:
        ManifestError: if there is no dataset
    """
    if not (folder / _DICT).is_file():
        return {"": folder}
    splits = _json(folder / _DICT).get("splits", [])
    missing = [split for split in splits if not (folder / str(split)).is_dir()]
    if missing or not splits:
        msg = (
            f"{str(folder)!r} lacks splits: expected the folders named in {_DICT}, got "
            f"none for {listing(missing) or 'any'}. Save the dataset again"
        )
        raise ManifestError(msg)
    return {split: folder / split for split in splits}


def _json(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = (
            f"{str(path)!r} cannot be read: expected JSON, got: {error}. Save it again"
        )
        raise ManifestError(msg) from error
    return told if isinstance(told, dict) else {}


def _open(part: Path) -> Any:
    """Open one dataset, its sound left as bytes or paths."""
    try:
        import datasets
    except ImportError as error:
        msg = (
            f"{str(part)!r} needs datasets: expected the package, got none. Run: "
            "pip install -c constraints.txt -e '.[hf]'"
        )
        raise PluginError(msg) from error
    _json(part / _INFO)
    try:
        data = datasets.load_from_disk(str(part))
        for name, feature in data.features.items():
            if isinstance(feature, datasets.Audio):
                data = data.cast_column(name, datasets.Audio(decode=False))
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = " ".join(str(error).split()).rstrip(".")
        msg = (
            f"{str(part)!r} cannot be read: expected a dataset that save_to_disk "
            f"wrote, got: {why}. Save it again"
        )
        raise ManifestError(msg) from error
    return data


def _read(part: Path, split: str) -> tuple[list[Utterance | Leftover], list[str]]:
    """Read one split: its items and what is to be said of them."""
    data = _open(part)
    audio = _audio_column(data, part)
    names = {
        column: feature.names
        for column, feature in data.features.items()
        if type(feature).__name__ == "ClassLabel"
    }
    plain = [c for c, f in data.features.items() if c != audio and hasattr(f, "dtype")]
    plain = [c for c in plain if data.features[c].dtype not in ("dict", "list")]
    unpacked = Unpacked(AUDIO / ".unpacked" / _digest(part, split))
    records: dict[int, dict[str, str]] = {}
    for i, row in enumerate(data, 1):
        records[i] = {c: _named(row[c], names.get(c)) for c in plain}
        records[i][_BESIDE] = _place(row[audio], i, part, unpacked)
    frame = frame_of(records)
    columns = with_files(understand(frame, part, ("emotion",)), _BESIDE)
    rows = [(i, read_row(row, columns, part, i)) for i, row in records.items()]
    told = split_named(split)
    items = [
        replace(item, split=item.split or told) if isinstance(item, Utterance) else item
        for _, item in without_repeats(rows, part.name)
    ]
    said = [f"the dataset's sound is unpacked into {AUDIO / '.unpacked'}"]
    other = [c for c in data.features if c != audio and c not in plain]
    remarks = [f"columns that are no text or number are not read: {listing(other)}"]
    return items, (said if unpacked.used else []) + (remarks if other else [])


def _audio_column(data: Any, part: Path) -> str:
    """Find the column of recordings.

    Raises:
        ManifestError: if there is none, or several
    """
    found = [c for c, f in data.features.items() if type(f).__name__ == "Audio"]
    if len(found) > 1 and "audio" in found:
        return "audio"
    found = found or [c for c in ("audio", "file", "path") if c in data.features][:1]
    if len(found) != 1:
        got = listing(found or data.features)
        msg = (
            f"{str(part)!r} has no clear column of audio: expected one of type Audio, "
            f"or audio, file, path, got {got}. Rename it to audio and save again"
        )
        raise ManifestError(msg)
    return found[0]


def _named(value: Any, names: list[str] | None) -> str:
    """Write a value as text; a class by its name."""
    if names and isinstance(value, int):
        return names[value] if 0 <= value < len(names) else ""
    return cell(value).strip()


def _place(value: Any, i: int, part: Path, unpacked: Unpacked) -> str:
    """Return where the recording of a row lies; ``""`` if the row has none."""
    told = value if isinstance(value, dict) else {"path": value, "bytes": None}
    path, sound = told.get("path"), told.get("bytes")
    if sound:
        return str(unpacked.put(i, sound, Path(path or "").suffix))
    return str((part / path).absolute()) if path else ""


def _digest(part: Path, split: str) -> str:
    """Name a dataset by what it holds, the same on every machine."""
    digest = hashlib.sha256(split.encode())
    for name in (_INFO, _STATE):
        digest.update((part / name).read_bytes())
    for path in sorted(part.glob("*.arrow")):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
    return digest.hexdigest()[:16]
