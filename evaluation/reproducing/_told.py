"""Published rows in words: their commands, for a terminal and for other programs."""

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts.command import CACHE, RUNS
from contracts.errors import listing
from contracts.feature import FeatureReference
from contracts.terminal import count
from evaluation.reproducing.published_rows import METRICS, Row
from evaluation.reproducing.reproduce import Ours
from evaluation.settings import written
from evaluation.splits.conformity import conformity
from evaluation.splits.protocols import PROTOCOLS
from evaluation.statistics.uncertainty import Interval

UNTRAINED = "UNTRAINED encoder, which says nothing of the published figure"


def fit_words(row: Row, runs: Path = RUNS, cache: Path = CACHE) -> list[str]:
    """Return the words of the row's command, behind ``pipeline.py``.

    Args:
        row: one that has a head
        runs: folder of the runs
        cache: the cache
    """
    if row.train:
        tested = [corpus for corpus in row.corpus if corpus not in row.train]
        words = ["fit", "--train-corpus", *row.train, "--test-corpus", *tested]
        words += ["--labels", row.labels, "--model", row.model]
    else:
        words = ["fit", "--corpus", *row.corpus, "--labels", row.labels]
        words += ["--protocol", row.protocol, "--model", row.model]
    own = PROTOCOLS[row.protocol].seeds if row.protocol in PROTOCOLS else ()
    for flag, values in (
        ("--feature", row.features),
        ("--encoder", [row.encoder] if row.encoder else []),
        ("--augment", row.augment),
        ("--set", [f"{k}={written(v)}" for k, v in row.settings.items()]),
        ("--grid", [f"{k}={','.join(map(written, v))}" for k, v in row.grid.items()]),
        ("--folds", [_joined(row.folds)] if row.folds else []),
        ("--seeds", [_joined(row.seeds)] if row.seeds != (own or (0,)) else []),
        ("--runs", [str(runs)] if runs != RUNS else []),
        ("--cache", [str(cache)] if cache != CACHE else []),
    ):
        words += [flag, *values] if values else []
    return words


def extract_words(row: Row, cache: Path = CACHE) -> list[str]:
    """Return the words of the command that makes the row's features, if it has any."""
    if not row.features:
        return []
    names = dict.fromkeys(FeatureReference.parse(f).name for f in row.features)
    words = ["extract", "--corpus", *row.corpus, "--feature", *names]
    words += ["--encoder", row.encoder] if row.encoder else []
    words += ["--revision", row.revision] if row.revision else []
    words += ["--augment", *row.augment] if row.augment else []
    return words + (["--cache", str(cache)] if cache != CACHE else [])


def line(words: Sequence[str]) -> str:
    """Return a command line as it is typed."""
    return shlex.join(["python", "pipeline.py", *words])


def _joined(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


def facts(
    row: Row, found: Sequence[Ours], runs: Path = RUNS, cache: Path = CACHE
) -> dict[str, Any]:
    """Return a row and our runs of it for other programs; NaN is None.

    Args:
        row: a published row
        found: our runs of it
        runs: folder of the runs
        cache: the cache
    """
    told = row.published()
    return {
        "id": row.id,
        "source": told.source,
        **{k: list(getattr(row, k)) for k in ("corpus", "features", "augment")},
        **{k: getattr(row, k) for k in ("labels", "protocol", "model", "encoder")},
        "revision": row.revision,
        "folds": list(row.folds),
        "seeds": list(row.seeds),
        "settings": dict(row.settings),
        "grid": dict(row.grid),
        "published": {
            "figures": dict(row.figures),
            "spread": row.spread,
            "printed": row.printed,
            "protocol": told.protocol,
            "fault": told.flaw,
        },
        "conformity": _conformity(row),
        "differs": row.differs,
        "cannot": row.cannot,
        "command": "" if row.cannot else line(fit_words(row, runs, cache)),
        "extract": _extract(row, cache),
        "ours": [_ours_facts(one) for one in found],
    }


def _conformity(row: Row) -> str:
    if row.train:
        told = f"trained on all of {listing(row.train)}, a fifth of its speakers as dev"
        return f"as published: corpora to train and to test; differs: {told}"
    return conformity(PROTOCOLS[row.protocol], row.labels, row.seeds)


def _extract(row: Row, cache: Path) -> str:
    words = [] if row.cannot else extract_words(row, cache)
    return line(words) if words else ""


def _ours_facts(one: Ours) -> dict[str, Any]:
    return {
        "runs": [run.run_id for run in one.runs],
        "seeds": one.seeds,
        "untrained": one.untrained,
        "warnings": one.warnings,
        "conformity": one.line,
        "scores": {
            metric: {
                "value": _known(score.value),
                "low": _known(score.low),
                "high": _known(score.high),
                "note": score.note,
            }
            for metric, score in one.scores.items()
        },
        "n_utterances": len(one.runs[0].predictions),
        "n_speakers": one.scores["uar"].n_speakers,
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else 100 * value


def text(row: Row, found: Sequence[Ours], told: Mapping[str, Any]) -> str:
    """Lay a row out for a terminal, ours below the published figure.

    Args:
        row: a published row
        found: our runs of it
        told: what ``facts`` says of both
    """
    inputs = " and ".join(row.features) or "nothing"
    inputs += f" of {row.encoder}" if row.encoder else ""
    head = f"{row.model} on {inputs}" if row.model else row.encoder or "no head"
    folds = f", fold {_joined(row.folds)}" if row.folds else ""
    where = f"{' + '.join(row.corpus)}, {row.labels}, {row.protocol}{folds}"
    published = told["published"]
    lines = [
        f"{row.id}: {head}; {where}",
        f"  published: {row.number}. {told['source']}: {published['protocol']}",
        f"  fault: {published['fault'] or 'none found'}",
        f"  protocol: {told['conformity']}",
    ]
    lines += [f"  differs: {row.differs}"] if row.differs else []
    lines += [_ours_text(row, one) for one in found]
    if row.cannot:
        return "\n".join([*lines, f"  not run here: {row.cannot}"])
    if not any(not one.untrained for one in found):
        lines.append(f"  not run here: {told['command']}")
        if told["extract"]:
            lines.append(f"  if its features are not in the cache: {told['extract']}")
    return "\n".join(lines)


def _ours_text(row: Row, one: Ours) -> str:
    known = [m for m in row.figures if m in one.scores] or ["uar"]
    scores = ", ".join(f"{METRICS[m]} {_score(one.scores[m])}" for m in known)
    seeds = (
        f"seed {one.seeds[0]}" if len(one.seeds) == 1 else f"seeds {_joined(one.seeds)}"
    )
    if len(row.seeds) > 1:
        seeds += f" ({len(one.seeds)} of {len(row.seeds)} seeds)"
    notes = listing(one.warnings)
    who = count(one.scores["uar"].n_speakers, "speaker")
    label = f"ours, {UNTRAINED}" if one.untrained else "ours"
    said = f"  {label}: {scores}; {seeds}, {who}"
    return f"{said}. {notes}" if notes else said


def _score(score: Interval) -> str:
    told = f"{100 * score.value:.1f}"
    if math.isnan(score.low):
        return f"{told} (no interval)"
    return f"{told} [{100 * score.low:.1f}, {100 * score.high:.1f}]"
