"""``external``: arrays from a file lie in the cache beside what was extracted."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contracts import plugins
from contracts.cache import Cache
from contracts.errors import ExtractionError
from contracts.extraction import Options
from contracts.manifest import Manifest
from tests import synthetic
from tests.test_extract import corpus, extract, run

Said = pytest.CaptureFixture[str]
RNG = np.random.default_rng(0)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Return a synthetic cache of eight utterances."""
    return synthetic.make_cache(
        tmp_path / "c", synthetic.rows(2, 1), n_layers=1, width=4
    )


def put(cache: Cache, path: Path, *more: object) -> int:
    return run("external", "--from", path, "--cache", cache.folder, *more)


def ids(cache: Cache) -> list[str]:
    return list(cache.manifest("toy").rows["id"])


def opened(cache: Cache) -> Any:
    return Cache(cache.folder).view()


def vectors(cache: Cache) -> dict[str, Any]:
    return {i: RNG.standard_normal(5).astype(np.float32) for i in ids(cache)}


def npz(path: Path, arrays: dict[str, Any]) -> Path:
    np.savez(path, **arrays)
    return path


# what comes in is what comes out


@pytest.mark.parametrize("kind", ["npz", "parquet", "csv", "tsv", "lists"])
def test_vectors_of_a_file_are_a_table_of_the_cache(
    cache: Cache, tmp_path: Path, kind: str
) -> None:
    arrays = vectors(cache)
    path = tmp_path / f"face.{'parquet' if kind == 'lists' else kind}"
    frame = pd.DataFrame(list(arrays.values()), columns=[*"abcde"])
    frame.insert(0, "id", list(arrays))
    if kind == "npz":
        npz(path, arrays)
    elif kind == "parquet":
        frame.sample(frac=1, random_state=0).to_parquet(path)
    elif kind == "lists":
        told = pd.DataFrame({"id": list(arrays), "vector": list(arrays.values())})
        told.to_parquet(path)
    else:
        frame.to_csv(path, sep="," if kind == "csv" else "\t", index=False)

    assert put(cache, path, "--corpus", "toy") == 0

    view = opened(cache).require(["face"])
    np.testing.assert_array_equal(view.table("face"), np.stack([*arrays.values()]))
    named = kind in ("parquet", "csv", "tsv")
    names = tuple("abcde") if named else tuple(f"face_{i}" for i in range(5))
    assert view.spec("face").channels == names
    assert view.valid("face").all()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("axes", [2, 3])
