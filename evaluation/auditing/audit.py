"""Audit: one head on the same features, honestly and under each bad practice.

A bad practice is not an option of ``fit``: it exists here alone, under a name that says
``optimistic`` wherever its number is shown. Beside each stands its counterpart, the
same fit without the fault, on the same utterances wherever that can be. What leaks
through copies stands beside the same random parts without them, which are not honest
either, so that copies are not charged with the speakers on both sides.

Sources: random splits, speaker normalisation, checkpoints and layers picked on test as
in the systems that this project redoes (``PUBLISHED`` of the heads); files taken in
twice as in copies of RAVDESS that circulate with a folder inside itself; copies made
before the split as in many a notebook.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from contracts.errors import EmocacheError
from contracts.plugins import refuse_unknown
from contracts.terminal import progress
from evaluation.auditing import _choices as choices
from evaluation.auditing import _practices as practices
from evaluation.auditing._scores import Score, score, uar_of_rows
from evaluation.auditing._work import Case, Outcome, Practised, Skipped

Row = dict[str, Any]
_NUMBERS = (
    *("uar", "low", "high", "n_speakers", "n", "n_seeds"),
    *("inflation", "inflation_low", "inflation_high", "paired"),
)


@dataclass(frozen=True)
class Practice:
    """A way to come to a number.

    Attributes:
        name: what it is asked for by
        title: what it does, in a few words
        kind: ``honest``; ``optimistic``: it flatters; ``reference``: neither
        do: fits and guesses
        against: the counterpart, the same without the fault; empty: it is honest
    """

    name: str
    title: str
    kind: Literal["honest", "optimistic", "reference"]
    do: Practised
    against: str = "honest"


PRACTICES: dict[str, Practice] = {
    p.name: p
    for p in (
        Practice(
            "honest", "the protocol as it is", "honest", practices.honest, against=""
        ),
        Practice(
            "random-split",
            "utterances parted at random, speakers on both sides",
            "optimistic",
            practices.random_split,
        ),
        Practice(
            "test-checkpoint",
            "the epoch picked on the test fold",
            "optimistic",
            practices.checkpoint_on_test,
        ),
        Practice(
            "test-scaler",
            "the scaler fitted again on the test fold",
            "optimistic",
            practices.scaler_on_test,
        ),
        Practice(
            "all-scaler",
            "the scaler fitted on all utterances",
            "optimistic",
            practices.scaler_on_all,
        ),
        Practice(
            "speaker-scaler",
            "each speaker normalised by their own speech, test speakers too",
            "optimistic",
            practices.speaker_scaler,
        ),
        Practice(
            "dev-layer",
            "the layer picked on development speakers",
            "honest",
            choices.layer_on_dev,
            against="",
        ),
        Practice(
            "test-layer",
            "the layer picked on the test speakers",
            "optimistic",
            choices.layer_on_test,
            against="dev-layer",
        ),
        Practice(
            "train-copies",
            "augmented copies of training utterances in train",
            "honest",
            practices.copies_in_train,
            against="",
        ),
        Practice(
            "split-copies",
            "augmented copies made before a random split",
            "optimistic",
            practices.copies_across,
            against="random-split",
        ),
        Practice(
            "split-duplicates",
            "every file there twice, parted at random",
            "optimistic",
            practices.duplicates_across,
            against="random-split",
        ),
        Practice("best-fold", "the best of the folds", "optimistic", choices.best_fold),
        Practice("best-seed", "the best of the seeds", "optimistic", choices.best_seed),
        Practice(
            "untrained-twin",
            "the same architecture with random weights",
            "reference",
            choices.untrained_twin,
        ),
    )
}


def audit(
    case: Case,
    wanted: Sequence[str] | None = None,
    keep: Callable[[Row], None] | None = None,
) -> list[Row]:
    """Fit a case under each practice.

    Args:
        case: what is audited
        wanted: names of practices; None: all. Their counterparts come along
        keep: handed each row as soon as it is there, so that nothing done is lost

    Returns:
        one row per practice in the order of ``PRACTICES``: ``practice``, ``title``,
        ``kind``, ``skipped`` (why there is no number; else empty), ``note``,
        ``against``; ``uar``, ``low``, ``high``, ``n_speakers``, ``n``, ``n_seeds``;
        ``inflation`` (over ``against``), ``inflation_low``, ``inflation_high``,
        ``paired``; numbers that there are not are None

    Raises:
        PluginError: if there is no such practice
        RunError: if the head cannot be fitted honestly
    """
    rows, names = [], with_counterparts(wanted)
    with progress("audit", len(names), "practices") as advance:
        for name in names:
            advance(0, name)
            row = _practised(PRACTICES[name], case)
            rows.append(row)
            if keep is not None:
                keep(row)
            advance(1)
    return rows


def _practised(practice: Practice, case: Case) -> Row:
    """Fit a case under one practice; what it came to is kept in ``case.known``."""
    try:
        own = case.known[practice.name] = practice.do(case)
    except Skipped as why:
        return _row(practice, skipped=str(why))
    except EmocacheError as error:
        if practice.name == "honest":
            raise
        return _row(practice, skipped=f"failed: {error}")
    against = case.known.get(practice.against)
    if beyond := _beyond(practice, case):
        own = own._replace(note="; ".join(n for n in (own.note, beyond) if n))
    return _row(practice, own, score(own, against, case.n_labels))


def _beyond(practice: Practice, case: Case) -> str:
    """Say what the counterpart alone does not: that it failed, or flatters itself."""
    if not practice.against:
        return ""
    if practice.against not in case.known:
        return f"{practice.against} came to no number, so there is no inflation"
    if PRACTICES[practice.against].kind == "honest":
        return ""
    own, honest = (
        uar_of_rows(case.known[name].rows, case.n_labels)
        for name in (practice.name, "honest")
    )
    return f"{practice.against} is not honest either: {own - honest:+.3f} over honest"


def with_counterparts(wanted: Sequence[str] | None) -> list[str]:
    """Return names of practices and of what they are compared with, in order.

    Raises:
        PluginError: if there is no such practice
    """
    if wanted is None:
        return list(PRACTICES)
    refuse_unknown("practices", wanted, list(PRACTICES))
    against = (PRACTICES[name].against for name in wanted)
    needed = {"honest", *wanted, *against}
    return [name for name in PRACTICES if name in needed]


def _row(
    practice: Practice,
    outcome: Outcome | None = None,
    found: Score | None = None,
    skipped: str = "",
) -> Row:
    told: Row = {"practice": practice.name, "title": practice.title}
    told |= {"kind": practice.kind, "against": practice.against, "skipped": skipped}
    if outcome is None or found is None:
        return told | {"note": ""} | dict.fromkeys(_NUMBERS)
    uar, more = asdict(found.uar), asdict(found.inflation)
    same = uar["note"] and more["note"]  # too few speakers for one, and for the other
    notes = [outcome.note, uar["note"], "" if same else more["note"]]
    told["note"] = "; ".join(n for n in notes if n)
    told |= {"uar": uar["value"], "low": uar["low"], "high": uar["high"]}
    told |= {"n_speakers": uar["n_speakers"], "n": found.n, "n_seeds": found.n_seeds}
    told |= {"inflation": more["value"], "inflation_low": more["low"]}
    told |= {"inflation_high": more["high"], "paired": found.paired}
    return {k: None if v != v else v for k, v in told.items()}  # JSON knows no NaN
