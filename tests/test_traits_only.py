"""Runs that say traits alone, from the command line on: fit, report, compare."""

import io
import json
import re
import shutil
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pipeline
from contracts.cache import Cache
from contracts.run import Run, find_runs
from evaluation.measures.traits import concordance
from evaluation.transfer import elsewhere
from report._players import instructive
from report._utterances import data_block, pack
from report.page import write_page
from report.results import results, results_table
from tests.runs import make_run
from tests.synthetic import make_cache, rows

VALENCE = {"neutral": 3.0, "happy": 4.0, "sad": 2.0, "angry": 1.5}
ACTIVATION = {"neutral": 2.0, "happy": 4.0, "sad": 1.0, "angry": 5.0}


def annotated(n_speakers: int, corpus: str = "toy") -> pd.DataFrame:
    """Return manifest rows with two traits in numbers, one of them with gaps."""
    frame = rows(n_speakers, corpus=corpus)
    rng = np.random.default_rng(1)
    for name, means in (("valence", VALENCE), ("activation", ACTIVATION)):
        drawn = rng.normal(0, 0.3, len(frame))
        frame[f"trait:{name}"] = frame["label"].map(means).astype(float) + drawn
    frame.loc[5, "trait:activation"] = np.nan
    return frame


def told(*words: str, fails: bool = False) -> str:
    """Run the program and return what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = pipeline.main(words)
    assert (code != 0) == fails, out.getvalue() + err.getvalue()
    return err.getvalue() if fails else out.getvalue()


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fit a regression of traits well and badly, and a head of labels; read only."""
    folder = tmp_path_factory.mktemp("traits")
    frame = annotated(8)
    make_cache(folder / "cache", frame, n_layers=2, width=48)
    where = ["--cache", str(folder / "cache"), "--runs", str(folder / "runs")]
    alone = ["multitask.emotions=False", 'multitask.traits=["valence","activation"]']
    asked = ["fit", "--corpus", "toy", "--protocol", "speakers-5fold", *where]
    for more in (["lr=0.003", "max_epochs=6"], ["lr=0.0001", "max_epochs=1"]):
        told(*asked, "--model", "multitask", "--set", *alone, *more)
    told(*asked, "--model", "prior")
    return folder


def names(folder: Path, rate: float) -> list[str]:
    runs, _ = find_runs(folder / "runs")
    return [r.run_id for r in runs if r.record["settings"].get("lr") == rate]


