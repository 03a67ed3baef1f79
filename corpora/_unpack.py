"""Write sound that lies inside another file out to files of its own, once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from contracts.errors import ManifestError

# first bytes -> suffix; where no name says what the sound is
_MAGIC = {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3"}
_MAGIC |= {b"\xff\xfb": ".mp3", b"FORM": ".aiff"}


class Unpacked:
    """A folder of recordings that are written when they are missing.

    Attributes:
        folder: where they lie
        used: whether any recording was asked for
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.used = False

    def put(self, i: int, sound: bytes, suffix: str) -> Path:
        """Return the file of a recording, written whole or not at all.

        Args:
            i: number of the recording; its name is this and a hash of the sound
            sound: the encoded file
            suffix: of the name it had; ``""``: told by its first bytes

        Raises:
            ManifestError: if it cannot be written
        """
        self.used = True
        known = (s for magic, s in _MAGIC.items() if sound.startswith(magic))
        name = f"{i:06}-{hashlib.sha256(sound).hexdigest()[:12]}"
        path = self.folder / f"{name}{suffix.lower() or next(known, '.wav')}"
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            if path.is_file() and path.stat().st_size == len(sound):
                return path
            self.folder.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(sound)
            aside.replace(path)
        except OSError as error:
            aside.unlink(missing_ok=True)
            why = error.strerror or type(error).__name__
            msg = (
                f"{str(path)!r} cannot be written: {why}. Sound inside a dataset is "
                "unpacked there; make room or give leave to write"
            )
            raise ManifestError(msg) from error
        return path
