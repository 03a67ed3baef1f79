"""Published rows: each can be asked for, and only its own runs stand beside it."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonargparse import ArgumentParser

import pipeline
from contracts import labels as label_maps
from contracts import plugins
from contracts.errors import CacheError, EmocacheError
from contracts.feature import FeatureReference
from contracts.run import Run, find_runs
from evaluation import settings
from evaluation.reproducing._told import (
    UNTRAINED,
    extract_words,
    facts,
    fit_words,
    text,
)
from evaluation.reproducing.published_rows import FILE, METRICS, Row, entry, rows
from evaluation.reproducing.reproduce import ours
from evaluation.reproducing.reproduce_command import REPRODUCE
from evaluation.splits.protocols import PROTOCOLS
from tests import synthetic
from tests.runs import make_run

ROWS = rows()
LOGISTIC = ROWS["hsn07pk-egemaps-logistic"]
PROBE = ROWS["superb-wav2vec2-base"]


def run(*words: object) -> int:
    parser = ArgumentParser()
    REPRODUCE.add_arguments(parser)
    return REPRODUCE.run(parser.parse_args([str(w) for w in words]))


def made(folder: Path, row: Row = LOGISTIC, **other: Any) -> Run:
    """Write a run that is a row's, but for what is given otherwise."""
    told: dict[str, Any] = {
        "model": row.model,
        "features": row.features,
        "corpus": "+".join(row.corpus),
        "label_map": row.labels,
        "protocol": row.protocol,
        "settings": row.settings,
    }
    return make_run(folder, **(told | other))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_row_names_what_there_is(row: Row) -> None:
    assert row.train or row.protocol in PROTOCOLS
    assert {*row.train} < {*row.corpus}
    assert row.labels in label_maps.names()
    assert {*row.corpus} <= {*plugins.names("corpora")}
    assert row.figures
    assert {*row.figures} <= {*METRICS}
    assert all(1 < value < 100 for value in row.figures.values())
    only = "" if row.train else PROTOCOLS[row.protocol].corpus
    assert not only or row.corpus == (only,)
    features = {FeatureReference.parse(f).name for f in row.features}
    assert features <= {*plugins.names("features")}
    assert bool(row.encoder) >= bool(features & {"wav2vec2", "whisper"})
    assert row.cannot or row.model
    if row.model:
        heads = settings.heads([row.model], row.settings, row.features)
        assert {*row.grid} <= {*heads[row.model].get_params(deep=False)}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_row_says_who_how_and_what_was_wrong(row: Row) -> None:
    told = row.published()

    assert told.source
    assert told.protocol
    assert told.flaw or row.entry.startswith("pepino")
    assert row.cannot or row.differs
    assert re.match(r"(UAR|WAR|F1|CCC) \d", told.number)


def test_every_command_parses() -> None:
    told = [fit_words(r) for r in ROWS.values() if not r.cannot]
    told += [words for r in ROWS.values() if (words := extract_words(r))]
    known = pipeline.commands()
    parsers = {name: ArgumentParser() for name in ("fit", "extract")}
    for name, parser in parsers.items():
        known[name].add_arguments(parser)

    assert len(told) > 200
    for name, *words in told:
        parsers[name].parse_args(words)


def pointing() -> list[Row]:
    """Return the rows that point to words themselves, not by their family."""
    told = tomllib.loads(FILE.read_text(encoding="utf-8"))["rows"].values()
    own = [m["id"] for group in told for m in group if "entry" in m]
    return [ROWS[name] for name in own if ROWS[name].model]


@pytest.mark.parametrize("row", pointing(), ids=lambda row: row.id)
def test_a_figure_is_the_one_that_its_head_tells_in_words(row: Row) -> None:
    headline = next(iter(row.figures.values()))
    share = f"{headline / 100:.3f}".rstrip("0").lstrip("0")
    words = {f"{headline:g}", f"{headline:.2f}", share}
    if row.printed:
        words = {row.printed.partition(" ")[0]}

    assert any(word in entry(row.entry).number for word in words)


