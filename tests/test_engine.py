"""Shards in worker processes: the same numbers, and no utterance takes others along."""

import os
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
from numpy.typing import NDArray

from contracts import memory
from contracts.cache import Cache
from contracts.errors import ExtractionError
from contracts.extraction import Extractor, Options
from contracts.feature import FeatureSpec
from extract import _engine, _plan, _probe, _stage, _workers
from extract._engine import Job
from extract._work import Recipe
from tests.test_extract import corpus, extract

ROOT = Path(__file__).resolve().parent.parent
N = 48
DEADLY = 0.41  # seconds of audio


class Lengths:
    """Each waveform's length, twice; some wishes are granted before that."""

    device = "cpu"

    def __init__(
        self, deadly: float = -1.0, once: str = "", needs: float = 0.0
    ) -> None:
        self.deadly, self.once, self.needs = deadly, once, needs
        self.spec = FeatureSpec("lengths", {}, 2, (0,), "float32", 0.02)

    def bytes_needed(self, seconds: float) -> float:
        return self.needs * seconds

    def __call__(self, waveforms: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        for waveform in waveforms:
            if len(waveform) == int(self.deadly * 16_000) and not (
                self.once and Path(self.once).exists()
            ):
                if self.once:
                    Path(self.once).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return [np.full((1, 3, 2), len(w), np.float32) for w in waveforms]


class Told(Recipe):
    """A recipe for an extractor of this file."""

    def load(self) -> Extractor:
        name = self.options.encoder or ""
        return Lengths(
            DEADLY if "deadly" in name else -1.0, self.options.revision or ""
        )


def job(cache: Cache, extractor: Lengths, deadly: str = "", once: str = "") -> Job:
    recipe = Told("lengths", Options(encoder=deadly, revision=once), "")
    return Job(cache, extractor, cache.manifest("mine").rows, recipe)


@pytest.fixture(name="cache")
def made(tmp_path: Path) -> Cache:
    """Make a cache of 48 utterances without this feature."""
    assert extract(corpus(tmp_path / "a", 12, 0.4), tmp_path / "c") == 0
    return Cache(tmp_path / "c")


def lengths_of(cache: Cache) -> dict[str, float]:
    view = Cache(cache.folder).view("mine").require(["lengths"])
    firsts = [float(view.frames("lengths", i, [0])[0, 0, 0]) for i in range(len(view))]
    return dict(zip(view.ids, firsts, strict=True))


def test_workers_give_what_this_process_gives(cache: Cache, tmp_path: Path) -> None:
    expected = cache.manifest("mine").rows.set_index("id")["duration"] * 16_000

    with cache.lock():
        [outcome] = _engine.run_all(cache, [job(cache, Lengths())], workers=2)

    assert (outcome.n_new, outcome.n_before, dict(outcome.failed)) == (N, 0, {})
    assert lengths_of(cache) == expected.round().to_dict()
    with cache.lock():
        [again] = _engine.run_all(cache, [job(cache, Lengths())], workers=2)
    assert (again.n_new, again.n_before) == (0, N)


def test_an_utterance_that_kills_its_process_is_a_row_with_its_reason(
    cache: Cache,
) -> None:
    with cache.lock():
        [outcome] = _engine.run_all(cache, [job(cache, Lengths(), "deadly")], 2)

    [(name, why)] = outcome.failed.items()
    assert name == "mine/0-happy.wav"
    assert "died" in why
    assert outcome.n_new == N - 1
    assert len(lengths_of(cache)) == N - 1


def test_a_worker_killed_from_outside_loses_nothing(
    cache: Cache, tmp_path: Path
) -> None:
    once = str(tmp_path / "killed")

    with cache.lock():
        [outcome] = _engine.run_all(cache, [job(cache, Lengths(), "deadly", once)], 2)

    assert Path(once).exists()
    assert (outcome.n_new, dict(outcome.failed)) == (N, {})


def test_what_cannot_fit_into_memory_is_a_row_with_its_reason(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 10**9)
    needs = 0.8 * 10**9 / 0.9  # bytes for a second of audio

    with cache.lock():
        one = job(cache, Lengths(needs=needs))
        [outcome] = _engine.run_all(cache, [one], workers=1)

    assert sorted(outcome.failed) == sorted(
        item.id for item in one.todo if item.duration > 0.9
    )
    assert 0 < len(outcome.failed) < N
    for why in outcome.failed.values():
        assert "do not fit into the memory there is (about" in why
    again = Job(Cache(cache.folder), Lengths(), cache.manifest("mine").rows)
    assert len(again.todo) == len(outcome.failed)  # tried again, on a larger machine


def test_what_is_too_large_to_share_memory_is_made_alone(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = []
    monkeypatch.setattr(memory, "available", lambda: 10**11)
    monkeypatch.setattr(
        _engine._workers, "run", lambda tasks, n, told: shared.extend(tasks)
    )
    needs = 0.8 * 10**11 / 2 / 0.9

    with cache.lock():
        one = job(cache, Lengths(needs=needs))
        _engine.run_all(cache, [one], workers=2)

    told = [item.duration for task in shared for item in task.items]
    assert max(told) <= 0.9
    assert len(lengths_of_places(cache)) == N - len(told) > 0


def lengths_of_places(cache: Cache) -> list[str]:
    stores = Cache(cache.folder).stores
    return [k for s in stores if s.spec.name == "lengths" for k in s.places]


class Greedy(Lengths):
    """Runs out of memory with several waveforms, and always with a long one."""

    def __call__(self, waveforms: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        if len(waveforms) > 1 or len(waveforms[0]) > 0.9 * 16_000:
            msg = "[enforce fail] DefaultCPUAllocator: can't allocate memory: 1 bytes"
            raise RuntimeError(msg)
        return super().__call__(waveforms)


def test_where_memory_runs_out_each_waveform_gets_its_own_chance(cache: Cache) -> None:
    with cache.lock():
        outcome = _engine.run(cache, Greedy(), cache.manifest("mine").rows)

    assert 0 < len(outcome.failed) < N
    assert all("do not fit into the memory" in w for w in outcome.failed.values())


def test_other_errors_of_an_extractor_are_not_hidden(cache: Cache) -> None:
    class Wrong(Lengths):
        def __call__(self, waveforms: Sequence[NDArray[Any]]) -> Any:
            msg = "shapes do not fit"
            raise RuntimeError(msg)

    with cache.lock(), pytest.raises(RuntimeError, match="shapes"):
        _engine.run(cache, Wrong(), cache.manifest("mine").rows)


def test_processes_are_started_only_where_that_pays(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = job(cache, Lengths())
    plans = [(one, 9 * one.todo)]
    monkeypatch.setattr(_engine.joblib, "cpu_count", lambda: 8)
    monkeypatch.setattr(memory, "available", lambda: 10**12)
    monkeypatch.setattr(_engine, "POOL_PAYS", 1e6)

    assert _engine.choose_workers(plans, None) == 1  # little audio
    monkeypatch.setattr(_engine, "POOL_PAYS", 10.0)
    monkeypatch.setattr(_probe, "audio_per_second", lambda *_: 1e6)
    assert _engine.choose_workers(plans, None) == 1  # much audio, quickly done
    monkeypatch.setattr(_probe, "audio_per_second", lambda *_: 0.5)
    assert _engine.choose_workers(plans, None) == 8
    assert _engine.choose_workers([(one, one.todo[:32])], None) == 1  # one shard
    monkeypatch.setattr(memory, "available", lambda: 4 * 10**9)
    assert _engine.choose_workers(plans, None) == 2
    assert _engine.choose_workers(plans, 1) == 1
    one.recipe = None
    assert _engine.choose_workers(plans, 5) == 1


def test_a_recipe_that_no_longer_gives_the_same_is_refused(tmp_path: Path) -> None:
    recipe = Recipe("mfcc", Options(), "0" * 64)

    with pytest.raises(Exception, match="mfcc were changed while this ran"):
        recipe.load()


def _children(pid: int) -> list[int]:
    done = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    below = [int(word) for word in done.stdout.split()]
    return below + [leaf for child in below for leaf in _children(child)]


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_workers_end_with_the_process_that_started_them(
    how: signal.Signals, tmp_path: Path
) -> None:
    root = corpus(tmp_path / "a", n_speakers=40, seconds=0.5)
    process = subprocess.Popen(
        [
            *(sys.executable, "pipeline.py", "extract", "--corpus", "mine", "--root"),
            *(str(root), "--cache", str(tmp_path / "c"), "--workers", "2"),
            *("--feature", "egemaps"),
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    workers: list[int] = []
    while len(workers) < 4 and time.monotonic() < deadline and process.poll() is None:
        workers = _children(process.pid)  # tracker, fork server and two workers
        time.sleep(0.05)
    assert len(workers) >= 4

    process.send_signal(how)
    _, said = process.communicate(timeout=120)

    while any(map(_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, workers))
    assert "Traceback" not in said
    with Cache(tmp_path / "c").lock():
        pass  # nobody holds it


def test_one_command_makes_features_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a", n_speakers=3)
    options = ("--feature", "mfcc", "wav2vec2", "--encoder", "demo", "--device", "cpu")

    assert extract(root, tmp_path / "one", *options, "--workers", "1") == 0
    assert extract(root, tmp_path / "two", *options, "--workers", "2") == 0

    one, two = (Cache(tmp_path / name).view("mine") for name in ("one", "two"))
    np.testing.assert_array_equal(one.table("mfcc"), two.table("mfcc"))
    for row in range(len(one)):
        a, b = (v.frames("wav2vec2", row, range(13)) for v in (one, two))
        np.testing.assert_allclose(
            a.astype(np.float32), b.astype(np.float32), rtol=2**-10, atol=2**-14
        )


def test_what_is_pooled_alone_is_not_made_beside_its_frames(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a", n_speakers=1)
    options = ("--feature", "wav2vec2", "--encoder", "demo")

    assert extract(root, tmp_path / "p", *options, "--store", "pooled") == 0
    assert extract(root, tmp_path / "f", *options) == 0
    capsys.readouterr()
    assert extract(root, tmp_path / "f", *options, "--store", "pooled") == 0

    assert "holds what is pooled already" in capsys.readouterr().out
    pooled, frames = (Cache(tmp_path / name).view("mine") for name in ("p", "f"))
    assert len(Cache(tmp_path / "f").stores) == 1
    np.testing.assert_array_equal(pooled.pooled("wav2vec2"), frames.pooled("wav2vec2"))
    np.testing.assert_array_equal(
        pooled.n_frames("wav2vec2"), frames.n_frames("wav2vec2")
    )
    size = [
        sum(
            p.stat().st_size
            for p in (tmp_path / n / "features").rglob("wav2vec2*/*.h5")
        )
        for n in "pf"
    ]
    assert size[0] < size[1]


def test_a_dry_run_says_what_it_takes_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from extract import _estimate

    monkeypatch.setattr(_estimate, "PROBE_SECONDS", 0.05)
    root = corpus(tmp_path / "a")

    options = ("--feature", "mfcc", "wav2vec2", "--encoder", "demo", "--dry-run")
    assert extract(root, tmp_path / "c", *options) == 0

    said = capsys.readouterr().out
    assert not (tmp_path / "c").exists()
    assert said.count("12 utterances, 0.00 hours to do, 0 are there") == 2
    for way in ("--store pooled", "--dtype float32", "one layer of it (--layers 12)"):
        assert way in said
    assert "s of audio per second in a trial of" in said


def test_the_estimate_of_bytes_is_what_is_written(tmp_path: Path) -> None:
    root = corpus(tmp_path / "a")
    for store in ("frames", "pooled"):
        folder = tmp_path / store
        options = ("--feature", "wav2vec2", "--encoder", "demo", "--store", store)
        assert extract(root, folder, *options) == 0
        cache = Cache(folder)
        [made] = cache.stores
        todo = _plan.items(cache.manifest("mine").rows)
        written = sum(path.stat().st_size for path in made.folder.glob("*.h5"))
        estimate = _plan.stored_bytes(made.spec, todo)
        assert 0.9 * estimate < written < 1.1 * estimate + 16_000


def test_the_probe_tries_for_as_long_as_it_is_told() -> None:
    calls = []

    class Counting(Lengths):
        def __call__(self, waveforms: Sequence[NDArray[Any]]) -> Any:
            calls.append(len(waveforms))
            time.sleep(0.01)
            return super().__call__(waveforms)

    items = [_plan.Item(str(i), "", "", None, None, 2.0) for i in range(9)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_probe, "_hear", lambda item: np.zeros(32_000))
        speed = _probe.audio_per_second(Counting(), items, 0.1)

    assert 5 <= len(calls) <= 12
    assert set(calls) == {1, 8}
    assert 200 < speed < 1800


def test_stage_names_the_features_that_cannot_be_had(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c")
    assert extract(corpus(tmp_path / "a"), cache.folder) == 0
    rows = cache.manifest("mine").rows

    jobs, faults = _stage.prepare(
        cache, rows, ["mfcc", "wav2vec2"], Options(encoder=str(tmp_path / "none"))
    )

    assert [job.spec.name for job in jobs] == ["mfcc"]
    assert [name for name, _ in faults] == ["wav2vec2"]


def test_a_long_utterance_in_a_process_without_memory_is_a_reason() -> None:
    code = """
import resource
import numpy as np
from contracts.extraction import Options
from contracts.errors import ExtractionError
from contracts.feature import FeatureSpec
from extract import _work, wav2vec2
from extract._plan import Item
feature = wav2vec2.load(Options(encoder="demo", device="cpu"))
rng = np.random.default_rng(0)
waves = [rng.standard_normal(n).astype(np.float32) for n in (16_000, 16_000 * 400)]
feature(waves[:1])
used = [l for l in open("/proc/self/status") if l.startswith("VmSize")]
limit = int(used[0].split()[1]) * 1024 + 2**26
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
items = [Item(str(i), "", "", None, None, 1.0) for i in range(2)]
blocks, failed = _work.compute(feature, items, waves)
print(sorted(blocks), failed)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith("['0'] {'1': '400 s of audio do not fit into")


def test_nothing_too_large_is_tried_before_it_is_refused(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    class Counting(Lengths):
        def __call__(self, waveforms: Sequence[NDArray[Any]]) -> Any:
            tried.extend(map(len, waveforms))
            return super().__call__(waveforms)

    monkeypatch.setattr(_engine, "POOL_PAYS", 1.0)
    monkeypatch.setattr(memory, "available", lambda: 10**9)
    one = job(cache, Counting(needs=0.8 * 10**9 / 0.9))

    with cache.lock():
        [outcome] = _engine.run_all(cache, [one])

    assert outcome.failed
    assert tried
    assert max(tried) <= 0.9 * 16_000


def test_a_trial_hears_no_more_than_ten_seconds(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(16_000 * 30), 16_000)
    items = [_plan.Item("k", "", str(tmp_path / "long.wav"), None, None, 30.0)]
    heard: list[int] = []

    class Counting(Lengths):
        def __call__(self, waveforms: Sequence[NDArray[Any]]) -> Any:
            heard.extend(map(len, waveforms))
            return super().__call__(waveforms)

    _probe.audio_per_second(Counting(), items)

    assert heard == [160_000, 160_000]


@pytest.mark.parametrize("version", [1, 2])
def test_pages_of_files_are_no_memory_that_is_taken(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, limit, used, files = memory._GROUPS[2 - version]
    (tmp_path / limit).write_text(f"{3 * 2**20}\n")
    (tmp_path / used).write_text(f"{3 * 2**20 - 10}\n")
    told = "".join(f"{name} {2**20}\n" for name in files)
    (tmp_path / "memory.stat").write_text(f"cache 7\n{told}")
    groups = [(str(tmp_path), limit, used, files)]
    monkeypatch.setattr(memory, "_GROUPS", groups)

    assert memory.available() == 2 * 2**20 + 10
    (tmp_path / limit).write_text("max\n")
    assert memory.available() > 10**8


def test_workers_that_cannot_start_are_one_sentence(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_workers, "_begin", _die)

    with cache.lock(), pytest.raises(ExtractionError, match="--workers 1"):
        _engine.run_all(cache, [job(cache, Lengths())], 2)

    assert not lengths_of_places(cache)


def _die(_reader: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_may_die_while_nobody_looks(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered = Job.enter

    def slow(own: Job, *told: Any) -> None:
        entered(own, *told)
        time.sleep(1.0)

    monkeypatch.setattr(Job, "enter", slow)
    monkeypatch.setattr(_plan, "_SHARD", {False: (4, 240.0), True: (4, 240.0)})

    with cache.lock():
        [outcome] = _engine.run_all(cache, [job(cache, Lengths(), "deadly")], 2)

    assert list(outcome.failed) == ["mine/0-happy.wav"]
    assert outcome.n_new == N - 1
