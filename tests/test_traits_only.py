"""Runs that say traits alone, from the command line on: fit, report, compare."""

import io
import json
import re
from contextlib import redirect_stderr, redirect_stdout
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pipeline
from contracts.errors import RunError
from contracts.run import Run, find_runs
from evaluation.measures.traits import concordance
from evaluation.statistics.paired import BETTER, UNKNOWN
from evaluation.statistics.paired_traits import compare_traits
from evaluation.statistics.trait_systems import TraitSystem, trait_system
from report._players import instructive
from report._utterances import data_block, pack
from report.page import write_page
from report.results import results, results_table
from tests.runs import make_run
from tests.synthetic import make_cache, rows

VALENCE = {"neutral": 3.0, "happy": 4.0, "sad": 2.0, "angry": 1.5}
ACTIVATION = {"neutral": 2.0, "happy": 4.0, "sad": 1.0, "angry": 5.0}


def annotated(n_speakers: int) -> pd.DataFrame:
    """Return manifest rows with two traits in numbers, one of them with gaps."""
    frame = rows(n_speakers=n_speakers)
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
        told["predicted:valence"] = told["trait:valence"] + rng.normal(0, 1, len(told))
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


def system(name: str, guesses: np.ndarray, truth: np.ndarray, n: int) -> TraitSystem:
    """Return a system of ``n`` speakers with as many utterances each."""
    speakers = [f"s{i % n}" for i in range(len(truth))]
    ids = [f"{i:04d}" for i in range(len(truth))]
    frame = pd.DataFrame({"id": ids, "speaker": speakers, "trait:valence": truth})
    return TraitSystem(name, frame, {"valence": guesses[None]}, (0,), ())


def test_swaps_and_scores_equal_those_by_hand() -> None:
    rng = np.random.default_rng(3)
    truth, n = rng.normal(100, 1, 40), 4
    truth[7] = np.nan
    one, two = truth + rng.normal(0, 0.5, (2, 40)) * [[1], [1.4]]
    one[7] = two[7] = 100.0
    who = np.arange(40) % n

    (found,) = compare_traits([system("b", two, truth, n), system("a", one, truth, n)])

    observed = concordance(truth, one) - concordance(truth, two)
    far = []
    for swap in product([False, True], repeat=n):
        turned = np.array(swap)[who]
        first, second = np.where(turned, two, one), np.where(turned, one, two)
        apart = concordance(truth, first) - concordance(truth, second)
        far.append(abs(apart) >= abs(observed) - 1e-9)
    assert found.interval.value == pytest.approx(observed)
    assert found.test.p == pytest.approx(np.mean(far))
    assert (found.n_utterances, found.verdict) == (39, UNKNOWN)
    assert "the smallest p that any difference can give is above" in found.why


@pytest.mark.parametrize("n", [12, 20])
def test_a_large_difference_is_told_and_none_is_not(n: int) -> None:
    rng = np.random.default_rng(n)
    truth = rng.normal(0, 1, 30 * n)
    noise = rng.normal(0, 1, (3, len(truth)))
    base = system("base", truth + noise[0], truth, n)
    better = system("better", truth + 0.3 * noise[1], truth, n)
    equal = system("equal", truth + noise[2], truth, n)

    told, same = compare_traits([base, better, equal])

    assert (told.first, told.verdict) == ("better", BETTER)
    assert told.interval.low > 0
    assert same.verdict == UNKNOWN
    assert same.interval.low < 0 < same.interval.high
    assert told.family == 2


def test_an_unknown_speaker_gives_no_verdict() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1, 300)
    systems = [
        system("base", truth + rng.normal(0, 2, 300), truth, 10),
        system("better", truth, truth, 10),
    ]
    for one in systems:
        one.rows.loc[3, "speaker"] = ""

    (found,) = compare_traits(systems)

    assert (found.verdict, found.test.p) == (UNKNOWN, 1.0)
    assert found.why == "no speaker is known of 1 utterance"
    assert np.isnan(found.interval.low)


def test_other_utterances_values_and_traits_are_refused(tmp_path: Path) -> None:
    truth = np.arange(20.0)
    base = system("base", truth, truth, 4)
    with pytest.raises(RunError, match="base and long were tested on other utter"):
        compare_traits([base, system("long", np.arange(24.0), np.arange(24.0), 4)])
    with pytest.raises(RunError, match="20 utterances have another speaker or anno"):
        compare_traits([base, system("moved", truth, truth + 1, 4)])
    odd = TraitSystem("odd", base.rows, {"calm": truth[None]}, (0,), ())
    with pytest.raises(RunError, match=r"no trait was predicted by all \(base: val"):
        compare_traits([base, odd])
    with pytest.raises(RunError, match="predicted no trait"):
        trait_system([make_run(tmp_path, n_folds=2, n_speakers=4)])
