"""What the page shows where runs allow it: layers, noise, gaps, votes, traits."""

import re
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
from evaluation.measures.calibration import calibration_of
from evaluation.measures.gaps import all_gaps
from evaluation.measures.metrics import score_run
from evaluation.measures.soft_labels import soft_intervals_of
from evaluation.statistics.mean_interval import top_k_interval
from evaluation.statistics.uncertainty import intervals
from models._normalisation import TRANSDUCTIVE
from report._audits import audit_views
from report._certainty import certainty
from report._intervals import BRACKETS
from report._map import feature_maps
from report._run import run_view
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
from tests.test_page_parts import AUDIT, EVIL

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
    assert "Every run here is of a layer study" in page


def test_runs_of_a_layer_study_are_in_no_ranking(
    layer_runs: list[Run], tmp_path: Path
) -> None:
    other = make_run(tmp_path)

    assert [row["runs"] for row in results([*layer_runs, other])] == [[other.run_id]]
    assert len(results(layer_runs[:1])) == 1  # one layer alone is no study


def test_degraded_sound_is_drawn_beside_the_same_sound(tmp_path: Path) -> None:
    run = rewritten(make_run(tmp_path / "runs", n_folds=2), with_noise)
    view = robustness_view(run)

    assert view is not None
    names = ["noise-20dB", "noise-5dB", "telephone"]
    assert sorted(r["name"] for r in view["rows"]) == names
    by_name = {r["name"]: r for r in view["rows"]}
    assert by_name["noise-20dB"]["change"] == "+0.0"
    assert float(by_name["noise-5dB"]["change"]) < -20
    said = [str(e[0].text) for e in drawn(view["picture"], "pooled")]
    assert sorted(one.partition(":")[0] for one in said) == names
    page = page_of([run], tmp_path)
    assert "Degraded test utterances" in page
    assert by_name["noise-5dB"]["change_ends"] in page


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


def test_numbers_against_votes_have_their_intervals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = with_votes(make_run(tmp_path / "runs", n_folds=2, n_speakers=8))
    limits = np.full(len(run.predictions), 0.12)
    assert "the same at" not in " ".join(dict(votes_view(run)["votes"]))
    monkeypatch.setattr(Run, "thresholds", limits)
    sure, view = soft_intervals_of(run), votes_view(run)

    told = dict(view["votes"])
    for name, of in (
        ("most voted label named", "top1"),
        ("among the two likeliest", "top2"),
        ("mean share of the votes", "agreement"),
        ("labels above 0.2, all and no other", "exact_set"),
        ("the same at thresholds chosen in each fold", "exact_set_chosen"),
    ):
        one = sure[of]
        value, low, high = (f"{100 * v:.1f}" for v in (one.value, one.low, one.high))
        assert told[name].startswith(f"{value} % ({low} to {high})")
    for name, of in (
        ("Kendall's tau-b", "tau"),
        ("tau-b, labels above 0.2 of the votes", "tau_of_few"),
        ("Kullback-Leibler, nats", "finite_kl"),
        ("Jensen-Shannon, bits", "jensen_shannon"),
    ):
        one = sure[of]
        said = f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"
        assert told[name].startswith(said)
    assert view["votes_note"] == BRACKETS
    page = page_of([run], tmp_path)
    assert told["the same at thresholds chosen in each fold"] in page


def test_votes_of_few_speakers_have_no_interval_and_one_note(tmp_path: Path) -> None:
    run = with_votes(make_run(tmp_path / "runs", n_folds=2, n_speakers=7))
    view = votes_view(run)

    assert view["votes_note"] == "7 test speakers, fewer than 8: no interval"
    of_few = "tau-b, labels above 0.2 of the votes"
    told = dict(view["votes"])
    assert "(5 test speakers, fewer than 8: no interval)" in told.pop(of_few)
    assert not any("(" in words for words in told.values())
    page = page_of([run], tmp_path)
    assert page.count("7 test speakers, fewer than 8: no interval<") == 2


