"""The experiment: runs are kept fold by fold, resumed, not repeated, and honest."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.cache import Cache
from contracts.errors import CacheError, ManifestError, PluginError, RunError
from contracts.run import Run, RunWriter, find_runs, read_run
from contracts.view import View
from evaluation import _fits, experiment, settings
from evaluation.measures.metrics import score_run
from evaluation.question import Question, choose_corpora
from evaluation.question import ask as build_question
from tests import synthetic


def ask(cache: Cache, model: str, **options: Any) -> tuple[Question, Any]:
    view = cache.view(*cache.corpora)
    asked = {"labels": None, "protocol": None} | options
    head = settings.heads([model], asked.pop("settings", {}), None)[model]
    return build_question(view.require(head.features), **asked), head


def fit(cache: Cache, runs: Path, model: str = "prior", **options: Any) -> list[Run]:
    seeds = options.pop("seeds", [0])
    rerun = options.pop("rerun", False)
    if model == "random_forest":
        options = {"settings": {"n_estimators": 5}} | options
    question, head = ask(cache, model, **options)
    return experiment.run_head(question, model, head, seeds, runs, rerun)


def test_run_keeps_one_probability_row_per_test_utterance(
    toy_cache: Cache, tmp_path: Path
) -> None:
    (run,) = fit(toy_cache, tmp_path, "logistic_regression")

    rows = run.predictions
    assert sorted(rows["id"]) == sorted(toy_cache.view("toy").ids)
    assert {"fold", "label", "speaker", "sex", "session", "sentence", "variant"} <= {
        *rows
    }
    assert "trait:intensity" in rows
    np.testing.assert_allclose(run.probabilities.sum(1), 1)
    assert score_run(run).uar > 0.8
    assert run.record["partial"] is False
    assert run.record["protocol"]["name"] == "loso"
    assert run.record["manifest"]["n_speakers"] == 8


def test_test_speakers_are_in_no_other_part(toy_cache: Cache, tmp_path: Path) -> None:
    (run,) = fit(toy_cache, tmp_path, protocol="speakers-5fold")

    for fold in run.record["folds"]:
        test = set(fold["test_speakers"])
        assert test
        assert not test & {*fold["train_speakers"], *fold["dev_speakers"]}
        rows = run.predictions
        assert set(rows["speaker"][rows["fold"] == fold["index"]]) == test


class Spy:
    """A head that remembers the views it was given."""

    features = ()

    def __init__(self, needs_dev: bool) -> None:
        self.needs_dev = needs_dev
        self.seen: list[tuple[Any, Any]] = []

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"needs_dev": self.needs_dev}

    def __sklearn_clone__(self) -> "Spy":
        return self

    def fit(self, train: Any, dev: Any) -> "Spy":
        self.seen.append((train, dev))
        return self

    def predict_proba(self, view: Any) -> np.ndarray:
        return np.full((len(view), len(view.classes)), 1 / len(view.classes))

    def save(self, folder: Path) -> None:
        (folder / "head.json").write_text("{}")


@pytest.mark.parametrize("needs_dev", [True, False])
def test_dev_is_joined_to_train_only_for_heads_that_need_none(
    toy_cache: Cache, tmp_path: Path, needs_dev: bool
) -> None:
    question, _ = ask(toy_cache, "prior", protocol="speakers-5fold")
    spy = Spy(needs_dev)

    (run,) = experiment.run_head(question, "prior", spy, [0], tmp_path)

    for fold, (train, dev) in zip(question.folds, spy.seen, strict=True):
        speakers = set(train.speakers)
        assert not speakers & set(fold.part("test").speakers)
        assert (dev is None) is not needs_dev
        held = set(fold.part("dev").speakers)
        assert held <= speakers if not needs_dev else not held & speakers
    assert [f["refitted"] for f in run.record["folds"]] == [not needs_dev] * 5


def test_head_that_needs_dev_is_refused_where_there_is_none(tmp_path: Path) -> None:
    cache = synthetic.make_cache(tmp_path / "c", synthetic.rows(n_speakers=2))
    question, _ = ask(cache, "prior", protocol="loso")

    with pytest.raises(RunError, match="needs development speakers"):
        experiment.run_head(question, "prior", Spy(True), [0], tmp_path / "r")


def test_finished_run_is_not_run_again_without_rerun(
    toy_cache: Cache, tmp_path: Path
) -> None:
    (first,) = fit(toy_cache, tmp_path)
    stamp = (first.folder / "folds/0/fold.json").stat().st_mtime_ns

    record = first.folder / "run.json"
    told = json.loads(record.read_text()) | {"command": "of another day"}
    record.write_text(json.dumps(told))

    fit(toy_cache, tmp_path)
    assert (first.folder / "folds/0/fold.json").stat().st_mtime_ns == stamp
    assert json.loads(record.read_text()) == told

    fit(toy_cache, tmp_path, rerun=True)
    assert (first.folder / "folds/0/fold.json").stat().st_mtime_ns != stamp
    assert json.loads(record.read_text())["command"] != "of another day"
    assert [p.name for p in tmp_path.iterdir()] == [first.run_id]


class _KilledError(Exception):
    pass


def test_killed_run_goes_on_at_the_next_fold(
    toy_cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = fit(toy_cache, tmp_path / "whole", "random_forest")
    saved = RunWriter.save_fold
    count = 0

    def die_at_third(self: RunWriter, *arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise _KilledError
        saved(self, *arguments)

    monkeypatch.setattr(RunWriter, "save_fold", die_at_third)
    with pytest.raises(_KilledError):
        fit(toy_cache, tmp_path / "killed", "random_forest")
    finished, unfinished = find_runs(tmp_path / "killed")
    assert not finished
    assert unfinished == [whole.run_id]
    with pytest.raises(RunError, match="is unfinished: give its fit command once more"):
        read_run(tmp_path / "killed" / whole.run_id)
    monkeypatch.setattr(RunWriter, "save_fold", saved)
    stamp = (
        (tmp_path / "killed" / whole.run_id / "folds/0/fold.json").stat().st_mtime_ns
    )

    (resumed,) = fit(toy_cache, tmp_path / "killed", "random_forest")

    first = resumed.folder / "folds/0/fold.json"
    assert first.stat().st_mtime_ns == stamp
    assert resumed.run_id == whole.run_id
    assert resumed.predictions.equals(whole.predictions)


def test_killed_rerun_leaves_the_finished_run(
    toy_cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = fit(toy_cache, tmp_path)

    def die(self: RunWriter, *_: Any) -> None:
        raise _KilledError

    with monkeypatch.context() as patch:
        patch.setattr(RunWriter, "save_fold", die)
        with pytest.raises(_KilledError):
            fit(toy_cache, tmp_path, rerun=True)

    assert read_run(first.folder).predictions.equals(first.predictions)
    assert [r.run_id for r in find_runs(tmp_path)[0]] == [first.run_id]
    (again,) = fit(toy_cache, tmp_path, rerun=True)
    assert again.predictions.equals(first.predictions)


def test_two_processes_do_not_fit_one_run(toy_cache: Cache, tmp_path: Path) -> None:
    question, head = ask(toy_cache, "prior")
    told = experiment.settings_of(question, "prior", head, 0)

    with (
        RunWriter(tmp_path, told).begin(),
        pytest.raises(RunError, match="is being fitted by another process"),
    ):
        fit(toy_cache, tmp_path)


def test_broken_run_does_not_hide_the_others(toy_cache: Cache, tmp_path: Path) -> None:
    runs = fit(toy_cache, tmp_path, seeds=[0, 1, 2])
    (runs[0].folder / "run.json").write_text("{")
    (runs[1].folder / "folds/3/predictions.parquet").unlink()

    found, others = find_runs(tmp_path)

    assert [r.run_id for r in found] == [runs[2].run_id]
    assert "is broken" in others[0]
    assert "is broken: fold 3: " in others[1]


def test_limited_corpus_is_called_so(tmp_path: Path) -> None:
    cache = synthetic.make_cache(tmp_path / "c")
    told = cache.manifest("toy")
    card = told.card | {"limited": [64, 100]}
    cache.put_manifest(dataclasses.replace(told, card=card))

    (run,) = fit(Cache(tmp_path / "c"), tmp_path / "r")

    assert run.warnings == ["limited: 64 of 100 utterances of toy"]


def test_values_of_another_kind_are_refused_before_work_starts() -> None:
    for value, expected in (("abc", "100"), (True, "100"), (1.5, "100")):
        with pytest.raises(
            PluginError, match=f"n_estimators: a value such as {expected}"
        ):
            settings.heads(["random_forest"], {"n_estimators": value}, None)
    settings.heads(["vgg"], {"lr": 1, "patience": 3, "clip_norm": None}, None)


def test_same_seed_same_rows_and_another_seed_another_run(
    toy_cache: Cache, tmp_path: Path
) -> None:
    one = fit(toy_cache, tmp_path / "a", "random_forest", seeds=[0, 1])
    two = fit(toy_cache, tmp_path / "b", "random_forest", seeds=[0])

    assert one[0].predictions.equals(two[0].predictions)
    assert one[0].run_id == two[0].run_id != one[1].run_id
    assert not one[0].predictions.equals(one[1].predictions)


def test_some_folds_are_another_run_and_labelled_partial(
    toy_cache: Cache, tmp_path: Path
) -> None:
    (whole,) = fit(toy_cache, tmp_path)
    (part,) = fit(toy_cache, tmp_path, wanted=[0, 1])

    assert part.run_id != whole.run_id
    assert part.record["partial"] is True
    assert part.warnings == ["partial: folds 0, 1 only"]
    (all_of_them,) = fit(toy_cache, tmp_path, wanted=list(range(8)))
    assert all_of_them.run_id == whole.run_id


def test_identity_changes_with_what_matters(toy_cache: Cache, tmp_path: Path) -> None:
    base = fit(toy_cache, tmp_path, "random_forest")[0].run_id

    more = {"settings": {"n_estimators": 7}}
    assert fit(toy_cache, tmp_path, "random_forest", **more)[0].run_id != base
    other = fit(toy_cache, tmp_path, "random_forest", protocol="speakers-5fold")
    assert other[0].run_id != base


def test_a_head_may_fit_its_jobs_together(toy_cache: Cache, tmp_path: Path) -> None:
    question, head = ask(toy_cache, "prior", protocol="speakers-5fold")
    seen = []

    class Together(type(head)):  # type: ignore[misc]
        @classmethod
        def fit_jobs(cls, jobs: Any) -> Any:
            seen.append([(job.fold, job.seed) for job in jobs])
            for job in reversed(jobs):
                yield job, job.head.fit(job.train, job.dev)

    runs = experiment.run_head(question, "prior", Together(), [0, 1], tmp_path)

    assert seen == [[(f, s) for s in (0, 1) for f in range(5)]]
    assert [len(r.record["folds"]) for r in runs] == [5, 5]


def test_folds_side_by_side_give_the_numbers_of_folds_in_turn(
    toy_cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = {"seeds": [0, 1], "protocol": "speakers-5fold"}
    turn = fit(toy_cache, tmp_path / "turn", "random_forest", **seeds)
    pids = []
    timed = _fits._timed

    def spied(job: Any) -> Any:  # in this process alone
        pids.append(job.fold)
        return timed(job)

    monkeypatch.setattr(_fits, "_timed", spied)
    monkeypatch.setattr(_fits, "_WORTH", 0.0)
    beside = fit(toy_cache, tmp_path / "beside", "random_forest", **seeds)

    assert not pids  # all were fitted elsewhere
    for one, other in zip(turn, beside, strict=True):
        assert one.run_id == other.run_id
        assert one.predictions.equals(other.predictions)
        told = [
            json.loads((r.folder / "folds/3/model/head.json").read_text())
            for r in (one, other)
        ]
        assert told[0] == told[1]
        assert told[0]["parameters"]["n_jobs"] is None


def test_folds_side_by_side_are_kept_as_they_end(
    toy_cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_fits, "_WORTH", 0.0)
    saved, count = RunWriter.save_fold, 0

    def die_at_fourth(self: RunWriter, *arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == 4:
            raise _KilledError
        saved(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(RunWriter, "save_fold", die_at_fourth)
        with pytest.raises(_KilledError):
            fit(toy_cache, tmp_path / "killed", "random_forest")
    assert len(list((tmp_path / "killed").glob("*/folds/*/fold.json"))) == 3

    (resumed,) = fit(toy_cache, tmp_path / "killed", "random_forest")
    (whole,) = fit(toy_cache, tmp_path / "whole", "random_forest")
    assert resumed.predictions.equals(whole.predictions)


def test_error_beside_is_the_error_in_turn(
    toy_cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fits(worth: float) -> str:
        question, _ = ask(toy_cache, "prior", protocol="speakers-5fold")
        head = settings.head_class("random_forest")(n_estimators=5)
        jobs = list(experiment._jobs(question, head, 0, ()))
        jobs[2].head.set_params(layers=6)
        monkeypatch.setattr(_fits, "_WORTH", worth)
        with pytest.raises(RunError) as caught:
            list(_fits.fits(head, jobs))
        return str(caught.value)

    assert "such as --set layers=[6]" in fits(0.0)
    assert fits(0.0) == fits(1e9)


def test_libraries_get_one_thread_and_have_theirs_back(toy_cache: Cache) -> None:
    from threadpoolctl import threadpool_info, threadpool_limits

    question, _ = ask(toy_cache, "prior", protocol="speakers-5fold")
    seen = []

    class Watched(settings.head_class("logistic_regression")):  # type: ignore[misc]
        def fit(self, train: Any, dev: Any = None) -> Any:
            seen.append({one["num_threads"] for one in threadpool_info()})
            return self

    with threadpool_limits(2):
        before = [one["num_threads"] for one in threadpool_info()]
        jobs = list(experiment._jobs(question, Watched(), 0, ()))
        list(_fits.fits(Watched(), jobs))
        assert [one["num_threads"] for one in threadpool_info()] == before

    assert seen == [{1}] * 5


def test_seeds_of_a_head_that_draws_nothing_are_one_fit(
    toy_cache: Cache, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lots = {"seeds": [0, 3], "protocol": "speakers-5fold"}
    runs = fit(toy_cache, tmp_path, "xgb", settings={"n_estimators": 3}, **lots)

    assert "xgb draws nothing: seeds 0, 3 are equal fits" in capsys.readouterr().out
    assert runs[0].predictions.equals(runs[1].predictions)
    assert runs[0].run_id != runs[1].run_id
    for run, seed in zip(runs, (0, 3), strict=True):
        assert [f["one_fit_for_seeds"] for f in run.record["folds"]] == [[0, 3]] * 5
        told = json.loads((run.folder / "folds/1/model/head.json").read_text())
        assert told["parameters"]["seed"] == seed

    drawn = {"n_estimators": 3, "subsample": 0.5}
    one, other = fit(toy_cache, tmp_path, "xgb", settings=drawn, **lots)
    assert "draws nothing" not in capsys.readouterr().out
    assert not one.predictions.equals(other.predictions)
    assert "one_fit_for_seeds" not in one.record["folds"][0]


def test_cores_that_are_asked_for_are_the_heads_own() -> None:
    head = settings.head_class("random_forest")

    assert _fits.goes_beside_others(head())
    assert _fits.goes_beside_others(head(n_jobs=1))
    assert not _fits.goes_beside_others(head(n_jobs=2))
    assert not _fits.goes_beside_others(settings.head_class("vgg")())


def test_variants_do_not_count(toy_cache: Cache, tmp_path: Path) -> None:
    (run,) = fit(toy_cache, tmp_path)
    rows = run.predictions
    rows.loc[:31, "variant"] = "noise"

    assert score_run(dataclasses.replace(run)).n == 64
    changed = dataclasses.replace(run)
    changed.__dict__["predictions"] = rows
    assert score_run(changed).n == 32


def test_duplicates_across_speakers_are_refused_or_dropped(tmp_path: Path) -> None:
    rows = synthetic.rows()
    rows.loc[9, "waveform"] = rows.loc[1, "waveform"]
    cache = synthetic.make_cache(tmp_path / "c", rows)

    with pytest.raises(ManifestError, match="share a waveform"):
        ask(cache, "prior")
    question, _ = ask(cache, "prior", drop_duplicates=True)

    ((why, count),) = question.refused
    assert count == 1
    assert why == f"waveform heard before: {rows['id'][9]}"
    assert rows["id"][1] in question.view.ids
    assert rows["id"][9] not in question.view.ids


def test_settings_go_to_the_heads_that_have_them() -> None:
    values = settings.parse(["n_estimators=7", "xgb.max_depth=3", "features_=x"][:2])

    heads = settings.heads(["random_forest", "xgb"], values, ["mfcc"])

    assert heads["random_forest"].get_params()["n_estimators"] == 7
    assert heads["xgb"].get_params()["max_depth"] == 3
    assert heads["xgb"].features == ("mfcc",)
    assert settings.heads(["prior"], {}, ["mfcc"])["prior"].features == ()
    with pytest.raises(PluginError, match="unknown settings trees, expected some of"):
        settings.heads(["random_forest"], {"trees": 3}, None)
    with pytest.raises(PluginError, match="unknown settings seed"):
        settings.heads(["random_forest"], {"seed": 3}, None)
    with pytest.raises(PluginError, match="unknown models: 'forest'"):
        settings.heads(["forest"], {}, None)
    with pytest.raises(PluginError, match="expected key=value"):
        settings.parse(["n_estimators"])


def test_values_are_literals_or_text_and_never_code() -> None:
    text = "__import__('os').system('false')"

    told = settings.parse(
        ["a=1", "b=1e-3", "c=[1, 2]", "d=true", "e=none", f"f={text}"]
    )

    assert told == {"a": 1, "b": 1e-3, "c": [1, 2], "d": True, "e": None, "f": text}


def test_corpus_is_chosen_or_the_choice_is_listed(tmp_path: Path) -> None:
    cache = synthetic.make_cache(tmp_path)
    assert choose_corpora(cache, None) == ["toy"]

    synthetic.make_cache(tmp_path, corpus="other")
    with pytest.raises(CacheError, match="holds other, toy: choose with --corpus"):
        choose_corpora(Cache(tmp_path), None)
    with pytest.raises(CacheError, match="is empty. Run: python pipeline.py extract"):
        choose_corpora(Cache(tmp_path / "none"), None)


def test_two_corpora_stand_side_by_side(tmp_path: Path) -> None:
    synthetic.make_cache(tmp_path / "c", corpus="a")
    synthetic.make_cache(tmp_path / "c", corpus="b")

    (run,) = fit(Cache(tmp_path / "c"), tmp_path / "r", "logistic_regression")

    assert run.record["corpus"] == "a+b"
    assert run.record["manifest"]["n_speakers"] == 16
    assert set(run.predictions["corpus"]) == {"a", "b"}


def test_record_is_json_and_says_what_it_rests_on(
    toy_cache: Cache, tmp_path: Path
) -> None:
    (run,) = fit(toy_cache, tmp_path, "random_forest")

    told = json.loads((run.folder / "run.json").read_text())

    spec = toy_cache.view("toy").spec("egemaps")
    assert told["features"][0]["fingerprint"] == spec.fingerprint
    assert told["settings"]["n_estimators"] == 5
    assert told["labels"]["after"]["happy"] == 16
    assert told["versions"]["numpy"] == np.__version__
    assert not list(tmp_path.rglob("*.pkl"))


def test_a_head_that_gives_no_number_is_refused(
    toy_cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    question, head = ask(toy_cache, "prior")
    says = type(head).predict_proba

    def broken(self: Any, view: View) -> Any:
        told = np.array(says(self, view))
        told[0] = np.nan
        return told

    monkeypatch.setattr(type(head), "predict_proba", broken)
    first = question.folds[0].part("test").ids[0]
    with pytest.raises(RunError, match=rf"no number for 1 of .*{first}.*cache verify"):
        experiment.run_head(question, "prior", head, [0], tmp_path)


def test_a_corpus_of_which_some_is_missing_is_called_so(
    toy_cache: Cache, tmp_path: Path
) -> None:
    view = toy_cache.view("toy").require(["egemaps"])
    card = {**view.cards["toy"], "n_utterances": len(view) + 5}
    head = settings.head_class("prior")()

    for published, told in ((len(view) + 5, True), (len(view), False)):
        cards = {"toy": {**card, "n_utterances": published}}
        question = build_question(dataclasses.replace(view, cards=cards), None, "loso")
        (run,) = experiment.run_head(question, "prior", head, [0], tmp_path, True)
        said = f"incomplete: {len(view)} of {published} utterances of toy"
        assert (said in run.warnings) == told


def test_features_that_a_head_cannot_use_are_refused_for_all_heads(
    toy_cache: Cache,
) -> None:
    names = ("logistic_regression", "mlp", "attention")
    heads = {n: settings.head_class(n)(features=("egemaps",)) for n in names}
    view = toy_cache.view("toy").require(["egemaps"])

    with pytest.raises(RunError, match=r"2 of 3 heads .*mlp: .*; attention: "):
        settings.refuse_unfit(heads, dict.fromkeys(names, view))


def test_settings_that_suit_not_all_heads_are_refused_for_all_of_them(
    toy_cache: Cache,
) -> None:
    view = toy_cache.view("toy").require(["egemaps", "wav2vec2"])
    heads = settings.heads(["superb", "svm"], {"layers": [6]}, None)
    views = dict.fromkeys(heads, view)

    with pytest.raises(RunError, match=r"1 of 2 .*svm: there is nothing to choose"):
        settings.refuse_unfit(heads, views)
    heads = settings.heads(["superb", "svm", "mlp"], {"layers": []}, None)
    with pytest.raises(RunError, match=r"3 of 3 heads cannot be .* these settings: su"):
        settings.refuse_unfit(heads, dict.fromkeys(heads, view))
    heads = settings.heads(["superb", "svm"], {"superb.layers": [6]}, None)
    settings.refuse_unfit(heads, views)
