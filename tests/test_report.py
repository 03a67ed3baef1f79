"""Results, their tables and the page as text."""

import json
import math
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from contracts.manifest import Manifest, card
from contracts.run import Run
from extract._inspection import inspect_manifest
from report._json import runs_json
from report._scores import fold_scores
from report._side_by_side import N_BINS, _rebinned, side_by_side
from report.page import write_page
from report.results import results, results_table
from tests.runs import EIGHT, make_run
from tests.synthetic import CORPUS, rows


def by_hand(run: Run, truth: list[str], guess: list[str], folds: list[int]) -> Run:
    """Put known predictions in place of a run's drawn ones."""
    for fold in set(folds):
        path = run.fold_folder(fold) / "predictions.parquet"
        n = folds.count(fold)
        rows = pd.read_parquet(path).head(n)
        chosen = [i for i, f in enumerate(folds) if f == fold]
        rows["label"] = [truth[i] for i in chosen]
        for label in run.classes:
            rows[f"p:{label}"] = [float(guess[i] == label) for i in chosen]
        rows.to_parquet(path, index=False)
    return Run(run.folder, run.record)


def two_folds(runs: Path) -> Run:
    made = make_run(runs, labels=("a", "b"), n_folds=2, n_speakers=4)
    truth, guess = list("aabbaabb"), list("aababbbb")
    return by_hand(made, truth, guess, [0] * 4 + [1] * 4)


def test_row_of_a_hand_worked_run(tmp_path: Path) -> None:
    row = results([two_folds(tmp_path)])[0]

    # fold 0: recall 1 and 1/2; fold 1: 0 and 1; pooled: 2/4 and 3/4
    assert row["fold_uars"] == [[0.75, 0.5]]
    assert row["uar"] == pytest.approx(0.625)
    assert row["fold_mean"] == pytest.approx(0.625)
    assert row["fold_sd"] == pytest.approx(math.sqrt(2 * 0.125**2 / 1))
    assert (row["fold_min"], row["fold_max"]) == (0.5, 0.75)
    assert (row["chance"], row["n_utterances"], row["n_speakers"]) == (0.5, 8, 2)


def test_pooled_uar_equals_scikit_learn(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    guess = np.array(run.classes)[run.probabilities.argmax(axis=1)]
    expected = balanced_accuracy_score(run.predictions["label"], guess)

    assert results([run])[0]["uar"] == pytest.approx(expected)
    assert runs_json([run])[0]["metrics"]["uar"] == pytest.approx(expected)


def test_seeds_are_one_row_with_their_spread(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, seed=s, n_folds=2) for s in (2, 0, 1)]
    rows = results(runs)

    assert len(rows) == 1
    assert rows[0]["seeds"] == [0, 1, 2]
    assert rows[0]["seed_sd"] == pytest.approx(np.std(rows[0]["seed_uars"], ddof=1))
    assert rows[0]["uar"] == pytest.approx(np.mean(rows[0]["seed_uars"]))


@pytest.mark.parametrize(
    "other",
    [
        {"corpus": "emodb"},
        {"protocol": "loso"},
        {"label_map": "other8"},
        {"labels": EIGHT[::-1]},
    ],
)
def test_only_like_is_ranked_against_like(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    runs = [make_run(tmp_path, n_folds=2), make_run(tmp_path, n_folds=2, **other)]
    rows = results(runs)

    assert len({row["group"] for row in rows}) == 2
    assert [row["rank"] for row in rows] == [1, 1]


def test_partial_run_has_no_rank_and_stands_last(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, model="vgg", keep=[0], strength=9),
        make_run(tmp_path, model="xgb", strength=0.1),
    ]
    rows = results(runs)

    assert [(r["model"], r["rank"]) for r in rows] == [("xgb", 1), ("vgg", None)]


def test_rows_of_one_model_tell_what_differs(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, settings={"hidden": h, "rate": 0.1}, n_folds=2)
        for h in (8, 16)
    ]

    assert [r["differs"] for r in results(runs)] in (
        [{"hidden": 8}, {"hidden": 16}],
        [{"hidden": 16}, {"hidden": 8}],
    )


