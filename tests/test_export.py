"""``export``: what other programs read is bit for bit what the cache holds."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import audformat
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from contracts.cache import Cache
from contracts.feature import Block, FeatureSpec
from contracts.manifest import Manifest
from extract import _export_arrays
from tests import synthetic
from tests.test_extract import run

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")  # audformat's
Said = pytest.CaptureFixture[str]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return a small synthetic cache whose first utterance has no ``egemaps``."""
    return synthetic.make_cache(
        tmp_path / "c", synthetic.rows(2, 1), n_layers=2, width=8
    ).folder


def export(cache: Path, form: str, out: Path, *more: object) -> int:
    return run("export", "--cache", cache, "--format", form, "--out", out, *more)


def about(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "about.json").read_text())
    return told


def scaled(cache: Path) -> Path:
    """Add a feature of frames, one of which needs a scale to fit into float16."""
    opened = Cache(cache)
    rows = opened.manifest("toy").rows
    spec = FeatureSpec("wide", {"toy": 2}, 3, (0, 1), "float16", 0.02)
    blocks = {}
    for i, key in enumerate(rows["waveform"]):
        values = np.arange(2 * (i + 1) * 3, dtype=np.float16).reshape(2, i + 1, 3)
        scale = np.array([1, 8 if i == 2 else 1], np.float32)
        true = values.astype(np.float32) * scale[:, None, None]
        pooled = np.stack([true.mean(1), true.std(1)], 1).astype(np.float32)
        blocks[key] = Block(values, pooled, scale if i == 2 else None)
    with opened.lock():
        opened.store(spec).commit(blocks, {}, "cpu")
    return cache


# Parquet


@pytest.mark.parametrize("feature", ["egemaps", "mfcc:deviation"])
def test_a_table_in_parquet_is_bit_for_bit_the_view_s(
    cache: Path, tmp_path: Path, feature: str
) -> None:
    assert export(cache, "parquet", tmp_path / "out", "--feature", feature) == 0

    view = Cache(cache).view()
    got = pd.read_parquet(tmp_path / "out" / "features.parquet")
    expected = view.table(feature)
    names = about(tmp_path / "out")["channels"]
    assert got[names].to_numpy().dtype == np.float32
    assert np.array_equal(got[names].to_numpy(), expected)
    assert list(got["id"]) == list(view.ids)
    assert list(got["speaker"]) == list(view.speakers)
    assert list(got["label"]) == list(view.labels)
    assert got["valid"].all()
    assert "path" not in got
    assert got["trait:intensity"].iloc[0] == "normal"


@pytest.mark.parametrize("feature", ["wav2vec2", "wide"])
def test_frames_in_parquet_are_the_true_values_of_every_layer(
    cache: Path, tmp_path: Path, feature: str
) -> None:
    scaled(cache)

    assert export(cache, "parquet", tmp_path / "out", "--feature", feature) == 0

    view = Cache(cache).view()
    got = pd.read_parquet(tmp_path / "out" / "features.parquet")
    dtype = "float16" if feature == "wav2vec2" else "float32"
    assert about(tmp_path / "out")["dtype"] == dtype
    layers = view.spec(feature).layers
    assert len(got) == len(view)
    for row, (values, shape) in enumerate(
        zip(got["values"], got["shape"], strict=True)
    ):
        expected = view.frames(feature, row, layers).transpose(0, 2, 1)
        assert values.dtype == np.dtype(dtype)
        assert np.array_equal(values.reshape(shape), expected)


def test_parquet_is_written_in_row_groups_of_a_bounded_size(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_export_arrays, "GROUP_BYTES", 5_000)

    export(cache, "parquet", tmp_path / "out", "--feature", "wav2vec2")

    file = pq.ParquetFile(tmp_path / "out" / "features.parquet")
    assert file.num_row_groups > 2
    for i in range(file.num_row_groups):
        group = file.read_row_group(i)
        n_bytes = sum(2 * len(values) for values in group["values"])
        assert group.num_rows == 1 or n_bytes <= 5_000
    view = Cache(cache).view()
    got = pd.read_parquet(tmp_path / "out" / "features.parquet")
    last = view.frames("wav2vec2", len(view) - 1, (0, 1, 2)).transpose(0, 2, 1)
    assert np.array_equal(got["values"].iloc[-1].reshape(last.shape), last)


def test_a_channel_that_is_named_like_a_fact_gets_the_feature_s_name(
    cache: Path, tmp_path: Path
) -> None:
    opened = Cache(cache)
    keys = opened.manifest("toy").rows["waveform"]
    spec = FeatureSpec("odd", {"toy": 1}, ("duration", "other"))
    with opened.lock():
        blocks = {k: Block(np.array([i, 5], np.float32)) for i, k in enumerate(keys)}
        opened.store(spec).commit(blocks, {}, "cpu")

    export(cache, "parquet", tmp_path / "out", "--feature", "odd")

    got = pd.read_parquet(tmp_path / "out" / "features.parquet")
    assert list(got["odd.duration"]) == list(range(len(keys)))
    assert set(got["duration"]) == {1.0}


