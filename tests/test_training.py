"""What torch heads share: losses, order, silencing, normalisation, the loop."""

import logging
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from contracts.errors import PluginError, RunError
from contracts.labels import LabelMap
from contracts.view import View
from evaluation import settings
from evaluation.experiment import run_head
from evaluation.question import ask
from evaluation.search import Search
from evaluation.tempering import After
from models import _losses, _training
from models._normalisation import norm_of_speakers, spread_of
from models._sampling import orders, without_channels, without_run
from tests.synthetic import LABELS, make_cache, rows


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> View:
    """Return a labelled view of a small cache with votes."""
    folder = tmp_path_factory.mktemp("training") / "cache"
    cache = make_cache(folder, rows(4, votes=True), n_layers=2, width=12)
    return cache.view("toy").relabel(LabelMap("toy", "as they are", LABELS))


def changed(view: View, **columns: Any) -> View:
    """Return a view with other columns in its manifest."""
    names = {k.replace("_", ":", 1): v for k, v in columns.items()}
    rows = view.manifest.assign(**names)
    return View(view.cache, rows, view.cards, view.classes)


def head_of(name: str = "superb", **told: Any) -> Any:
    """Return a quick torch head."""
    quick = {"max_epochs": 2, "batch_size": 5, "lr": 1e-2}
    return settings.head_class(name)(**quick | told)


def parts(view: View) -> tuple[View, View]:
    """Return three speakers to learn from and one for development."""
    dev = view.speakers == "toy/04"
    return view.take(~dev), view.take(dev)


def test_loss_of_labels_is_cross_entropy() -> None:
    logits, y = torch.randn(6, 4), torch.tensor([0, 3, 1, 1, 2, 0])
    weight = torch.tensor([1.0, 2.0, 0.5, 3.0])

    got = _losses.loss(logits, y, weight, 0.1)

    torch.testing.assert_close(
        got, F.cross_entropy(logits, y, weight, label_smoothing=0.1)
    )


def test_loss_of_shares_is_the_divergence_from_them() -> None:
    logits = torch.randn(5, 3, dtype=torch.float64)
    shares = torch.tensor([[0.5, 0.5, 0], [1, 0, 0], [0.2, 0.3, 0.5]] + [[0, 0, 1]] * 2)
    shares = shares.double()
    weight = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    p, log_q = shares.numpy(), logits.log_softmax(1).numpy()
    each = np.where(p > 0, p * (np.log(np.where(p > 0, p, 1)) - log_q), 0)

    assert float(_losses.loss(logits, shares)) == pytest.approx(each.sum() / 5)
    expected = (each * weight.numpy()).sum() / (p * weight.numpy()).sum()
    assert float(_losses.loss(logits, shares, weight)) == pytest.approx(expected)
    assert float(_losses.loss(shares.log().clamp_min(-700), shares)) == pytest.approx(
        0, abs=1e-7
    )


def test_gradient_of_one_hot_shares_is_that_of_labels() -> None:
    y, weight = torch.tensor([0, 2, 1, 1]), torch.tensor([1.0, 2.0, 0.5])
    grads = []
    for truth in (y, torch.eye(3)[y]):
        logits = torch.arange(12.0).reshape(4, 3).sin().requires_grad_()
        _losses.loss(logits, truth, weight, 0.0).backward()
        grads.append(logits.grad)

    torch.testing.assert_close(grads[0], grads[1])


def test_class_weights_come_from_counts() -> None:
    y = np.array([0, 0, 0, 1, 2, 2, -1, 0])  # class 3 is not there

    balanced = _losses.class_weights(y, 4, "balanced")
    effective = _losses.class_weights(y, 4, "effective")

    assert balanced is not None and effective is not None
    np.testing.assert_allclose(balanced.numpy(), [7 / 12, 7 / 3, 7 / 6, 0])
    inverse = np.array([(1 - 0.999) / (1 - 0.999**n) for n in (4, 1, 2)])
    inverse *= 3 / inverse.sum()
    np.testing.assert_allclose(effective.numpy(), [*inverse, 0], rtol=1e-6)
    assert _losses.class_weights(y, 4, None) is None


