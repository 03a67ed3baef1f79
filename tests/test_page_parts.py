"""What the page is put together from: packed utterances, players, maps, verdicts."""

import base64
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from contracts.errors import RunError
from contracts.run import Run
from report import _players
from report._audits import audit_views
from report._cross import cross_views
from report._groups import groups
from report._map import _components, feature_maps
from report._players import instructive, players
from report._published import published
from report._ranking import ranking
from report._tables import latex
from report._utterances import FULL, data_block, pack
from report._verdicts import REFERENCE
from report.page import Asked, write_page
from report.results import results
from tests.runs import make_run

EVIL = "</script><script>alert(1)</script><!--"


def numbers(text: str, kind: str) -> Any:
    return np.frombuffer(base64.b64decode(text), kind)


def names(*runs: Run) -> dict[str, tuple[str, str]]:
    return {run.run_id: (run.run_id, run.run_id) for run in runs}


def test_packed_utterances_read_back_as_they_were(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_folds=2, n_speakers=4)
    told = pack([run], names(run))
    one, order = told["runs"][0], told["sets"][0]

    rows = run.predictions.sort_values("id", kind="stable")
    index = numbers(order["index"], "<u4")
    assert [told["ids"][i] for i in index] == rows["id"].tolist()
    assert [told["speakers"][told["speaker"][i]] for i in index] == rows[
        "speaker"
    ].tolist()
    truth = [one["labels"][c] for c in numbers(order["truth"], "<u2")]
    assert truth == rows["label"].tolist()
    shares = rows[[f"p:{label}" for label in run.classes]].to_numpy()
    packed = numbers(one["p"], "<u2").reshape(shares.shape) / FULL
    assert np.abs(packed - shares).max() <= 0.5 / FULL + 1e-12
    assert numbers(one["said"], "<u2").tolist() == shares.argmax(axis=1).tolist()


def test_what_runs_share_is_packed_once(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, seed=s, n_folds=2) for s in (0, 1)]
    runs.append(make_run(tmp_path, n_folds=5, keep=[0], model="vgg"))
    told = pack(runs, names(*runs))

    assert len(told["ids"]) == len(set(told["ids"])) == 24 * 8 * 4
    assert [run["set"] for run in told["runs"]] == [0, 0, 1]
    size = len(json.dumps(told)) / (2 * 768 + len(runs[2].predictions))
    assert size < 60  # bytes per utterance and run, ids and all


def test_variants_are_not_packed_and_no_label_is_none(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_folds=1, n_speakers=2)
    path = run.fold_folder(0) / "predictions.parquet"
    rows = pd.read_parquet(path)
    rows.loc[0, "label"] = ""
    odd = rows.head(3).assign(variant="noise")
    pd.concat([rows, odd], ignore_index=True).to_parquet(path, index=False)
    told = pack([Run(run.folder, run.record)], names(run))

    truth = numbers(told["sets"][0]["truth"], "<u2")
    assert len(truth) == len(rows)
    assert (truth == FULL).sum() == 1


def test_a_data_block_ends_no_script_and_reads_back() -> None:
    block = str(data_block({"a": [EVIL, "\u2028&amp;"]}))

    assert "<" not in block
    assert "&" not in block
    assert json.loads(block) == {"a": [EVIL, "\u2028&amp;"]}


def test_the_most_confident_errors_of_each_label_come_first(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_folds=2, strength=1)
    found = instructive([run], 10)

    assert len({w.id for w in found}) == 10
    assert [w.truth for w in found[:8]] == list(run.classes)
    assert all(w.truth != w.said for w in found)
    rows = run.predictions.assign(
        said=run.probabilities.argmax(axis=1), share=run.probabilities.max(axis=1)
    )
    for code, one in enumerate(found[:8]):
        own = rows[(rows["label"] == one.truth) & (rows["said"] != code)]
        assert one.share == own["share"].max()


def test_runs_take_turns_and_share_no_utterance(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, seed=s, n_folds=2, strength=1) for s in (0, 1)]
    found = instructive(runs, 16)

    assert {w.run for w in found} == {run.run_id for run in runs}
    assert len({w.id for w in found}) == 16
    assert instructive(runs, 0) == []