def test_every_figure_that_a_head_tells_of_has_a_row() -> None:
    told = {
        f"{model}:{i}"
        for model in plugins.names("models")
        for i in range(len(plugins.load("models", model).PUBLISHED))
    }

    assert told == {row.entry for row in ROWS.values() if row.entry}


def test_the_published_parts_are_all_there() -> None:
    first = [name.partition("-")[0] for name in ROWS]
    seeds = ["aszharov", "amansyayf", "patrg444", "widjanarko", "swathiarasu"]
    others = ["pepino", "luna", "hsn07pk", "superb", "emobox", "audeering"]

    assert {*seeds, *others} <= {*first}
    assert sum(name.startswith("emobox") for name in ROWS) == 10 * 6 + 8
    assert ROWS["pepino-ravdess-all-global"].seeds == (123, 1234, 2345, 3456, 4567)
    assert ROWS["pepino-ravdess-all-speaker"].figures == {"uar": 83.1, "war": 83.7}
    assert ROWS["aszharov-vgg"].folds == (0,)


@pytest.mark.parametrize(
    ("begins", "figures"),
    [
        (  # systems.md of SUPERB's leaderboard, and of data2vec in emotion2vec's table
            "superb-",
            "35.39 57.86 59.33 59.66 59.08 50.28 56.27 62.47 60.96 59.79 58.24 63.02 "
            "63.43 64.92 65.94 67.98 65.64 67.62 70.03 67.38 68.58",
        ),
        ("emobox-cross-", "27.2 33.8 18.3 21.4 48.1 66.9 38.2 49.6"),
        ("emotion2vec-iemocap", "71.79 74.48 72.94 77.64"),
        ("emotion2vec-plus-", "84.4 79.8 86.0 97.3 97.2 98.6"),
        ("hsn07pk-quoted-", "79.3 91.7 75.4"),
        (
            "luna-",
            "67 13.33 50.13 53.12 53.10 36.07 37.90 38.65 38.47 56.53 55.82 "
            "81.82 85.3 86.70 80.08",
        ),
        ("patrg444-", "54.43 54.43 54.55"),
        ("gjoreski-", "73 77 86"),
        ("dogdu-", "87.85 84.00 83.74 73.46"),
        ("nkululeko-", "92.19 98.15 83.94 73.28"),
        ("residual-lstm-", "65.17"),
        ("wang-", "73.01 79.58"),
        ("speechbrain-", "78.7"),
    ],
)
def test_no_published_figure_is_missing(begins: str, figures: str) -> None:
    ours = [r for name, r in ROWS.items() if name.startswith(begins)]

    told = sorted(next(iter(row.figures.values())) for row in ours)
    assert told == sorted(map(float, figures.split()))


def test_every_table_of_emobox_is_whole() -> None:
    sizes = [f"data2vec2-{size}" for size in ("base", "large")]
    told = {
        name: tuple(row.figures.values())
        for name, row in ROWS.items()
        if name.endswith(tuple(sizes)) and name.startswith("emobox")
    }

    assert len(told) == 12
    assert told["emobox-ravdess-data2vec2-base"] == (64.66, 64.84, 64.18)
    assert told["emobox-savee-data2vec2-large"] == (75.75, 78.59, 78.24)
    assert all("data2vec 2.0 is none" in ROWS[name].cannot for name in told)


def test_a_fault_is_told_of_the_rows_that_have_it_alone() -> None:
    speaker = "test speakers' own statistics"

    assert not ROWS["pepino-iemocap-all-global"].published().flaw
    for name in ("all-speaker", "last", "words-all", "lld"):
        assert ROWS[f"pepino-iemocap-{name}"].published().flaw == speaker
    for name, row in ROWS.items():
        if name.startswith("hsn07pk-emobox"):
            told = f"{row.published().flaw}; {row.differs}"
            assert "no layer is chosen" in told
            assert "by folds" not in told


