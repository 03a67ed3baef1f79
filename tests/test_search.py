"""Settings chosen on training speakers: never on test, and going on after a kill."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from contracts.cache import Cache
from contracts.errors import PluginError, RunError
from contracts.run import find_runs
from contracts.view import View
from evaluation import search
from evaluation.question import ask
from evaluation.search import Search, choose
from evaluation.splits import inner, protocols
from evaluation.splits.folds import Fold
from models import _together, pepino
from pipeline import main
from tests.synthetic import make_cache, rows

SEEN: list[tuple[str, set[str]]] = []


class Spy(ClassifierMixin, BaseEstimator):
    """A head that is right with a share of the utterances, and notes who it sees."""

    features = ("egemaps",)
    needs_dev = False
    name = "spy"

    def __init__(self, skill: float = 0.5, other: int = 0, seed: int = 0) -> None:
        self.skill = skill
        self.other = other
        self.seed = seed

    def fit(self, train: View, dev: View | None = None) -> "Spy":
        if self.other < 0:
            msg = "diverged: expected a finite loss, got nan"
            raise RunError(msg)
        SEEN.append(("fit", set(train.speakers)))
        self.classes_ = np.array(train.classes, object)
        return self

    def predict_proba(self, view: View) -> np.ndarray:
        SEEN.append(("predict", set(view.speakers)))
        n = len(view.classes)
        right = np.arange(len(view)) < self.skill * len(view)
        out = np.full((len(view), n), 1e-3)
        order = np.argsort(np.argsort(view.ids.astype(str)))
        guess = np.where(right[order], view.y, (view.y + 1) % n)
        out[np.arange(len(view)), guess] = 1.0
        return out / out.sum(axis=1, keepdims=True)


class StoppingSpy(Spy):
    """The same, stopping by development speakers."""

    needs_dev = True

    def fit(self, train: View, dev: View | None = None) -> "StoppingSpy":
        assert dev is not None
        assert not set(dev.speakers) & set(train.speakers)
        SEEN.append(("dev", set(dev.speakers)))
        super().fit(train)
        return self


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    make_cache(folder, rows(n_speakers=8, per_label=2))
    return folder


@pytest.fixture
def fold(cache: Path) -> Fold:
    SEEN.clear()
    view = Cache(cache).view()
    question = ask(view.require(["egemaps"]), "identity", "speakers-5fold")
    return question.folds[0]


def test_inner_parts_hold_training_speakers_alone(fold: Fold) -> None:
    outside = set(fold.part("test").speakers)

    for with_dev in (False, True):
        held: list[str] = []
        for part in inner.parts(fold, 3, with_dev):
            sides = [set(part.part(p).speakers) for p in ("train", "dev", "test")]
            assert not set.union(*sides) & outside
            assert bool(sides[1]) is with_dev
            held += sides[2]
        # each training speaker is held out once
        assert sorted(held) == sorted(set(fold.refit.speakers))


def test_too_few_speakers_are_refused(fold: Fold) -> None:
    few = protocols.originals(fold.view)
    names = sorted(set(few.speakers))[:3]
    at = [np.flatnonzero(few.speakers == n) for n in names]
    small = Fold(0, "x", few, at[0], at[1][:0], at[2])

    with pytest.raises(RunError, match="has 1 training speakers: expected 2 or more"):
        list(inner.parts(small))


@pytest.mark.parametrize("head", [Spy(), StoppingSpy()])
def test_the_best_candidate_is_taken_and_no_test_speaker_seen(
    fold: Fold, head: Any, tmp_path: Path
) -> None:
    space = {"skill": [0.2, 0.9, 0.4], "other": [1, 2]}

    found, tried = choose(fold, head, Search(space), 0, tmp_path)

    assert found == {"skill": 0.9, "other": 1}  # the first of two equal ones
    assert len(tried) == 6
    assert [t["settings"] for t in tried] == Search(space).grid
    seen = set().union(*(speakers for _, speakers in SEEN))
    assert not seen & set(fold.part("test").speakers)


def test_what_was_judged_is_not_judged_again(fold: Fold, tmp_path: Path) -> None:
    some, more = {"skill": [0.2, 0.9]}, {"skill": [0.2, 0.9, 0.95]}
    choose(fold, Spy(), Search(some), 0, tmp_path)
    SEEN.clear()

    found, _ = choose(fold, Spy(), Search(more), 0, tmp_path)

    assert found == {"skill": 0.95}
    assert len([x for x in SEEN if x[0] == "fit"]) == 5  # parts of one candidate


def test_a_candidate_that_fails_is_told_and_the_rest_goes_on(
    fold: Fold, tmp_path: Path
) -> None:
    space = {"other": [-1, 1]}

    found, tried = choose(fold, Spy(), Search(space), 0, tmp_path)

    assert found == {"other": 1}
    assert "diverged" in tried[0]["failed"]
    with pytest.raises(RunError, match="none of 1 candidates could be fitted"):
        choose(fold, Spy(), Search({"other": [-2]}), 0, tmp_path)


def test_what_failed_is_tried_anew_when_a_search_goes_on(
    fold: Fold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = {"skill": [0.2, 0.9]}

    def fails(*_: Any) -> None:
        msg = "there is no such device here"
        raise RunError(msg)

    with monkeypatch.context() as machine:
        machine.setattr(Spy, "fit", fails)
        with pytest.raises(RunError, match="none of 2 .* no such device here"):
            choose(fold, Spy(), Search(space), 0, tmp_path)

    found, tried = choose(fold, Spy(), Search(space), 0, tmp_path)

    assert found == {"skill": 0.9}
    assert all("uar" in one for one in tried)
    files = list(tmp_path.iterdir())
    assert len(files) == 2
    for path in files:  # as an earlier version kept it
        path.write_text(json.dumps({"judged": {"failed": "no such device"}}))
    assert choose(fold, Spy(), Search(space), 0, tmp_path) == (found, tried)


@pytest.mark.parametrize("kind", ["random", "optuna"])
def test_other_searches_try_some_and_the_same_ones_again(
    fold: Fold, tmp_path: Path, kind: str
) -> None:
    if kind == "optuna":
        pytest.importorskip("optuna", reason="needs the extra 'search'")
    space = {"skill": [i / 20 for i in range(20)]}
    one = Search(space, kind, trials=8)

    found, tried = choose(fold, Spy(), one, 0, tmp_path / "a")
    again = choose(fold, Spy(), one, 0, tmp_path / "b")
    other = choose(fold, Spy(), one, 1, tmp_path / "c")

    assert (found, tried) == again
    assert [t["settings"] for t in tried] != [t["settings"] for t in other[1]]
    assert 3 <= len(tried) <= 8
    assert len({json.dumps(t["settings"]) for t in tried}) == len(tried)
    best = max(tried, key=lambda t: t["uar"])
    assert found == best["settings"]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (["lr=1e-3,1e-4"], {"lr": [1e-3, 1e-4]}),
        (["layers=[6],[7,8]", "n=1"], {"layers": [[6], [7, 8]], "n": [1]}),
        (["kind=a,b,none"], {"kind": ["a", "b", None]}),
    ],
)
def test_grids_are_read(pairs: list[str], expected: dict[str, Any]) -> None:
    assert search.parse(pairs) == expected


@pytest.mark.parametrize("bad", ["lr", "lr=", "=1", ""])
def test_bad_grids_are_refused(bad: str) -> None:
    with pytest.raises(PluginError, match="bad --grid .*expected key=value"):
        search.parse([bad])


# through the program


def fit(cache: Path, runs: Path, *more: str) -> int:
    words = ["fit", "--model", "logistic_regression", "--feature", "egemaps"]
    words += ["--cache", str(cache), "--runs", str(runs), "--labels", "identity"]
    return main([*words, "--protocol", "speakers-5fold", *more])


def test_fit_searches_in_each_fold_and_tells(cache: Path, tmp_path: Path) -> None:
    assert fit(cache, tmp_path, "--grid", "C=1e-4,1.0", "--folds", "0,1") == 0

    ((run,), _) = find_runs(tmp_path)
    assert run.record["search"]["space"] == {"C": [1e-4, 1.0]}
    for told in run.record["folds"]:
        searched = told["searched"]
        assert searched["settings"]["C"] in (1e-4, 1.0)
        assert len(searched["tried"]) == 2
        assert told["chosen"]["C"] == searched["settings"]["C"]
        saved = json.loads(
            (run.fold_folder(told["index"]) / "model" / "head.json").read_text()
        )
        assert saved["parameters"]["C"] == searched["settings"]["C"]


@pytest.mark.parametrize("kind", ["grid", "random", "optuna"])
def test_a_killed_search_goes_on(
    kind: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "optuna":
        pytest.importorskip("optuna", reason="needs the extra 'search'")
    grid = "C=1e-5,1e-4,1e-3,1e-2,1e-1,1.0"
    words = ["--grid", grid, "--folds", "0", "--search", kind, "--trials", "6"]
    keep, kept, most = search._Judge._keep, [], 2

    def breaks(self: Any, *told: Any) -> None:
        if len(kept) == most:
            raise KeyboardInterrupt
        kept.append(told)
        keep(self, *told)

    monkeypatch.setattr(search._Judge, "_keep", breaks)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        raise SystemExit(fit(cache, tmp_path, *words))
    kept.clear()
    most = 6

    assert fit(cache, tmp_path, *words) == 0
    (run,) = find_runs(tmp_path)[0]
    tried = run.record["folds"][0]["searched"]["tried"]
    assert len(kept) == len(tried) - 2
    assert kept


def pepino_fold(cache: Path) -> Fold:
    view = Cache(cache).view().require(["wav2vec2"])
    return ask(view, "identity", "speakers-5fold").folds[0]


def test_candidates_share_a_pass_over_the_frames(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold, head = pepino_fold(cache), pepino.Head(max_epochs=2, batch_size=8)
    space = {"lr": [1e-3, 1e-2], "dropout": [0.1, 0.3]}
    sizes: list[int] = []
    original = _together.fit_jointly

    def counted(tasks: Any, *more: Any, **told: Any) -> Any:
        sizes.append(len(tasks))
        return original(tasks, *more, **told)

    monkeypatch.setattr(_together, "fit_jointly", counted)
    found, tried = choose(fold, head, Search(space), 0, tmp_path / "a")

    assert sizes == [4 * inner.PARTS]  # candidates by parts
    monkeypatch.setattr(search, "_FITS", 1)  # each candidate by itself
    alone, told = choose(fold, head, Search(space), 0, tmp_path / "b")
    assert sizes[1:] == 4 * [inner.PARTS]
    assert found == alone
    for mine, its in zip(tried, told, strict=True):
        assert mine["settings"] == its["settings"]
        assert mine["uar"] == pytest.approx(its["uar"], abs=0.05)


def test_a_candidate_that_fails_among_others_keeps_none_from_being_judged(
    cache: Path, tmp_path: Path
) -> None:
    head = pepino.Head(max_epochs=2, batch_size=8)
    space = {"lr": [1e-3, 1e30, 1e-2]}

    _, tried = choose(pepino_fold(cache), head, Search(space), 0, tmp_path)

    assert ["uar" in one for one in tried] == [True, False, True]
    assert "diverged" in tried[1]["failed"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--grid", "nosuch=1,2"], "unknown settings nosuch"),
        (["--grid", "C=a,b"], "expected logistic_regression.C"),
        (["--search", "random"], "expected 1 trial or more and a --grid"),
    ],
)
def test_bad_searches_are_refused_before_any_work(
    cache: Path,
    tmp_path: Path,
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fit(cache, tmp_path / "r", *words) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
