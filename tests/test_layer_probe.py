"""``layer_probe``: the layer is chosen on training speakers, and every UAR is kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.cache import Cache
from contracts.errors import RunError
from contracts.feature import Block, FeatureSpec
from contracts.labels import LabelMap
from contracts.view import View
from models import layer_probe
from models.layer_probe import Head
from tests.synthetic import LABELS, make_cache, rows

TELLING = 2  # the layer that knows the labels


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> View:
    """Return a view with ``states``: four layers, one of which knows the labels.

    Its means know two labels from the other two, means and deviations know all four.
    """
    folder = tmp_path_factory.mktemp("probe") / "cache"
    frame = rows(8, per_label=3)
    cache = make_cache(folder, frame, n_layers=1)
    rng = np.random.default_rng(5)
    spec = FeatureSpec("states", {"toy": 1}, 12, layers=(0, 1, 2, 3), frame_shift=0.02)
    blocks = {}
    for key, label in zip(frame["waveform"], frame["label"], strict=True):
        number = LABELS.index(label)
        pooled = rng.standard_normal((4, 2, 12)).astype(np.float32)
        pooled[TELLING, 0] += 3 * (number % 2)
        pooled[TELLING, 1] += 3 * (number // 2)
        values = np.zeros((4, 2, 12), np.float32)
        blocks[key] = Block(values, pooled)
    with cache.lock():
        cache.store(spec).commit(blocks, {}, "cpu")
    whole = Cache(folder).view("toy")
    return whole.relabel(LabelMap("toy", "as they are", LABELS))


def probe(**settings: Any) -> Head:
    return Head(**{"features": ("states",), "strengths": (0.01, 0.1)} | settings)


def test_layer_that_knows_is_chosen_and_all_are_told(view: View) -> None:
    head = probe().fit(view)

    assert head.chosen_["layer"] == TELLING
    assert head.learnt_["layers"] == [0, 1, 2, 3]
    uar = np.array(head.learnt_["uar"])
    assert uar.shape == (4, 2)
    np.testing.assert_array_equal(head.learnt_["layer_uar"], uar.max(1))
    assert uar[TELLING].min() > uar[[0, 1, 3]].max()
    assert head.chosen_["C"] == (0.01, 0.1)[uar[TELLING].argmax()]
    assert head.learnt_["columns"] == {"states, mean of layers 2": 12}
    assert head.chosen_["C"] == head.estimator_.C


def test_deviations_are_taken_where_asked(view: View) -> None:
    number = np.array([int(s[-2:]) for s in view.speakers])
    train, test = view.take(number <= 6), view.take(number > 6)

    means, both = (probe(deviation=d).fit(train) for d in (False, True))

    assert both.learnt_["columns"] == {"states, mean and deviation of layers 2": 24}
    assert max(both.learnt_["layer_uar"]) > max(means.learnt_["layer_uar"]) + 0.2
    right = [(h.predict(test) == test.labels).mean() for h in (means, both)]
    assert right[1] > right[0] + 0.2


def test_layers_asked_for_are_the_candidates(view: View) -> None:
    assert probe(layers=[3, 1]).fit(view).learnt_["layers"] == [3, 1]
    assert probe(layers=[3]).fit(view).chosen_["layer"] == 3


def test_judged_speakers_are_in_no_fit_and_settle_no_scale(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = view.pooled("states", [TELLING])[:, 0, 0]
    who = {row.tobytes(): s for row, s in zip(X, view.speakers, strict=True)}
    seen: list[set[str]] = []
    kept = layer_probe.spread

    def spy(rows_seen: Any) -> Any:
        seen.append({who[row.tobytes()] for row in rows_seen})
        return kept(rows_seen)

    monkeypatch.setattr(layer_probe, "spread", spy)
    splits = layer_probe.speaker_splits(view, "layer_probe")
    probe(layers=[TELLING]).fit(view)

    assert len(seen) == len(splits) == 5
    for rest, (_, part) in zip(seen, splits, strict=True):
        assert not rest & set(view.speakers[part])


def test_comparing_loosely_gives_what_scikit_learn_gives_strictly(view: View) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    head = probe().fit(view)

    for i, layer in enumerate(head.learnt_["layers"]):
        X = view.pooled("states", [layer])[:, 0, 0].astype(np.float64)
        for k, strength in enumerate(head.strengths):
            model = LogisticRegression(C=strength, class_weight="balanced", tol=1e-8)
            told = cross_val_predict(
                make_pipeline(StandardScaler(), model),
                *(X, view.y),
                groups=view.speakers,
                cv=GroupKFold(5),
            )
            expected = balanced_accuracy_score(view.y, told)
            assert head.learnt_["uar"][i][k] == pytest.approx(expected, abs=0.03)


def test_saved_probe_reads_the_chosen_layer(view: View, tmp_path: Path) -> None:
    head = probe(deviation=True).fit(view)
    head.save(tmp_path)
    again = Head.load(tmp_path)

    assert again.get_params() == head.get_params()
    assert again.learnt_ == head.learnt_
    np.testing.assert_array_equal(again.predict_proba(view), head.predict_proba(view))


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        ({"strengths": ()}, "rising, such as --set strengths=0.01,0.1"),
        ({"strengths": (0.1, 0.01)}, "rising"),
        ({"strengths": (0.0, 0.01)}, "above 0"),
        ({"features": ("egemaps",)}, "expected one frame feature .* got egemaps"),
        ({"features": ("states", "wav2vec2")}, "got states, wav2vec2"),
        ({"layers": 6}, r"--set layers=\[6\]"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(
    view: View, bad: dict[str, Any], match: str
) -> None:
    with pytest.raises(RunError, match=match):
        probe(**bad).fit(view)


def test_one_speaker_is_too_few(view: View) -> None:
    with pytest.raises(RunError, match="layer_probe is judged on training speakers"):
        probe().fit(view.take(view.speakers == "toy/01"))
