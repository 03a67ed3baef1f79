"""What a label map does to the corpora of a cache, before anything is fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from contracts.errors import listing
from contracts.labels import LabelMap, labels_of
from contracts.manifest import votes
from contracts.terminal import count, table
from evaluation.labelling.text import missing_text, threshold_text


@dataclass(frozen=True)
class Checked:
    """What a label map does to manifest rows.

    Attributes:
        becomes: label -> class, ``dropped`` or ``unknown``
        before: corpus -> label -> utterances; 0 where it is only voted for
        corpora: corpus -> counts as of ``LabelMap.counts``
        unknown: labels that the map does not know
        voted: utterances with votes
        voteless: utterances that lose all their votes
        speakers: number of known speakers who have a label left or had one
        lacking: speaker -> classes of the speaker's corpus that the speaker lacks
    """

    label_map: LabelMap
    becomes: Mapping[str, str]
    before: Mapping[str, Mapping[str, int]]
    corpora: Mapping[str, Mapping[str, Any]]
    unknown: tuple[str, ...]
    voted: int
    voteless: int
    speakers: int
    lacking: Mapping[str, tuple[str, ...]]


def check(rows: pd.DataFrame, label_map: LabelMap) -> Checked:
    """Say what a label map does to manifest rows.

    Labels that it does not know are counted as if they were dropped, and named.
    """
    found = labels_of(rows)
    unknown = label_map.unknown(found)
    whole = replace(label_map, drop=(*label_map.drop, *unknown))
    kept = whole.apply(rows)[0]
    order = [*whole.labels, *whole.merge, *whole.drop]
    becomes = {k: k for k in whole.labels} | dict(whole.merge)
    becomes |= dict.fromkeys(whole.drop, "dropped") | dict.fromkeys(unknown, "unknown")
    groups = dict(iter(rows.groupby("corpus")))
    shares = votes(rows)
    lacking = _lacking(rows, kept, whole.labels)
    return Checked(
        label_map,
        {k: becomes[k] for k in order if k in found},
        {str(c): _held(group) for c, group in groups.items()},
        {str(c): whole.counts(group) for c, group in groups.items()},
        tuple(unknown),
        0 if shares is None else int(shares.gt(0).any(axis=1).sum()),
        int(whole.voteless(rows).sum()),
        len(set(rows["speaker"]) - {""}),
        lacking,
    )


def _held(rows: pd.DataFrame) -> dict[str, int]:
    told = rows["label"].value_counts()
    return {label: int(told.get(label, 0)) for label in labels_of(rows)}


def _lacking(
    rows: pd.DataFrame, kept: pd.DataFrame, classes: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    """Find the speakers who lack classes that others of their corpus have."""
    has = kept.groupby("speaker")["label"].agg(set).to_dict()
    offered = kept.groupby("corpus")["label"].agg(set).to_dict()
    out = {}
    known = rows[rows["speaker"] != ""].drop_duplicates("speaker")
    for speaker, corpus in zip(known["speaker"], known["corpus"], strict=True):
        without = offered.get(corpus, set()) - has.get(speaker, set())
        if without:
            out[str(speaker)] = tuple(c for c in classes if c in without)
    return out


def text(checked: Checked) -> str:
    """Write it for people, the unknown labels last."""
    one = checked.label_map
    lines = [f"labels {one.name}: {one.title}", _before(checked), "", _after(checked)]
    lines += missing_text(checked.corpora) if len(checked.corpora) > 1 else []
    lines += _fate(checked)
    if checked.lacking:
        named = listing(f"{s} (no {listing(c)})" for s, c in checked.lacking.items())
        lines.append(
            f"{len(checked.lacking)} of {count(checked.speakers, 'speaker')} lack "
            f"classes that their corpus has: {named}"
        )
    else:
        lines.append("every speaker has all classes that the speaker's corpus has")
    if checked.unknown:
        lines.append(
            f"unknown to {one.name}: {listing(checked.unknown, 100)}. fit refuses "
            "them: add each to the map's labels, [merge] or drop"
        )
    return "\n".join(lines)


def _before(checked: Checked) -> str:
    """Lay out what becomes of each label."""
    corpora = list(checked.before)
    rows = [
        [
            *(label, "kept" if label == to else to),
            *(checked.before[c].get(label, "") for c in corpora),
        ]
        for label, to in checked.becomes.items()
    ]
    return table(["label", "becomes", *corpora], rows)


def _after(checked: Checked) -> str:
    """Lay out the classes there are then, and how unequal they are."""
    told = {c: counts["after"] for c, counts in checked.corpora.items()}
    every = list(told.values())
    if len(told) > 1:
        told["all"] = {k: sum(a[k] for a in every) for k in checked.label_map.labels}
    rows = [[k, *(a[k] for a in told.values())] for k in checked.label_map.labels]
    last = ["most to fewest", *(_imbalance(a) for a in told.values())]
    return table(["class", *told], [*rows, last])


def _imbalance(after: Mapping[str, int]) -> str:
    """Divide the largest class by the smallest of those there are."""
    there = [n for n in after.values() if n]
    return f"{max(there) / min(there):.1f}" if there else ""


def _fate(checked: Checked) -> list[str]:
    """Say what becomes of votes and of utterances without a label."""

    def total(key: str) -> int:
        return sum(counts.get(key, 0) for counts in checked.corpora.values())

    lines = []
    if share := checked.label_map.threshold:
        lines.append(threshold_text(share))
    if checked.voted:
        lines.append(
            f"{count(checked.voted, 'utterance')} with votes: {checked.voteless} lose "
            f"all of them, {total('from_votes')} get the label most voted for"
        )
    if n := total("voteless"):
        said = "labelled utterances are dropped: none of their votes is left"
        lines.append(f"{n} {said}")
    if n := total("unlabelled"):
        lines.append(f"{count(n, 'utterance')} without a label cannot be used")
    return lines
