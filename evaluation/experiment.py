"""The experiment: heads over the folds of a protocol, each fold saved as it ends."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from contracts.errors import RunError, listing
from contracts.job import Job
from contracts.manifest import manifest_hash
from contracts.run import (
    Run,
    RunWriter,
    command,
    machine,
    read_run,
    versions,
)
from contracts.terminal import progress, say
from contracts.view import View
from contracts.watching import tell_fold
from evaluation._fits import draws, fits, refuse_strangers
from evaluation.prediction_rows import predicted
from evaluation.question import Question
from evaluation.search import Search, choose
from evaluation.settings import needs_dev
from evaluation.splits.conformity import facts
from evaluation.splits.folds import Fold, folds_hash
from evaluation.tempering import After, settle, tempered
from evaluation.thresholds import refuse_voteless
from evaluation.unheard import Unheard, prepared

NOTHING = After()


def settings_of(
    question: Question,
    model: str,
    head: Any,
    seed: int,
    search: Search | None = None,
    after: After = NOTHING,
) -> dict[str, Any]:
    """Collect what a run's identity is made of, and what else its record holds."""
    view, plan = question.view, question.protocol
    specs = [view.spec(feature) for feature in head.features]
    parameters = {k: v for k, v in head.get_params(deep=False).items() if k != "seed"}
    names = ("name", "title", "citation", "note")
    made = view.manifest["variant"][view.manifest["variant"] != ""]
    variants = {str(k): int(n) for k, n in made.value_counts(sort=False).items()}
    return {
        "model": model,
        "settings": _as_json(parameters),
        "corpus": "+".join(view.cards),
        "features": [
            {
                "reference": reference,
                "name": s.name,
                "fingerprint": s.fingerprint,
                "short": s.short,
                "encoder": s.encoder,
                "untrained": s.untrained,
            }
            for reference, s in zip(head.features, specs, strict=True)
        ],
        "labels": dict(question.counts),
        "protocol": {n: getattr(plan, n) for n in names}
        | {"breaks": list(plan.breaks)},
        "seed": seed,
        "partial": question.partial,
        "folds_asked": [f.index for f in question.folds],
        "folds_hash": folds_hash(question.folds),
        "manifest": {
            "hash": manifest_hash(view.manifest),
            "n_utterances": len(view) - sum(variants.values()),
            "n_speakers": len(set(view.speakers)),
        },
        **({"variants": variants} if variants else {}),
        **({"search": _as_json(search.facts)} if search else {}),
        **after.facts,
        "specs": [s.to_json() for s in specs],
        "limited": _as_json(question.limited),
        "incomplete": _as_json(question.incomplete),
        "left_out": [list(x) for x in view.left_out],
        "refused": [list(x) for x in question.refused],
        "conformity": facts(
            *(plan, question.counts["name"], seed, view.speakers),
            question.n_utterances,
        ),
        "versions": versions(),
        "machine": machine(),
        "command": command(),
    }


