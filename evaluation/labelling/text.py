"""What a label map did, in words and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.errors import listing
from contracts.terminal import table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_COUNTED = (
    ("from_votes", "labelled by most votes"),
    ("unlabelled", "unlabelled"),
    ("voteless", "dropped as none of their votes is left"),
)


def label_text(counts: Mapping[str, Any]) -> str:
    """Say what a label map did: merged, dropped, counts before and after.

    Args:
        counts: what ``LabelMap.counts`` returns; of several corpora, each has columns
            of its own
    """
    corpora: Mapping[str, Any] = counts.get("corpora", {})
    words = [f"labels {counts['name']}"]
    words += [f"{a} into {b}" for a, b in counts["merge"].items()]
    for name, n in counts["drop"].items():
        each = _each({c: told["drop"].get(name) for c, told in corpora.items()})
        words.append(f"{name} dropped ({n}{each and f': {each}'})")
    if share := counts.get("threshold"):
        words.append(threshold_text(share))
    for key, said in _COUNTED:
        if n := counts.get(key):
            each = _each({c: told.get(key) for c, told in corpora.items()})
            words.append(f"{n} {said}{each and f' ({each})'}")
    lines = [", ".join(words), _table(counts, corpora)]
    return "\n".join(lines + missing_text(corpora))


def threshold_text(share: float) -> str:
    """Say what a threshold does."""
    return f"shares of votes below {share:g} become 0"


def missing_text(corpora: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say which classes only some of several corpora have.

    Args:
        corpora: corpus -> its counts, with ``after``
    """
    lines = []
    for label in next(iter(corpora.values()), {"after": {}})["after"]:
        have = [c for c, told in corpora.items() if told["after"][label]]
        if len(have) < len(corpora):
            only = f"only in {listing(have)}" if have else "in none of the corpora"
            lines.append(f"class {label} is {only}")
    return lines


def _each(counts: Mapping[str, int | None]) -> str:
    """Write each corpus' own count; nothing where there is one corpus."""
    return listing(f"{corpus} {n}" for corpus, n in counts.items() if n)


def _table(counts: Mapping[str, Any], corpora: Mapping[str, Any]) -> str:
    """Lay out the counts before and after, two columns for each of several corpora."""
    several = [(f"{corpus} ", one) for corpus, one in corpora.items()]
    heads, parts = ["label"], [*several, ("", counts)]
    for corpus, _ in parts:
        heads += [f"{corpus}before", f"{corpus}after"]
    before, after = counts["before"], counts["after"]
    rows = [
        [name, *(p[k].get(name, "") for _, p in parts for k in ("before", "after"))]
        for name in [*after, *(b for b in before if b not in after)]
    ]
    return table(heads, rows)
