"""The command ``cache``: its help, and ``verify`` with and without computing again."""

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from contracts import plugins
from contracts.cache import Cache
from contracts.extraction import Options
from contracts.feature import Block, FeatureSpec
from extract import _upkeep_recompute as again
from tests import crashes
from tests.test_extract import cache, run, tone

Said = pytest.CaptureFixture[str]


@pytest.mark.parametrize("action", ["ls", "verify", "repair", "why", "gc"])
def test_each_action_has_its_own_help(action: str, capsys: Said) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("cache", action, "--help")

    said = capsys.readouterr().out
    assert stopped.value.code == 0
    assert f"python pipeline.py cache {action}" in said
    assert ("--yes" in said) == (action == "gc")
    assert ("--recompute" in said) == (action == "verify")
    assert ("--json" in said) == (action in ("ls", "verify"))


# verify


def test_verify_says_what_is_whole(made: tuple[Path, Path], capsys: Said) -> None:
    _, folder = made

    assert cache("verify", folder) == 0
    said = capsys.readouterr().out
    assert re.search(r"^mine: manifest, .* MB: whole$", said, re.M)
    assert re.search(r"^mfcc@\w+: 12 utterances in 1 shard, .* MB: whole$", said, re.M)
    assert cache("verify", folder, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["whole"] is True
    assert told["features"][0]["faults"] == []
    assert cache("verify", folder.parent / "none") == 2
    assert "no cache" in capsys.readouterr().err


def test_verify_is_confined_to_what_is_asked_for(tmp_path: Path, capsys: Said) -> None:
    folder = tmp_path / "c"
    crashes.extract(folder)
    crashes.damage(folder)
    shutil.rmtree(folder / "manifest")

    assert cache("verify", folder) == 1
    everything = capsys.readouterr().out
    assert cache("verify", folder, "--feature", "pooled") == 0
    assert cache("verify", folder, "--feature", "frames", "table") == 1
    assert cache("verify", folder, "--feature", "nope") == 2
    assert "unknown features: 'nope', expected one of" in capsys.readouterr().err
    assert cache("verify", folder, "--corpus", "nope") == 2
    assert "no corpus 'nope'" in capsys.readouterr().err
    for what in (
        "frames@.*json: is torn or damaged: ",
        "frames@.*h5: the block is damaged: 0000",
        "frames@.*h5: what is in no block is damaged",
        "table@.*feature.json: is torn or damaged: ",
        r"table@.*h5: expected \d+ bytes, got \d+",
        "table@.*h5: cannot be read: No such file or directory: 0000",
        "and it does not prove itself, its commit being torn",
        "pooled@.*: whole",
        "Mend them: python pipeline.py cache repair --cache ",
    ):
        assert re.search(what, everything), what


def test_verify_of_one_corpus_passes_over_the_shards_of_others(tmp_path: Path) -> None:
    from tests import synthetic

    folder = tmp_path / "c"
    for name in ("one", "two"):
        synthetic.make_cache(folder, synthetic.rows(1, corpus=name), corpus=name)
    store = Cache(folder).stores[0]
    place = store.places[synthetic.rows(1, corpus="two")["waveform"][0]]
    path = store.shards[place.shard].path
    crashes.flip(path, path.stat().st_size - 1)

    assert cache("verify", folder, "--corpus", "one") == 0
    assert cache("verify", folder, "--corpus", "two") == 1


def test_killed_writers_files_are_no_fault(
    made: tuple[Path, Path], capsys: Said
) -> None:
    folder = Cache(made[1]).stores[0].folder
    (folder / ".abc.h5.tmp-1").touch()
    (folder / "abc.h5").write_bytes(b"half")

    assert cache("verify", made[1]) == 0
    assert "2 unfinished files, which nothing reads" in capsys.readouterr().out
    assert len(Cache(made[1]).stores[0].places) == 12


# recompute


def test_recompute_compares_with_each_alone(
    made: tuple[Path, Path], capsys: Said
) -> None:
    assert cache("verify", made[1], "--recompute", 3) == 0

    said = capsys.readouterr().out
    assert re.search(
        r"  3 utterances computed again alone: largest deviation 0\.0e\+00 relative "
        r"L2, 0\.0e\+00 of the RMS; float32 itself rounds by up to \d",
        said,
    )
    assert cache("verify", made[1], "--recompute", -1) == 2


class Alone:
    """An extractor of frames whose way alone differs by ``error``."""

    device = "cpu"
    error = 0.0
    settings = 1
    keeps = "frames"

    def __init__(self) -> None:
        self.spec = FeatureSpec(
            "mine",
            {"a": {"b": self.settings}},
            3,
            layers=(0, 4),
            dtype="float16",
            keeps=self.keeps,
        )

    def frames(self, wave: Any) -> Any:
        frames = np.resize(wave, (2, 20, 3)).astype(np.float32)
        frames[1] *= 1e6  # scaled in the cache
        return frames

    def __call__(self, waves: Any) -> list[Block]:
        out = []
        for wave in waves:
            frames = self.frames(wave)
            pooled = np.stack([frames.mean(1), frames.std(1)], axis=1)
            scale = np.array([1, 16], np.float32)
            stored = (frames / scale[:, None, None]).astype(np.float16)
            values = stored if self.keeps == "frames" else None
            out.append(
                Block(values, pooled, scale if values is not None else None, True, 20)
            )
        return out

    def alone(self, wave: Any) -> Any:
        frames = self.frames(wave)
        frames[1, 0, 0] += self.error * np.sqrt(np.mean(frames[1] ** 2))
        return frames


@pytest.fixture
def alone(made: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> type[Alone]:
    """Store the feature ``mine`` and let it be found as a plug-in."""
    import types

    from extract import _audio

    kind = type("Mine", (Alone,), {})
    module = types.SimpleNamespace(load=lambda options: kind())
    true = plugins.load
    monkeypatch.setattr(
        plugins, "load", lambda k, n: module if n == "mine" else true(k, n)
    )
    there = Cache(made[1])
    rows = there.manifest("mine").rows
    for keeps in ("frames", "pooled"):
        kind.keeps = keeps
        waves = [_audio.listen(path) for path in rows["path"]]
        blocks = dict(zip(rows["waveform"], kind()(waves), strict=True))
        there.store(kind().spec).commit(blocks, {}, "cpu")
    kind.keeps = "frames"
    return kind


def test_recompute_measures_against_the_stored_dtype(
    made: tuple[Path, Path], alone: type[Alone]
) -> None:
    there = Cache(made[1])
    store = next(s for s in there.stores if s.spec.keeps_frames)

    found, _ = again.recompute(there, store, 12, 0, "cpu")
    assert found.n == 12
    assert found.is_explained
    assert 1e-5 < found.l2 <= found.own_l2 < 1e-3
    assert 1e-5 < found.largest <= found.own_largest < 1e-2
    alone.error = 0.02
    worse, _ = again.recompute(there, store, 12, 0, "cpu")
    assert not worse.is_explained
    assert worse.largest == pytest.approx(0.02, rel=0.1)
    assert worse.largest_layer == 4
    assert "of the RMS (layer 4)" in worse.text(store.spec)
    assert "more than rounding explains" in worse.text(store.spec)


def test_recompute_of_pooled_alone(made: tuple[Path, Path], alone: type[Alone]) -> None:
    there = Cache(made[1])
    store = next(s for s in there.stores if s.spec.keeps == "pooled")
    alone.keeps = "pooled"

    found, _ = again.recompute(there, store, 3, 0, "cpu")

    assert found.is_explained
    assert found.l2 < 1e-6


def test_recompute_by_the_same_seed_takes_the_same(
    made: tuple[Path, Path], alone: type[Alone]
) -> None:
    there = Cache(made[1])
    store = next(s for s in there.stores if s.spec.keeps_frames)

    one, same, other = (again.recompute(there, store, 1, s, "cpu") for s in (0, 0, 1))

    assert one == same
    assert one != other


def test_recompute_refuses_another_fingerprint_and_says_what_differs(
    made: tuple[Path, Path], alone: type[Alone], capsys: Said
) -> None:
    alone.settings = 2

    assert cache("verify", made[1], "--feature", "mine", "--recompute", 1) == 1

    said = capsys.readouterr().out
    assert "not computed again: mine@" in said
    assert "(a.b: 1 stored, 2 now" in said


def test_recompute_names_audio_that_is_gone_or_other(
    made: tuple[Path, Path], capsys: Said
) -> None:
    root, folder = made
    for path in root.glob("*.wav"):
        soundfile.write(path, tone(0.4, 500, seed=5), 16_000)
    assert cache("verify", folder, "--recompute", 1) == 1
    assert re.search(
        r"not computed again: mine/.* was replaced since", capsys.readouterr().out
    )
    shutil.rmtree(root)
    assert cache("verify", folder, "--recompute", 1) == 1
    assert re.search(
        "not computed again: mine/.* cannot be computed", capsys.readouterr().out
    )


def test_recompute_waits_until_the_cache_is_mended(
    made: tuple[Path, Path], capsys: Said
) -> None:
    path = Cache(made[1]).stores[0].shards[0].path
    crashes.flip(path, path.stat().st_size - 1)

    assert cache("verify", made[1], "--recompute", 1) == 1
    assert "before the cache is mended" in capsys.readouterr().err


def test_options_are_those_that_made_a_feature() -> None:
    spec = dataclasses.replace(
        crashes.POOLED,
        provenance={"encoder": "a/b", "revision": "abc", "folder": ""},
    )

    assert again.options_of(spec, "cpu") == Options(
        "a/b", "abc", (0, 1), "float16", "cpu", "pooled"
    )
