"""What a page's studies leave for print, and the commands beside them."""

import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipeline
from contracts.run import Run, find_runs
from evaluation.measures.gaps import all_gaps
from evaluation.measures.metrics import score_run
from evaluation.measures.robustness import robustness
from evaluation.measures.soft_labels import tau_by_entropy_of
from evaluation.measures.traits import traits_of
from report._colourings import colourings
from report._cross import cross_views
from report._export_run import export_run
from report._exporter import Exporter
from report._layer_weights import layer_weights
from report._map import FeatureMap
from report._scores import part_scores
from report.page import Asked, write_page
from report.results import results
from tests.runs import make_run
from tests.synthetic import make_cache, rows
from tests.test_metrics import with_columns
from tests.test_page_parts import AUDIT, elsewhere
from tests.test_page_sections import with_votes
from tests.test_robustness_curves import degraded, made
from tests.test_traits_only import without_labels

pytest.importorskip("matplotlib", reason="needs matplotlib")
MODEL = ("--model", "logistic_regression", "--feature", "mfcc")
MAP = FeatureMap(
    "mfcc, demo",
    ("a", "b", "c"),
    ("_happy", "", "sad"),
    ("1", "2", "3"),
    np.array([[0.0, 1], [1, 0], [2, 2]]),
    3,
    (0.5, 0.25),
)


def section(page: str, name: str) -> str:
    """Return the part of a page under a heading."""
    found = re.search(f'aria-labelledby="{name}">(.*?)</section>', page, re.DOTALL)
    assert found is not None
    return unescape(found[1])


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def exported(folder: Path, runs: Sequence[Run], *more: Any) -> dict[str, Path]:
    from report.export import export

    n = export(runs, [], folder, results(runs), *more)
    found = {path.name: path for path in folder.iterdir()}
    assert len(found) == n
    assert {row["file"] for row in table(found["commands.csv"])} == set(found) - {
        "commands.csv",
        "commands.tex",
    }
    return found


def test_studies_of_a_page_show_what_makes_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = make_cache(tmp_path / "cache", rows(2, 1), n_layers=1, width=4).folder
    told = ["pipeline.py", "report", "--cache", "c d", "--map", "pca"]
    monkeypatch.setattr("sys.argv", told)
    runs = elsewhere(tmp_path / "runs")
    out = tmp_path / "page.html"

    asked = Asked(audits=[AUDIT], cache=cache)
    page = write_page(runs, [], [], out, asked).read_text("utf-8")

    assert f"<pre>{AUDIT['command']}</pre>" in section(page, "audits")
    cross = section(page, "cross")
    assert "What makes it again: 2 commands" in cross
    for run in runs:
        assert f"<pre>{run.record['command']}</pre>" in cross


def test_a_map_shows_the_command_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = make_cache(tmp_path / "cache", rows(8, 1), n_layers=1, width=4).folder
    words = ["--cache", str(cache), "--runs", str(tmp_path / "runs")]
    assert pipeline.main(["fit", *MODEL, *words]) == 0
    made_by = ["report", *words, "--out", str(tmp_path / "page.html")]
    monkeypatch.setattr("sys.argv", ["/x/pipeline.py", *made_by])
    assert pipeline.main(made_by) == 0

    page = (tmp_path / "page.html").read_text("utf-8")
    said = f"<pre>python pipeline.py report --cache {cache}"
    assert said in section(page, "maps")


def test_what_all_cells_of_a_matrix_must_say_stands_above_it(tmp_path: Path) -> None:
    more = {"kind": "elsewhere", "elsewhere": {"corpus": "a", "labels": "common"}}
    told: dict[str, Any] = {"label_map": "common", "untrained": True}
    home = make_run(tmp_path, corpus="a", n_folds=2, **told)
    away = make_run(tmp_path, corpus="b", n_folds=1, more=more, **told)

    (view,) = cross_views([home, away])

    assert view["warnings"] == ["untrained encoder"]
    (((_, cells),)) = view["rows"]
    assert cells[1]["warnings"][1:] == ("trained on a, tested elsewhere",)
    assert view["commands"] == [r.record["command"] for r in (home, away)]


