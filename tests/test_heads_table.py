"""The table of heads for README: what stands in it, and how it gets there."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import RunError
from contracts.plugins import names
from contracts.published import Published
from contracts.run import Run, find_runs
from evaluation.reproducing import published_rows
from evaluation.statistics.uncertainty import interval
from report.results import results
from serve._differences import SAME, differences, says
from serve._lost_rows import lost_rows
from serve.heads_command import HEADS
from serve.heads_table import BEGIN, END, _published, heads_table, put
from tests.runs import make_run

ASKED = ("ravdess", "ravdess-luna5", "ravdess8")
ROW = {
    "untrained": False,
    "chance": 1 / 8,
    "model": "mine",
    "settings": {},
    "features": [],
    "encoders": [],
    "folds": [0, 1, 2, 3, 4],
    "warnings": [],
}
MLP_OF_EMOBOX = (
    "lr=0.0001 weight_decay=0.0 batch_size=32 dropout=0.0 normalise=utterance "
    "framewise=True"
)


def run_of(folder: Path, model: str, **more: Any) -> Run:
    """Write a run under the protocol of the table."""
    return make_run(folder, model=model, protocol="ravdess-luna5", per_label=1, **more)


def cells_of(table: str) -> list[list[str]]:
    """Return the cells of each row below the heading."""
    lines = [line for line in table.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write runs: whole, several seeds, partial and budgeted, elsewhere."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1, 2):
        run_of(folder, "xgb", seed=seed)
    run_of(folder, "xgb", features=("mfcc:mean",), settings={"n_estimators": 7})
    short = {"settings": {"max_epochs": 2}, "untrained": True, "keep": [0]}
    run_of(folder, "vgg", features=("wav2vec2",), **short)
    run_of(folder, "prosodic_attention", features=("wav2vec2",))
    make_run(folder, model="svm", protocol="loso")
    return folder


@pytest.fixture(scope="module")
def table(runs: Path) -> str:
    """Return the table over them."""
    return heads_table(find_runs(runs)[0], *ASKED)


def test_a_row_holds_uar_interval_and_spread(runs: Path, table: str) -> None:
    found = [r for r in find_runs(runs)[0] if r.record["model"] == "xgb"]
    same = [r for r in found if r.record["features"][0]["name"] == "egemaps"]
    [row] = results(same)
    sure = interval(same)

    told = next(c for c in cells_of(table) if c[0] == "`xgb`" and c[1] == "egemaps")

    assert told[2] == (
        f"**{100 * row['uar']:.1f}** [{100 * sure.low:.1f}, {100 * sure.high:.1f}]"
        f"<br>5 folds {100 * row['fold_min']:.1f} to {100 * row['fold_max']:.1f}"
        f"<br>3 seeds ± {100 * row['seed_sd']:.1f}"
    )
    assert "1. .56 accuracy" in told[3] and "aszharov" in told[3]
    assert told[4].startswith("RAVDESS, 8 classes, one fold")
    assert told[5].startswith("1. theirs is fold 0 of ours; the scaler was fitted")


def test_published_figures_stand_once_for_a_head(table: str) -> None:
    rows = [cells for cells in cells_of(table) if cells[0].startswith("`xgb`")]

    assert [cells[3] == "see above" for cells in rows] == [False, True]
    assert {cells[0] for cells in rows} == {"`xgb`", "`xgb` (n_estimators=7)"}
    # why they differ stands again where it is something else
    (mine,) = (cells for cells in rows if "n_estimators" in cells[0])
    assert mine[5].count("theirs has other settings: `n_estimators=100`") == 2


def test_what_is_not_the_whole_experiment_says_so(table: str) -> None:
    cells = next(c for c in cells_of(table) if c[0].startswith("`vgg`"))

    assert cells[0] == (
        "`vgg`<br>**untrained encoder; partial: fold 0 only; budgeted: 2 of 100 "
        "epochs**"
    )
    assert cells[1] == "wav2vec2<br>facebook/wav2vec2-base"
    assert "[" not in cells[2] and cells[2].endswith("<br>seed 0, 5 speakers")


def test_other_protocols_are_not_in_it_and_nobodys_heads_say_so(table: str) -> None:
    names = [cells[0] for cells in cells_of(table)]

    assert not [name for name in names if "svm" in name]
    cells = next(c for c in cells_of(table) if "prosodic" in c[0])
    assert cells[3] == "nobody published it"


def test_another_network_is_named(tmp_path: Path) -> None:
    made = run_of(tmp_path, "vgg", settings={"frame_stride": 2})
    for fold in made.record["folds"]:
        fold["learnt"]["network"] = "another network than the published vgg: so"

    [cells] = cells_of(heads_table([made], *ASKED))

    assert cells[0].startswith("`vgg` (frame_stride=2)<br>**another network than")


def test_fewer_seeds_of_the_same_are_left_out_and_named(tmp_path: Path) -> None:
    few = run_of(tmp_path, "xgb", more={"manifest": {"hash": "older"}})
    found = [few, *(run_of(tmp_path, "xgb", seed=seed) for seed in (0, 1))]

    told = heads_table(found, *ASKED)

    assert len(cells_of(told)) == 1 and "2 seeds" in told
    assert "Left out, as there are more seeds of the same head" in told
    assert f"`{few.run_id}`" in told


def test_the_table_takes_its_place_and_no_other(runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(
        f"# A\n\n{BEGIN}\nof before\n{END}\n\nrest | of it\n", encoding="utf-8"
    )
    told = Namespace(
        runs=runs,
        corpus=ASKED[0],
        protocol=ASKED[1],
        labels=ASKED[2],
        write=page,
        force=False,
    )

    assert HEADS.run(told) == 0
    once = page.read_text(encoding="utf-8")
    assert HEADS.run(told) == 0

    assert page.read_text(encoding="utf-8") == once
    assert (
        once.startswith(f"# A\n\n{BEGIN}\n`ravdess` under") and "of before" not in once
    )
    assert once.endswith(f"|\n{END}\n\nrest | of it\n")


def test_rows_do_not_vanish_without_a_word(
    runs: Path, table: str, tmp_path: Path
) -> None:
    page, few = tmp_path / "README.md", tmp_path / "few"
    page.write_text(f"{BEGIN}\n{table}{END}\n", encoding="utf-8")
    before = page.read_text(encoding="utf-8")
    run_of(few, "xgb", seed=7)
    told = Namespace(runs=few, corpus="ravdess", write=page, force=False)
    told.protocol, told.labels = ASKED[1:]

    with pytest.raises(RunError) as error:
        HEADS.run(told)
    said = str(error.value)
    assert said.startswith(f"3 of the 4 rows of the table in {page} would vanish")
    assert "`xgb` (n_estimators=7) on mfcc:mean" in said and "`vgg` on wav" in said
    assert "`xgb` on egemaps" not in said  # another seed of the same row
    assert "--force" in said and "--write FILE" in said
    assert page.read_text(encoding="utf-8") == before

    told.force = True
    assert HEADS.run(told) == 0
    assert len(cells_of(page.read_text(encoding="utf-8"))) == 1


def test_a_table_of_another_question_is_lost_whole(table: str) -> None:
    other = table.replace("`ravdess-luna5`", "`loso`")

    lost, n = lost_rows(f"{BEGIN}\n{table}{END}", other)

    assert len(lost) == n == 4
    assert lost_rows(f"{BEGIN}\n{table}{END}", table) == ([], 4)


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{BEGIN}{END}"])
def test_a_file_without_a_place_is_refused(text: str) -> None:
    with pytest.raises(RunError, match="no one place for the table"):
        put(text, "| a |\n", Path("README.md"))


def test_no_run_names_the_command(runs: Path) -> None:
    message = r"labels emodb7.*got .*ravdess/ravdess8/loso.*pipeline\.py fit"
    with pytest.raises(RunError, match=message):
        heads_table(find_runs(runs)[0], "ravdess", "loso", "emodb7")


def test_what_differs_is_said_before_what_was_wrong() -> None:
    row = ROW | {"untrained": True}
    heard = "CREMA-D and RAVDESS together, 7 classes; a random tenth"
    one = Published("somebody", "accuracy .5", heard, "same speakers on both sides")

    assert list(differences(one, row, ("ravdess", "ravdess8", "loso"), "mine:0")) == [
        "our encoder is untrained",
        "another corpus beside it",
        "7 classes, ours 8",
        "accuracy, ours is UAR",
        "files parted at random",
        "same speakers on both sides",
    ]
    other = Published("somebody", "UAR .5", "CREMA-D, 6 classes, loso")
    row |= {"untrained": False, "chance": 1 / 6}
    assert list(differences(other, row, ("crema_d", "cremad6", "loso"), "mine:0")) == [
        "no flaw found"
    ]
    assert (
        next(differences(other, row, ("ravdess", "a", "loso"), "mine:0"))
        == "another corpus"
    )


OTHERS = "other test speakers"
SOME = "some of our test speakers"


@pytest.mark.parametrize(
    ("place", "protocol", "folds", "said"),
    [
        ("vgg:0", "ravdess-luna5", [0], ""),
        ("vgg:0", "ravdess-luna5", [1], OTHERS),
        ("vgg:0", "ravdess-luna5", None, "theirs is fold 0 of ours"),
        ("svm:1", "ravdess-luna5", None, ""),
        ("svm:1", "ravdess-luna5", [0, 1], "ours is folds 0, 1 of theirs"),
        ("layer_probe:0", "ravdess-luna5", None, SAME),
        ("layer_probe:0", "ravdess-luna5", [0], OTHERS),
        ("layer_probe:0", "ravdess-20-2-2", None, OTHERS),
        ("layer_probe:0", "random-kfold", None, OTHERS),
        ("layer_probe:0", "loso", None, ""),
        ("mlp:0", "speakers-5fold", None, SAME),
        ("vgg:0", "loso", None, SOME),
        ("pepino:0", "loso", None, SOME),  # two actors
        ("bilstm_attention:0", "speakers-5fold", None, "files parted at random"),
        ("superb:0", "loso", None, OTHERS),  # another corpus
    ],
)
def test_whom_others_tested_is_said_where_it_is_not_whom_we_did(
    place: str, protocol: str, folds: list[int] | None, said: str
) -> None:
    model = place.partition(":")[0]
    row = ROW | {"model": model, "warnings": ["untrained encoder"]}
    if folds is not None:
        row |= {"folds": folds, "warnings": ["partial: some folds only"]}
    published = dict(_published(model, "ravdess"))[place]

    lines = list(differences(published, row, ("ravdess", "ravdess8", protocol), place))

    words = "test speakers", "same speakers in", "parted", "fold 0", "folds 0"
    found = [one for one in lines if any(w in one for w in words)]
    assert found == ([said] if said else [])


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("attention:0", "top-1, which is accuracy, ours is UAR"),
        ("multitask:0", "concordance of a trait, ours is UAR"),
        ("superb:0", "accuracy, ours is UAR"),
        ("pepino:0", ""),
        ("mlp:0", ""),
        ("vgg:0", ""),
    ],
)
def test_another_metric_is_said(place: str, said: str) -> None:
    model = place.partition(":")[0]
    published = dict(_published(model, "none"))[place]
    row = ROW | {"model": model}

    lines = list(differences(published, row, ("ravdess", "ravdess8", "loso"), place))

    found = [one for one in lines if one.endswith("ours is UAR")]
    assert found == ([said] if said else [])


@pytest.mark.parametrize(
    ("model", "position", "settings", "said"),
    [
        ("attention", 0, {}, "targets=soft"),
        ("attention", 0, {"targets": "soft"}, ""),
        ("pepino", 0, {}, ""),
        ("pepino", 1, {}, "normalise=speaker"),
        ("pepino", 1, {"normalise": "speaker"}, ""),
        ("pepino", 0, {"normalise": "speaker"}, "normalise=global"),
        ("vgg", 0, {"lr": 1e-3, "max_epochs": 3}, "lr=1e-05"),
        ("svm", 1, {}, ""),  # its input is another one, and three strengths are told
        ("svm", 1, {"C": 50.0}, ""),
        ("mlp", 1, {"max_epochs": 100, "hidden": [256]}, MLP_OF_EMOBOX),
        ("random_forest", 0, {}, ""),
        ("random_forest", 0, {"n_estimators": 500}, "n_estimators=100"),
        ("random_forest", 1, {}, "max_features=1.0 min_samples_leaf=5"),
    ],
)
def test_settings_that_a_published_head_has_are_said(
    model: str, position: int, settings: dict[str, Any], said: str
) -> None:
    row = ROW | {"model": model, "settings": settings}
    place = f"{model}:{position}"
    published = dict(_published(model, "ravdess"))[place]

    lines = list(differences(published, row, ("ravdess", "ravdess8", "loso"), place))

    wanted = f"theirs has other settings: `{said}`"
    assert [one for one in lines if "settings" in one] == ([wanted] if said else [])


@pytest.mark.parametrize(
    ("place", "features", "encoder", "said"),
    [
        ("mlp:0", "wav2vec2", "facebook/wav2vec2-base", []),
        ("mlp:0", "wav2vec2", "wav2vec2-base", []),  # of a folder
        ("mlp:1", "wav2vec2", "facebook/wav2vec2-base", ["another encoder"]),
        ("multitask:0", "wav2vec2", "", []),  # what is published hears is not known
        ("mlp:0", "whisper", "openai/whisper-base", ["another input", "another enc"]),
        ("random_forest:0", "mfcc:mean", "", []),
        ("random_forest:0", "egemaps", "", ["another input"]),
        ("logistic_regression:0", "compare16", "", []),
    ],
)
def test_another_input_and_another_encoder_are_said(
    place: str, features: str, encoder: str, said: list[str]
) -> None:
    model = place.partition(":")[0]
    row = ROW | {"model": model, "features": [features]}
    row["encoders"] = [encoder] if encoder else []
    published = dict(_published(model, "ravdess"))[place]

    lines = list(differences(published, row, ("ravdess", "ravdess8", "loso"), place))

    found = [one for one in lines if one.startswith(("another i", "another e"))]
    assert len(found) == len(said)
    assert all(a.startswith(b) for a, b in zip(found, said, strict=True))


def test_each_published_figure_has_the_row_that_says_it() -> None:
    every = list(published_rows.rows().values())
    unsaid = [
        place
        for model in names("models")
        for place, told in _published(model, "none")
        if any(one.entry == place for one in every)
        and not any(one.entry == place and says(told.number, one) for one in every)
    ]

    assert not unsaid