def test_variants_and_unlabelled_utterances_do_not_count(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_folds=1, n_speakers=4)
    path = run.fold_folder(0) / "predictions.parquet"
    rows = pd.read_parquet(path)
    before = results([run])[0]
    odd = rows.assign(variant="noise", **{"p:calm": 9.0})
    none = rows.assign(label="", **{"p:calm": 9.0})
    pd.concat([rows, odd, none], ignore_index=True).to_parquet(path, index=False)
    after = results([Run(run.folder, run.record)])[0]

    for told in ("uar", "n_utterances", "fold_uars", "n_speakers"):
        assert after[told] == before[told]


def test_terminal_table_ends_with_the_warnings(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, model="cnn", untrained=True, n_folds=2),
        make_run(tmp_path, model="vgg", keep=[0]),
        make_run(tmp_path, protocol="random", breaks=["speaker independence"]),
    ]
    lines = results_table(results(runs)).splitlines()

    assert next(x for x in lines if "cnn" in x).endswith("untrained encoder")
    assert next(x for x in lines if "vgg" in x).endswith("partial: fold 0 only")
    assert any(x.endswith("breaks speaker independence") for x in lines)
    assert results_table([]) == ""


def test_json_has_null_and_never_nan(tmp_path: Path) -> None:
    run = by_hand(
        make_run(tmp_path, labels=("a", "b", "c"), n_folds=1, n_speakers=2),
        ["a", "b"],
        ["a", "b"],
        [0, 0],
    )
    told = json.loads(json.dumps(runs_json([run]), allow_nan=False))[0]

    assert told["metrics"]["per_class"]["c"]["recall"] is None
    assert told["metrics"]["uar"] == 1.0
    assert told["metrics"]["confusion"] == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert {
        "run_id",
        "model",
        "corpus",
        "protocol",
        "labels",
        "seed",
        "features",
    } <= set(told)
    assert {"untrained", "partial", "warnings", "folds", "command", "folder"} <= set(
        told
    )


def test_fold_that_lacks_a_label_is_named(tmp_path: Path) -> None:
    run = by_hand(
        make_run(tmp_path, labels=("a", "b"), n_folds=2, n_speakers=4),
        list("aaab"),
        list("aaab"),
        [0, 0, 1, 1],
    )
    page = write_page([run], [], [], tmp_path / "page.html").read_text("utf-8")

    assert results([run])[0]["lacking"] == ["b in fold 0"]
    assert "b in fold 0" in page


def test_page_holds_warnings_metrics_and_provenance(tmp_path: Path) -> None:
    run = make_run(
        tmp_path,
        model="attention",
        untrained=True,
        keep=[1, 3],
        breaks=["speaker independence"],
        history=True,
        n_speakers=12,
        more={"refused": [["speaker not known", 12]]},
    )
    out = tmp_path / "deep" / "er" / "page.html"
    page = write_page([run], ["half-done"], [], out).read_text("utf-8")

    for said in (
        "untrained encoder",
        "partial: folds 1, 3 only",
        "breaks speaker independence",
        "speaker not known",
        "cannot be decoded",
        "half-done",
        run.record["command"],
        run.record["manifest"]["hash"][:16],
        run.record["features"][0]["fingerprint"],
        "Luna-Jiménez",
        "fold 0 is the easiest in the paper",
        f"{100 * results([run])[0]['uar']:.1f}",
        'class="plot curves"',
        'class="plot layers"',
        "fewer than 8 test speakers",
    ):
        assert said in page
    assert sorted(p.name for p in out.parent.iterdir()) == ["page.html"]


def test_page_names_nothing_outside_itself(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, n_folds=2)]
    page = write_page(runs, [], [], tmp_path / "page.html").read_text("utf-8")

    for word in ("src=", "@import", "url(", "http://", "https://"):
        assert word not in page
    assert "default-src 'none'" in page