def test_a_cross_corpus_row_is_fitted_and_found_as_one(tmp_path: Path) -> None:
    row = ROWS["emobox-cross-savee-ravdess-wav2vec2-base"]
    made(tmp_path, row)
    made(tmp_path / "b", row, protocol="cross-ravdess-to-savee")

    words = " ".join(fit_words(row))
    told = facts(row, [])

    assert words.startswith("fit --train-corpus savee --test-corpus ravdess --labels")
    assert "--protocol" not in words
    assert "trained on all of savee" in told["conformity"]
    assert told["extract"].startswith("python pipeline.py extract --corpus ravdess sav")
    assert len(ours(row, find_runs(tmp_path)[0])) == 1
    assert not ours(row, find_runs(tmp_path / "b")[0])


def test_seeds_are_named_where_fit_would_take_others() -> None:
    def seeds(name: str) -> list[str]:
        words = fit_words(ROWS[name])
        return words[words.index("--seeds") + 1 :] if "--seeds" in words else []

    assert seeds("emobox-ravdess-wav2vec2-base") == []  # 0, as without a protocol's
    assert seeds("pepino-ravdess-all-global") == []  # the protocol's own
    assert seeds("widjanarko-attention") == ["0"]  # under a protocol that names five
    assert seeds("pepino-ravdess-random") == ["123,1234,2345,3456,4567"]


def test_a_rows_own_runs_stand_beside_it_and_seeds_are_one(tmp_path: Path) -> None:
    for seed in (1, 0):
        made(tmp_path, seed=seed)

    (one,) = ours(LOGISTIC, find_runs(tmp_path)[0])

    assert one.seeds == [0, 1]
    assert not one.untrained
    assert one.scores["uar"].low < one.scores["uar"].value < one.scores["uar"].high
    said = text(LOGISTIC, [one], facts(LOGISTIC, [one]))
    assert re.search(r"ours: UAR \d\d\.\d \[\d\d\.\d, .*seeds 0,1", said)
    assert "published: UAR 53.1, WAR 52.7, F1 52.1" in said
    assert "not run here" not in said


@pytest.mark.parametrize(
    "other",
    [
        {"model": "svm"},
        {"features": ("mfcc",)},
        {"corpus": "crema_d"},
        {"label_map": "merge-calm"},
        {"protocol": "ravdess-luna5"},
        {"settings": {"C": 10.0}},
        {"keep": [0, 1]},
        {"more": {"limited": {"ravdess": [100, 1440]}}},
        {"more": {"temperature": {"by": "training speakers"}}},
        {"more": {"elsewhere": {"corpus": "emodb", "labels": "ravdess8"}}},
        {"more": {"variants": {"augment:noise#1": 96}}},
        {"more": {"search": {"kind": "grid", "space": {"C": [0.1, 1.0]}}}},
    ],
    ids=str,
)
def test_other_runs_do_not(other: dict[str, Any], tmp_path: Path) -> None:
    made(tmp_path, **other)

    assert not ours(LOGISTIC, find_runs(tmp_path)[0])


def test_a_run_of_all_folds_answers_for_one(tmp_path: Path) -> None:
    row = ROWS["aszharov-xgb-egemaps"]
    whole = made(tmp_path / "a", row)
    made(tmp_path / "b", row, keep=[0])
    made(tmp_path / "c", row, keep=[1, 2])

    (of_all,) = ours(row, find_runs(tmp_path / "a")[0])
    (of_one,) = ours(row, find_runs(tmp_path / "b")[0])

    assert of_all.scores["uar"].value == of_one.scores["uar"].value
    assert len(of_all.runs[0].predictions) < len(whole.predictions)
    assert not ours(row, find_runs(tmp_path / "c")[0])


