"""What a variant of an utterance is, and which part of a fold it may stand in.

Variants are manifest rows of their own. ``source`` is the id of the utterance that they
are made from, ``variant`` says how, as ``ROLE:NAME#COPY``. The role decides:

- ``augment``: they follow their source into train and can be nowhere else;
- ``degrade``: they follow their source into test and can be nowhere else.
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import ManifestError

PARTS = {"augment": "train", "degrade": "test"}  # role -> the only part it may be in
_TEXT = re.compile(r"(augment|degrade):([a-z]\w*)(?:-([\w.]+))?#(\d+)", re.ASCII)


@dataclass(frozen=True)
class Variant:
    """One way in which one waveform is made of another.

    Attributes:
        role: ``augment`` or ``degrade``
        name: of the plug-in
        parameter: what stands behind its name; empty: what it takes is drawn
        copy: counted from 1, each drawn anew
    """

    role: str
    name: str
    parameter: str = ""
    copy: int = 1

    @property
    def asked(self) -> str:
        """As a person names it: ``NAME`` or ``NAME-PARAMETER``."""
        return f"{self.name}-{self.parameter}" if self.parameter else self.name

    def __str__(self) -> str:
        """Write it as the manifest does."""
        return f"{self.role}:{self.asked}#{self.copy}"


def parse(text: str) -> Variant:
    """Read what ``str`` of a variant gave.

    Raises:
        ManifestError: if it is none
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        msg = f"bad variant {text!r}: expected ROLE:NAME#COPY such as augment:noise#1"
        raise ManifestError(msg)
    role, name, parameter, copy = found.groups()
    return Variant(role, name, parameter or "", int(copy))


def asked(role: str, text: str) -> Variant:
    """Read what a person asks for: ``NAME`` or ``NAME-PARAMETER``.

    ``noise-10db`` and ``noise-10.0dB`` are ``noise-10dB``.

    Raises:
        ManifestError: if it cannot be a name
    """
    found = _TEXT.fullmatch(f"{role}:{text}#1")
    if found is None:
        msg = f"bad --{role} {text!r}: expected a name such as noise or noise-10dB"
        raise ManifestError(msg)
    parameter = re.sub(r"(\d)\.0+(?!\d)", r"\1", (found[3] or "").lower())
    return Variant(role, found[2], parameter.replace("db", "dB"))


def roles(rows: pd.DataFrame) -> NDArray[np.object_]:
    """Return the role of each manifest row, ``""`` for originals."""
    return rows["variant"].str.partition(":")[0].to_numpy(object)


def names(rows: pd.DataFrame) -> NDArray[np.object_]:
    """Return each row's variant as a person names it, ``""`` for originals."""
    behind = rows["variant"].str.partition(":")[2]
    return behind.str.partition("#")[0].to_numpy(object)


def options(rows: pd.DataFrame) -> list[str]:
    """Return the options of ``extract`` that make the variants among manifest rows."""
    told = [parse(text) for text in rows["variant"].unique() if text]
    words: list[str] = []
    for role in PARTS:
        if names := list(dict.fromkeys(v.asked for v in told if v.role == role)):
            words += [f"--{role}", *names]
    copies = max((v.copy for v in told), default=1)
    return [*words, "--copies", str(copies)] if copies > 1 else words
