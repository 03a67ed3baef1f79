"""Settings of a head, chosen on training speakers alone.

Within each fold, and never outside, every candidate is judged by grouped
cross-validation over the fold's training speakers (``evaluation.splits.inner``): each
inner part is predicted by a head fitted on the others, the predictions are pooled, and
the candidate with the highest UAR is taken, the first of equal ones. What was judged
is kept at once, so that a killed search goes on where it stopped.

Heads whose fits share one pass over the frames have candidates fitted together, those
that keep one core busy side by side; all others one after the other.
"""

import ast
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from contracts.errors import PluginError, RunError, listing
from contracts.job import Job
from contracts.run import write_json
from contracts.terminal import Advance, progress
from evaluation._fits import fits, goes_beside_others, shares_a_pass
from evaluation.measures.metrics import Scores, score
from evaluation.settings import needs_dev, refuse_twice, refuse_types, share, value
from evaluation.splits import inner
from evaluation.splits.folds import Fold

KINDS = ("grid", "random", "optuna")
Candidate = dict[str, Any]
Judged = dict[str, Any]  # ``uar``, or ``failed``: why there is none
_FITS = 32  # at most at a time: what a killed search has to do again


@dataclass(frozen=True)
class Search:
    """What is tried.

    Attributes:
        space: setting -> its values, in order
        kind: ``grid``: all; ``random``: some, drawn; ``optuna``: some, each chosen
            after those before (TPE)
        trials: number of candidates per fold; of a grid all
        parts: inner folds
    """

    space: Mapping[str, Sequence[Any]]
    kind: str = "grid"
    trials: int = 20
    parts: int = inner.PARTS

    @property
    def facts(self) -> dict[str, Any]:
        """Return it as JSON, for a run's identity."""
        told: dict[str, Any] = {"kind": self.kind, "parts": self.parts}
        told["space"] = {k: list(v) for k, v in self.space.items()}
        return told | ({} if self.kind == "grid" else {"trials": self.trials})

    @property
    def grid(self) -> list[dict[str, Any]]:
        """List every candidate."""
        every = itertools.product(*self.space.values())
        return [dict(zip(self.space, one, strict=True)) for one in every]


def parse(pairs: Sequence[str]) -> dict[str, list[Any]]:
    """Read ``key=value,value``; values are as those of ``--set``.

    Raises:
        PluginError: if a pair is none, has no value, or a key comes twice
    """
    out: dict[str, list[Any]] = {}
    bad = []
    for pair in pairs:
        key, equals, text = pair.partition("=")
        try:
            values = list(ast.literal_eval(f"[{text}]"))
        except (ValueError, SyntaxError):
            values = [value(part.strip()) for part in text.split(",") if part.strip()]
        if not (key and equals and values):
            bad.append(pair)
        out[key] = values
    if bad:
        msg = (
            f"bad --grid {listing(bad)}: expected key=value,value such as lr=1e-3,1e-4"
        )
        raise PluginError(msg)
    refuse_twice([pair.partition("=")[0] for pair in pairs], "--grid")
    return out


def of_heads(
    heads: Mapping[str, Any], pairs: Sequence[str], kind: str, trials: int
) -> dict[str, Search | None]:
    """Say what is searched for each head, None where nothing is.

    Args:
        heads: name -> unfitted estimator
        pairs: ``key=value,value`` for every head that has it, ``model.key=...`` for one
        kind: one of ``KINDS``
        trials: number of candidates, of random and Optuna's search

    Raises:
        PluginError: if a setting concerns no head, or a value is of another kind
    """
    if trials < 1 or (kind != "grid" and not pairs):
        msg = (
            f"bad --search {kind} with {trials} trials: expected 1 trial or more and "
            "a --grid KEY=V,V to search in"
        )
        raise PluginError(msg)
    classes = {model: type(head) for model, head in heads.items()}
    given = share(classes, parse(pairs))
    out: dict[str, Search | None] = {}
    for model, space in given.items():
        for key, values in space.items():
            for one in values:
                refuse_types(classes, {model: {key: one}})
        out[model] = Search(space, kind, trials) if space else None
    return out


