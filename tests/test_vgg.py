"""The VGG network: the published one, for any lengths, with no trace of padding."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contracts.cache import Cache
from contracts.errors import CacheError, RunError
from contracts.feature import Block, FeatureSpec
from contracts.labels import LabelMap
from contracts.view import View
from models import fusion, vgg
from models._trunk import BLOCKS, Trunk, _at_once, _convolved
from models.fusion import Fusion
from models.vgg import VGG
from tests.synthetic import LABELS, make_cache, rows


def plain(n_layers: int = 12, n_labels: int = 8, height: int = 3) -> nn.Sequential:
    """Return the network as it was published, for 263 frames of 768 channels.

    Fewer frames leave a last map of less height.
    """
    parts: list[nn.Module] = []
    n = n_layers
    for block in BLOCKS:
        for width in block:
            parts += [
                nn.Conv2d(n, width, 3, padding=1),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            n = width
        parts.append(nn.MaxPool2d(3))
    flat = 192 * height * 9
    parts += [nn.Flatten(), nn.Linear(flat, 64), nn.ReLU(), nn.Dropout(0.1)]
    return nn.Sequential(*parts, nn.Linear(64, n_labels))


def maps(lengths: list[int], n_layers: int = 2, width: int = 96) -> list[Tensor]:
    """Return one map ``(layer, frame, channel)`` for each length."""
    draw = torch.Generator().manual_seed(5)
    return [torch.randn(n_layers, n, width, generator=draw) for n in lengths]


def padded(
    parts: list[Tensor], extra: int = 0, fill: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Put maps into one batch, as long as the longest and ``extra`` frames more."""
    lengths = torch.tensor([part.shape[1] for part in parts])
    size = int(lengths.max()) + extra
    pad = [F.pad(part, (0, 0, 0, size - part.shape[1]), value=fill) for part in parts]
    return torch.stack(pad), lengths


def network(n_layers: int = 2, seed: int = 0, height: int = 3) -> VGG:
    """Return a network in float64 whose batch norms are not the identity."""
    torch.manual_seed(seed)
    net = VGG(n_labels=4, n_layers=n_layers, dropout=0.0, grid=(height, 9))
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            for low, high, values in (
                (0.5, 1.5, part.weight),
                (-0.5, 0.5, part.bias),
                (-0.3, 0.3, part.running_mean),
                (0.5, 1.5, part.running_var),
            ):
                assert values is not None
                nn.init.uniform_(values, low, high)
    return net.double()


def trained(inputs: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """Return output, gradients and batch-norm statistics of one training step."""
    net = network().train()
    out = net(*inputs)
    out.square().sum().backward()
    grads = {
        f"grad {k}": p.grad for k, p in net.named_parameters() if p.grad is not None
    }
    return {"out": out.detach(), **grads, **dict(net.named_buffers())}


def test_parameters_are_as_many_as_published() -> None:
    counts = [
        sum(p.numel() for p in n.parameters()) for n in (VGG(), Fusion(), plain())
    ]

    assert counts == [1_411_064, 1_425_016, 1_411_064]


@pytest.mark.parametrize(
    ("training", "n_frames", "height"),
    [(False, 263, 3), (True, 263, 3), (True, 131, 1)],
)
def test_network_is_the_published_one_at_its_frames(
    training: bool, n_frames: int, height: int
) -> None:
    # float64: rounding of a batch norm over two utterances depends on the threads
    ours = network(n_layers=12, height=height)
    published = plain(n_labels=4, height=height).double()
    pairs = zip(published.state_dict(), ours.state_dict().values(), strict=True)
    published.load_state_dict(dict(pairs))
    published[-2].p = 0.0  # type: ignore[assignment]
    batch = torch.stack(maps([n_frames, n_frames], 12, 768)).double()

    for net in (ours, published):
        net.train(training)
    got, expected = ours(batch), published(batch)

    torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-10)
    for mine, theirs in zip(ours.buffers(), published.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("lengths", "width"), [([1, 80, 81, 263, 82, 107, 263], 96), ([1, 263, 81], 768)]
)
@torch.inference_mode()
def test_utterance_alone_equals_utterance_in_a_batch(
    lengths: list[int], width: int
) -> None:
    parts = maps(lengths, width=width)
    net = network().eval()

    together = net(*padded(parts, extra=7, fill=3.0))
    alone = torch.cat([net(part[None]) for part in parts])

    assert alone.std(dim=0).min() > 1e-5  # outputs do tell utterances apart
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("lengths", [[150, 90, 243, 1], [120, 120, 120]])
def test_padding_changes_nothing_in_training(lengths: list[int]) -> None:
    parts = maps(lengths)

    once, further = trained(padded(parts)), trained(padded(parts, extra=60, fill=9.0))

    for name, value in once.items():
        torch.testing.assert_close(further[name], value, rtol=0, atol=0, msg=name)