def test_robustness_in_print_has_the_weak_on_the_left(tmp_path: Path) -> None:
    from report._study_figures import robustness_figure

    shares = {"noise-20dB": 0.7, "noise-0dB": 0.3, "reverb-0.3s": 0.6}
    shares |= {"reverb-0.9s": 0.5, "telephone": 0.5, "mp3-16k": 0.5}
    found = robustness(made(tmp_path, shares))

    axes = robustness_figure(found).axes

    assert [one.get_title() for one in axes] == ["noise", "reverb", ""]
    assert axes[0].get_xlabel() == "dB of signal over noise"
    left, right = axes[0].get_xlim()
    assert left > 20 > 0 > right
    assert axes[1].get_xlim()[0] < 0.3 < 0.9 < axes[1].get_xlim()[1]
    assert [t.get_text() for t in axes[2].get_xticklabels()] == ["mp3-16k", "telephone"]
    assert axes[0].get_ylim() == axes[2].get_ylim()
    (curve,) = [line for line in axes[0].lines if line.get_marker() == "D"]
    assert np.asarray(curve.get_ydata())[1] == pytest.approx(100 * found[2].uar.value)


def test_a_matrix_in_print_says_each_cell_with_its_interval(tmp_path: Path) -> None:
    from report._study_figures import cross_figure

    (view,) = cross_views(elsewhere(tmp_path))
    (axes,) = cross_figure(view).axes

    (((_, cells),)) = view["rows"]
    said = [text.get_text() for text in axes.texts]
    assert said == [f"{100 * c['uar']:.1f}\n{c['ends']}" for c in cells]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["a", "b"]
    assert [text.get_fontweight() for text in axes.texts] == ["bold", "normal"]


def test_a_map_in_print_has_each_label_once() -> None:
    from report._study_figures import map_figure

    (axes,) = map_figure(MAP, colourings(MAP, [])[0]).axes

    legend = axes.get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["_happy", "no label", "sad"]
    assert sum(len(np.asarray(drawn.get_offsets())) for drawn in axes.collections) == 3
    assert "50.0 %" in axes.get_xlabel()


def test_a_map_is_coloured_by_emotion_speaker_and_error(tmp_path: Path) -> None:
    from report._study_figures import map_figure

    run = make_run(tmp_path, n_folds=2, per_label=1, strength=1)
    guess = np.array(run.classes)[run.probabilities.argmax(axis=1)]
    both = run.predictions["id"], run.predictions["label"] == guess
    right = dict(zip(*both, strict=True))
    ids = (*list(right)[:40], "other/1.wav")
    speakers = tuple(map(str, range(41)))
    many = replace(MAP, ids=ids, labels=("sad",) * 41, speakers=speakers)
    few = replace(many, speakers=("_1",) * 41, at=np.zeros((41, 2)))

    assert [by.name for by in colourings(many, [run])] == ["emotion", "error"]
    assert [by.name for by in colourings(MAP, [run])] == ["emotion", "speaker"]
    _, speaker, error = colourings(few, [without_labels(make_run(tmp_path)), run])
    told = ["right" if right[i] else "wrong" for i in ids[:-1]]
    assert list(error.kinds) == [*told, "not tested"]
    (axes,) = map_figure(few, error).axes
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_title().get_text() == "error of random_forest"
    assert len(legend.get_texts()) == 3
    (axes,) = map_figure(few, speaker).axes
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["_1"]


def test_runs_of_traits_leave_traits_and_no_empty_labels(tmp_path: Path) -> None:
    labelled = make_run(tmp_path / "runs", model="mine", n_folds=2, per_label=1)
    run = without_labels(labelled)

    found = exported(tmp_path / "out", [run])

    assert {name.partition("-")[0] for name in found} == {
        *("concordance", "traits"),
        *("commands.csv", "commands.tex"),
    }
    (expected,) = traits_of(run) or ()
    ends = (expected.concordance, expected.interval.low, expected.interval.high)
    by_kind = {n.partition("-")[0]: table(p) for n, p in found.items() if "csv" in n}
    for (row,) in (by_kind["concordance"], by_kind["traits"]):
        assert row["trait"] == "valence"
        told = [float(row[name]) for name in ("concordance", "low", "high")]
        assert told == pytest.approx(ends, abs=1e-4)
        assert float(row["spearman"]) == pytest.approx(expected.spearman, abs=1e-4)
        assert int(row["utterances"]) == 24 * 8
    assert by_kind["concordance"][0]["model"] == "mine"
    (drawn,) = (p for n, p in found.items() if n.startswith("conc") and "svg" in n)
    assert "valence" in drawn.read_text("utf-8")


