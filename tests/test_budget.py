"""The budget of the table of utterances: what gives way, and that it is said."""

import base64
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.run import Run
from evaluation.statistics import _bootstrap
from report._budget import BUDGET
from report._players import instructive
from report._plots import N_SPEAKERS
from report._scores import part_scores
from report._utterances import data_block, pack
from report.page import write_page
from tests.runs import make_run

SEVEN = ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised")
ROUNDED = "Probabilities are rounded to whole percents."


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Return runs of two boxes, of each the best first; read only."""
    folder = tmp_path_factory.mktemp("runs")
    made = [
        make_run(folder, settings={"c": c}, strength=4.0 - c, per_label=6, n_folds=2)
        for c in range(3)
    ]
    other = [
        make_run(folder, corpus="other", settings={"c": c}, n_folds=2, n_speakers=20)
        for c in range(2)
    ]
    return [*made, *other]


def packed(runs: list[Run], budget: int = BUDGET) -> dict[str, Any]:
    return pack(runs, {run.run_id: ("link", run.run_id) for run in runs}, budget)


def numbers(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def bits(text: str, n: int) -> np.ndarray:
    raw = np.frombuffer(base64.b64decode(text), np.uint8)
    return np.unpackbits(raw, count=n, bitorder="little").astype(bool)


def read(told: dict[str, Any], place: int) -> list[tuple[str, str, str, list[float]]]:
    """Read a run back as the page does: id, truth, said, probabilities if there."""
    one = told["runs"][place]
    index = numbers(told["sets"][one["set"]]["index"], "<u4")
    truth = numbers(told["sets"][one["set"]]["truth"], "<u2")
    kept = bits(one["rows"], len(index)) if "rows" in one else index >= 0
    index, truth = index[kept], truth[kept]
    known = bits(one["with"], len(index)) if "with" in one else index >= 0
    kind = f"<u{one['bytes']}"
    shares = numbers(one["p"], kind) / (256 ** one["bytes"] - 1)
    own = iter(shares.reshape(-1, len(one["labels"])).tolist())
    said = numbers(one["said"], kind)
    return [
        (
            told["ids"][at],
            one["labels"][truth[i]],
            one["labels"][said[i]],
            next(own) if known[i] else [],
        )
        for i, at in enumerate(index)
    ]


def by_hand(run: Run) -> dict[str, tuple[str, str, list[float]]]:
    guess = np.array(run.classes)[run.probabilities.argmax(axis=1)]
    told = run.predictions["id"], run.predictions["label"], guess
    rows = zip(*told, run.probabilities.tolist(), strict=True)
    return {str(one): (truth, said, own) for one, truth, said, own in rows}


def size(told: dict[str, Any]) -> int:
    return len(data_block(told))


def test_what_fits_is_whole_and_nothing_is_said(runs: list[Run]) -> None:
    told = packed(runs)

    assert told["left"] == ""
    assert [(r["bytes"], r["part"]) for r in told["runs"]] == [(2, "")] * 5


@pytest.mark.parametrize("share", [0.9, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05])
def test_whatever_the_budget_it_is_kept_and_nothing_is_wrong(
    runs: list[Run], share: float
) -> None:
    budget = int(share * size(packed(runs)))

    told = packed(runs, budget)

    assert size(told) <= budget + len(told["left"]) + 200
    assert told["left"].startswith("Not everything fits into the ")
    for place, run in enumerate(runs):
        expected, found = by_hand(run), read(told, place)
        for one, truth, said, own in found:
            assert (truth, said) == expected[one][:2]
            if own:
                assert np.abs(np.array(own) - expected[one][2]).max() <= 0.5 / 255
        assert told["runs"][place]["n"] == len(expected)
        whole = len(found) == len(expected) and all(own for *_, own in found)
        assert whole == (told["runs"][place]["part"] in ("", ROUNDED))


def test_the_best_of_each_box_give_way_last(runs: list[Run]) -> None:
    budget = int(0.88 * size(packed(runs)))

    width = [one["bytes"] for one in packed(runs, budget)["runs"]]

    assert width[0] == width[3] == 2
    assert width[2] == 1


def test_errors_keep_their_probabilities_longest(runs: list[Run]) -> None:
    sizes = range(100, 10, -1)
    whole = size(packed(runs))
    found = (packed(runs, whole * n // 100) for n in sizes)
    told = next(t for t in found if all("alone; what" in r["part"] for r in t["runs"]))

    for place, run in enumerate(runs):
        rows = read(told, place)
        assert len(rows) == len(run.predictions)
        assert all(bool(own) == (truth != said) for _, truth, said, own in rows)


def test_the_last_to_stay_are_those_that_are_heard(runs: list[Run]) -> None:
    told = packed(runs, size(packed(runs)) // 12)

    (first, *_) = (read(told, place) for place in range(len(runs)))
    kept = {one for one, *_ in first}
    assert 8 <= len(kept) < len(runs[0].predictions) / 2
    assert {w.id for w in instructive([runs[0]], len(kept) - 8)} <= kept
    assert all(truth != said for _, truth, said, _ in first)
    assert "filters and cells of the matrix see these alone" in told["runs"][0]["part"]
    assert set(told["ids"]) == {
        one for place in range(len(runs)) for one, *_ in read(told, place)
    }
    assert len(told["speaker"]) == len(told["ids"])


def test_the_table_gets_what_the_rest_of_the_page_leaves(
    runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = runs[4:]
    whole = write_page(runs, [], [], tmp_path / "whole.html").stat().st_size
    block = size(packed(runs))
    page = whole - block + block // 2
    monkeypatch.setattr("report.page.PAGE", page)

    made = write_page(runs, [], [], tmp_path / "page.html")

    told = table_of(made)
    assert told["left"].startswith("Not everything fits into the ")
    assert page - 0.3 * block < made.stat().st_size <= page + len(told["left"]) + 200


def test_of_very_many_speakers_the_worst_and_the_best_are_listed(
    tmp_path: Path,
) -> None:
    run = make_run(
        tmp_path, n_speakers=N_SPEAKERS + 10, per_label=4, labels=("a", "b"), n_folds=2
    )

    page = write_page([run], [], [], tmp_path / "page.html").read_text("utf-8")

    listed = re.search(r"The 10 test speakers of lowest.*?</table>", page, re.DOTALL)
    assert listed is not None
    uars = {name: s.uar for name, s in part_scores(run, "speaker").items()}
    order = sorted(uars, key=lambda name: (uars[name], name))
    named = re.findall(r'<th scope="row"[^>]*>(.*?)</th>', listed[0])
    more = f"and {N_SPEAKERS - 10} more, in folds/*/predictions.parquet"
    assert named == [*order[:10], more, *order[-10:]]


def table_of(page: Path) -> dict[str, Any]:
    """Read the table of utterances that lies in a page."""
    html = page.read_text(encoding="utf-8")
    block = re.search(r'id="data">(.*?)</script>', html, re.DOTALL)
    assert block is not None
    told: dict[str, Any] = json.loads(block[1])
    assert len(block[1]) <= BUDGET + 1_000
    return told


@pytest.mark.slow
def test_a_page_of_fifty_runs_of_a_large_corpus(tmp_path: Path) -> None:
    made = [
        make_run(
            tmp_path / "runs",
            model=("random_forest", "xgb", "svm", "attention", "vgg")[i % 5],
            settings={"c": i // 5},
            labels=SEVEN,
            label_map="seven",
            n_speakers=91,
            per_label=16,
            strength=0.4 + 0.05 * i,
            history=i % 5 > 2,
        )
        for i in range(50)
    ]
    begun = time.perf_counter()

    page = write_page(made, [], [], tmp_path / "page.html")

    assert page.stat().st_size < 10_000_000
    assert time.perf_counter() - begun < 240  # seconds, on a machine that does more
    told = table_of(page)
    assert "Not everything fits into the 5 MB" in told["left"]
    assert all(len(read(told, i)) == 10_192 for i in (0, 49))


@pytest.mark.slow
def test_a_page_of_fifty_runs_of_very_many_speakers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_bootstrap, "N_RESAMPLES", 100)  # the size is what is asked
    made = [
        make_run(
            tmp_path / "runs",
            model=("random_forest", "xgb", "svm", "attention", "vgg")[i % 5],
            settings={"c": i // 5},
            n_speakers=1_250,
            per_label=1,
            strength=0.4 + 0.05 * i,
            history=i % 5 > 2,
        )
        for i in range(50)
    ]

    page = write_page(made, [], [], tmp_path / "page.html")

    assert page.stat().st_size < 10_000_000
    assert page.read_text("utf-8").count("and 1,230 more, in folds/") == 50
    assert all(len(read(table_of(page), i)) == 10_000 for i in (0, 49))


@pytest.mark.slow
def test_fifty_runs_of_ravdess_are_whole(tmp_path: Path) -> None:
    made = [
        make_run(tmp_path, settings={"c": i}, per_label=8, strength=0.1 * i)
        for i in range(50)
    ]
    assert sum(len(run.predictions) for run in made) >= 50 * 1_440

    assert packed(made)["left"] == ""
