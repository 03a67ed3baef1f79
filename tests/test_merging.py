"""Merged labels: learnt merged and summed afterwards, on the same folds."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contracts.cache import Cache
from contracts.errors import EmocacheError, ManifestError, RunError
from contracts.labels import LabelMap, load
from contracts.run import Run, find_runs
from evaluation import settings
from evaluation.labelling import merging
from evaluation.labelling.merging_command import MERGING
from evaluation.measures.metrics import score_run
from evaluation.question import Question, ask
from evaluation.splits.parting import Protocol
from evaluation.splits.protocols import get
from tests import synthetic

PAIR = LabelMap("pair", "sad and angry are one", ("neutral", "happy", "low"),
                {"sad": "low", "angry": "low"})  # fmt: skip


def test_what_is_merged_is_summed_and_what_is_dropped_left_out() -> None:
    p = np.array([[0.1, 0.2, 0.3, 0.4], [0.0, 1.0, 0.0, 0.0]])
    classes = ("neutral", "happy", "sad", "angry")

    np.testing.assert_allclose(
        merging.summed(PAIR, classes, p), [[0.1, 0.2, 0.7], [0.0, 1.0, 0.0]]
    )
    few = LabelMap("few", "", ("sad", "neutral"), {"angry": "sad"}, ("happy",))
    np.testing.assert_allclose(
        merging.summed(few, classes, p), [[0.875, 0.125], [0.5, 0.5]]
    )
    with pytest.raises(ManifestError, match="does not know wild, which the model"):
        merging.summed(PAIR, ("sad", "wild"), p[:, :2])


def test_labels_that_nobody_can_say_are_dropped() -> None:
    common = load("common6")

    found = merging.narrowed(common, ("neutral", "joy", "sad"))

    assert found.labels == ("happy", "neutral", "sad")
    assert {"angry", "anger", "fear", "disgusted"} <= set(found.drop)
    assert set(found.merge.values()) == {"happy", "neutral", "sad"}
    assert not found.unknown([*common.labels, *common.merge, *common.drop])
    every = (*common.labels, "surprised")
    assert merging.narrowed(common, every) is common


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Return a cache in which neutral is called calm half of the time."""
    frame = synthetic.rows(10, per_label=4)
    folder = tmp_path_factory.mktemp("merging") / "cache"
    made = synthetic.make_cache(folder, frame, strength=0.5)
    told = made.manifest("toy")
    calm = (frame["label"] == "neutral") & frame["id"].str.contains("-[01].wav")
    told.rows["label"] = frame["label"].mask(calm, "calm")
    with made.lock():
        made.put_manifest(told)
    return Cache(folder)


def both(cache: Cache, protocol: Any = "speakers-5fold") -> tuple[Question, Question]:
    view = cache.view("toy").require(["egemaps"])
    return ask(view, None, "speakers-5fold"), ask(view, "merge-calm", protocol)


def pairs(cache: Cache, runs: Path, seeds: Any = (0,)) -> list[tuple[Run, Run]]:
    fine, merged = both(cache)
    model = "logistic_regression"
    head = settings.heads([model], {}, None)[model]
    return merging.both_ways(fine, merged, model, head, list(seeds), runs)


def test_both_are_runs_and_the_summed_one_says_so(cache: Cache, tmp_path: Path) -> None:
    ((learnt, summed),) = pairs(cache, tmp_path)

    found, _ = find_runs(tmp_path)
    (fine,) = [r for r in found if r.run_id not in (learnt.run_id, summed.run_id)]
    assert summed.record["model"] == "logistic_regression-summed"
    assert summed.record["derived"]["from"] == fine.run_id
    assert summed.warnings == ["probabilities of merged labels summed"]
    assert learnt.classes == summed.classes
    assert learnt.record["labels"] == summed.record["labels"]
    assert list(learnt.predictions["id"]) == list(summed.predictions["id"])
    assert list(learnt.predictions["label"]) == list(summed.predictions["label"])
    neutral = fine.predictions["p:neutral"] + fine.predictions["p:calm"]
    pd.testing.assert_series_equal(
        summed.predictions["p:neutral"], neutral, check_names=False
    )
    assert score_run(summed).n == score_run(learnt).n == 160
    assert score_run(learnt).uar != score_run(summed).uar


