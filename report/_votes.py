"""Runs on corpora with votes or traits: what is not one label."""

import math
from typing import Any

from contracts.run import Run
from evaluation.measures.annotators import annotators_of
from evaluation.measures.metrics import top_k_of
from evaluation.measures.soft_labels import (
    SoftScores,
    soft_scores_of,
    tau_by_entropy_of,
)
from evaluation.measures.traits import traits_of
from report._svg import box, drawing, line, mark, polyline, text
from report._words import NOTHING, percent


def votes_view(run: Run) -> dict[str, Any]:
    """Collect what the page shows of votes and traits; empty where there are none.

    Returns:
        ``top2``; ``votes``: name and words each; ``tau``: a picture of tau-b against
        the entropy of the votes; ``annotators``: why there is no reference, or empty;
        ``traits``: one row each
    """
    soft = soft_scores_of(run)
    told: dict[str, Any] = {
        "top2": top_k_of(run),
        "votes": [],
        "tau": "",
        "annotators": "",
        "traits": traits_of(run) or (),
    }
    if soft is None:
        return told
    told["votes"] = _soft(soft)
    people, why = annotators_of(run)
    if people is None:
        told["annotators"] = why
    else:
        words = f"{percent(people.top1)} %, agreement {percent(people.agreement)} %"
        told["votes"].append(("one annotator against the others", words))
    told["tau"] = _tau_plot(run)
    return told


def _soft(soft: SoftScores) -> list[tuple[str, str]]:
    of_all = f"{soft.n:,} utterances with votes"
    if soft.n_voteless:
        of_all += f", {soft.n_voteless:,} without"
    return [
        ("counted", of_all),
        ("most voted label named", f"{percent(soft.top1)} %"),
        ("among the two likeliest", f"{percent(soft.top2)} %"),
        (
            "mean share of the votes",
            f"{percent(soft.agreement)} %, at most {percent(soft.ceiling)} %",
        ),
        (
            "Kendall's tau-b",
            f"{_number(soft.tau.mean)}, attainable {_number(soft.tau.attainable)}; "
            f"not defined for {soft.tau.n_undefined:,}",
        ),
        (
            "tau-b, labels above 0.2 of the votes",
            f"{_number(soft.tau_of_few.mean)} over {soft.tau_of_few.n:,}",
        ),
        ("labels above 0.2, all and no other", f"{percent(soft.exact_set)} %"),
        (
            "Kullback-Leibler, nats",
            f"{_number(soft.finite_kl)}"
            + (f"; infinite for {soft.n_infinite:,}" if soft.n_infinite else ""),
        ),
        ("Jensen-Shannon, bits", _number(soft.jensen_shannon)),
    ]


def _number(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value:.3f}"


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
