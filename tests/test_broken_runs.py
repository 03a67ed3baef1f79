"""Runs, audits and options that are broken: one sentence, and the others go on."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import pipeline
from contracts.cache import Cache
from contracts.errors import CacheError, PluginError
from contracts.run import Run, find_runs
from evaluation import search, settings
from evaluation.question import choose_corpora
from tests.runs import make_run
from tests.synthetic import make_cache, rows
from tests.test_page_parts import AUDIT


def lose_a_class(run: Run) -> None:
    path = run.fold_folder(0) / "predictions.parquet"
    pd.read_parquet(path).drop(columns="p:sad").to_parquet(path)


def changed(**facts: object) -> Callable[[Run], None]:
    """Write other facts into a run's record."""

    def change(run: Run) -> None:
        path = run.folder / "run.json"
        record = json.loads(path.read_text()) | facts
        path.write_text(json.dumps(record))

    return change


def say_in_words(run: Run) -> None:
    path = run.fold_folder(0) / "predictions.parquet"
    rows = pd.read_parquet(path)
    rows.assign(**{"p:sad": rows["p:sad"].astype(str)}).to_parquet(path)


BROKEN = {
    "no folds": changed(folds=[]),
    "a fold of nothing": changed(folds=[{}]),
    "folds by name": changed(folds={"0": 1}),
    "a number of folds": changed(folds=5),
    "labels of nothing": changed(labels={}),
    "a feature by name": changed(features=["egemaps"]),
    "no command": changed(command=None),
    "shares in words": say_in_words,
    "another history": lambda run: (run.fold_folder(0) / "history.json").write_text(
        '{"epoch": 1}'
    ),
    "a class less": lose_a_class,
    "a list": lambda run: (run.folder / "run.json").write_text("[]"),
    "no facts": lambda run: (run.folder / "run.json").write_text('{"format": 1}'),
    "no text": lambda run: (run.folder / "run.json").write_bytes(b"\xff\xfe"),
    "no table": lambda run: (run.fold_folder(0) / "predictions.parquet").write_text(
        "x"
    ),
    "no history": lambda run: (run.fold_folder(0) / "history.json").unlink(),
    "half a history": lambda run: (run.fold_folder(0) / "history.json").write_text("["),
}


@pytest.mark.parametrize("what", sorted(BROKEN))
def test_a_broken_run_is_named_and_hides_no_other(tmp_path: Path, what: str) -> None:
    whole, broken = make_run(tmp_path), make_run(tmp_path, model="xgb")
    BROKEN[what](broken)

    found, others = find_runs(tmp_path)

    assert [run.run_id for run in found] == [whole.run_id]
    (said,) = others
    assert said.startswith(f"{broken.run_id} (")
    assert "again" in said


def test_a_run_without_what_was_asked_is_not_lost(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (run.folder / "settings.json").unlink()

    assert [one.run_id for one in find_runs(tmp_path)[0]] == [run.run_id]


def test_every_broken_audit_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "audit").mkdir()
    for name, text in (("a", "{"), ("b", "[]"), ("c", "{}")):
        (tmp_path / "audit" / f"{name}.json").write_text(text)

    assert pipeline.main(["audit-plot", "--runs", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert all(f"{name}.json (" in said for name in "abc")


WHOLE_AUDIT = json.dumps(AUDIT)
HONEST = '"kind": "honest"'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name"),
        ("[]", "expected an audit, got list"),
        ("{}", "id, model, corpus, command"),
        (WHOLE_AUDIT.replace('"command":', '"no":'), "another type: command)"),
        (WHOLE_AUDIT.replace('"n_speakers": 24, "chance"', '"chance"'), "n_speakers)"),
        (WHOLE_AUDIT.replace('"name": "loso", ', ""), "of its protocol name)"),
        (WHOLE_AUDIT.replace('"title": "the', '"of": "the'), "of row 0 title, of row"),
        (WHOLE_AUDIT.replace(HONEST, '"kind": "good"'), "of row 0 kind, of row 2"),
        (WHOLE_AUDIT.replace('"uar": 0.58', '"uar": null'), "of row 1 uar)"),
        (json.dumps(AUDIT | {"rows": []}), "a row that came to a number)"),
    ],
)
def test_a_broken_audit_is_named_and_hides_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "broken.json").write_text(text)
    (tmp_path / "audit" / "whole.json").write_text(WHOLE_AUDIT)
    out = ["--runs", str(tmp_path), "--out", str(tmp_path / "audit.svg")]

    assert pipeline.main(["audit-plot", *out]) == 0

    said = capsys.readouterr().err
    assert said.startswith("these audits are broken: ")
    assert "broken.json (" in said and why in said
    assert "audit again: python pipeline.py audit" in said
    assert "whole.json" not in said
    assert (tmp_path / "audit.svg").exists()


