"""Degraded sound as curves: the order of levels, and what a picture shows of them."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from contracts.run import Run
from evaluation.measures.robustness import Degraded, curves, robustness
from evaluation.statistics.uncertainty import Interval
from report._columns_plot import Column, span
from report._robustness_plot import level_words, robustness_plots
from report._studies import gap_views, robustness_view
from report.page import write_page
from tests.runs import make_run
from tests.test_gaps import of_intensity, rewritten, right

SHARES = {"noise-20dB": 0.7, "noise-15dB": 0.6, "noise-0dB": 0.2}


def degraded(run: Run, shares: Mapping[str, float], without: str = "") -> Run:
    """Add variants that are right so often; some utterances lack one of them."""

    def change(rows: pd.DataFrame) -> pd.DataFrame:
        out = [right(rows, 0.8, np.ones(len(rows), bool))]
        for name, share in shares.items():
            told = f"degrade:{name}#1"
            part = out[0].iloc[: len(rows) - 60 * (name == without)]
            part = part.assign(variant=told, id=part["id"] + f"~{told}")
            out.append(right(part, share, np.ones(len(part), bool)))
        return pd.concat(out, ignore_index=True)

    return rewritten(run, change)


def made(
    folder: Path, names: Mapping[str, float], without: str = "", **more: Any
) -> Run:
    run = make_run(folder, **{"n_folds": 1, "per_label": 2, "n_speakers": 10} | more)
    return degraded(run, names, without)


def entry(name: str, value: float = 0.5, clean: float = 0.6) -> Degraded:
    """Make an entry whose kind and level are read by the module itself."""
    from evaluation.measures.robustness import _level

    kind, _, parameter = name.partition("-")
    sure = Interval(value, value - 0.1, value + 0.1, 24)
    as_it_was = Interval(clean, clean - 0.1, clean + 0.1, 24)
    change = Interval(value - clean, value - clean, value - clean, 24)
    return Degraded(name, kind, *_level(parameter), sure, as_it_was, change, 96)


def elements(picture: str, kind: str) -> list[ET.Element]:
    root = ET.fromstring(picture)
    return [e for e in root.iter() if kind in e.get("class", "").split()]


def panels(picture: str) -> list[str]:
    """Return the drawings of a picture, one after the other."""
    root = ET.fromstring(picture)
    return [ET.tostring(e, "unicode") for e in root.iter("svg")]


def places(panel: str, kind: str = "tick") -> dict[str, float]:
    """Return what is written below the axis, and where."""
    ticks = [e for e in elements(panel, kind) if e.get("text-anchor") == "middle"]
    return {str(e.text): float(e.get("x", "nan")) for e in ticks}


def test_variants_stand_by_kind_and_from_weak_to_strong(tmp_path: Path) -> None:
    asked = ["noise", "noise-0dB", "gain-6dB", "mp3-16k", "noise-20dB", "gain-m20dB"]
    asked += ["reverb-0.9s", "mp3-128k", "telephone", "reverb-0.3s", "noise-5.5dB"]
    found = robustness(made(tmp_path, dict.fromkeys(asked, 0.5)))

    assert [one.name for one in found] == [
        *("gain-m20dB", "gain-6dB", "mp3-128k", "mp3-16k"),
        *("noise-20dB", "noise-5.5dB", "noise-0dB", "noise"),
        *("reverb-0.3s", "reverb-0.9s", "telephone"),
    ]
    told = {one.name: (one.level, one.unit) for one in found}
    assert told["gain-m20dB"] == (-20, "dB")
    assert told["noise-5.5dB"] == (5.5, "dB")
    assert told["reverb-0.9s"] == (0.9, "s")
    assert told["mp3-16k"] == (16, "k")
    assert np.isnan(told["telephone"][0])


def test_rows_of_the_page_have_that_order(tmp_path: Path) -> None:
    view = robustness_view(made(tmp_path, SHARES))

    assert view is not None
    assert [row["name"] for row in view["rows"]] == list(SHARES)
    changes = [float(row["change"]) for row in view["rows"]]
    assert changes == sorted(changes, reverse=True)
    (command,) = view["commands"]
    assert command == "python pipeline.py fit --corpus ravdess --model random_forest"


def test_only_kinds_with_two_levels_are_curves() -> None:
    names = ["mp3-16k", "noise-20dB", "noise-0dB", "noise", "telephone"]

    over_levels, others = curves([entry(name) for name in names])

    assert [[one.name for one in own] for own in over_levels] == [
        ["noise-20dB", "noise-0dB"]
    ]
    assert [one.name for one in others] == ["mp3-16k", "noise", "telephone"]


@pytest.mark.parametrize(
    ("names", "level"),
    [
        (("gain-m20dB", "gain-6dB"), 0.0),
        (("pitch-m2", "pitch-m1", "pitch-2"), 0.0),
        (("speed-0.9", "speed-1.1"), 1.0),
    ],
)
def test_a_curve_goes_through_sound_as_it_was(
    names: tuple[str, ...], level: float
) -> None:
    ((*own,),), _ = curves([entry(name) for name in names])

    assert [one.level for one in own] == sorted(one.level for one in own)
    (whole,) = [one for one in own if one.name == "as it was"]
    assert whole.level == level
    assert whole.uar == whole.clean
    assert whole.change.value == whole.change.low == whole.change.high == 0


@pytest.mark.parametrize(
    "names",
    [
        ("gain-m20dB", "gain-m6dB"),
        ("gain-m6dB", "gain-0dB", "gain-6dB"),
        ("noise-m5dB", "noise-5dB"),
    ],
)
def test_nothing_is_put_where_it_is_measured_or_not_between(
    names: tuple[str, ...],
) -> None:
    ((*own,),), _ = curves([entry(name) for name in names])

    assert [one.name for one in own] == list(names)


def test_levels_are_placed_by_their_size_with_their_unit(tmp_path: Path) -> None:
    view = robustness_view(made(tmp_path, SHARES))
    assert view is not None
    (panel,) = panels(view["picture"])

    at = places(panel)
    assert list(at) == ["20", "15", "0"]
    assert at["0"] - at["15"] == pytest.approx(3 * (at["15"] - at["20"]), rel=0.01)
    words = {e.text for e in elements(panel, "tick")}
    assert words >= {"noise: UAR %", "dB of signal over noise"}
    (curve,) = elements(panel, "curve-dev")
    heights = [float(p.split(",")[1]) for p in curve.get("points", "").split()]
    assert heights == sorted(heights)  # lower scores are further down
    titles = [str(e[0].text) for e in elements(panel, "pooled")]
    assert [title.split(":")[0] for title in titles] == list(SHARES)
    assert len(elements(panel, "interval")) == 3
    assert len(elements(panel, "reference")) == 1


def test_the_dashed_line_is_that_of_the_same_utterances() -> None:
    names = [("noise-20dB", 0.7), ("noise-10dB", 0.7), ("noise-0dB", 0.5)]
    (panel,) = panels(robustness_plots([entry(n, 0.4, c) for n, c in names]))

    lines = elements(panel, "reference")
    ends = [(float(e.get("x1", "nan")), float(e.get("x2", "nan"))) for e in lines]
    heights = [float(e.get("y1", "nan")) for e in lines]
    assert len(lines) == 2
    assert heights[0] < heights[1]
    assert ends[0][1] == ends[1][0] > places(panel)["10"]


def test_all_pictures_have_one_axis() -> None:
    told = [entry("noise-20dB", 0.6), entry("noise-0dB", 0.3), entry("telephone", 0.9)]
    curve, columns = panels(robustness_plots(told))

    def axis(panel: str) -> dict[str, str]:
        left = [e for e in elements(panel, "tick") if e.get("text-anchor") == "end"]
        return {str(e.text): e.get("y", "") for e in left if str(e.text).isdigit()}

    assert axis(curve) == axis(columns)
    assert list(axis(curve)) == ["20", "40", "60", "80", "100"]
    assert list(places(columns)) == ["telephone"]
    assert not elements(columns, "curve-dev")  # names have no order


def test_names_and_numbers_do_not_run_into_each_other() -> None:
    names = ["noise-40dB", "noise-39.5dB", "noise-39dB", "noise-10dB", "noise-m20dB"]
    names += ["mp3-16k", "telephone"]
    curve, columns = panels(robustness_plots([entry(name) for name in names]))

    assert len(elements(curve, "pooled")) == 5  # a mark without a number stays
    for panel in (curve, columns):
        at = sorted((x, len(name)) for name, x in places(panel).items())
        assert len(at) >= 2
        for (left, n), (x, m) in pairwise(at):
            assert x - left >= 6 * (n + m) / 2
        width = float(str(ET.fromstring(panel).get("viewBox")).split()[2])
        assert at[0][0] - 3 * at[0][1] > 0
        assert at[-1][0] + 3 * at[-1][1] < width


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_equal_scores_have_an_axis_around_them(value: float) -> None:
    one = Interval(value, value, value, 24)
    low, high = span([Column("1", "layer 1", one, value)])

    assert 0 <= low <= value <= high <= 1
    assert high - low == pytest.approx(0.1)


def test_few_speakers_have_marks_and_no_band(tmp_path: Path) -> None:
    view = robustness_view(made(tmp_path, SHARES, n_speakers=4))
    assert view is not None

    assert len(elements(view["picture"], "pooled")) == 3
    assert not elements(view["picture"], "interval")
    assert "nan" not in view["picture"]


def test_few_speakers_are_each_shown_with_the_reason(tmp_path: Path) -> None:
    runs = {n: made(tmp_path / str(n), SHARES, n_speakers=n) for n in (3, 10, 16)}
    pages = {
        n: write_page([run], [], [], tmp_path / f"{n}.html").read_text("utf-8")
        for n, run in runs.items()
    }
    bars = "the bars 95 % over speakers"
    too_few = "3 test speakers, fewer than 8: no interval, see each speaker"
    in_group = "5 speakers in one group, fewer than 8: no interval"

    assert bars not in pages[3]
    assert bars in pages[10] and bars in pages[16]
    assert too_few in pages[3] and too_few not in pages[10]
    assert in_group in pages[10] and in_group not in pages[16]
    (noise,) = [d for d in robustness(runs[3]) if d.name == "noise-0dB"]
    for who, uar in noise.speakers:
        assert f"{who} {100 * uar:.1f}" in pages[3]
    view = robustness_view(runs[3])
    assert view is not None
    assert [name for name, _ in view["speakers"]] == list(SHARES)
    assert len(view["notes"]) == 1
    women = gap_views(runs[10])[0]["speakers"][0]
    assert women[0] == "female"
    assert women[1].count("ravdess/") == 5
    assert women[1] in pages[10]
    assert "UAR in % of each speaker" not in pages[16]


def test_a_trait_with_many_values_is_a_sentence_on_the_page(tmp_path: Path) -> None:
    run = rewritten(made(tmp_path, {}), of_intensity(40))

    page = write_page([run], [], [], tmp_path / "page.html").read_text("utf-8")

    assert "intensity has 40 values, more than 12: bin it" in page
    assert "UAR in % by intensity" not in page


def test_each_variant_is_beside_its_own_utterances(tmp_path: Path) -> None:
    found = robustness(made(tmp_path, SHARES, without="noise-0dB"))

    assert [one.n for one in found] == [160, 160, 100]
    assert found[0].clean == found[1].clean != found[2].clean


def test_levels_are_named_as_the_plug_in_does() -> None:
    said = {n: level_words(entry(n)) for n in ("noise-5dB", "mp3-16k", "speed-0.9")}

    assert said == {
        "noise-5dB": "dB of signal over noise",
        "mp3-16k": "kbit/s",
        "speed-0.9": "a factor",
    }
    assert level_words(entry("wind-3bft")) == "bft"
    assert level_words(entry("wind-3")) == "level"
