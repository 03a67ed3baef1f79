"""Label maps: contiguous, hashed, and nothing dropped or mapped in silence."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contracts import _label_file, labels, plugins
from contracts.errors import ManifestError, PluginError
from contracts.labels import LabelMap
from contracts.manifest import complete

RAVDESS = {"neutral": 96} | dict.fromkeys(
    ("calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"), 192
)


def rows(counts: dict[str, int]) -> pd.DataFrame:
    names = [label for label, n in counts.items() for _ in range(n)]
    facts = {"id": [str(i) for i in range(len(names))], "label": names}
    return complete(pd.DataFrame(facts))


HASH_OF_RAVDESS8 = "676d061fbdfd"  # runs are named by it
FILES = [name for name in labels.names() if name != labels.IDENTITY]


@pytest.mark.parametrize("name", FILES)
def test_map_is_whole(name: str) -> None:
    one = labels.load(name)

    assert one.title
    assert len(set(one.labels)) == len(one.labels) > 1
    assert set(one.merge.values()) <= set(one.labels)
    assert not set(one.merge) & set(one.labels)
    assert not set(one.drop) & ({*one.labels} | {*one.merge})
    assert {*one.labels, *one.merge} <= set(one.original) | set(one.merge)
    assert set(one.labels) <= set(one.original)
    assert one.hash == labels.load(name).hash
    assert len({labels.load(n).hash for n in FILES}) == len(FILES)


def test_merge_calm_gives_288_neutral_and_192_of_the_others() -> None:
    told = labels.load("merge-calm").counts(rows(RAVDESS))

    assert told["after"]["neutral"] == 288
    assert set(told["after"].values()) == {288, 192}
    assert len(told["after"]) == 7
    assert told["merge"] == {"calm": "neutral"}
    assert told["before"] == RAVDESS


def test_ekman6_drops_and_says_so() -> None:
    told = labels.load("ekman6").counts(rows(RAVDESS))

    assert told["drop"] == {"neutral": 96, "calm": 192}
    assert told["after"] == dict.fromkeys(labels.load("ekman6").labels, 192)


def test_unknown_labels_and_maps_are_refused_with_all_of_them() -> None:
    with pytest.raises(ManifestError, match="does not know bored, elated"):
        labels.load("ravdess8").apply(rows({"bored": 1, "elated": 2, "happy": 1}))
    with pytest.raises(PluginError, match="Did you mean 'merge-calm'"):
        labels.load("merge-clam")


def test_probabilities_in_the_original_order_hold_0_for_a_merged_label() -> None:
    one = labels.load("merge-calm")
    p = np.random.default_rng(0).dirichlet(np.ones(7), 5)

    order, out = one.to_original(p)

    assert order == tuple(RAVDESS)
    assert (out[:, order.index("calm")] == 0).all()
    assert (out[:, order.index("neutral")] == p[:, 0]).all()
    np.testing.assert_allclose(out.sum(1), 1)
    assert (out[:, order.index("disgust")] == p[:, one.labels.index("disgust")]).all()


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("from_votes", [True, False])
def test_votes_label_where_the_map_says_so_or_there_are_no_labels(
    labelled: bool, from_votes: bool
) -> None:
    told = {"happy": 1, "": 1} if labelled else {"": 2}
    frame = rows(told).assign(**{"vote:neutral": [0.2, 0.7], "vote:happy": [0.8, 0.3]})
    one = dataclasses.replace(labels.load("merge-calm"), from_votes=from_votes)

    mapped = one.apply(frame)[0]

    expected = ["happy", "neutral"] if from_votes or not labelled else ["happy"]
    assert mapped["label"].tolist() == expected
    assert one.counts(frame)["unlabelled"] == 2 - len(expected)


def test_iemocap_without_agreement_is_labelled_by_the_soft_map_alone() -> None:
    frame = rows({"angry": 1, "": 1}).assign(
        **{"vote:angry": [1.0, 0.0], "vote:happy": [0.0, 0.4]}
    )
    frame = frame.assign(**{"vote:excited": [0.0, 0.3], "vote:sad": [0.0, 0.3]})

    assert len(labels.load("iemocap4").apply(frame)[0]) == 1
    assert list(labels.load("iemocap6-soft").apply(frame)[0]["label"]) == [
        "angry",
        "happy",
    ]


def test_votes_are_merged_and_sum_to_one() -> None:
    frame = rows({"": 3}).assign(
        **{
            "vote:neutral": [0.2, 0.0, 0.5],
            "vote:calm": [0.2, 0.8, 0.0],
            "vote:happy": [0.6, 0.2, 0.5],
        }
    )

    mapped, classes = labels.load("merge-calm").apply(frame)

    assert classes[:2] == ("neutral", "happy")
    assert mapped["label"].tolist() == ["happy", "neutral"]  # the tie has no label
    assert mapped["vote:neutral"].tolist() == [0.4, 0.8]
    votes = [c for c in mapped if c.startswith("vote:")]
    np.testing.assert_allclose(mapped[votes].sum(axis=1), 1)
    told = labels.load("merge-calm").counts(frame)
    assert (told["from_votes"], told["unlabelled"]) == (2, 1)


def test_dropped_label_is_not_voted_back() -> None:
    frame = rows({"calm": 1}).assign(**{"vote:calm": [0.6], "vote:happy": [0.4]})

    mapped, _ = labels.load("ekman6").apply(frame)

    assert len(mapped) == 0


def test_votes_for_a_dropped_label_make_no_other_label() -> None:
    frame = rows({"": 2}).assign(
        **{"vote:neutral": [0.8, 0.2], "vote:happy": [0.2, 0.5], "vote:sad": [0, 0.3]}
    )

    mapped, _ = labels.load("ekman6").apply(frame)

    assert mapped["id"].tolist() == ["1"]
    assert mapped["label"].tolist() == ["happy"]
    np.testing.assert_allclose(mapped[["vote:happy", "vote:sad"]], [[0.625, 0.375]])


def test_identity_keeps_the_corpus_order() -> None:
    frame = rows({"zeal": 1, "happy": 1, "sad": 1, "": 1})

    one = labels.identity(frame, ["sad", "happy", "neutral"])

    assert one.labels == ("sad", "happy", "zeal")
    assert len(one.apply(frame)[0]) == 3
    assert isinstance(one, LabelMap)


IEMOCAP = ("angry", "happy", "excited", "sad", "neutral", "frustrated") + (
    "fearful",
    "surprised",
    "disgusted",
    "other",
)


@pytest.mark.parametrize("name", plugins.names("corpora"))
def test_every_corpus_is_known_to_its_own_map_and_to_the_common_ones(name: str) -> None:
    corpus = plugins.load("corpora", name).CORPUS

    for one in {corpus.label_map, "common4", "common6"} - {labels.IDENTITY}:
        assert labels.load(one).unknown(corpus.labels) == []
    if {"angry", "anger"} & set(corpus.labels):
        kept = labels.load("common4")
        assert {kept.merge.get(x, x) for x in corpus.labels} >= set(kept.labels)


def test_common_maps_name_the_same_words_and_merge_them_alike() -> None:
    four, six = labels.load("common4"), labels.load("common6")

    assert {*four.labels, *four.merge, *four.drop} == (
        {*six.labels, *six.merge, *six.drop}
    )
    assert four.merge.items() <= six.merge.items()


def test_iemocap4_gives_the_5531_utterances_of_the_literature() -> None:
    published = {"angry": 1103, "happy": 595, "excited": 1041, "neutral": 1708}
    published |= {"sad": 1084, "frustrated": 1849, "": 2507, "disgusted": 2}

    told = labels.load("iemocap4").counts(rows(published))

    assert told["after"] == {"angry": 1103, "happy": 1636, "sad": 1084, "neutral": 1708}
    assert sum(told["after"].values()) == 5531
    assert told["drop"] == {"frustrated": 1849, "disgusted": 2}
    assert not labels.load("iemocap4").unknown(IEMOCAP)
    assert not labels.load("iemocap6-soft").unknown(IEMOCAP)


def soft(**shares: list[float]) -> pd.DataFrame:
    frame = rows({"": len(next(iter(shares.values())))})
    return frame.assign(**{f"vote:{k}": v for k, v in shares.items()})


def test_shares_below_the_threshold_become_0_after_merging() -> None:
    frame = soft(
        angry=[0.50, 0.04],
        frustrated=[0.04, 0.03],  # with angry 0.07: it stays
        sad=[0.42, 0.88],
        neutral=[0.04, 0.05],  # below, at the threshold
    )

    mapped, classes = labels.load("iemocap6-soft").apply(frame)

    assert classes == ("angry", "happy", "sad", "neutral", "fearful", "disgusted")
    np.testing.assert_allclose(
        mapped[["vote:angry", "vote:sad", "vote:neutral"]],
        [[0.54 / 0.96, 0.42 / 0.96, 0], [0.07, 0.88, 0.05]],
    )
    assert mapped["label"].tolist() == ["angry", "sad"]


def test_no_target_is_made_up_for_an_utterance_without_votes() -> None:
    frame = soft(other=[1.0, 0.97, 0.5], sad=[0.0, 0.03, 0.5], happy=[0.0, 0.0, 0.0])
    frame["label"] = ["sad", "sad", "sad"]
    one = labels.load("iemocap6-soft")

    mapped, _ = one.apply(frame)

    assert mapped["id"].tolist() == ["2"]
    assert one.voteless(frame).tolist() == [True, True, False]
    assert one.counts(frame)["voteless"] == 2
    assert one.counts(frame)["threshold"] == 0.05


def test_rows_of_a_corpus_without_votes_are_not_lost_beside_one_with() -> None:
    frame = soft(sad=[0.9, float("nan")], happy=[0.1, float("nan")])
    frame["label"] = ["sad", "happy"]

    mapped, _ = labels.load("iemocap6-soft").apply(frame)

    assert mapped["label"].tolist() == ["sad", "happy"]


def test_hash_holds_the_threshold_and_is_what_it_was_without() -> None:
    plain = LabelMap("x", "", ("a", "b"))

    assert LabelMap("x", "", ("a", "b"), threshold=0.05).hash != plain.hash
    assert labels.load("ravdess8").hash.startswith(HASH_OF_RAVDESS8)


def test_several_corpora_are_counted_each_for_itself() -> None:
    frame = rows({"calm": 3, "happy": 2, "": 1})
    frame["corpus"] = ["a", "a", "b", "a", "b", "b"]

    told = labels.load("ekman6").counts(frame)

    assert set(told["corpora"]) == {"a", "b"}
    assert told["corpora"]["a"]["drop"] == {"calm": 2}
    assert told["corpora"]["b"]["after"]["happy"] == 1
    assert told["corpora"]["b"]["unlabelled"] == 1
    assert "corpora" not in labels.load("ekman6").counts(frame[frame["corpus"] == "a"])


def test_choice_names_the_maps_that_know_all_labels() -> None:
    assert "common4, common6" in labels.choice({"anger", "happy", "calm"})
    assert "iemocap4" not in labels.choice({"anger", "happy", "calm"})
    assert "No map knows all labels (bliss, happy)" in labels.choice({"happy", "bliss"})


def test_written_map_is_read_as_it_was(tmp_path: Path) -> None:
    one = LabelMap(
        'n"', 'a "title" – \\ 🙂', ("a b", "c"), {"d'": "c"}, ("é",), ("c", "a b"), 0.05
    )
    path = tmp_path / "x.toml"
    path.write_text(one.to_toml(), encoding="utf-8")

    told = _label_file.read(path)

    assert told["title"] == one.title
    assert (tuple(told["labels"]), told["merge"]) == (one.labels, one.merge)
    assert (tuple(told["drop"]), tuple(told["original"])) == (one.drop, one.original)
    assert told["threshold"] == one.threshold


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title = ", "cannot be read"),
        ('title = "x"', "no labels"),
        ('title = "x"\nlabels = ["a", "b"]\ntreshold = 0.1', "unknown key 'treshold'"),
        ('title = "x"\nlabels = ["a", "a"]', "labels names a twice"),
        ('title = "x"\nlabels = ["a", 1]', "labels is no list of words"),
        ('title = "x"\nlabels = ["a", "b"]\nthreshold = 5', "from 0 to below 0.5"),
        ('title = "x"\nlabels = ["a"]\ndrop = ["a"]', "both keeps and drops: a"),
        ('title = "x"\nlabels = ["a"]\n[merge]\nb = "c"', "does not have: c"),
        ('title = "x"\nlabels = ["a"]\noriginal = ["b"]', "out of original: a"),
        ('title = "x"\nlabels = ["a"]\ndrop = ["b"]\n[merge]\nb = "a"', "merges and"),
    ],
)
def test_map_that_makes_no_sense_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ManifestError, match=said) as caught:
        _label_file.read(path)

    assert "Mend the file" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_files_hold_no_key_that_is_not_read(name: str) -> None:
    told: dict[str, Any] = tomllib.loads((labels.FOLDER / f"{name}.toml").read_text())

    assert tomllib.loads(_label_file.text(told)) == told