def wave(path: Path, seconds: float = 0.5, rate: int = 44_100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(int(seconds * rate)) / rate
    tone = 0.5 * np.sin(2 * np.pi * 440 * t)
    soundfile.write(path, np.column_stack([tone, tone]), rate)


def test_players_are_16_khz_mono_and_say_what_is_missing(tmp_path: Path) -> None:
    wave(tmp_path / "toy" / "a" / "1.wav")
    (tmp_path / "toy" / "noise.wav").write_text("no sound")
    wave(tmp_path / "secret.wav")
    ids = ["toy/a/1.wav", "toy/a/1.wav#0.1-0.3", "toy/none.wav", "toy/noise.wav"]
    made = players([*ids, "toy/../secret.wav"], None, tmp_path)

    assert list(made.audio) == ids[:2]
    for one, seconds in zip(ids, (0.5, 0.2), strict=False):
        kind, _, text = made.audio[one].partition(",")
        (tmp_path / "x.flac").write_bytes(base64.b64decode(text))
        sound, rate = soundfile.read(tmp_path / "x.flac")
        assert (kind, rate, sound.ndim) == ("data:audio/flac;base64", 16_000, 1)
        assert len(sound) == pytest.approx(seconds * 16_000, abs=2)
        assert np.abs(sound).max() == pytest.approx(0.5, abs=0.02)
    (said,) = made.problems
    assert said.startswith("3 of 5 utterances have no player")
    assert "no such file" in said
    assert "--root DIR" in said


def test_root_names_one_corpus_or_the_folder_of_all(tmp_path: Path) -> None:
    wave(tmp_path / "toy" / "1.wav")

    for root in (tmp_path, tmp_path / "toy"):
        assert list(players(["toy/1.wav"], root, Path("nowhere")).audio)


def test_a_page_holds_so_much_sound_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(4):
        wave(tmp_path / "toy" / f"{i}.wav")
    ids = [f"toy/{i}.wav" for i in range(4)]
    (whole,) = players(ids[:1], None, tmp_path).audio.values()
    monkeypatch.setattr(_players, "TOTAL", 2 * len(whole))
    made = players(ids, None, tmp_path)

    assert list(made.audio) == ids[:2]  # base64 takes a third more than the sound
    assert "2 of 4 utterances have no player" in made.problems[0]
    assert "Ask for fewer with --audio N" in made.problems[0]


def test_players_of_utterances_that_the_table_lost_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "runs", n_folds=2, strength=1)
    wrong = instructive([run], 30)
    for one in wrong[:20]:
        wave(tmp_path / one.id, 0.05)
    asked = Asked(n_audio=30, root=tmp_path)
    whole = write_page([run], [], [], tmp_path / "whole.html", asked)
    assert whole.read_text("utf-8").count("<audio ") == 20
    assert "that were to be heard" not in whole.read_text("utf-8")

    monkeypatch.setattr("report.page.BUDGET", 1_300)
    page = write_page([run], [], [], tmp_path / "page.html", asked).read_text("utf-8")

    kept = page.count("<audio ")
    assert 0 < kept < 20
    assert "10 of 30 utterances have no player" in page
    assert f"{20 - kept} utterances of 30 that were to be heard have no player" in page


def grouped(runs: list[Run], baseline: str = "") -> list[dict[str, Any]]:
    return groups(results(runs), {r.run_id: r for r in runs}, baseline)


def test_the_first_screen_says_what_can_be_told_apart(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, model="svm", strength=2, n_speakers=12, per_label=1),
        make_run(tmp_path, model="mlp", strength=2.05, n_speakers=12, per_label=1),
        make_run(tmp_path, model="prior", strength=0, n_speakers=12, per_label=1),
        make_run(tmp_path, model="vgg", keep=[0], strength=9, n_speakers=12),
    ]
    (group,) = grouped(runs)
    told = dict(group["told"])
    first, second = group["rows"][:2]

    assert {first["model"], second["model"]} == {"svm", "mlp"}
    assert first["verdict"] == REFERENCE
    assert second["verdict"] == "cannot tell"
    assert [r["verdict"] for r in group["rows"][2:]] == ["worse", ""]
    assert second["model"] in told["Cannot tell"]
    assert told["Worse than it"] == "prior · egemaps"
    assert "not every fold" in told["Not compared"]
    assert "Holm over 3 pairs, each row with each other" in told["How sure"]
    assert {r["paired"].family for r in group["rows"] if r["paired"]} == {3}
    assert "Which of 4 heads best tells 8 emotions" in group["asked"]
    assert "cannot tell" in group["picture"]


