"""Steps of vgg and fusion on a CPU, against the same networks as a script has them.

Batches of 25 utterances of 263 frames, 12 layers of 768 channels, the sizes that were
published: forward, backward and Adam, all threads that there are.

- Ours is what ``fit`` runs: it reads float16 from the cache, puts utterances behind
  one another with the maps last in memory, and keeps the memory that a step takes.
- Plain is torch's modules in a row, maps as they come (NCHW), the C library handing
  memory out as it does unless told otherwise, in a process of its own whose
  environment has no word on memory or threads (``bench/baselines/nchw.py``). Its batch
  is ready in memory as float32: it reads nothing.
- Plain with channels_last tells what the order in memory gains by itself.

Beside them **other networks**, which hear fewer frames and have fewer parameters: they
take less time because they do less, and nothing stands in for the published one
(``models/_trunk_head.py``).

In a fit one step follows another: before each step that is timed, the same contender
takes one that is not, and afterwards ours gives back the memory that it kept.

An epoch is 1140 utterances, what the published fold trains on; judging development
speakers comes on top, and is in nobody's time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from bench import _vgg_steps as steps
from bench._epochs import EPOCH
from bench._machine import Watch, cores, facts
from bench._timing import Contender, Result, alternate, amounts, table

OURS = "{}, ours"
PLAIN, LAST = "{}, plain NCHW", "{}, plain channels_last"
OTHER = "other network: {} of {}"
VARIANTS: tuple[Mapping[str, int], ...] = (
    {"max_frames": 184},
    {"max_frames": 131},
    {"frame_stride": 2},
)


def run(
    rounds: int = 7,
    sizes: steps.Sizes = (25, 12, 263, 768),
    heads: Sequence[str] = ("vgg", "fusion"),
    variants: Sequence[Mapping[str, int]] = VARIANTS,
    n_threads: int | None = None,
) -> Result:
    """Measure.

    Args:
        rounds: alternations
        sizes: utterances of a batch, layers, frames, channels
        heads: which
        variants: options that make other networks, of the first head
        n_threads: of each process; None: one for each core
    """
    tables, n_threads = [], n_threads or cores()
    with steps.batch(sizes) as folder, steps.processes() as (ours, plain):
        with Watch() as watch:
            for name in heads:
                contenders = _plain(plain, name, sizes, n_threads)
                asked = [{}, *(variants if name == heads[0] else ())]
                for options in asked:
                    contender = OTHER.format(name, _words(options)) if options else ""
                    contender = contender or OURS.format(name)
                    work = folder, sizes[0], name, options
                    ours.submit(steps.prepare_ours, contender, *work).result()
                    one = _contender(ours, contender, sizes[0], n_threads)
                    contenders.append(replace(one, after=partial(_release, ours)))
                tables.append(_measure(contenders, name, sizes, rounds))
        held = [one.submit(steps.peak).result() for one in (ours, plain)]
    remarks = [_epochs(one) for one in tables]
    both = zip(("ours", "plain"), held, strict=True)
    told = {f"memory, {name}": f"{one['GiB']:.1f} GiB at most" for name, one in both}
    told |= {"plain is tuned by": ", ".join(held[1]["tuned"]) or "nothing"}
    told |= {"threads": str(n_threads)}
    return Result(tables, remarks, facts("torch", "numpy") | told | watch.facts())


def _plain(
    process: Any, name: str, sizes: steps.Sizes, n_threads: int
) -> list[Contender]:
    """Make the plain networks ready in their process."""
    n_functionals = steps.FUNCTIONALS if name == "fusion" else 0
    out = []
    for title, last in ((PLAIN, False), (LAST, True)):
        contender = title.format(name)
        told = sizes, n_functionals, last
        process.submit(steps.prepare_plain, contender, *told).result()
        out.append(_contender(process, contender, sizes[0], n_threads))
    return out


def _contender(process: Any, name: str, n: int, n_threads: int) -> Contender:
    def take() -> float:
        loss: float = process.submit(steps.step, name, n_threads).result()
        return loss

    return Contender(name, take, float(n), before=take)


def _release(process: Any) -> None:
    process.submit(steps.release).result()


def _words(options: Mapping[str, int]) -> str:
    return ", ".join(f"{key}={value}" for key, value in options.items())


def _measure(
    contenders: Sequence[Contender], name: str, sizes: steps.Sizes, rounds: int
) -> dict[str, Any]:
    taken = alternate(contenders, rounds)
    n, _, frames, _ = sizes
    title = f"{name}: steps of {n} utterances of {frames} frames"
    each = f"s per step of {n}", float(n)
    ours = OURS.format(name)
    return table(title, "utterances/s", taken, amounts(contenders), ours, each)


def _epochs(told: Mapping[str, Any]) -> str:
    """Say what an epoch takes."""
    parts = []
    for row in told["rows"]:
        low, middle, high = (
            EPOCH / row[key] for key in ("rate_max", "rate", "rate_min")
        )
        parts.append(f"{row['contender']} {middle:.0f} s ({low:.0f} to {high:.0f})")
    return f"An epoch of {EPOCH} utterances takes: {'; '.join(parts)}"
