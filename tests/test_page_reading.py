"""What a reader of the page is told, and what is left out: words, lines and folds."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from contracts.run import Run
from evaluation.reproducing import published_rows
from report import _ranking
from report._audit_plot import audit_plot
from report._audits import audit_views
from report._cautions import cautions
from report._certainty import certainty
from report._groups import groups
from report._players import Players, instructive
from report._published import published
from report.page import Asked, write_page
from report.results import results
from tests.runs import make_run
from tests.test_page_parts import AUDIT, AUDIT_ROW


def page_of(runs: list[Run], folder: Path, **more: Any) -> str:
    return write_page(runs, [], [], folder / "page.html", **more).read_text("utf-8")


def how_sure(runs: list[Run], baseline: str = "") -> str:
    (group,) = groups(results(runs), {r.run_id: r for r in runs}, baseline)
    return dict(group["told"])["How sure"]


def test_one_pair_has_one_difference_and_no_holm(tmp_path: Path) -> None:
    runs = [make_run(tmp_path), make_run(tmp_path, model="prior", strength=0)]

    said = how_sure(runs)

    assert re.match(r"A difference of \d+\.\d points would", said)
    assert "Holm" not in said
    assert "24 speakers can give" in said
    assert max(len(s.split()) for s in said.split(". ")) < 25
    assert "Holm over 1" not in how_sure(runs, "prior")


def test_many_pairs_are_told_in_short_sentences(tmp_path: Path) -> None:
    heads = ("svm", "mlp", "prior")
    runs = [make_run(tmp_path, model=m, strength=i) for i, m in enumerate(heads)]

    said = how_sure(runs)

    assert "Holm over 3 pairs" in said
    assert said.count(". ") == 2
    assert max(len(s.split()) for s in said.split(". ")) < 25


def uprights(picture: str, kind: str) -> list[tuple[float, float]]:
    """Return where the lines of a class begin and end, from the top."""
    lines = [e for e in ET.fromstring(picture).iter("line") if e.get("class") == kind]
    return [(float(e.get("y1", 0)), float(e.get("y2", 0))) for e in lines]


def names(picture: str) -> list[tuple[str, float]]:
    """Return the rows' names, and how low each stands."""
    texts = ET.fromstring(picture).iter("text")
    return [
        (str(e.text), float(e.get("y", 0)))
        for e in texts
        if "name" in e.get("class", "")
    ]


def test_lines_of_a_ranking_leave_the_names_alone(tmp_path: Path) -> None:
    runs = [make_run(tmp_path), make_run(tmp_path, model="vgg", keep=[0])]
    (group,) = groups(results(runs), {r.run_id: r for r in runs})
    picture = str(_ranking.ranking(group["rows"]))

    told, lines = names(picture), uprights(picture, "chance")

    assert [name for name, _ in told] == [
        "random_forest · egemaps",
        "vgg · egemaps · partial",
    ]
    assert len(lines) == len(told)
    assert not any(a < y + 3 and b > y - 9 for a, b in lines for _, y in told)


def test_a_long_name_is_shortened_before_its_partial(tmp_path: Path) -> None:
    run = make_run(tmp_path, features=("f" * 90,), keep=[0])
    (group,) = groups(results([run]), {run.run_id: run})

    ((name, _),) = names(str(_ranking.ranking(group["rows"])))

    assert name.endswith("… · partial")
    assert len(name) <= 62


def test_lines_of_an_audit_leave_the_names_alone() -> None:
    picture = str(audit_plot(AUDIT))

    told = names(picture)

    assert len(told) == 2
    for kind in ("chance", "reference"):
        lines = uprights(picture, kind)
        assert len(lines) == len(told)
        assert not any(a < y + 3 and b > y - 9 for a, b in lines for _, y in told)


