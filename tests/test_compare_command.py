"""The command compare: which runs are meant, what is printed, what is refused."""

import json
import re
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from contracts.errors import EmocacheError, RunError
from contracts.run import Run
from evaluation.statistics.compare_command import COMPARE
from evaluation.statistics.run_choice import choose
from tests.runs import make_run


def told(
    capsys: pytest.CaptureFixture[str], *arguments: str, runs: Path | None = None
) -> str:
    """Run the command and return what it printed."""
    parser = ArgumentParser(allow_abbrev=False)
    COMPARE.add_arguments(parser)
    where = ["--runs", str(runs)] if runs else []
    capsys.readouterr()
    assert COMPARE.run(parser.parse_args([*arguments, *where])) == 0
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of runs; read only."""
    runs = tmp_path_factory.mktemp("runs")
    for seed in (0, 1, 2):
        make_run(runs, seed=seed)
    make_run(runs, model="xgb", strength=0.8)
    make_run(runs, model="svm", strength=3.5)
    make_run(runs, model="vgg", keep=[0], untrained=True)
    make_run(runs, model="mlp", labels=("happy", "sad"), label_map="two")
    make_run(runs, model="pepino", settings={"lr": 1})
    make_run(runs, model="pepino", settings={"lr": 2})
    make_run(runs, model="prior", protocol="loso")
    return runs


def name_of(folder: Path, beginning: str) -> str:
    (found,) = folder.glob(f"{beginning}*")
    return found.name


def test_a_table_and_a_sentence_per_pair(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys, "xgb", "svm", "random_forest", runs=folder)

    assert said.startswith("ravdess, labels ravdess8: 768 utterances of 24 speakers\n")
    assert "svm against xgb: UAR +" in said
    assert "random_forest against xgb: UAR +" in said
    assert said.count("Holm over 2: ") == 2
    assert ": better\n" in said
    assert "0, 1, 2" in said  # a beginning that only seeds of one head have
    assert "ignores speakers and decides nothing: McNemar's p" in said
    assert "smallest true difference seen with 80 % power here" in said


def test_the_baseline_comes_first_and_may_be_named_among_the_runs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys, "xgb", "svm", "--baseline", "svm", runs=folder)

    assert "xgb against svm: UAR -" in said
    assert ": worse\n" in said
    assert "svm against" not in said.replace("xgb against svm", "")


def test_all_pairs_are_one_family(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys, "xgb", "svm", "random_forest", "--all-pairs", runs=folder)

    assert said.count("Holm over 3: ") == 3


def test_seeds_are_joined_by_commas(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [
        name_of(folder, f"random_forest-ravdess-speaker5-ravdess8-s{i}") for i in (0, 2)
    ]

    said = told(capsys, ",".join(names), "xgb", "--json", runs=folder)

    assert json.loads(said)["systems"][0]["seeds"] == [0, 2]
    with pytest.raises(RunError, match="expected runs that differ in the seed alone"):
        told(capsys, f"{names[0]},xgb", "svm", runs=folder)


def test_json_is_one_object_with_null_for_what_is_not_there(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = json.loads(
        told(capsys, "xgb", "svm", "--metric", "war", "--json", runs=folder)
    )

    (pair,) = said["pairs"]
    assert (pair["first"], pair["metric"], pair["verdict"]) == ("svm", "war", "better")
    assert [system["name"] for system in said["systems"]] == ["xgb", "svm"]
    example = json.loads(told(capsys, "--example", "seed-003", "--json"))
    assert example["pairs"][0]["interval"]["low"] is None


def test_a_partial_run_is_refused_then_compared_on_what_is_common(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RunError, match="160 by both. Compare those with --common"):
        told(capsys, "xgb", "vgg", runs=folder)

    said = told(capsys, "xgb", "vgg", "--common", runs=folder)

    assert "160 utterances of 5 speakers" in said
    assert "xgb: 608 test utterances left out, not tested by all" in said
    assert "vgg: untrained encoder" in said
    assert "vgg: partial: fold 0 only" in said
    assert "cannot tell, since with 5 speakers the smallest p" in said


def test_unlike_protocols_are_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys, "xgb", "prior", runs=folder)

    assert "unlike protocols (speaker5, loso): a difference may be theirs" in said
    assert "unlike protocols" not in told(capsys, "xgb", "svm", runs=folder)


def test_other_labels_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RunError, match="against happy, sad. Fit both with the same"):
        told(capsys, "xgb", "mlp", runs=folder)


def test_every_text_that_means_no_run_is_named_at_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RunError) as error:
        told(capsys, "nobody", "pepino", "xgb", ",", runs=folder)

    said = str(error.value)
    assert "no run begins with 'nobody'" in said
    assert "'pepino' begins 2 runs that differ in more than the seed, expected" in said
    assert " or pepino-" in said
    assert "',' names no run" in said
    assert said.endswith(f"See: python pipeline.py runs --runs {folder}")


def test_a_whole_name_is_meant_though_others_begin_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path)
    run = make_run(tmp_path, model="xgb")
    longer = tmp_path / f"{run.run_id}-more"
    (tmp_path / run.run_id).rename(longer)
    record = json.loads((longer / "run.json").read_text(encoding="utf-8"))
    other = {**record, "run_id": longer.name, "settings": {"lr": 3}}
    (longer / "run.json").write_text(json.dumps(other), encoding="utf-8")
    again: Run = make_run(tmp_path, model="xgb")

    assert "xgb" in told(capsys, again.run_id, "random_forest", runs=tmp_path)
    with pytest.raises(RunError, match="begins 2 runs"):
        told(capsys, "xgb", "random_forest", runs=tmp_path)


def test_an_unfinished_run_is_named_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path)
    run = make_run(tmp_path, model="xgb")
    (run.folder / "run.json").unlink()

    with pytest.raises(RunError, match=f"{run.run_id}: unfinished or broken, fit it"):
        told(capsys, "xgb", "random_forest", runs=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "compare needs two runs or more, got none. See: python pipeline.py runs"),
        (["xgb"], "compare needs two runs or more, got xgb"),
        (
            ["--example", "seed-003", "xgb"],
            "--example compares a generated pair: got x",
        ),
    ],
)
def test_too_few_or_too_many_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EmocacheError, match=message):
        told(capsys, *arguments)


def test_a_run_against_itself_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RunError, match="xgb, xgb-rav are one and the same"):
        told(capsys, "xgb", "xgb-rav", runs=folder)


def test_the_example_says_that_it_is_generated_and_cannot_be_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    said = told(capsys, "--example", "seed-003")

    assert said.startswith("generated, nobody's predictions: fold 0 of RAVDESS")
    assert "300 utterances of 5 speakers" in said
    assert "smallest p 0.0625): cannot tell, since with 5 speakers" in said
    assert not list(tmp_path.iterdir())


def test_the_one_whole_run_is_meant_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path)
    whole = make_run(tmp_path, model="xgb")
    part = make_run(tmp_path, model="xgb", keep=[0, 2])
    few = make_run(
        tmp_path, model="xgb", settings={"lr": 1}, more={"limited": {"ravdess": [1, 2]}}
    )

    (found,) = choose(["xgb"], tmp_path)

    assert [run.run_id for run in found] == [whole.run_id]
    said = capsys.readouterr().err
    assert f"{whole.run_id} is taken, which alone is whole; not " in said
    assert part.run_id in said and few.run_id in said


def test_what_tells_runs_apart_stands_beside_each(tmp_path: Path) -> None:
    for seed in (0, 1):
        make_run(tmp_path, model="xgb", settings={"lr": 1}, seed=seed)
    make_run(tmp_path, model="xgb", settings={"lr": 2}, features=["mfcc"])
    make_run(tmp_path, model="svm", keep=[0], more={"folds_asked": [0]})
    make_run(tmp_path, model="svm", keep=[1, 2], more={"folds_asked": [1, 2]})

    with pytest.raises(RunError) as error:
        choose(["xgb", "svm"], tmp_path)

    said = str(error.value)
    assert "(features egemaps, lr 1)" in said and "(features mfcc, lr 2)" in said
    assert "(folds 0)" in said and "(folds 1, 2)" in said


def test_the_right_ones_are_named_after_their_systems(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys, "xgb", "svm", runs=folder)

    assert re.search(r"\d+ utterances right by svm only, \d+ by xgb only", said)
    assert "the first" not in said
