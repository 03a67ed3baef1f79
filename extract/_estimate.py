"""What an extraction would take, in time and disk, before it is begun."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from contracts.cache import Cache
from contracts.extraction import Options
from contracts.feature import FeatureSpec
from contracts.terminal import count, progress, say, table
from extract import _engine, _plan, _probe, _stage
from extract._engine import Job

PROBE_SECONDS = 10.0


def say_estimate(
    cache: Cache,
    frames: Sequence[pd.DataFrame],
    names: Sequence[str],
    options: Options,
    workers: int | None,
) -> list[tuple[str, str]]:
    """Print what is left to do, what it takes on disk in each way, and how long.

    Returns:
        ``(feature, why)`` for features that cannot be had
    """
    rows = pd.concat(list(frames), ignore_index=True)
    jobs, faults = _stage.prepare(cache, rows, names, options)
    for job in jobs:
        say()
        left = f"{count(len(job.todo), 'utterance')}, {job.seconds / 3600:.2f} hours"
        say(f"{job.spec.describe()}: {left} to do, {job.n_before} are there")
        if job.todo:
            say(_ways(job.spec, _plan.items(rows)))
            for line in _time(job, workers):
                say(line)
    say()
    free = _plan.free_bytes(cache.folder) / 1e9
    say(f"free on the disk of {cache.folder}: {free:.1f} GB")
    say("nothing was written. Leave out --dry-run to begin")
    return faults


def _ways(spec: FeatureSpec, items: Sequence[_plan.Item]) -> str:
    """Lay out what each way of storing a feature takes on disk."""
    ways = [("as asked for", spec)]
    if not spec.is_table:
        last = replace(spec, layers=spec.layers[-1:])
        for dtype in ("float16", "float32"):
            whole = replace(spec, keeps="frames", dtype=dtype)
            ways.append((f"--store frames --dtype {dtype}", whole))
            one = replace(last, keeps="frames", dtype=dtype)
            ways.append((f"  one layer of it (--layers {spec.layers[-1]})", one))
        ways.append(("--store pooled", replace(spec, keeps="pooled")))
    cells = [(name, _size(_plan.stored_bytes(s, items))) for name, s in ways]
    return table(["all utterances, stored", "GB"], cells)


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.4f}" if n_bytes < 1e8 else f"{n_bytes / 1e9:.2f}"


def _time(job: Job, workers: int | None) -> list[str]:
    """Say how long a feature takes here, from a short trial, and what is left out."""
    import torch

    fits, failed = _engine.fitting(job, _engine.free_memory())
    told = [f"{count(len(failed), 'utterance')}: too long for the memory there is"]
    if not fits:
        return told
    threads = torch.get_num_threads()
    if job.can_be_shared:
        torch.set_num_threads(1)  # as a worker has
    with progress(f"{job.spec.name}: trying it", PROBE_SECONDS, "s") as advance:
        speed = _probe.audio_per_second(job.extractor, fits, PROBE_SECONDS)
        advance(PROBE_SECONDS)
    torch.set_num_threads(threads)
    needed = sum(item.duration for item in fits) / speed
    n = _engine.choose_workers([(job, fits)], workers, needed)
    where = "one process" if n == 1 else f"{n} processes"
    line = (
        f"about {_span(needed / n)} on {job.extractor.device} in {where}: "
        f"{n * speed:.1f} s of audio per second in a trial of {PROBE_SECONDS:g} s"
    )
    return [line, *(told if failed else [])]


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
