"""``cache why``: what is there of a file, and what extract would do."""

import dataclasses
import re
import shutil
from pathlib import Path

import pytest

from contracts import plugins
from contracts.cache import Cache
from contracts.extraction import Options
from extract import _upkeep_why
from tests import crashes
from tests.test_extract import cache, corpus, extract

Said = pytest.CaptureFixture[str]


# why


def test_why_says_what_is_there_and_what_extract_would_do(
    made: tuple[Path, Path], capsys: Said
) -> None:
    root, folder = made
    path = root / "0-sad.wav"
    row = Cache(folder).manifest("mine").rows.set_index("id").loc["mine/0-sad.wav"]

    for what in (path, "mine/0-sad.wav"):
        assert cache("why", folder, what) == 0
        said = capsys.readouterr().out
        assert said.startswith(f"mine/0-sad.wav\n  file: {path}\n")
        assert f"waveform: {row['waveform'][:16]}, 0.42 s, as in the manifest" in said
        assert re.search(r"there: made \d{4}-\d\d-.* by cpu in .*\.h5", said)
        assert "would not make it again: same waveform, same fingerprint" in said
        assert "settings: version 1, coefficients 40," in said
    shutil.copy(path, folder.parent / "copy.wav")
    assert cache("why", folder, folder.parent / "copy.wav") == 0
    said = capsys.readouterr().out
    assert "it is in no manifest" in said
    assert "there: made" in said
    assert "the file is in no corpus" in said
    assert cache("why", folder, "nothing.wav") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "'nothing.wav' is no file, and no id in the manifests" in line


def test_why_of_what_failed_was_never_tried_or_cannot_be_heard(
    made: tuple[Path, Path], capsys: Said
) -> None:
    root, folder = made
    there = Cache(folder)
    keys = there.manifest("mine").rows.set_index("id")["waveform"]
    there.store(crashes.TABLE).commit({}, {keys["mine/0-sad.wav"]: "too odd"}, "cpu")

    cache("why", folder, "mine/0-sad.wav")
    said = capsys.readouterr().out
    assert re.search(r"failed: too odd; tried \d{4}-", said)
    assert "extract would try it again: it failed before" in said
    cache("why", folder, "mine/1-sad.wav")
    said = capsys.readouterr().out
    assert "    never tried\n    extract would make it: it is not there" in said
    (root / "1-sad.wav").unlink()
    cache("why", folder, "mine/1-sad.wav")
    said = capsys.readouterr().out
    assert "waveform: cannot be heard: " in said
    assert "would not make it: the audio cannot be heard" in said


def test_why_says_each_segment_of_a_file(tmp_path: Path, capsys: Said) -> None:
    root = corpus(tmp_path / "a")
    text = "file,speaker,emotion,start,end\n0-sad.wav,0,sad,0.0,0.2\n"
    (root / "labels.csv").write_text(text + "0-sad.wav,0,happy,0.2,0.4\n")
    extract(root, tmp_path / "c")
    capsys.readouterr()

    cache("why", tmp_path / "c", root / "0-sad.wav")

    said = capsys.readouterr().out
    assert "from 0 s to 0.2 s" in said
    assert "from 0.2 s to 0.4 s" in said
    assert said.count("as in the manifest") == 2


def test_why_with_options_says_what_would_differ(
    made: tuple[Path, Path], capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache("why", made[1], "mine/0-sad.wav", "--feature", "mfcc")
    assert (
        "the cache has it: extract makes only what is missing"
        in capsys.readouterr().out
    )
    cache("why", made[1], "mine/0-sad.wav", "--feature", "egemaps")
    assert (
        "the cache has no egemaps: extract makes all of it" in capsys.readouterr().out
    )
    module = plugins.load("features", "mfcc")
    monkeypatch.setitem(module.SETTINGS, "version", 2)
    cache("why", made[1], "mine/0-sad.wav", "--feature", "mfcc")
    said = capsys.readouterr().out
    assert "the cache lacks it; nearest is mfcc@" in said
    assert "    version: 1 stored, 2 now" in said
    assert cache("why", made[1], "mine/0-sad.wav", "--feature", "mfc") == 2


def test_why_names_the_nearest_of_several(tmp_path: Path) -> None:
    there = Cache(tmp_path)
    near = dataclasses.replace(crashes.FRAMES, settings={"a": 1, "b": 2})
    far = dataclasses.replace(near, settings={"a": 3, "b": 3}, dtype="float32")
    for spec in (far, near):
        there.store(spec)
    wanted = dataclasses.replace(near, keeps="pooled")

    with pytest.MonkeyPatch.context() as patch:
        import types

        extractor = types.SimpleNamespace(spec=wanted)
        module = types.SimpleNamespace(load=lambda _: extractor)
        patch.setattr(plugins, "load", lambda *_: module)
        lines = _upkeep_why.would_be(Cache(tmp_path), "frames", Options())

    assert near.short in lines[1]
    assert lines[2:] == ["    keeps: frames stored, pooled now"]
