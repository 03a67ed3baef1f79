"""The cache: what goes in comes out, killed or not; a wrong question is answered."""

import dataclasses
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.cache import Cache, encoder_matches
from contracts.errors import CacheError
from contracts.feature import Block, FeatureReference, FeatureSpec
from tests import synthetic

ROOT = Path(__file__).resolve().parent.parent
KEYS = [f"{i:064x}" for i in range(50)]


def spec(**changes: object) -> FeatureSpec:
    base = FeatureSpec(
        "wav2vec2", {"a": 1}, 5, layers=(0, 1, 2), dtype="float16", frame_shift=0.02
    )
    return dataclasses.replace(base, **changes)


def block(frames: np.ndarray, dtype: str = "float16", **more: object) -> Block:
    pooled = np.stack([frames.mean(1), frames.std(1)], axis=1).astype(np.float32)
    return Block(frames.astype(dtype), pooled, **more)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    n_layers=st.integers(1, 4),
    width=st.integers(1, 7),
    dtype=st.sampled_from(["float16", "float32"]),
    seed=st.integers(0, 2**16),
)
def test_any_ragged_frames_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    n_layers: int,
    width: int,
    dtype: str,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    one = spec(channels=width, layers=tuple(range(n_layers)), dtype=dtype)
    given_ = {
        k: rng.standard_normal((n_layers, n, width)).astype(dtype)
        for k, n in zip(KEYS, lengths, strict=False)
    }
    cache = Cache(tmp_path_factory.mktemp("any"))

    cache.store(one).commit({k: block(v, dtype) for k, v in given_.items()}, {}, "cpu")

    store = Cache(cache.folder).stores[0]
    for key, frames in given_.items():
        got = store.frames(key, list(range(n_layers)))
        assert got.shape == (n_layers, width, frames.shape[1])
        assert np.array_equal(got.transpose(0, 2, 1), frames)
        assert store.places[key].checksum == block(frames, dtype).checksum


def test_view_hands_out_the_promised_shapes(toy_cache: Cache) -> None:
    view = toy_cache.view("toy")

    assert view.frames("wav2vec2", 0).shape[:2] == (12, 96)
    assert view.frames("wav2vec2", 0, layers=[0, 5]).shape[:2] == (2, 96)
    assert view.table("egemaps").shape == (64, 88)
    assert view.table("egemaps").dtype == np.float32
    assert view.table("mfcc:mean").shape == (64, 40)
    assert view.pooled("wav2vec2").shape == (64, 12, 2, 96)
    assert view.n_frames("wav2vec2")[0] == view.frames("wav2vec2", 0).shape[2]
    assert view.valid("egemaps").all()


def test_frames_are_a_read_only_view_of_the_file(toy_cache: Cache) -> None:
    frames = toy_cache.view("toy").frames("wav2vec2", 3)

    assert not frames.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        frames[0, 0, 0] = 1


def test_pooled_equals_frames_over_time(toy_cache: Cache) -> None:
    view = toy_cache.view("toy")

    pooled = view.pooled("wav2vec2")

    for row in (0, 17, 63):
        frames = view.frames("wav2vec2", row).astype(np.float64)
        np.testing.assert_allclose(pooled[row, :, 0], frames.mean(2), atol=2e-3)
        np.testing.assert_allclose(pooled[row, :, 1], frames.std(2), atol=2e-3)


def test_take_follows_the_rows_asked_for(toy_cache: Cache) -> None:
    view = toy_cache.view("toy")

    part = view.take([9, 2])

    assert list(part.ids) == [view.ids[9], view.ids[2]]
    np.testing.assert_array_equal(part.table("egemaps")[1], view.table("egemaps")[2])
    np.testing.assert_array_equal(
        part.frames("wav2vec2", 0), view.frames("wav2vec2", 9)
    )
    assert len(view.take([])) == 0


