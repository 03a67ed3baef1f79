"""Trained on some corpora, tested on others: who is where, and the matrix."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evaluation.fit_command as declared
from contracts.cache import Cache
from contracts.errors import EmocacheError, ManifestError
from contracts.run import Run, find_runs
from contracts.view import View
from evaluation.measures.metrics import score_run
from evaluation.transfer import cross, elsewhere
from tests import synthetic
from tests.runs import make_run

NAMES = {"one": 8, "two": 9, "three": 10}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Return a cache of three corpora with other people in each."""
    folder = tmp_path_factory.mktemp("three") / "cache"
    for name, n in NAMES.items():
        synthetic.make_cache(folder, synthetic.rows(n, corpus=name), corpus=name)
    return Cache(folder)


def view(cache: Cache) -> View:
    return cache.view(*NAMES).require(["egemaps"])


def corpora(part: View) -> set[str]:
    return set(part.manifest["corpus"])


def test_corpus_that_is_only_tested_is_tested_whole(cache: Cache) -> None:
    (question,) = cross.questions(
        view(cache), ["one", "two"], ["three"], "common4", False
    )

    (fold,) = question.folds
    assert corpora(fold.part("train")) == corpora(fold.part("dev")) == {"one", "two"}
    test = fold.part("test")
    assert corpora(test) == {"three"}
    assert len(test) == 80
    assert set(fold.refit.speakers) == set(cache.view("one", "two").speakers)
    held = set(fold.part("dev").speakers)
    assert {s.partition("/")[0] for s in held} == {"one", "two"}
    assert not held & set(fold.part("train").speakers)
    assert len(held) == 4


def test_corpus_on_both_sides_is_parted_by_its_own_protocol(cache: Cache) -> None:
    outside, inside = cross.questions(
        view(cache), ["one", "two"], ["two", "three"], "common4"
    )

    assert corpora(outside.folds[0].part("test")) == {"three"}
    tested: list[str] = []
    for fold in inside.folds:
        test, train = fold.part("test"), fold.part("train")
        assert corpora(test) == {"two"}
        assert corpora(train) == corpora(fold.part("dev")) == {"one", "two"}
        assert set(cache.view("one").speakers) <= set(fold.refit.speakers)
        assert not set(test.speakers) & set(fold.refit.speakers)
        tested += set(test.speakers)
    assert sorted(tested) == sorted(set(cache.view("two").speakers))
    assert len(inside.folds) == 9  # one speaker left out at a time


def test_one_corpus_for_itself_is_asked_as_fit_asks(cache: Cache) -> None:
    (question,) = cross.questions(view(cache), ["one"], ["one"], "common4")

    assert question.protocol.name == "loso"
    assert list(question.view.cards) == ["one"]


def test_same_person_in_two_corpora_cannot_leak(cache: Cache) -> None:
    whole = view(cache)
    rows = whole.manifest.copy()
    heard = rows.loc[rows["corpus"] == "one", "waveform"].iloc[3]
    rows.loc[rows.index[rows["corpus"] == "three"][5], "waveform"] = heard
    object.__setattr__(whole, "manifest", rows)

    with pytest.raises(ManifestError, match="must not share a waveform"):
        cross.questions(whole, ["one"], ["three"], "common4")
    (question,) = cross.questions(whole, ["one"], ["three"], "common4", True)
    assert len(question.folds[0].test) == 79


@pytest.mark.parametrize("lost", ["label", "speaker"])
@pytest.mark.parametrize("train", [["one"], ["one", "three"]], ids="+".join)
def test_corpus_of_which_nothing_can_be_tested_is_refused(
    cache: Cache, lost: str, train: list[str]
) -> None:
    whole = view(cache)
    value = "surprised" if lost == "label" else ""  # which common4 drops
    rows = whole.manifest.copy()
    rows.loc[rows["corpus"] == "three", lost] = value
    whole = replace(whole, manifest=rows)

    with pytest.raises(ManifestError, match=r"has no test utterances|makes no fold"):
        cross.questions(whole, train, ["three"], "common4")


def test_corpora_need_a_map_in_common(cache: Cache) -> None:
    with pytest.raises(ManifestError, match="--labels MAP, such as common4"):
        cross.questions(view(cache), ["one"], ["two"], None)


def fitted(cache: Cache, runs: Path, *words: str) -> int:
    from jsonargparse import ArgumentParser

    fit = declared.FIT
    parser = ArgumentParser()
    fit.add_arguments(parser)
    told = ["--cache", str(cache.folder), "--runs", str(runs), *words]
    return fit.run(parser.parse_args(told))