@pytest.mark.parametrize(
    ("note", "remark"),
    [
        ("random-split is not honest either: +0.147 over honest", "+14.7 over honest"),
        ("fold 0 (actors 2, 5); folds 0.481 to 0.597; 5 test", "48.1 to 59.7; 5 test"),
        ("folds 0.481 to 1.000", "48.1 to 100.0"),
        ("-0.020 over honest", "-2.0 over honest"),
        (
            "chosen: C 0.01, version 0.123.4 on 192.168",
            "C 0.01, version 0.123.4 on 192",
        ),
    ],
)
def test_remarks_of_an_audit_are_in_percent(note: str, remark: str) -> None:
    (view,) = audit_views([AUDIT | {"rows": [AUDIT_ROW | {"note": note}]}])

    assert view["rows"][0]["remark"].count(remark) == 1


def test_ends_of_an_inflation_have_their_signs() -> None:
    more = {"inflation": -0.001, "inflation_low": -0.02, "inflation_high": 0.01}
    (view,) = audit_views([AUDIT | {"rows": [AUDIT_ROW, AUDIT_ROW | more]}])

    assert view["rows"][1]["inflation"] == "−0.1"
    assert view["rows"][1]["inflation_range"] == "−2.0 to +1.0"
    assert view["rows"][0]["inflation_range"] == ""


def test_no_feature_leaves_no_gap_in_a_name(tmp_path: Path) -> None:
    page = page_of([make_run(tmp_path, model="prior", features=())], tmp_path)

    assert "· ·" not in page
    assert '<h3>prior</h3> <span class="muted">· ravdess ·' in page


def test_numbers_of_certainty_are_explained(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    told = certainty(run)
    assert told is not None

    facts, meanings = dict(told["facts"]), dict(told["meanings"])

    assert facts.keys() - meanings.keys() == {"errors, all answered"}
    assert meanings.keys() <= facts.keys()
    page = page_of([run], tmp_path)
    assert page.count("What these are") == 1
    assert "shaded: how far" in page


def test_published_figures_on_other_corpora_are_closed(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, model="xgb", corpus="toy")]
    assert not any(entry["here"] for entry in published(runs))

    page = page_of(runs, tmp_path)

    assert re.search(r"<details class=.more.><summary>\d+ published figures? of", page)
    assert not re.search(r"<details class=.more. open><summary>\d+ published", page)

    run = make_run(tmp_path, model="svm", corpus="ravdess+toy")
    rows = [r for r in published_rows.rows().values() if r.model == "svm"]
    here = [entry["here"] for entry in published([run])]
    assert here.count(True) == sum("ravdess" in row.corpus for row in rows) > 0


def test_a_caution_of_protocol_names_its_boxes_and_is_said_once(tmp_path: Path) -> None:
    kept = {"conformity": {"line": "differs: a dev part", "cautions": []}}
    other = {"conformity": {"line": "as published", "cautions": []}}
    runs = [
        make_run(tmp_path, more=kept),
        make_run(tmp_path, label_map="six", more=kept),
        make_run(tmp_path, corpus="toy", more=other),
    ]

    told = [text for title, text in cautions(results(runs), runs) if "source" in title]

    assert told == [
        "ravdess · ravdess8 · speaker5, ravdess · six · speaker5: differs: a dev part.",
        "toy · ravdess8 · speaker5: as published.",
    ]


def test_players_name_their_run_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [make_run(tmp_path, strength=1), make_run(tmp_path, corpus="toy")]
    sound = {w.id: "data:audio/flac;base64,AAAA" for w in instructive(runs, 16)}
    monkeypatch.setattr("report.page.players", lambda *_: Players(sound, []))

    page = page_of(runs, tmp_path, asked=Asked(n_audio=16))

    heard = page.partition("Errors to listen to")[2].partition('id="utterance-box"')[0]
    assert heard.count("<audio ") == 16
    for run in runs:
        assert heard.count(f"{run.record['corpus']} · ravdess8 · speaker5") == 1
    assert heard.count("<a ") == 2