def _as_json(value: Any) -> Any:
    """Turn tuples into lists, so that what is hashed equals what is read back."""
    if isinstance(value, Mapping):
        return {str(k): _as_json(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_as_json(v) for v in value]
    return value


def run_head(
    question: Question,
    model: str,
    head: Any,
    seeds: Sequence[int],
    runs: Path,
    rerun: bool = False,
    search: Search | None = None,
    after: After = NOTHING,
) -> list[Run]:
    """Fit one head on every fold and seed that is not done yet.

    Args:
        question: utterances and folds
        model: the head's name
        head: unfitted estimator with its settings
        seeds: one run each
        runs: folder of all runs
        rerun: forget finished runs of the same identity
        search: settings to choose in each fold, on its training speakers
        after: what else to choose in each fold, on its training speakers

    Returns:
        one run per seed

    Raises:
        RunError: if the head needs development speakers and a fold has none, or is to
            normalise a test speaker by one utterance, or a threshold is asked for
            where nobody voted
    """
    without = [f.index for f in question.folds if not len(f.dev)]
    if needs_dev(head) and without:
        msg = (
            f"{model} needs development speakers, protocol {question.protocol.name} "
            f"has none in folds {listing(without)}: too few speakers to hold some out. "
            "Choose another protocol, or a head that needs none"
        )
        raise RunError(msg)
    if after.threshold:
        refuse_voteless(question.folds, list(question.view.cards))
    out: dict[int, Run] = {}
    with ExitStack() as ended:
        writers = {}
        for seed in seeds:
            asked = settings_of(question, model, head, seed, search, after)
            writer = RunWriter(runs, asked)
            if writer.finished and not rerun:
                say(f"{writer.run_id}: finished before, not run again (--rerun does)")
                out[seed] = read_run(writer.final)
                continue
            writers[seed] = writer
        if writers:
            refuse_strangers(_predicted(question, head, search, after))
        for writer in writers.values():
            ended.enter_context(writer.begin(rerun))
            if writer.done:
                done = listing(sorted(writer.done))
                say(f"{writer.run_id}: folds {done} are done, going on")
        if len(writers) > 1 and not draws(head):
            say(f"{model} draws nothing: seeds {listing(writers)} are equal fits")
        _fit_all(question, model, head, writers, search, after)
        out |= {seed: writer.finish() for seed, writer in writers.items()}
    return [out[seed] for seed in seeds]


def _predicted(
    question: Question, head: Any, search: Search | None, after: After
) -> Iterator[tuple[Any, View]]:
    """Yield heads, as they may be chosen, and what each is to predict."""
    from sklearn.base import clone

    ways = search.space.get("normalise", ()) if search is not None else ()
    heads = [clone(head).set_params(normalise=way) for way in ways] or [head]
    for one in heads:
        for fold in question.folds:
            yield one, fold.part("test")
            if after:  # chosen on what is said of training speakers
                yield one, fold.part("dev") if needs_dev(head) else fold.refit


def _fit_all(
    question: Question,
    model: str,
    head: Any,
    writers: Mapping[int, RunWriter],
    search: Search | None,
    after: After,
) -> None:
    """Fit every fold and seed that is not done, and keep each as it ends."""
    jobs, searched = [], {}
    for seed, writer in writers.items():
        for job in _jobs(question, head, seed, writer.done):
            if search is not None:
                fold = next(f for f in question.folds if f.index == job.fold)
                folder = writer.search_folder(job.fold)
                found, tried = choose(fold, job.head, search, seed, folder)
                job.head.set_params(**found)
                told = {"searched": {"settings": found, "tried": tried}}
                searched[seed, job.fold] = _as_json(told)
            jobs.append(job)
    folds = {fold.index: fold for fold in question.folds}
    given: dict[tuple[int, int], View | Unheard] = {}
    if after:
        jobs, by = prepared(jobs, folds)
        given = {(j.seed, j.fold): one for j, one in zip(jobs, by, strict=True)}
    with progress(model, len(jobs), "folds") as advance:
        for job, fitted, facts in fits(head, jobs):
            key = job.seed, job.fold
            more = searched.get(key, {}) | facts
            own = settle(fitted, given[key], after) if after else {}
            ready = tempered(fitted, own.get("temperature"))
            _save(writers[job.seed], folds[job.fold], job, ready, more, own)
            advance(1)


def _jobs(
    question: Question, head: Any, seed: int, done: Iterable[int]
) -> Iterator[Job]:
    """Make the jobs of one seed that are still to do."""
    from sklearn.base import clone

    for fold in question.folds:
        if fold.index in done:
            continue
        one = clone(head)
        if "seed" in one.get_params(deep=False):
            one.set_params(seed=seed)
        dev = fold.part("dev") if needs_dev(head) else None
        train = fold.refit if dev is None else fold.part("train")
        yield Job(one, train, dev, fold.part("test"), fold.index, seed)


def _save(
    writer: RunWriter,
    fold: Fold,
    job: Job,
    fitted: Any,
    more: Mapping[str, Any],
    settled: Mapping[str, float],
) -> None:
    facts = fold.facts | dict(more)
    found = dict(more.get("searched", {}).get("settings", {}))
    facts |= {
        "refitted": job.dev is None and bool(len(fold.dev)),
        "learnt": getattr(fitted, "learnt_", {}),
        "chosen": found | getattr(fitted, "chosen_", {}) | dict(settled),
    }
    rows = predicted(job, fitted, fold.index)
    writer.save_fold(facts, rows, getattr(fitted, "history_", []), fitted.save)
    told = {**writer.settings, "run_id": writer.run_id, "folds": [facts]}
    tell_fold(Run(writer.folder, told))