def test_the_report_has_a_box_of_its_own_for_them(fitted: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"

    said = told("report", "--runs", str(fitted / "runs"), "--out", str(out))

    assert (
        "toy, traits activation, valence, protocol speakers-5fold (not ranked)" in said
    )
    assert re.search(r"\(lr=0\.003, max_epochs=6\) .* valence +0\.[89]\d\d  0\.", said)
    assert "toy, labels identity, protocol speakers-5fold (chance 25.0 %)" in said
    page = out.read_text(encoding="utf-8")
    assert "How near does each head come to" in page
    assert "so they have no UAR and no rank." in page
    assert page.index("How well does prior tell") < page.index(
        "How near does each head"
    )
    assert "nan" not in re.sub(
        r"<script.*?</script>|<style.*?</style>", "", page, flags=re.S
    )


def test_a_page_of_nothing_else_is_made(fitted: Path, tmp_path: Path) -> None:
    runs, _ = find_runs(fitted / "runs")
    alone = [run for run in runs if run.record["model"] == "multitask"]

    page = write_page(alone, [], [], tmp_path / "page.html").read_text(encoding="utf-8")

    assert "This run says traits, and no labels" in page
    assert "Folds without a label" not in page


def test_rows_are_by_mean_concordance_and_without_rank(fitted: Path) -> None:
    runs, _ = find_runs(fitted / "runs")

    found = [row for row in results(runs) if not row["says_labels"]]

    means = [np.mean([t["interval"].value for t in row["traits"]]) for row in found]
    assert [row["rank"] for row in found] == [None, None]
    assert means[0] > means[1] + 0.2
    by_hand = next(r for r in runs if r.run_id == found[0]["runs"][0]).predictions
    both = by_hand["trait:activation"], by_hand["predicted:activation"]
    activation = next(t for t in found[0]["traits"] if t["trait"] == "activation")
    assert activation["interval"].value == pytest.approx(concordance(*both))
    assert activation["n"] == len(by_hand) - 1
    assert "% " not in results_table(found).splitlines()[1].replace("95 % ", "")


def test_runs_as_json_have_traits_and_no_scores_of_labels(fitted: Path) -> None:
    listed = json.loads(told("runs", "--json", "--runs", str(fitted / "runs")))

    (good,) = names(fitted, 0.003)
    metrics = next(run for run in listed if run["run_id"] == good)["metrics"]
    assert metrics["uar"] is metrics["f1"] is metrics["confusion"] is None
    assert [t["trait"] for t in metrics["traits"]] == ["valence", "activation"]
    assert all(t["low"] < t["concordance"] < t["high"] for t in metrics["traits"])


def test_compare_is_by_concordance(fitted: Path) -> None:
    (good,), (bad,) = names(fitted, 0.003), names(fitted, 0.0001)
    where = ["--runs", str(fitted / "runs")]

    said = told("compare", bad, good, *where)
    as_json = json.loads(told("compare", bad, good, *where, "--json"))

    assert f"{good} against {bad}, valence: concordance +" in said
    assert said.count(": better\n") == 2
    assert [p["verdict"] for p in as_json["pairs"]] == ["better", "better"]
    assert as_json["pairs"][0]["family"] == 2


def test_compare_of_traits_with_labels_is_one_sentence(fitted: Path) -> None:
    (good,), (bad,) = names(fitted, 0.003), names(fitted, 0.0001)
    where = ["--runs", str(fitted / "runs")]

    said = told("compare", good, "prior", *where, fails=True)
    assert f"{good} say traits and no labels, so there is no UAR to compare" in said
    said = told("compare", good, "prior", *where, "--metric", "concordance", fails=True)
    assert "predicted no trait: expected runs of a head that does" in said
    said = told("compare", good, bad, *where, "--metric", "war", fails=True)
    assert "so there is no WAR to compare" in said


def test_elsewhere_it_is_refused_in_one_sentence(fitted: Path) -> None:
    (good,) = names(fitted, 0.003)
    where = ["--runs", str(fitted / "runs"), "--cache", str(fitted / "cache")]

    said = told("evaluate", good, "--corpus", "toy", *where, fails=True)

    assert said.count("\n") == 1


def without_labels(run: Run) -> Run:
    """Put traits in place of a run's probabilities."""
    for fold in run.record["folds"]:
        path = run.fold_folder(fold["index"]) / "predictions.parquet"
        told = pd.read_parquet(path)
        told[[c for c in told if c.startswith("p:")]] = np.nan
        rng = np.random.default_rng(fold["index"])
        told["trait:valence"] = rng.normal(3, 1, len(told))
        own = [*run.record["model"].encode(), run.record["seed"], fold["index"]]
        noise = np.random.default_rng(own).normal(0, 1, len(told))
        told["predicted:valence"] = told["trait:valence"] + noise
        told.to_parquet(path, index=False)
    return Run(run.folder, run.record)


def test_nothing_was_said_wrong(tmp_path: Path) -> None:
    run = without_labels(make_run(tmp_path, n_speakers=5))

    packed = pack([run], {run.run_id: ("link", "name")})

    assert instructive([run], 5) == []
    assert packed["runs"][0]["p"] == ""
    assert packed["left"] == ""
    assert "says traits, and no labels" in packed["runs"][0]["part"]
    assert data_block(packed)


def test_json_of_traits_says_what_is_to_be_known_of_systems(tmp_path: Path) -> None:
    for model in ("one", "two"):
        without_labels(make_run(tmp_path, model=model, untrained=model == "two"))

    said = told("compare", "one", "two", "--json", "--runs", str(tmp_path))

    first, second = json.loads(said)["systems"]
    assert (first["name"], first["warnings"], first["traits"]) == (
        *("one", []),
        ["valence"],
    )
    assert second["warnings"] == ["untrained encoder"]


def test_unlike_protocols_of_traits_are_said(tmp_path: Path) -> None:
    for name, kind in (("one", "speaker5"), ("two", "loso")):
        without_labels(make_run(tmp_path, model=name, protocol=kind))

    said = told("compare", "one", "two", "--runs", str(tmp_path))

    assert "unlike protocols (speaker5, loso): a difference may be theirs" in said
    assert "smallest true difference seen with 80 % power here: 0." in said


def test_seeds_tested_on_other_utterances_are_all_scored(tmp_path: Path) -> None:
    runs = [without_labels(make_run(tmp_path, seed=seed)) for seed in (0, 1)]
    for fold in runs[1].record["folds"]:
        path = runs[1].fold_folder(fold["index"]) / "predictions.parquet"
        rows = pd.read_parquet(path)
        rows[rows["id"].str.contains("-[01].wav")].to_parquet(path, index=False)
    runs = [Run(run.folder, run.record) for run in runs]

    (row,) = results(runs)

    (one,) = row["traits"]
    each = [
        concordance(r.predictions["trait:valence"], r.predictions["predicted:valence"])
        for r in runs
    ]
    assert one["interval"].value == pytest.approx(np.mean(each))
    assert np.isnan(one["interval"].low)
    assert (
        one["interval"].note == "each seed was tested on other utterances: no interval"
    )
    assert (one["n_least"], one["n"]) == (384, 768)
    page = write_page(runs, [], [], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "384 to 768<br>" in page
    assert "tested on other utterances, concordance is a mean over seeds too" in page
    assert "No interval" in page


def test_seeds_tested_on_the_same_are_pooled(tmp_path: Path) -> None:
    runs = [without_labels(make_run(tmp_path, seed=seed)) for seed in (0, 1)]

    page = write_page(runs, [], [], tmp_path / "page.html").read_text(encoding="utf-8")

    assert "all folds and seeds pooled; Spearman" in page
    assert "a mean over seeds too" not in page


def test_each_of_few_speakers_is_told_instead_of_an_interval(tmp_path: Path) -> None:
    runs = [
        without_labels(make_run(tmp_path, seed=seed, n_speakers=5)) for seed in (0, 1)
    ]

    (row,) = results(runs)

    (one,) = row["traits"]
    assert np.isnan(one["interval"].low)
    expected = {}
    for name in sorted(runs[0].predictions["speaker"].unique()):
        own = [r.predictions[r.predictions["speaker"] == name] for r in runs]
        each = [concordance(o["trait:valence"], o["predicted:valence"]) for o in own]
        expected[name] = pytest.approx(np.mean(each))
    assert one["speakers"] == expected
    page = write_page(runs, [], [], tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count(f"ravdess/03 {one['speakers']['ravdess/03']:.3f}") == 1
    (many,) = results([without_labels(make_run(tmp_path / "many", n_speakers=8))])
    assert many["traits"][0]["speakers"] == {}


def test_elsewhere_annotated_traits_are_scored(fitted: Path, tmp_path: Path) -> None:
    shutil.copytree(fitted / "cache", tmp_path / "cache")
    frame = annotated(8, "other").drop(columns="trait:activation")
    frame.loc[:3, "trait:valence"] = np.nan
    make_cache(tmp_path / "cache", frame, corpus="other", n_layers=2, width=48)
    cache = Cache(tmp_path / "cache")
    (good,) = names(fitted, 0.003)
    run = next(r for r in find_runs(fitted / "runs")[0] if r.run_id == good)

    found = elsewhere.evaluate(run, cache, ["other"], tmp_path / "runs")

    rows = found.predictions
    view = elsewhere.pinned(cache.view("other"), run)
    each = [h.predict_traits(view)[4:, 0] for h in elsewhere.heads(run, range(5))]
    np.testing.assert_allclose(rows["predicted:valence"], np.mean(each, axis=0))
    assert list(rows["id"]) == list(view.ids[4:])
    assert "predicted:activation" not in rows
    assert found.record["refused"] == [["nobody annotated valence, activation", 4]]
    assert concordance(rows["trait:valence"], rows["predicted:valence"]) > 0.5
    said = "\n".join(elsewhere.remarks(found))
    assert said.startswith("mean of the traits of 5 folds' models of run")
    assert "predicted valence is on the scale of toy: where the corpus was" in said
    assert "the corpus has no annotated activation: not tested" in said
    assert "UAR" not in said
    page = write_page([found], [], [], tmp_path / "page.html")
    assert "traits valence" in page.read_text(encoding="utf-8")


def test_elsewhere_needs_annotated_traits_and_no_map(
    fitted: Path, tmp_path: Path
) -> None:
    shutil.copytree(fitted / "cache", tmp_path / "cache")
    frame = rows(n_speakers=8, corpus="other")
    make_cache(tmp_path / "cache", frame, corpus="other", n_layers=2, width=48)
    where = ["--runs", str(fitted / "runs"), "--cache", str(tmp_path / "cache")]
    asked = ["evaluate", *names(fitted, 0.003), "--corpus", "other", *where]

    said = told(*asked, fails=True)
    assert "says valence, activation, which nobody annotated in other" in said
    said = told(*asked, "--labels", "common4", fails=True)
    assert "says traits and no labels: expected no label map, got 'common4'" in said