# npy


@pytest.mark.parametrize("feature", ["wav2vec2", "wide"])
def test_frames_in_npy_lie_where_the_index_says(
    cache: Path, tmp_path: Path, feature: str
) -> None:
    scaled(cache)

    assert export(cache, "npy", tmp_path / "out", "--feature", feature) == 0

    view = Cache(cache).view()
    values = np.load(tmp_path / "out" / "features.npy", mmap_mode="r")
    index = pd.read_parquet(tmp_path / "out" / "index.parquet")
    layers = view.spec(feature).layers
    assert values.shape == (len(layers), index["n_frames"].sum(), values.shape[2])
    assert list(index["id"]) == list(view.ids)
    for row, told in enumerate(index.itertuples()):
        got = values[:, told.first_frame : told.first_frame + told.n_frames]
        expected = view.frames(feature, row, layers).transpose(0, 2, 1)
        assert got.dtype == expected.dtype or feature == "wide"
        assert np.array_equal(got, expected)


def test_tables_and_what_is_pooled_are_row_for_row_in_npy(
    cache: Path, tmp_path: Path
) -> None:
    export(cache, "npy", tmp_path / "a", "--feature", "egemaps")
    export(cache, "npy", tmp_path / "b", "--feature", "wav2vec2", "--pooled")

    view = Cache(cache).view()
    assert np.array_equal(np.load(tmp_path / "a/features.npy"), view.table("egemaps"))
    pooled = view.pooled("wav2vec2", (0, 1, 2))
    assert np.array_equal(np.load(tmp_path / "b/features.npy"), pooled)
    assert about(tmp_path / "b")["layers"] == [0, 1, 2]
    assert about(tmp_path / "b")["kind"] == "pooled"


# audformat


def test_audformat_is_loaded_by_audformat(cache: Path, tmp_path: Path) -> None:
    assert export(cache, "audformat", tmp_path / "out", "--feature", "egemaps") == 0

    view = Cache(cache).view()
    database = audformat.Database.load(tmp_path / "out")
    assert database.is_portable
    features = database["features"].get()
    names = about(tmp_path / "out")["channels"]
    got = features[names].to_numpy().astype(np.float32)
    assert np.array_equal(got, view.table("egemaps"))
    assert list(features.index.get_level_values("file")) == list(view.ids)
    told = database["utterances"].get()
    assert list(told["emotion"]) == list(view.labels)
    assert list(told["speaker"]) == list(view.speakers)
    assert sorted(database.schemes["emotion"].labels) == sorted(synthetic.LABELS)
    assert database.meta["emocache"]["fingerprint"] == view.spec("egemaps").fingerprint


def test_audformat_has_what_is_pooled_and_refuses_frames(
    cache: Path, tmp_path: Path, capsys: Said
) -> None:
    assert export(cache, "audformat", tmp_path / "no", "--feature", "wav2vec2") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--pooled" in line
    assert "--format parquet or --format npy" in line
    assert not list(tmp_path.glob("*no*"))

    more = ("--feature", "wav2vec2", "--pooled")
    assert export(cache, "audformat", tmp_path / "out", *more) == 0

    view = Cache(cache).view()
    features = audformat.Database.load(tmp_path / "out")["features"].get()
    got = features.drop(columns="valid").to_numpy().astype(np.float32)
    assert np.array_equal(got, view.pooled("wav2vec2", (0, 1, 2)).reshape(len(got), -1))
    assert (
        features["layer 2 deviation 7"].iloc[0] == view.pooled("wav2vec2")[0, 1, 1, 7]
    )


def test_audformat_has_segments_where_utterances_are_cut(
    cache: Path, tmp_path: Path
) -> None:
    opened = Cache(cache)
    manifest = opened.manifest("toy")
    rows = manifest.rows.assign(start=np.arange(8.0), end=np.arange(8.0) + 0.5)
    rows["id"] = [f"toy/long.wav#{s!r}-{s + 0.5!r}" for s in np.arange(8.0).tolist()]
    with opened.lock():
        opened.put_manifest(Manifest("toy", rows, manifest.card))

    export(cache, "audformat", tmp_path / "out", "--feature", "egemaps")

    index = audformat.Database.load(tmp_path / "out")["features"].get().index
    assert audformat.is_segmented_index(index)
    assert set(index.get_level_values("file")) == {"toy/long.wav"}
    assert list(index.get_level_values("end").total_seconds()) == list(rows["end"])


# what is said


