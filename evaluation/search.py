"""Settings of a head, chosen on training speakers alone.

Within each fold, and never outside, every candidate is judged by grouped
cross-validation over the fold's training speakers (``evaluation.splits.inner``): each
inner part is predicted by a head fitted on the others, the predictions are pooled, and
the candidate with the highest UAR is taken, the first of equal ones. What was judged
is kept at once, so that a killed search goes on where it stopped.
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
from contracts.run import write_json
from contracts.terminal import progress
from evaluation._fits import fit_one
from evaluation.measures.metrics import Scores, score
from evaluation.settings import needs_dev, refuse_twice, refuse_types, share, value
from evaluation.splits import inner
from evaluation.splits.folds import Fold

KINDS = ("grid", "random", "optuna")
Candidate = dict[str, Any]
Judged = dict[str, Any]  # ``uar``, or ``failed``: why there is none


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

        def judge(candidate: Candidate) -> Judged:
            judged = _judged(folder, parts, head, candidate, seed)
            advance(1)
            return judged

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
    search: Search, judge: Callable[[Candidate], Judged], seed: int
) -> Iterator[tuple[Candidate, Judged]]:
    """Yield candidates with what they are worth, in the order they are tried."""
    grid = search.grid
    if search.kind == "optuna":
        yield from _with_optuna(search, judge, seed)
        return
    if search.kind == "random" and search.trials < len(grid):
        drawn = np.random.default_rng(seed).permutation(len(grid))[: search.trials]
        grid = [grid[i] for i in drawn]
    for candidate in grid:
        yield candidate, judge(candidate)


def _with_optuna(
    search: Search, judge: Callable[[Candidate], Judged], seed: int
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
            known[text] = judge(candidate)
            yield candidate, known[text]
        study.tell(trial, known[text].get("uar", 0.0))


def _judged(
    folder: Path, parts: Sequence[Fold], head: Any, candidate: Candidate, seed: int
) -> Judged:
    """Judge a candidate over the inner parts, or read what was judged before."""
    text = json.dumps(candidate, sort_keys=True)
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    if not path.exists():
        try:
            judged: Judged = {"uar": _uar(parts, head, candidate, seed)}
        except RunError as error:  # one that diverges is worth nothing, no more
            judged = {"failed": str(error)}
        write_json(path, {"settings": candidate, "judged": judged})
    told: Judged = json.loads(path.read_text(encoding="utf-8"))["judged"]
    return told


def _uar(parts: Sequence[Fold], head: Any, candidate: Candidate, seed: int) -> float:
    from sklearn.base import clone

    classes = parts[0].view.classes
    counted = np.zeros((len(classes), len(classes)), np.int64)
    for part in parts:
        one = clone(head).set_params(**candidate)
        if "seed" in one.get_params(deep=False):
            one.set_params(seed=seed)
        dev = part.part("dev") if needs_dev(head) else None
        fitted = fit_one(one, part.part("train"), dev)
        held = part.part("test")
        told = fitted.predict_proba(held)
        counted += score(held.labels, told, classes).confusion
    return Scores(classes, counted).uar