def test_any_hdf5_tool_opens_a_shard(toy_cache: Cache) -> None:
    view = toy_cache.view("toy")
    store = view._store("wav2vec2")
    path = store.shards[0].path

    with h5py.File(path) as file:
        key = bytes(file["waveform"][0]).hex()
        n = int(file["n_frames"][0])
        values = file["values"][: 13 * n].reshape(13, n, 96)
        assert file["values"].chunks is None
        assert file["values"].compression is None

    np.testing.assert_array_equal(
        store.frames(key, list(range(13))).transpose(0, 2, 1), values
    )


def test_scaled_layer_gives_true_values(tmp_path: Path) -> None:
    frames = np.full((3, 4, 5), 2.0**17, np.float32)
    scale = np.array([4, 4, 4], np.float32)
    scaled = Block((frames / 4).astype(np.float16), block(frames / 4).pooled, scale)
    plain = block(np.ones((3, 4, 5), np.float32))
    cache = Cache(tmp_path)

    cache.store(spec()).commit({KEYS[0]: scaled, KEYS[1]: plain}, {}, "cpu")

    store = Cache(tmp_path).stores[0]
    assert (store.frames(KEYS[0], None) == 2.0**17).all()
    assert (store.frames(KEYS[1], None) == 1).all()


def test_fingerprint_changes_with_settings_and_not_with_provenance() -> None:
    base = spec()

    assert spec(provenance={"encoder": "x"}).fingerprint == base.fingerprint
    for change in (
        {"settings": {"a": 2}},
        {"layers": (0, 1)},
        {"dtype": "float32"},
        {"channels": 6},
        {"name": "other"},
    ):
        assert spec(**change).fingerprint != base.fingerprint
    assert FeatureSpec.from_json(json.loads(json.dumps(base.to_json()))) == base


def test_reference_is_taken_apart() -> None:
    assert FeatureReference.parse("mfcc:mean@ab") == FeatureReference(
        "mfcc", "mean", "ab"
    )
    with pytest.raises(CacheError, match="expected NAME"):
        FeatureReference.parse("@ab")


def test_several_ways_are_an_error_that_lists_them(toy_folder: Path) -> None:
    cache = Cache(toy_folder)
    rows = cache.manifest("toy").rows
    other = dataclasses.replace(
        synthetic.specs()[2], settings={"toy": 2}, provenance={"encoder": "other/enc"}
    )
    blocks = {
        key: synthetic._block(other, row, 1.0)
        for key, (_, row) in zip(rows["waveform"], rows.iterrows(), strict=True)
    }
    cache.store(other).commit(blocks, {}, "cpu")
    view = Cache(toy_folder).view("toy")

    with pytest.raises(CacheError, match=r"in 2 ways: .*encoder"):
        view.frames("wav2vec2", 0)
    with pytest.raises(CacheError, match="--encoder NAME or --feature NAME@FINGER"):
        view.pooled("wav2vec2")
    first = view.frames("wav2vec2", 0, encoder="toy-encoder")
    second = view.frames("wav2vec2", 0, encoder="other/enc")
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(second, view.frames("wav2vec2", 0, encoder="enc"))
    np.testing.assert_array_equal(second, view.frames(other.short, 0))
    chosen = Cache(toy_folder).view("toy", encoder="other/enc").require(["wav2vec2"])
    np.testing.assert_array_equal(second, chosen.frames("wav2vec2", 0))


@pytest.mark.parametrize("n_frames", [2, 64])
def test_of_frames_and_what_is_pooled_the_one_that_is_there_is_meant(
    n_frames: int, tmp_path: Path
) -> None:
    cache = synthetic.make_cache(tmp_path / "c")
    rows = cache.manifest("toy").rows
    frames = dataclasses.replace(synthetic.specs()[2], settings={"toy": 2})
    pooled = dataclasses.replace(frames, keeps="pooled", dtype="float32")
    blocks = {
        key: synthetic._block(frames, row, 1.0)
        for key, (_, row) in zip(rows["waveform"], rows.iterrows(), strict=True)
    }
    some = dict(list(blocks.items())[:n_frames])
    cache.store(frames).commit(some, {}, "cpu")
    bare = {
        key: dataclasses.replace(block, values=None, scale=None)
        for key, block in blocks.items()
    }
    cache.store(pooled).commit(bare, {}, "cpu")
    shutil.rmtree(tmp_path / "c" / "features" / synthetic.specs()[2].short)
    view = Cache(tmp_path / "c").view("toy").require(["wav2vec2"])

    assert len(view) == len(rows) == 64
    assert view.spec("wav2vec2").keeps_frames == (n_frames == 64)
    assert view.pooled("wav2vec2").shape[0] == 64