def test_the_numbers_of_a_run_stand_over_their_intervals(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs", n_folds=2, n_speakers=8)
    sure, page = intervals([run]), page_of([run], tmp_path)

    tiles = re.search(r'<dl class="tiles">.*?</dl>', page, re.DOTALL)
    assert tiles is not None
    for one in (*(sure[m] for m in ("uar", "war", "f1")), top_k_interval(run)):
        said = (
            f"{100 * one.value:.1f}<small>{100 * one.low:.1f} to {100 * one.high:.1f}"
        )
        assert said in tiles[0]
    facts = dict(certainty(run)["facts"])  # type: ignore[index]
    told = calibration_of(run)
    assert told is not None
    for name, one in (
        ("Brier, 0 to 2", told.brier),
        ("negative log likelihood, nats", told.nll),
    ):
        said = f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"
        assert facts[name] == said
        assert said in page


def strips_of(run: Run) -> tuple[dict[str, Any], str]:
    view = run_view(run, with_gaps=False)
    return view, str(view["strips"])


def test_a_strip_has_every_speaker_once_and_says_who(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs", n_folds=2, labels=("a", "b", "c"))
    view, picture = strips_of(run)

    dots = drawn(picture, "dot")
    heights = sorted({float(dot.get("cy", 0)) for dot in dots})
    assert len(heights) == 3
    for code, (label, height) in enumerate(zip(run.classes, heights, strict=True)):
        told: dict[str, str] = {}
        for dot in (d for d in dots if float(d.get("cy", 0)) == height):
            said = str(dot[0].text).split("; ")
            names = [p.partition("): ")[2].split(", ") for p in said]
            assert float(dot.get("r", 0)) ** 2 == pytest.approx(
                9 * sum(map(len, names)), rel=0.35
            )
            for part, who in zip(said, names, strict=True):
                told |= dict.fromkeys(who, part.partition(":")[0])
        rows = run.predictions.assign(said=run.probabilities.argmax(axis=1))
        rows = rows[rows["label"] == label]
        assert told == {
            str(name).removeprefix("ravdess/"): (
                f"{25 * (own['said'] == code).sum():.1f} % "
                f"({(own['said'] == code).sum()} of {len(own)})"
            )
            for name, own in rows.groupby("speaker")
        }
    assert len(drawn(picture, "pooled")) == len(drawn(picture, "whisker")) == 3
    assert f"{label} {100 * view['per_class'][2]['recall']:.1f} %, speakers" in picture
    page = page_of([run], tmp_path)
    assert picture in page
    first = view["speakers"][0]
    cells = "".join(
        f"<td>{r}/{n}" for r, n in zip(first["right"], first["support"], strict=True)
    )
    assert cells in page


def test_strips_of_few_speakers_have_no_interval(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs", n_folds=2, n_speakers=6, labels=("a", "b"))
    _, picture = strips_of(run)

    assert len(drawn(picture, "pooled")) == 2
    assert not drawn(picture, "whisker")


def test_strips_of_very_many_speakers_count_them(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "runs", n_speakers=130, per_label=7, labels=("a", "b"), n_folds=2
    )
    view, picture = strips_of(run)

    said = [str(dot[0].text) for dot in drawn(picture, "dot")]
    counted = [re.fullmatch(r"(\d+) to (\d+) %: (\d+) speakers?", s) for s in said]
    assert all(counted)
    assert sum(int(c[3]) for c in counted if c) == 2 * 130
    assert max(int(c[2]) for c in counted if c) == 100
    assert view["strips_binned"]
    page = page_of([run], tmp_path)
    assert "counted in steps of 5 %" in page
    assert "right of all" not in page


def test_a_label_that_some_or_all_speakers_lack_has_no_dot_of_theirs(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "runs", n_folds=2, n_speakers=8, labels=("a", EVIL, "c"))

    def lacking(table: pd.DataFrame) -> pd.DataFrame:
        lone = (table["label"] == EVIL) & (table["speaker"] != "ravdess/03")
        return table[~lone & (table["label"] != "c")]

    _, picture = strips_of(rewritten(run, lacking))

    said = [str(dot[0].text) for dot in drawn(picture, "dot")]
    assert sum(": 03" in s for s in said) == 1
    assert len(drawn(picture, "pooled")) == 2  # nobody says c
    assert "c – %" in picture
    assert EVIL not in picture


def test_speakers_of_several_corpora_keep_their_whole_name(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs", n_folds=1, n_speakers=8, labels=("a", "b"))

    def renamed(table: pd.DataFrame) -> pd.DataFrame:
        other = table["speaker"] == "ravdess/02"
        return table.assign(speaker=table["speaker"].where(~other, "savee/01"))

    _, picture = strips_of(rewritten(run, renamed))

    said = " ".join(str(dot[0].text) for dot in drawn(picture, "dot"))
    assert said.count("ravdess/01") == said.count("savee/01") == 2


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
    (audit,), _ = read_audits(tmp_path / "runs")
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
    assert said["degraded"] >= {"noise", "20", "5", "telephone"}
    assert said["confusion"] >= {"said", "true"}
    table = pd.read_csv(next((tmp_path / "out").glob("layers-*.csv")))
    assert table["layer"].tolist() == [1, 2]
    expected = [score_run(run).uar for run in layer_runs[-2:]]
    assert table["uar"].tolist() == pytest.approx(expected, abs=1e-4)
