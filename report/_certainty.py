"""How sure a run was, and how rightly: reliability, and risk over coverage."""

import math
from typing import Any

import numpy as np
from markupsafe import Markup

from contracts.run import Run
from evaluation.measures.calibration import Calibration, calibration_of
from evaluation.measures.selective import RiskCoverage, risk_coverage_of
from report._intervals import brackets_note, with_ends
from report._svg import box, drawing, line, mark, polyline, text
from report._words import NOTHING, percent, points

WIDTH, LEFT, TOP, SIDE = 300.0, 36.0, 12.0, 230.0
N_POINTS = 120  # of a drawn curve
QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
_ERROR, _PERFECT = "calibration error, points", "of a perfectly calibrated model"
_BRIER, _NLL = "Brier, 0 to 2", "negative log likelihood, nats"
_TEMPERATURE, _TEMPERED = "temperature, cross-fitted", "at that temperature"
_HALF, _AREA = "errors, surer half answered", "area under risk, best possible"
_MEANINGS = {
    _ERROR: "how far certainty lies from how often the model is right, on average",
    _PERFECT: "what that error would be by chance alone, at this many utterances",
    _BRIER: "squared distance of the probabilities from the truth; 0 is best",
    _NLL: "mean of minus the logarithm of the label's probability; 0 is best",
    _TEMPERATURE: "what the log probabilities are divided by: above 1 the model was "
    "too sure; found on other speakers than those it is applied to",
    _TEMPERED: "calibration error and negative log likelihood after that division",
    _HALF: "if the model may be silent on the half it is least sure of",
    _AREA: "mean share of errors from few answers to all, and the least that so many "
    "errors allow: every right answer surer than every wrong one",
}


def certainty(run: Run) -> dict[str, Any] | None:
    """Collect what the page shows of a run's certainty; None without labels."""
    told, curve = calibration_of(run), risk_coverage_of(run)
    if told is None or curve is None:
        return None
    facts = _facts(told, curve)
    return {
        "reliability": reliability_plot(told),
        "risk": risk_plot(curve),
        "facts": facts,
        "meanings": [(name, _MEANINGS[name]) for name, _ in facts if name in _MEANINGS],
        "note": _note(told),
    }


def _note(told: Calibration) -> str:
    """Say what stands in brackets; the error's own note where it says more."""
    said, _ = brackets_note([told.brier])
    return said if told.error.note in said else f"{said}; {told.error.note}"


def _facts(told: Calibration, curve: RiskCoverage) -> list[tuple[str, str]]:
    _, known = brackets_note([told.brier])
    facts = [
        (_ERROR, with_ends(told.error, points, known=known)),
        (
            _PERFECT,
            f"{points(told.perfect)}, in 95 of 100 draws below "
            f"{points(told.perfect_95)}",
        ),
        (_BRIER, with_ends(told.brier, known=known)),
        (_NLL, with_ends(told.nll, known=known)),
    ]
    if told.fitted is not None:
        facts += [
            (_TEMPERATURE, _temperatures(told)),
            (
                _TEMPERED,
                f"error {_or_nothing(told.fitted_error)} points, "
                f"{told.fitted_nll:.3f} nats",
            ),
        ]
    half = int(np.searchsorted(curve.coverage, 0.5))
    return [
        *facts,
        ("errors, all answered", f"{percent(float(curve.risk[-1]))} %"),
        (_HALF, f"{percent(float(curve.risk[half]))} %"),
        (_AREA, f"{curve.area:.3f}, {curve.best:.3f}"),
    ]


def _or_nothing(value: float) -> str:
    return NOTHING if math.isnan(value) else points(value)


def _temperatures(told: Calibration) -> str:
    values = [float(t) for t in np.ravel(told.fitted.temperatures)]  # type: ignore[union-attr]
    low, high = min(values), max(values)
    return f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"


def _square(across: str, up: str) -> list[Markup]:
    """Draw the axes of a plot of percent against percent."""
    out = []
    for tick in QUARTERS:
        x, y = _x(tick), _y(tick)
        out.append(line(_x(0), y, _x(1), y, "grid"))
        out.append(text(_x(0) - 6, y + 4, f"{100 * tick:.0f}", "tick", "end"))
        out.append(text(x, _y(0) + 16, f"{100 * tick:.0f}", "tick", "middle"))
    out.append(text(_x(0), TOP - 1, up, "tick"))
    out.append(text(_x(1), _y(0) + 32, across, "tick", "end"))
    return out


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - 14)


def _y(share: float) -> float:
    return TOP + 8 + (1 - share) * (SIDE - 8)


def reliability_plot(told: Calibration) -> Markup:
    """Draw accuracy over confidence, a mark per bin; on the line they are equal."""
    bins = told.reliability
    out = _square("said with, %", "right, %")
    out.append(line(_x(0), _y(0), _x(1), _y(1), "reference"))
    columns = (bins.lowest, bins.highest, bins.confidence, bins.accuracy, bins.n)
    places = []
    for low, high, sure, right, n in zip(*(c.tolist() for c in columns), strict=True):
        said = (
            f"{percent(low)} to {percent(high)} %, mean {percent(sure)} %: "
            f"{percent(right)} % of {n} right"
        )
        top, bottom = sorted((_y(right), _y(sure)))
        width = max(2.0, _x(high) - _x(low))
        out.append(box(_x(low), top, width, bottom - top, "gap", said))
        places.append((_x(sure), _y(right)))
        out.append(mark("circle", _x(sure), _y(right), "sex-circle", said))
    out.append(polyline(places, "curve-dev"))
    label = (
        f"Reliability in {len(places)} bins of equally many utterances: expected "
        f"calibration error {points(told.error.value)} points."
    )
    return drawing(WIDTH, _y(0) + 40, label, out, "reliability")


def risk_plot(curve: RiskCoverage) -> Markup:
    """Draw the share of errors over the share of utterances that are answered."""
    chosen = np.unique(np.linspace(0, len(curve.risk) - 1, N_POINTS).astype(int))
    places = [(_x(float(curve.coverage[i])), _y(float(curve.risk[i]))) for i in chosen]
    whole = float(curve.risk[-1])
    out = _square("answered, the surest first, %", "of these wrong, %")
    out.append(line(_x(0), _y(whole), _x(1), _y(whole), "reference"))
    out.append(polyline(_ideal(whole), "curve-train"))
    out.append(polyline(places, "curve-dev"))
    label = (
        f"Errors among the answered utterances: {percent(whole)} % of all, area "
        f"{curve.area:.3f} where the best order gives {curve.best:.3f}."
    )
    return drawing(WIDTH, _y(0) + 40, label, out, "risk")


def _ideal(risk: float) -> list[tuple[float, float]]:
    """Draw the curve on which every right answer is surer than every wrong one."""
    right = 1 - risk
    shares = [0.0, *np.linspace(right, 1, 30).tolist()]
    return [(_x(c), _y(max(0.0, (c - right) / c) if c else 0.0)) for c in shares]
