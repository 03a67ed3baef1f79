"""Figures and tables for print of one run; its own command makes it again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from contracts.run import Run, command
from evaluation.measures.annotators import annotators_of
from evaluation.measures.gaps import all_gaps
from evaluation.measures.metrics import score_run
from evaluation.measures.robustness import robustness
from evaluation.measures.soft_labels import (
    soft_intervals_of,
    soft_scores_of,
    tau_by_entropy_of,
)
from evaluation.measures.traits import traits_of
from evaluation.statistics.systems import says_labels
from evaluation.statistics.uncertainty import Interval
from report._exporter import Exporter, ends_of, share
from report._layer_weights import layer_weights
from report._scores import part_scores

DEGRADED_HEADS = (
    *("variant", "kind", "level", "unit", "utterances", "speakers"),
    *("uar", "low", "high", "undegraded", "undegraded low", "undegraded high"),
    *("change", "change low", "change high", "note"),
)

TRAIT_HEADS = (
    *("trait", "concordance", "low", "high", "pearson", "spearman"),
    *("utterances", "not known", "speakers", "note"),
)
VOTES_HEADS = ("measure", "value", "low", "high", "speakers", "note")
TAU_HEADS = ("bits from", "bits to", "utterances", "mean tau-b")


def export_run(out: Exporter, run: Run) -> None:
    """Write what concerns one run; nothing of labels where it says none."""
    from report import _figures

    about = f"{run.record['command']} && {command()}"
    if says_labels(run):
        _labels(out, run, about)
    out.table(TRAIT_HEADS, _traits(run), about, "traits", run.run_id)
    out.figure(_figures.history_figure(run), about, "training", run.run_id)
    _layer_weights(out, run, about)


def _labels(out: Exporter, run: Run, about: str) -> None:
    """Write what a run's probabilities of labels tell."""
    from report import _figures

    name = run.run_id
    out.figure(_figures.confusion_figure(run), about, "confusion", name)
    out.figure(_figures.certainty_figure(run), about, "certainty", name)
    out.figure(_figures.speakers_figure(run), about, "speakers", name)
    out.table(*_per_label(run), about, "per-label", name)
    _strips(out, run, about)
    _robustness(out, run, about)
    _gaps(out, run, about)
    _votes(out, run, about)


def _traits(run: Run) -> list[list[object]]:
    return [
        [
            *(one.trait, *ends_of(one.interval)),
            *(share(one.pearson), share(one.spearman), one.n, one.n_unknown),
            *(one.interval.n_speakers, one.interval.note),
        ]
        for one in traits_of(run) or ()
    ]


def _strips(out: Exporter, run: Run, about: str) -> None:
    """Write how many utterances of each speaker and label are said right."""
    from report import _study_figures

    speakers = part_scores(run, "speaker")
    if not speakers:
        return
    drawn = _study_figures.strips_figure(run, speakers)
    out.figure(drawn, about, "strips", run.run_id)
    rows = [
        [speaker, label, right, of]
        for speaker, own in speakers.items()
        for label, right, of in zip(
            own.labels, own.confusion.diagonal().tolist(), own.support, strict=True
        )
    ]
    heads = ("speaker", "label", "right", "of")
    out.table(heads, rows, about, "strips", run.run_id)


def _per_label(run: Run) -> tuple[Sequence[str], Sequence[Sequence[object]]]:
    scores = score_run(run)
    columns = zip(
        scores.labels,
        map(share, scores.recall.tolist()),
        map(share, scores.precision.tolist()),
        map(share, scores.f1_per_class.tolist()),
        scores.support.tolist(),
        *scores.confusion.T.tolist(),
        strict=True,
    )
    heads = ("label", "recall", "precision", "f1", "utterances")
    return (*heads, *(f"said {label}" for label in scores.labels)), list(columns)