def test_what_must_be_said_of_a_head_is_said_of_its_sums(
    cache: Cache, tmp_path: Path
) -> None:
    view = cache.view("toy").require(["wav2vec2"])
    head = settings.heads(["superb"], {"normalise": "speaker", "max_epochs": 1}, None)
    fine, merged = (ask(view, m, "speakers-5fold") for m in (None, "merge-calm"))

    ((_, summed),) = merging.both_ways(
        *(fine, merged, "superb", head["superb"], [0], tmp_path)
    )

    assert "transductive" in summed.warnings


def test_votes_are_merged_as_labels_are(tmp_path: Path) -> None:
    frame = synthetic.rows(10, votes=True)
    folder = tmp_path / "cache"
    made = synthetic.make_cache(folder, frame)
    told = made.manifest("toy")
    told.rows["vote:calm"] = told.rows["vote:neutral"] / 4
    told.rows["vote:neutral"] *= 3 / 4
    with made.lock():
        made.put_manifest(told)

    ((_, summed),) = pairs(Cache(folder), tmp_path / "runs")

    votes = summed.predictions.set_index("id").loc[frame["id"]]
    assert {c for c in votes if c.startswith("vote:")} >= {"vote:neutral", "vote:sad"}
    assert "vote:calm" not in votes
    np.testing.assert_allclose(votes["vote:neutral"], frame["vote:neutral"])
    assert summed.thresholds is None


def test_again_is_the_same_run_made_anew(cache: Cache, tmp_path: Path) -> None:
    ((_, first),) = pairs(cache, tmp_path)
    stamp = (first.folder / "run.json").stat().st_mtime_ns
    before = first.predictions

    ((_, again),) = pairs(cache, tmp_path)

    assert again.run_id == first.run_id
    assert (again.folder / "run.json").stat().st_mtime_ns != stamp
    assert again.predictions.equals(before)
    assert len(find_runs(tmp_path)[0]) == 3


def test_other_folds_are_refused(cache: Cache, tmp_path: Path) -> None:
    ((learnt, _),) = pairs(cache, tmp_path)
    _, other = both(cache, "loso")

    with pytest.raises(RunError, match="test other speakers than with merge-calm"):
        merging.summed_run(learnt, PAIR, other, tmp_path)


def test_command_compares_in_pairs(
    cache: Cache, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from jsonargparse import ArgumentParser

    assert isinstance(get("speakers-5fold"), Protocol)
    parser = ArgumentParser()
    MERGING.add_arguments(parser)
    words = "--model logistic_regression --into merge-calm --protocol speakers-5fold"
    folders = ["--cache", str(cache.folder), "--runs", str(tmp_path)]

    assert MERGING.run(parser.parse_args([*words.split(), *folders])) == 0

    said = capsys.readouterr().out
    assert "learnt merged against summed afterwards: UAR" in said
    assert "smallest true difference seen with 80 % power" in said
    assert "probabilities of merged labels summed" in said
    assert "merges no labels" not in said


def test_only_what_is_missing_is_asked_for_with_the_maps_that_merge(
    cache: Cache, tmp_path: Path
) -> None:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser()
    MERGING.add_arguments(parser)

    def said(folder: Path, *words: str) -> str:
        asked = parser.parse_args([*words, "--cache", str(folder)])
        with pytest.raises(EmocacheError) as error:
            MERGING.run(asked)
        return str(error.value)

    lacks_map = said(cache.folder, "--model", "prior")
    assert lacks_map.startswith("merging needs --into MAP (of toy: common4, ")
    assert "merge-calm" in lacks_map and "--model" not in lacks_map
    lacks_head = said(cache.folder, "--into", "merge-calm")
    assert lacks_head.startswith("merging needs --model NAME. See: python")
    neither = said(tmp_path, "--corpus", "toy")
    assert neither.startswith("merging needs --model NAME and --into MAP. See: ")
    assert "list models, and python pipeline.py list labels" in neither


def test_a_map_merges_where_it_makes_fewer_of_the_labels_it_keeps() -> None:
    assert "merge-calm" in merging.maps_that_merge(["neutral", "calm", "happy"])
    assert "merge-calm" not in merging.maps_that_merge(["neutral", "happy"])
    assert merging.maps_that_merge(["neutral", "calm", "no such label"]) == []


def test_map_that_merges_nothing_here_is_said(
    toy_cache: Cache, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser()
    MERGING.add_arguments(parser)
    words = "--model prior --into merge-calm --protocol speakers-5fold"
    folders = ["--cache", str(toy_cache.folder), "--runs", str(tmp_path)]

    assert MERGING.run(parser.parse_args([*words.split(), *folders])) == 0

    said = "".join(capsys.readouterr())
    assert "label map merge-calm merges no labels that toy has" in said
