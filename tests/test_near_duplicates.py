"""Recordings that are there more than once: told apart, grouped, shown."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

import pipeline
from contracts.cache import Cache
from contracts.extraction import Options
from contracts.manifest import complete
from extract import _near_duplicates as near
from extract import fingerprint
from extract._inspection_text import near_text

Sound = NDArray[np.float32]
N = 8  # recordings


def talk(seed: int, seconds: float = 2.4) -> Sound:
    """Draw something like speech: syllables of moving pitch and moving timbre."""
    rng = np.random.default_rng(seed)
    n = int(16_000 * seconds)
    slow = np.linspace(0, 1, 12)

    def drift(low: float, high: float) -> NDArray[np.float64]:
        return np.interp(np.linspace(0, 1, n), slow, rng.uniform(low, high, 12))

    phase = 2 * np.pi * np.cumsum(drift(110, 190)) / 16_000
    centres = drift(400, 900), drift(1200, 2400)
    sound = np.zeros(n)
    for k in range(1, 24):
        at = k * 150.0
        strength = sum(np.exp(-(((at - c) / 250) ** 2)) for c in centres)
        sound += strength * np.sin(k * phase)
    sound *= np.clip(drift(-0.3, 1.0), 0, 1) ** 2
    return (0.1 * sound + 1e-4 * rng.standard_normal(n)).astype(np.float32)


def encoded(sound: Sound, rate: int, **how: Any) -> Sound:
    """Write a file of some format at some rate and hear it again."""
    file = io.BytesIO()
    soundfile.write(file, soxr.resample(sound, 16_000, rate), rate, **how)
    file.seek(0)
    heard, rate = soundfile.read(file, dtype="float32")
    return np.asarray(soxr.resample(heard, rate, 16_000), np.float32)


def padded(sound: Sound, before: int, after: int) -> Sound:
    return np.pad(sound, (before, after)).astype(np.float32)


def noisy(sound: Sound) -> Sound:
    noise = 1e-4 * np.random.default_rng(0).standard_normal(len(sound))
    return (0.05 * sound + noise).astype(np.float32)


COPIES: dict[str, Callable[[Sound], Sound]] = {
    "gain": lambda s: 0.01 * s,
    "noise": noisy,
    "8 kHz": lambda s: encoded(s, 8_000, format="WAV"),
    "mp3": lambda s: encoded(
        s, 16_000, format="MP3", bitrate_mode="CONSTANT", compression_level=0.95
    ),
    "vorbis at 8 kHz": lambda s: encoded(s, 8_000, format="OGG", subtype="VORBIS"),
    "opus": lambda s: encoded(
        s, 16_000, format="OGG", subtype="OPUS", compression_level=0.95
    ),
    "delay of 50 ms": lambda s: padded(s, 800, 0),
    "half a frame": lambda s: padded(s, 256, 100),
}


def prints(sounds: list[Sound]) -> list[NDArray[np.float32]]:
    return [values[0] for values in fingerprint.load(Options())(sounds)]


@pytest.fixture(scope="module")
def originals() -> list[NDArray[np.float32]]:
    return prints([talk(seed) for seed in range(N)])


class Prints:
    """Fingerprints in memory, read as those in a cache are."""

    def __init__(self, values: dict[str, NDArray[np.float32]]) -> None:
        self.values = self.places = values

    def frames(self, key: str, layers: object) -> NDArray[np.float32]:
        return self.values[key].T[None]


def rows(*utterances: tuple[str, str, str, str]) -> pd.DataFrame:
    """Make rows of id, waveform, label, speaker."""
    frame = pd.DataFrame(utterances, columns=["id", "waveform", "label", "speaker"])
    return complete(frame.assign(corpus=frame["id"].str.partition("/")[0]))


def find(frame: pd.DataFrame, values: dict[str, Any]) -> dict[str, Any]:
    found = near.near_duplicates(frame, Prints(values))  # type: ignore[arg-type]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_the_same_recording(
    copy: str, originals: list[NDArray[np.float32]]
) -> None:
    copies = prints([COPIES[copy](talk(seed)) for seed in range(N)])

    for one, other in zip(originals, copies, strict=True):
        assert near.agreement(one, other) >= near.SAME
        assert near.agreement(other, one) >= near.SAME
        assert near.vector(one) @ near.vector(other) >= near.LIKELY


def test_shifts_are_searched_by_half_frames(
    originals: list[NDArray[np.float32]],
) -> None:
    copies = prints([COPIES["half a frame"](talk(seed)) for seed in range(N)])

    pairs = zip(originals, copies, strict=True)
    assert min(near.agreement(one, other) for one, other in pairs) > 0.95


def test_different_recordings_are_far_below(
    originals: list[NDArray[np.float32]],
) -> None:
    scores = [
        near.agreement(originals[i], originals[j]) for i in range(N) for j in range(i)
    ]

    assert max(scores) < near.SAME - 0.2


def test_silence_clicks_and_what_is_very_short_match_nothing() -> None:
    click = np.zeros(32_000, np.float32)
    click[9_000] = 0.5
    other = np.roll(click, 700)
    silent = np.zeros(32_000, np.float32)
    short = talk(0, 0.2)
    sounds = [click, other, silent, silent[:-160], short, short * 0.5, talk(1)]
    values = {str(i): p for i, p in enumerate(prints(sounds))}
    frame = rows(*[(f"a/{i}", i, "x", "a/1") for i in values])

    found = find(frame, values)

    assert found == {"n_compared": 1, "n_not_compared": 6, "groups": []}


def test_groups_name_who_disagrees_and_come_in_order(
    originals: list[NDArray[np.float32]],
) -> None:
    values = {str(i): p for i, p in enumerate(originals)}
    for i in range(4):
        [values[f"{i}mp3"]] = prints([COPIES["mp3"](talk(i))])
    frame = rows(
        ("a/0", "0", "happy", "a/01"),
        ("b/0", "0mp3", "Happy", "b/01"),  # told alike but for the corpus and case
        ("a/1", "1", "happy", "a/01"),
        ("b/1", "1mp3", "sad", "b/02"),
        ("a/2", "2", "happy", "a/01"),
        ("b/2", "2mp3", "", ""),  # what is not known contradicts nothing
        ("a/3", "3", "happy", "a/01"),
        ("a/3again", "3mp3", "happy", "a/02"),
        ("a/4", "4", "happy", "a/01"),
        ("b/4", "4", "happy", "b/01"),  # one waveform in two corpora
        ("a/5", "5", "happy", "a/01"),
        ("a/5again", "5", "sad", "a/01"),  # in one corpus: said elsewhere
        ("a/lost", "", "happy", "a/01"),
    )

    found = find(frame, values)

    assert (found["n_compared"], found["n_not_compared"]) == (12, 1)
    told = [([m[0] for m in g["members"]], g["disagree"]) for g in found["groups"]]
    assert told[:2] == [
        (["a/1", "b/1"], ["label", "speaker"]),
        (["a/3", "a/3again"], ["speaker"]),
    ]
    assert sorted(told[2:]) == [
        (["a/0", "b/0"], []),
        (["a/2", "b/2"], []),
        (["a/4", "b/4"], []),
    ]
    assert found["groups"][2]["score"] == 1.0
    text = near_text({"among": ["a", "b"], **found})
    assert text.index("labels differ, speakers differ") < text.index("b/1 (sad, b/02)")
    assert "5 groups among 12 utterances" in text


def test_many_copies_take_few_comparisons(
    originals: list[NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {
        f"{i}": originals[0] + np.float32(0.01) * np.float32(i % 3) for i in range(60)
    }
    calls = []
    best = near._best

    def counted(*told: Any) -> float:
        calls.append(1)
        return best(*told)

    monkeypatch.setattr(near, "_best", counted)
    found = find(rows(*[(f"a/{i}", i, "x", "a/1") for i in values]), values)

    assert [len(g["members"]) for g in found["groups"]] == [60]
    assert len(calls) == 59


@pytest.mark.parametrize("at_once", [1, 50, 4_000_000])
def test_candidates_in_blocks_are_those_of_all_pairs(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    vectors = np.abs(rng.standard_normal((70, 4))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    lengths = np.sort(rng.integers(20, 90, 70))
    monkeypatch.setattr(near, "_AT_ONCE", at_once)

    got = {(i, int(j)) for i, js in near._likely(vectors, lengths) for j in js}

    expected = {
        (i, j)
        for i in range(70)
        for j in range(i + 1, 70)
        if lengths[j] - lengths[i] <= 10 and vectors[i] @ vectors[j] >= near.LIKELY
    }
    assert len(expected) > 20
    assert got == expected


def test_a_long_recording_has_the_vector_of_its_shifted_copy() -> None:
    long = np.concatenate([talk(seed) for seed in range(5)])  # 12 s
    one, other = prints([long, padded(long, 900, 300)])

    [mixed] = prints([np.concatenate([long[:-48_000], talk(9), talk(8, 0.6)])])
    assert len(one) > 256
    assert near.vector(one) @ near.vector(other) > 0.95
    assert near.vector(one) @ near.vector(mixed) < 0.9  # alike for 9 s, not behind
    assert near.agreement(one, other) >= near.SAME


def folder(root: Path, label: str, change: Callable[[Sound], Sound]) -> Path:
    root.mkdir()
    lines = ["file,speaker,emotion"]
    for seed in range(3):
        soundfile.write(root / f"{seed}.wav", change(talk(seed, 1.2)), 16_000)
        lines.append(f"{seed}.wav,{seed},{label if seed == 1 else 'happy'}")
    (root / "list.csv").write_text("\n".join(lines) + "\n")
    return root


def test_inspect_keeps_fingerprints_and_shows_groups(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = folder(tmp_path / "one", "happy", lambda s: s)
    two = folder(tmp_path / "two", "sad", lambda s: padded(0.3 * s, 700, 50))
    cache, runs = tmp_path / "cache", tmp_path / "runs"
    words = ["inspect", "--corpus", "one", "two", "--root", one, two]
    words += ["--cache", cache, "--runs", runs]

    def inspect(*more: str) -> tuple[str, list[dict[str, Any]]]:
        assert pipeline.main([str(word) for word in (*words, *more)]) == 0
        told = [
            json.loads((runs / f"inspect/{c}.json").read_text()) for c in words[2:4]
        ]
        return capsys.readouterr().out, told

    _, facts = inspect()
    assert [f["near_duplicates"] for f in facts] == [None, None]
    assert not cache.exists()

    first, facts = inspect("--near-duplicates")
    assert "6 utterances extracted" in first
    assert "3 groups among 6 utterances" in first
    assert first.index("labels differ") < first.index("one/0.wav (happy, one/0)")
    groups = facts[0]["near_duplicates"]["groups"]
    assert groups == facts[1]["near_duplicates"]["groups"]
    assert groups[0]["disagree"] == ["label"]
    assert [m[0] for m in groups[0]["members"]] == ["one/1.wav", "two/1.wav"]
    assert [s.spec.name for s in Cache(cache).stores] == ["fingerprint"]
    assert Cache(cache).corpora == []

    before = sorted((p, p.stat().st_mtime_ns) for p in cache.rglob("*"))
    with Cache(cache).lock():  # what is kept needs no lock
        held = sorted((p, p.stat().st_mtime_ns) for p in cache.rglob("*"))
        again, facts = inspect("--near-duplicates")
    assert "extracted" not in again
    assert facts[0]["near_duplicates"]["groups"] == groups
    assert [p for p, _ in before] == [p for p, _ in held]
