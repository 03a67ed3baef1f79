"""Many fits in one pass equal fits one by one, and those equal plain torch."""

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from bench import pepino
from bench._pepino_fits import EPOCHS, FOLDS, Fits, put
from bench.baselines import loader
from contracts.cache import Cache
from contracts.errors import CacheError, RunError
from contracts.labels import LabelMap
from contracts.view import View
from models import _joint_work
from models._joint import Fitted, Settings, Task, fit_jointly, weighted_targets
from models._joint_dropout import alive
from models._joint_mixer import Mixer
from models._joint_network import Network, initial
from models._joint_pass import Hidden, Lesson, learn, logits
from models._joint_reader import Heard, Run, Source
from models._joint_settings import number
from models._joint_stream import Share
from models._joint_work import cut, grouped
from tests.synthetic import LABELS, make_cache, rows

DOUBLE = torch.float64
WIDE = 24  # channels
LAYERS = (0, 1, 2)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> View:
    """Return 48 utterances of eight speakers with three layers of 24 channels."""
    folder = tmp_path_factory.mktemp("joint") / "cache"
    frame = rows(6, per_label=2)
    make_cache(folder, frame, n_layers=2, width=WIDE, strength=0.4)
    return labelled(Cache(folder))


def labelled(cache: Cache) -> View:
    return cache.view("toy").relabel(LabelMap("toy", "as they are", LABELS))


