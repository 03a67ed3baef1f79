"""Heads over frames: each network as its source has it, and padding without a trace."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from contracts.cache import Cache
from contracts.errors import CacheError, RunError
from contracts.extraction import Options
from contracts.feature import Block, FeatureSpec
from contracts.labels import LabelMap
from contracts.published import Published
from contracts.view import View
from evaluation.experiment import run_head
from evaluation.measures.metrics import score_run
from evaluation.measures.traits import traits_of
from evaluation.question import ask
from evaluation.settings import head_class
from extract.logmel import load
from models._layers import WeightedLayers, attention, masked_mean
from models._normalisation import norm_of_utterances
from models.attention import Attention
from models.bilstm_attention import BiLSTMAttention
from models.cnn_logmel import CNN, noisy, standardised
from models.mlp import MLP
from models.multihead_attention import MultiheadAttention
from models.multitask import Multitask
from models.pepino import Pepino
from models.pepino_fusion import PepinoFusion
from models.pepino_lstm import PepinoLSTM, ReluLSTM
from models.pointwise import Pointwise
from models.prosodic_attention import ProsodicAttention
from models.superb import Superb
from tests.synthetic import LABELS, make_cache, rows

N_LAYERS, WIDTH, N_TOLD = 3, 20, 5
ONE: dict[str, Callable[[], nn.Module]] = {
    "attention": lambda: Attention(4, N_LAYERS, WIDTH),
    "bilstm_attention": lambda: BiLSTMAttention(4, N_LAYERS, WIDTH),
    "cnn_logmel": lambda: CNN(4, N_LAYERS),
    "mlp": lambda: MLP(4, N_LAYERS, WIDTH),
    "mlp framewise": lambda: MLP(4, N_LAYERS, WIDTH, framewise=True),
    "multihead_attention": lambda: MultiheadAttention(4, N_LAYERS, WIDTH),
    "multitask": lambda: Multitask(6, N_LAYERS, WIDTH),
    "pepino": lambda: Pepino(4, N_LAYERS, WIDTH),
    "pepino_lstm": lambda: PepinoLSTM(4, N_LAYERS, WIDTH),
    "pointwise": lambda: Pointwise(4, N_LAYERS, WIDTH),
    "superb": lambda: Superb(4, N_LAYERS, WIDTH),
}
TWO: dict[str, Callable[[], nn.Module]] = {
    "pepino_fusion": lambda: PepinoFusion(4, N_LAYERS, WIDTH, N_TOLD),
    "prosodic_attention": lambda: ProsodicAttention(4, N_LAYERS, WIDTH, N_TOLD),
}
NETWORKS = ONE | TWO
IN_ORDER = {"bilstm_attention", "cnn_logmel", "pepino_lstm"}  # time has a direction
LENGTHS = [40, 17, 33, 1, 26]


def network(name: str) -> Any:
    """Return a network in float64 that draws nothing, with no weight at rest."""
    torch.manual_seed(0)
    net = NETWORKS[name]().double()
    for part in net.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
        if isinstance(part, WeightedLayers):
            nn.init.uniform_(part.scalars, -1, 1)
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            nn.init.uniform_(part.running_mean, -0.3, 0.3)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
    return net


def inputs(
    name: str, lengths: list[int], fill: float = 0.0, extra: int = 0
) -> tuple[Tensor, ...]:
    """Return a batch for a network: maps, descriptors if it takes any, lengths."""
    draw = torch.Generator().manual_seed(1)
    widths = [(N_LAYERS, WIDTH), (1, N_TOLD)][: 2 if name in TWO else 1]
    out = []
    for n_layers, width in widths:
        batch = torch.full(
            (len(lengths), n_layers, max(LENGTHS) + extra, width), fill
        ).double()
        for one, n in zip(batch, LENGTHS, strict=False):
            one[:, :n] = torch.randn(n_layers, n, width, generator=draw).double()
        out.append(batch)
    return *out, torch.tensor(lengths)


@pytest.mark.parametrize("name", NETWORKS)
@torch.inference_mode()
def test_utterance_alone_equals_utterance_in_a_batch(name: str) -> None:
    net = network(name).eval()
    *parts, lengths = inputs(name, LENGTHS, fill=50.0, extra=7)

    together = net(*parts, lengths)
    alone = [
        net(*(part[i : i + 1, :, :n] for part in parts), lengths[i : i + 1])
        for i, n in enumerate(LENGTHS)
    ]

    assert together.std(dim=0).min() > 1e-5  # outputs do tell utterances apart
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_changes_no_gradient(name: str) -> None:
    told = []
    for fill, extra in ((0.0, 0), (50.0, 9)):
        net = network(name).train()
        out = net(*inputs(name, LENGTHS, fill, extra))
        out.square().sum().backward()
        grads = [p.grad for p in net.parameters() if p.grad is not None]
        told.append([out.detach(), *grads, *net.buffers()])

    assert len(told[0]) > 4
    for once, further in zip(*told, strict=True):
        torch.testing.assert_close(once, further, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", NETWORKS)
@torch.inference_mode()
def test_no_weight_belongs_to_a_position_in_time(name: str) -> None:
    net = network(name).eval()
    *parts, lengths = inputs(name, [40])
    order = torch.randperm(40, generator=torch.Generator().manual_seed(2))

    before = net(*parts, lengths)
    after = net(*(part[:, :, order] for part in parts), lengths)

    assert torch.allclose(before, after, rtol=1e-9) is (name not in IN_ORDER)


@torch.inference_mode()
def test_pepino_is_what_its_paper_says() -> None:
    net = network("pepino").eval()
    maps, lengths = inputs("pepino", [17])
    a = np.abs(net.layers.scalars.numpy())

    x = np.einsum("l,ltd->td", a / a.sum(), maps[0, :, :17].numpy())
    for dense in (net.first, net.second):
        x = np.maximum(x @ dense.weight.numpy().T + dense.bias.numpy(), 0)
    expected = x.mean(axis=0) @ net.out.weight.numpy().T + net.out.bias.numpy()

    np.testing.assert_allclose(net(maps, lengths)[0].numpy(), expected)
    full = Pepino(8, 13, 768)
    assert torch.equal(full.layers.scalars, torch.ones(13))
    n = 13 + 768 * 128 + 128 + 128 * 128 + 128 + 128 * 8 + 8
    assert sum(p.numel() for p in full.parameters()) == n


def test_layers_are_weighted_by_softmax_or_by_size() -> None:
    soft, sized = WeightedLayers(3), WeightedLayers(3, "absolute")
    for net in (soft, sized):
        net.scalars.data = torch.tensor([-2.0, 1.0, 1.0])

    torch.testing.assert_close(sized.weights(), torch.tensor([0.5, 0.25, 0.25]))
    e = np.exp([-2.0, 1.0, 1.0])
    np.testing.assert_allclose(soft.weights().detach(), e / e.sum(), rtol=1e-6)
    half = torch.ones(2, 3, 4, 5, dtype=torch.float16)
    assert soft(half).dtype == torch.float32
    assert not any(p.requires_grad for p in WeightedLayers(1).parameters())


def test_attention_is_over_own_frames() -> None:
    scores = torch.randn(2, 6, 3)
    weights = attention(scores, torch.tensor([6, 2]))

    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2, 3))
    assert not weights[1, 2:].any()
    torch.testing.assert_close(weights[1, :2], scores[1, :2].softmax(0))
    x = torch.tensor([[[1.0], [3.0], [torch.nan]]])
    assert float(masked_mean(x, torch.tensor([2]))) == 2


@torch.inference_mode()
def test_relu_lstm_is_that_of_keras() -> None:
    torch.manual_seed(0)
    net, x = ReluLSTM(3, 4).double(), torch.randn(2, 5, 3).double()
    w, u, b = (
        p.numpy() for p in (net.inputs.weight, net.states.weight, net.inputs.bias)
    )
    assert np.array_equal(b, [0] * 4 + [1] * 4 + [0] * 8)

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    h = c = np.zeros((2, 4))
    expected = []
    for t in range(5):
        i, f, o, g = np.split(x[:, t].numpy() @ w.T + h @ u.T + b, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.maximum(g, 0)
        h = sigmoid(o) * np.maximum(c, 0)
        expected.append(h)

    np.testing.assert_allclose(net(x).numpy(), np.stack(expected, axis=1))


def test_lstm_learns_from_a_batch_of_one() -> None:
    net = network("bilstm_attention").train()
    *parts, lengths = inputs("bilstm_attention", [40])

    net(*parts, lengths).sum().backward()

    assert net.hidden.weight.grad.abs().sum() > 0


def test_bilstm_warms_up_and_halves_its_step() -> None:
    head = head_class("bilstm_attention")()
    head.history_ = []
    assert [head.rate(e) for e in (0, 2, 4)] == pytest.approx([1 / 6, 3 / 6, 5 / 6])
    losses = [3.0, 2.0, 1.0, *[1.5] * 5, 0.9, *[1.5] * 9]
    rates = []
    for loss in losses:
        head.history_.append({"dev_loss": loss})
        rates.append(head.rate(len(head.history_)))

    assert rates[5:] == [1.0, 1.0, 0.5, 0.5, *[0.5] * 4, *[0.25] * 5]


def test_attention_warms_up_and_mlp_follows_a_cosine() -> None:
    attention_rate = head_class("attention")().rate
    assert attention_rate(0.5) == pytest.approx(0.51)
    assert attention_rate(1) == pytest.approx(1)
    assert attention_rate(5.5) == pytest.approx(0.5)
    assert attention_rate(0) > 0
    mlp_rate = head_class("mlp")(max_epochs=10).rate
    assert [mlp_rate(e) for e in (0, 5, 10)] == pytest.approx([1, 0.5, 0])


def put(cache: Cache, name: str, lengths: np.ndarray, keys: Any, width: int) -> None:
    """Add a frame feature of drawn numbers in large units."""
    draw, blocks = np.random.default_rng(0), {}
    for key, n in zip(keys, lengths, strict=True):
        values = 50 + 300 * draw.standard_normal((1, n, width)).astype(np.float32)
        blocks[key] = Block(values, np.stack([values.mean(1), values.std(1)], axis=1))
    with cache.lock():
        cache.store(FeatureSpec(name, {"toy": 1}, width, (0,))).commit(
            blocks, {}, "cpu"
        )


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> View:
    """Return a view of six speakers with ``logmel``, descriptors and traits."""
    frame = rows(6, votes=True)
    heard = frame["label"].map({label: i for i, label in enumerate(LABELS)})
    frame["trait:valence"] = heard * 2.0 - 1
    frame["trait:activation"] = (heard == 3).astype(float)
    frame.loc[::5, "trait:activation"] = np.nan
    frame["trait:mood"] = "fine"
    folder = tmp_path_factory.mktemp("heads") / "cache"
    cache = make_cache(folder, frame, n_layers=2, width=24)
    lengths = cache.view("toy").n_frames("wav2vec2")
    put(cache, "logmel", lengths, frame["waveform"], 16)
    put(cache, "egemaps_lld_20ms", lengths, frame["waveform"], 5)
    put(cache, "elsewhere", lengths + 1, frame["waveform"], 5)
    return Cache(folder).view("toy").relabel(LabelMap("toy", "as they are", LABELS))


def parts(view: View) -> tuple[View, View]:
    """Return four speakers to learn from and two for development."""
    dev = np.isin(view.speakers, ["toy/05", "toy/06"])
    return view.take(~dev), view.take(dev)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("pepino", [0, 1, 2]),
        ("pepino_lstm", [0, 1, 2]),
        ("superb", [0, 1, 2]),
        ("multitask", [1, 2]),
        ("attention", [2]),
        ("mlp", [2]),
        ("pointwise", [2]),
        ("bilstm_attention", [2]),
    ],
)
def test_layers_are_those_of_the_source(
    name: str, layers: list[int], view: View
) -> None:
    head = head_class(name)()

    assert head.measure(view)["layers"] == layers
    head.set_params(layers=(0, 2))
    assert head.measure(view)["layers"] == [0, 2]


@pytest.mark.parametrize("name", ["pepino", "superb", "attention"])
def test_learnt_layer_weights_are_kept(name: str, view: View, tmp_path: Path) -> None:
    head = head_class(name)(layers=(0, 1, 2), lr=0.05, max_epochs=3)
    weights = head.fit(*parts(view)).learnt_["layer_weights"]

    assert head.learnt_["layers"] == [0, 1, 2]
    head.save(tmp_path)
    assert type(head).load(tmp_path).get_params() == head.get_params()
    assert len(weights) == 3
    assert sum(weights) == pytest.approx(1)
    assert max(weights) - min(weights) > 1e-3
    assert "layer_weights" not in head.set_params(layers=(2,)).fit(*parts(view)).learnt_


@pytest.mark.parametrize("name", ["mlp", "superb", "multitask"])
@pytest.mark.parametrize("how", [None, "global", "speaker", "utterance"])
def test_means_of_the_cache_stand_for_frames(
    name: str, how: str | None, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = head_class(name)
    head = kind(layers=(1, 2), max_epochs=3, normalise=how).fit(*parts(view))
    from_means = head.predict_proba(view)
    monkeypatch.setattr(kind, "takes_means", lambda _: False)

    assert head.reader(view)(range(3))[0].shape[2] > 1
    np.testing.assert_allclose(head.predict_proba(view), from_means, atol=2e-3)


def test_layer_before_the_mean_reads_frames(view: View) -> None:
    head = head_class("mlp")(framewise=True, max_epochs=1).fit(*parts(view))
    maps, lengths = head.reader(view)([0])

    assert maps.shape[2] == int(lengths[0]) == view.n_frames("wav2vec2")[0] > 1
    net = head.network_.eval()
    with torch.inference_mode():
        x = F.relu(net.before[0](maps[0, 0].float())).mean(dim=0)
        expected = net.out(net.behind(x)).double().softmax(dim=0).numpy()
    np.testing.assert_allclose(head.predict_proba(view)[0], expected, rtol=1e-5)


def test_utterance_is_normalised_as_by_layer_norm(view: View) -> None:
    head = head_class("attention")(normalise="utterance", layers=(1, 2), max_epochs=1)
    rows = [0, 5, 9]
    maps, lengths = head.fit(*parts(view)).reader(view)(rows)

    assert len(set(lengths.tolist())) > 1
    for row, ours, n in zip(rows, maps, lengths.tolist(), strict=True):
        stored = torch.from_numpy(view.frames("wav2vec2", row, (1, 2)).copy()).float()
        for layer, one in zip(stored, ours, strict=True):
            wanted = F.layer_norm(layer.T, layer.T.shape)
            torch.testing.assert_close(one[:n], wanted, atol=2e-3, rtol=0)
        assert not ours[:, n:].any()


def test_utterance_is_normalised_by_what_is_a_number(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = view.pooled("wav2vec2", [1]).copy()
    told[0, :, :, 3], told[1] = np.nan, np.nan
    monkeypatch.setattr(View, "pooled", lambda *_: told)
    norm = norm_of_utterances(view, "wav2vec2", [1])
    rest = np.delete(told[0, 0], 3, axis=1).astype(np.float64)

    assert float(norm.mean[0, 0]) == pytest.approx(rest[0].mean(), rel=1e-6)
    square = (rest[0] ** 2 + rest[1] ** 2).mean() - rest[0].mean() ** 2
    assert float(norm.scale[0, 0]) == pytest.approx(np.sqrt(square + 1e-5), rel=1e-5)
    assert float(norm.mean[1, 0]) == 0
    assert float(norm.scale[1, 0]) > 0
    assert torch.isfinite(norm.mean).all()


@pytest.mark.parametrize("name", ["pepino_fusion", "prosodic_attention"])
def test_features_of_other_frames_are_refused(name: str, view: View) -> None:
    head = head_class(name)(features=("wav2vec2", "elsewhere"))

    with pytest.raises(CacheError, match="differ in frames for 32 of 32 utterances"):
        head.fit(*parts(view))
    with pytest.raises(RunError, match="takes two features with frames"):
        head.set_params(features=("wav2vec2",)).fit(*parts(view))


@pytest.mark.parametrize("how", [None, "global", "speaker"])
def test_descriptors_are_always_normalised(how: str | None, view: View) -> None:
    head = head_class("prosodic_attention")(max_epochs=1, normalise=how)
    head.fit(*parts(view))
    _, descriptors, lengths = head.reader(view)(range(8))

    own = [d[0, :n] for d, n in zip(descriptors, lengths.tolist(), strict=True)]
    assert torch.cat(own).std() < 2


def test_two_features_are_enrolled_together(view: View) -> None:
    head = head_class("pepino_fusion")(max_epochs=1, normalise="speaker")
    head.fit(*parts(view))
    one = parts(view)[1].take(range(8))
    expected = head.predict_proba(one)
    head.enrol(one)

    alone = np.concatenate([head.predict_proba(one.take([i])) for i in range(8)])

    np.testing.assert_allclose(alone, expected, rtol=1e-4, atol=1e-6)


def test_spectrograms_are_brought_to_mean_0_and_deviation_1(view: View) -> None:
    head = head_class("cnn_logmel")(max_epochs=1, lr=1e-4).fit(*parts(view))
    maps, lengths = head.reader(view)(range(6))

    for one, n in zip(maps, lengths.tolist(), strict=True):
        assert float(one[:, :n].mean()) == pytest.approx(0, abs=1e-5)
        assert float(one[:, :n].std(correction=0)) == pytest.approx(1, abs=1e-5)
        assert not one[:, n:].any()


def cnn(**settings: Any) -> Any:
    """Return the head over log-mel with no change of spectrograms but those given."""
    none = dict.fromkeys(("time_mask", "time_shift", "noise", "band_mask"), 0.0)
    return head_class("cnn_logmel")(**none | settings)


def disturbed(head: Any, maps: Tensor, n: int) -> Tensor:
    """Return maps ``(utterance, 1, frame, band)`` as a head trains on them."""
    lengths = torch.full((len(maps),), n)
    out: Tensor = head.disturbed((maps, lengths), np.random.default_rng(0))[0]
    return out


def test_spectrograms_are_changed_as_in_the_source() -> None:
    draw = torch.Generator().manual_seed(0)
    maps = 15 * torch.randn(60, 1, 50, 20, generator=draw) - 50
    maps[:, :, 40:] = 0
    plain = standardised(maps, torch.full((60,), 40))

    assert torch.equal(disturbed(cnn(), maps, 40), plain)
    shifted = disturbed(cnn(time_shift=0.1), maps, 40)
    far = []
    for before, after in zip(plain[:, 0, :40], shifted[:, 0, :40], strict=True):
        same = [
            d
            for d in range(-5, 6)
            if torch.allclose(before.roll(d, 0), after, atol=1e-4)
        ]
        assert len(same) == 1
        far += same
    assert (min(far), max(far)) == (-4, 4)
    moved = disturbed(cnn(noise=0.005), maps, 40) - plain
    assert 0.5 < float((moved.abs().amax(dim=(1, 2, 3)) > 0).float().mean()) < 0.9
    assert not moved[:, :, 40:].any()
    banded = disturbed(cnn(band_mask=0.2), maps, 40)[:, 0, :40] == 0
    silent = banded.all(dim=1).sum(dim=1)
    assert (int(silent.min()), int(silent.max())) == (0, 4)
    assert torch.equal(banded.all(dim=1), banded.any(dim=1))


@pytest.mark.parametrize("level", [0.001, 0.005])
def test_noise_is_about_that_of_a_waveform(level: float) -> None:
    draw = np.random.default_rng(0)
    heard = load(Options())
    told = []
    for pitch in (100, 140, 180, 220, 260):
        waveform = voice(pitch, draw)
        noise = level * np.abs(waveform).max() * draw.standard_normal(len(waveform))
        plain, wanted = (
            torch.from_numpy(heard([w.astype(np.float32)])[0])
            for w in (waveform, waveform + noise)
        )
        ours = noisy(plain, level, draw)
        # decibels below the loudest, on average and in deviation; how far they moved
        told += [
            [float(x.mean()), float(x.std()), float((x - plain).abs().mean())]
            for x in (wanted, ours)
        ]
    wanted_is, ours_is = np.array(told[::2]).mean(axis=0), np.array(told[1::2]).mean(0)

    np.testing.assert_allclose(ours_is[:2], wanted_is[:2], atol=4)
    assert 0.67 < ours_is[2] / wanted_is[2] < 1.5
    assert wanted_is[2] > 3


def voice(pitch: float, draw: np.random.Generator) -> NDArray[np.float64]:
    """Return two seconds of harmonics that fall off, in syllables with pauses."""
    t = np.arange(32_000) / 16_000
    out = np.zeros_like(t)
    for n in range(1, int(7500 / pitch)):
        form = np.exp(-(((n * pitch - 500) / 350) ** 2)) + 0.3 / n**1.2
        out += form * np.sin(2 * np.pi * n * pitch * t + draw.uniform(0, 6))
    out *= np.clip(np.sin(2 * np.pi * 2.5 * t), 0, None) ** 2
    return out / np.abs(out).max() * 0.2 + 1e-5 * draw.standard_normal(len(t))


def test_silence_stays_silence() -> None:
    silence = torch.zeros(1, 30, 20)

    assert torch.equal(noisy(silence, 0.005, np.random.default_rng(0)), silence)


def test_noise_needs_decibels() -> None:
    maps = torch.randn(20, 1, 40, 20)
    plain = standardised(maps, torch.full((20,), 40))

    for other in ({"normalise": "global"}, {"features": ("egemaps_lld",)}):
        assert torch.equal(disturbed(cnn(noise=0.5, **other), maps, 40), plain)
    assert not torch.equal(disturbed(cnn(noise=0.5), maps, 40), plain)


def test_shares_of_the_spectrogram_are_checked(view: View) -> None:
    with pytest.raises(RunError, match="'noise'.* in .0, 1., got .*2"):
        cnn(noise=2.0).fit(*parts(view))


def test_convolutions_are_those_of_the_source() -> None:
    net: Any = CNN(6)
    convs = [p for p in net.modules() if isinstance(p, nn.Conv2d)]

    assert [c.out_channels for c in convs] == [32, 64, 128, 256]
    x = torch.randn(1, 1, 40, 32)
    net.eval()
    expected = x
    for conv, norm in net.blocks:
        expected = F.max_pool2d(F.relu(norm(conv(expected))), 2)
    expected = net.out(F.relu(net.hidden(expected.mean(dim=(2, 3)))))
    torch.testing.assert_close(net(x), expected, rtol=1e-4, atol=1e-5)


def test_traits_are_learnt_beside_emotions(view: View, tmp_path: Path) -> None:
    traits = ("valence", "activation")
    head = head_class("multitask")(traits=traits, max_epochs=30, batch_size=16)
    train, dev = parts(view)
    told = head.fit(train, dev).predict_traits(dev)

    assert (head.predict_proba(dev).argmax(1) == dev.y).mean() > 0.9
    for i, trait in enumerate(traits):
        truth = dev.manifest[f"trait:{trait}"].to_numpy()
        known = np.isfinite(truth)
        assert np.corrcoef(told[known, i], truth[known])[0, 1] > 0.9
        assert abs(told[known, i].mean() - truth[known].mean()) < 0.5
    head.save(tmp_path)
    again = type(head).load(tmp_path)
    assert again.get_params() == head.get_params()
    np.testing.assert_array_equal(again.predict_traits(dev), told)
    assert head.predict_traits(dev.take([])).shape == (0, 2)


def test_a_run_keeps_the_traits_that_were_predicted(view: View, tmp_path: Path) -> None:
    head = head_class("multitask")(traits=("valence",), max_epochs=8, batch_size=16)
    question = ask(view, "identity", "speakers-5fold", [0, 1])

    (run,) = run_head(question, "multitask", head, [0], tmp_path)

    (told,) = traits_of(run)
    truth = run.predictions["trait:valence"].to_numpy(float)
    said = run.predictions["predicted:valence"].to_numpy()
    assert (told.trait, told.n) == ("valence", len(truth))
    assert told.pearson == pytest.approx(np.corrcoef(said, truth)[0, 1])


def test_a_run_of_traits_alone_says_no_emotion(view: View, tmp_path: Path) -> None:
    only = {"traits": ("valence",), "emotions": False, "max_epochs": 4}
    question = ask(view, "identity", "speakers-5fold", [0])

    (run,) = run_head(
        question, "multitask", head_class("multitask")(**only), [0], tmp_path
    )

    assert np.isnan(run.probabilities).all()
    assert score_run(run).n == 0
    assert traits_of(run)[0].n == len(run.predictions)


@pytest.mark.parametrize("targets", ["hard", "soft"])
def test_utterances_may_lack_label_or_trait(targets: str, view: View) -> None:
    train, dev = parts(view)
    half = np.arange(len(train)) % 2 == 0
    rows = train.manifest.assign(
        label=train.manifest["label"].where(half, ""),
        **{"trait:valence": train.manifest["trait:valence"].where(~half)},
    )
    torn = View(train.cache, rows, train.cards, train.classes)
    head = head_class("multitask")(
        traits=("valence",), max_epochs=40, batch_size=8, targets=targets, lr=3e-3
    ).fit(torn, dev)

    assert (head.predict_proba(dev).argmax(1) == dev.y).mean() > 0.7
    truth = dev.manifest["trait:valence"].to_numpy()
    assert np.corrcoef(head.predict_traits(dev)[:, 0], truth)[0, 1] > 0.8
    with pytest.raises(RunError, match="train holds 16 unlabelled utterances"):
        head.set_params(traits=()).fit(torn, dev)


def test_plain_regression_has_no_probabilities(view: View) -> None:
    head = head_class("multitask")(traits=("valence",), emotions=False, max_epochs=30)
    train, dev = parts(view)
    blank = train.manifest.assign(label="")
    head.fit(View(train.cache, blank, train.cards, train.classes), dev)

    truth = dev.manifest["trait:valence"].to_numpy()
    assert np.corrcoef(head.predict_traits(dev)[:, 0], truth)[0, 1] > 0.9
    with pytest.raises(RunError, match=r"learnt no labels.*predict_traits"):
        head.predict_proba(dev)


def test_traits_that_are_no_numbers_are_refused(view: View) -> None:
    train, dev = parts(view)
    head = head_class("multitask")(traits=("mood", "valence", "arousal"))

    with pytest.raises(RunError, match="traits mood, arousal: .*activation, valence"):
        head.fit(train, dev)
    with pytest.raises(RunError, match="nothing to learn"):
        head.set_params(traits=(), emotions=False).fit(train, dev)
    empty = train.manifest.assign(**{"trait:valence": np.nan})
    with pytest.raises(RunError, match="train has no numbers for traits valence"):
        head.set_params(traits=("valence",), emotions=True).fit(
            View(train.cache, empty, train.cards, train.classes), dev
        )


@pytest.mark.parametrize("name", [n for n in NETWORKS if " " not in n])
def test_what_was_published_can_stand_beside(name: str) -> None:
    import importlib

    told = importlib.import_module(f"models.{name}").PUBLISHED

    assert all(isinstance(p, Published) for p in told)
    assert told or name == "prosodic_attention"  # which nobody has published


@pytest.mark.parametrize(
    "name", ["pepino", "pepino_lstm", "pepino_fusion", "bilstm_attention"]
)
def test_networks_of_keras_begin_as_there(name: str) -> None:
    made = NETWORKS[name]().modules()
    gates = (4 * 128,)  # of an LSTM, whose biases and recurrence begin otherwise
    maps = [m for m in made if isinstance(m, nn.Linear) and m.weight.shape[:1] != gates]

    assert len(maps) >= 2
    for part in maps:
        most = np.sqrt(6 / sum(part.weight.shape))
        assert 0.5 * most < float(part.weight.detach().abs().max()) <= most
        assert part.bias is None or not part.bias.any()


def test_lstm_begins_as_in_keras() -> None:
    net = BiLSTMAttention(4, N_LAYERS, WIDTH)

    for end in ("", "_reverse"):
        told = {k: getattr(net.lstm, f"{k}_l0{end}") for k in ("weight_hh", "bias_ih")}
        square = told["weight_hh"].T @ told["weight_hh"]
        torch.testing.assert_close(square, torch.eye(128), atol=1e-5, rtol=0)
        forget = torch.zeros(4 * 128)
        forget[128:256] = 1  # input, forget, cell, output
        assert torch.equal(told["bias_ih"], forget)
        assert not getattr(net.lstm, f"bias_hh_l0{end}").any()


def test_gradient_of_each_weight_is_cut_by_itself() -> None:
    net = BiLSTMAttention(4, N_LAYERS, WIDTH)
    for value in net.parameters():
        value.grad = torch.ones_like(value)
    net.out.bias.grad = torch.full((4,), 0.1)

    head_class("bilstm_attention")(clip_norm=1.0).clip(net)

    norms = {k: float(v.grad.norm()) for k, v in net.named_parameters()}
    assert norms.pop("out.bias") == pytest.approx(0.2)
    assert set(norms) > {"hidden.weight", "lstm.weight_hh_l0"}
    assert all(norm == pytest.approx(1, abs=1e-4) for norm in norms.values())
