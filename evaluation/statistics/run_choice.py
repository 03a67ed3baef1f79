"""Which runs a person means: a name, a beginning of it, or seeds joined by commas."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from contracts.errors import RunError, listing
from contracts.run import Run, find_runs
from contracts.terminal import warn
from evaluation.statistics.systems import but_for_the_seed, told_of

_TOLD_ELSEWHERE = (  # of what is one word or number in a record
    *("run_id", "model", "corpus", "seed", "partial", "folds_hash"),
    *("command", "seconds", "format"),
)


def choose(texts: Sequence[str], folder: Path) -> list[list[Run]]:
    """Find the runs behind each text.

    Where a beginning is that of several systems and one alone is whole, that one is
    meant, and a warning names it.

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
            found = _prefer_whole(piece, _begin_with(piece, runs))
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


def _alike(found: Iterable[Run]) -> list[list[Run]]:
    """Put runs together that differ in the seed alone."""
    out: dict[str, list[Run]] = {}
    for run in found:
        out.setdefault(but_for_the_seed(run), []).append(run)
    return list(out.values())


def _prefer_whole(piece: str, found: list[Run]) -> list[Run]:
    """Take the one system with all folds and utterances, if the others lack some."""
    systems = _alike(found)
    whole = [
        runs
        for runs in systems
        if not any(run.record["partial"] or run.record.get("limited") for run in runs)
    ]
    if len(systems) == 1 or len(whole) != 1:
        return found
    others = [run.run_id for run in found if run not in whole[0]]
    names = ",".join(run.run_id for run in whole[0])
    warn(
        f"{piece!r} begins {len(found)} runs: {names} is taken, which alone is whole; "
        f"not {listing(others, 6)}"
    )
    return whole[0]


def _facts(run: Run) -> dict[str, str]:
    """Say what a run is of, but for its seed, in words that may tell it apart."""
    record, told = run.record, told_of([run])
    facts = {
        "head": told["model"],
        "corpus": told["corpus"],
        "labels": told["label_map"],
        "protocol": told["protocol"],
        "features": "+".join(told["features"]),
        "fingerprints": "+".join(f["short"] for f in record["features"]),
        "folds": listing(f["index"] for f in record["folds"]),
        "limited": listing(record.get("limited", {})),
        "variants": listing(record.get("variants", {})),
    }
    given = {k: v for k, v in record.items() if isinstance(v, str | int | float)}
    given = {k: v for k, v in given.items() if k not in _TOLD_ELSEWHERE}
    given |= {k: v for k, v in record["settings"].items() if k != "features"}
    return facts | {k: str(v) for k, v in given.items() if k != "seed"}


def _differences(systems: Sequence[Sequence[Run]]) -> list[str]:
    """Say of each system what differs among them, ``""`` where no word tells it."""
    told = [_facts(runs[0]) for runs in systems]
    every = dict.fromkeys(k for one in told for k in one)
    keys = [k for k in every if len({one.get(k, "") for one in told}) > 1]
    if "features" in keys and "fingerprints" in keys:
        keys.remove("fingerprints")
    return [", ".join(f"{k} {one.get(k) or 'none'}" for k in keys) for one in told]


def _flaw(piece: str, found: Sequence[Run], unfinished: Iterable[str]) -> str:
    """Say what is wrong with a piece of text; empty if nothing is."""
    if not found:
        begun = [name for name in unfinished if name.startswith(piece)]
        if begun:
            return f"{listing(begun, 3)}: unfinished or broken, fit it once more"
        return f"no run begins with {piece!r}"
    systems = _alike(found)
    if len(systems) == 1:
        return ""
    ways = " or ".join(
        ",".join(run.run_id for run in runs) + (f" ({why})" if why else "")
        for runs, why in list(zip(systems, _differences(systems), strict=True))[:6]
    )
    more = f" and {len(systems) - 6} more" if len(systems) > 6 else ""
    return (
        f"{piece!r} begins {len(found)} runs that differ in more than the seed, "
        f"expected one of: {ways}{more}"
    )
