"""What may go wrong around a cache: it ends right, or in one clear sentence."""

import itertools
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from contracts import _durable
from contracts.cache import Cache
from contracts.errors import CacheError
from tests import crashes
from tests.test_extract import corpus, extract, run, tone

ROOT = Path(__file__).resolve().parent.parent
NOBODY = 65534


@pytest.fixture
def mount() -> Iterator[Callable[[str], Path]]:
    """Return a function that mounts a small disk in memory; skip where it may not."""
    mounted: list[Path] = []

    def make(size: str) -> Path:
        folder = Path(tempfile.mkdtemp())
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
        if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
            folder.rmdir()
            pytest.skip("only root may mount a small disk")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


# a full disk

_FILL = """
import sys
from contracts.cache import Cache
from contracts.errors import CacheError
from tests import crashes
cache = Cache(sys.argv[1])
done = 0
try:
    with cache.lock():
        store = cache.store(crashes.FRAMES)
        for i in range(1, 1000):
            key = f"{i:064x}"
            store.commit({key: crashes.block(crashes.FRAMES, key)}, {}, "cpu")
            done = i
except CacheError as error:
    print(done)
    print(error, file=sys.stderr)
"""


def fill(folder: Path) -> tuple[int, str]:
    """Commit shards until it goes no further; return how many, and what was said."""
    said = subprocess.run(
        [sys.executable, "-c", _FILL, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(said.stdout), said.stderr


def check_full(folder: Path, done: int, said: str) -> None:
    """Check what is left where a disk was full."""
    assert re.fullmatch(
        r"cannot write .*\.(h5|json)\S*: (No space left on device|File too large)\. "
        r"Everything committed before is kept: free space and run the same command "
        r"again\n",
        said,
    )
    assert crashes.read(folder) == {("frames", f"{i:064x}") for i in range(1, done + 1)}
    assert not list(folder.rglob("*.tmp-*"))


def test_disk_full_in_the_middle(mount: Callable[[str], Path]) -> None:
    folder = mount("600k")

    done, said = fill(folder)

    assert 5 < done < 100
    check_full(folder, done, said)
    again, said = fill(folder)  # no matter how often
    assert again == 0
    check_full(folder, done, said)
    subprocess.run(["mount", "-o", "remount,size=5m", str(folder)], check=True)
    cache = Cache(folder)
    with cache.lock():
        store = cache.store(crashes.FRAMES)
        key = f"{done + 1:064x}"
        store.commit({key: crashes.block(crashes.FRAMES, key)}, {}, "cpu")
    assert len(crashes.read(folder)) == done + 1


def test_disk_full_at_every_number_of_blocks(
    mount: Callable[[str], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a")
    extract(root, tmp_path / "whole")
    names = [p.relative_to(tmp_path / "whole") for p in (tmp_path / "whole").rglob("*")]
    said = set()

    for pages in range(3, 40, 2):
        folder = mount(f"{4 * pages}k")
        capfd.readouterr()
        code = extract(root, folder / "c")
        told = capfd.readouterr().err
        assert "Traceback" not in told
        assert code in (0, 2), told
        said.add(code)
        if code:
            assert len(told.splitlines()) == 1
            assert "free space and run the same" in told or "too little disk" in told
        subprocess.run(["mount", "-o", "remount,size=5m", str(folder)], check=True)
        assert extract(root, folder / "c") == 0
        left = [p.relative_to(folder / "c") for p in (folder / "c").rglob("*")]
        assert sorted(left) == sorted(names)
    assert said == {0, 2}


_LIMITED = (
    """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
"""
    + _FILL
)


@pytest.mark.parametrize("limit", [0, 100, 4_000, 8_000])
def test_file_size_limit_at_any_byte(tmp_path: Path, limit: int) -> None:
    said = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(tmp_path), str(limit)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert len(said.stderr.splitlines()) == 1
    assert "File too large. Everything committed before is kept" in said.stderr
    assert not list(tmp_path.rglob("*.tmp-*"))
    assert said.stdout == "0\n"


@pytest.mark.parametrize("number", [5, 28, 122, 30])  # EIO, ENOSPC, EDQUOT, EROFS
def test_an_error_at_any_operation_is_one_sentence_and_costs_nothing(
    tmp_path: Path, number: int
) -> None:
    names: list[str] = []
    with crashes.standing_between(lambda name, _: names.append(name)):
        crashes.extract(tmp_path / "whole")
    tried = 0

    for stop in range(0, len(names), 4):
        folder = tmp_path / str(stop)
        count = itertools.count()

        def hook(
            name: str,
            arguments: Any,
            count: Iterator[int] = count,
            stop: int = stop,
        ) -> None:
            if next(count) == stop:
                error = OSError(number, os.strerror(number))
                raise _durable.refusal(arguments[0], error)

        with (
            crashes.standing_between(hook),
            pytest.raises(CacheError, match="cannot write .* is kept: "),
        ):
            crashes.extract(folder)
        if folder.exists():
            assert not list(folder.rglob("*.tmp-*"))
            crashes.read(folder)
        crashes.extract(folder)
        assert crashes.read(folder) == crashes.everything()
        shutil.rmtree(folder)
        tried += 1
    assert tried > 15


def test_every_kind_of_refusal_says_what_to_do(tmp_path: Path) -> None:
    for number, todo in ((28, "free space"), (13, "make it writable"), (5, "the disk")):
        refusal = _durable.refusal(tmp_path, OSError(number, os.strerror(number)))
        assert re.match(
            rf"cannot write .*: {os.strerror(number)}\. .*{todo}", str(refusal)
        )


# read-only

_AS_NOBODY = """
import contextlib, json, os, sys
import pipeline
first, then = json.loads(sys.argv[1])
with open(os.devnull, "w") as quiet, contextlib.redirect_stdout(quiet):
    for arguments in first:  # import what is needed while we may
        pipeline.main(arguments)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for arguments in then:
    print(pipeline.main(arguments), flush=True)
"""


@pytest.fixture
def public() -> Iterator[Path]:
    """Return a folder that other users may look into."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
    shutil.rmtree(folder)


def as_nobody(first: list[Any], then: list[Any]) -> tuple[list[str], list[str]]:
    """Run commands as an unprivileged user; return what was said out and err."""
    told = json.dumps(
        [[[str(w) for w in line] for line in part] for part in (first, then)]
    )
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, told],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr.splitlines()


def commands(root: Path, cache: Path) -> tuple[list[list[Any]], list[list[Any]]]:
    """Return command lines that read, and such that write."""
    there = ("--cache", cache)
    reads = [
        ["cache", "ls", *there],
        ["cache", "verify", *there],
        ["cache", "gc", *there],
    ]
    reads.append(["cache", "why", "mine/0-sad.wav", *there])
    start = ["extract", "--corpus", "mine", "--root", root]
    writes = [[*start, *there, "--feature", "mfcc"], ["cache", "repair", *there]]
    return reads, [*writes, ["cache", "gc", "--yes", *there]]


def test_a_read_only_folder_is_read_and_not_written(public: Path) -> None:
    root = corpus(public / "a")
    extract(root, public / "c")
    extract(root, public / "warm")
    reads, writes = commands(root, public / "c")
    warm = [*itertools.chain(*commands(root, public / "warm"))]
    before = crashes.tree(public / "c")
    subprocess.run(["chmod", "-R", "a-w", str(public / "c")], check=True)

    out, err = as_nobody(warm, [*reads, *writes])

    codes = [line for line in out if re.fullmatch(r"\d", line)]
    assert codes == ["0", "0", "0", "0", "2", "2", "2"]
    assert len(err) == 3
    for line in err:
        assert "cannot write" in line
        assert "make it writable for this user, or choose another" in line
    assert crashes.tree(public / "c") == before


def test_a_read_only_disk_is_read_and_not_written(
    mount: Callable[[str], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root, disk = corpus(tmp_path / "a"), mount("5m")
    extract(root, disk / "c")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    reads, writes = commands(root, disk / "c")
    capfd.readouterr()

    assert [run(*line) for line in reads] == [0, 0, 0, 0]
    assert len(Cache(disk / "c").view("mine").table("mfcc")) == 12
    assert not capfd.readouterr().err
    assert [run(*line) for line in writes] == [2, 2, 2]
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 3
    assert all("Read-only file system. Everything committed" in line for line in said)


# damage


def test_a_truncated_shard_is_named_and_the_rest_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a")
    extract(root, tmp_path / "c")
    whole = Cache(tmp_path / "c").view("mine").table("mfcc")
    shard = next((tmp_path / "c").rglob("*.h5"))
    with shard.open("r+b") as file:
        file.truncate(shard.stat().st_size - 80 * 4 * 2)  # two of twelve utterances

    with pytest.raises(
        CacheError, match=r"is broken: expected \d+ bytes, got \d+\. Run: "
    ):
        Cache(tmp_path / "c").view("mine").table("mfcc")
    assert run("cache", "verify", "--cache", tmp_path / "c") == 1
    assert run("cache", "repair", "--cache", tmp_path / "c") == 0
    assert "2 utterances dropped" in capsys.readouterr().out
    assert len(Cache(tmp_path / "c").stores[0].places) == 10
    assert extract(root, tmp_path / "c") == 0
    assert "2 utterances extracted, 10 were there" in capsys.readouterr().out
    after = Cache(tmp_path / "c").view("mine").table("mfcc")
    np.testing.assert_array_equal(whole, after)
    assert run("cache", "verify", "--cache", tmp_path / "c") == 0


def test_a_flipped_byte_costs_one_utterance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a")
    extract(root, tmp_path / "c")
    whole = Cache(tmp_path / "c").view("mine")
    store = whole._store("mfcc")
    key = whole.manifest["waveform"][5]
    start, _ = store.shards[0].layout.extent("values")
    crashes.flip(store.shards[0].path, start + store.places[key].start * 320 + 7)
    capsys.readouterr()

    assert run("cache", "verify", "--cache", tmp_path / "c") == 1
    said = capsys.readouterr().out
    assert f"the block is damaged: {whole.ids[5]}\n" in said
    assert "1 fault in" in said
    assert run("cache", "repair", "--cache", tmp_path / "c") == 0
    assert f"1 utterance dropped: {whole.ids[5]}" in capsys.readouterr().out
    assert key not in Cache(tmp_path / "c").stores[0].places
    extract(root, tmp_path / "c")
    assert "1 utterance extracted, 11 were there" in capsys.readouterr().out
    again = Cache(tmp_path / "c").view("mine").table("mfcc")
    assert np.isfinite(again).all()
    assert len(Cache(tmp_path / "c").stores[0].places) == 12


def test_a_commit_cut_at_every_length_is_named_and_mended(tmp_path: Path) -> None:
    crashes.extract(tmp_path / "c")
    folder = next((tmp_path / "c" / "features").glob("frames@*"))
    commit = sorted(p for p in folder.glob("*.json") if p.name != "feature.json")[0]
    whole = commit.read_bytes()

    for length in range(len(whole)):
        commit.write_bytes(whole[:length])
        with pytest.raises(CacheError, match=r"is torn or damaged: .* Run: .* repair"):
            assert Cache(tmp_path / "c").stores[0].places
    for length in range(0, len(whole), 97):
        commit.write_bytes(whole[:length])
        crashes.repair(tmp_path / "c")
        assert commit.read_bytes() == whole


def test_a_torn_manifest_is_put_aside_and_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a")
    extract(root, tmp_path / "c")
    path = tmp_path / "c" / "manifest" / "mine.parquet"
    crashes.tear(path)

    assert extract(root, tmp_path / "c") == 2
    assert "manifest/mine.parquet is broken: " in capsys.readouterr().err
    assert run("cache", "repair", "--cache", tmp_path / "c") == 0
    assert "extract --corpus mine --root" in capsys.readouterr().out
    assert (tmp_path / "c" / "quarantine" / "mine.parquet").exists()
    assert run("cache", "gc", "--yes", "--cache", tmp_path / "c") == 2
    assert (
        "without it, gc would take its features for rubbish" in capsys.readouterr().err
    )
    assert extract(root, tmp_path / "c") == 0
    assert "0 utterances extracted, 12 were there" in capsys.readouterr().out
    assert run("cache", "gc", "--yes", "--cache", tmp_path / "c") == 0
    assert len(Cache(tmp_path / "c").view("mine").table("mfcc")) == 12


# locks and clocks


def _hold(folder: str, ready: str) -> None:
    with Cache(folder).lock():
        Path(ready).touch()
        time.sleep(60)


def test_two_extractors_are_kept_apart_and_a_dead_ones_lock_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, ready = corpus(tmp_path / "a"), tmp_path / "ready"
    extract(root, tmp_path / "c")
    holder = multiprocessing.get_context("spawn").Process(
        target=_hold, args=(str(tmp_path / "c"), str(ready))
    )
    holder.start()
    while not ready.exists():
        time.sleep(0.02)
    capsys.readouterr()
    writes = commands(root, tmp_path / "c")[1]

    assert [run(*line) for line in writes] == [2, 2, 2]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert all(f"is being written by process {holder.pid}" in line for line in said)
    assert len(Cache(tmp_path / "c").view("mine").table("mfcc")) == 12
    os.kill(holder.pid or 0, signal.SIGKILL)
    holder.join()

    assert [run(*line) for line in writes] == [0, 0, 0]


def test_two_extractors_at_once_end_in_one_right_cache(tmp_path: Path) -> None:
    root = corpus(tmp_path / "a")
    extract(root, tmp_path / "whole")
    command = [*(sys.executable, "pipeline.py", "extract", "--corpus", "mine")]
    command += [
        "--root",
        str(root),
        "--feature",
        "mfcc",
        "--cache",
        str(tmp_path / "c"),
    ]

    both = [
        subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[1] for process in both]

    assert {process.returncode for process in both} <= {0, 2}
    assert 0 in {process.returncode for process in both}
    for process, told in zip(both, said, strict=True):
        if process.returncode:
            assert "is being written by process" in told
            assert len(told.splitlines()) == 1
    one, two = (Cache(tmp_path / n).view("mine") for n in ("whole", "c"))
    np.testing.assert_array_equal(one.table("mfcc"), two.table("mfcc"))


def test_a_clock_that_goes_backwards_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    years = iter(["2040", "1970", "2031", "1999"])
    root = corpus(tmp_path / "a")
    monkeypatch.setattr("contracts._store.time.strftime", lambda _: next(years))
    extract(root, tmp_path / "c", "--limit", 6)
    extract(root, tmp_path / "c")
    for i, path in enumerate(sorted((tmp_path / "c").rglob("*"))):
        os.utime(path, (4e9 * (i % 2), 4e9 * (i % 2)))  # 1970 and 2096
    capsys.readouterr()

    assert extract(root, tmp_path / "c") == 0
    assert "0 utterances extracted, 12 were there" in capsys.readouterr().out
    assert run("cache", "verify", "--cache", tmp_path / "c") == 0
    assert run("cache", "gc", "--cache", tmp_path / "c") == 0
    assert "everything in it is referred to" in capsys.readouterr().out
    for path in (tmp_path / "a").iterdir():
        os.utime(path, (4e9, 4e9))
    assert extract(root, tmp_path / "c") == 0
    assert "0 utterances extracted, 12 were there" in capsys.readouterr().out
    assert len(Cache(tmp_path / "c").view("mine").table("mfcc")) == 12


def test_a_file_replaced_between_runs_is_extracted_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a")
    extract(root, tmp_path / "c")
    before = Cache(tmp_path / "c").view("mine")
    path = root / "1-sad.wav"
    was, n = path.stat(), len(soundfile.read(path)[0])
    soundfile.write(path, tone(n / 16_000, 333, seed=77), 16_000)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert path.stat().st_size == was.st_size
    assert path.stat().st_mtime_ns == was.st_mtime_ns
    capsys.readouterr()

    run("cache", "why", path, "--cache", tmp_path / "c")
    said = capsys.readouterr().out
    assert "the audio was replaced since" in said
    assert "extract would make it: the audio was replaced since" in said
    assert extract(root, tmp_path / "c") == 0
    assert "1 utterance extracted, 11 were there" in capsys.readouterr().out

    after = Cache(tmp_path / "c").view("mine")
    changed = (after.table("mfcc") != before.table("mfcc")).any(axis=1)
    assert list(after.ids[changed]) == ["mine/1-sad.wav"]
    assert run("cache", "gc", "--cache", tmp_path / "c") == 0
    assert re.search(r"mfcc@\w+ +in no manifest +1 ", capsys.readouterr().out)