def test_utterance_without_votes_is_its_label(view: View) -> None:
    few = view.take(range(4))
    voted = changed(few, vote_happy=[0.6, 0.0, 0.0, np.nan])
    for label in ("neutral", "sad", "angry"):
        told = [0.2, 0.0, 1.0, np.nan] if label == "neutral" else [0.0, 0.0, 0.0, 0.0]
        voted = changed(voted, **{f"vote_{label}": told})

    shares, without = _losses.shares(voted, "train")

    assert without == 2  # none at all, and not known
    np.testing.assert_allclose(shares[0], [0.25, 0.75, 0, 0])
    np.testing.assert_allclose(shares[1], np.eye(4)[few.y[1]])
    np.testing.assert_allclose(shares[2], [1, 0, 0, 0])
    np.testing.assert_allclose(shares[3], np.eye(4)[few.y[3]])


def test_soft_targets_without_any_votes_are_refused(view: View) -> None:
    bare = View(
        view.cache,
        view.manifest.drop(columns=[f"vote:{c}" for c in LABELS]),
        view.cards,
        view.classes,
    )

    with pytest.raises(RunError, match="train has no votes: .* Choose targets=hard"):
        head_of(targets="soft").fit(*parts(bare))


def test_soft_targets_are_learnt(view: View) -> None:
    # all raters agree half with neutral: no head may be sure
    even = np.full(len(view), 0.5)
    told = {f"vote_{c}": even * (view.labels == c) for c in LABELS}
    told["vote_neutral"] = told["vote_neutral"] + even
    train, dev = parts(changed(view, **told))

    soft = head_of(targets="soft", max_epochs=60).fit(train, dev)
    hard = head_of(max_epochs=60).fit(train, dev)

    assert soft.learnt_["without_votes"] == 0
    happy = dev.take(dev.labels == "happy")
    np.testing.assert_allclose(soft.predict_proba(happy)[:, :2], 0.5, atol=0.1)
    assert hard.predict_proba(happy)[:, 1].min() > 0.8


def test_concordance_falls_with_scale_and_shift() -> None:
    x = torch.randn(50, dtype=torch.float64)

    assert float(_losses.concordance(x, x)) == pytest.approx(1)
    assert float(_losses.concordance(-x, x - 2 * x.mean())) < 0
    a, b = (2 * x + 3).numpy(), x.numpy()
    expected = 2 * np.cov(a, b, ddof=0)[0, 1]
    expected /= a.var() + b.var() + (a.mean() - b.mean()) ** 2
    assert float(_losses.concordance(2 * x + 3, x)) == pytest.approx(expected)
    assert float(_losses.concordance(torch.ones(3), torch.ones(3))) == 0


def test_order_takes_each_utterance_once() -> None:
    y = np.array([0] * 90 + [1] * 10)
    plain = orders(y, None, seed=3)
    first, second = next(plain), next(plain)

    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert first == next(orders(y, None, seed=3))
    assert first != next(orders(y, None, seed=4))


def test_balanced_draws_take_each_class_as_often() -> None:
    y = np.array([0] * 900 + [1] * 100)
    drawn = next(orders(y, "balanced", seed=0))

    assert len(drawn) == 1000
    assert 0.42 < np.mean(y[drawn] == 1) < 0.58


def test_silenced_channels_are_silent_in_all_frames() -> None:
    maps = torch.ones(50, 2, 5, 40)
    out = without_channels(maps, 0.25, np.random.default_rng(0))

    assert torch.equal(out, out[:, :1, :1].expand_as(out))
    assert out.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert 0.2 < float((out == 0).float().mean()) < 0.3
    assert float(maps.min()) == 1  # what was handed over is as it was


def test_silenced_run_is_one_run_of_own_frames() -> None:
    maps, lengths = torch.ones(200, 1, 30, 2), torch.full((200,), 20)
    out = without_run(maps, lengths, 0.5, np.random.default_rng(0))

    silent = out[:, 0, :, 0] == 0
    assert not silent[:, 20:].any()
    sizes = silent.sum(dim=1)
    assert sizes.min() == 0
    assert sizes.max() == 10
    edges = (silent[:, 1:] != silent[:, :-1]).sum(dim=1) + silent[:, 0].long()
    assert edges.max() <= 2
    assert float(maps.min()) == 1


def frames_of(view: View, layers: list[int]) -> np.ndarray:
    """Return all frames of a view side by side ``(layer, channel, frame)``."""
    read = [view.frames("wav2vec2", i, layers) for i in range(len(view))]
    return np.concatenate(read, axis=2).astype(np.float64)


