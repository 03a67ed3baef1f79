"""Runs on corpora with votes or traits: what is not one label."""

import math
from collections.abc import Mapping
from typing import Any

from contracts.run import Run
from evaluation.measures.annotators import annotators_of
from evaluation.measures.soft_labels import (
    SoftScores,
    soft_intervals_of,
    soft_scores_of,
    tau_by_entropy_of,
)
from evaluation.measures.traits import traits_of
from evaluation.statistics.uncertainty import Interval
from report._intervals import brackets_note, number, with_ends
from report._svg import box, drawing, line, mark, polyline, text
from report._words import percent


def votes_view(run: Run) -> dict[str, Any]:
    """Collect what the page shows of votes and traits; empty where there are none.

    Returns:
        ``votes``: name and words each; ``votes_note``: what stands in brackets there;
        ``tau``: a picture of tau-b against the entropy of the votes; ``annotators``:
        why there is no reference, or empty; ``traits``: one row each
    """
    soft = soft_scores_of(run)
    told: dict[str, Any] = {
        "votes": [],
        "votes_note": "",
        "tau": "",
        "annotators": "",
        "traits": traits_of(run) or (),
    }
    if soft is None:
        return told
    sure = soft_intervals_of(run)
    told["votes_note"], known = brackets_note([sure["top1"]])
    told["votes"] = _soft(soft, sure, known)
    people, why = annotators_of(run)
    if people is None:
        told["annotators"] = why
    else:
        both = (
            with_ends(x, percent, "%", known) for x in (people.top1, people.agreement)
        )
        words = ", agreement ".join(both)
        told["votes"].append(("one annotator against the others", words))
    told["tau"] = _tau_plot(run)
    return told


def _soft(
    soft: SoftScores, sure: Mapping[str, Interval], known: str
) -> list[tuple[str, str]]:
    """Say each number with its interval; ``known`` is why most have none."""

    def share(name: str) -> str:
        return with_ends(sure[name], percent, "%", known)

    def plain(name: str) -> str:
        return with_ends(sure[name], known=known)

    of_all = f"{soft.n:,} utterances with votes"
    if soft.n_voteless:
        of_all += f", {soft.n_voteless:,} without"
    attainable, undefined = number(soft.tau.attainable), soft.tau.n_undefined
    tau = f"attainable {attainable}; not defined for {undefined:,}"
    infinite = f"; infinite for {soft.n_infinite:,}" if soft.n_infinite else ""
    exact = [("labels above 0.2, all and no other", share("exact_set"))]
    if "exact_set_chosen" in sure:
        name = "the same at thresholds chosen in each fold"
        exact.append((name, share("exact_set_chosen")))
    return [
        ("counted", of_all),
        ("most voted label named", share("top1")),
        ("among the two likeliest", share("top2")),
        (
            "mean share of the votes",
            f"{share('agreement')}, at most {percent(soft.ceiling)} %",
        ),
        ("Kendall's tau-b", f"{plain('tau')}, {tau}"),
        (
            "tau-b, labels above 0.2 of the votes",
            f"{plain('tau_of_few')} over {soft.tau_of_few.n:,}",
        ),
        *exact,
        ("Kullback-Leibler, nats", plain("finite_kl") + infinite),
        ("Jensen-Shannon, bits", plain("jensen_shannon")),
    ]


def _tau_plot(run: Run) -> Any:
    """Draw utterances by entropy of their votes and tau-b, and the means."""
    told = tau_by_entropy_of(run)
    if told is None or not told.counts.sum():
        return ""
    left, top, width, height = 36.0, 20.0, 300.0, 190.0
    across, up = told.entropy_edges, told.tau_edges
    most = int(told.counts.max())

    def x(value: float) -> float:
        return left + value / float(across[-1]) * (width - left - 10)

    def y(value: float) -> float:
        return top + (1 - value) / 2 * height

    out = []
    for tick in (-1, 0, 1):
        out.append(line(left, y(tick), width - 10, y(tick), "grid"))
        out.append(text(left - 6, y(tick) + 4, tick, "tick", "end"))
    for i, column in enumerate(told.counts):
        for j, n in enumerate(column.tolist()):
            if n:
                wide = x(float(across[i + 1])) - x(float(across[i])) - 1
                tall = y(float(up[j])) - y(float(up[j + 1])) - 1
                said = f"{across[i]:.2f} to {across[i + 1]:.2f} bits: {n} utterances"
                at = x(float(across[i])), y(float(up[j + 1]))
                out.append(box(*at, wide, tall, "cell", said, 0.1 + 0.9 * n / most))
    means = [
        (x(float(across[i] + across[i + 1]) / 2), y(float(mean)))
        for i, mean in enumerate(told.mean)
        if not math.isnan(mean)
    ]
    out.append(polyline(means, "mean"))
    out += [mark("diamond", *at, "pooled", "mean of these votes", 4) for at in means]
    out.append(text(left, top - 7, "tau-b", "tick"))
    bottom = top + height
    out.append(text(left, bottom + 15, "0", "tick", "middle"))
    out.append(text(width - 10, bottom + 15, f"{across[-1]:.1f}", "tick", "end"))
    out.append(
        text(width - 10, bottom + 30, "entropy of the votes, bits", "tick", "end")
    )
    label = "Kendall's tau-b by the entropy of the votes, with its mean."
    return drawing(width, bottom + 38, label, out, "tau")