def test_frames_of_a_file_are_frames_of_the_cache(
    cache: Cache, tmp_path: Path, axes: int, dtype: str
) -> None:
    arrays: dict[str, Any] = {}
    for i, name in enumerate(ids(cache)):
        shape = (2, 3 + i, 4)[3 - axes :]
        arrays[name] = RNG.standard_normal(shape).astype(np.float16)
    path = npz(tmp_path / "a.npz", arrays)

    more = ("--name", "other", "--frame-shift", "0.04", "--dtype", dtype)
    assert put(cache, path, *more) == 0

    view = opened(cache).require(["other"])
    spec = view.spec("other")
    layers = (0, 1) if axes == 3 else (0,)
    assert (spec.layers, spec.dtype, spec.frame_shift) == (layers, dtype, 0.04)
    for row, given in enumerate(arrays.values()):
        expected = given.reshape(len(layers), -1, 4)
        got = view.frames("other", row, layers).transpose(0, 2, 1)
        np.testing.assert_array_equal(got, expected)
        pooled = view.pooled("other", layers)[row]
        means = expected.astype(np.float64).mean(1)
        np.testing.assert_allclose(pooled[:, 0], means, rtol=1e-4, atol=1e-6)
        deviations = expected.astype(np.float64).std(1)
        np.testing.assert_allclose(pooled[:, 1], deviations, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("feature", ["wav2vec2", "egemaps"])
def test_what_export_writes_can_be_put_in_again(
    cache: Cache, tmp_path: Path, feature: str
) -> None:
    out = tmp_path / "out"
    run("export", "--cache", cache.folder, "--feature", feature, "--out", out)
    more = ("--frame-shift", "0.02") if feature == "wav2vec2" else ()

    assert put(cache, out / "features.parquet", "--name", "again", *more) == 0

    view = opened(cache)
    if feature == "egemaps":
        assert np.array_equal(view.table("again"), view.table(feature))
        return
    for row in range(len(view)):
        again = view.frames("again", row, (0, 1))
        np.testing.assert_array_equal(again, view.frames(feature, row, (0, 1)))


def test_nan_are_kept_and_what_holds_one_is_not_valid(
    cache: Cache, tmp_path: Path
) -> None:
    tables, frames = vectors(cache), {}
    for name in ids(cache):
        frames[name] = RNG.standard_normal((3, 2)).astype(np.float32)
    first, second = ids(cache)[:2]
    tables[second][3] = np.inf
    frames[first][1, 0] = np.nan

    put(cache, npz(tmp_path / "t.npz", tables))
    put(cache, npz(tmp_path / "f.npz", frames), "--frame-shift", "0.02")

    view = opened(cache)
    assert list(np.flatnonzero(~view.valid("t"))) == [1]
    assert list(np.flatnonzero(~view.valid("f"))) == [0]
    assert np.isnan(view.table("t")[1]).tolist() == [False] * 3 + [True, False]
    assert np.isnan(view.frames("f", 0, (0,))[0, :, :]).tolist() == [
        [False, True, False],
        [False] * 3,
    ]
    pooled = view.pooled("f", (0,))
    assert np.isnan(pooled[0, 0, :, 0]).all()
    assert np.isfinite(pooled[0, 0, :, 1]).all()
    assert np.isfinite(pooled[1:]).all()
    assert run("cache", "verify", "--cache", cache.folder) == 0


@pytest.mark.parametrize("how", ["without its corpus", "absolute", "file"])
def test_an_utterance_can_be_called_by_its_file(
    cache: Cache, tmp_path: Path, how: str
) -> None:
    manifest = cache.manifest("toy")
    rows = manifest.rows.assign(start=np.arange(8.0), end=np.arange(8.0) + 0.5)
    rows["id"] = [f"toy/a/long.wav#{s!r}-{s + 0.5!r}" for s in range(8)]
    rows["id"] = [f"toy/a/long.wav#{float(s)!r}-{float(s) + 0.5!r}" for s in range(8)]
    rows["path"] = "/nowhere/a/long.wav"
    with cache.lock():
        cache.put_manifest(Manifest("toy", rows, manifest.card))
    frame = pd.DataFrame({"number": np.arange(8) * 3.0})
    if how == "without its corpus":
        frame["id"] = [i.removeprefix("toy/") for i in rows["id"]]
    else:
        frame["file"] = "a/long.wav" if how == "file" else "/nowhere/a/long.wav"
        frame["start"], frame["end"] = rows["start"], rows["end"]
    frame.iloc[::-1].to_csv(tmp_path / "n.csv", index=False)

    assert put(cache, tmp_path / "n.csv") == 0

    assert opened(cache).table("n")[:, 0].tolist() == [3.0 * i for i in range(8)]


# what is missing, odd or wrong is named


def test_what_is_not_there_is_recorded_and_what_is_unknown_is_named(
    cache: Cache, tmp_path: Path, capsys: Said
) -> None:
    arrays = vectors(cache)
    lost = ids(cache)[2]
    del arrays[lost]
    path = npz(tmp_path / "face.npz", {**arrays, "toy/stranger.wav": np.zeros(5)})

    assert put(cache, path) == 1

    told = capsys.readouterr()
    assert "7 utterances put in, 1 without an array" in told.out
    assert "1 of the file are no utterances of toy: toy/stranger.wav" in told.err
    assert f"{lost}: face: {path} has no array for it" in told.err
    view = opened(cache).require(["face"])
    assert len(view) == 7
    [(name, why)] = view.left_out
    assert name == lost
    assert why == "face: the file that it comes from has no array for it"


def test_a_second_call_adds_what_is_new_and_another_file_is_another_feature(
    cache: Cache, tmp_path: Path, capsys: Said
) -> None:
    path = npz(tmp_path / "face.npz", vectors(cache))
    put(cache, path)
    [store] = [s for s in Cache(cache.folder).stores if s.spec.name == "face"]
    before = sorted(store.folder.iterdir())
    capsys.readouterr()

    assert put(cache, path) == 0
    assert "0 utterances put in, 8 were there" in capsys.readouterr().out
    assert sorted(store.folder.iterdir()) == before
    assert put(cache, npz(path, vectors(cache))) == 0
    assert len([s for s in Cache(cache.folder).stores if s.spec.name == "face"]) == 2
    view = opened(cache)
    assert view.table(f"face@{store.spec.fingerprint}").shape == (8, 5)


def test_one_recording_under_two_names_has_one_array(
    cache: Cache, tmp_path: Path, capsys: Said
) -> None:
    manifest = cache.manifest("toy")
    rows = manifest.rows
    rows.loc[1, "waveform"] = rows.loc[0, "waveform"]
    with cache.lock():
        cache.put_manifest(Manifest("toy", rows, manifest.card))
    arrays = vectors(cache)

    assert put(cache, npz(tmp_path / "a.npz", arrays)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{rows['id'][0]} and {rows['id'][1]}" in line
    del arrays[rows["id"][1]]
    assert put(cache, npz(tmp_path / "a.npz", arrays)) == 0

    got = opened(cache).table("a")
    assert np.array_equal(got[0], got[1])
    assert np.array_equal(got[0], arrays[rows["id"][0]])


def test_arrays_that_do_not_fit_are_refused_all_at_once(
    cache: Cache, tmp_path: Path, capsys: Said
) -> None:
    names = ids(cache)
    mixed = {n: np.zeros(3 if i else 4) for i, n in enumerate(names)}
    bad = {n: np.zeros((1, 1, 1, 1)) for n in names[:2]} | {names[2]: np.zeros((0, 3))}
    words = {n: np.array(["a", "b"]) for n in names}
    objects = {n: np.array([{}, None], object) for n in names}
    for arrays, expected in (
        (mixed, ["(1, 1, 3) for 7", "(1, 1, 4) for 1"]),
        (bad, ["3 arrays are none of", *names[:3]]),
        (words, ["8 arrays", "holds no numbers"]),
        (objects, ["8 arrays", "cannot be read"]),
        ({"x": np.zeros(3)}, ["no array for any of 8 utterances", repr(names[0])]),
    ):
        assert put(cache, npz(tmp_path / "a.npz", arrays)) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert all(words in line for words in expected), line
    assert {s.spec.name for s in Cache(cache.folder).stores} == {
        "egemaps",
        "mfcc",
        "wav2vec2",
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,b\n1,2\n", "expected a column id, or file (with start and end), got a, b"),
        ("id,word\nx,y\n", "expected columns of numbers or one of lists"),
        ("id,a\nx,1\nx,2\n", "several rows for 1 utterances: x"),
        ("", "expected a .csv file"),
    ],
)
def test_a_table_that_cannot_be_understood_is_said(
    cache: Cache, tmp_path: Path, capsys: Said, text: str, why: str
) -> None:
    (tmp_path / "a.csv").write_text(text)

    assert put(cache, tmp_path / "a.csv") == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert why in line


def test_columns_that_are_no_features_are_named(
    cache: Cache, tmp_path: Path, capsys: Said
) -> None:
    facts = {"who": "me", "duration": 1.0, "emotion": 3, "Spk": 7, "angry": 0.5}
    frame = pd.DataFrame({"id": ids(cache), **facts, "a": 2.0})
    frame.to_csv(tmp_path / "a.csv")  # with pandas' own row numbers in front

    put(cache, tmp_path / "a.csv")

    said = capsys.readouterr()
    assert "no features: Unnamed: 0, who, duration, emotion, Spk, angry" in said.err
    assert opened(cache).spec("a").channels == ("a",)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--name", "egemaps"), "a feature of that name is made from audio"),
        (("--name", "a:b"), "bad --name 'a:b'"),
        (("--frame-shift", "0.02"), "leave out --frame-shift"),
        (("--corpus", "other"), "no corpus 'other'"),
        (("--from", "nothing.npz"), "no file nothing.npz"),
        (("--from", "setup.cfg"), "expected a .parquet, .csv, .tsv or .npz file"),
    ],
)
def test_options_that_cannot_be_are_refused(
    cache: Cache, tmp_path: Path, capsys: Said, more: tuple[str, str], why: str
) -> None:
    path = npz(tmp_path / "a.npz", vectors(cache))

    assert put(cache, path, *more) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert why in line