def test_concordance_in_print_has_its_interval(tmp_path: Path) -> None:
    from report._figures import traits_figure

    run = without_labels(make_run(tmp_path, n_folds=2, per_label=1))
    (row,) = results([run])
    (one,) = row["traits"]

    (axes,) = traits_figure([row | {"name": "mine"}]).axes

    interval, mark, zero = axes.lines
    assert interval.get_xdata() == pytest.approx(
        [one["interval"].low, one["interval"].high]
    )
    assert mark.get_xdata() == pytest.approx([one["interval"].value])
    assert zero.get_xdata() == pytest.approx([0, 0])
    assert axes.get_yticklabels()[0].get_text() == "valence · mine"


def test_a_run_that_says_both_leaves_both(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs", n_folds=2, per_label=1)
    truth = np.linspace(0, 1, len(run.predictions))
    run = with_columns(run, **{"trait:a": truth, "predicted:a": truth / 2})
    out = Exporter(tmp_path / "out")

    export_run(out, run)

    kinds = {name.partition("-")[0] for name, _ in out.made}
    assert kinds >= {"confusion", "per", "strips", "traits"}
    rows = table(out.folder / f"strips-{run.run_id}.csv")
    guess = np.array(run.classes)[run.probabilities.argmax(axis=1)]
    by_hand = run.predictions.assign(right=run.predictions["label"] == guess)
    places = by_hand.groupby(["speaker", "label"])["right"]
    assert {(r["speaker"], r["label"]): (r["right"], r["of"]) for r in rows} == {
        place: (str(right.sum()), str(len(right))) for place, right in places
    }


def test_a_strip_in_print_has_all_speakers_and_the_recall_of_all(
    tmp_path: Path,
) -> None:
    from matplotlib.collections import PathCollection

    from report._study_figures import strips_figure

    run = make_run(tmp_path, n_folds=2, labels=("_a", "b", "c"))

    (axes,) = strips_figure(run, part_scores(run, "speaker")).axes

    whole = score_run(run)
    for dots, recall in zip(axes.collections, whole.recall, strict=True):
        assert isinstance(dots, PathCollection)
        sizes, places = dots.get_sizes(), np.asarray(dots.get_offsets())[:, 0]
        assert sizes.sum() == 8 * 24
        assert places @ sizes / (8 * 24) == pytest.approx(100 * recall)
    diamonds = [line for line in axes.lines if line.get_marker() == "D"]
    told = [np.asarray(one.get_xdata()).item() for one in diamonds]
    assert told == pytest.approx(100 * whole.recall)
    assert len(axes.lines) == 3 + 3 + 1  # intervals, recalls, chance
    assert [t.get_text() for t in axes.get_yticklabels()] == ["_a", "b", "c"]


def test_layer_weights_are_told_by_feature_with_their_layers() -> None:
    def fold(index: int, weights: Any, **more: Any) -> dict[str, Any]:
        return {"index": index, "learnt": {"layer_weights": weights, **more}}

    plain = layer_weights([fold(0, [0.2, 0.8], layers=[4, 9]), fold(3, [0.5, 0.5])])
    named = layer_weights([fold(1, {"a": [0.1] * 13, "b": [1.0, 0.0], "c": []})])

    assert plain[""].layers == (4, 9)
    assert plain[""].folds == (0, 3)
    assert plain[""].weights == ((0.2, 0.8), (0.5, 0.5))
    assert {name: told.layers for name, told in named.items()} == {
        "a": tuple(range(13)),
        "b": (1, 2),
    }
    assert layer_weights([{"index": 0, "learnt": {}}]) == {}


def test_weights_and_votes_in_print(tmp_path: Path) -> None:
    from report._study_figures import tau_figure, weights_figure

    run = with_votes(make_run(tmp_path, model="vgg", n_folds=2, per_label=1))
    told = layer_weights(run.record["folds"])[""]
    (axes,) = weights_figure(told).axes
    mean = axes.lines[-1].get_ydata()
    assert mean == pytest.approx(np.mean(told.weights, axis=0))
    by_entropy = tau_by_entropy_of(run)
    assert by_entropy is not None

    (axes,) = tau_figure(by_entropy).axes

    known = ~np.isnan(by_entropy.mean)
    assert axes.lines[0].get_ydata() == pytest.approx(by_entropy.mean[known])


def test_a_figure_and_its_table_have_one_name_and_no_two_files_are_one(
    tmp_path: Path,
) -> None:
    from report._study_figures import map_figure

    out, emotions = Exporter(tmp_path), colourings(MAP, [])[0]
    for _ in range(2):
        out.figure(map_figure(MAP, emotions), "make it", "map", "a/b")
        out.table(("x",), [(1,)], "make it", "map", "a/b")
    out.table(("x",), [], "make it", "empty")
    out.finish()

    names = {
        f"map-a_b{n}.{e}" for n in ("", ".2") for e in ("svg", "pdf", "csv", "tex")
    }
    assert {p.name for p in tmp_path.iterdir()} == names | {
        "commands.csv",
        "commands.tex",
    }
    assert {row["command"] for row in table(tmp_path / "commands.csv")} == {"make it"}
    assert "make it" in (tmp_path / "map-a_b.svg").read_text("utf-8")


@pytest.mark.slow
def test_a_run_leaves_all_that_its_page_shows(tmp_path: Path) -> None:
    run = with_votes(make_run(tmp_path / "runs", model="vgg", n_folds=2, per_label=2))
    run = degraded(run, {"noise-10dB": 0.5, "noise-0dB": 0.3, "telephone": 0.4})

    found = exported(tmp_path / "out", [run])

    kinds = {name.partition("-")[0] for name in found if name.endswith(".svg")}
    assert kinds >= {"ranking", "confusion", "degraded", "tau", "weights"}
    by_kind = {n.partition("-")[0]: table(p) for n, p in found.items() if "csv" in n}
    told = robustness(run)
    assert [row["variant"] for row in by_kind["degraded"]] == [o.name for o in told]
    for row, one in zip(by_kind["degraded"], told, strict=True):
        assert float(row["change low"]) == pytest.approx(one.change.low, abs=1e-4)
        assert int(row["utterances"]) == one.n
        assert int(row["speakers"]) == 24
    gap = by_kind["gaps"][0]
    assert (gap["column"], gap["first"], gap["second"]) == ("sex", "female", "male")
    expected = all_gaps(run)[0].gaps[0].difference
    told_of = [float(gap[name]) for name in ("difference", "low", "high")]
    ends = [expected.value, expected.low, expected.high]
    assert told_of == pytest.approx(ends, abs=1e-4)
    votes = {row["measure"]: row for row in by_kind["votes"]}
    for name in ("top1", "tau.mean", "jensen_shannon"):
        low, value, high = (float(votes[name][x]) for x in ("low", "value", "high"))
        assert low < value < high
    assert len(by_kind["weights"]) == 2
    own = [r for r in table(found["commands.csv"]) if r["file"].startswith("degraded")]
    assert len(own) == 4
    assert all(r["command"].startswith(run.record["command"] + " && ") for r in own)


@pytest.mark.slow
def test_several_runs_leave_a_matrix_and_maps(tmp_path: Path) -> None:
    cache = make_cache(tmp_path / "cache", rows(8, 1), n_layers=1, width=4).folder
    words = ["--cache", str(cache), "--runs", str(tmp_path / "fitted")]
    assert pipeline.main(["fit", *MODEL, *words]) == 0
    runs = [*elsewhere(tmp_path / "runs"), *find_runs(tmp_path / "fitted")[0]]

    found = exported(tmp_path / "out", runs, "", cache)

    names = {f"map-mfcc_toy-{by}.svg" for by in ("emotion", "speaker", "error")}
    assert {*names, "map-mfcc_toy.csv", "map-mfcc_toy-error.pdf"} <= set(found)
    points = table(found["map-mfcc_toy.csv"])
    assert len(points) == 32
    fitted = runs[-1]
    guess = np.array(fitted.classes)[fitted.probabilities.argmax(axis=1)]
    told = fitted.predictions["id"], fitted.predictions["label"] == guess
    right = dict(zip(*told, strict=True))
    errors = {p["utterance"]: p["error of logistic_regression"] for p in points}
    assert errors == {i: "right" if good else "wrong" for i, good in right.items()}
    cells = table(found["cross-1-cells.csv"])
    assert [(c["trained on"], c["tested on"]) for c in cells] == [
        ("a", "a"),
        ("a", "b"),
    ]
    for cell, run in zip(cells, runs, strict=False):
        assert float(cell["uar"]) == pytest.approx(score_run(run).uar, abs=1e-4)
        assert float(cell["low"]) < float(cell["uar"]) < float(cell["high"])
        assert cell["speakers"] == "24"
        assert cell["run"] == run.run_id
    drawn = found["cross-1.svg"].read_text("utf-8")
    for run in runs[:2]:
        assert run.record["command"] in drawn