def moments(view: View) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return mean and deviation of all frames ``(layer, channel)``."""
    frames = [view.frames("wav2vec2", i, LAYERS) for i in range(len(view))]
    every = np.concatenate(frames, axis=2).astype(np.float64)
    return every.mean(axis=2), every.std(axis=2)


def task_of(
    view: View,
    fold: int = 0,
    seed: int = 0,
    weights: bool = False,
    normalised: bool = False,
    soft: bool = False,
    start: dict[str, Tensor] | None = None,
    **settings: Any,
) -> Task:
    """Hold out one speaker for development and leave out another."""
    speaker = np.array([int(s.rpartition("/")[2]) for s in view.speakers])
    train = view.take((speaker != fold + 1) & (speaker != fold + 2))
    dev = view.take(speaker == fold + 1)
    draw = np.random.default_rng(fold)
    targets: NDArray[Any] = train.y
    if soft:
        targets = draw.dirichlet(np.ones(4), len(train))
    told = {"batch_size": 7, "max_epochs": 3, "patience": None} | settings
    mean, scale = moments(train) if normalised else (None, None)
    return Task(
        train,
        dev,
        weighted_targets(
            targets,
            4,
            np.array([0.5, 1.0, 2.0, 1.5]) if weights else None,
            draw.uniform(0.5, 2, len(train)) if weights else None,
        ),
        weighted_targets(dev.y, 4),
        Settings(**told),
        seed,
        mean,
        scale,
        start,
    )


def fit(tasks: list[Task], **more: Any) -> list[Fitted]:
    """Fit jointly; return in the order of the tasks."""
    more = {"dtype": DOUBLE, "n_threads": 2, "layers": LAYERS} | more
    done = dict(fit_jointly(tasks, "wav2vec2", **more))
    return [done[i] for i in range(len(tasks))]


def apart(one: Fitted, other: Fitted) -> float:
    """Return the largest difference of weights and losses."""
    assert one.state.keys() == other.state.keys()
    assert [h["epoch"] for h in one.history] == [h["epoch"] for h in other.history]
    far = [float((one.state[k] - v).abs().max()) for k, v in other.state.items()]
    for mine, its in zip(one.history, other.history, strict=True):
        far += [abs(mine[k] - its[k]) for k in ("train_loss", "dev_loss", "dev_uar")]
    return max(far)


def many(view: View) -> list[Task]:
    """Return fits that differ in everything that may differ."""
    return [
        task_of(view, 0, 0),
        task_of(view, 0, 1, dropout=0.5, lr=3e-3),
        task_of(view, 1, 0, weights=True, normalised=True),
        task_of(view, 1, 1, normalised=True, batch_size=32, dropout=0.0),
        task_of(view, 2, 2, soft=True, max_epochs=2, clip_norm=0.5),
        task_of(view, 3, 0, normalised=True, lr=1e-2, clip_value=0.01),
        task_of(view, 3, 3, lr=0.05, max_epochs=9, patience=1),
        task_of(view, 4, 4, batch_size=1000, weights=True, max_epochs=4),
        *(task_of(view, 2, seed, dropout=0.1, lr=1e-4) for seed in range(3)),
        knows_more(task_of(view, 2, 5)),
    ]


def knows_more(task: Task) -> Task:
    """Return the task with two classes more, which nobody shows."""
    more = {
        name: np.pad(getattr(task, name), ((0, 0), (0, 2)))
        for name in ("train_targets", "dev_targets")
    }
    return vary(task, **more)


@pytest.fixture(scope="module")
def one_by_one(view: View) -> list[Fitted]:
    return [fit([task])[0] for task in many(view)]


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_fits_together_equal_fits_one_by_one(
    view: View, one_by_one: list[Fitted], n_threads: int
) -> None:
    together = fit(many(view), n_threads=n_threads)

    for one, alone in zip(together, one_by_one, strict=True):
        assert apart(one, alone) < 1e-12
    lengths = {len(one.history) for one in together}
    assert len(lengths) >= 3  # some end before others
    ended = together[6]
    assert 1 < len(ended.history) < 9
    assert len(ended.history) == ended.best_epoch + 1


@pytest.mark.parametrize(("n_threads", "sizes"), [(1, {1, 2}), (2, {1, 2}), (6, {1})])
def test_no_more_are_mixed_at_a_time_than_may_be(
    view: View,
    one_by_one: list[Fitted],
    monkeypatch: pytest.MonkeyPatch,
    n_threads: int,
    sizes: set[int],
) -> None:
    found: set[int] = set()
    seeds = slice(8, 11)  # of one fold

    def hear(mixer: Any, reader: Any, heard: Any, share: Share) -> None:
        found.add(len(share.models))
        just_so(mixer, reader, heard, share)

    just_so = _joint_work._hear
    monkeypatch.setattr(_joint_work, "_hear", hear)
    monkeypatch.setattr(_joint_work, "MIXED", 2)
    together = fit(many(view)[seeds], n_threads=n_threads)

    assert found == sizes  # so that threads have something to do
    for one, alone in zip(together, one_by_one[seeds], strict=True):
        assert apart(one, alone) < 1e-12


def test_in_single_precision_they_are_nearly_equal(
    view: View, one_by_one: list[Fitted]
) -> None:
    tasks = many(view)[:4]

    together = fit(tasks, dtype=torch.float32)

    for task, one, exact in zip(tasks, together, one_by_one, strict=False):
        alone = fit([task], dtype=torch.float32)[0]
        assert all(v.dtype == torch.float32 for v in one.state.values())
        got, near, true = (
            [h["train_loss"] for h in x.history] for x in (one, alone, exact)
        )
        np.testing.assert_allclose(got, near, rtol=1e-4)
        np.testing.assert_allclose(got, true, rtol=1e-3)


class Plain(nn.Module):
    """The network as one would write it in torch, over padded batches."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(len(LAYERS)))
        self.first = nn.Linear(WIDE, 128)
        self.second = nn.Linear(128, 128)
        self.out = nn.Linear(128, 4)
        self.double().load_state_dict({k: v.double() for k, v in state.items()})

    def forward(self, maps: Tensor, lengths: Tensor) -> Tensor:
        size = self.weights.abs()
        z = torch.einsum("l,bltc->btc", size / size.sum(), maps)
        h = F.relu(self.second(F.relu(self.first(z))))
        heard = torch.arange(z.shape[1])[None] < lengths[:, None]
        mean = (h * heard[:, :, None]).sum(1) / lengths[:, None]
        logits: Tensor = self.out(mean)
        return logits