def test_an_encoder_never_stands_for_another_of_the_same_last_name() -> None:
    hub = spec(provenance={"encoder": "facebook/wav2vec2-base"})
    local = spec(
        provenance={"encoder": "enc/wav2vec2-base", "folder": "/home/me/wav2vec2-base"}
    )

    assert encoder_matches(hub, "facebook/wav2vec2-base")
    assert encoder_matches(hub, "wav2vec2-base")
    assert encoder_matches(local, "/home/me/wav2vec2-base")
    assert encoder_matches(local, "wav2vec2-base")
    assert encoder_matches(local, "enc/wav2vec2-base")
    assert not encoder_matches(local, "facebook/wav2vec2-base")
    assert not encoder_matches(local, "/home/you/wav2vec2-base")
    assert not encoder_matches(hub, "other/wav2vec2-base")
    assert not encoder_matches(spec(), "wav2vec2-base")


def test_broken_spec_is_one_sentence(toy_folder: Path) -> None:
    next((toy_folder / "features").glob("mfcc@*/feature.json")).write_text("")

    with pytest.raises(CacheError, match="is broken: .*cache repair"):
        Cache(toy_folder).view("toy").table("egemaps")


def test_traits_of_two_corpora_may_differ_in_kind(tmp_path: Path) -> None:
    numbers, words = synthetic.rows(2, corpus="a"), synthetic.rows(2, corpus="b")
    numbers["trait:age"] = 30.0
    words["trait:age"] = "thirties"
    numbers["trait:mood"] = "good"
    for corpus, rows in (("a", numbers), ("b", words)):
        synthetic.make_cache(tmp_path, rows, corpus=corpus)

    frame = Cache(tmp_path).view("a", "b").manifest

    assert frame["trait:age"].tolist() == ["30.0"] * 16 + ["thirties"] * 16
    assert frame["trait:mood"].tolist() == ["good"] * 16 + [""] * 16
    assert Cache(tmp_path).view("a").manifest["trait:age"].dtype == np.float64


def test_missing_feature_names_the_command(toy_cache: Cache) -> None:
    view = toy_cache.view("toy")

    with pytest.raises(CacheError, match="extract --corpus toy --feature logmel"):
        view.table("logmel")
    with pytest.raises(CacheError, match=r"lacks layers \[40\]"):
        view.frames("wav2vec2", 0, layers=[40])
    with pytest.raises(CacheError, match="no group 'median', expected one of"):
        view.table("mfcc:median")
    with pytest.raises(CacheError, match=r"use view.table\('egemaps'\)"):
        view.frames("egemaps", 0)
    with pytest.raises(CacheError, match=r"use view.pooled\('wav2vec2'\)"):
        view.table("wav2vec2")
    with pytest.raises(CacheError, match="no corpus 'nope'.*has only toy"):
        toy_cache.view("nope")


def test_untried_rows_are_refused_and_failed_ones_left_out(tmp_path: Path) -> None:
    rows = synthetic.rows(n_speakers=2)
    cache = synthetic.make_cache(tmp_path, rows)
    more = synthetic.rows(n_speakers=3)
    fresh = more["waveform"].iloc[-1]
    manifest = dataclasses.replace(cache.manifest("toy"), rows=more)
    cache.put_manifest(manifest)

    with pytest.raises(CacheError, match="never extracted for 8 of 24 utterances"):
        Cache(tmp_path).view("toy").require(["egemaps"])

    store = cache.store(synthetic.specs()[0])
    tried = {
        key: synthetic._block(store.spec, row, 1.0)
        for key, (_, row) in zip(more["waveform"], more.iterrows(), strict=True)
        if key != fresh
    }
    store.commit(tried, {fresh: "too short"}, "cpu")
    view = Cache(tmp_path).view("toy").require(["egemaps"])
    assert len(view) == 23
    assert view.left_out == ((more["id"].iloc[-1], "egemaps: too short"),)


