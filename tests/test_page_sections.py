"""What the page shows where runs allow it: layers, noise, gaps, votes, traits."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

import pipeline
from contracts.run import Run, find_runs
from evaluation import layer_study
from evaluation.auditing.record import read_audits
from evaluation.measures.gaps import all_gaps
from evaluation.measures.metrics import score_run
from models._normalisation import TRANSDUCTIVE
from report._audits import audit_views
from report._map import feature_maps
from report._studies import gap_views, layer_views, robustness_view
from report._votes import votes_view
from report.page import FEW, N_GAPS, write_page
from report.results import results, results_table
from tests.runs import make_run
from tests.synthetic import make_cache, rows
from tests.test_gaps import with_noise
from tests.test_layer_study import asked
from tests.test_layer_study import cache as layers_cache
from tests.test_metrics import with_columns
from tests.test_page_parts import AUDIT

__all__ = ["layers_cache"]
FEW_STRENGTHS = {"strengths": (0.01, 0.1)}


@pytest.fixture(scope="module")
def layer_runs(
    layers_cache: Any, tmp_path_factory: pytest.TempPathFactory
) -> list[Run]:
    """Return one run per layer."""
    folder = tmp_path_factory.mktemp("runs")
    question = asked(layers_cache)
    return layer_study.fit_layers(question, "states", folder, None, FEW_STRENGTHS)


def page_of(runs: list[Run], folder: Path, **more: Any) -> str:
    return write_page(runs, [], [], folder / "page.html", **more).read_text("utf-8")


def drawn(picture: str, kind: str) -> list[ET.Element]:
    """Return the elements of a picture that have a class."""
    root = ET.fromstring(picture)
    return [e for e in root.iter() if kind in e.get("class", "").split()]


def rewritten(run: Run, change: Any) -> Run:
    """Change the prediction rows of a run."""
    for fold in run.record["folds"]:
        path = run.fold_folder(fold["index"]) / "predictions.parquet"
        change(pd.read_parquet(path)).to_parquet(path, index=False)
    return Run(run.folder, run.record)


def test_layers_are_a_curve_with_the_nested_choice_beside_it(
    layer_runs: list[Run], tmp_path: Path
) -> None:
    (found,), (view,) = layer_study.studies(layer_runs), layer_views(layer_runs)

    points = [str(e[0].text) for e in drawn(view["picture"], "pooled")]
    assert [p.split(":")[0] for p in points] == ["layer 0", "layer 1", "layer 2"]
    assert f"{100 * found.uar[2].value:.1f} %" in points[2]
    assert len(drawn(view["picture"], "interval")) == 3
    assert len(drawn(view["picture"], "reference")) == 1
    assert view["nested"].startswith(f"{100 * found.nested.value:.1f} %")
    page = page_of(layer_runs, tmp_path)
    assert "Layer by layer" in page
    assert f"would have shown {view['flattery']} points" in page


def test_degraded_sound_is_drawn_beside_the_same_sound(tmp_path: Path) -> None:
    run = rewritten(make_run(tmp_path / "runs", n_folds=2), with_noise)
    view = robustness_view(run)

    assert view is not None
    names = ["noise-20dB", "noise-5dB", "telephone"]
    assert sorted(r["name"] for r in view["rows"]) == names
    by_name = {r["name"]: r for r in view["rows"]}
    assert by_name["noise-20dB"]["change"] == "+0.0"
    assert float(by_name["noise-5dB"]["change"]) < -20
    assert {e.text for e in drawn(view["picture"], "tick")} >= set(names)
    assert not drawn(view["picture"], "curve-dev")  # names have no order
    page = page_of([run], tmp_path)
    assert "Degraded test utterances" in page
    assert by_name["noise-5dB"]["change_ends"] in page


def test_names_below_a_picture_do_not_run_into_each_other(tmp_path: Path) -> None:
    run = rewritten(make_run(tmp_path / "runs", n_folds=2), with_noise)
    view = robustness_view(run)
    assert view is not None

    known = {r["name"] for r in view["rows"]}
    below = [e for e in drawn(view["picture"], "tick") if e.text in known]
    places = sorted((float(e.get("x", 0)), len(e.text or "")) for e in below)
    assert len(places) == 3
    for (left, n), (right, m) in pairwise(places):
        assert right - left > 6 * (n + m) / 2


def test_gaps_are_those_of_the_evaluation(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs", n_folds=2)
    view = gap_views(run)
    found = all_gaps(run)

    assert [v["column"] for v in view] == ["sex", "intensity"]
    for told, one in zip(view, found, strict=True):
        (gap,) = one.gaps
        name, value, _ = told["gaps"][0]
        assert name == f"{gap.first} less {gap.second}"
        assert value == f"{100 * gap.difference.value:+.1f}"
    page = page_of([run], tmp_path)
    assert "Whom it serves worse" in page
    assert "female less male" in page


def test_a_page_of_many_runs_says_where_gaps_are_left_out(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / "runs", settings={"n": n}, n_folds=2, per_label=1)
        for n in range(FEW + 1)
    ]
    few, many = page_of(runs[:FEW], tmp_path), page_of(runs, tmp_path)

    assert few.count("Whom it serves worse") == FEW
    assert "Gaps between groups" not in few
    assert many.count("Whom it serves worse") == N_GAPS
    assert many.count("Gaps between groups") == FEW + 1 - N_GAPS


def with_votes(run: Run) -> Run:
    """Give each utterance ten votes, most for its label."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        rng = np.random.default_rng(len(table))
        labels = list(run.classes)
        votes = rng.multinomial(4, np.full(len(labels), 1 / len(labels)), len(table))
        votes[np.arange(len(table)), [labels.index(x) for x in table["label"]]] += 6
        names = [f"vote:{label}" for label in labels]
        return table.assign(**dict(zip(names, votes.T / 10.0, strict=True)))

    return rewritten(run, change)


