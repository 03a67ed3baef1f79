"""Long files of many segments that cannot be sought in, decoded once.

A segment in the middle of an MP3 or of a video can only be had by decoding all that
lies before it; five thousand of them would decode the file five thousand times. Such a
file is decoded once, mono as it is heard everywhere here, into a folder that is thrown
away afterwards, where every process finds its segments by their place.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock

from contracts.errors import ExtractionError
from extract import _audio
from extract._audio import Decoded

_PREFIX = "spool-"


class Spool:
    """A folder of decoded files.

    Args:
        folder: to decode into
        paths: the file of each segment that is to be heard; those named once, and those
            that can be sought in, are heard where they lie
    """

    def __init__(self, folder: Path, paths: Iterable[str | Path]) -> None:
        self.folder = folder
        counted = Counter(str(path) for path in paths)
        several = (path for path, n in counted.items() if n > 1)
        self.wanted = {path for path in several if not _audio.can_seek(path)}
        self._held: dict[str, tuple[Path, int]] = {}  # where, and channels of the file
        self._failed: dict[str, ExtractionError] = {}
        self._lock = Lock()

    def decode(
        self, path: str | Path, start: float | None, end: float | None
    ) -> Decoded:
        """Read a segment as ``_audio.decode`` does.

        Raises:
            ExtractionError: if the file, or the segment, cannot be heard
        """
        sound = self.sound(path)
        if sound == Path(path):
            return _audio.decode(path, start, end)
        try:
            decoded = _audio.decode(sound, start, end)
        except ExtractionError as error:
            msg = str(error).replace(str(sound), str(path))
            raise ExtractionError(msg) from error
        return replace(decoded, channels=self._held[str(path)][1])

    def sound(self, path: str | Path) -> Path:
        """Return the file to decode segments of ``path`` from, made if need be.

        Raises:
            ExtractionError: if it cannot be decoded, or there is no room for it
        """
        name = str(path)
        if name not in self.wanted:
            return Path(path)
        with self._lock:
            if name in self._failed:
                raise self._failed[name]
            if name not in self._held:
                try:
                    self._held[name] = self._decode(name)
                except ExtractionError as error:
                    self._failed[name] = error
                    raise
            return self._held[name][0]

    def _decode(self, path: str) -> tuple[Path, int]:
        """Decode one file whole; return where it is then, and its channels."""
        import soundfile

        into = self.folder / f"{len(self._held)}.w64"
        out, channels = None, 0
        try:
            for mono, *told in _audio.blocks(path):
                rate, channels = told
                if out is None:
                    form = {"format": "W64", "subtype": "FLOAT"}
                    out = soundfile.SoundFile(into, "w", rate, 1, **form)
                out.write(mono)
        except (OSError, soundfile.LibsndfileError) as error:
            msg = (
                f"{path!r} is decoded once for its many segments, and there is no room "
                f"for that in {self.folder}: {error}. Make room, or give the folder "
                "TMPDIR a larger disk"
            )
            raise ExtractionError(msg) from error
        finally:
            if out is not None:
                out.close()
        if out is None:
            msg = f"{path!r} is empty: expected samples, got none"
            raise ExtractionError(msg)
        return into, channels


@contextmanager
def spool(paths: Iterable[str | Path], near: Path | None = None) -> Iterator[Spool]:
    """Make a spool that is thrown away at the end.

    Args:
        paths: the file of each segment that is to be heard
        near: an existing folder to make it in; None: where the system puts such things
    """
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=near) as folder:
        yield Spool(Path(folder), paths)


def sweep(folder: Path) -> None:
    """Throw away what runs that were killed left in a folder; under its lock."""
    for entry in os.scandir(folder):
        if entry.name.startswith(_PREFIX) and entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
