"""Heads on a GPU, against plain loops there, and how much of the time it computes.

`vgg` and `fusion`: steps of 25 utterances of 263 frames. Ours is what ``fit`` runs, in
mixed precision and with deterministic kernels, with frames that stay on the GPU as the
cache stores them; plain is the same network in float32, as torch does it (convolutions
in TF32), on a batch that is there already (``bench/baselines/nchw.py``).

`pepino`: five folds by five seeds in one pass, against our own fits in turn and the
plain loop of ``bench.pepino``, which sends each padded batch of files there.

The share in kernels is the time of all kernels, as torch's profiler counts them in one
run, copies from memory to memory left out, by the clock of another run without it. That
of `pepino` holds making its arrays and sending the frames, once for four epochs.
"""

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from bench import _vgg_steps as steps
from bench._machine import Watch, facts
from bench._pepino_fits import Fits, put
from bench._timing import Contender, Result, alternate, amounts, table
from bench.baselines import loader
from bench.baselines.nchw import Training
from bench.gpu import _name, _wait
from bench.reading import CHANNELS, LAYERS, _arrays
from models._device import drawing

OURS, PLAIN = "{}, ours", "{}, plain, float32"
LOADER, TURN, JOINT = "DataLoader", "ours, fits in turn", "ours, {} fits jointly"
STEPS = 20  # of which the share in kernels is told


def run(
    rounds: int = 7,
    sizes: steps.Sizes = (25, 12, 263, 768),
    heads: Sequence[str] = ("vgg", "fusion"),
    n: int = 320,
    shape: tuple[int, int] = (LAYERS, CHANNELS),
    seeds: int = 5,
    device: str | None = None,
) -> Result:
    """Measure; without a GPU say so.

    Args:
        rounds: alternations
        sizes: utterances of a batch, layers, frames, channels of ``heads``
        heads: which, beside pepino
        n: utterances of pepino; 20 or more, so that each fold has some of all parts
        shape: layers and channels of pepino
        seeds: fits of each fold of pepino
        device: None: the GPU
    """
    if device is None and not torch.cuda.is_available():
        return Result(remarks=["not measured: torch sees no GPU here"])
    where = torch.device(device or "cuda")
    found = []
    with Watch() as watch:
        with steps.batch(sizes) as folder:
            found += [_steps(folder, name, sizes, rounds, where) for name in heads]
        found.append(_fits(n, shape, seeds, rounds, where))
    tables, remarks = zip(*found, strict=True)
    about = facts("torch", "numpy") | {"GPU": _name(where)}
    return Result(tables, remarks, about | watch.facts())


def _steps(
    folder: Path, name: str, sizes: steps.Sizes, rounds: int, device: torch.device
) -> tuple[dict[str, Any], str]:
    """Compare steps of a head, and say how long the GPU computes in them."""
    n, _, frames, _ = sizes
    n_functionals = steps.FUNCTIONALS if name == "fusion" else 0
    plain = Training(sizes, n_functionals, device=device)
    ours = steps.Ours(steps.whole(folder, n), name, {}, device.type)
    contenders = [
        Contender(called.format(name), partial(_waited, one.step, device), float(n))
        for called, one in ((PLAIN, plain), (OURS, ours))
    ]
    with drawing(0):  # whose kernels are those of a fit
        taken = alternate(contenders, rounds)
    title = f"{name} on {_name(device)}: steps of {n} utterances of {frames} frames"
    each = f"s per step of {n}", float(n)
    own = OURS.format(name)
    told = table(title, "utterances/s", taken, amounts(contenders), own, each)

    def several() -> None:
        with drawing(0):
            for _ in range(STEPS):
                ours.step()

    return told, _in_kernels(own, several, device)


def _fits(
    n: int, shape: tuple[int, int], seeds: int, rounds: int, device: torch.device
) -> tuple[dict[str, Any], str]:
    """Compare fits of pepino, and say how long the GPU computes in those together."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        arrays = list(_arrays(n, *shape))
        (files := Path(folder) / "files").mkdir()
        view, paths = put(Path(folder) / "cache", arrays), loader.write(files, arrays)
        fits = Fits(view, paths, device)
        tasks, few = fits.tasks(seeds), fits.tasks(1)
        jointly = JOINT.format(len(tasks))
        works: list[tuple[str, Callable[[], None], Any]] = [
            (LOADER, fits.plain, few[:1]),
            (TURN, partial(fits.turn, few), few),
            (jointly, partial(fits.ours, tasks), tasks),
        ]
        contenders = [
            Contender(name, partial(_waited, work, device), fits.learnt(of))
            for name, work, of in works
        ]
        taken = alternate(contenders, rounds)
        title, each = f"pepino on {_name(device)}", ("ms per utterance and fit", 1000.0)
        unit, done = "utterances x fits/s", amounts(contenders)
        told = table(title, unit, taken, done, jointly, each)
        return told, _in_kernels(f"pepino, {jointly}", works[-1][1], device)


def _waited(work: Callable[[], object], device: torch.device) -> None:
    work()
    _wait(device)


def _in_kernels(name: str, work: Callable[[], object], device: torch.device) -> str:
    """Say in which share of the time the device computes.

    On a CPU, where there are no kernels: in which share torch's operations are at work.
    """
    gpu = device.type == "cuda"
    kind = ProfilerActivity.CUDA if gpu else ProfilerActivity.CPU
    began = time.perf_counter()
    _waited(work, device)
    seconds = time.perf_counter() - began
    with profile(activities=[kind]) as told:
        _waited(work, device)
    share = busy(told.key_averages(), kind.name) / seconds
    return f"{name}: {100 * share:.0f} % of {seconds:.3g} s in kernels"


def busy(events: Iterable[Any], kind: str) -> float:
    """Return the seconds that a device was at work, copies left out.

    Args:
        events: as torch's profiler tells them, those of one name together
        kind: of device, ``CUDA`` or ``CPU``
    """
    whose = "self_device_time_total" if kind == "CUDA" else "self_cpu_time_total"
    micro = sum(
        getattr(one, whose)
        for one in events
        if one.device_type.name == kind
        and not one.key.startswith("Memcpy")
        and not one.is_user_annotation
    )
    return float(micro) / 1e6
