"""The street as its user walks it: extract, fit, report, predict, audio to page."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import pipeline
from contracts.cache import Cache
from contracts.run import Run, find_runs, read_run
from tests.test_extract import EMOTIONS, corpus, tone

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = list(pipeline.commands())


def run(*arguments: object) -> int:
    return pipeline.main([str(a) for a in arguments])


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with audio, a cache and runs of a forest and a fusion net."""
    folder = tmp_path_factory.mktemp("street")
    corpus(folder / "audio", n_speakers=6)
    cache, runs = folder / "cache", folder / "runs"
    assert (
        run(
            "extract",
            "--corpus",
            "mine",
            "--root",
            folder / "audio",
            "--cache",
            cache,
            "--encoder",
            "demo",
            "--feature",
            "egemaps",
            "mfcc",
            "wav2vec2",
        )
        == 0
    )
    assert (
        run(
            "fit",
            "--model",
            "random_forest",
            "--cache",
            cache,
            "--runs",
            runs,
            "--set",
            "n_estimators=5",
            "--seeds",
            "0,1",
        )
        == 0
    )
    assert (
        run(
            "fit",
            "--model",
            "fusion",
            "--cache",
            cache,
            "--runs",
            runs,
            "--folds",
            "0,1",
            "--set",
            "max_epochs=1",
        )
        == 0
    )
    return folder


def runs_of(street: Path) -> dict[str, Run]:
    return {r.record["model"]: r for r in find_runs(street / "runs")[0]}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_complete_help_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(name, "--help")

    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"python pipeline.py {name}" in said.partition("examples:")[2]
    options = re.findall(r"^  (--?[\w-]+.*)$", said, flags=re.MULTILINE)
    assert options
    assert "null" not in said
    assert "<class" not in said


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_in_help_parse(name: str) -> None:
    parser = pipeline._parser(pipeline.commands())
    for example in pipeline.commands()[name].examples:
        words = example.split()
        assert words[:2] == ["python", "pipeline.py"]
        parser.parse_args(words[2:])


