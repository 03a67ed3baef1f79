"""Extraction end to end on small real files: what is accepted, refused, resumed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import pipeline
from contracts.cache import Cache
from contracts.errors import ExtractionError
from contracts.feature import FeatureSpec
from extract import _engine, _plan
from extract.commands import parse_layers

ROOT = Path(__file__).resolve().parent.parent
EMOTIONS = ("neutral", "happy", "sad", "angry")


def tone(seconds: float, pitch: float, rate: int = 16_000, seed: int = 0) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal(len(t))
    return 0.3 * np.sin(2 * np.pi * pitch * t) + 0.01 * noise


def corpus(root: Path, n_speakers: int = 3, seconds: float = 0.4) -> Path:
    """Write a folder with a table: every speaker says every emotion once."""
    root.mkdir(parents=True, exist_ok=True)
    lines = ["file,speaker,emotion"]
    for s in range(n_speakers):
        for e, emotion in enumerate(EMOTIONS):
            name = f"{s}-{emotion}.wav"
            wave = tone(seconds + 0.05 * s + 0.01 * e, 100 + 30 * e, seed=10 * s + e)
            soundfile.write(root / name, wave, 16_000)
            lines.append(f"{name},{s},{emotion}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


def run(*arguments: object) -> int:
    return pipeline.main([str(a) for a in arguments])


def cache(action: str, folder: Path, *more: object) -> int:
    return run("cache", action, *more, "--cache", folder)


def extract(root: Path, cache: Path, *more: object) -> int:
    features = () if "--feature" in more else ("--feature", "mfcc")
    return run(
        "extract",
        "--corpus",
        "mine",
        "--root",
        root,
        "--cache",
        cache,
        *features,
        *more,
    )


def test_extract_then_nothing_is_left_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a")

    assert extract(root, tmp_path / "c") == 0
    assert "12 utterances extracted" in capsys.readouterr().out
    assert extract(root, tmp_path / "c") == 0
    assert "0 utterances extracted, 12 were there" in capsys.readouterr().out
    assert Cache(tmp_path / "c").view("mine").table("mfcc").shape == (12, 80)


def test_new_files_extract_only_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extract(corpus(tmp_path / "a"), tmp_path / "c")
    capsys.readouterr()

    extract(corpus(tmp_path / "a", n_speakers=4), tmp_path / "c")

    assert "4 utterances extracted, 12 were there" in capsys.readouterr().out


def test_moved_folder_and_touched_files_extract_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a")
    extract(root, tmp_path / "c")
    ids = Cache(tmp_path / "c").view("mine").ids
    moved = root.rename(tmp_path / "b")
    for path in moved.iterdir():
        os.utime(path, (1, 1))
    capsys.readouterr()

    extract(moved, tmp_path / "c")

    assert "0 utterances extracted, 12 were there" in capsys.readouterr().out
    assert list(Cache(tmp_path / "c").view("mine").ids) == list(ids)


def test_known_files_are_not_listened_to_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from extract import _hearing

    root = corpus(tmp_path / "a")
    extract(root, tmp_path / "c")
    heard = []
    original = _hearing.hear
    monkeypatch.setattr(
        _hearing, "hear", lambda u, s: heard.append(u) or original(u, s)
    )

    extract(root, tmp_path / "c")
    assert not heard
    soundfile.write(root / "0-sad.wav", tone(0.5, 300), 16_000)
    extract(root, tmp_path / "c")

    assert [u.path.name for u in heard] == ["0-sad.wav"]


def test_replaced_file_is_extracted_again(tmp_path: Path) -> None:
    root = corpus(tmp_path / "a")
    extract(root, tmp_path / "c")
    before = Cache(tmp_path / "c").view("mine").table("mfcc")

    size = (root / "0-sad.wav").stat()
    soundfile.write(root / "0-sad.wav", tone(0.42, 300, seed=99), 16_000)
    os.utime(root / "0-sad.wav", ns=(size.st_atime_ns, size.st_mtime_ns))
    extract(root, tmp_path / "c")

    after = Cache(tmp_path / "c").view("mine")
    changed = (after.table("mfcc") != before).any(axis=1)
    assert [i for i, c in zip(after.ids, changed, strict=True) if c] == [
        "mine/0-sad.wav"
    ]


def test_same_recording_is_stored_once_and_both_rows_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a")
    shutil.copy(root / "0-sad.wav", root / "0-angry.wav")

    assert extract(root, tmp_path / "c") == 0

    said = capsys.readouterr()
    assert (
        "the same recording under 2 names: mine/0-sad.wav, mine/0-angry.wav" in said.err
    )
    view = Cache(tmp_path / "c").view("mine")
    assert len(view) == 12
    store = view._store("mfcc")
    assert len(store.places) == 11
    rows = dict(zip(view.ids, view.table("mfcc"), strict=True))
    np.testing.assert_array_equal(rows["mine/0-sad.wav"], rows["mine/0-angry.wav"])


def test_all_bad_files_are_named_and_nothing_done_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a")
    (root / "empty.wav").touch()
    (root / "text.wav").write_text("this is no sound at all, it is a sentence")
    soundfile.write(root / "short.wav", tone(0.02, 100), 16_000)
    whole = (root / "0-sad.wav").read_bytes()
    (root / "cut.wav").write_bytes(whole[: len(whole) // 2])
    soundfile.write(
        root / "nan.wav", np.full(8000, np.nan, np.float32), 16_000, subtype="FLOAT"
    )
    soundfile.write(root / "brief.wav", tone(0.045, 100), 16_000)
    soundfile.write(root / "still.wav", np.zeros(8000), 16_000)
    soundfile.write(root / "loud.wav", np.sign(tone(0.5, 100)), 16_000)
    names = ["empty", "text", "short", "cut", "nan", "brief", "still", "loud", "gone"]
    with (root / "labels.csv").open("a") as file:
        file.writelines(f"{name}.wav,9,sad\n" for name in names)

    assert extract(root, tmp_path / "c", "--feature", "egemaps") == 1

    said = capsys.readouterr().err
    for name in ("empty", "text", "short", "cut", "nan", "gone"):
        assert f"{name}.wav" in said.partition("to mend")[2], name
    assert "1 silent (no frame above -60 dBFS): mine/still.wav" in said
    assert "1 clipped (samples at full scale): mine/loud.wav" in said
    assert "shorter than 60 ms (eGeMAPS is not defined): mine/brief.wav" in said
    view = Cache(tmp_path / "c").view("mine")
    assert len(view) == 15
    valid = dict(zip(view.ids, view.valid("egemaps"), strict=True))
    assert [i for i, v in valid.items() if not v] == ["mine/brief.wav"]
    assert len(view.left_out) == 5
    # the same again: still named, nothing computed anew
    assert extract(root, tmp_path / "c", "--feature", "egemaps") == 1


def test_silent_clipped_and_brief_alone_exit_0(tmp_path: Path) -> None:
    root = corpus(tmp_path / "a")
    soundfile.write(root / "0-sad.wav", tone(0.045, 100), 16_000)
    soundfile.write(root / "1-sad.wav", np.zeros(8000), 16_000)

    assert extract(root, tmp_path / "c", "--feature", "egemaps", "mfcc") == 0


def test_odd_but_good_audio_is_accepted(tmp_path: Path) -> None:
    root = tmp_path / "a"
    root.mkdir()
    lines = ["file,speaker,emotion"]
    for i, (rate, subtype, channels, name) in enumerate(
        [
            (8_000, "PCM_U8", 1, "with space.wav"),
            (44_100, "PCM_16", 2, "quote'd.wav"),
            (96_000, "PCM_24", 6, "ünïcode-日本.wav"),
            (48_000, "FLOAT", 1, "UPPER.WAV"),
        ]
    ):
        wave = np.stack([tone(0.5, 100 + i, rate)] * channels, axis=1)
        soundfile.write(root / name, wave, rate, subtype=subtype)
        lines.append(f'"{name}",{i},sad')
    (root / "labels.csv").write_text("\n".join(lines), encoding="utf-8")

    assert extract(root, tmp_path / "c") == 0

    rows = Cache(tmp_path / "c").manifest("mine").rows
    assert rows["sampling_rate"].tolist() == [8_000, 44_100, 96_000, 48_000]
    assert rows["channels"].tolist() == [1, 2, 6, 1]
    np.testing.assert_allclose(rows["duration"], 0.5)


def test_missing_encoder_fails_in_one_sentence_and_the_rest_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a")

    code = extract(
        root, tmp_path / "c", "--feature", "mfcc", "wav2vec2", "--encoder", "no/such"
    )

    assert code == 1
    said = [x for x in capsys.readouterr().err.splitlines() if "wav2vec2" in x]
    assert len(said) == 1
    assert "--encoder FOLDER" in said[0]
    assert len(Cache(tmp_path / "c").view("mine").table("mfcc")) == 12


def test_limit_spreads_and_nests(tmp_path: Path) -> None:
    root = corpus(tmp_path / "a", n_speakers=5)

    extract(root, tmp_path / "c3", "--limit", 3)
    extract(root, tmp_path / "c8", "--limit", 8)
    few = set(Cache(tmp_path / "c3").view("mine").ids)
    more = set(Cache(tmp_path / "c8").view("mine").ids)
    extract(root, tmp_path / "c8", "--limit", 3)

    assert len(few) == 3
    assert len(more) == 8
    assert few < more
    assert set(Cache(tmp_path / "c8").view("mine").ids) == more


def test_inspect_changes_nothing_in_the_cache(tmp_path: Path) -> None:
    root = corpus(tmp_path / "a", n_speakers=5)
    extract(root, tmp_path / "c", "--limit", 8)

    with Cache(tmp_path / "c").lock():  # and does not wait for a writer
        run(
            "inspect",
            "--corpus",
            "mine",
            "--root",
            root,
            "--cache",
            tmp_path / "c",
            "--runs",
            tmp_path / "r",
        )
    extract(root, tmp_path / "c", "--limit", 3)

    assert len(Cache(tmp_path / "c").view("mine").table("mfcc")) == 8


def test_one_bad_corpus_does_not_keep_the_others_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    corpus(tmp_path / "data/audio/mine")
    (tmp_path / "data/audio/ravdess").mkdir()

    assert run("extract", "--feature", "mfcc") == 1

    assert "ravdess: " in capsys.readouterr().err.partition("to mend")[2]
    assert len(Cache("data/cache").view("mine").table("mfcc")) == 12


def test_corpus_is_found_again_where_it_lay(tmp_path: Path) -> None:
    root = corpus(tmp_path / "a")
    extract(root, tmp_path / "c")

    assert (
        run(
            "extract",
            "--corpus",
            "mine",
            "--feature",
            "egemaps",
            "--cache",
            tmp_path / "c",
        )
        == 0
    )

    assert len(Cache(tmp_path / "c").view("mine").table("egemaps")) == 12


@pytest.mark.parametrize("name", ["a/b", "../out", ".hidden", ""])
def test_corpus_names_that_are_paths_are_refused(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a")

    code = run("extract", "--corpus", name, "--root", root, "--cache", tmp_path / "c")

    assert code == 2
    assert "bad --corpus" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_ids_tell_segments_apart_and_do_not_depend_on_how_the_root_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = corpus(tmp_path / "a")
    text = "file,speaker,emotion,start,end\n"
    text += "0-sad.wav,0,sad,0.0011,0.0400\n0-sad.wav,0,happy,0.0014,0.0400\n"
    text += f"{root / '1-sad.wav'},1,sad,,\n"
    (root / "labels.csv").write_text(text)
    monkeypatch.chdir(tmp_path)

    for _ in range(2):
        extract(root, tmp_path / "c1")
    extract(Path("a"), tmp_path / "c2")

    one = Cache(tmp_path / "c1").manifest("mine").rows
    assert one["id"].tolist() == [
        "mine/0-sad.wav#0.0011-0.04",
        "mine/0-sad.wav#0.0014-0.04",
        "mine/1-sad.wav",
    ]
    assert one["waveform"].nunique() == 3
    two = Cache(tmp_path / "c2").manifest("mine").rows
    assert two["id"].tolist() == one["id"].tolist()
    assert two["waveform"].tolist() == one["waveform"].tolist()


def test_every_name_is_written_down_where_the_terminal_shows_ten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a", n_speakers=4)
    for path in root.glob("*.wav"):
        soundfile.write(path, np.zeros(8000), 16_000)

    assert extract(root, tmp_path / "c") == 0

    assert "and 6 more" in capsys.readouterr().err
    told = (tmp_path / "c/notes/mine.txt").read_text()
    assert told.count("mine/") == 32  # silent, and the same recording


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--feature", "mfc"], "unknown features: 'mfc', expected one of.*'mfcc'"),
        (["--layers", "a-b"], "bad --layers 'a-b': expected all, 0-12"),
        (["--limit", "0"], "bad --limit 0"),
    ],
)
def test_bad_arguments_are_refused_before_work_starts(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    import re

    code = extract(corpus(tmp_path / "a"), tmp_path / "c", *arguments)

    assert code == 2
    assert re.search(said, capsys.readouterr().err)
    assert not (tmp_path / "c").exists()


def test_missing_folder_and_nothing_there_say_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert run("extract") == 2
    assert "make demo" in capsys.readouterr().err
    assert run("extract", "--corpus", "ravdess") == 2
    assert "no folder data/audio/ravdess" in capsys.readouterr().err
    assert run("extract", "--corpus", "ravdes", "--root", tmp_path) == 2
    assert "Did you mean 'ravdess'" in capsys.readouterr().err


def test_corpora_in_the_audio_folder_are_recognised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    corpus(tmp_path / "data/audio/mine")
    (tmp_path / "data/audio/junk").mkdir()

    assert run("extract", "--feature", "mfcc") == 0

    said = capsys.readouterr()
    assert "nothing here can read junk" in said.err
    assert Cache("data/cache").corpora == ["mine"]


def test_too_little_disk_is_refused_before_work_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))

    assert extract(corpus(tmp_path / "a"), tmp_path / "c") == 2

    assert (
        "too little disk for what is asked: 0.0 GB are needed"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "c/features").exists()


def test_cache_ls_tells_people_and_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extract(corpus(tmp_path / "a"), tmp_path / "c")
    capsys.readouterr()

    assert run("cache", "ls", "--cache", tmp_path / "c") == 0
    assert "mfcc@" in capsys.readouterr().out
    assert run("cache", "ls", "--cache", tmp_path / "c", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["corpora"][0]["utterances"] == 12
    assert told["features"][0]["utterances"] == 12
    assert run("cache", "ls", "--cache", tmp_path / "none") == 2


def test_layers_are_read() -> None:
    assert parse_layers("all") is None
    assert parse_layers("0-3") == (0, 1, 2, 3)
    assert parse_layers("6,0,2-3") == (0, 2, 3, 6)
    with pytest.raises(ExtractionError, match="the range is empty"):
        parse_layers("5-2")


class Loud:
    """An extractor that gives numbers no float16 can hold, and fails on some."""

    spec = FeatureSpec("loud", {}, 3, layers=(0, 1), dtype="float16", frame_shift=0.02)
    device = "cpu"

    def __call__(self, waveforms: Sequence[Any]) -> list[Any]:
        out: list[Any] = []
        for wave in waveforms:
            frames = np.ones((2, 5, 3), np.float32) * len(wave)
            frames[1] *= 1e5
            bad = len(wave) == int(0.41 * 16_000)
            nan = len(wave) == int(0.42 * 16_000)
            if nan:
                frames[0, 0, 0] = np.nan
            out.append(ExtractionError("too odd") if bad else frames)
        return out


def test_engine_scales_what_overflows_and_records_what_fails(tmp_path: Path) -> None:
    extract(corpus(tmp_path / "a"), tmp_path / "c")
    cache = Cache(tmp_path / "c")
    rows = cache.manifest("mine").rows

    with cache.lock():
        outcome = _engine.run(cache, Loud(), rows)

    assert outcome.n_new == 10
    assert outcome.failed == {
        "mine/0-happy.wav": "too odd",
        "mine/0-sad.wav": "loud is not finite",
    }
    view = Cache(tmp_path / "c").view("mine").require(["loud"])
    assert len(view) == 10
    assert len(view.left_out) == 2
    n = view.manifest["duration"].to_numpy()[3] * 16_000
    frames = view.frames("loud", 3, layers=[0, 1])
    np.testing.assert_allclose(frames[0], n, rtol=1e-3)
    np.testing.assert_allclose(frames[1], n * 1e5, rtol=1e-3)
    np.testing.assert_allclose(view.pooled("loud", [1])[3, 0, 0], n * 1e5, rtol=1e-6)


def test_whole_shards_taken_away_leave_the_others_alike(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    todo = sorted(
        (
            _plan.Item(f"{i:04d}", "", "", None, None, float(d))
            for i, d in enumerate(rng.gamma(2, 20, 300))
        ),
        key=lambda item: (item.duration, item.key),
    )
    plan = list(_plan.shards(Loud.spec, todo))

    done = {i for i in range(len(plan)) if rng.random() < 0.5}
    left = [item for i, shard in enumerate(plan) if i not in done for item in shard]

    assert len(plan) > 20
    assert list(_plan.shards(Loud.spec, left)) == [
        shard for i, shard in enumerate(plan) if i not in done
    ]


@pytest.mark.slow
def test_extract_killed_and_run_again_equals_an_undisturbed_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = corpus(tmp_path / "a", n_speakers=24, seconds=0.3)
    command = [
        *(sys.executable, "pipeline.py", "extract", "--corpus", "mine"),
        *("--root", str(root), "--feature", "mfcc", "wav2vec2", "--encoder", "demo"),
    ]
    whole = [*command, "--cache", str(tmp_path / "whole")]
    started = time.perf_counter()
    subprocess.run(whole, cwd=ROOT, check=True, capture_output=True)
    took = time.perf_counter() - started
    rng = np.random.default_rng(1)

    again = [*command, "--cache", str(tmp_path / "killed")]
    for _ in range(4):
        process = subprocess.Popen(
            again, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(rng.uniform(0.3, 1.0) * took)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(again, cwd=ROOT, check=True, capture_output=True)

    one, two = (Cache(tmp_path / name).view("mine") for name in ("whole", "killed"))
    assert list(one.manifest["waveform"]) == list(two.manifest["waveform"])
    np.testing.assert_array_equal(one.table("mfcc"), two.table("mfcc"))
    np.testing.assert_array_equal(one.pooled("wav2vec2"), two.pooled("wav2vec2"))
    for row in range(len(one)):
        np.testing.assert_array_equal(
            one.frames("wav2vec2", row, range(13)),
            two.frames("wav2vec2", row, range(13)),
        )


def test_two_writers_are_kept_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a")

    with Cache(tmp_path / "c").lock():
        assert extract(root, tmp_path / "c") == 2

    assert f"being written by process {os.getpid()}" in capsys.readouterr().err