def test_global_norm_is_that_of_all_frames_of_train_alone(view: View) -> None:
    train, dev = parts(view)
    head = head_of("pepino", normalise="global").fit(train, dev)

    frames = frames_of(train, [0, 1, 2])
    np.testing.assert_allclose(head.arrays_["mean 0"], frames.mean(2), atol=2e-3)
    np.testing.assert_allclose(head.arrays_["scale 0"], frames.std(2), atol=2e-3)
    maps, lengths = head.reader(train)(range(len(train)))
    own = [m[:, :n] for m, n in zip(maps, lengths.tolist(), strict=True)]
    assert float(torch.cat(own, dim=1).mean(1).abs().max()) < 2e-3
    assert float((torch.cat(own, dim=1).std(1) - 1).abs().max()) < 2e-3


def test_speaker_norm_is_that_of_each_speakers_own_frames(view: View) -> None:
    norm = norm_of_speakers(view, "wav2vec2", [1], {})

    for speaker in dict.fromkeys(view.speakers):
        (mine,) = np.where(view.speakers == speaker)
        frames = frames_of(view.take(mine), [1])
        which = norm.group[mine]
        assert len(set(which.tolist())) == 1
        np.testing.assert_allclose(norm.mean[which[0]], frames.mean(2), atol=2e-3)
        np.testing.assert_allclose(norm.scale[which[0]], frames.std(2), atol=2e-3)


def test_utterance_without_a_number_does_not_enter_the_norm(view: View) -> None:
    pooled = view.pooled("wav2vec2", [1]).copy()
    expected = spread_of(view.take(range(1, len(view))), "wav2vec2", [1])
    pooled[0, 0, 0, 3] = np.nan

    class Broken(View):
        def pooled(self, *_: Any) -> Any:
            return pooled

    broken = Broken(view.cache, view.manifest, view.cards, view.classes)
    mean, scale = spread_of(broken, "wav2vec2", [1])

    np.testing.assert_allclose(mean[0, 3], expected[0][0, 3], rtol=1e-6)
    np.testing.assert_allclose(scale[0, 3], expected[1][0, 3], rtol=1e-6)
    assert np.isfinite(mean).all()


def test_stranger_is_refused_until_enrolled(view: View) -> None:
    train, dev = parts(view)
    head = head_of("pepino", normalise="speaker").fit(train, dev)
    stranger = changed(dev, speaker=[""] * len(dev))

    with pytest.raises(RunError, match=r"8 of 8 .* no speaker .*head\.enrol"):
        head.predict_proba(stranger)
    head.enrol(stranger)
    together = head.predict_proba(stranger)
    alone = head.predict_proba(stranger.take([3]))

    np.testing.assert_allclose(alone[0], together[3], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(together, head.predict_proba(dev), rtol=1e-5, atol=1e-7)


def test_enrolment_counts_more_than_what_is_predicted(view: View) -> None:
    train, dev = parts(view)
    head = head_of("superb", normalise="speaker").fit(train, dev)
    with pytest.raises(RunError, match=r"is all there is of its speaker.*--enrol"):
        head.predict_proba(dev.take([0]))  # by itself it would sound like nobody
    other = int(np.flatnonzero(view.speakers != dev.speakers[0])[0])
    same = np.flatnonzero(view.speakers == dev.speakers[0])[:2].tolist()
    before = head.predict_proba(dev.take([0, 1]))[:1]
    with pytest.raises(RunError, match=r"2 utterances are each all there is of its"):
        head.predict_proba(view.take([other, same[0]]))  # two are no better off
    with pytest.raises(RunError, match=f"^{view.ids[other]} is all there is"):
        head.predict_proba(view.take([other, *same]))
    head.enrol(dev)

    after = head.predict_proba(dev.take([0]))

    assert not np.allclose(before, after)
    np.testing.assert_allclose(after[0], head.predict_proba(dev)[0], rtol=1e-5)


def test_enrolment_without_use_is_refused(view: View) -> None:
    head = head_of("superb").fit(*parts(view))

    with pytest.raises(RunError, match="no use for enrolment speech"):
        head.enrol(view)


def test_all_bad_options_are_named_at_once(view: View) -> None:
    bad: dict[str, Any] = {
        "lr": -1.0,
        "targets": "some",
        "time_mask": 2.0,
        "patience": 0,
    }

    with pytest.raises(RunError) as error:
        head_of(**bad).fit(*parts(view))

    assert all(name in str(error.value) for name in bad)


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("superb", {"layers": []}, "superb cannot take layers=[]"),
        ("pepino", {"layers": []}, "pepino cannot take layers=[]"),
        ("pepino", {"layers": [-1]}, "pepino cannot take layers=[-1]"),
        ("superb", {"lr": math.nan}, "lr above 0, got nan"),
        ("superb", {"weight_decay": math.nan}, "weight_decay of 0 or more, got nan"),
        ("multihead_attention", {"heads": 0}, "expected 1 or more, got 0"),
        ("multihead_attention", {"heads": -1}, "expected 1 or more, got -1"),
    ],
)
def test_what_trains_nothing_is_refused(
    name: str, wrong: dict[str, Any], said: str, view: View
) -> None:
    with pytest.raises(RunError, match=re.escape(said)):
        head_of(name, **wrong).fit(*parts(view))