def test_every_command_in_readme_parses() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^\s*python (pipeline\.py [^\n#]+)", text, flags=re.MULTILINE)
    parser = pipeline._parser(pipeline.commands())

    assert len(lines) >= 3
    for line in lines:
        parser.parse_args(line.replace("`", "").split()[1:])


def test_readme_names_every_plugin() -> None:
    from contracts import plugins
    from evaluation.splits.protocols import PROTOCOLS

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names = [n for kind in plugins.FOLDERS for n in plugins.names(kind)]

    assert not [n for n in [*names, *PROTOCOLS] if f"`{n}`" not in text]


def test_fit_uses_the_only_corpus_and_its_defaults(street: Path) -> None:
    forest = runs_of(street)["random_forest"]

    assert forest.record["corpus"] == "mine"
    assert forest.record["protocol"]["name"] == "loso"
    assert forest.record["labels"]["name"] == "identity"
    assert len(forest.predictions) == 24


def test_untrained_encoder_is_called_so_in_every_output(
    street: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fusion = runs_of(street)["fusion"]

    assert "untrained encoder" in fusion.warnings
    run("runs", "--runs", street / "runs")
    said = [x for x in capsys.readouterr().out.splitlines() if x.startswith("fusion")]
    assert "untrained" in said[0]
    run("report", "--runs", street / "runs", "--out", street / "r.html")
    table = capsys.readouterr().out
    assert re.search(r"fusion.*untrained", table)
    assert "untrained encoder" in (street / "r.html").read_text(encoding="utf-8")
    run("cache", "ls", "--cache", street / "cache")
    assert re.search(r"wav2vec2@.*untrained", capsys.readouterr().out)


def test_runs_json_is_for_other_programs(
    street: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("runs", "--runs", street / "runs", "--json") == 0

    told = json.loads(capsys.readouterr().out)
    assert len(told) == 3
    for one in told:
        assert {"run_id", "model", "corpus", "protocol", "labels", "seed"} <= set(one)
        assert {"uar", "war", "f1"} <= set(one["metrics"])
    assert {one["model"] for one in told} == {"random_forest", "fusion"}
    assert {one["protocol"] for one in told} == {"loso"}


@pytest.mark.parametrize("model", ["random_forest", "fusion"])
def test_predict_goes_the_way_of_training(
    street: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = runs_of(street)[model]
    rows = trained.predictions
    row = rows[rows["fold"] == 0].iloc[0]
    file = street / "audio" / row["id"].partition("/")[2]
    capsys.readouterr()

    assert (
        run(
            "predict",
            file,
            "--run",
            trained.run_id,
            "--runs",
            street / "runs",
            "--fold",
            0,
            "--json",
        )
        == 0
    )

    (told,) = json.loads(capsys.readouterr().out)
    expected = [row[f"p:{label}"] for label in trained.classes]
    assert list(told["probabilities"]) == list(trained.classes)
    np.testing.assert_allclose(
        list(told["probabilities"].values()), expected, atol=1e-5
    )


def test_predict_says_what_the_run_was_trained_on(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = runs_of(street)["random_forest"]
    rows = trained.predictions
    tested = rows["id"][rows["fold"] == 0].iloc[0].partition("/")[2]
    samples, rate = soundfile.read(street / "audio" / tested)
    new = tmp_path / "new.wav"
    soundfile.write(new, samples[::-1], rate)
    asked = ["predict", street / "audio" / tested, new, "--run", trained.run_id]
    asked += ["--runs", street / "runs"]
    capsys.readouterr()

    assert run(*asked, "--cache", street / "cache") == 0
    said = capsys.readouterr().err
    assert "was trained on the speakers of 1 of 2 files" in said
    assert tested in said and "new.wav" not in said
    assert "Ask a model that did not hear them: --fold 0." in said

    assert run(*asked, "--cache", street / "cache", "--fold", 0) == 0
    assert "was trained on" not in capsys.readouterr().err
    assert run(*asked, "--cache", tmp_path) == 0  # nobody knows its waveforms
    assert "was trained on" not in capsys.readouterr().err


def test_predict_averages_the_folds_and_says_so(
    street: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = runs_of(street)["random_forest"]
    file = street / "audio" / "0-sad.wav"
    each = []
    for fold in range(6):
        run(
            "predict",
            file,
            "--run",
            trained.run_id,
            "--runs",
            street / "runs",
            "--fold",
            fold,
            "--json",
        )
        (told,) = json.loads(capsys.readouterr().out)
        each.append(list(told["probabilities"].values()))

    run("predict", file, "--run", trained.run_id, "--runs", street / "runs", "--json")

    said = capsys.readouterr()
    (told,) = json.loads(said.out)
    np.testing.assert_allclose(list(told["probabilities"].values()), np.mean(each, 0))
    assert "the mean of 6 fold models" in said.err


def test_broken_file_is_a_row_with_its_reason(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = runs_of(street)["random_forest"]
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in/good.wav", tone(0.5, 200), 16_000)
    (tmp_path / "in/bad.wav").write_text("no sound")
    out = tmp_path / "out.csv"

    code = run(
        "predict",
        tmp_path / "in",
        "--run",
        trained.run_id,
        "--runs",
        street / "runs",
        "--csv",
        out,
    )

    assert code == 1
    with out.open(encoding="utf-8") as file:
        bad, good = list(csv.DictReader(file))
    assert "bad.wav" in bad["file"]
    assert bad["problem"]
    assert not bad["label"]
    assert good["label"] in EMOTIONS
    total = sum(float(v) for k, v in good.items() if k.startswith("p:"))
    assert total == pytest.approx(1)
    assert "bad.wav" in capsys.readouterr().err


def test_names_that_are_no_text_are_rows_with_their_reason(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = runs_of(street)["random_forest"]
    odd = os.fsencode(tmp_path) + b"/b\xff.wav"
    with open(odd, "wb") as file:  # noqa: PTH123 - the name is bytes
        file.write((street / "audio/0-sad.wav").read_bytes())
    soundfile.write(tmp_path / "narrow\u202fspace.wav", tone(0.5, 200), 16_000)

    code = run(
        "predict",
        tmp_path,
        "--run",
        trained.run_id,
        "--runs",
        street / "runs",
        "--json",
    )

    assert code == 1
    told = {Path(r["file"]).name: r for r in json.loads(capsys.readouterr().out)}
    (bad,) = (r for r in told.values() if r["problem"])
    assert "not UTF-8" in bad["problem"]
    assert told["narrow\u202fspace.wav"]["label"] in EMOTIONS


def test_predict_takes_a_run_on_two_ways_of_one_feature(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a", n_speakers=4)
    for layers in ("1", "2"):
        run(
            "extract",
            "--corpus",
            "mine",
            "--root",
            root,
            "--cache",
            tmp_path / "c",
            "--encoder",
            "demo",
            "--feature",
            "wav2vec2",
            "--layers",
            layers,
        )
    both = [s.spec.short for s in Cache(tmp_path / "c").stores]
    assert (
        run(
            "fit",
            "--model",
            "logistic_regression",
            "--feature",
            *both,
            "--cache",
            tmp_path / "c",
            "--runs",
            tmp_path / "r",
        )
        == 0
    )
    (one,) = find_runs(tmp_path / "r")[0]
    row = one.predictions[one.predictions["fold"] == 0].iloc[0]
    capsys.readouterr()

    run(
        "predict",
        root / row["id"].partition("/")[2],
        "--run",
        one.run_id,
        "--runs",
        tmp_path / "r",
        "--fold",
        0,
        "--json",
    )

    (told,) = json.loads(capsys.readouterr().out)
    expected = [row[f"p:{label}"] for label in one.classes]
    np.testing.assert_allclose(
        list(told["probabilities"].values()), expected, atol=1e-5
    )


def test_predict_takes_speech_to_enrol_by(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", "--model", "superb", "--set", "normalise=speaker", "max_epochs=1"]
    words += ["--folds", "0", "--cache", street / "cache", "--runs", tmp_path]
    assert run(*words) == 0
    ((trained,), _) = find_runs(tmp_path)
    row = trained.predictions.iloc[0]
    file = street / "audio" / row["id"].partition("/")[2]
    own = sorted((street / "audio").glob(f"{file.name[0]}-*.wav"))
    asked = ["predict", file, "--run", trained.run_id, "--runs", tmp_path, "--json"]
    capsys.readouterr()

    assert run(*asked) == 2
    said = capsys.readouterr().err
    assert "1 of 1 utterances have no speaker" in said and "predict --enrol" in said
    assert run(*asked, "--enrol", *own) == 0
    (told,) = json.loads(capsys.readouterr().out)
    expected = [row[f"p:{label}"] for label in trained.classes]
    got = list(told["probabilities"].values())
    np.testing.assert_allclose(got, expected, atol=1e-5)
    (tmp_path / "bad.wav").write_text("no audio")
    assert run(*asked, "--enrol", tmp_path / "bad.wav") == 2
    assert "1 of 1 files to enrol by are of no use" in capsys.readouterr().err

    forest = runs_of(street)["random_forest"].run_id
    words = ["predict", file, "--run", forest, "--runs", street / "runs"]
    assert run(*words, "--enrol", *own) == 2
    assert "has no use for --enrol" in capsys.readouterr().err


def test_predict_refuses_an_extractor_that_gives_other_numbers(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = runs_of(street)["fusion"]
    other = tmp_path / "untrained-other"
    from extract._untrained import save_untrained

    save_untrained(other, seed=7, geometry="demo")

    code = run(
        "predict",
        street / "audio/0-sad.wav",
        "--run",
        trained.run_id,
        "--runs",
        street / "runs",
        "--encoder",
        other,
    )

    assert code == 2
    assert "the same encoder and library versions" in capsys.readouterr().err


def test_predict_says_what_is_not_there(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = runs_of(street)["random_forest"]
    file = street / "audio/0-sad.wav"

    assert run("predict", file, "--run", "no-such", "--runs", street / "runs") == 2
    assert "no run begins with 'no-such'" in capsys.readouterr().err
    assert (
        run("predict", tmp_path, "--run", trained.run_id, "--runs", street / "runs")
        == 2
    )
    assert "no audio at" in capsys.readouterr().err
    assert (
        run(
            "predict",
            file,
            "--run",
            trained.run_id,
            "--runs",
            street / "runs",
            "--fold",
            99,
        )
        == 2
    )
    assert "has no fold 99" in capsys.readouterr().err


def test_probabilities_can_be_written_in_original_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from corpora import demo

    root = tmp_path / "demo"
    root.mkdir()
    for i, name in enumerate(demo.names()[::7]):
        path = root / name
        soundfile.write(path, tone(0.3, 100 + 5 * i, seed=i), 16_000)
    cache, runs = tmp_path / "c", tmp_path / "r"
    run(
        "extract",
        "--corpus",
        "demo",
        "--root",
        root,
        "--feature",
        "mfcc",
        "--cache",
        cache,
    )
    run(
        "fit",
        "--model",
        "prior",
        "--labels",
        "merge-calm",
        "--cache",
        cache,
        "--runs",
        runs,
        "--protocol",
        "speakers-5fold",
    )
    (one,) = find_runs(runs)[0]
    capsys.readouterr()

    run(
        "predict",
        path,
        "--run",
        one.run_id,
        "--runs",
        runs,
        "--json",
        "--original-labels",
    )

    (told,) = json.loads(capsys.readouterr().out)
    assert len(told["probabilities"]) == 8
    assert told["probabilities"]["calm"] == 0
    assert sum(told["probabilities"].values()) == pytest.approx(1)


def test_folds_are_shown_and_exported(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "folds.csv"

    assert (
        run(
            "folds",
            "--corpus",
            "mine",
            "--protocol",
            "loso",
            "--cache",
            street / "cache",
            "--export",
            out,
        )
        == 0
    )

    assert "hash of the folds" in capsys.readouterr().out
    with out.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 * 24
    assert {r["part"] for r in rows} == {"train", "dev", "test"}


def test_inspect_tells_and_keeps_for_the_page(
    street: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run(
            "inspect",
            "--corpus",
            "mine",
            "--cache",
            street / "cache",
            "--runs",
            street / "runs",
        )
        == 0
    )

    assert "24" in capsys.readouterr().out
    facts = json.loads((street / "runs/inspect/mine.json").read_text())
    assert facts["n_speakers"] == 6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fit"], "fit needs --model NAME"),
        (["fit", "--model", "fuson"], "Did you mean 'fusion'"),
        (["fit", "--model", "vgg", "--set", "depth=3"], "unknown settings depth"),
        (["fit", "--model", "xgb", "--labels", "ravdes8"], "Did you mean 'ravdess8'"),
        (["fit", "--model", "xgb", "--protocol", "losso"], "Did you mean 'loso'"),
        (["fit", "--model", "xgb", "--feature", "logmel"], "--feature logmel"),
        (["fit", "--model", "xgb", "--corpus", "x"], "no corpus 'x' in cache"),
        (["fit", "--model", "xgb", "--corpus", "mien"], "Did you mean 'mine'"),
        (["fit", "--model", "xgb", "--corpus", "mien", "q"], "Did you mean 'mine'"),
        (["fit", "--model", "xgb", "--feature", "egmaps"], "Did you mean 'egemaps'"),
        (["fit", "--model", "xgb", "--folds", "a"], "bad numbers 'a'"),
        (["fit", "--model", "xgb", "--folds", "77"], "has no fold 77"),
        (["fit", "--model", "xgb", "--folds", "2-0"], "bad numbers '2-0'"),
        (["fit", "--model", "xgb", "--seeds", "3-1"], "bad numbers '3-1'"),
        (["fit", "--model", "xgb", "--set", "max_depth=x"], "xgb.max_depth"),
        (["fit", "--model", "xgb", "--feature", "mfcc:men"], "no group 'men'"),
    ],
)
def test_bad_fit_is_refused_in_one_sentence_before_work_starts(
    street: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    code = run(*arguments, "--cache", street / "cache", "--runs", tmp_path / "r")

    assert code == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x]
    assert said in line
    assert not (tmp_path / "r").exists()


def test_runs_of_nothing_says_how_to_fit_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("runs", "--runs", tmp_path) == 0

    said = capsys.readouterr()
    assert said.out == ""
    assert f"no finished runs in {tmp_path}. Run: python pipeline.py fit" in said.err
    assert f"--runs {tmp_path}" in said.err


def test_a_baseline_nearly_right_is_guessed(
    street: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("report", "--runs", street / "runs", "--baseline", "random_fores") == 2
    assert "Did you mean 'random_forest'?" in capsys.readouterr().err


def test_protocols_fit_a_terminal_and_one_is_told_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("list", "protocols") == 0
    every = capsys.readouterr().out
    assert max(map(len, every.splitlines())) <= 110
    assert "ravdess-luna5      ravdess  five published folds" in every
    assert "list protocols NAME" in every

    assert run("list", "protocols", "ravdess-luna5") == 0
    one = capsys.readouterr().out
    assert "source: Luna-Jimenez" in one and "conformity: as published: " in one

    assert run("list", "protocols", "losso") == 2
    assert "Did you mean 'loso'" in capsys.readouterr().err
    assert run("list", "models", "vgg") == 2
    assert "list models takes no name, got 'vgg'" in capsys.readouterr().err


def test_three_commands_work_without_arguments(tmp_path: Path) -> None:
    corpus(tmp_path / "data/audio/mine", n_speakers=4)
    commands = [
        ["extract", "--encoder", "demo"],
        ["fit", "--model", "logistic_regression"],
        ["report"],
    ]

    for arguments in commands:
        done = subprocess.run(
            [sys.executable, str(ROOT / "pipeline.py"), *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    assert (tmp_path / "data/reports/report.html").exists()
    assert "data/reports/report.html" in done.stdout
    assert len(Cache(tmp_path / "data/cache").view("mine").pooled("wav2vec2")) == 16
    assert (
        read_run(next((tmp_path / "data/runs").glob("logistic*"))).record["seed"] == 0
    )