def test_votes_have_their_numbers_and_a_picture_with_ink(tmp_path: Path) -> None:
    run = with_votes(make_run(tmp_path / "runs", n_folds=2))
    view = votes_view(run)

    told = dict(view["votes"])
    assert told["counted"].startswith("768 utterances")
    assert view["annotators"]  # shares do not say how many there were
    ink = {float(e.get("fill-opacity", 1)) for e in drawn(view["tau"], "cell")}
    assert len(ink) > 2
    assert max(ink) == 1
    page = page_of([run], tmp_path)
    assert "Against the votes" in page
    assert told["Kendall's tau-b"] in page
    assert votes_view(make_run(tmp_path / "runs", seed=1, n_folds=2))["votes"] == []


def test_traits_are_a_row_each(tmp_path: Path) -> None:
    truth = np.linspace(0, 1, 768)
    run = make_run(tmp_path / "runs", n_folds=2)
    told = {"trait:arousal": truth, "predicted:arousal": truth / 2}
    run = with_columns(run, **told)
    (view,) = votes_view(run)["traits"]

    assert view.spearman == pytest.approx(1)
    page = page_of([run], tmp_path)
    row = re.search(r'<th scope="row">arousal</th>.*?</tr>', page, re.DOTALL)
    assert row is not None
    assert f"{view.concordance:.3f}" in row[0]
    assert "1.000" in row[0]


def test_what_audit_wrote_is_shown(tmp_path: Path) -> None:
    cache = make_cache(tmp_path / "cache", rows(10)).folder
    words = "--model logistic_regression --feature egemaps --practice random-split"
    told = ["--cache", str(cache), "--runs", str(tmp_path / "runs"), *words.split()]
    assert pipeline.main(["audit", *told]) == 0
    (audit,) = read_audits(tmp_path / "runs")
    (view,) = audit_views([audit])

    assert view["title"] == "logistic_regression · egemaps"
    assert [r["practice"] for r in view["rows"]] == ["honest", "random-split"]
    assert audit.keys() >= AUDIT.keys()
    assert type(audit["features"]) is type(AUDIT["features"])
    assert isinstance(audit["features"][0], type(AUDIT["features"][0]))


