"""One battery for every head: a new file in models/ is tested by being there."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score

from contracts import plugins
from contracts.cache import Cache
from contracts.errors import CacheError, EmocacheError, RunError
from contracts.feature import Block, FeatureSpec
from contracts.labels import LabelMap
from contracts.view import View
from models._tables import matrix
from models._training import TorchHead
from tests.synthetic import LABELS, make_cache, rows

NAMES = plugins.names("models")
# settings under which a head learns the synthetic cache in seconds
QUICK: dict[str, dict[str, Any]] = {
    "vgg": {"features": ("bands",), "lr": 5e-4, "max_epochs": 12, "batch_size": 4},
    # above .9 with each of six seeds; by 16 epochs two of them were at .65
    "fusion": {"lr": 1e-3, "max_epochs": 24, "batch_size": 4},
    "random_forest": {"n_estimators": 50},
    "xgb": {"n_estimators": 20},
    "decision_tree": {"features": ("bands",)},
    "layer_probe": {"features": ("bands",), "strengths": (0.01,)},
}
QUICK |= {
    "attention": {"max_epochs": 6, "batch_size": 4},
    "bilstm_attention": {"lr": 0.05, "max_epochs": 6, "batch_size": 4},
    "cnn_logmel": {"max_epochs": 8, "batch_size": 4, "time_shift": 0.05},
    "mlp": {"max_epochs": 8, "batch_size": 4},
    "multihead_attention": {"max_epochs": 6, "batch_size": 4},
    "multitask": {"max_epochs": 8, "batch_size": 4},
    "pepino": {"lr": 3e-3, "max_epochs": 6, "batch_size": 4},
    "pepino_fusion": {"lr": 3e-3, "max_epochs": 6, "batch_size": 4},
    "pepino_lstm": {"lr": 3e-3, "max_epochs": 6, "batch_size": 4},
    "pointwise": {"lr": 0.1, "max_epochs": 12, "batch_size": 4},
    "prosodic_attention": {"max_epochs": 6, "batch_size": 4},
    "superb": {"lr": 1e-2, "max_epochs": 8, "batch_size": 4},
}
LEARNERS = [name for name in NAMES if name != "prior"]
TORCH = [n for n in NAMES if issubclass(plugins.load("models", n).Head, TorchHead)]
Parts = tuple[View, View, View]
# how a missing feature is made: by us, or outside where we have no such feature
COMMAND = r"Run: python pipeline\.py (extract|external --from FILE) --corpus toy"


def head_of(name: str, **settings: Any) -> Any:
    """Return a head with settings under which it is quick."""
    return plugins.load("models", name).Head(**QUICK.get(name, {}) | settings)


def parts_of(view: View, name: str) -> Parts:
    """Cut a view into train, dev and test by speakers: four, two and two.

    A head that trains by epochs learns from one of four takes, which is quicker.
    """
    number = np.array([int(s.rpartition("/")[2]) for s in view.speakers])
    few = plugins.load("models", name).Head.needs_dev
    taken = (view.manifest["sentence"] == "toy/0").to_numpy() | (not few)
    dev = (number > 4) & (number <= 6)
    return (
        view.take((number <= 4) & taken),
        view.take(dev & taken),
        view.take(number > 6),
    )


def short(name: str) -> dict[str, int]:
    """Return settings that train a head for one epoch, if it has epochs."""
    return {"max_epochs": 1} if plugins.load("models", name).Head.needs_dev else {}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Keep small networks from waiting for threads on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def put_bands(cache: Cache, frame: pd.DataFrame) -> None:
    """Add the feature ``bands``: each label lifts a quarter of the channels.

    The labels of ``wav2vec2`` in the synthetic cache are a comb that is shifted by a
    channel, which convolutions and poolings over channels hardly tell apart.
    """
    draw, blocks = np.random.default_rng(3), {}
    spec = FeatureSpec("bands", {"toy": 1}, 96, layers=(0, 1), dtype="float16")
    for key, label in zip(frame["waveform"], frame["label"], strict=True):
        first = 24 * LABELS.index(label)
        values = draw.standard_normal((2, int(draw.integers(20, 100)), 96))
        values[:, :, first : first + 24] += 2
        pooled = np.stack([values.mean(1), values.std(1)], axis=1)
        blocks[key] = Block(values.astype(np.float16), pooled.astype(np.float32))
    with cache.lock():
        cache.store(spec).commit(blocks, {}, "cpu")


def put_frames(cache: Cache, frame: pd.DataFrame) -> None:
    """Add ``logmel`` and ``egemaps_lld_20ms``, with the frames of ``wav2vec2``.

    Labels lift a part of the bands, or of the descriptors, a little.
    """
    draw = np.random.default_rng(4)
    lengths = Cache(cache.folder).view("toy").n_frames("wav2vec2")
    for name, width in (("logmel", 32), ("egemaps_lld_20ms", 24)):
        spec, blocks = FeatureSpec(name, {"toy": 1}, width, layers=(0,)), {}
        part = width // len(LABELS)
        keys = zip(frame["waveform"], frame["label"], lengths, strict=True)
        for key, label, n in keys:
            first = part * LABELS.index(label)
            values = draw.standard_normal((1, n, width)).astype(np.float32)
            values[:, :, first : first + part] += 2
            pooled = np.stack([values.mean(1), values.std(1)], axis=1)
            blocks[key] = Block(values, pooled)
        with cache.lock():
            cache.store(spec).commit(blocks, {}, "cpu")


def labelled(cache: Cache) -> View:
    """Return all utterances of a cache with the labels of the synthetic corpus."""
    view = cache.view("toy")
    return view.relabel(LabelMap("toy", "as they are", LABELS))


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> View:
    """Return a view of a small synthetic cache, with votes and traits."""
    frame = rows(8, per_label=4, votes=True)
    lies = {label: float(i) for i, label in enumerate(LABELS)}
    frame["trait:valence"] = frame["label"].map(lies)  # so it can be heard
    folder = tmp_path_factory.mktemp("models") / "cache"
    cache = make_cache(folder, frame, n_layers=1)
    put_bands(cache, frame)
    put_frames(cache, frame)
    return labelled(Cache(folder))


@pytest.fixture(scope="module")
def fitted(view: View) -> Callable[[str], Any]:
    """Return a function that fits a head once on train and keeps it."""
    kept: dict[str, Any] = {}

    def fit(name: str) -> Any:
        if name not in kept:
            train, dev, _ = parts_of(view, name)
            kept[name] = head_of(name).fit(train, dev)
        return kept[name]

    return fit


def uar(head: Any, test: View) -> float:
    """Return UAR on a view."""
    guess = head.predict_proba(test).argmax(axis=1)
    return float(balanced_accuracy_score(test.y, guess))


@pytest.mark.parametrize("name", NAMES)
def test_head_is_a_scikit_learn_estimator(name: str) -> None:
    head = plugins.load("models", name).Head()
    copy = clone(head)

    assert copy.get_params() == head.get_params()
    assert copy.set_params(features=("mfcc",)).features == ("mfcc",)
    assert type(head).features == head.features
    assert isinstance(head.needs_dev, bool)
    assert vars(head).keys() == head.get_params().keys()


@pytest.mark.parametrize("name", TORCH)
def test_every_default_is_declared_where_it_is_seen(name: str) -> None:
    # a subclass that forgets the decorator would take its parent's defaults
    kind = plugins.load("models", name).Head
    told = kind().get_params()

    assert {key: getattr(kind, key) for key in told} == told
    assert isinstance(plugins.load("models", name).PUBLISHED, tuple)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_gives_same_probabilities(name: str, view: View) -> None:
    train, dev, test = parts_of(view, name)

    once, again = (
        head_of(name, **short(name)).fit(train, dev).predict_proba(test)
        for _ in range(2)
    )

    np.testing.assert_array_equal(once, again)


@pytest.mark.parametrize("name", NAMES)
def test_rows_sum_to_one_and_columns_are_the_classes(
    name: str, view: View, fitted: Callable[[str], Any]
) -> None:
    test = parts_of(view, name)[2]
    head = fitted(name)
    probabilities = head.predict_proba(test)

    assert probabilities.dtype == np.float64
    assert probabilities.shape == (len(test), len(LABELS))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)
    assert list(head.classes_) == list(LABELS)
    assert set(head.predict(test)) <= set(LABELS)
    assert head.predict_proba(test.take([])).shape == (0, len(LABELS))


@pytest.mark.parametrize("name", NAMES)
def test_class_that_train_lacks_keeps_its_column(name: str, view: View) -> None:
    train, dev, test = (
        part.take(part.labels != "happy") for part in parts_of(view, name)
    )
    head = head_of(name, **short(name)).fit(train, dev)
    probabilities = head.predict_proba(test)

    assert list(head.classes_) == list(LABELS)
    assert probabilities.shape == (len(test), len(LABELS))
    if not head.needs_dev:
        assert probabilities[:, LABELS.index("happy")].max() == 0
    if name in LEARNERS and not head.needs_dev:
        assert uar(head, test) > 0.8


@pytest.mark.parametrize("name", LEARNERS)
def test_head_learns_what_can_be_learnt(
    name: str, view: View, fitted: Callable[[str], Any]
) -> None:
    head = fitted(name)

    assert uar(head, parts_of(view, name)[2]) > 0.8
    if head.needs_dev:
        keys = {"epoch", "train_loss", "dev_loss", "dev_uar", "seconds"}
        assert all(entry.keys() == keys for entry in head.history_)
        losses = [entry["dev_loss"] for entry in head.history_]
        assert head.learnt_["best_epoch"] == 1 + int(np.argmin(losses))


def test_prior_is_at_chance(view: View, fitted: Callable[[str], Any]) -> None:
    assert uar(fitted("prior"), parts_of(view, "prior")[2]) == 1 / len(LABELS)


@pytest.mark.parametrize(
    ("name", "draws"),
    [
        *((n, 1 if n in ("vgg", "fusion") else 6) for n in LEARNERS),
        *(pytest.param(n, 6, marks=pytest.mark.slow) for n in ("vgg", "fusion")),
    ],
)
def test_permuted_labels_are_not_learnt(name: str, draws: int, view: View) -> None:
    found, n_test = [], 0
    for draw in range(draws):
        permuted = np.random.default_rng(draw).permutation(view.labels)
        shuffled = View(
            view.cache, view.manifest.assign(label=permuted), view.cards, view.classes
        )
        train, dev, _ = parts_of(shuffled, name)
        rest = shuffled.take(~np.isin(shuffled.ids, [*train.ids, *dev.ids]))
        found.append(uar(head_of(name).fit(train, dev), rest))
        n_test += len(rest)

    # labels are drawn whatever is predicted: 3.5 deviations of chance
    share = 1 / len(LABELS)
    assert abs(np.mean(found) - share) < 3.5 * np.sqrt(share * (1 - share) / n_test)


@pytest.mark.parametrize("name", NAMES)
def test_prediction_ignores_neighbours(
    name: str, view: View, fitted: Callable[[str], Any]
) -> None:
    test, head = parts_of(view, name)[2], fitted(name)
    together = head.predict_proba(test)

    alone = np.concatenate(
        [head.predict_proba(test.take([i])) for i in range(len(test))]
    )

    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", LEARNERS)
def test_missing_feature_names_the_command(
    name: str, view: View, fitted: Callable[[str], Any], tmp_path: Path
) -> None:
    for missing in head_of(name).features:
        own = missing.partition(":")[0]
        folder = shutil.copytree(view.cache.folder, tmp_path / own)
        for store in folder.glob(f"features/{own}@*"):
            shutil.rmtree(store)
        bare = labelled(Cache(folder))
        train, dev, test = parts_of(bare, name)
        words = rf"has no {own} .*{COMMAND}"

        with pytest.raises(CacheError, match=words):
            head_of(name).fit(train, dev)
        with pytest.raises(CacheError, match=words):
            fitted(name).predict_proba(test)


@pytest.mark.parametrize("name", NAMES)
def test_saved_head_gives_equal_probabilities(
    name: str, view: View, fitted: Callable[[str], Any], tmp_path: Path
) -> None:
    test, head = parts_of(view, name)[2], fitted(name)
    expected = head.predict_proba(test)

    head.save(tmp_path / "model")
    again = type(head).load(tmp_path / "model")

    np.testing.assert_array_equal(again.predict_proba(test), expected)
    assert again.get_params() == head.get_params()
    assert again.learnt_ == head.learnt_
    assert list(again.classes_) == list(head.classes_)


@pytest.mark.parametrize("name", NAMES)
def test_no_pickle_is_written(
    name: str, fitted: Callable[[str], Any], tmp_path: Path
) -> None:
    fitted(name).save(tmp_path / "model")
    written = list((tmp_path / "model").iterdir())

    assert written
    for path in written:
        assert path.suffix in {".json", ".safetensors", ".skops", ".ubj"}
        assert b"\x80\x04\x95" not in path.read_bytes()[:4096]  # a pickle's first bytes


@pytest.mark.parametrize("name", NAMES)
def test_draws_of_others_are_left_alone(name: str, view: View, tmp_path: Path) -> None:
    train, dev, test = parts_of(view, name)
    old: Any = np.random.get_state()  # noqa: NPY002 - the one others may draw from
    before = torch.get_rng_state()

    head = head_of(name, **short(name)).fit(train, dev)
    head.predict_proba(test)
    head.save(tmp_path / "model")
    type(head).load(tmp_path / "model")

    new: Any = np.random.get_state()  # noqa: NPY002
    assert new[2:] == old[2:]
    np.testing.assert_array_equal(new[1], old[1])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", NAMES)
def test_unlabelled_utterances_are_refused(name: str, view: View) -> None:
    train, dev, _ = parts_of(view, name)
    blank = train.manifest["label"].where(np.arange(len(train)) > 1, "")
    unknown = View(
        train.cache, train.manifest.assign(label=blank), train.cards, train.classes
    )

    with pytest.raises(RunError, match="train holds 2 unlabelled utterances"):
        head_of(name).fit(unknown, dev)


@pytest.mark.parametrize("name", NAMES)
def test_development_speakers_are_asked_for_where_needed(name: str, view: View) -> None:
    train, _, test = parts_of(view, name)
    head = head_of(name)
    if head.needs_dev:
        for dev in (None, test.take([])):
            with pytest.raises(RunError, match="needs development speakers"):
                head.fit(train, dev)
    else:
        assert len(head.fit(train).predict_proba(test)) == len(test)


@pytest.mark.parametrize("name", LEARNERS)
def test_other_columns_than_fitted_are_refused(
    name: str, view: View, fitted: Callable[[str], Any], tmp_path: Path
) -> None:
    fitted(name).save(tmp_path / "model")
    head = type(fitted(name)).load(tmp_path / "model")
    wide = make_cache(tmp_path / "wide", rows(1), n_layers=1, width=100).view("toy")
    kinds = {"egemaps": "mfcc"} | dict.fromkeys(
        ("bands", "logmel", "egemaps_lld_20ms"), "wav2vec2"
    )
    head.set_params(features=tuple(kinds.get(f, f) for f in head.features))

    with pytest.raises(EmocacheError, match="was fitted on"):
        head.predict_proba(wide)


def test_table_and_pooled_frames_lie_side_by_side(view: View) -> None:
    X = matrix(view, ("mfcc:mean", "wav2vec2"), layers=[0])

    np.testing.assert_array_equal(X[:, :40], view.table("mfcc:mean"))
    np.testing.assert_array_equal(X[:, 40:], view.pooled("wav2vec2", [0])[:, 0, 0])


OPTIONS: dict[str, dict[str, Any]] = {
    "votes": {"targets": "soft"},
    "smoothed": {"label_smoothing": 0.2},
    "balanced weights": {"class_weight": "balanced"},
    "effective number": {"class_weight": "effective"},
    "balanced draws": {"sampling": "balanced"},
    "normalised": {"normalise": "global"},
    "normalised by speaker": {"normalise": "speaker"},
    "normalised by utterance": {"normalise": "utterance"},
    "silenced": {"feature_dropout": 0.3},
    "masked": {"time_mask": 0.5},
}
LATER = dict.fromkeys(("vgg", "fusion"), set(OPTIONS) - {"votes", "normalised"})


@pytest.fixture(scope="module")
def lopsided(view: View) -> Callable[[str], tuple[View, Any]]:
    """Return a function that gives few unbalanced utterances, and a plain head."""
    kept: dict[str, Any] = {}

    def fit(name: str) -> tuple[View, Any]:
        train, dev, _ = parts_of(view, name)
        few = train.take((train.labels != "sad") | (np.arange(len(train)) > 12))
        if name not in kept:
            plain = head_of(name, **PLAIN).fit(few.take(range(7)), dev.take(range(4)))
            kept[name] = few, plain.history_
        return kept[name]

    return fit


# no option set, of those that a recipe sets; three batches, so that the first matters
PLAIN = {
    "max_epochs": 2,
    "batch_size": 3,
    "label_smoothing": 0.0,
    "class_weight": None,
    "normalise": None,
    "time_mask": 0.0,
}


@pytest.mark.parametrize(
    ("name", "option"),
    [
        # what all heads have from the same place, the slow ones show twice
        pytest.param(n, o, marks=[pytest.mark.slow] if o in LATER.get(n, ()) else [])
        for n in TORCH
        for o in OPTIONS
    ],
)
def test_option_is_followed_by_every_torch_head(
    name: str,
    option: str,
    view: View,
    lopsided: Callable[[str], tuple[View, Any]],
    tmp_path: Path,
) -> None:
    few, history = lopsided(name)
    dev = parts_of(view, name)[1].take(range(4))
    head = head_of(name, **PLAIN | OPTIONS[option]).fit(few.take(range(7)), dev)
    probabilities = head.predict_proba(dev)
    head.save(tmp_path)

    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert head.history_[-1]["train_loss"] != history[-1]["train_loss"]
    np.testing.assert_array_equal(
        type(head).load(tmp_path).predict_proba(dev), probabilities
    )
    assert ("transductive" in head.learnt_.get("warning", "")) is (
        option == "normalised by speaker"
    )


def test_forest_file_with_other_types_is_refused(
    fitted: Callable[[str], Any], tmp_path: Path
) -> None:
    from skops import io

    fitted("random_forest").save(tmp_path)
    io.dump({"x": Path("/")}, tmp_path / "estimator.skops")

    with pytest.raises(RunError, match="is not trusted: expected no types but"):
        type(fitted("random_forest")).load(tmp_path)


def test_patience_ends_a_fit_and_the_best_epoch_is_kept(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, dev, _ = parts_of(view, "vgg")
    head = head_of("vgg", max_epochs=9, patience=2)
    losses, weights = iter([3.0, 1.0, 2.0, 1.5, 0.5]), []

    def judge(_: Any) -> tuple[float, float]:
        weights.append(head.network_.out.weight.detach().clone())
        return next(losses), 0.25

    monkeypatch.setattr(head, "_judge", judge)
    head.fit(train, dev)

    assert [entry["dev_loss"] for entry in head.history_] == [3.0, 1.0, 2.0, 1.5]
    assert head.learnt_["best_epoch"] == 2
    assert torch.equal(head.network_.out.weight, weights[1])
    assert not torch.equal(weights[1], weights[3])


def test_loss_that_is_no_number_ends_a_fit(view: View) -> None:
    train, dev, _ = parts_of(view, "vgg")

    with pytest.raises(RunError, match="vgg diverged in epoch 1: .* smaller lr"):
        head_of("vgg", lr=1e30, clip_norm=None).fit(train, dev)


def test_functionals_are_standardised_by_train_alone(
    view: View, fitted: Callable[[str], Any]
) -> None:
    table = parts_of(view, "fusion")[0].table("egemaps").astype(np.float64)
    head = fitted("fusion")

    np.testing.assert_allclose(head.arrays_["mean"], table.mean(axis=0))
    np.testing.assert_allclose(head.arrays_["scale"], table.std(axis=0))
    np.testing.assert_allclose(head.arrays_["median"], np.median(table, axis=0))


@pytest.mark.parametrize(
    "bad",
    [
        {"batch_size": 0},
        {"max_epochs": 0},
        {"patience": 0},
        {"lr": 0.0},
        {"clip_norm": -1.0},
        {"weight_decay": -1.0},
        {"time_mask": 1.0},
        {"feature_dropout": -0.1},
        {"label_smoothing": 1.5},
        {"class_weight": "x"},
        {"sampling": "x"},
        {"targets": "x"},
        {"normalise": "x"},
        {"device": "tpu"},
    ],
)
def test_settings_that_cannot_work_are_refused(bad: dict[str, Any], view: View) -> None:
    train, dev, _ = parts_of(view, "vgg")

    with pytest.raises(RunError, match="expected"):
        head_of("vgg", **bad).fit(train, dev)


def test_kept_memory_goes_back_before_it_is_too_much() -> None:
    # in a process of its own: what is kept is a matter of the whole process
    code = """
import torch
from pathlib import Path
from contracts import memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20
memory._KEPT = 0.0
memory.keep_pages()
block = torch.ones(2**27)  # half a GiB
full = resident()
del block
kept = resident()
memory.give_back()
print(full - kept < 100, kept - resident() > 400)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "True True\n"