def choose(
    fold: Fold, head: Any, search: Search, seed: int, folder: Path
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Find the settings of one fold.

    Args:
        fold: whose training speakers judge
        head: unfitted estimator
        search: what is tried
        seed: of what is drawn
        folder: keeps what was judged

    Returns:
        the settings chosen, and every candidate with its ``uar`` or why it ``failed``,
        in the order tried

    Raises:
        RunError: if no candidate could be fitted
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = list(inner.parts(fold, search.parts, needs_dev(head)))
    n = len(search.grid) if search.kind == "grid" else search.trials
    what = f"{head.name}, fold {fold.index}: settings"
    with progress(what, min(n, len(search.grid)), "candidates") as advance:
        judge = _Judge(folder, parts, head, seed, advance)
        tried = list(_try(search, judge, seed + fold.index))
    fitted = [(c, told["uar"]) for c, told in tried if "uar" in told]
    if not fitted:
        msg = (
            f"{head.name}: none of {len(tried)} candidates could be fitted in fold "
            f"{fold.index}, the first because: {tried[0][1]['failed']}"
        )
        raise RunError(msg)
    best = max(fitted, key=lambda one: one[1])[0]  # the first of equal ones
    return best, [{"settings": c, **told} for c, told in tried]


def _try(
    search: Search, judge: Callable[[Sequence[Candidate]], list[Judged]], seed: int
) -> Iterator[tuple[Candidate, Judged]]:
    """Yield candidates with what they are worth, in the order they are tried."""
    grid = search.grid
    if search.kind == "optuna":
        yield from _with_optuna(search, judge, seed)
        return
    if search.kind == "random" and search.trials < len(grid):
        drawn = np.random.default_rng(seed).permutation(len(grid))[: search.trials]
        grid = [grid[i] for i in drawn]
    yield from zip(grid, judge(grid), strict=True)


def _with_optuna(
    search: Search, judge: Callable[[Sequence[Candidate]], list[Judged]], seed: int
) -> Iterator[tuple[Candidate, Judged]]:
    """Let Optuna's TPE choose; a candidate that comes again is not judged again."""
    try:
        import optuna
    except ImportError as error:
        msg = (
            "--search optuna needs Optuna: expected the package optuna, got none. Run: "
            "pip install -c constraints.txt -e '.[search]'"
        )
        raise RunError(msg) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    known: dict[str, Judged] = {}
    for _ in range(min(search.trials, len(search.grid))):
        trial = study.ask()
        candidate = {
            key: values[trial.suggest_categorical(key, list(range(len(values))))]
            for key, values in search.space.items()
        }
        text = json.dumps(candidate, sort_keys=True)
        if text not in known:
            (known[text],) = judge([candidate])
            yield candidate, known[text]
        study.tell(trial, known[text].get("uar", 0.0))


class _Judge:
    """Judges candidates over inner parts, and keeps what each is worth.

    Why one could not be fitted is kept as long as the process lives: it may be the
    machine's fault, or that of a feature. A run that goes on tries these again, also
    those of folds that were searched before.

    Args:
        folder: with a file for each candidate that was judged
        parts: inner folds
        head: unfitted estimator
        seed: of heads that have one
        advance: is told how many candidates were judged
    """

    def __init__(
        self,
        folder: Path,
        parts: Sequence[Fold],
        head: Any,
        seed: int,
        advance: Advance,
    ) -> None:
        self.folder, self.parts, self.head, self.seed = folder, parts, head, seed
        self.advance = advance
        self.failed: dict[Path, Judged] = {}  # tried anew when a search goes on
        self.classes = parts[0].view.classes

    def __call__(self, candidates: Sequence[Candidate]) -> list[Judged]:
        """Say what candidates are worth; those judged before are not judged again."""
        left = [one for one in candidates if self._told(one) is None]
        self.advance(len(candidates) - len(left))
        at_once = shares_a_pass(self.head) or goes_beside_others(self.head)
        size = max(1, _FITS // len(self.parts)) if at_once else 1
        for at in range(0, len(left), size):
            self._fit(left[at : at + size])
        return [told for told in map(self._told, candidates) if told is not None]

    def _fit(self, candidates: Sequence[Candidate]) -> None:
        """Judge candidates whose fits are made together."""
        n, k = len(self.parts), len(self.classes)
        left = dict.fromkeys(range(len(candidates)), n)
        counted = np.zeros((len(candidates), k, k), np.int64)
        jobs = [
            self._job(candidate, part, i * n + j)
            for i, candidate in enumerate(candidates)
            for j, part in enumerate(self.parts)
        ]
        try:
            for job, fitted, _ in fits(self.head, jobs):
                i, told = job.fold // n, fitted.predict_proba(job.test)
                counted[i] += score(job.test.labels, told, self.classes).confusion
                left[i] -= 1
                if not left[i]:
                    uar = Scores(self.classes, counted[i]).uar
                    self._keep(candidates[i], {"uar": uar})
                    del left[i]
        except RunError as error:  # one that diverges is worth nothing, no more
            if len(candidates) == 1:
                self.failed[self._path(candidates[0])] = {"failed": str(error)}
                self.advance(1)
                return
            for i in left:  # each by itself, which tells whose error it is
                self._fit([candidates[i]])

    def _job(self, candidate: Candidate, part: Fold, number: int) -> Job:
        from sklearn.base import clone

        one = clone(self.head).set_params(**candidate)
        if "seed" in one.get_params(deep=False):
            one.set_params(seed=self.seed)
        dev = part.part("dev") if needs_dev(self.head) else None
        views = part.part("train"), dev, part.part("test")
        return Job(one, *views, number, self.seed)

    def _path(self, candidate: Candidate) -> Path:
        text = json.dumps(candidate, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"

    def _keep(self, candidate: Candidate, judged: Judged) -> None:
        told = {"settings": candidate, "judged": judged}
        write_json(self._path(candidate), told)
        self.advance(1)

    def _told(self, candidate: Candidate) -> Judged | None:
        """Return what a candidate is worth; None: it is to be judged."""
        path = self._path(candidate)
        if path in self.failed or not path.exists():
            return self.failed.get(path)
        told: Judged = json.loads(path.read_text(encoding="utf-8"))["judged"]
        return None if "failed" in told else told  # kept by an earlier version