def test_undecodable_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = synthetic.rows(n_speakers=2)
    rows.loc[0, ["waveform", "problem"]] = ["", "empty file"]
    cache = synthetic.make_cache(tmp_path, rows[1:].reset_index(drop=True))
    cache.put_manifest(dataclasses.replace(cache.manifest("toy"), rows=rows))

    view = Cache(tmp_path).view("toy")

    assert len(view) == 15
    assert view.left_out == ((rows["id"][0], "empty file"),)


def test_variants_are_taken_only_when_asked(tmp_path: Path) -> None:
    rows = synthetic.rows(n_speakers=2)
    rows.loc[3, ["source", "variant"]] = [rows["id"][2], "noise"]
    cache = synthetic.make_cache(tmp_path, rows)

    assert len(cache.view("toy")) == 15
    assert len(cache.view("toy", variants=True)) == 16


def test_shard_without_commit_does_not_exist(toy_folder: Path) -> None:
    folder = next((toy_folder / "features").glob("egemaps@*"))
    commits = sorted(p for p in folder.glob("*.json") if p.name != "feature.json")
    commits[0].unlink()

    store = next(s for s in Cache(toy_folder).stores if s.spec.name == "egemaps")

    assert len(store.places) == 32


def test_truncated_shard_is_one_clear_sentence(toy_folder: Path) -> None:
    path = next((toy_folder / "features").glob("egemaps@*/*.h5"))
    os.truncate(path, path.stat().st_size - 8)

    with pytest.raises(CacheError, match="is broken: expected .* bytes, got"):
        Cache(toy_folder).view("toy").table("egemaps")


def _hold(folder: str, ready: str) -> None:
    with Cache(folder).lock():
        Path(ready).touch()
        time.sleep(60)


def test_lock_keeps_a_second_writer_out_and_dies_with_its_process(
    tmp_path: Path,
) -> None:
    ready = tmp_path / "ready"
    holder = multiprocessing.get_context("spawn").Process(
        target=_hold, args=(str(tmp_path), str(ready))
    )
    holder.start()
    while not ready.exists():
        time.sleep(0.02)

    with (
        pytest.raises(CacheError, match=f"being written by process {holder.pid}"),
        Cache(tmp_path).lock(),
    ):
        pass
    os.kill(holder.pid or 0, signal.SIGKILL)
    holder.join()

    with Cache(tmp_path).lock():
        assert (tmp_path / "lock").read_text() == str(os.getpid())


_WRITER = """
import sys, numpy as np
from contracts.cache import Cache
from tests.test_cache import KEYS, block, spec
cache = Cache(sys.argv[1])
with cache.lock():
    store = cache.store(spec(channels=3000))
    print("ready", flush=True)
    for i, key in enumerate(KEYS):
        if key not in store.places:
            store.commit({key: block(np.full((3, 9, 3000), i, np.float32))}, {}, "cpu")
            print(i, flush=True)
"""


def test_killed_writer_loses_nothing_it_committed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    command = [sys.executable, "-c", _WRITER, str(tmp_path)]
    said: set[int] = set()
    held: Collection[str] = ()
    kills = 0
    while len(held) < len(KEYS) and kills < 40:
        writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        said |= {int(writer.stdout.readline() or -1) for _ in range(rng.integers(12))}
        time.sleep(rng.uniform(0.0, 0.05))
        writer.kill()
        said |= {int(line) for line in writer.stdout.read().split()}
        said -= {-1}  # it had ended
        writer.wait()
        kills += 1

        stores = Cache(tmp_path).stores
        held = stores[0].places if stores else ()
        assert {KEYS[i] for i in said} <= set(held)
        for key in held:
            assert (stores[0].frames(key, None) == KEYS.index(key)).all()
    assert kills >= 3  # it was killed in the middle, not only at the end
    store = Cache(tmp_path).store(spec(channels=3000))
    assert not list(store.folder.glob(".*.tmp-*"))
