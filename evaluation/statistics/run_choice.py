"""Which runs a person means: a name, a beginning of it, or seeds joined by commas."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from contracts.errors import RunError, listing
from contracts.run import Run, find_runs
from evaluation.statistics.systems import but_for_the_seed


def choose(texts: Sequence[str], folder: Path) -> list[list[Run]]:
    """Find the runs behind each text.

    Args:
        texts: a run's name, a beginning that only it or only seeds of one head have,
            or several of these with commas between
        folder: of all runs

    Returns:
        one list per text, in the order of their names

    Raises:
        RunError: if there is no such run, or more than seeds of one head
    """
    runs, unfinished = find_runs(folder)
    out, wrong = [], []
    for text in texts:
        chosen: dict[str, Run] = {}
        for piece in filter(None, text.split(",")):
            found = _begin_with(piece, runs)
            if why := _flaw(piece, found, unfinished):
                wrong.append(why)
            chosen |= {run.run_id: run for run in found}
        if not text.strip(","):
            wrong.append(f"{text!r} names no run")
        out.append([chosen[name] for name in sorted(chosen)])
    if wrong:
        told = "; ".join(dict.fromkeys(wrong))
        msg = f"{told}. See: python pipeline.py runs --runs {folder}"
        raise RunError(msg)
    return out


def the_run(text: str, folder: Path) -> Run:
    """Find one run by its name or a beginning that only it has.

    Raises:
        RunError: if there is none, or more than one
    """
    (found,) = choose([text], folder)
    if len(found) > 1:
        names = listing(run.run_id for run in found)
        msg = f"{text!r} names {len(found)} runs, expected one of: {names}"
        raise RunError(msg)
    return found[0]


def _begin_with(piece: str, runs: Iterable[Run]) -> list[Run]:
    found = [run for run in runs if run.run_id.startswith(piece)]
    return [run for run in found if run.run_id == piece] or found


def _flaw(piece: str, found: Sequence[Run], unfinished: Iterable[str]) -> str:
    """Say what is wrong with a piece of text; empty if nothing is."""
    if not found:
        begun = [name for name in unfinished if name.startswith(piece)]
        if begun:
            return f"{listing(begun, 3)}: unfinished or broken, fit it once more"
        return f"no run begins with {piece!r}"
    alike: dict[str, list[str]] = {}
    for run in found:
        alike.setdefault(but_for_the_seed(run), []).append(run.run_id)
    if len(alike) == 1:
        return ""
    ways = " or ".join(",".join(names) for names in list(alike.values())[:6])
    more = f" and {len(alike) - 6} more" if len(alike) > 6 else ""
    return (
        f"{piece!r} begins {len(found)} runs that differ in more than the seed, "
        f"expected one of: {ways}{more}"
    )
