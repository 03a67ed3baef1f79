"""Where an encoder lies: in a folder, in the hub's cache, or on the hub."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from contracts.errors import ExtractionError
from extract._untrained import DEMO

OTHER = "Choose another with --encoder FOLDER"
TRY = (
    "; to try everything with random weights: python pipeline.py untrained --out "
    "FOLDER, then --encoder FOLDER"
)
PREPARING = "preprocessor_config.json"
_SAFE = "model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json"
_PICKLED = (
    "pytorch_model.bin",
    "pytorch_model-*-of-*.bin",
    "pytorch_model.bin.index.json",
)
_TIMEOUT = 5  # seconds, of asking the hub


@dataclass(frozen=True)
class Found:
    """Where an encoder lies.

    Attributes:
        name: as it was asked for
        folder: of its files; the demo, which is made and not loaded, has none
        commit: of the hub; empty for a folder
    """

    name: str
    folder: Path
    commit: str = ""

    @property
    def is_demo(self) -> bool:
        """Whether it is the small one with random weights."""
        return self.name == DEMO


def find(name: str, revision: str | None) -> Found:
    """Find an encoder: the demo, a folder, or one of the hub, fetched if need be.

    Raises:
        ExtractionError: if it cannot be had by that name
    """
    folder = Path(name).expanduser()
    if name != DEMO and not folder.is_dir():
        if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
            msg = f"no encoder in {name!r}: expected a folder, got none. {OTHER}"
            raise ExtractionError(msg)
        snapshot = _from_hub(name, revision)
        return Found(name, snapshot, snapshot.name)
    if revision:
        msg = f"encoder {name!r} has no revision {revision!r}: leave out --revision"
        raise ExtractionError(msg)
    return Found(name, folder.resolve())


def first_line(error: BaseException) -> str:
    """Say an error of another library in one line without its full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    shown = lines[: 2 if lines and lines[0].endswith(":") else 1]
    return " ".join(shown or [type(error).__name__]).rstrip(". ")


def _from_hub(name: str, revision: str | None) -> Path:
    """Return the encoder's folder in the hub's cache, fetched if it is not there."""
    from huggingface_hub import snapshot_download, try_to_load_from_cache
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    with contextlib.suppress(OSError, ValueError):
        kept = Path(snapshot_download(name, revision=revision, local_files_only=True))
        known = try_to_load_from_cache(name, PREPARING, revision=kept.name)
        if known is not None and _is_whole(kept):
            return kept
    try:
        return _fetch(name, revision)
    except (httpx.HTTPError, OSError, ValueError) as error:
        why = (
            f"it is not in the hub's cache, and the hub gives none: {first_line(error)}"
        )
        msg = f"encoder {name!r} cannot be had: {why}. {OTHER}{TRY}"
        raise ExtractionError(msg) from error


def _is_whole(folder: Path) -> bool:
    """Whether config and weights are there, each file that an index names."""
    files = {path.name for path in folder.iterdir()}
    for one, _, index in (_SAFE, _PICKLED):
        if one in files:
            return "config.json" in files
        if index in files:
            told = json.loads((folder / index).read_text(encoding="utf-8"))
            return {"config.json", *told["weight_map"].values()} <= files
    return False


def _fetch(name: str, revision: str | None) -> Path:
    """Fetch the encoder from the hub, one kind of its weights."""
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError

    told = HfApi().model_info(name, revision=revision, timeout=_TIMEOUT)  # no retries
    files = [file.rfilename for file in told.siblings or ()]
    is_safe = any(fnmatch(file, form) for file in files for form in _SAFE)
    wanted = ["*config.json", *(_SAFE if is_safe else _PICKLED)]
    folder = snapshot_download(name, revision=revision, allow_patterns=wanted)
    with contextlib.suppress(EntryNotFoundError):  # the cache notes that there is none
        hf_hub_download(name, PREPARING, revision=revision)
    return Path(folder)