def padded(task: Task, view: View) -> tuple[Tensor, Tensor]:
    """Return normalised maps ``(utterance, layer, frame, channel)`` and lengths."""
    read = [view.frames("wav2vec2", i, LAYERS) for i in range(len(view))]
    lengths = torch.tensor([one.shape[2] for one in read])
    maps = torch.zeros(len(read), len(LAYERS), int(lengths.max()), WIDE, dtype=DOUBLE)
    for i, one in enumerate(read):
        x = one.transpose(0, 2, 1).astype(np.float64)
        if task.scale is not None:
            x = (x - task.mean[:, None]) / task.scale[:, None]
        maps[i, :, : x.shape[1]] = torch.from_numpy(x)
    return maps, lengths


def plainly(
    task: Task, start: dict[str, Tensor]
) -> tuple[dict[str, Tensor], list[float], list[float]]:
    """Fit with autograd and torch's own Adam.

    Returns:
        best weights, losses of train by utterance, losses of dev
    """
    network, own, losses = Plain(start), task.settings, []
    learnt: list[float] = []
    best: dict[str, Tensor] = {}
    adam = torch.optim.Adam(network.parameters(), lr=own.lr)
    maps, lengths = padded(task, task.train)
    dev = padded(task, task.dev)
    targets = torch.from_numpy(task.train_targets)
    ids = list(task.train.ids)
    for epoch in range(1, own.max_epochs + 1):
        order = sorted(range(len(ids)), key=lambda i: number("order", 0, epoch, ids[i]))
        learnt.append(0.0)
        for at in range(0, len(order), own.batch_size):
            chosen = order[at : at + own.batch_size]
            likely = network(maps[chosen], lengths[chosen]).log_softmax(dim=1)
            weighed = targets[chosen]
            adam.zero_grad()
            loss = -(weighed * likely).sum() / weighed.sum()
            loss.backward()
            learnt[-1] += float(loss.detach()) * len(chosen) / len(order)
            if own.clip_norm is not None:
                nn.utils.clip_grad_norm_(network.parameters(), own.clip_norm)
            adam.step()
        with torch.no_grad():
            y = torch.from_numpy(task.dev.y)
            losses.append(float(F.cross_entropy(network(*dev), y)))
        if losses[-1] == min(losses):
            best = {k: v.clone() for k, v in network.state_dict().items()}
    return best, learnt, losses


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize(("weights", "soft"), [(True, False), (False, True)])
def test_without_dropout_it_is_plain_torch(
    view: View, normalised: bool, weights: bool, soft: bool
) -> None:
    start = initial(len(LAYERS), WIDE, 4, seed=3)
    start["weights"] = torch.tensor([0.7, -1.2, 0.4])
    task = task_of(
        view, 1, 0, weights, normalised, soft, start, dropout=0.0, clip_norm=1.0
    )

    one = fit([task, task_of(view, 2)])[0]
    best, learnt, losses = plainly(task, start)

    np.testing.assert_allclose(
        [h["train_loss"] for h in one.history], learnt, rtol=1e-9
    )
    np.testing.assert_allclose([h["dev_loss"] for h in one.history], losses, rtol=1e-9)
    assert one.state.keys() == best.keys()
    for name, value in best.items():
        np.testing.assert_allclose(one.state[name], value, atol=1e-9)


