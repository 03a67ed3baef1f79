"""Every architecture, loaded as the hub saves it, gives what transformers gives."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.extraction import Options
from extract import wav2vec2
from extract._encoder import Encoder
from tests.encoders import (
    PUBLISHED,
    alone,
    assert_same,
    base,
    save_as_hub,
    small_pair,
    speech,
    values,
)

LENGTHS = (9_001, 400, 16_000, 16_000, 719, 720, 1_601, 31_999, 4_003)
WAYS = ((1, False), (200, True))  # frames in a batch, is it padded; and as loaded
COUNTS: dict[str, int] = {}


@pytest.fixture(autouse=True, scope="module")
def say_counts() -> Iterator[None]:
    """Say at the end how many hidden states were compared; seen with ``-s``."""
    yield
    told = ", ".join(f"{n:,} {what}" for what, n in COUNTS.items())
    print(f"\nhidden states of an utterance compared: {told}")  # noqa: T201


def count(what: str, n: int) -> None:
    COUNTS[what] = COUNTS.get(what, 0) + n


def compare_loaded(name: str, size: str, folder: Path) -> int:
    """Save, load and compare an architecture; return the number of comparisons."""
    published, n = PUBLISHED[name], 0
    model = published.make() if size == "real" else published.make_small()
    encoder = save_as_hub(model, folder / "e", published.do_normalize)
    waveforms = speech(*LENGTHS)
    expected = [alone(base(model), w, published.do_normalize) for w in waveforms]
    del model
    feature = wav2vec2.load(Options(encoder=encoder, device="cpu", dtype="float32"))
    assert feature.spec.settings["do_normalize"] is published.do_normalize
    for limit, padded in WAYS:
        encoder = Encoder(
            feature.encoder.model,
            feature.encoder.do_normalize,
            feature.spec.layers,
            batch_frames=limit,
            padded=padded,
        )
        for got, states in zip(encoder(waveforms), expected, strict=True):
            n += assert_same(got, states)
    for got, states in zip(feature(waveforms), expected, strict=True):
        n += assert_same(values(got), states)
    assert_same(feature.alone(waveforms[0]), expected[0])
    count(f"at {size} size", n)
    return n


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_small_one_in_a_batch_equals_each_utterance_alone(
    name: str, tmp_path: Path
) -> None:
    n_layers = min(3, PUBLISHED[name].differences.get("num_hidden_layers", 3))

    n = compare_loaded(name, "small", tmp_path)

    assert n == (len(WAYS) + 1) * len(LENGTHS) * (n_layers + 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_one_of_real_size_in_a_batch_equals_each_utterance_alone(
    name: str, tmp_path: Path
) -> None:
    n_layers = PUBLISHED[name].differences.get("num_hidden_layers", 12)
    try:
        n = compare_loaded(name, "real", tmp_path)
    finally:
        shutil.rmtree(tmp_path / "e", ignore_errors=True)  # more than a gigabyte

    assert n == (len(WAYS) + 1) * len(LENGTHS) * (n_layers + 1)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_last_hidden_state_is_before_a_norm_behind_all_layers(name: str) -> None:
    model, reference = small_pair(name, 0)
    [waveform] = speech(8_000)
    n_layers = model.config.num_hidden_layers
    with torch.inference_mode():
        told = reference(torch.from_numpy(waveform)[None], output_hidden_states=True)

    [got] = Encoder(model, False, range(n_layers + 1))([waveform])

    last = told.last_hidden_state[0]
    assert_same(got[-1:], told.hidden_states[-1].numpy())
    if getattr(model.config, "do_stable_layer_norm", False):
        with torch.inference_mode():
            normed = reference.encoder.layer_norm(torch.from_numpy(got[-1]))
        assert_same(normed[None].numpy(), last[None].numpy())
        assert np.abs(got[-1] - last.numpy()).max() > 0.1
    else:
        assert_same(got[-1:], last[None].numpy())


@settings(
    max_examples=75,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    name=st.sampled_from(list(PUBLISHED)),
    seed=st.integers(0, 2),
    drawn=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(400, 24_000), min_size=1, max_size=8),
    again=st.lists(st.integers(0, 7), max_size=3),
    order=st.randoms(use_true_random=False),
    limit=st.sampled_from([1, 20, 75, 200, 2_000]),
    padded=st.booleans(),
    do_normalize=st.booleans(),
)
def test_any_batch_equals_each_utterance_alone(
    name: str,
    seed: int,
    drawn: int,
    lengths: list[int],
    again: list[int],
    order: "np.random.Generator",
    limit: int,
    padded: bool,
    do_normalize: bool,
) -> None:
    model, reference = small_pair(name, seed)
    waveforms = speech(*lengths, seed=drawn)
    rows = [*range(len(waveforms)), *(i % len(waveforms) for i in again)]
    order.shuffle(rows)  # type: ignore[arg-type]
    expected = [alone(reference, w, do_normalize) for w in waveforms]
    layers = range(model.config.num_hidden_layers + 1)

    encoder = Encoder(model, do_normalize, layers, batch_frames=limit, padded=padded)
    got = encoder([waveforms[i] for i in rows])

    assert len(got) == len(rows)
    for row, states in zip(rows, got, strict=True):
        count("drawn", assert_same(states, expected[row]))