@pytest.mark.parametrize("shift", [(), ("--frame-shift", "-1")])
def test_frames_need_their_shift(
    cache: Cache, tmp_path: Path, capsys: Said, shift: tuple[str, ...]
) -> None:
    path = npz(tmp_path / "a.npz", {n: np.zeros((2, 3)) for n in ids(cache)})

    assert put(cache, path, *shift) == 2

    assert "--frame-shift 0.02" in capsys.readouterr().err


# the rest of the program


def test_the_plug_in_names_the_command() -> None:
    with pytest.raises(ExtractionError, match=re.escape("external --from FILE")):
        plugins.load("features", "external").load(Options())


def test_verify_and_why_know_that_no_audio_makes_it(
    tmp_path: Path, capsys: Said
) -> None:
    root = corpus(tmp_path / "a")
    extract(root, tmp_path / "c")
    cache = Cache(tmp_path / "c")
    names = list(cache.manifest("mine").rows["id"])
    put(cache, npz(tmp_path / "face.npz", {n: np.ones(3) for n in names[:-1]}))
    capsys.readouterr()

    code = run("cache", "verify", "--recompute", 2, "--cache", cache.folder)

    said = capsys.readouterr().out
    assert code == 0
    assert "not made from audio: python pipeline.py external" in said
    assert "2 utterances computed again alone" in said
    for name in (names[0], names[-1]):
        assert run("cache", "why", name, "--cache", cache.folder) == 0
        said = capsys.readouterr().out
        told = said[said.index("face@") :]
        assert "not made from audio: python pipeline.py external" in told
        assert "extract would" not in told.partition("mfcc@")[0]
    assert "failed: the file that it comes from has no array" in said