def test_dropout_is_that_of_torch_with_the_same_mask(view: View) -> None:
    task = task_of(view, dropout=0.3)
    torch.manual_seed(0)
    network = Network(initial(3, WIDE, 4, 0), task.settings, dtype=DOUBLE)
    z, target = torch.randn(31, WIDE, dtype=DOUBLE), torch.eye(4, dtype=DOUBLE)[1]
    into = network.gradients[0]
    drawn = alive(["toy/x", "toy/y"], [12, 19], (0, 2), 77, z)
    heard = drawn * (256 / 179)
    assert abs(float(heard.mean()) - 1) < 0.03
    p = {k: v.clone().requires_grad_() for k, v in network.of.items()}
    x = z.clone().requires_grad_()
    h = F.relu(x @ p["first.weight"].T + p["first.bias"]) * heard[0]
    h = F.relu(h @ p["second.weight"].T + p["second.bias"]) * heard[1]
    means = torch.stack([h[:12].mean(0), h[12:].mean(0)])
    answer = means @ p["out.weight"].T + p["out.bias"]
    loss = F.cross_entropy(answer, torch.tensor([1, 1]))
    loss.backward()

    targets = target.expand(1, 2, -1) / 2
    lesson = Lesson([12, 19], targets, [drawn.split([5, 26], dim=1)], [into])
    learn([network], z[None], lesson, Hidden(2, 40, z))

    assert float(into.loss) == pytest.approx(float(loss.detach()), rel=1e-12)
    np.testing.assert_allclose(z, x.grad, atol=1e-14)
    for name in p.keys() - {"weights"}:
        np.testing.assert_allclose(into.of[name], p[name].grad, atol=1e-14)


def test_order_is_kept_when_others_are_taken_out() -> None:
    ids = [f"toy/{i}" for i in range(50)]

    def order(some: list[str], epoch: int) -> list[str]:
        return sorted(some, key=lambda name: number("order", 0, epoch, name))

    some = ids[::3]
    assert [i for i in order(ids, 1) if i in some] == order(some, 1)
    assert order(ids, 1) != order(ids, 2)
    assert order(ids, 1) != ids


def test_order_differs_with_its_seed(view: View) -> None:
    task = task_of(view, dropout=0.0)

    one, same, other = (
        fit([task], order_seed=seed)[0].state["first.weight"] for seed in (0, 0, 1)
    )

    assert torch.equal(one, same)
    assert not torch.allclose(one, other, atol=1e-6)


def test_they_learn_and_best_weights_are_kept(view: View) -> None:
    tasks = [task_of(view, fold, lr=5e-3, max_epochs=8) for fold in range(2)]

    for task, one in zip(tasks, fit(tasks, dtype=torch.float32), strict=True):
        losses = [h["dev_loss"] for h in one.history]
        assert one.best_epoch == 1 + int(np.argmin(losses))
        assert max(h["dev_uar"] for h in one.history) > 0.8
        network = Plain(one.state).eval()
        with torch.no_grad():
            loss = F.cross_entropy(
                network(*padded(task, task.dev)), torch.from_numpy(task.dev.y)
            )
        assert float(loss) == pytest.approx(min(losses), rel=1e-4)


def test_they_come_as_they_end_and_one_that_diverges_stops_no_other(view: View) -> None:
    tasks = [
        task_of(view, max_epochs=3),
        task_of(view, lr=1e30),
        task_of(view, max_epochs=1),
    ]
    came: list[int] = []

    with pytest.raises(RunError, match=r"1 of 3 fits diverged: .* in fit 1 \(epoch "):
        came.extend(i for i, _ in fit_jointly(tasks, "wav2vec2", LAYERS))

    assert came == [2, 0]


def test_one_layer_needs_no_layer_weight(view: View) -> None:
    tasks = [task_of(view, fold, dropout=0.0) for fold in range(2)]

    one, other = fit(tasks, layers=(1,))

    assert torch.equal(one.state["weights"], torch.ones(1, dtype=DOUBLE))
    assert one.history[-1]["train_loss"] < one.history[0]["train_loss"]
    assert apart(one, fit(tasks[:1], layers=(1,))[0]) < 1e-12
    assert other.state["first.weight"].shape == (128, WIDE)


