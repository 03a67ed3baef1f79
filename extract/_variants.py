"""Make variants: their rows in the manifest, and their waveforms when they are heard.

A variant is known by its source's waveform and by everything that makes it: the
plug-in, its version, what stands behind its name, the copy's number, the versions of
the libraries. What is drawn follows from that alone, so it is the same on every machine
and in whatever order variants are made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts import plugins, variant
from contracts.errors import ExtractionError, PluginError, listing
from contracts.manifest import Manifest
from contracts.variant import Variant
from extract._oddities import Note

_ITS_OWN = ("clipping", "silence")  # not measured of variants


def key(source: str, what: Variant) -> str:
    """Return what a variant is known by, in the place of a waveform's hash.

    Args:
        source: hash of the waveform that it is made from
        what: how it is made
    """
    facts = [source, str(what), _versions(what.name)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def make(
    waveform: NDArray[np.float32], source: str, what: Variant
) -> NDArray[np.float32]:
    """Make a variant of a waveform ``(time,)``, mono float32 at 16 kHz.

    Args:
        waveform: to be changed
        source: its hash
        what: how it is changed

    Raises:
        ExtractionError: if the result is not a waveform
    """
    plugin = plugins.load("variants", what.name)
    drawn, rng = _draw(source, what)
    out: NDArray[np.float32] = plugin.make(waveform, drawn, rng)
    if out.ndim != 1 or not len(out) or not np.isfinite(out).all():
        msg = f"{what} gave no waveform: expected (time,) of numbers, got {out.shape}"
        raise ExtractionError(msg)
    return np.ascontiguousarray(out, np.float32)


def _draw(
    source: str, what: Variant
) -> tuple[Mapping[str, float], np.random.Generator]:
    """Draw the numbers of a variant; the generator goes on into making it."""
    plugin = plugins.load("variants", what.name)
    facts = [source, what.role, what.asked, what.copy, plugin.VERSION]
    digest = hashlib.sha256(json.dumps(facts).encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:16], "little"))
    return plugin.draw(what.parameter, rng), rng


@cache
def _versions(name: str) -> list[str]:
    plugin = plugins.load("variants", name)
    libraries = [f"{x} {metadata.version(x)}" for x in plugin.LIBRARIES]
    return [f"{name} {plugin.VERSION}", *libraries]


def choose(role: str, asked: Sequence[str], copies: int = 1) -> list[Variant]:
    """Read which variants are asked for, each so many times.

    Raises:
        ManifestError: if one cannot be a name
        PluginError: if there is none of a name, or what is behind it cannot be read
        ExtractionError: if one needs a library that is not there
    """
    wanted = [variant.asked(role, text) for text in dict.fromkeys(asked)]
    plugins.check("variants", [what.name for what in wanted])
    wrong, lacking = [], {}
    for what in wanted:
        plugin = plugins.load("variants", what.name)
        try:
            plugin.draw(what.parameter, np.random.default_rng(0))
        except PluginError as error:
            wrong.append(str(error))
        if gone := _lacks(what.name):
            lacking[what.name] = (plugin.EXTRA, gone)
    if wrong:
        raise PluginError("; ".join(wrong))
    for name, (extra, gone) in lacking.items():
        msg = (
            f"the variant {name} needs {listing(gone)}, which is not installed. Run: "
            f"pip install -c constraints.txt -e '.[{extra}]'"
        )
        raise ExtractionError(msg)
    return [
        Variant(what.role, what.name, what.parameter, copy)
        for what in wanted
        for copy in range(1, copies + 1)
    ]


def _is_there(library: str) -> bool:
    try:
        metadata.version(library)
    except metadata.PackageNotFoundError:
        return False
    return True


def attach(
    originals: pd.DataFrame, before: Manifest | None, wanted: Sequence[Variant]
) -> tuple[pd.DataFrame, list[Note]]:
    """Return the variants that belong to a manifest: those there were, those wanted.

    Variants there were stay with the utterances that are what they were; all that is
    known of an utterance, its labels and speaker too, is known of its variants.

    Args:
        originals: rows of the manifest
        before: the manifest there was
        wanted: to be made of every utterance that could be heard

    Returns:
        their rows, and which there were that can no longer be made as they were
    """
    good = originals[originals["problem"] == ""]
    made = {str(what): _rows(good, what) for what in wanted}
    lost: list[Note] = []
    there = originals.iloc[:0] if before is None else before.rows
    for text, old in there[there["variant"] != ""].groupby("variant", sort=False):
        if text in made:
            continue
        what = variant.parse(str(text))
        now = None if _lacks(what.name) else _rows(good, what)
        kept = originals.iloc[:0] if now is None else now
        made[str(text)] = kept[kept["waveform"].isin(old["waveform"])]
        sources = good["id"].isin(old["source"]).sum()
        if n := int(sources - len(made[str(text)])):
            again = f"python pipeline.py extract --{what.role} {what.asked}"
            why = (
                f"{n} variants {what.asked} were made of other audio or by another "
                f"version and are no longer listed. Run: {again}"
            )
            lost.append(Note(why))
    return pd.concat([originals.iloc[:0], *made.values()], ignore_index=True), lost


def _lacks(name: str) -> list[str]:
    """List the libraries that a variant needs and that are not there."""
    if name not in plugins.names("variants"):
        return [name]
    libraries = plugins.load("variants", name).LIBRARIES
    return [x for x in libraries if not _is_there(x)]


def _rows(good: pd.DataFrame, what: Variant) -> pd.DataFrame:
    pace = plugins.load("variants", what.name).pace
    paces = [pace(_draw(source, what)[0]) for source in good["waveform"]]
    told: dict[str, Any] = {
        "source": good["id"],
        "variant": str(what),
        "id": good["id"] + f"~{what}",
        "waveform": [key(source, what) for source in good["waveform"]],
        "duration": good["duration"] * np.array(paces, float),
        **dict.fromkeys(_ITS_OWN, np.nan),
    }
    return good.assign(**told)


def belonging(rows: pd.DataFrame, wanted: Sequence[Variant]) -> pd.DataFrame:
    """Leave only originals and these variants in manifest rows."""
    return rows[rows["variant"].isin(["", *map(str, wanted)])]
