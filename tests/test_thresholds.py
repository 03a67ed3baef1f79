"""Thresholds of predicted sets: chosen on training speakers, scored beside 0.2."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contracts.cache import Cache
from contracts.errors import RunError
from contracts.manifest import Manifest, card
from contracts.run import Run
from evaluation import _fits, experiment, settings, thresholds, unheard
from evaluation.measures.soft_labels import soft_intervals_of, soft_scores_of
from evaluation.measures.temperature import apply_temperature
from evaluation.measures.vote_shares import exact_set
from evaluation.question import Question, ask
from evaluation.tempering import After
from evaluation.thresholds import GRID, choose_threshold
from tests import synthetic

LABELS = synthetic.LABELS
NAMES = [f"vote:{label}" for label in LABELS]
ONLY = After(threshold=True)
BOTH = After(temperature=True, threshold=True)


def voted_rows() -> pd.DataFrame:
    """Return utterances of which five annotators say two labels as a rule."""
    rows = synthetic.rows(10, 3)
    rng = np.random.default_rng(0)
    votes = []
    for label in rows["label"]:
        share = np.full(4, 0.05)
        share[LABELS.index(label)] = 0.6
        share[(LABELS.index(label) + 1) % 4] += 0.25
        votes.append(rng.multinomial(5, share / share.sum()) / 5)
    return rows.assign(**dict(zip(NAMES, np.array(votes).T, strict=True)))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Cache]:
    """Return a function that makes a cache of the rows it is given."""

    def make(rows: pd.DataFrame) -> Cache:
        folder = tmp_path_factory.mktemp("voted") / "cache"
        return synthetic.make_cache(folder, rows, strength=0.25)

    return make


@pytest.fixture(scope="module")
def cache(world: Callable[..., Cache]) -> Cache:
    return world(voted_rows())


def run(
    cache: Cache,
    runs: Path,
    after: After = ONLY,
    model: str = "logistic_regression",
    **told: Any,
) -> tuple[Question, Run]:
    head = settings.heads([model], told, None)[model]
    view = cache.view("toy").require(head.features)
    question = ask(view, None, "speakers-5fold", [0, 1])
    (made,) = experiment.run_head(question, model, head, [0], runs, after=after)
    return question, made


@pytest.fixture(scope="module")
def only(
    cache: Cache, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Question, Run]:
    return run(cache, tmp_path_factory.mktemp("only"))


@pytest.fixture(scope="module")
def both(
    cache: Cache, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Question, Run]:
    return run(cache, tmp_path_factory.mktemp("both"), BOTH)


def chosen(made: Run, what: str = "threshold") -> list[float]:
    return [fold["chosen"][what] for fold in made.record["folds"]]


def shares_of_test(made: Run) -> np.ndarray:
    return made.predictions[NAMES].to_numpy(float)


def test_the_most_exact_sets_are_found() -> None:
    rng = np.random.default_rng(1)
    votes = rng.multinomial(5, [0.4, 0.3, 0.2, 0.1], 80).astype(float)
    told = rng.dirichlet(np.ones(4), 80)

    found = choose_threshold(votes, told)

    each = {one: exact_set(votes / 5, told, told_above=one).mean() for one in GRID}
    best = [one for one in GRID if each[one] == max(each.values())]
    assert found == min(best, key=lambda one: abs(one - 0.2))
    assert found != 0.2 and 0.2 in GRID


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([0.9, 0.1], 0.2),  # 0.10 to 0.60 are equally good
        ([0.72, 0.28], 0.28),  # 0.28 to 0.60: the nearest end
        ([0.4, 0.05, 0.4, 0.15], 0.2),
    ],
)
def test_of_equally_good_thresholds_the_nearest_to_a_fifth(
    told: list[float], expected: float
) -> None:
    votes = np.array([[float(p > 0.3) for p in told]])

    assert choose_threshold(votes, np.array([told])) == expected


def test_of_two_equally_near_the_lower_is_taken() -> None:
    # the first wants 0.18 or less, the second 0.22 or more: one of two is right
    votes = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    told = np.array([[0.81, 0.185, 0.005], [0.78, 0.22, 0.0]])

    assert choose_threshold(votes, told) == 0.18
    told[0, 1], told[1, 1] = 0.195, 0.205
    assert choose_threshold(votes, told) == 0.19  # and not 0.21


def test_utterances_without_votes_count_not() -> None:
    votes = np.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 0]])
    told = np.array([[0.65, 0.35, 0.0], [0.38, 0.36, 0.26], [0.38, 0.36, 0.26]])

    assert choose_threshold(votes, told) == 0.35
    with pytest.raises(RunError, match="none of 2 utterances .* has votes. Leave --th"):
        choose_threshold(votes[1:], told[1:])


def test_the_votes_keep_their_own_threshold() -> None:
    votes = np.array([[0.7, 0.3, 0.0]])
    told = np.array([[0.5, 0.45, 0.05]])

    # were the votes held against 0.4 too, they would name one class
    assert exact_set(votes, told, told_above=0.4).tolist() == [1]
    assert exact_set(votes, told, told_above=0.46).tolist() == [0]


def test_a_run_keeps_and_scores_what_each_fold_chose(
    cache: Cache, only: tuple[Question, Run], tmp_path: Path
) -> None:
    _, plain = run(cache, tmp_path, After())
    _, made = only

    assert plain.run_id != made.run_id
    assert plain.thresholds is None and "threshold" not in plain.record
    np.testing.assert_array_equal(plain.probabilities, made.probabilities)
    told = chosen(made)
    assert set(told) <= set(GRID) and len(set(told)) > 1
    votes, n_right = shares_of_test(made), 0.0
    for fold, limit in enumerate(told):
        rows = (made.predictions["fold"] == fold).to_numpy()
        named = (votes[rows] > 0.2) == (made.probabilities[rows] > limit)
        n_right += named.all(axis=1).sum()
    fixed, own = soft_scores_of(plain), soft_scores_of(made)
    assert fixed is not None and own is not None
    assert fixed.exact_set_chosen is None
    assert own.exact_set == fixed.exact_set  # 0.2 stays what it was
    assert own.exact_set_chosen == pytest.approx(n_right / len(votes))
    assert own.exact_set_chosen is not None and own.exact_set_chosen > own.exact_set
    intervals = soft_intervals_of(made)
    assert intervals["exact_set_chosen"].value == pytest.approx(own.exact_set_chosen)
    assert "exact_set_chosen" not in soft_intervals_of(plain)


def test_it_is_chosen_on_what_heads_say_of_speakers_they_did_not_hear(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[set[str], Any, Any]] = []
    kept = _fits.fits

    def spy(head: Any, jobs: Any) -> Any:
        for job, fitted, facts in kept(head, jobs):
            seen.append((set(job.train.speakers), job.test, fitted))
            yield job, fitted, facts

    monkeypatch.setattr(unheard, "fits", spy)
    question, made = run(cache, tmp_path)

    for n, fold in enumerate(question.folds):
        own = seen[5 * n : 5 * n + 5]
        judged = {s for _, view, _ in own for s in view.speakers}
        assert judged == set(fold.refit.speakers)
        assert all(not heard & set(view.speakers) for heard, view, _ in own)
        votes = np.concatenate([view.votes[list(LABELS)] for _, view, _ in own])
        told = np.concatenate([f.predict_proba(view) for _, view, f in own])
        assert chosen(made)[n] == choose_threshold(votes, told)


def test_the_temperature_comes_first(
    cache: Cache, both: tuple[Question, Run], tmp_path: Path
) -> None:
    _, soft = run(cache, tmp_path, After(temperature=True))
    question, made = both

    assert made.run_id != soft.run_id
    assert chosen(made, "temperature") == chosen(soft, "temperature")
    np.testing.assert_array_equal(made.probabilities, soft.probabilities)
    head = settings.heads(["logistic_regression"], {}, None)["logistic_regression"]
    jobs = list(experiment._jobs(question, head, 0, ()))
    apart = unheard.out_of_fold(jobs, {f.index: f for f in question.folds})
    expected = [
        choose_threshold(one.votes, apply_temperature(one.probabilities, t))
        for one, t in zip(apart, chosen(made, "temperature"), strict=True)
    ]
    assert chosen(made) == expected
    plain = [choose_threshold(one.votes, one.probabilities) for one in apart]
    assert plain != expected


def test_votes_of_test_speakers_change_nothing_in_what_is_chosen(
    world: Callable[..., Cache], both: tuple[Question, Run], tmp_path: Path
) -> None:
    question, made = both
    test = question.folds[0].part("test").speakers
    rows = voted_rows()
    own = rows["speaker"].isin(set(test)).to_numpy()
    for columns in (NAMES, ["label"]):  # votes and labels, each permuted
        order = np.random.default_rng(1).permutation(np.flatnonzero(own))
        rows.loc[own, columns] = rows.loc[order, columns].to_numpy()
    others = voted_rows()
    for name, label in zip(NAMES, LABELS, strict=True):  # everybody says one label
        others.loc[~own, name] = (others["label"][~own] == label).astype(float)

    _, permuted = run(_relabelled(world, rows), tmp_path / "b", BOTH)
    _, sure = run(_relabelled(world, others), tmp_path / "c", BOTH)

    for what in ("temperature", "threshold"):
        assert chosen(permuted, what)[0] == chosen(made, what)[0]
    assert chosen(sure)[0] != chosen(made)[0]  # votes of training speakers do
    assert soft_scores_of(permuted) != soft_scores_of(made)


def _relabelled(world: Callable[..., Cache], rows: pd.DataFrame) -> Cache:
    """Make a cache of the features of ``voted_rows``, with other labels and votes."""
    cache = world(voted_rows())
    manifest = Manifest(
        "toy", rows, card(synthetic.CORPUS, plugin="toy", root="/nowhere")
    )
    with cache.lock():
        cache.put_manifest(manifest)
    return Cache(cache.folder)


def test_a_head_that_stops_by_dev_speakers_chooses_on_those_it_gave_up(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[tuple[set[str], set[str]]] = []
    kept = unheard.halved

    def spy(job: Any) -> Any:
        stopping, taken = kept(job)
        assert stopping.dev is not None
        used.append((set(stopping.dev.speakers), set(taken.speakers)))
        return stopping, taken

    monkeypatch.setattr(unheard, "halved", spy)
    question, made = run(cache, tmp_path, BOTH, "mlp", max_epochs=2)

    for fold, (stopping, taken) in zip(question.folds, used, strict=True):
        assert stopping and taken and not stopping & taken
        assert stopping | taken == set(fold.part("dev").speakers)
    assert len(chosen(made)) == 2
    assert set(made.record["folds"][0]["chosen"]) >= {"epoch", "threshold"}


def test_without_votes_it_is_refused_before_anything_is_fitted(
    toy_cache: Cache, tmp_path: Path
) -> None:
    with pytest.raises(
        RunError,
        match="expected votes in toy, got none. Leave --threshold out, or choose a cor",
    ):
        run(toy_cache, tmp_path)
    assert not list(tmp_path.iterdir())


def test_folds_whose_training_speakers_have_no_votes_are_named(
    world: Callable[..., Cache], tmp_path: Path
) -> None:
    rows = voted_rows()
    question, _ = run(world(rows), tmp_path, After())
    test = set(question.folds[1].part("test").speakers)
    rows.loc[~rows["speaker"].isin(test), NAMES] = 0.0  # only they have votes

    with pytest.raises(RunError, match="got none in fold 1. Leave"):
        run(world(rows), tmp_path / "b")


def test_what_is_derived_of_a_run_has_no_thresholds(
    only: tuple[Question, Run],
) -> None:
    _, made = only
    record = {k: v for k, v in made.record.items() if k != "threshold"}

    assert made.thresholds is not None
    assert Run(made.folder, record).thresholds is None
    assert thresholds.FACTS["grid"] == list(GRID)


def test_fit_takes_the_option_and_says_what_was_chosen(
    cache: Cache,
    toy_cache: Cache,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from pipeline import main

    def fit(folder: Path) -> int:
        return main(
            [
                *("fit", "--model", "logistic_regression", "--threshold"),
                *("--temperature", "--protocol", "speakers-5fold", "--folds", "1"),
                *("--cache", str(folder), "--runs", str(tmp_path)),
            ]
        )

    assert fit(cache.folder) == 0
    said = capsys.readouterr().out
    assert "chosen in fold 1: temperature " in said and ", threshold 0." in said
    assert "exactly the labels with more than 0.2 of the votes: 0." in said
    assert " at the thresholds chosen, 24 utterances with votes" in said
    assert fit(toy_cache.folder) != 0
    said = "".join(capsys.readouterr())
    assert "--threshold is chosen by annotators' votes" in said
    assert "Traceback" not in said
