"""Find recordings that are there more than once, encoded or cut a little differently.

Two fingerprints are one recording when they agree in how the level moves from frame to
frame and from band to band, at the best of all shifts up to 0.2 s, by half frames.
That is asked only of pairs alike in length (to 0.3 s) and in a vector of fixed length:
the strength of slow movements (0.1 to 6 Hz) in eight groups of bands, which no shift,
gain or channel changes. Utterances in which less than a third of a second sounds are
not compared: two clicks, or two silences, would be one.

Measured on RAVDESS (1440 files, 574,224 pairs alike in length): two recordings agree at
most to 0.821, scored where the vectors' cosine is 0.6 or more (an actor saying one
sentence twice in one emotion; one pair of files, 03-01-03-01-02-01-07 and -02-07, is
one waveform). Copies of 96 of them agree at least to 0.893 (opus at 8 kbit/s), 0.909
(mp3 at 8 kHz and 8 kbit/s), 0.916 (AMR at 7.4 kbit/s), 0.929 (up to 150 ms put before
and 100 ms behind), 0.95 (AAC at 16 kbit/s; four times as loud and clipped), 0.97 (mp3
at 16 kbit/s, Ogg Vorbis, a tenth as loud with noise, 44.1 kHz stereo), 1.000 (8 kHz;
the 25 published files at 48 kHz against those at 16 kHz). The vectors' cosine is at
least 0.917 for these, and above 0.85 for 160 of the 574,224 pairs. Missed are copies
with more than 0.3 s cut off or added, changed in speed or pitch, or in opus at 7
kbit/s, narrow-band (down to 0.64).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extract.fingerprint import RANGE

if TYPE_CHECKING:
    import pandas as pd

    from contracts.cache import FeatureStore

SAME = 0.86  # agreement from which on two fingerprints are one recording
LIKELY = 0.85  # cosine of the vectors from which on two fingerprints are compared
LEAST = 10  # frames that sound, 0.32 s
_SHIFTS = 6  # frames, 0.2 s
_LENGTHS = 10  # frames by which two may differ in length, 0.3 s
_GROUPS, _MOVEMENTS, _CYCLE = 8, 48, 256  # of bands; frequencies; frames, 8.2 s
_ACROSS = 0.7  # weight of differences between bands beside those between frames
_AT_ONCE = 4_000_000  # pairs


def near_duplicates(rows: pd.DataFrame, store: FeatureStore) -> dict[str, Any]:
    """Find groups of utterances that are one recording, over all corpora in the rows.

    Args:
        rows: originals of some manifests; what could not be decoded is passed over
        store: fingerprints

    Returns:
        ``n_compared``, ``n_not_compared`` (not decoded, or too little to be heard) and
        ``groups``, each with ``score`` (its weakest link, in [0, 1]), ``disagree`` (of
        ``label``, ``speaker``) and ``members``, each ``[id, label, speaker]``; those
        that disagree come first. One waveform within one corpus is no group.
    """
    there = rows[rows["waveform"].isin(store.places.keys())]
    lengths: dict[str, int] = {}
    vectors = []
    for key in dict.fromkeys(there["waveform"]):
        frames = _frames(store, key)
        if _n_sounding(frames) >= LEAST:
            lengths[key] = len(frames)
            vectors.append(vector(frames))
    members: dict[str, list[tuple[str, ...]]] = {key: [] for key in lengths}
    told = there[["waveform", "corpus", "id", "label", "speaker"]]
    for key, *about in told.itertuples(index=False, name=None):
        if key in members:
            members[key].append(tuple(map(str, about)))
    linked = _links(lengths, vectors, store)
    again = {key for keys, _ in linked for key in keys}
    linked += [
        ([key], 1.0)
        for key, same in members.items()
        if key not in again and len({corpus for corpus, *_ in same}) > 1
    ]
    groups = [_group([m for k in keys for m in members[k]], s) for keys, s in linked]
    groups.sort(key=lambda g: (-len(g["disagree"]), -g["score"], g["members"]))
    n_compared = sum(map(len, members.values()))
    return {
        "n_compared": n_compared,
        "n_not_compared": len(rows) - n_compared,
        "groups": groups,
    }


def _group(utterances: Sequence[tuple[str, ...]], score: float) -> dict[str, Any]:
    """Describe utterances, each corpus, id, label, speaker, of one recording."""
    members = sorted(list(about) for _, *about in utterances)
    labels = {label.casefold() for _, label, _ in members if label}
    # a manifest puts the corpus' name before the speaker's
    speakers = {s.rpartition("/")[2].casefold() for *_, s in members if s}
    told = (("label", labels), ("speaker", speakers))
    disagree = [what for what, names in told if len(names) > 1]
    return {"score": round(score, 4), "disagree": disagree, "members": members}


def _links(
    lengths: Mapping[str, int],
    vectors: Sequence[NDArray[np.float32]],
    store: FeatureStore,
) -> list[tuple[list[str], float]]:
    """Join what is one recording; return the keys and the weakest link of each group.

    Two that others join already are not compared: a thousand copies of one recording
    take a thousand comparisons, not a million.

    Args:
        lengths: key -> frames
        vectors: in the same order
        store: fingerprints
    """
    if len(lengths) < 2:
        return []
    size = np.array(list(lengths.values()))
    order = np.argsort(size, kind="stable")
    names = list(lengths)
    keys = [names[i] for i in order]
    group = np.arange(len(keys))
    weakest = np.ones(len(keys))
    for i, others in _likely(np.stack(vectors)[order], size[order]):
        left = others[group[others] != group[i]]
        mine = _shifted(_frames(store, keys[i])) if len(left) else []
        for j in left:
            score = _best(mine, _edges(_frames(store, keys[j])))
            if score >= SAME:
                low = min(score, weakest[group[i]], weakest[group[j]])
                group[group == group[j]] = group[i]
                weakest[group[i]] = low
    found: dict[int, list[str]] = {}
    for key, at in zip(keys, group, strict=True):
        found.setdefault(int(at), []).append(key)
    return [(m, float(weakest[at])) for at, m in found.items() if len(m) > 1]


def _likely(
    vectors: NDArray[np.float32], lengths: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield each fingerprint with the later ones to compare, in bounded memory.

    Args:
        vectors: ``(fingerprint, number)`` of unit length, by rising length
        lengths: ``(fingerprint,)`` in frames
    """
    end = np.searchsorted(lengths, lengths + _LENGTHS, side="right")
    first, n = 0, len(vectors)
    while first < n:
        size = min(1024, n - first)
        while size > 1 and size * (end[first + size - 1] - first) > _AT_ONCE:
            size //= 2
        until = end[first + size - 1]
        alike = vectors[first : first + size] @ vectors[first:until].T >= LIKELY
        for row in range(size):
            i = first + row
            yield i, i + 1 + np.flatnonzero(alike[row, row + 1 : end[i] - first])
        first += size


