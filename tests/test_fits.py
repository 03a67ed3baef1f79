"""Fits of jobs: what a library refuses is said in one sentence."""

from pathlib import Path
from typing import Any

import pytest

import pipeline
from contracts.cache import Cache
from contracts.errors import RunError
from contracts.job import Job
from contracts.view import View
from evaluation import settings
from evaluation._fits import fit_one, fits
from evaluation.question import ask
from tests.synthetic import make_cache, rows

REFUSED = [
    ("svm", {"C": -1}, "'C' parameter of SVC must be"),
    ("random_forest", {"n_estimators": -1}, "'n_estimators' parameter of"),
    ("decision_tree", {"max_depth": 0}, "'max_depth' parameter of"),
    ("logistic_regression", {"C": 0}, "'C' parameter of LogisticRegression"),
    ("xgb", {"max_depth": -3}, "value -3 for Parameter max_depth"),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Return a small cache; read only."""
    return make_cache(tmp_path_factory.mktemp("fits"), rows(4), n_layers=1, width=4)


def job(cache: Cache, head: Any) -> Job:
    view = ask(cache.view("toy").require(["egemaps"]), None, None).view
    return Job(head, view, None, view, 0, 0)


@pytest.mark.parametrize(("model", "given", "why"), REFUSED)
def test_settings_that_a_library_refuses_are_one_sentence(
    cache: Cache, model: str, given: dict[str, Any], why: str
) -> None:
    head = settings.heads([model], given, ["egemaps"])[model]

    with pytest.raises(RunError) as caught:
        list(fits(head, [job(cache, head)]))

    said = str(caught.value)
    assert said.startswith(f"{model} cannot be fitted with these settings: ")
    assert why in said
    assert said.endswith(f"Choose others with --set {model}.KEY=VALUE")
    assert "\n" not in said


def test_other_errors_of_a_head_are_not_called_settings(cache: Cache) -> None:
    class Broken:
        def fit(self, train: View, dev: View | None) -> None:
            msg = "shapes do not match"
            raise ValueError(msg)

    view = cache.view("toy")
    with pytest.raises(ValueError, match="shapes do not match") as caught:
        fit_one(Broken(), view, None)
    assert not isinstance(caught.value, RunError)


def test_command_refuses_them_with_exit_code_2(
    cache: Cache, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["fit", "--cache", str(cache.folder), "--runs", str(tmp_path), "--model"]
    told += ["svm", "--set", "C=-1"]

    assert pipeline.main(told) == 2
    said = capsys.readouterr().err
    assert said.startswith("fit: svm cannot be fitted with these settings")
    assert said.count("\n") == 1