@pytest.fixture(scope="module")
def runs(cache: Cache, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Return the runs of one row of a matrix."""
    folder = tmp_path_factory.mktemp("runs")
    words = "--model logistic_regression --labels common4 --train-corpus one"
    code = fitted(cache, folder, *words.split(), "--test-corpus", "one", "two", "three")
    assert code == 0
    found, unfinished = find_runs(folder)
    assert not unfinished
    return found


def test_fit_fills_a_row_of_the_matrix(cache: Cache, runs: list[Run]) -> None:
    (found,) = cross.matrix(runs)

    assert found.model == "logistic_regression"
    assert found.trains == ["one"]
    assert found.tests == ["one", "three", "two"]
    assert found.seed == 0
    for test, n in NAMES.items():
        (cell,) = found.at("one", test)
        assert (cell.n, cell.uar.n_speakers) == (n * 8, n)
        assert cell.is_within is (test == "one")
        assert cell.uar.low <= cell.uar.value <= cell.uar.high
    assert not found.at("two", "one")


def test_cells_are_scored_on_their_own_corpus(runs: list[Run]) -> None:
    (run,) = [r for r in runs if "cross-one" in r.run_id]

    for cell in cross.cells(run):
        mask = (run.predictions["corpus"] == cell.test).to_numpy()
        assert cell.uar.value == pytest.approx(score_run(run, mask).uar)


def test_variants_have_no_part_in_a_cell(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_folds=2)
    whole = next(cross.cells(run))
    run.predictions.loc[::4, "variant"] = "degrade:noise#1"

    (cell,) = cross.cells(run)

    assert cell.n == 0.75 * whole.n
    assert cell.uar.value == pytest.approx(score_run(run).uar)


def test_cells_with_unknown_speakers_have_no_interval(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_folds=2)
    run.predictions.loc[:3, "speaker"] = ""

    (cell,) = cross.cells(run)

    assert cell.uar.value == pytest.approx(score_run(run).uar)
    assert (cell.uar.n_speakers, np.isnan(cell.uar.low)) == (24, True)
    assert cell.uar.note == "no speaker is known of 4 utterances: no interval"


def test_seeds_are_apart_where_settings_do_not_name_them(tmp_path: Path) -> None:
    told = {"settings": {"features": ["egemaps"]}}  # as experiment.settings_of has it
    made = [make_run(tmp_path, seed=seed, more=told) for seed in (0, 1)]

    assert [m.seed for m in cross.matrix(made)] == [0, 1]


def test_run_tested_elsewhere_has_its_place(
    cache: Cache, runs: list[Run], tmp_path: Path
) -> None:
    (own,) = [r for r in runs if "cross" not in r.run_id]

    found = elsewhere.evaluate(own, cache, ["two"], tmp_path)

    (told,) = cross.matrix([found])
    (cell,) = told.cells
    assert (cell.train, cell.test, cell.n) == ("one", "two", 72)
    assert "trained on one, tested elsewhere" in cell.warnings


def test_other_heads_labels_and_seeds_are_other_matrices(tmp_path: Path) -> None:
    made = [
        make_run(tmp_path, seed=seed, model=model, corpus=corpus)
        for seed, model, corpus in (
            (0, "xgb", "a"),
            (1, "xgb", "a"),
            (0, "svm", "a"),
            (0, "xgb", "b"),
        )
    ]

    found = cross.matrix(made)

    assert [(m.model, m.seed, len(m.cells)) for m in found] == [
        ("xgb", 0, 2),
        ("xgb", 1, 1),
        ("svm", 0, 1),
    ]
    few = make_run(tmp_path, corpus="c", n_speakers=5)
    (cell,) = cross.cells(few)
    assert np.isnan(cell.uar.low)
    assert "5 test speakers" in cell.uar.note


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ("--train-corpus one", "expected both, got only --train-corpus"),
        ("--test-corpus one", "expected both, got only --test-corpus"),
        (
            "--train-corpus one --test-corpus two --protocol loso --folds 0",
            "leave out --protocol, --folds",
        ),
    ],
)
def test_contradictions_are_refused(
    cache: Cache, tmp_path: Path, words: str, match: str
) -> None:
    with pytest.raises(EmocacheError, match=match):
        fitted(cache, tmp_path, "--model", "prior", *words.split())


def test_only_takes_what_was_left_out_along(cache: Cache) -> None:
    whole = view(cache)
    lost: Any = (("one/x.wav", "broken"), ("two/y.wav", "broken"))
    object.__setattr__(whole, "left_out", lost)

    part = cross.only(whole, ["two"])

    assert part.left_out == (("two/y.wav", "broken"),)
    assert list(part.cards) == ["two"]
    assert corpora(part) == {"two"}