def agreement(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Say how far two fingerprints ``(frame, band)`` agree: 1 wholly, 0 not at all."""
    return _best(_shifted(one.astype(np.float32)), _edges(other.astype(np.float32)))


def _best(mine: Sequence[NDArray[np.float32]], other: NDArray[np.float32]) -> float:
    """Return the highest correlation over all shifts."""
    best = 0.0
    for one in mine:
        least = 0.75 * min(len(one), len(other))
        for shift in range(-_SHIFTS, _SHIFTS + 1):
            a, b = one[max(0, shift) :], other[max(0, -shift) :]
            n = min(len(a), len(b))
            if n < least or not n:
                continue
            a, b = a[:n].ravel(), b[:n].ravel()
            strength = float(a @ a) * float(b @ b)
            if strength > 0:
                best = max(best, float(a @ b) / strength**0.5)
    return min(best, 1.0)


def _shifted(frames: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return the movements as they are and half a frame later."""
    padded = np.pad(frames, ((1, 2), (0, 0)), mode="edge")
    # cubic interpolation half way between two frames
    middle = (9 * (padded[1:-2] + padded[2:-1]) - padded[:-3] - padded[3:]) / 16
    return [_edges(frames), _edges(middle.astype(np.float32))]


def _edges(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return differences ``(frame, difference)`` in time and between bands."""
    in_time = np.diff(frames, axis=0)[:, :-1]
    across = np.diff(frames, axis=1)[1:]
    told = [part - part.mean(axis=0) for part in (in_time, across) if len(part)]
    if not told:
        return np.zeros((0, 2 * (frames.shape[1] - 1)), np.float32)
    return np.concatenate([told[0], _ACROSS * told[1]], axis=1)


def vector(frames: NDArray[Any]) -> NDArray[np.float32]:
    """Return the strength of slow movements of a fingerprint ``(frame, band)``.

    Returns:
        192 numbers of unit length: the roots of the magnitudes of the spectrum over
        time at every 0.12 Hz up to 5.9 Hz, two by two, less their mean in each group
        of bands; 0 throughout where nothing moves
    """
    grouped = frames.astype(np.float32).reshape(len(frames), _GROUPS, -1).mean(axis=2)
    grouped -= grouped.mean(axis=0)
    whole = -(-len(grouped) // _CYCLE)  # longer ones at the same frequencies
    spectrum = np.abs(np.fft.rfft(grouped, n=whole * _CYCLE, axis=0))
    strength = np.sqrt(spectrum[whole : whole * (_MOVEMENTS + 1) : whole])
    strength = strength.reshape(_MOVEMENTS // 2, 2, _GROUPS).mean(axis=1)
    strength -= strength.mean(axis=0)
    size = float(np.linalg.norm(strength))
    told = strength / size if size > 0 else strength
    return told.ravel().astype(np.float32)


def _frames(store: FeatureStore, key: str) -> NDArray[np.float32]:
    """Return a fingerprint ``(frame, band)``; read from the file each time."""
    return store.frames(key, (0,))[0].T.astype(np.float32)


def _n_sounding(frames: NDArray[np.float32]) -> int:
    """Count frames in which anything is heard; in silence all bands are one."""
    if frames.min() == frames.max():
        return 0
    return int((frames.max(axis=1) > -RANGE).sum())