def test_an_untrained_encoder_never_stands_as_ours(tmp_path: Path) -> None:
    made(tmp_path, PROBE, untrained=True)
    made(tmp_path / "b", PROBE)

    (twin,) = ours(PROBE, find_runs(tmp_path)[0])
    (real,) = ours(PROBE, find_runs(tmp_path / "b")[0])
    said = text(PROBE, [twin], facts(PROBE, [twin]))

    assert twin.untrained
    assert not real.untrained
    assert f"ours, {UNTRAINED}: WAR" in said
    assert "ours: " not in said
    assert "not run here: python pipeline.py fit" in said
    both = ours(PROBE, [*find_runs(tmp_path)[0], *find_runs(tmp_path / "b")[0]])
    assert "ours: WAR" in text(PROBE, both, facts(PROBE, both))


def test_another_trained_encoder_is_not_the_rows(tmp_path: Path) -> None:
    made(tmp_path, PROBE)  # of facebook/wav2vec2-base

    assert not ours(ROWS["superb-wavlm-base"], find_runs(tmp_path)[0])


def test_few_speakers_and_other_seeds_are_said(tmp_path: Path) -> None:
    row = ROWS["emobox-savee-wav2vec2-base"]
    made(tmp_path, row, n_speakers=4, n_folds=4)
    pepino = ROWS["pepino-ravdess-all-global"]
    made(tmp_path, pepino, seed=7)

    runs = find_runs(tmp_path)[0]
    told = facts(pepino, ours(pepino, runs))
    said = text(row, ours(row, runs), facts(row, ours(row, runs)))

    assert "savee has 4 speakers" in said
    assert "(no interval)" in said
    assert "seed 7 is none of the published" in told["ours"][0]["conformity"]
    assert "(1 of 5 seeds)" in text(pepino, ours(pepino, runs), told)


def test_list_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path)

    assert run("--runs", tmp_path) == 0
    said = capsys.readouterr().out
    assert run("--runs", tmp_path, "--corpus", "ravdess", "--json") == 0
    told = {one["id"]: one for one in json.loads(capsys.readouterr().out)}

    assert {line.partition(":")[0] for line in said.splitlines()} >= {*ROWS}
    assert f"{len(ROWS)} published rows: 1 run here" in said
    assert {*told} == {n for n, r in ROWS.items() if "ravdess" in r.corpus}
    assert told[LOGISTIC.id]["ours"][0]["seeds"] == [0]
    assert told["aszharov-vgg"]["ours"] == []
    assert told["aszharov-vgg"]["command"] == (
        "python pipeline.py fit --corpus ravdess --labels ravdess8 --protocol "
        "ravdess-luna5 --model vgg --feature wav2vec2 --encoder "
        f"facebook/wav2vec2-base --folds 0 --runs {tmp_path}"
    )
    with pytest.raises(EmocacheError, match="no published row of mine, expected"):
        run("--runs", tmp_path, "--corpus", "mine")


def test_a_row_is_fitted_by_its_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    spoken = synthetic.rows(24, 1, corpus="ravdess")
    synthetic.make_cache(cache, spoken, corpus="ravdess", n_layers=1, width=8)
    told = ("--cache", cache, "--runs", tmp_path / "runs")

    assert run("aszharov-tree-mfcc", *told) == 0

    said = capsys.readouterr().out
    assert said.startswith(
        "python pipeline.py fit --corpus ravdess --labels ravdess8 --protocol "
        "ravdess-luna5 --model decision_tree --feature mfcc:mean --folds 0"
    )
    assert "ours: UAR" in said
    (fitted,), _ = find_runs(tmp_path / "runs")
    assert [fold["index"] for fold in fitted.record["folds"]] == [0]
    with pytest.raises(
        CacheError, match="extract --corpus ravdess --feature wav2vec2 --encoder micr"
    ):
        run("hsn07pk-wavlm", *told)


def test_what_no_command_makes_says_why_and_unknown_rows_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("luna-fine-tuned", "--runs", tmp_path) == 0
    assert "not run here: the encoder is fine-tuned" in capsys.readouterr().out
    with pytest.raises(EmocacheError, match="Did you mean superb-wavlm-base"):
        run("superb-wavlm-bas", "--runs", tmp_path)