def test_markup_in_any_text_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    run = make_run(
        tmp_path,
        labels=(evil, "b&b"),
        features=(evil,),
        settings={"note": evil},
        n_speakers=4,
        n_folds=2,
        more={
            "left_out": [[evil, evil]],
            "refused": [[evil, 1]],
            "command": evil,
            "versions": {evil: evil},
            "machine": {evil: evil},
        },
    )
    page = write_page([run], [evil], [], tmp_path / "page.html").read_text("utf-8")

    assert evil not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert page.count("<script") == 2
    assert page.count('<script type="application/json"') == 1


def test_page_without_runs_says_how_to_fit_one(tmp_path: Path) -> None:
    page = write_page([], [], [], tmp_path / "page.html").read_text("utf-8")

    assert "No finished runs yet" in page
    assert "python pipeline.py fit" in page


def test_many_speakers_are_drawn_as_a_histogram(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_speakers=130, per_label=1, labels=("a", "b"), n_folds=2)
    page = write_page([run], [], [], tmp_path / "page.html").read_text("utf-8")

    assert "Histogram: speakers by UAR" in page


def test_speakers_of_no_name_and_no_sex_are_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_speakers=4, n_folds=2)
    for fold in (0, 1):
        path = run.fold_folder(fold) / "predictions.parquet"
        rows = pd.read_parquet(path).assign(sex="", speaker="")
        rows.to_parquet(path, index=False)
    bare = Run(run.folder, run.record)
    page = write_page([bare], [], [], tmp_path / "page.html").read_text("utf-8")

    assert results([bare])[0]["n_speakers"] == 0
    assert "Each speaker" not in page
    assert sum(s.n for s in fold_scores(bare).values()) == 4 * 8 * 4


def inspected(corpus: str, seconds: float = 1.0, **columns: Any) -> dict[str, Any]:
    frame = rows(corpus=corpus, n_speakers=4).assign(duration=seconds, **columns)
    about = card(CORPUS, limit=None)
    return inspect_manifest(Manifest(corpus, frame, about), [])


def near(*corpora: str, n: int = 1, **group: Any) -> dict[str, Any]:
    members = [
        [f"{c}/{i}.wav", f"label of {c}", f"{c}/1"] for c in corpora for i in "a"
    ]
    told = {"score": 0.97, "disagree": ["label"], "members": members, **group}
    return {
        "among": list(corpora),
        "n_compared": 32,
        "n_not_compared": 0,
        "groups": [told] * n,
    }


def test_each_corpus_has_a_page_and_the_pages_are_linked(tmp_path: Path) -> None:
    facts = [inspected("toy"), inspected("b.2"), inspected("ärger")]
    out = write_page([], [], facts, tmp_path / "report.html")

    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == [
        "report-corpora.html",
        "report-corpus-b.2.html",
        "report-corpus-toy.html",
        "report-corpus-ärger.html",
        "report.html",
    ]
    for page in tmp_path.iterdir():
        links = re.findall(r'href="([^"#][^"]*)"', page.read_text("utf-8"))
        files = {unquote(link) for link in links if not link.startswith("data:")}
        assert files == {*names} - ({out.name} if page == out else set())
    assert 'aria-current="page">toy' in (tmp_path / names[2]).read_text("utf-8")


def test_one_corpus_has_nothing_to_stand_beside(tmp_path: Path) -> None:
    write_page([], [], [inspected("toy")], tmp_path / "report.html")

    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "report-corpus-toy.html",
        "report.html",
    ]
    page = (tmp_path / "report-corpus-toy.html").read_text("utf-8")
    assert "Side by side" not in page
    assert "inspect --near-duplicates" in page


def test_corpora_side_by_side_share_rows_and_scale() -> None:
    told = side_by_side(
        [
            inspected("a", label=["happy"] * 24 + [""] * 8, sampling_rate=8_000),
            inspected("b", label=["bored"] * 4 + [""] * 28, sampling_rate=44_100.0),
        ]
    )
    labels, sexes, rates = told["multiples"][:3]

    first, second = (p["rows"] for p in labels["panels"])
    names = ["happy", "bored", "(no label)"]
    assert [r[0] for r in first] == [r[0] for r in second] == names
    assert [r[1:] for r in first] == [
        (24, "75.0", pytest.approx(0.75 / 0.875)),
        (0, "0.0", 0.0),
        (8, "25.0", pytest.approx(0.25 / 0.875)),
    ]
    assert second[-1][1:] == (28, "87.5", 1.0)
    assert labels["most"] == "87.5"
    assert [r[0] for r in rates["panels"][0]["rows"]] == ["8000", "44100"]
    assert [r[1] for r in sexes["panels"][0]["rows"]] == [2, 2]
    assert [p["ends"] for p in told["per_speaker"]] == [(8, 8, 8)] * 2
    problems = dict(told["problems"])
    assert problems["utterances without a label"] == [8, 28]
    assert problems["groups of one recording, encoded anew"] == [None, None]


