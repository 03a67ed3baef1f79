"""Label maps: contiguous, hashed, and nothing dropped or mapped in silence."""

import numpy as np
import pandas as pd
import pytest

from contracts import labels
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


def test_votes_are_merged_and_sum_to_one() -> None:
    frame = rows({"happy": 1, "": 2}).assign(
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
    assert (told["from_votes"], told["unlabelled"]) == (1, 1)


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
