"""Near-duplicates of corpora that are inspected: fingerprints kept, groups found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from contracts.cache import Cache
from contracts.extraction import Options
from contracts.manifest import Manifest
from extract import _near_duplicates, _plan, _spool, _stage, fingerprint


def look(
    cache: Cache, manifests: Sequence[Manifest]
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Look for recordings that are there more than once, within corpora and across.

    Fingerprints that the cache lacks are made under its lock; where it lacks none,
    nothing is written. Manifests stay as they are.

    Args:
        cache: which keeps the fingerprints
        manifests: of the corpora, as they were scanned; variants are passed over

    Returns:
        what ``near_duplicates`` returns with ``among``, the corpora; and what could
        not be compared with its reason

    Raises:
        CacheError: if somebody else is writing into the cache
    """
    frames = [m.rows[m.rows["variant"] == ""] for m in manifests]
    rows = pd.concat(frames, ignore_index=True)
    spec = fingerprint.load(Options()).spec
    faults: list[tuple[str, str]] = []
    if _plan.missing(cache, spec, rows):
        with cache.lock():
            _spool.sweep(cache.folder)
            faults = _stage.make_features(cache, [rows], [spec.name], Options())
    stores = [s for s in Cache(cache.folder).stores if s.spec.short == spec.short]
    found = {"n_compared": 0, "n_not_compared": len(rows), "groups": []}
    if stores:
        found = _near_duplicates.near_duplicates(rows, stores[0])
    return {"among": [m.corpus for m in manifests], **found}, faults


def of_corpus(near: Mapping[str, Any], corpus: str) -> dict[str, Any]:
    """Choose the groups that a corpus has a part in; their members stay together."""
    groups = [
        group
        for group in near["groups"]
        if any(name.startswith(f"{corpus}/") for name, *_ in group["members"])
    ]
    return {**near, "groups": groups}