@pytest.mark.parametrize("wrong", [{"lr": "fast"}, {"batch_size": 1.5}, {"traits": 3}])
def test_settings_of_another_kind_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PluginError, match=r"expected multitask\."):
        settings.heads(["multitask"], wrong, None)


def test_rate_is_what_the_step_is_multiplied_by(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, seen = head_of(batch_size=12, lr=0.5), []
    monkeypatch.setattr(type(head), "rate", lambda _, done: 1 / (1 + done))
    step = type(head)._step

    def watch(self: Any, task: Any, chosen: list[int]) -> float:
        seen.append(task.optimiser.param_groups[0]["lr"])
        return float(step(self, task, chosen))

    monkeypatch.setattr(type(head), "_step", watch)
    head.fit(*parts(view))  # 24 utterances: two steps an epoch

    rates = [0.5 / (1 + done) for done in (0, 0.5, 1, 1.5)]
    assert seen == pytest.approx([0.5, *rates])  # the first is that of a copy


def test_decay_pulls_weights_and_none_is_adam() -> None:
    still = head_of(weight_decay=0.0).optimiser(nn.Linear(2, 2))
    pulled = head_of(weight_decay=0.1).optimiser(nn.Linear(2, 2))

    assert still.param_groups[0]["weight_decay"] == 0
    assert pulled.param_groups[0]["weight_decay"] == 0.1
    one, two = nn.Linear(3, 1), nn.Linear(3, 1)
    two.load_state_dict(one.state_dict())
    moved = zip(
        (one, two),
        (
            head_of(lr=0.1).optimiser(one),
            torch.optim.Adam(two.parameters(), lr=0.1),
        ),
        strict=True,
    )
    for net, optimiser in moved:
        for i in range(3):
            optimiser.zero_grad()
            net(torch.full((1, 3), i + 1.0)).sum().square().backward()
            optimiser.step()
    assert torch.equal(one.weight, two.weight)


def test_entries_of_the_gradient_are_cut(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest = []
    head = head_of(clip_value=1e-3, clip_norm=None, max_epochs=1)

    class Watched(torch.optim.SGD):
        def step(self, *arguments: Any) -> None:  # type: ignore[override]
            moved = self.param_groups[0]["params"]
            grads = [p.grad.abs().max() for p in moved if p.grad is not None]
            largest.append(float(max(grads)))

    monkeypatch.setattr(
        type(head), "optimiser", lambda _, net: Watched(net.parameters(), lr=1.0)
    )
    head.fit(*parts(view))

    assert max(largest) == pytest.approx(1e-3)


def test_seconds_per_epoch_are_told_before_it_starts(
    view: View, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"max_epochs": 1, "feature_dropout": 0.3}
    plain = head_of("mlp", **options).fit(*parts(view)).history_
    monkeypatch.setattr(_training, "SLOW", 0.0)
    head, told = head_of("mlp", **options), []
    step = type(head)._step

    def watch(self: Any, task: Any, chosen: list[int]) -> float:
        told.append(len(caplog.records))
        return float(step(self, task, chosen))

    monkeypatch.setattr(type(head), "_step", watch)
    with caplog.at_level(logging.INFO, logger="models"):
        head.fit(*parts(view))

    assert told == [0, 0, 1, 1, 1, 1, 1]  # two of a copy, and then those that count
    assert "seconds per epoch, 1 epochs at most" in caplog.text
    assert head.history_[0]["train_loss"] == plain[0]["train_loss"]


def test_seed_decides_what_is_silenced(view: View) -> None:
    losses = [
        head_of(feature_dropout=share, seed=seed).fit(*parts(view)).history_[-1]
        for share, seed in ((0.5, 1), (0.5, 1), (0.5, 2), (0.0, 1))
    ]

    once, again, other, loud = (told["train_loss"] for told in losses)
    assert once == again
    assert len({once, other, loud}) == 3


def test_nothing_is_silenced_when_predicting(view: View, tmp_path: Path) -> None:
    head = head_of("pepino", feature_dropout=0.5, time_mask=0.5).fit(*parts(view))

    np.testing.assert_array_equal(head.predict_proba(view), head.predict_proba(view))
    head.save(tmp_path)
    again = type(head).load(tmp_path).set_params(feature_dropout=0.0, time_mask=0.0)
    np.testing.assert_array_equal(again.predict_proba(view), head.predict_proba(view))


def test_cache_without_frames_is_enough_for_means(view: View) -> None:
    class Frameless(View):
        def frames(self, *_: Any) -> Any:
            msg = "a frame was read"
            raise AssertionError(msg)

    bare = Frameless(view.cache, view.manifest, view.cards, view.classes)

    for name in ("superb", "mlp", "multitask"):
        head_of(name).fit(*parts(bare)).predict_proba(bare)
    with pytest.raises(AssertionError, match="a frame was read"):
        head_of("superb", time_mask=0.2).fit(*parts(bare))


def test_several_seeds_and_views_share_no_state(view: View) -> None:
    train, dev = parts(view)
    expected = head_of(seed=1).fit(train, dev).predict_proba(dev)
    head_of(seed=2).fit(train, dev)

    again = head_of(seed=1).fit(train, dev).predict_proba(dev)

    np.testing.assert_array_equal(again, expected)


def test_variants_do_not_move_their_speakers_norm(view: View) -> None:
    frame = view.manifest.copy()
    is_variant = np.arange(len(frame)) % 3 == 0
    frame["variant"] = np.where(is_variant, "degrade:noise#0", "")
    mixed = replace(view, manifest=frame)
    plain = mixed.take(~is_variant)

    told = norm_of_speakers(mixed, "wav2vec2", [1], {})
    alone = norm_of_speakers(plain, "wav2vec2", [1], {})

    for speaker in set(view.speakers):
        ours = told.group[list(mixed.speakers).index(speaker)]
        theirs = alone.group[list(plain.speakers).index(speaker)]
        torch.testing.assert_close(told.mean[ours], alone.mean[theirs])
        torch.testing.assert_close(told.scale[ours], alone.scale[theirs])


def test_variants_of_an_utterance_are_no_other_speech(view: View) -> None:
    train, dev = parts(view)
    head = head_of("superb", normalise="speaker").fit(train, dev)
    one = dev.take([0, 0, 0])
    source = [dev.ids[0]] * 2
    copies = changed(one, variant=["", "x", "y"], source=["", *source])

    with pytest.raises(RunError, match="is all there is of its speaker"):
        head.predict_proba(copies)


def test_strangers_are_refused_before_a_fit(
    view: View, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = head_of("superb", normalise="speaker")
    monkeypatch.setattr(type(head), "fit", lambda *_: pytest.fail("it was fitted"))
    first = np.flatnonzero(view.speakers == "toy/02")[0]
    few = view.take((view.speakers != "toy/02") | (np.arange(len(view)) == first))
    question = ask(few.require(["wav2vec2"]), None, "loso")

    with pytest.raises(RunError, match=f"^{few.ids[first]} is all there is"):
        run_head(question, "superb", head, [0], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_candidate_that_would_refuse_strangers_is_not_fitted(
    view: View, tmp_path: Path
) -> None:
    first = np.flatnonzero(view.speakers == "toy/02")[0]
    few = view.take((view.speakers != "toy/02") | (np.arange(len(view)) == first))
    question = ask(few.require(["wav2vec2"]), None, "loso")
    search = Search({"normalise": ["global", "speaker"]})

    with pytest.raises(RunError, match=f"^{few.ids[first]} is all there is"):
        run_head(question, "superb", head_of(), [0], tmp_path, search=search)


def test_what_a_temperature_is_chosen_on_is_no_strangers_only_utterance(
    view: View, tmp_path: Path
) -> None:
    whole = ask(view.require(["wav2vec2"]), None, "loso").folds[0]
    held = str(sorted(set(whole.part("dev").speakers))[-1])
    first = np.flatnonzero(view.speakers == held)[0]
    few = view.take((view.speakers != held) | (np.arange(len(view)) == first))
    question = ask(few.require(["wav2vec2"]), None, "loso", [0])
    head = head_of("superb", normalise="speaker", max_epochs=1)
    assert held in question.folds[0].part("dev").speakers
    asked = "superb", head, [0], tmp_path

    with pytest.raises(RunError, match=f"^{few.ids[first]} is all there is"):
        run_head(question, *asked, after=After(temperature=True))
    assert not list(tmp_path.iterdir())
    assert run_head(question, *asked)
