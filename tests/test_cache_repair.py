"""``cache repair`` and ``cache gc``: what is good and referred to stays."""

import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from contracts import clearing, integrity
from contracts.cache import Cache
from contracts.errors import CacheError
from tests import crashes
from tests.test_extract import cache, extract

Said = pytest.CaptureFixture[str]


# repair


def test_repair_of_a_whole_cache_changes_nothing(
    made: tuple[Path, Path], capsys: Said
) -> None:
    before = crashes.tree(made[1])

    assert cache("repair", made[1]) == 0

    assert "is whole: nothing to mend" in capsys.readouterr().out
    assert crashes.tree(made[1]) == before


def test_repair_saves_everything_that_is_good(tmp_path: Path, capsys: Said) -> None:
    folder = tmp_path / "c"
    crashes.extract(folder)
    crashes.damage(folder)
    good = crashes.good(folder)

    assert cache("repair", folder) == 0

    said = capsys.readouterr().out
    assert crashes.read(folder) == good
    for what in (
        "the manifest of toy was broken and is in quarantine",
        "its commit is written again, every block is good (2)",
        "1 of 2 blocks are good and saved, the rest dropped",
        "written again, every block of it is good (",
        "feature.json is written again",
        "nothing proves it, it is in quarantine",
        "made again by: python pipeline.py extract",
    ):
        assert what in said, what
    aside = {p.name for p in (folder / "quarantine").rglob("*") if p.is_file()}
    assert "toy.parquet" in aside
    assert len(aside) == 3  # and the commit and shard that nothing proves
    assert cache("verify", folder) == 0
    before = crashes.tree(folder)
    assert cache("repair", folder) == 0
    assert crashes.tree(folder) == before


def test_repair_puts_strangers_aside(tmp_path: Path, capsys: Said) -> None:
    folder = tmp_path / "c"
    crashes.extract(folder)
    stores = {s.spec.name: s for s in Cache(folder).stores}
    key = "f" * 64
    stores["frames"].commit({key: crashes.block(crashes.FRAMES, key)}, {}, "cpu")
    place = stores["frames"].places[key]
    path = stores["frames"].shards[place.shard].path
    for file in (path, path.with_suffix(".json")):
        file.rename(stores["table"].folder / file.name)

    with pytest.raises(CacheError, match=r"is of frames@\w+, expected table@\w+\. Run"):
        crashes.read(folder)
    assert cache("verify", folder) == 1
    assert re.search(r"belongs to frames@\w+, expected table@", capsys.readouterr().out)
    assert cache("repair", folder) == 0
    assert crashes.read(folder) == crashes.everything()