def test_untrained_features_are_labelled_in_what_is_written(
    tmp_path: Path, capsys: Said
) -> None:
    cache = synthetic.make_cache(
        tmp_path / "c", synthetic.rows(1, 1), n_layers=1, width=4, untrained=True
    ).folder
    for form in ("parquet", "npy", "audformat"):
        out = tmp_path / form
        assert export(cache, form, out, "--feature", "wav2vec2", "--pooled") == 0
        assert "is untrained" in capsys.readouterr().err
        assert about(out)["untrained"] is True
    schema = pq.read_schema(tmp_path / "parquet" / "features.parquet")
    assert json.loads(schema.metadata[b"emocache"])["untrained"] is True
    database = audformat.Database.load(tmp_path / "audformat")
    assert database.meta["emocache"]["untrained"] is True


def test_what_failed_is_named_and_written_down(
    cache: Path, tmp_path: Path, capsys: Said
) -> None:
    opened = Cache(cache)
    rows = opened.manifest("toy").rows
    spec = FeatureSpec("part", {"toy": 1}, ("a",))
    blocks = {k: Block(np.ones(1, np.float32)) for k in rows["waveform"][1:]}
    with opened.lock():
        opened.store(spec).commit(blocks, {rows["waveform"][0]: "too short"}, "cpu")

    assert export(cache, "parquet", tmp_path / "out", "--feature", "part") == 1

    assert f"{rows['id'][0]}: part: too short" in capsys.readouterr().err
    assert about(tmp_path / "out")["left_out"] == [[rows["id"][0], "part: too short"]]
    got = pd.read_parquet(tmp_path / "out" / "features.parquet")
    assert len(got) == len(rows) - 1


def test_nan_are_written_as_they_are_and_marked(cache: Path, tmp_path: Path) -> None:
    opened = Cache(cache)
    keys = list(opened.manifest("toy").rows["waveform"])
    spec = FeatureSpec("holes", {"toy": 1}, ("a", "b"))
    row = np.array([np.nan, 2], np.float32)
    with opened.lock():
        blocks = {k: Block(row, valid=k != keys[3]) for k in keys}
        opened.store(spec).commit(blocks, {}, "cpu")
    for form in ("parquet", "npy", "audformat"):
        export(cache, form, tmp_path / form, "--feature", "holes")

    got = pd.read_parquet(tmp_path / "parquet" / "features.parquet")
    assert got["a"].isna().all()
    assert list(got.index[~got["valid"]]) == [3]
    assert np.isnan(np.load(tmp_path / "npy" / "features.npy")[:, 0]).all()
    database = audformat.Database.load(tmp_path / "audformat")
    assert database["features"].get()["a"].isna().all()
    assert list(database["features"].get()["valid"]).index(False) == 3


def test_a_folder_with_files_is_not_written_over(
    cache: Path, tmp_path: Path, capsys: Said
) -> None:
    (tmp_path / "out").mkdir()
    assert export(cache, "npy", tmp_path / "out", "--feature", "egemaps") == 0
    before = {p: p.read_bytes() for p in (tmp_path / "out").iterdir()}

    assert export(cache, "parquet", tmp_path / "out", "--feature", "mfcc") == 2

    assert "expected a new or empty folder" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c", "out"]


def test_nothing_is_left_of_what_was_not_written_whole(
    cache: Path, tmp_path: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_export_arrays, "_bytes", full)

    assert export(cache, "npy", tmp_path / "out", "--feature", "egemaps") == 2

    assert "No space left on device" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--feature", "nothing"), "has no nothing"),
        (("--feature", "egemaps", "--pooled"), "leave out --pooled"),
        (("--feature", "egemaps", "--corpus", "other"), "no corpus 'other'"),
        (("--feature", "mfcc:none"), "has no group 'none'"),
    ],
)
def test_what_cannot_be_written_is_said_in_one_line(
    cache: Path, tmp_path: Path, capsys: Said, more: tuple[str, ...], why: str
) -> None:
    assert export(cache, "parquet", tmp_path / "out", *more) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert why in line
    assert not (tmp_path / "out").exists()


def test_variants_are_written_only_if_asked_for(cache: Path, tmp_path: Path) -> None:
    opened = Cache(cache)
    manifest = opened.manifest("toy")
    rows = manifest.rows
    rows.loc[0, ["source", "variant"]] = rows.loc[1, "id"], "noise"
    with opened.lock():
        opened.put_manifest(replace(manifest, rows=rows))

    export(cache, "parquet", tmp_path / "a", "--feature", "mfcc")
    export(cache, "parquet", tmp_path / "b", "--feature", "mfcc", "--variants")

    assert len(pd.read_parquet(tmp_path / "a" / "features.parquet")) == 7
    both = pd.read_parquet(tmp_path / "b" / "features.parquet")
    assert list(both["variant"]) == ["noise"] + [""] * 7