def _robustness(out: Exporter, run: Run, about: str) -> None:
    from report import _study_figures

    found = robustness(run)
    if not found:
        return
    drawn = _study_figures.robustness_figure(found)
    out.figure(drawn, about, "degraded", run.run_id)
    rows = [
        [
            *(one.name, one.kind, share(one.level), one.unit, one.n),
            one.uar.n_speakers,
            *(*ends_of(one.uar), *ends_of(one.clean), *ends_of(one.change)),
            one.change.note,
        ]
        for one in found
    ]
    out.table(DEGRADED_HEADS, rows, about, "degraded", run.run_id)


def _gaps(out: Exporter, run: Run, about: str) -> None:
    """Write the groups of a run and how far they are apart."""
    groups: list[list[object]] = []
    apart: list[list[object]] = []
    for told in all_gaps(run):
        if told.note:
            groups.append([told.column, *[""] * 8, told.note])
            continue
        own = told.column, ", ".join(told.labels), ", ".join(told.left_out)
        for group in told.groups:
            facts = group.name, group.n, group.uar.n_speakers
            groups.append([*own, *facts, *ends_of(group.uar), group.uar.note])
        for gap in told.gaps:
            one = gap.difference
            pair = gap.first, gap.second, one.n_speakers
            apart.append([*own, *pair, *ends_of(one), one.note])
    own_heads = ("column", "labels", "labels left out")
    heads = ("group", "utterances", "speakers", "uar", "low", "high", "note")
    out.table((*own_heads, *heads), groups, about, "groups", run.run_id)
    heads = ("first", "second", "speakers", "difference", "low", "high", "note")
    out.table((*own_heads, *heads), apart, about, "gaps", run.run_id)


def _votes(out: Exporter, run: Run, about: str) -> None:
    """Write the numbers against the votes, and tau-b by their entropy."""
    from report import _study_figures

    soft, told = soft_scores_of(run), tau_by_entropy_of(run)
    if soft is None or told is None:
        return
    people, _ = annotators_of(run)
    numbers = _flat(asdict(soft))
    sure = soft_intervals_of(run)
    if people is not None:
        both = {
            "annotators.top1": people.top1,
            "annotators.agreement": people.agreement,
        }
        numbers |= {"annotators.n": people.n, "annotators.n_lone": people.n_lone}
        numbers |= {name: share(one.value) for name, one in both.items()}
        sure |= both
    rows = [
        [name, value, *_limits(sure.get(name.removesuffix(".mean")))]
        for name, value in numbers.items()
        if value is not None
    ]
    out.table(VOTES_HEADS, rows, about, "votes", run.run_id)
    out.figure(_study_figures.tau_figure(told), about, "tau", run.run_id)
    edges = told.entropy_edges.tolist()
    means = zip(edges, edges[1:], told.n.tolist(), told.mean.tolist(), strict=False)
    bins = [[*map(share, (a, b)), n, share(mean)] for a, b, n, mean in means]
    out.table(TAU_HEADS, bins, about, "tau", run.run_id)


def _flat(told: Mapping[str, Any], before: str = "") -> dict[str, object]:
    """Return the numbers of nested mappings, their names joined by dots."""
    out: dict[str, object] = {}
    for name, value in told.items():
        if isinstance(value, Mapping):
            out |= _flat(value, f"{before}{name}.")
        else:
            out[before + name] = share(value) if isinstance(value, float) else value
    return out


def _limits(one: Interval | None) -> list[object]:
    if one is None:
        return [None, None, None, ""]
    return [*ends_of(one)[1:], one.n_speakers, one.note]


def _layer_weights(out: Exporter, run: Run, about: str) -> None:
    from report import _study_figures

    for name, told in layer_weights(run.record["folds"]).items():
        words = ("weights", *([name] if name else []), run.run_id)
        out.figure(_study_figures.weights_figure(told), about, *words)
        heads = ("fold", *(f"layer {n}" for n in told.layers))
        folds = zip(told.folds, told.weights, strict=True)
        rows = [[fold, *map(share, weights)] for fold, weights in folds]
        out.table(heads, rows, about, *words)