def test_a_feature_of_which_nothing_is_known_is_put_aside(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    crashes.extract(folder)
    place = next((folder / "features").glob("table@*"))
    for path in place.iterdir():
        path.write_bytes(b"torn")

    assert cache("repair", folder) == 0

    assert not place.exists()
    assert {n for n, _ in crashes.read(folder)} == {"frames", "pooled"}
    crashes.extract(folder)
    assert crashes.read(folder) == crashes.everything()


def test_a_lost_feature_json_is_found_and_written_again(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    crashes.extract(folder)
    path = next((folder / "features").glob("table@*/feature.json"))
    whole = path.read_bytes()
    path.unlink()

    with pytest.raises(CacheError, match=r"feature.json is missing, .* cache repair"):
        assert Cache(folder).stores
    assert cache("verify", folder) == 1
    assert cache("repair", folder) == 0
    assert path.read_bytes() == whole


def test_a_torn_commit_and_a_damaged_shard_never_make_a_wrong_block(
    tmp_path: Path,
) -> None:
    crashes.extract(tmp_path / "whole")
    store = next(s for s in Cache(tmp_path / "whole").stores if s.spec.name == "frames")
    shard = max(store.shards, key=lambda s: len(s.told["utterances"]))
    n, inside = len(shard.told["utterances"]), shard.layout.extent("values")[0]
    path = shard.path.relative_to(tmp_path / "whole")
    (tmp_path / "whole" / path).with_suffix(".json").write_bytes(b"torn")
    size = (tmp_path / "whole" / path).stat().st_size

    outcomes = set()
    for at in (inside, *range(5, size, 211)):
        shutil.copytree(tmp_path / "whole", tmp_path / "c")
        crashes.flip(tmp_path / "c" / path, at)
        crashes.repair(tmp_path / "c")
        outcomes.add(len(crashes.everything()) - len(crashes.read(tmp_path / "c")))
        shutil.rmtree(tmp_path / "c")

    assert outcomes == {1, n}  # one block, or what nothing proves


def test_a_shard_without_a_commit_is_not_resurrected(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    crashes.extract(folder)
    store = next(s for s in Cache(folder).stores if s.spec.name == "frames")
    store.shards[0].path.with_suffix(".json").unlink()
    n = len(store.shards[0].told["utterances"])

    crashes.repair(folder)

    assert len(crashes.read(folder)) == len(crashes.everything()) - n


# gc


def test_gc_shows_first_and_removes_only_with_yes(
    made: tuple[Path, Path], capsys: Said
) -> None:
    root, folder = made
    place = Cache(folder).stores[0].folder
    (place / ".x.h5.tmp-1").write_bytes(b"half")
    (place / "x.h5").write_bytes(b"without a commit")
    (root / "0-sad.wav").unlink()
    lines = (root / "labels.csv").read_text().splitlines()
    (root / "labels.csv").write_text("\n".join(x for x in lines if "0-sad" not in x))
    extract(root, folder)
    (place / "x.h5").write_bytes(b"without a commit")
    capsys.readouterr()
    before = crashes.tree(folder)
    table = Cache(folder).view("mine").table("mfcc")

    assert cache("gc", folder) == 0
    said = capsys.readouterr().out
    assert re.search(r"^mfcc@\w+ +in no manifest +1 +0 ", said, re.M)
    assert re.search(r"x\.h5 +unfinished", said)
    assert "nothing was removed: to remove it, add --yes" in said
    assert crashes.tree(folder) == before
    assert cache("gc", folder, "--yes") == 0
    assert capsys.readouterr().out.endswith("removed\n")
    after = Cache(folder)
    assert len(after.stores[0].places) == 11
    np.testing.assert_array_equal(after.view("mine").table("mfcc"), table)
    assert cache("verify", folder) == 0
    assert cache("gc", folder) == 0
    assert "everything in it is referred to" in capsys.readouterr().out


def test_gc_of_two_corpora_keeps_what_either_refers_to(tmp_path: Path) -> None:
    from tests import synthetic

    folder = tmp_path / "c"
    for name in ("one", "two"):
        synthetic.make_cache(folder, synthetic.rows(1, corpus=name), corpus=name)
    (folder / "manifest" / "two.parquet").unlink()

    assert cache("gc", folder, "--yes") == 0

    stores = Cache(folder).stores
    assert len(stores) == 3
    assert all(
        set(s.places) == set(synthetic.rows(1, corpus="one")["waveform"])
        for s in stores
    )


def test_gc_takes_a_feature_that_has_nothing_left(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    crashes.extract(folder)
    Cache(folder).store(dataclasses.replace(crashes.TABLE, name="gone")).commit(
        {"f" * 64: crashes.block(crashes.TABLE, "f" * 64)}, {"e" * 64: "odd"}, "cpu"
    )

    assert cache("gc", folder, "--yes") == 0

    assert not list((folder / "features").glob("gone@*"))
    assert crashes.read(folder) == crashes.everything()


def test_gc_refuses_where_it_cannot_know(tmp_path: Path, capsys: Said) -> None:
    folder = tmp_path / "c"
    crashes.extract(folder)
    path = folder / "manifest" / "toy.parquet"
    whole = path.read_bytes()
    before = crashes.tree(folder / "features")

    path.unlink()
    assert cache("gc", folder, "--yes") == 2
    assert "has no manifest, so that gc cannot tell" in capsys.readouterr().err
    path.write_bytes(whole[:-5])
    assert cache("gc", folder, "--yes") == 2
    assert "is broken: " in capsys.readouterr().err
    path.write_bytes(whole)
    Cache(folder).put_manifest(crashes.manifest(crashes.KEYS[:1]))
    store = next(s for s in Cache(folder).stores if s.spec.name == "frames")
    shard = store.shards[store.places[crashes.KEYS[0]].shard]
    start, _ = shard.layout.extent("pooled")
    crashes.flip(shard.path, start)
    crashes.flip(shard.path, shard.path.stat().st_size - 1)
    assert cache("gc", folder, "--yes") == 2
    assert "is damaged, nothing of it was removed. Run: " in capsys.readouterr().err
    assert shard.path.exists()
    assert set(before) >= set(crashes.tree(folder / "features"))


def test_gc_drops_notes_of_failures_too(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    crashes.extract(folder)
    Cache(folder).put_manifest(crashes.manifest(crashes.KEYS[:3]))

    clearing.clear(Cache(folder))

    assert all(not store.failed for store in Cache(folder).stores)
    assert crashes.read(folder) == crashes.everything(crashes.KEYS[:3])
    for place in Cache(folder).feature_folders():
        assert not list(integrity.check_feature(place).all_faults())
