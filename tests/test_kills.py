"""Extractions killed at random moments lose nothing that was committed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests import killing
from tests.test_extract import ROOT

# as workers have it: products of several threads are rounded in another order
ALONE = os.environ | {"OMP_NUM_THREADS": "1"}
N = 224  # utterances: two shards of a table, seven of frames


@pytest.fixture(scope="module", name="folder")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a corpus, and a cache of it that nobody disturbed."""
    folder = tmp_path_factory.mktemp("kills")
    audio = folder / "audio"
    audio.mkdir()
    rng = np.random.default_rng(0)
    lines = ["file,speaker,emotion"]
    for i in range(N):
        wave = 0.1 * rng.standard_normal(int(16_000 * rng.uniform(0.3, 0.8)))
        soundfile.write(audio / f"{i}.wav", wave, 16_000)
        lines.append(f"{i}.wav,{i % 8},{('happy', 'sad')[i % 2]}")
    (audio / "labels.csv").write_text("\n".join(lines))
    words = killing.command(folder, folder / "whole", 1)
    subprocess.run(
        [sys.executable, "pipeline.py", *words], cwd=ROOT, env=ALONE, check=True
    )
    return folder


def kill(folder: Path, kills: int, seed: int, *more: str) -> dict[str, int]:
    """Run a trial and return its counts."""
    words = [sys.executable, "-m", "tests.killing", str(folder), str(kills), str(seed)]
    done = subprocess.run(
        [*words, *more],
        cwd=ROOT,
        env=ALONE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return told


def assert_nothing_lost(told: dict[str, int], kills: int, workers: int) -> None:
    assert told["kills"] == kills
    assert told["finished"] >= 1
    assert told["begun"] >= 9 * told["finished"]  # shards were counted
    assert told["redone"] <= workers * kills
    wrong = {k: told[k] for k in ("unreadable", "lost", "changed")}
    assert wrong == dict.fromkeys(wrong, 0)


def test_kills_of_the_process(folder: Path) -> None:
    assert_nothing_lost(kill(folder, 5, 1), 5, 1)


@pytest.mark.slow
def test_kills_of_the_whole_group_with_workers(folder: Path) -> None:
    told = kill(folder, 1, 2, "--group", "--workers", "2")

    assert_nothing_lost(told, 1, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kills", "seed", "more"),
    [
        (140, 3, ()),
        (30, 4, ("--workers", "2")),
        (30, 5, ("--group", "--workers", "2")),
    ],
    ids=["process", "parent of workers", "group with workers"],
)
def test_two_hundred_kills(
    kills: int, seed: int, more: tuple[str, ...], folder: Path
) -> None:
    told = kill(folder, kills, seed, *more)

    print(more, told)  # noqa: T201 - shown by -s, for README
    assert_nothing_lost(told, kills, 2 if more else 1)
