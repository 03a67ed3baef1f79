"""What is accepted in a corpus but odd, in words and by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from contracts.errors import listing
from contracts.manifest import Manifest

_ROUNDING = 2e-3  # seconds: tables write the end of a file rounded to milliseconds
_SHORT = 0.06  # seconds; openSMILE gives NaN below


@dataclass(frozen=True)
class Note:
    """Something odd but accepted.

    Attributes:
        what: in words
        names: of the utterances or files it is about
    """

    what: str
    names: tuple[str, ...] = ()

    def text(self, limit: int = 10) -> str:
        """Say it, with at most so many names."""
        return f"{self.what}: {listing(self.names, limit)}" if self.names else self.what


def odd(frame: pd.DataFrame) -> list[Note]:
    """Name what is accepted but odd: the same recording twice, clipping, silence."""
    out = []
    rows = frame[frame["problem"] == ""]
    for _, same in rows[rows["waveform"].duplicated(keep=False)].groupby("waveform"):
        what = f"the same recording under {len(same)} names"
        out.append(Note(what, tuple(same["id"])))
    checks: tuple[tuple[str, Callable[[pd.DataFrame], Any]], ...] = (
        ("clipped (samples at full scale)", lambda r: r["clipping"] > 0.001),
        ("silent (no frame above -60 dBFS)", lambda r: r["silence"] >= 1.0),
        (
            "end behind their file, by less than half a second, and are cut there",
            lambda r: r["end"] - r["start"].fillna(0.0) > r["duration"] + _ROUNDING,
        ),
        (
            "shorter than 60 ms (eGeMAPS is not defined)",
            lambda r: r["duration"] < _SHORT,
        ),
    )
    for what, test in checks:
        names = rows["id"][test(rows)]
        if len(names):
            out.append(Note(f"{len(names)} {what}", tuple(names)))
    return out


def unexpected(manifest: Manifest) -> list[Note]:
    """Compare with the published counts."""
    told, rows = manifest.card, manifest.rows
    if told["limited"]:
        taken, found = told["limited"]
        return [Note(f"limited: {taken} of {found} utterances are taken")]
    expected = {"utterances": told["n_utterances"], "speakers": told["n_speakers"]}
    got = {"utterances": len(rows), "speakers": len(set(rows["speaker"]) - {""})}
    expected |= told["label_counts"]
    got |= rows["label"].value_counts().to_dict()
    return [
        Note(f"{manifest.corpus}: expected {n} {what}, got {got.get(what, 0)}")
        for what, n in expected.items()
        if n is not None and got.get(what, 0) != n
    ]


def gone(before: Manifest, names: set[str]) -> list[Note]:
    rows = before.rows[before.rows["variant"] == ""]
    gone = tuple(name for name in rows["id"] if name not in names)
    if not gone:
        return []
    what = f"{len(gone)} utterances that were in the manifest are no longer there"
    return [Note(f"{what}; their features stay in the cache", gone)]