def test_draws_threads_and_warnings_of_others_are_left_alone(view: View) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit([task_of(view, max_epochs=1)])

    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_models_with_one_scale_share_their_frames(view: View) -> None:
    class Fake:
        def __init__(self, position: int, factor: object) -> None:
            self.position, self.factor = position, factor
            self.n_classes = 5 if position == 6 else 4

    a, b = object(), object()
    models: list[Any] = [Fake(i, (a, b)[i % 2]) for i in range(7)]

    assert [[m.position for m in g] for g in grouped(models)] == [
        [0, 2, 4],
        [1, 3, 5],
        [6],
    ]
    parts = cut(models, 3)
    assert [[m.position for m in part] for part in parts] == [[0, 1], [2, 3], [4, 5, 6]]
    assert cut(models, 7) == [models]


def test_nothing_to_fit_is_nothing() -> None:
    assert list(fit_jointly([], "wav2vec2")) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lr": 0.0}, "lr above 0, got 7, 3 and 0"),
        ({"batch_size": 0}, "batch_size and max_epochs of 1 or more"),
        ({"dropout": 1.0}, "expected dropout from 0 to 0.99, got 1"),
        ({"dropout": -0.1}, "expected dropout from 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    view: View, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(
        RunError, match=f"1 things are wrong with 2 fits: fit 1: .*{said}"
    ):
        fit([task_of(view), task_of(view, **settings)])


def test_tasks_that_cannot_work_are_refused_together(view: View) -> None:
    good = task_of(view, normalised=True)
    zero, blank = good.train_targets.copy(), np.array(good.scale)
    zero[2] = 0
    blank[0, 0] = 0
    bad = [
        vary(good, train_targets=zero),
        vary(good, scale=blank),
        vary(good, mean=None),
        vary(good, dev=view.take([])),
        vary(good, train_targets=good.train_targets[1:]),
        vary(good, dev_targets=-good.dev_targets),
    ]
    with pytest.raises(RunError) as caught:
        fit([good, *bad])
    said = str(caught.value)
    assert said.startswith("6 things are wrong with 7 fits: fit 1: 1 of train weigh")
    for words in (
        "fit 2: expected scales above 0",
        "fit 3: expected mean and scale, or neither",
        "fit 4: dev has no utterances",
        "fit 5: expected train targets (32, class), got shape (31, 4)",
        "fit 6: expected dev targets of 0 or more",
    ):
        assert words in said
    with pytest.raises(RunError, match=r"other frames: expected \(2, 24\), got fit 0"):
        fit([good], layers=(1, 2))


def vary(task: Task, **parts: Any) -> Task:
    return Task(**(vars(task) | parts))


def test_other_caches_and_missing_features_are_refused(
    view: View, tmp_path: Path
) -> None:
    make_cache(tmp_path / "other", rows(6), n_layers=2, width=WIDE)
    other = labelled(Cache(tmp_path / "other"))

    with pytest.raises(RunError, match="need one feature in one cache"):
        fit([task_of(view), task_of(other)])
    with pytest.raises(CacheError, match="egemaps has no frames"):
        list(fit_jointly([task_of(view)], "egemaps"))
    twice = view.take([0, 0, 1, 2])
    task = task_of(view)
    bad = vary(task, train=twice, train_targets=task.train_targets[:4])
    with pytest.raises(RunError, match="1 utterances are twice in a part"):
        fit([bad])


def test_the_plain_loop_computes_the_same(view: View, tmp_path: Path) -> None:
    frames = [view.frames("wav2vec2", i, LAYERS).transpose(0, 2, 1) for i in range(3)]
    state = initial(len(LAYERS), WIDE, 8, 0)
    state["weights"] = torch.tensor([0.5, -2.0, 1.0])
    plain = loader.Pepino(len(LAYERS), WIDE).eval()
    plain.load_state_dict(state)
    ours = Network(state, Settings())

    files = loader.Files(loader.write(tmp_path, frames), [3, 1, 2])
    maps, lengths, labels = loader.pad([files[i] for i in range(len(files))])

    assert labels.tolist() == [3, 1, 2]
    assert lengths.tolist() == [one.shape[1] for one in frames]
    for one, wanted in zip(frames, plain(maps, lengths), strict=True):
        x = torch.from_numpy(one.astype(np.float32))
        z = torch.einsum("l,ltc->tc", ours.mixture, x)
        hidden = Hidden(1, len(z), z)
        (got,) = logits([ours], z[None], [len(z)], hidden)[0]
        np.testing.assert_allclose(got, wanted.detach(), atol=1e-5)


