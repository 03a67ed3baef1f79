"""The cache's format: every flipped byte is found, other formats are named."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pipeline
from contracts import _sealed, integrity
from contracts.cache import Cache
from contracts.errors import CacheError
from contracts.feature import Block, FeatureSpec
from contracts.manifest import complete
from tests import crashes, synthetic


def flips(path: Path, positions: range | list[int]) -> Any:
    """Yield each position while a byte there is another one."""
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    with path.open("r+b", buffering=0) as file:
        for at in positions:
            file.seek(at)
            file.write(bytes([data[at] ^ (1 << int(rng.integers(8)))]))
            yield at
            file.seek(at)
            file.write(data[at : at + 1])
    assert path.read_bytes() == data


def test_every_flipped_byte_of_the_small_files_is_found(
    tmp_path: Path, record_property: Any
) -> None:
    crashes.extract(tmp_path / "c")
    cache = Cache(tmp_path / "c")
    small = [*cache.folder.rglob("*.json"), *cache.folder.rglob("*.parquet")]
    missed, tried = [], 0

    for path in small:
        folder = path.parent
        for at in flips(path, range(path.stat().st_size)):
            if path.suffix == ".parquet":
                faults = integrity.check_manifest(path)
            elif path.name == "feature.json":
                faults = integrity.check_feature(
                    folder, is_meant=lambda _: False
                ).faults
            else:
                faults = list(integrity.check_shard(path).faults)
            tried += 1
            if not any(fault.path == path for fault in faults):
                missed.append((path.name, at))

    assert not missed
    record_property("flips", tried)
    assert tried > 10_000


@pytest.mark.parametrize("name", ["frames", "table", "pooled"])
def test_every_flipped_byte_of_a_shard_is_found_and_named(
    tmp_path: Path, name: str, record_property: Any
) -> None:
    crashes.extract(tmp_path / "c")
    store = next(s for s in Cache(tmp_path / "c").stores if s.spec.name == name)
    shard = store.shards[0]
    path, layout = shard.path, shard.layout
    size = path.stat().st_size
    owner: dict[int, str] = {}  # byte -> the utterance whose block it is in
    for i, (key, start, n_frames, *_) in enumerate(shard.told["utterances"]):
        for part in ("values", "pooled", "scale"):
            first, behind = layout.extent(part)
            if first == behind:
                continue
            row, rows = (i, 1) if part != "values" else (start, n_frames * 2 or 1)
            each = (behind - first) // layout.shape(part)[0]
            begin = first + row * each
            owner |= dict.fromkeys(range(begin, begin + rows * each), key)
    step = 1 if name == "frames" else 7
    missed, tried = [], 0

    for at in flips(path, range(0, size, step)):
        faults = integrity.check_shard(path.with_suffix(".json")).faults
        named = {key for fault in faults for key in fault.keys}
        tried += 1
        if not faults or named != ({owner[at]} if at in owner else set()):
            missed.append((at, faults))

    assert not missed
    assert owner
    record_property("flips", tried)
    assert tried > 1_000


def test_a_byte_more_or_less_is_found(tmp_path: Path) -> None:
    crashes.extract(tmp_path / "c")
    for path in [p for p in (tmp_path / "c").rglob("*.*") if p.is_file()]:
        data = path.read_bytes()
        for other in (data + b" ", data[:-1], b""):
            path.write_bytes(other)
            if path.suffix == ".parquet":
                assert integrity.check_manifest(path)
            else:
                state = integrity.check_feature(path.parent)
                assert list(state.all_faults()), path
        path.write_bytes(data)


def test_a_shard_proves_its_commit(tmp_path: Path) -> None:
    crashes.extract(tmp_path / "c")
    store = next(s for s in Cache(tmp_path / "c").stores if s.spec.name == "frames")
    commit = store.shards[1].path.with_suffix(".json")
    whole = commit.read_bytes()

    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        commit.write_bytes(whole[:length])
        crashes.repair(tmp_path / "c")
        assert commit.read_bytes() == whole


def test_a_shard_holds_what_the_format_says(tmp_path: Path) -> None:
    crashes.extract(tmp_path / "c")
    store = next(s for s in Cache(tmp_path / "c").stores if s.spec.name == "frames")
    shard = next(s for s in store.shards if s.told["failed"])
    told = shard.told

    with h5py.File(shard.path) as file:
        keys = [bytes(row).hex() for row in file["waveform"]]
        assert keys == [row[0] for row in told["utterances"]]
        assert file["checksum"][:].tolist() == [row[3] for row in told["utterances"]]
        assert file["valid"].dtype == np.uint8
        facts = json.loads(file["facts"][:].tobytes())
        assert facts["failed"] == crashes.FAILS
        assert FeatureSpec.from_json(facts["spec"]) == crashes.FRAMES
        assert dict(file.attrs)["format"] == 2
        assert all(file[name].chunks is None for name in file)
        assert file["scale"].shape == (2, 2)


# formats


def write_format_1(folder: Path) -> None:
    """Write a cache as the first format was: one table feature, one shard."""
    rows = synthetic.rows(1)
    spec = FeatureSpec("egemaps", {"toy": 1}, ("a", "b"))
    told = {k: v for k, v in spec.to_json().items() if k != "keeps"}
    place = folder / "features" / "egemaps@0123456789ab"
    place.mkdir(parents=True)
    (place / "feature.json").write_text(json.dumps(told, indent=1))
    keys = list(rows["waveform"])
    values = np.ones((len(keys), 2), np.float32)
    with h5py.File(place / "abc.h5", "w") as file:
        file.attrs["format"] = 1
        file["values"] = values
        file["start"] = np.arange(len(keys))
        size = file["values"].id.get_offset() + values.nbytes
    commit = {
        "format": 1,
        "feature": "egemaps",
        "fingerprint": "0123456789ab",
        "shard": "abc.h5",
        "failed": {},
        "made": {},
        "size": size,
        "offsets": {"values": 2048},
        "rows": len(keys),
        "scaled": False,
        "utterances": [
            [k, i, 0, Block(values[i]).checksum, True] for i, k in enumerate(keys)
        ],
    }
    (place / "abc.json").write_text(json.dumps(commit))
    (folder / "manifest").mkdir()
    table = pa.Table.from_pandas(complete(rows), preserve_index=False)
    card = json.dumps({"corpus": "toy", "root": "/nowhere"})
    table = table.replace_schema_metadata({"emocache": card})
    pq.write_table(table, folder / "manifest" / "toy.parquet")


SENTENCE = (
    r"was written in format 1, this program reads format 2\. Extract into a new cache "
    r"with --cache DIR, or delete the old one first$"
)


def test_a_cache_of_format_1_is_named_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    write_format_1(old)
    before = crashes.tree(old)
    cache = Cache(old)

    for ask in (
        lambda: cache.stores,
        lambda: cache.view("toy"),
        lambda: integrity.check_feature(cache.feature_folders()[0]),
        lambda: integrity.check_shard(cache.feature_folders()[0] / "abc.json"),
    ):
        with pytest.raises(CacheError, match=SENTENCE):
            ask()
    for command in (["ls"], ["verify"], ["repair"], ["gc", "--yes"], ["why", "x.wav"]):
        assert pipeline.main(["cache", *command, "--cache", str(old)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert re.search(SENTENCE, line)
    assert crashes.tree(old) == before


def test_a_cache_of_a_newer_format_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        for module in ("_sealed", "_shards", "manifest"):
            patch.setattr(f"contracts.{module}.FORMAT", 3)
        synthetic.make_cache(tmp_path / "c", synthetic.rows(1))

    for ask in (lambda c: c.stores, lambda c: c.view("toy")):
        with pytest.raises(
            CacheError, match="in format 3, this program reads format 2"
        ):
            ask(Cache(tmp_path / "c"))


def test_one_flipped_digit_of_the_format_is_damage_and_no_other_format(
    tmp_path: Path,
) -> None:
    sealed = _sealed.seal({"a": 1})

    with pytest.raises(ValueError, match=r"its checksum is .*, expected"):
        _sealed.unseal(sealed.replace(b'"format": 2', b'"format": 3'), tmp_path)


# what is kept


def test_pooled_alone_has_no_frames_and_says_how_to_get_them(tmp_path: Path) -> None:
    rows = synthetic.rows(2)
    pooled = dataclasses.replace(
        crashes.POOLED, name="wav2vec2", provenance={"encoder": "some/enc"}
    )
    frames = dataclasses.replace(pooled, keeps="frames")
    cache = synthetic.make_cache(tmp_path, rows)
    for folder in (tmp_path / "features").glob("wav2vec2@*"):
        folder.rename(tmp_path / folder.name)
    blocks = {k: crashes.block(pooled, k) for k in rows["waveform"]}
    cache.store(pooled).commit(blocks, {}, "cpu")
    view = Cache(tmp_path).view("toy")

    assert pooled.fingerprint != frames.fingerprint
    assert view.pooled("wav2vec2", [0, 1]).shape == (16, 2, 2, 3)
    assert view.n_frames("wav2vec2").tolist() == [b.n_frames for b in blocks.values()]
    assert view.valid("wav2vec2").all()
    assert "pooled alone" in view.spec("wav2vec2").describe()
    again = r"extract --corpus toy --feature wav2vec2 --encoder some/enc --cache .*"
    with pytest.raises(CacheError, match=again + " --store frames$"):
        view.frames("wav2vec2", 0)

    blocks = {k: crashes.block(frames, k) for k in rows["waveform"]}
    Cache(tmp_path).store(frames).commit(blocks, {}, "cpu")
    view = Cache(tmp_path).view("toy")
    assert view.spec("wav2vec2") == frames
    assert view.frames("wav2vec2", 0).shape[:2] == (1, 3)
    np.testing.assert_array_equal(
        view.pooled(pooled.short, [0, 1]), view.pooled(frames.short, [0, 1])
    )


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (Block(None, np.zeros((2, 2, 3), np.float32), n_frames=2), "expected values"),
        (Block(np.zeros((2, 4, 3)), np.zeros((2, 3), np.float32)), "expected pooled"),
        (Block(np.zeros((2, 4, 4)), np.zeros((2, 2, 3), np.float32)), "reshape"),
    ],
)
def test_blocks_of_another_shape_are_refused(
    tmp_path: Path, bad: Block, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Cache(tmp_path).store(crashes.FRAMES).commit({crashes.KEYS[0]: bad}, {}, "cpu")
    with pytest.raises(ValueError, match="expected n_frames and pooled, got none"):
        Block(None)
    with pytest.raises(ValueError, match="bad keeps 'all'"):
        dataclasses.replace(crashes.FRAMES, keeps="all")


def test_no_frame_is_kept_too(tmp_path: Path) -> None:
    empty = Block(np.empty((2, 0, 3), np.float16), np.zeros((2, 2, 3), np.float32))
    keys = crashes.KEYS
    Cache(tmp_path).store(crashes.FRAMES).commit({keys[0]: empty}, {}, "cpu")
    both = {keys[1]: empty, keys[2]: crashes.block(crashes.FRAMES, keys[2])}
    Cache(tmp_path).store(crashes.FRAMES).commit(both, {}, "cpu")

    store = Cache(tmp_path).stores[0]

    assert store.frames(keys[0], [0, 1]).shape == (2, 3, 0)
    assert store.n_frames(keys[:3]).tolist() == [0, 0, both[keys[2]].n_frames]
    assert not list(integrity.check_feature(store.folder).all_faults())