def test_a_named_baseline_is_what_others_are_compared_with(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, model="svm", strength=3),
        make_run(tmp_path, model="mlp", strength=2.9),
        make_run(tmp_path, model="prior", strength=0),
    ]
    (group,) = grouped(runs, "prior")

    assert [r["verdict"] for r in group["rows"]] == ["better", "better", REFERENCE]
    assert "at p below 0.05" in dict(group["told"])["How sure"]
    assert "Holm over 2 pairs." in dict(group["told"])["How sure"]
    assert dict(group["told"])["Better than prior · egemaps"] == (
        "svm · egemaps, mlp · egemaps"
    )


def test_few_speakers_are_shown_and_have_no_interval(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_speakers=6, n_folds=2)
    (group,) = grouped([run])
    (row,) = group["rows"]

    assert math.isnan(row["interval"].low)
    assert len(row["speaker_uars"]) == 6
    assert str(group["picture"]).count('class="speaker-tick"') == 6
    assert 'class="interval"' not in group["picture"]
    assert "fewer than 8" in dict(group["told"])["No interval"]


def test_seeds_that_tested_other_speakers_are_not_compared(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, model="svm", seed=0, n_speakers=10)]
    other = make_run(tmp_path, model="svm", seed=1, n_speakers=10)
    for fold in other.record["folds"]:
        path = other.fold_folder(fold["index"]) / "predictions.parquet"
        pd.read_parquet(path).head(9).to_parquet(path, index=False)
    runs.append(Run(other.folder, other.record))
    runs.append(make_run(tmp_path, model="mlp", n_speakers=10))
    (group,) = grouped(runs)

    told = {r["model"]: r for r in group["rows"]}
    assert math.isnan(told["svm"]["interval"].low)
    assert "other utterances" in told["svm"]["interval"].note
    assert "other utterances" in dict(group["told"])["Not compared"]


def test_the_picture_of_intervals_reaches_as_far_as_they_do(tmp_path: Path) -> None:
    (group,) = grouped([make_run(tmp_path, model="svm"), make_run(tmp_path)])
    picture = str(ranking(group["rows"]))

    assert picture.count('class="interval"') == 2
    for row in group["rows"]:
        assert f"{100 * row['interval'].low:.1f} to" in picture


def test_components_are_those_of_a_singular_value_decomposition() -> None:
    values = np.random.default_rng(0).normal(size=(40, 7)) * np.arange(1, 8)
    values -= values.mean(axis=0)
    left, weights, _ = np.linalg.svd(values, full_matrices=False)
    at, explained = _components(values)

    assert np.abs(at) == pytest.approx(np.abs(left[:, :2] * weights[:2]))
    assert explained == pytest.approx(weights[:2] ** 2 / (weights**2).sum())


def test_a_missing_feature_is_said_and_umap_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "runs")
    made, problems = feature_maps([run], tmp_path / "cache")

    assert made == []
    assert "No map of egemaps, ravdess" in problems[0]
    monkeypatch.setitem(sys.modules, "umap", None)  # not installed
    with pytest.raises(RunError, match="pip install umap-learn"):
        feature_maps([run], tmp_path, "umap")


def test_published_figures_stand_beside_ours(tmp_path: Path) -> None:
    told = published([make_run(tmp_path, model="xgb"), make_run(tmp_path, model="cnn")])

    assert {entry["model"] for entry in told} == {"xgb"}
    assert any("scaler" in entry["figure"].flaw for entry in told)
    assert all(entry["ours"] == [] for entry in told)  # other settings and protocol
    assert all("reproduce aszharov" in entry["command"] for entry in told)


def test_a_run_of_a_published_recipe_stands_beside_it(tmp_path: Path) -> None:
    run = make_run(tmp_path, model="prior", protocol="ravdess-luna5", features=())
    told = published([run])

    (ours,) = next(e["ours"] for e in told if e["ours"])
    war = f"{100 * results([run])[0]['war']:.1f}"
    assert ours["words"].startswith(f"WAR {war} (")
    assert ours["link"] == f"run-{run.run_id}"


def test_one_corpus_has_no_cross_table(tmp_path: Path) -> None:
    assert cross_views([make_run(tmp_path)]) == []


def elsewhere(tmp_path: Path) -> list[Run]:
    home = make_run(tmp_path, corpus="a", label_map="common", n_folds=2)
    away = make_run(
        tmp_path,
        corpus="b",
        label_map="common",
        n_folds=1,
        more={"kind": "elsewhere", "elsewhere": {"corpus": "a", "labels": "common"}},
    )
    return [home, away]


