"""How the jobs of an experiment are fitted: together, in turn, or side by side.

A head that keeps one core busy (``single_core``) has its jobs fitted side by side, one
process on each core, unless all of them are done sooner than processes start. Threads
would wait for Python's lock: two fits of ``layer_probe`` at once took each twice its
time. Libraries get one thread each, also where jobs are fitted in turn, so that a
number does not depend on how many jobs there were or how many cores the machine has.
Jobs end in any order, and each is handed out as it ends.

A head without ``seed`` draws nothing, and neither does one that says so (``draws``):
its fits under several seeds are one fit, made once and handed out for each.
"""

import copy
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from contracts.errors import RunError
from contracts.job import Job
from contracts.view import View

Fitted = tuple[Job, Any, dict[str, Any]]
Group = list[Job]
_WORTH = 6.0  # seconds of work from which on processes are started


def fits(head: Any, jobs: Sequence[Job]) -> Iterator[Fitted]:
    """Fit jobs of one head.

    Args:
        head: says how, see above; is not fitted itself
        jobs: each with an estimator of its own

    Yields:
        job, fitted head, and facts for the record: ``seconds`` of the fit, and
        ``one_fit_for_seeds`` where a fit serves several

    Raises:
        RunError: if a head's library refuses its settings; before anything is fitted,
            if a head is to normalise a speaker to be predicted by one utterance
    """
    refuse_strangers((job.head, job.test) for job in jobs)
    if shares_a_pass(head):
        started = time.perf_counter()
        for job, fitted in type(head).fit_jobs(jobs):
            yield job, fitted, {"seconds": time.perf_counter() - started}
            started = time.perf_counter()
        return
    groups = alike(jobs)
    if goes_beside_others(head):
        yield from _side_by_side(groups)
        return
    for group in groups:
        yield from _shared(group, *_timed(group[0]))


def refuse_strangers(asked: Iterable[tuple[Any, View]]) -> None:
    """Refuse heads that normalise by speaker what has one utterance of a speaker.

    Args:
        asked: heads, and what they are to predict
    """
    by_speaker = [
        (head, view)
        for head, view in asked
        if getattr(head, "normalise", None) == "speaker"
        and hasattr(head, "refuse_strangers")
    ]
    for head, _ in by_speaker[:1]:  # none is fitted, so none knows more than another
        head.refuse_strangers([view for _, view in by_speaker])


def draws(head: Any) -> bool:
    """Whether another seed may give other numbers."""
    has_seed = "seed" in head.get_params(deep=False)
    return has_seed and bool(getattr(head, "draws", True))


def alike(jobs: Sequence[Job]) -> list[Group]:
    """Put jobs together that differ in the seed alone, where nothing is drawn."""
    groups: list[Group] = []
    for job in jobs:
        for group in [] if draws(job.head) else groups:
            if _settings(group[0]) == _settings(job):
                group.append(job)
                break
        else:
            groups.append([job])
    return groups


def _settings(job: Job) -> tuple[int, dict[str, Any]]:
    told = job.head.get_params(deep=False)
    return job.fold, {k: v for k, v in told.items() if k != "seed"}


def shares_a_pass(head: Any) -> bool:
    """Whether jobs of a head are fitted in one pass over their frames."""
    return hasattr(type(head), "fit_jobs")


def goes_beside_others(head: Any) -> bool:
    """Whether a head is bound to one core, and nobody asked for more."""
    asked = head.get_params(deep=False).get("n_jobs")
    return bool(getattr(head, "single_core", False)) and asked in (None, 1)


def _side_by_side(groups: Sequence[Group]) -> Iterator[Fitted]:
    """Fit in turn as long as processes are not worth their start, then in processes."""
    from joblib import Parallel, cpu_count, delayed
    from threadpoolctl import threadpool_limits

    left = list(enumerate(groups))
    with threadpool_limits(1):
        seconds = 0.0
        while left and (seconds * len(left) < _WORTH or len(left) == 1):
            _, group = left.pop(0)
            _, fitted, seconds = _on_one_core(0, group[0])
            yield from _shared(group, fitted, seconds)
        if not left:
            return
        n = min(cpu_count(), len(left))
        work = Parallel(n, return_as="generator_unordered")
        for i, fitted, seconds in work(
            delayed(_on_one_core)(i, replace(g[0], test=g[0].test.take([])))
            for i, g in left
        ):
            yield from _shared(groups[i], fitted, seconds)


def _on_one_core(index: int, job: Job) -> tuple[int, Any, float]:
    """Fit a job with one thread; say again which one it was."""
    from threadpoolctl import threadpool_limits

    asked = job.head.get_params(deep=False)
    with threadpool_limits(1):
        if "n_jobs" not in asked:
            return index, *_timed(job)
        job.head.set_params(n_jobs=1)
        try:
            return index, *_timed(job)
        finally:
            job.head.set_params(n_jobs=asked["n_jobs"])  # the run keeps what was asked


def _timed(job: Job) -> tuple[Any, float]:
    started = time.perf_counter()
    fitted = fit_one(job.head, job.train, job.dev)
    return fitted, time.perf_counter() - started


def fit_one(head: Any, train: View, dev: View | None) -> Any:
    """Fit one head, and return it.

    Raises:
        RunError: if its library refuses its settings
    """
    try:
        return head.fit(train, dev)
    except ValueError as error:
        if not isinstance(error, _refusals()):
            raise
        model = type(head).__module__.rpartition(".")[2]
        why = " ".join(str(error).split()).removesuffix(".")
        msg = (
            f"{model} cannot be fitted with these settings: {why}. Choose others with "
            f"--set {model}.KEY=VALUE"
        )
        raise RunError(msg) from error


def _refusals() -> tuple[type[Exception], ...]:
    """Return what libraries raise at settings that they cannot take."""
    from sklearn.utils._param_validation import InvalidParameterError

    trees = sys.modules.get("xgboost")  # not imported for heads that need none
    more = (trees.core.XGBoostError,) if trees is not None else ()
    return InvalidParameterError, *more


def _shared(group: Group, fitted: Any, seconds: float) -> Iterator[Fitted]:
    """Hand out one fit for each job of a group."""
    facts: dict[str, Any] = {"seconds": seconds}
    if len(group) > 1:
        facts["one_fit_for_seeds"] = [job.seed for job in group]
    for job in group:
        has_seed = "seed" in job.head.get_params(deep=False)
        own = {"seed": job.seed} if has_seed else {}
        yield job, copy.copy(fitted).set_params(**own) if own else fitted, facts
