"""Published figures as rows: what was reported, and the fit that comes nearest to it.

The rows stand in ``published_rows.toml``. A group of ``[rows]`` belongs to the family
of its name unless a row names another; a family may be like another one. What a row
does not say its family says, settings are joined key by key, and ``entry`` points to
the place in a head's ``PUBLISHED`` that has the words: ``"vgg:0"``.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from contracts import plugins
from contracts.published import Published
from evaluation.settings import value

FILE = Path(__file__).with_suffix(".toml")
METRICS = {  # as they are named in a figure
    "uar": "UAR",
    "war": "WAR",
    "f1": "F1",
    "top2": "top-2",
    "ccc": "CCC",
}


@dataclass(frozen=True)
class Row:
    """One published figure and the fit that comes nearest to it.

    Attributes:
        id: what it is asked for by
        corpus: corpora
        labels: label map
        protocol: ours that comes nearest to the published one; made of the corpora
            where ``train`` says that one is trained on and another tested
        figures: metric -> published value in per cent, the headline first
        model: head; empty where ``cannot`` says why
        features: its inputs
        encoder: name on the hub; empty: none is heard
        revision: of the encoder; empty: the source names none
        settings: of the head, where they are not its own
        grid: settings that each fold chooses on its training speakers
        augment: variants that it is trained on too
        folds: the published ones; empty: all
        seeds: the published ones; 0 where the source has none
        spread: published spread, in words
        printed: what the source prints where ``figures`` are recomputed from it
        source: who, and where
        theirs: published protocol
        fault: what was wrong with it
        differs: what is not the same here, beside the protocol
        train: corpora that are trained on and not tested; empty: the protocol says
        cannot: why there is no command for it
        entry: ``head:position`` in its ``PUBLISHED``, of the words not said here
    """

    id: str
    corpus: tuple[str, ...]
    labels: str
    protocol: str
    figures: Mapping[str, float]
    model: str = ""
    features: tuple[str, ...] = ()
    encoder: str = ""
    revision: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    grid: Mapping[str, list[Any]] = field(default_factory=dict)
    augment: tuple[str, ...] = ()
    folds: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (0,)
    spread: str = ""
    printed: str = ""
    source: str = ""
    theirs: str = ""
    fault: str = ""
    differs: str = ""
    train: tuple[str, ...] = ()
    cannot: str = ""
    entry: str = ""

    @property
    def number(self) -> str:
        """Return the published figures in words."""
        told = ", ".join(f"{METRICS[m]} {v:g}" for m, v in self.figures.items())
        told += f" ({self.spread})" if self.spread else ""
        return f"{told}; printed: {self.printed}" if self.printed else told

    def published(self) -> Published:
        """Return source, figures, protocol and flaw; imports the head of ``entry``."""
        words = entry(self.entry) if self.entry else Published("", "", "")
        return Published(
            self.source or words.source,
            self.number,
            self.theirs or words.protocol,
            self.fault or words.flaw,
        )


def entry(place: str) -> Published:
    """Return what stands at ``head:position`` of a head's ``PUBLISHED``.

    Raises:
        PluginError: if there is no such head
    """
    model, _, position = place.partition(":")
    told: Published = plugins.load("models", model).PUBLISHED[int(position)]
    return told


@cache
def rows() -> dict[str, Row]:
    """Read every row, by its id."""
    told = tomllib.loads(FILE.read_text(encoding="utf-8"))
    out = {}
    for group, members in told["rows"].items():
        for member in members:
            name = member.pop("family", group)
            row = _row(_joined(_family(told["family"], name), member))
            out[row.id] = row
    return out


def _family(families: Mapping[str, Any], name: str) -> dict[str, Any]:
    own = dict(families.get(name, {}))
    like = own.pop("like", None)
    return _joined(_family(families, like), own) if like else own


def _joined(first: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    """Put what is told later in the place of what was told before."""
    both = {**first.get("settings", {}), **then.get("settings", {})}
    return {**first, **then, **({"settings": both} if both else {})}


def _row(told: Mapping[str, Any]) -> Row:
    known = {f.name for f in fields(Row)}
    out: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in told.items()
    }
    if unknown := out.keys() - known:
        msg = f"{FILE.name}: {told['id']} has unknown keys {sorted(unknown)}"
        raise KeyError(msg)
    out["settings"] = {
        k: value(v) if isinstance(v, str) else v
        for k, v in out.get("settings", {}).items()
    }
    return Row(**out)
