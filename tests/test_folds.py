"""Folds that cannot leak, and the protocols that build them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.cache import Cache
from contracts.errors import ManifestError, PluginError
from contracts.manifest import Manifest, card, complete
from contracts.view import View
from evaluation.splits import protocols
from evaluation.splits.folds import Fold, table
from tests import synthetic


def view_of(**columns: list[str]) -> View:
    """Return a view with one row per value, ids and waveforms of their own."""
    import pandas as pd

    frame = pd.DataFrame(columns)
    n = len(frame)
    facts = {
        "id": [f"t/{i}" for i in range(n)],
        "waveform": [f"w{i}" for i in range(n)],
    }
    rows = complete(pd.DataFrame(facts | {"corpus": "t"} | columns))
    return View(Cache("nowhere"), rows, {"t": {}}, classes=("a",))


def rows(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_fold_refuses_shared_speaker() -> None:
    view = view_of(speaker=["t/1", "t/1", "t/2"])

    with pytest.raises(ManifestError, match=r"must not share a speaker.*'t/1'"):
        Fold(0, "x", view, rows(0), rows(), rows(1, 2))
    with pytest.raises(ManifestError, match="share a speaker"):
        Fold(0, "x", view, rows(0), rows(1), rows(2))


def test_fold_refuses_waveform_under_two_speakers_and_names_the_rows() -> None:
    view = view_of(speaker=["t/1", "t/2", "t/3"], waveform=["w", "w", "v"])

    with pytest.raises(
        ManifestError, match=r"share a waveform.*t/0 \(speaker t/1\), t/1"
    ):
        Fold(0, "x", view, rows(0), rows(), rows(1, 2))
    with pytest.raises(ManifestError, match="--drop-duplicates"):
        Fold(0, "x", view, rows(0), rows(1), rows(2))
    Fold(0, "x", view, rows(0, 1), rows(), rows(2))


def test_fold_refuses_a_variant_away_from_its_source() -> None:
    view = view_of(speaker=["t/1", "", "t/3"], source=["", "t/0", ""])

    with pytest.raises(ManifestError, match="share a source"):
        Fold(0, "x", view, rows(0), rows(), rows(1, 2))


@pytest.mark.parametrize(("train", "test"), [((), (1,)), ((0,), ())])
def test_fold_refuses_empty_train_or_test(train: tuple[int], test: tuple[int]) -> None:
    view = view_of(speaker=["t/1", "t/2"])

    with pytest.raises(ManifestError, match="has no (train|test) utterances"):
        Fold(0, "x", view, rows(*train), rows(), rows(*test))


def test_fold_refuses_an_utterance_twice() -> None:
    view = view_of(speaker=["t/1", "t/2"])

    with pytest.raises(ManifestError, match="in two parts"):
        Fold(0, "x", view, rows(0), rows(), rows(0, 1), breaks=("speaker",))


def test_only_what_is_declared_may_be_broken() -> None:
    view = view_of(speaker=["t/1", "t/1"], waveform=["w", "w"])

    with pytest.raises(ManifestError, match="share a waveform"):
        Fold(0, "x", view, rows(0), rows(), rows(1), breaks=("speaker",))
    Fold(0, "x", view, rows(0), rows(), rows(1), breaks=("speaker", "waveform"))


def ravdess_view(tmp_path: Path, n_speakers: int = 24) -> View:
    frame = synthetic.rows(n_speakers, corpus="ravdess")
    cache = Cache(tmp_path)
    told = card(synthetic.CORPUS, protocol="ravdess-luna5")
    cache.put_manifest(Manifest("ravdess", frame, told))
    return cache.view("ravdess")


def test_luna_folds_are_the_published_ones(tmp_path: Path) -> None:
    view = ravdess_view(tmp_path)

    folds = protocols.folds(protocols.get("ravdess-luna5"), view)

    told = [sorted(int(s[-2:]) for s in f.facts["test_speakers"]) for f in folds]
    assert told == [
        [2, 5, 14, 15, 16],
        [3, 6, 7, 13, 18],
        [10, 11, 12, 19, 20],
        [8, 17, 21, 23, 24],
        [1, 4, 9, 22],
    ]
    for fold in folds:
        dev = [int(s[-2:]) for s in fold.facts["dev_speakers"]]
        assert sorted(d % 2 for d in dev) == [0, 0, 1, 1], "not balanced by sex"


def test_20_2_2_is_as_published(tmp_path: Path) -> None:
    (fold,) = protocols.folds(protocols.get("ravdess-20-2-2"), ravdess_view(tmp_path))

    assert fold.facts["dev_speakers"] == ["ravdess/21", "ravdess/22"]
    assert fold.facts["test_speakers"] == ["ravdess/23", "ravdess/24"]
    assert len(fold.facts["train_speakers"]) == 20


def test_sessions_leave_one_out_and_never_train_on_its_speakers() -> None:
    view = view_of(
        speaker=["t/1", "t/2", "t/3", "t/4", "t/1"],
        session=["t/A", "t/A", "t/B", "t/C", "t/B"],
    )

    folds = protocols.folds(protocols.get("sessions"), view)

    assert [f.name for f in folds] == ["session t/A", "session t/B", "session t/C"]
    assert folds[0].facts["n_unused"] == 1  # speaker 1 in session B
    assert "t/1" not in folds[0].facts["train_speakers"]


def test_unknown_speakers_are_refused_and_counted() -> None:
    view = view_of(speaker=["t/1", "", "t/2", "", "t/3"])

    placed, refused = protocols.placeable(protocols.get("loso"), view)

    assert len(placed) == 3
    assert refused == [("speaker unknown", 2)]
    with pytest.raises(ManifestError, match="can place no utterance of t: 2 session"):
        protocols.placeable(protocols.get("sessions"), view.take([0, 2]))


def test_defaults_follow_partition_then_number_of_speakers(tmp_path: Path) -> None:
    assert protocols.default(ravdess_view(tmp_path)) == "ravdess-luna5"
    few = view_of(speaker=[f"t/{i}" for i in range(9)])
    many = view_of(speaker=[f"t/{i}" for i in range(10)])
    given_ = view_of(speaker=["t/1", "t/2"], split=["train", "test"])
    assert protocols.default(few) == "loso"
    assert protocols.default(many) == "speakers-5fold"
    assert protocols.default(given_) == "predefined"


def test_protocol_for_another_corpus_and_unknown_names_are_refused() -> None:
    view = view_of(speaker=["t/1", "t/2"])

    with pytest.raises(ManifestError, match="is for corpus ravdess, got t"):
        protocols.placeable(protocols.get("ravdess-luna5"), view)
    with pytest.raises(
        PluginError, match="unknown protocols: 'los'.*Did you mean 'loso'"
    ):
        protocols.get("los")
    with pytest.raises(ManifestError, match="has no fold 7, expected some of 0 to 1"):
        protocols.folds(protocols.get("loso"), view, [0, 7])


@settings(max_examples=60, deadline=None)
@given(
    speakers=st.lists(st.integers(1, 14), min_size=12, max_size=60),
    data=st.data(),
)
def test_whatever_the_speakers_no_fold_shares_one(
    speakers: list[int], data: st.DataObject
) -> None:
    sex = data.draw(st.lists(st.sampled_from(["male", "female", ""]), min_size=15))
    view = view_of(speaker=[f"t/{s}" for s in speakers], sex=[sex[s] for s in speakers])
    n = len(set(speakers))
    for name in ("loso", "speakers-5fold"):
        if n < (2 if name == "loso" else 5):
            with pytest.raises(ManifestError, match="has no (train|test) utterances"):
                protocols.folds(protocols.get(name), view)
            continue
        folds = protocols.folds(protocols.get(name), view)
        for fold in folds:
            used = np.concatenate([fold.train, fold.dev, fold.test])
            assert sorted(used) == list(range(len(view)))
            held = [
                set(view.speakers[getattr(fold, p)]) for p in ("train", "dev", "test")
            ]
            assert not (held[0] & held[1] or held[0] & held[2] or held[1] & held[2])
            assert held[1] or n < 3


def test_table_lists_every_utterance_of_every_fold(tmp_path: Path) -> None:
    view = ravdess_view(tmp_path, 4)

    listed = table(protocols.folds(protocols.get("loso"), view))

    assert len(listed) == 4 * len(view)
    assert (listed.groupby("fold")["part"].value_counts()[0]["test"]) == 8