def test_the_bench_counts_what_each_learns_from() -> None:
    found = pepino.run(1, 20, 2, 16, "demo", n_files=1, seeds=1)

    one, many, normalised = found.tables
    names = [row["contender"] for row in one["rows"]]
    assert names == [
        pepino.USUAL,
        pepino.ALONE,
        pepino.LOADER,
        pepino.LIMIT,
        pepino.OURS,
    ]
    assert [len(told["rows"]) for told in (many, normalised)] == [5, 3]
    assert found.remarks[0].startswith("One fit takes")
    row, floor = (
        next(r for r in many["rows"] if r["contender"] == name)
        for name in (pepino.ONE, pepino.PRODUCTS)
    )
    least = 5 * floor["ours_is"] / row["ours_is"]
    assert f"together they take {5 / row['ours_is']:.1f} times" in found.remarks[1]
    assert f"products alone take {least:.1f} times" in found.remarks[1]


def test_the_bench_holds_no_utterance_on_two_sides(view: View, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    arrays = [draw.normal(size=(2, 5, 4)).astype(np.float16) for _ in range(20)]
    fits = Fits(put(tmp_path / "cache", arrays), [])

    for fold in range(FOLDS):
        train, dev = fits.rows(fold)
        assert not set(train) & set(dev)
        assert (len(train), len(dev)) == (14, 2)
    np.testing.assert_array_equal(
        fits.view.frames("bench", 3, (0, 1)).transpose(0, 2, 1), arrays[3]
    )
    assert fits.learnt(fits.tasks(2)) == EPOCHS * 10 * 14


@pytest.mark.parametrize("chosen", [(0,), (2,), (0, 1, 2), (0, 2), (1, 3)])
@pytest.mark.parametrize("n_models", range(1, 17))
def test_products_with_mixed_frames_are_plain_ones(
    n_models: int, chosen: tuple[int, ...]
) -> None:
    source: Any = SimpleNamespace(
        most=24, channels=3, n_layers=4, device=torch.device("cpu")
    )
    mixer = Mixer(source, 16, torch.float64)
    torch.manual_seed(0)
    bad, every = torch.full((16, 4), torch.nan).double(), [Run(*[slice(0, 9)] * 2)]
    mixer.mixed(torch.randn(4, 9, 3).double(), bad, every)
    lengths = [2, 3, 11, 8]
    frames, mixtures = torch.randn(4, 24, 3).double(), torch.rand(n_models, 4).double()
    runs = Heard("abcd", lengths, frames).runs(chosen)
    own = torch.cat([frames.split(lengths, dim=1)[i] for i in chosen], dim=1)

    mixed = mixer.mixed(frames, mixtures, runs)
    found = mixer.to_mixtures(frames, n_models, runs)

    assert len(runs) == (2 if len(chosen) == 2 else 1)
    torch.testing.assert_close(mixed, torch.einsum("ml,ltc->mtc", mixtures, own))
    torch.testing.assert_close(found, torch.einsum("mtc,ltc->ml", mixed, own))


@given(st.lists(st.integers(1, 9)), st.integers(1, 4), st.integers(9, 20))
def test_utterances_are_cut_into_what_memory_holds(
    lengths: list[int], most: int, frames: int
) -> None:
    names = [str(i) for i in range(len(lengths))]
    source: Any = SimpleNamespace(most=frames)
    source._lengths = dict(zip(names, lengths, strict=True))

    cut = list(Source.cut(source, names, most))

    assert [name for some in cut for name in some] == names
    for some, after in zip(cut, [*cut[1:], []], strict=False):
        size = sum(source._lengths[name] for name in some)
        assert 1 <= len(some) <= most
        assert size <= frames
        if after and len(some) < most:  # another one would have been too much
            assert size + source._lengths[after[0]] > frames