def test_durations_stand_on_one_logarithmic_axis() -> None:
    long, short = inspected("a", seconds=16.0), inspected("b", seconds=0.5)
    ends = [f["duration"]["histogram"]["edges"] for f in (long, short)]
    edges = np.geomspace(ends[1][0], ends[0][-1], N_BINS + 1)

    shares = [_rebinned(f["duration"]["histogram"], edges) for f in (long, short)]

    later = _rebinned(short["duration"]["histogram"], np.geomspace(0.52, 20, 5))
    assert [sum(s) for s in (*shares, later)] == pytest.approx([1, 1, 1])
    assert np.argmax(shares[1]) == 0
    assert np.argmax(shares[0]) >= N_BINS - 2
    for drawn in side_by_side([long, short])["durations"]:
        assert 'role="img"' in drawn
        assert f"{ends[1][0]:.2g} to {ends[0][-1]:.2g} s" in drawn


def test_near_duplicates_are_shown_and_counted_once(tmp_path: Path) -> None:
    facts = [inspected("a"), inspected("b")]
    alike = near("a", "b", disagree=[], score=0.99)["groups"]
    for each in facts:
        each["near_duplicates"] = near("a", "b")
        each["near_duplicates"]["groups"] = [
            *near("a", "b", members=[["a/x", "sad", "a/1"], ["b/x", "sad", "b/1"]])[
                "groups"
            ],
            *alike,
        ]
    write_page([], [], facts, tmp_path / "page.html")

    for name in ("corpora", "corpus-a", "corpus-b"):
        page = (tmp_path / f"page-{name}.html").read_text("utf-8")
        assert "2 groups, 1 told differently (first)" in page
        assert page.count("0.970") == page.count("0.990") == 1
        assert page.index("0.970") < page.index("0.990")
        assert "32 utterances of a, b" in page


def test_an_inspection_of_before_is_shown_too(tmp_path: Path) -> None:
    facts = [inspected("a"), inspected("b")]
    for each in facts:
        del each["near_duplicates"], each["variants"]

    write_page([], [], facts, tmp_path / "page.html")

    assert "not looked for" in (tmp_path / "page-corpora.html").read_text("utf-8")


def test_an_empty_corpus_has_its_place_among_others(tmp_path: Path) -> None:
    frame = rows().head(0)
    about = card(CORPUS, limit=None)
    empty = inspect_manifest(Manifest("none", frame, about), [])

    write_page([], [], [empty, inspected("a")], tmp_path / "page.html")
    write_page([], [], [empty, empty | {"corpus": "no"}], tmp_path / "two.html")

    page = (tmp_path / "page-corpora.html").read_text("utf-8")
    assert "No durations known" in page


def test_markup_in_a_corpus_is_escaped_and_names_no_folder(tmp_path: Path) -> None:
    evil = "../<script>alert(1)</script>"
    facts = inspected("toy", label=evil)
    facts |= {"corpus": evil, "title": evil, "licence": evil, "near_duplicates": near()}
    facts["near_duplicates"] |= near(evil, n=1)

    write_page([], [], [facts, inspected("b")], tmp_path / "in" / "page.html")

    assert [p.name for p in tmp_path.iterdir()] == ["in"]
    for page in (tmp_path / "in").iterdir():
        text = page.read_text("utf-8")
        assert "<script>alert" not in text
        assert text.count("<script") == 1
        assert not {w for w in ("src=", "@import", "url(", "https://") if w in text}
