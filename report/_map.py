"""Maps of features: utterances as points, near where their features are alike.

Principal components of standardised columns (Pearson, On lines and planes of closest
fit, Philosophical Magazine 2, 1901, 559); UMAP (McInnes, Healy and Melville,
arXiv:1802.03426) where it is installed and asked for. No label takes part. A map shows
what is easily seen in a feature, often the speaker; how well emotions can be told from
it is what the ranking measures.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from contracts.cache import Cache
from contracts.errors import EmocacheError, RunError
from contracts.run import Run
from contracts.view import View
from report._svg import drawing, element

N_POINTS = 1_000  # on a map; more are sampled
N_MAPS = 6  # on a page
WIDTH, HEIGHT, EDGE = 620.0, 460.0, 10.0
METHODS = ("pca", "umap")


@dataclass(frozen=True)
class FeatureMap:
    """Utterances of a corpus by one feature.

    Attributes:
        name: feature and corpus
        ids: of the points
        labels: as the corpus has them
        speakers: of the points
        at: places ``(utterance, 2)``
        of: utterances that the points were sampled from
        explained: share of the variance that each axis holds; empty for UMAP
    """

    name: str
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    speakers: tuple[str, ...]
    at: NDArray[np.float64]
    of: int
    explained: tuple[float, ...]


def feature_maps(
    runs: Sequence[Run], folder: Path, method: str = "pca"
) -> tuple[list[FeatureMap], list[str]]:
    """Map the features that runs used, those of the first runs first.

    Args:
        runs: best first
        folder: the cache
        method: ``pca`` or ``umap``

    Returns:
        the maps, and one sentence for each that could not be made

    Raises:
        RunError: if UMAP is asked for and not installed
    """
    if method == "umap":
        _umap()
    asked: dict[tuple[str, str], str] = {}
    for run in runs:
        for feature in run.record["features"]:
            for corpus in run.record["corpus"].split("+"):
                name = f"{feature['name']}@{feature['fingerprint']}"
                asked.setdefault((name, corpus), str(feature["name"]))
    maps: list[FeatureMap] = []
    problems = []
    for (reference, corpus), name in asked.items():
        if len(maps) == N_MAPS:
            break
        try:
            view = Cache(folder).view(corpus).require([reference])
            maps.append(_mapped(view, reference, f"{name}, {corpus}", method))
        except EmocacheError as error:
            problems.append(f"No map of {name}, {corpus}: {error}")
    return maps, problems


def _mapped(view: View, reference: str, name: str, method: str) -> FeatureMap:
    order = sorted(
        range(len(view)),
        key=lambda i: hashlib.sha256(str(view.ids[i]).encode()).digest(),
    )
    part = view.take(sorted(order[:N_POINTS]))
    values = _values(part, reference)
    whole = np.flatnonzero(np.isfinite(values).all(axis=1))
    part, values = part.take(whole), values[whole]
    spread = values.std(axis=0)
    values = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)
    if method == "umap":
        at = np.asarray(_umap()(random_state=0).fit_transform(values), np.float64)
        explained: tuple[float, ...] = ()
    else:
        at, explained = _components(values.astype(np.float64))
    told = (part.ids, part.labels, part.speakers)
    ids, labels, speakers = (tuple(map(str, column)) for column in told)
    return FeatureMap(name, ids, labels, speakers, at, len(view), explained)


def _values(view: View, reference: str) -> NDArray[np.float32]:
    """Return one row per utterance; frames as their mean over time and layers."""
    if view.spec(reference).is_table:
        return view.table(reference)
    pooled = view.pooled(reference)
    return np.asarray(pooled[:, :, 0].mean(axis=1))


def _components(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], tuple[float, ...]]:
    """Project on two components, by the smaller of the two products of the table."""
    if len(values) < 3:
        return np.zeros((len(values), 2)), (0.0, 0.0)
    weights, vectors = np.linalg.eigh(values @ values.T)
    top = np.argsort(weights)[::-1][:2]
    at = vectors[:, top] * np.sqrt(np.maximum(weights[top], 0))
    at *= np.where(at[np.abs(at).argmax(axis=0), [0, 1]] < 0, -1, 1)
    total = float(weights.sum()) or 1.0
    return at, tuple(float(w) / total for w in weights[top])


def _umap() -> Any:
    try:
        from umap import UMAP
    except ImportError as error:
        msg = (
            "UMAP is not installed: expected the package umap-learn. Run: "
            "pip install umap-learn, or take --map pca"
        )
        raise RunError(msg) from error
    return UMAP


def map_view(one: FeatureMap, places: Mapping[str, int]) -> dict[str, Any]:
    """Draw a map; a point knows its utterance, label and speaker by their places.

    Args:
        one: the map
        places: utterance id -> its place in the page's list
    """
    labels, speakers = sorted(set(one.labels)), sorted(set(one.speakers))
    low, high = one.at.min(axis=0), one.at.max(axis=0)
    span = np.where(high > low, high - low, 1)
    scaled = (one.at - low) / span
    points = []
    for (x, y), i, label, speaker in zip(
        scaled.tolist(), one.ids, one.labels, one.speakers, strict=True
    ):
        code = labels.index(label)
        points.append(
            Markup(
                '<circle cx="{:.0f}" cy="{:.0f}" r="4" class="c{}" data-l="{}" '
                'data-s="{}" data-i="{}"></circle>'
            ).format(
                EDGE + x * (WIDTH - 2 * EDGE),
                HEIGHT - EDGE - y * (HEIGHT - 2 * EDGE),
                code % 12,
                code,
                speakers.index(speaker),
                places.get(i, -1),
            )
        )
    said = f"Map of {len(points)} utterances by {one.name}; alike ones are near."
    return {
        "name": one.name,
        "n": len(points),
        "of": one.of,
        "explained": one.explained,
        "labels": labels,
        "speakers": speakers,
        "picture": drawing(
            WIDTH, HEIGHT, said, [element("g", *points, class_="points")], "map"
        ),
    }