def test_a_run_tested_elsewhere_has_its_place_in_a_table(tmp_path: Path) -> None:
    runs = elsewhere(tmp_path)
    (table,) = cross_views(runs)

    assert table["tests"] == ["a", "b"]
    ((train, (within, across)),) = table["rows"]
    assert train == "a"
    assert (within["within"], across["within"]) == (True, False)
    assert across["uar"] == pytest.approx(results(runs[1:])[0]["uar"])


AUDIT_ROW = {
    "practice": "honest",
    "title": "the protocol as it is",
    "kind": "honest",
    "against": "",
    "skipped": "",
    "note": "",
    "uar": 0.5,
    "low": 0.4,
    "high": 0.6,
    "n_speakers": 24,
    "n": 1440,
    "n_seeds": 1,
    "inflation": None,
    "inflation_low": None,
    "inflation_high": None,
    "paired": False,
}
AUDIT: dict[str, Any] = {
    "id": "audit-of-svm",
    "model": "svm",
    "corpus": "ravdess",
    "features": [f"{EVIL}@0123456789ab"],
    "untrained": True,
    "labels": {"name": "ravdess8", "labels": ["a", "b"]},
    "protocol": {"name": "loso", "title": "", "breaks": [], "n_folds": 24},
    "partial": False,
    "seeds": [0],
    "n_utterances": 1440,
    "n_speakers": 24,
    "chance": 0.125,
    "command": f"python pipeline.py audit {EVIL}",
    "rows": [
        AUDIT_ROW,
        AUDIT_ROW
        | {
            "practice": "random-split",
            "kind": "optimistic",
            "uar": 0.58,
            "inflation": 0.08,
            "inflation_low": 0.05,
            "inflation_high": 0.11,
        },
        AUDIT_ROW | {"practice": "copies", "uar": None, "skipped": "no variants"},
    ],
}


def test_an_audit_is_shown_with_what_it_could_not_do(tmp_path: Path) -> None:
    (view,) = audit_views([AUDIT])
    page = write_page(
        [make_run(tmp_path)], [], [], tmp_path / "page.html", Asked(audits=[AUDIT])
    ).read_text("utf-8")

    assert [r["inflation"] for r in view["rows"]] == ["–", "+8.0", "–"]
    assert view["rows"][2]["remark"] == "not done: no variants"
    assert view["warnings"] == ["untrained encoder"]
    assert "+5.0 to +11.0" in page
    assert "1 practice not done, and why" in page
    assert page.count("no variants") == 1
    assert "alert(1)</script>" not in page


def test_latex_escapes_what_it_would_obey() -> None:
    told = latex(("a_b", "n"), [("50 % & \\x{}$~^#", 0.25), ("b", None)], "make\nit")

    assert told.startswith("% make it\n\\begin{tabular}{lr}")
    assert r"a\_b & n \\" in told
    escaped = r"50 \% \& \textbackslash{}x\{\}\$\textasciitilde{}\textasciicircum{}\#"
    assert f"{escaped} & 0.25" in told
    assert r"b & -- \\" in told


@pytest.mark.slow
def test_exports_are_drawn_and_name_their_commands(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    from report.export import export

    runs = [make_run(tmp_path / "runs", n_folds=2, labels=(EVIL, "a$b_"), n_speakers=8)]
    runs.append(
        make_run(tmp_path / "runs", model="vgg", history=True, n_folds=2, n_speakers=8)
    )
    n = export(runs, [AUDIT], tmp_path / "out", results(runs))

    made = {p.name: p for p in (tmp_path / "out").iterdir()}
    assert len(made) == n
    kinds = {name.partition("-")[0] for name in made if name.endswith(".svg")}
    drawn = {
        "ranking",
        "confusion",
        "certainty",
        "training",
        "audit",
        "speakers",
        "strips",
        "weights",
    }
    assert kinds == drawn
    for name, path in made.items():
        if name.endswith(".svg"):
            assert name.replace(".svg", ".pdf") in made
            assert path.read_text("utf-8").rstrip().endswith("</svg>")
            assert "<script>alert" not in path.read_text("utf-8")
    told = pd.read_csv(made["commands.csv"])
    assert set(told["file"]) == set(made) - {"commands.csv", "commands.tex"}
    first = pd.read_csv(made["ravdess-ravdess8-speaker5.csv"])
    assert first["uar"].tolist()[0] == pytest.approx(results(runs)[0]["uar"], abs=1e-4)
