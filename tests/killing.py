"""Kill extractions at random moments, and look at what they leave behind.

Run as a process of its own, which loads the libraries once and forks each extraction:
``python -m tests.killing FOLDER KILLS SEED [--group] [--workers N]``. Prints one JSON
line of counts. The corpus and an undisturbed cache lie in FOLDER already.
"""

import argparse
import json
import os
import random
import signal
import time
import zlib
from pathlib import Path

import torch
import transformers  # noqa: F401

import pipeline
from contracts import integrity
from contracts.cache import Cache
from extract import _encoder, _stage, _workers, mfcc, wav2vec2  # noqa: F401
from tests import counting  # noqa: F401

FEATURES = ("mfcc", "wav2vec2")


def command(folder: Path, cache: Path, workers: int) -> list[str]:
    """Return the extraction that is killed."""
    return [
        *("extract", "--corpus", "mine", "--root", str(folder / "audio")),
        *("--cache", str(cache), "--feature", *FEATURES, "--encoder", "demo"),
        *("--device", "cpu", "--workers", str(workers)),
    ]


def start(words: list[str]) -> int:
    """Fork a process that leads a group of its own and extracts; return its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        torch.set_num_threads(1)
        code = pipeline.main(words)
    finally:
        os._exit(code)


def blocks(folder: Path) -> dict[str, int]:
    """Read every block of a cache: name -> its CRC.

    Raises:
        CacheError: if anything in it cannot be read
    """
    out = {}
    for store in Cache(folder).stores if folder.exists() else []:
        for key in store.places:
            if store.spec.is_table:
                numbers = store.table([key]).tobytes()
            else:
                numbers = store.frames(key, store.spec.layers).tobytes()
                numbers += store.pooled([key], store.spec.layers).tobytes()
            out[f"{store.spec.name} {key}"] = zlib.crc32(numbers)
    return out


def faults(folder: Path) -> int:
    """Count what ``cache verify`` would complain of."""
    features = sorted((folder / "features").glob("*/"))
    states = [integrity.check_feature(path) for path in features]
    return sum(len(list(state.all_faults())) for state in states)


def again(log: Path) -> tuple[int, int]:
    """Return how many shards were begun more than once, and how many were begun."""
    lines = log.read_text().splitlines() if log.exists() else []
    return len(lines) - len(set(lines)), len(lines)


class Trial:
    """One cache after the other, killed and looked at, with counts of what was seen."""

    def __init__(self, folder: Path, seed: int, workers: int, group: bool) -> None:
        self.folder, self.seed = folder, seed
        self.workers, self.group = workers, group
        self.random = random.Random(seed)
        self.undisturbed = blocks(folder / "whole")
        self.told = dict.fromkeys(
            ["kills", "finished", "unreadable", "lost", "changed", "begun", "redone"], 0
        )
        self.took = 1.0
        self.next()

    def next(self) -> None:
        """Begin a cache."""
        name = f"killed-{self.seed}-{self.told['finished']}"
        self.cache = self.folder / name
        self.log = self.folder / f"{name}.log"
        os.environ["COUNTED"] = str(self.log)
        self.before: dict[str, int] = {}

    def start(self) -> int:
        """Start an extraction into the present cache."""
        return start(command(self.folder, self.cache, self.workers))

    def measure(self) -> None:
        """Let one cache be made undisturbed, to know how long its work takes."""
        child = self.start()
        if not self.wait_for_work(child, self.begun()):
            msg = "the extraction ended before it did anything"
            raise RuntimeError(msg)
        begun = time.monotonic()
        os.waitpid(child, 0)
        self.took = time.monotonic() - begun

    def begun(self) -> int:
        """Return how many bytes tell of shards that were begun."""
        return self.log.stat().st_size if self.log.exists() else 0

    def wait_for_work(self, child: int, before: int) -> bool:
        """Wait until the first shard is begun; tell whether there was one."""
        while self.begun() == before:
            if os.waitpid(child, os.WNOHANG)[0]:
                return False
            time.sleep(0.002)
        return True

    def kill_once(self) -> None:
        """Let it run for a while, then kill it, if it has not ended before.

        One in five is killed while it starts, the others while they work.
        """
        child = self.start()
        starts = self.random.random() < 0.2
        if not starts and not self.wait_for_work(child, self.begun()):
            return
        span = 2.0 if starts else self.took
        deadline = time.monotonic() + self.random.uniform(0.0, span)
        while time.monotonic() < deadline:
            if os.waitpid(child, os.WNOHANG)[0]:
                return
            time.sleep(0.002)
        (os.killpg if self.group else os.kill)(child, signal.SIGKILL)
        os.waitpid(child, 0)
        self.told["kills"] += 1
        if self.workers > 1 and not self.group:
            time.sleep(0.5)  # workers see that they are alone, and end

    def look(self) -> None:
        """Count what is wrong with the cache; begin another if this one is done."""
        try:
            after = blocks(self.cache)
            self.told["unreadable"] += int(faults(self.cache) > 0)
        except Exception:  # noqa: BLE001 - whatever it is, it is counted
            self.told["unreadable"] += 1
            return
        both = self.before.keys() & after.keys()
        self.told["lost"] += len(self.before) - len(both)
        self.told["changed"] += sum(after[k] != self.before[k] for k in both)
        self.before = after
        if after.keys() == self.undisturbed.keys():
            self.finish()

    def finish(self) -> None:
        """Compare a cache that is done with the undisturbed one."""
        same = sum(self.before[k] != v for k, v in self.undisturbed.items())
        redone, begun = again(self.log)
        self.told["changed"] += same
        self.told["finished"] += 1
        self.told["redone"] += redone
        self.told["begun"] += begun
        self.next()


def main() -> None:
    """Kill so many times, then let the last cache be finished."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("kills", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("--group", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    _workers._PRELOADED = (*_workers._PRELOADED, "tests.counting")
    trial = Trial(chosen.folder, chosen.seed, chosen.workers, chosen.group)
    trial.measure()
    trial.look()
    while trial.told["kills"] < chosen.kills:
        trial.kill_once()
        trial.look()
    finished = trial.told["finished"]
    os.waitpid(trial.start(), 0)
    trial.look()
    if trial.told["finished"] == finished:
        trial.told["lost"] += len(trial.undisturbed) - len(trial.before)
    print(json.dumps(trial.told))  # noqa: T201


if __name__ == "__main__":
    main()