@pytest.mark.slow
def test_a_map_by_umap_has_a_place_for_each_utterance(tmp_path: Path) -> None:
    pytest.importorskip("umap", reason="needs umap-learn")
    cache = make_cache(tmp_path / "cache", rows(6))
    words = ["--cache", str(cache.folder), "--runs", str(tmp_path / "runs")]
    assert pipeline.main(["fit", "--model", "logistic_regression", *words]) == 0

    made, problems = feature_maps(find_runs(tmp_path / "runs")[0], cache.folder, "umap")

    assert not problems
    (one,) = made
    assert one.at.shape == (len(one.ids), 2)
    assert np.isfinite(one.at).all()


def test_rows_that_chose_more_are_other_rows_and_say_so(tmp_path: Path) -> None:
    plain = make_run(tmp_path, n_folds=2)
    more = {"temperature": {"parts": 5}}
    soft = make_run(tmp_path, n_folds=2, more=more)
    searched = make_run(
        tmp_path, n_folds=2, more={"search": {"kind": "grid", "space": {"lr": [1, 2]}}}
    )
    found = {tuple(r["runs"]): r["differs"] for r in results([plain, soft, searched])}

    assert found == {
        (plain.run_id,): {},
        (soft.run_id,): {"temperature": "chosen"},
        (searched.run_id,): {"lr of": "1|2"},
    }


def test_rows_on_another_extraction_name_its_fingerprint(tmp_path: Path) -> None:
    one = make_run(tmp_path, n_folds=2)
    again = [{**one.record["features"][0], "fingerprint": "f" * 64}]
    other = make_run(tmp_path, n_folds=2, more={"features": again})
    found = {r["runs"][0]: r["differs"] for r in results([one, other])}

    assert found[other.run_id] == {"fingerprint": "f" * 12}
    assert found[one.run_id] == {
        "fingerprint": one.record["features"][0]["fingerprint"][:12]
    }


def test_a_transductive_head_is_called_so_wherever_it_is_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs", n_folds=2)
    folds = [{**f, "learnt": {"warning": TRANSDUCTIVE}} for f in run.record["folds"]]
    run = Run(run.folder, {**run.record, "folds": folds})

    assert "transductive" in run.warnings
    assert "transductive" in results_table(results([run]))
    badge = '<span class="badge">transductive</span>'
    assert page_of([run], tmp_path).count(badge) >= 2  # in the table and with the run


def test_report_without_runs_fails_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    told = ["report", "--runs", str(tmp_path / "runs"), "--out", str(out)]

    assert pipeline.main(told) == 1
    assert "no finished runs in" in capsys.readouterr().err
    page = out.read_text("utf-8")
    assert "No finished runs yet" in page
    assert "no results yet</h1>" in page

    make_run(tmp_path / "runs", n_folds=2)
    assert pipeline.main(told) == 0
    assert "the results</h1>" in out.read_text("utf-8")


@pytest.mark.slow
def test_exported_figures_open_and_hold_their_labels(
    layer_runs: list[Run], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    from report.export import export

    runs = layer_runs[-2:]
    runs.append(rewritten(make_run(tmp_path / "runs", n_folds=2), with_noise))
    export(runs, [], tmp_path / "out", results(runs))

    said = {}
    for svg in (tmp_path / "out").glob("*.svg"):
        texts = [e.text for e in ET.parse(svg).iter() if e.text]
        said[svg.name.partition("-")[0]] = {text.strip() for text in texts}
        printed = svg.with_suffix(".pdf").read_bytes()
        assert printed.startswith(b"%PDF")
        assert printed.rstrip().endswith(b"%%EOF")
        assert b"/Subject" in printed  # the command that makes it again
    assert said["layers"] >= {"1", "2", "layer", "UAR in %"}
    assert said["speakers"] >= {"speaker", "UAR in %", "01", "10"}
    assert said["degraded"] >= {"noise-5dB", "noise-20dB", "telephone"}
    assert said["confusion"] >= {"said", "true"}
    table = pd.read_csv(next((tmp_path / "out").glob("layers-*.csv")))
    assert table["layer"].tolist() == [1, 2]
    expected = [score_run(run).uar for run in layer_runs[-2:]]
    assert table["uar"].tolist() == pytest.approx(expected, abs=1e-4)