def test_a_report_with_a_broken_audit_shows_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path, per_label=1)
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "broken.json").write_text("{}")
    (tmp_path / "audit" / "whole.json").write_text(WHOLE_AUDIT)
    page = tmp_path / "page.html"

    assert pipeline.main(["report", "--runs", str(tmp_path), "--out", str(page)]) == 0

    assert "broken.json (missing" in capsys.readouterr().err
    assert "What bad practice would have shown" in page.read_text("utf-8")


def test_a_page_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path / "runs")
    (tmp_path / "file").touch()
    told = ["report", "--runs", str(tmp_path / "runs"), "--out"]

    assert pipeline.main([*told, str(tmp_path / "file" / "page.html")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("report: cannot read or write ")
    assert said.count("\n") == 1


def test_a_baseline_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path)
    told = ["report", "--runs", str(tmp_path), "--out", str(tmp_path / "page.html")]

    assert pipeline.main([*told, "--baseline", "nobody"]) == 2
    assert "no head or run 'nobody'" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()
    for name in (run.run_id, "random_forest"):
        assert pipeline.main([*told, "--baseline", name]) == 0


def test_settings_that_are_said_twice_are_refused() -> None:
    with pytest.raises(PluginError, match="--set says C, gamma more than once"):
        settings.parse(["C=1", "gamma=1", "C=2", "gamma=1"])
    with pytest.raises(PluginError, match="--grid says C more than once"):
        search.parse(["C=1,2", "C=3"])


def test_all_corpora_that_are_missing_are_named(tmp_path: Path) -> None:
    cache = Cache(make_cache(tmp_path, rows(2), n_layers=1, width=4).folder)

    with pytest.raises(CacheError, match="no corpora emodb, savee in cache"):
        choose_corpora(cache, ["savee", "toy", "emodb"])


def test_no_trees_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_cache(tmp_path / "cache", rows(4), n_layers=1, width=4)
    told = ["fit", "--cache", str(tmp_path / "cache"), "--runs", str(tmp_path / "runs")]

    assert pipeline.main([*told, "--model", "xgb", "--set", "n_estimators=-1"]) == 2
    assert "expected n_estimators 1 or more, got -1" in capsys.readouterr().err


def test_a_grid_may_hold_what_a_library_refuses(tmp_path: Path) -> None:
    make_cache(tmp_path / "cache", rows(4), n_layers=1, width=4)
    told = ["fit", "--cache", str(tmp_path / "cache"), "--runs", str(tmp_path / "runs")]

    assert pipeline.main([*told, "--model", "svm", "--grid", "C=-1,1"]) == 0
    ((run,), _) = find_runs(tmp_path / "runs")
    for fold in run.record["folds"]:
        bad, good = fold["searched"]["tried"]
        assert "svm cannot be fitted with these settings" in bad["failed"]
        assert "uar" in good
    assert json.dumps(fold["searched"]["settings"]) == '{"C": 1}'
