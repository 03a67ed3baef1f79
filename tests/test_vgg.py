"""The VGG network: the published one, for any lengths, with no trace of padding."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contracts.errors import CacheError
from models._trunk import BLOCKS, Trunk
from models.fusion import Fusion
from models.vgg import VGG


def plain(n_layers: int = 12, n_labels: int = 8) -> nn.Sequential:
    """Return the network as it was published, for 263 frames of 768 channels."""
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
    parts += [nn.Flatten(), nn.Linear(192 * 3 * 9, 64), nn.ReLU(), nn.Dropout(0.1)]
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


def network(n_layers: int = 2, seed: int = 0) -> VGG:
    """Return a network in float64 whose batch norms are not the identity."""
    torch.manual_seed(seed)
    net = VGG(n_labels=4, n_layers=n_layers, dropout=0.0)
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


@pytest.mark.parametrize("training", [False, True])
def test_network_is_the_published_one_at_263_frames(training: bool) -> None:
    # float64: rounding of a batch norm over two utterances depends on the threads
    ours, published = network(n_layers=12), plain(n_labels=4).double()
    pairs = zip(published.state_dict(), ours.state_dict().values(), strict=True)
    published.load_state_dict(dict(pairs))
    published[-2].p = 0.0  # type: ignore[assignment]
    batch = torch.stack(maps([263, 263], 12, 768)).double()

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


def test_training_statistics_are_those_of_valid_frames() -> None:
    parts = [part.double() for part in maps([150, 81, 243])]
    net = network().train()
    expected = network().train()

    found = net.trunk(*padded(parts))

    torch.testing.assert_close(
        found, by_list(expected.trunk, parts), rtol=1e-8, atol=1e-10
    )
    for mine, theirs in zip(net.buffers(), expected.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-10)


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