def test_training_is_that_of_plain_modules_on_valid_frames() -> None:
    parts = [part.double() for part in maps([150, 81, 243])]
    net, expected = network().train().trunk, network().train().trunk

    found, plain = net(*padded(parts)), by_list(expected, parts)
    for one in (found, plain):
        (
            one * torch.linspace(-1, 1, one.numel()).double().view_as(one)
        ).sum().backward()

    torch.testing.assert_close(found, plain, rtol=1e-8, atol=1e-10)
    for mine, theirs in zip(net.buffers(), expected.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-10)
    for mine, theirs in zip(net.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-6, atol=1e-8)


def test_utterances_in_turn_and_at_once_are_convolved_alike() -> None:
    lengths = torch.tensor([5, 1, 3])
    conv = torch.nn.Conv2d(2, 3, 3, padding=1).double()
    found = []
    for convolve in (_convolved, _at_once):
        x = torch.arange(9 * 4 * 2.0, dtype=torch.double).sin().reshape(9, 4, 2)
        x.requires_grad_()
        conv.zero_grad()
        out = convolve(conv, x, lengths)
        (out * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum().backward()
        found.append([out, x.grad, conv.weight.grad, conv.bias.grad])

    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def by_list(trunk: Trunk, parts: list[Tensor]) -> Tensor:
    """Run the trunk on a list of maps of their own lengths, norms over all of them."""
    for block in trunk.blocks:
        layers = list(block)  # type: ignore[call-overload]
        for conv, norm in zip(layers[::2], layers[1::2], strict=True):
            parts = [conv(part[None])[0] for part in parts]
            sizes = [part[0].numel() for part in parts]
            line = torch.cat([part.flatten(1) for part in parts], dim=1)
            line = F.relu(norm(line[None, :, :, None]))[0, :, :, 0]
            cut = torch.split(line, sizes, dim=1)
            parts = [c.view_as(part) for c, part in zip(cut, parts, strict=True)]
        parts = [F.max_pool2d(part[None], 3)[0] for part in parts]
    return torch.stack([F.adaptive_avg_pool2d(p, (3, 9)).flatten() for p in parts])


@torch.inference_mode()
def test_short_utterance_is_lengthened_to_81_frames_by_zeros() -> None:
    net, (short,) = network().eval(), maps([80])

    torch.testing.assert_close(
        net(short[None]), net(F.pad(short, (0, 0, 0, 1))[None]), rtol=0, atol=0
    )


@torch.inference_mode()
def test_half_precision_maps_are_read_as_they_are() -> None:
    net, (one,) = network().float().eval(), maps([100])
    half = one.numpy().astype(np.float16)

    got = net(torch.from_numpy(half)[None])

    torch.testing.assert_close(
        got, net(torch.from_numpy(half.astype(np.float32))[None])
    )


def test_few_channels_are_refused() -> None:
    with pytest.raises(CacheError, match="at least 81, got 80"):
        network()(torch.zeros(1, 2, 90, 80))


# other networks: fewer frames


@pytest.mark.parametrize(
    ("options", "grid", "n_parameters"),
    [
        ({}, (3, 9), 1_411_064),
        ({"max_frames": 263}, (3, 9), 1_411_064),
        ({"max_frames": 184}, (2, 9), 1_300_472),
        ({"max_frames": 131}, (1, 9), 1_189_880),
        ({"frame_stride": 2}, (1, 9), 1_189_880),
        ({"frame_stride": 2, "max_frames": 400}, (2, 9), 1_300_472),
    ],
)
def test_fewer_frames_make_networks_of_other_sizes(
    options: dict[str, int], grid: tuple[int, int], n_parameters: int
) -> None:
    head = vgg.Head(**options)
    facts = {"n_layers": 12, "n_functionals": 88}
    nets = [head.build(8, facts), fusion.Head(**options).build(8, facts)]

    assert head.grid == grid
    beside = 88 * 64 + 64 + 128 * 64 + 64  # functionals, and the joint layer
    assert [sum(p.numel() for p in net.parameters()) for net in nets] == [
        n_parameters,
        n_parameters + beside,
    ]


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> View:
    """Return a view with ``egemaps`` and ``long``, of 82 to 250 frames."""
    frame = rows(n_speakers=4)
    cache = make_cache(tmp_path_factory.mktemp("cache"), frame, n_layers=1, width=4)
    spec = FeatureSpec("long", {"toy": 1}, 96, layers=(1, 2), dtype="float16")
    draw, blocks = np.random.default_rng(1), {}
    for key, n in zip(frame["waveform"], np.linspace(82, 250, len(frame)), strict=True):
        values = draw.standard_normal((2, int(n), 96)).astype(np.float16)
        blocks[key] = Block(values, np.zeros((2, 2, 96), np.float32))
    with cache.lock():
        cache.store(spec).commit(blocks, {}, "cpu")
    label_map = LabelMap("toy", "Toy labels", labels=LABELS)
    return Cache(cache.folder).view("toy").relabel(label_map)


def fitted(name: str, view: View, **options: int) -> Any:
    """Return a head after one epoch on some utterances."""
    module, tables = {"vgg": (vgg, ()), "fusion": (fusion, ("egemaps",))}[name]
    head = module.Head(features=("long", *tables), max_epochs=1, batch_size=4)
    head.set_params(device="cpu", **options)
    whole = range(len(view))
    return head.fit(view.take(whole[::4]), view.take(whole[1::8]))


@pytest.mark.parametrize(
    "options",
    [{"frame_stride": 2}, {"max_frames": 170}, {"frame_stride": 2, "max_frames": 170}],
)
def test_the_network_is_handed_the_frames_that_are_asked_for(
    long: View, options: dict[str, int]
) -> None:
    head = vgg.Head(features=("long",), device="cpu", **options)
    train, _, _ = head.begin(long, long)
    read, lengths = train.read([0, len(long) - 1])

    kept = slice(None, options.get("max_frames"), options.get("frame_stride"))
    for i, row in enumerate((0, len(long) - 1)):
        expected = long.frames("long", row, (1, 2)).transpose(0, 2, 1)[:, kept]
        np.testing.assert_array_equal(read[i, :, : lengths[i]], expected)
        assert not read[i, :, lengths[i] :].any()
        assert lengths[i] == expected.shape[1]


@pytest.mark.parametrize("name", ["vgg", "fusion"])
def test_another_network_ignores_padding_and_saves_and_says_what_it_is(
    long: View, name: str, tmp_path: Path
) -> None:
    head = fitted(name, long, frame_stride=2, max_frames=170)
    together = head.predict_proba(long)

    alone = [head.predict_proba(long.take([i])) for i in (0, 5, len(long) - 1)]
    np.testing.assert_allclose(
        together[[0, 5, len(long) - 1]], np.concatenate(alone), rtol=0, atol=1e-6
    )
    head.save(tmp_path)
    again = type(head).load(tmp_path)
    assert again.get_params() == head.get_params()
    np.testing.assert_array_equal(again.predict_proba(long), together)
    assert again.learnt_["network"] == (
        f"another network than the published {name}: one of 2 frames of the first 170 "
        "frames, last map 1 x 9"
    )
    trained = long.n_frames("long")[::4]
    assert 0 < again.learnt_["n_cut"] == (trained > 170).sum()


def test_the_published_network_says_nothing_of_another(long: View) -> None:
    assert not {"network", "n_cut"} & set(fitted("vgg", long).learnt_)


def test_frames_that_leave_no_map_are_refused(long: View) -> None:
    message = (
        "vgg cannot train: expected frame_stride of 1 or more, got 0, "
        "max_frames of 81 times frame_stride or more, here 81, got 80"
    )
    with pytest.raises(RunError, match=message):
        fitted("vgg", long, frame_stride=0, max_frames=80)
    with pytest.raises(RunError, match="here 162, got 161"):
        fitted("vgg", long, frame_stride=2, max_frames=161)


@pytest.mark.parametrize("features", [("long", "egemaps"), ("egemaps", "long")])
def test_an_enrolled_person_is_no_stranger_wherever_the_maps_stand(
    features: tuple[str, str], long: View
) -> None:
    head = fusion.Head(features=features, max_epochs=1, normalise="speaker")
    dev = long.take(range(12, 16))
    head.fit(long.take(range(12)), dev)
    with pytest.raises(RunError, match="is all there is of its speaker"):
        head.predict_proba(dev.take([0]))
    head.enrol(dev)

    alone = head.predict_proba(dev.take([0]))

    np.testing.assert_allclose(alone, head.predict_proba(dev)[:1], rtol=1e-4)
