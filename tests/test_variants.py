"""Every variant: what it does to sound, what it is known by, where it may stand."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from contracts import plugins, variant
from contracts.cache import Cache
from contracts.errors import ManifestError, PluginError
from contracts.variant import Variant
from extract import _listening, _plan, _variants
from pipeline import main

NAMES = plugins.names("variants")
SR = 16_000
WITH = {"noise": "10dB", "gain": "6dB", "speed": "0.9", "pitch": "m1"}
WITH |= {"stretch": "1.1", "mp3": "16k", "reverb": "0.8s"}
if _variants._lacks("pitch"):
    NAMES = [name for name in NAMES if name not in ("pitch", "stretch")]


def speech(seconds: float = 2.0, seed: int = 0) -> NDArray[np.float32]:
    """Return something with a pitch of 150 Hz that comes and goes."""
    t = np.arange(round(seconds * SR)) / SR
    voice = sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 20))
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 3 * t)
    hiss = np.random.default_rng(seed).standard_normal(len(t))
    return (0.1 * voice * swell + 1e-4 * hiss).astype(np.float32)


def rms(samples: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


# the battery


@pytest.mark.parametrize("name", NAMES)
def test_variant_says_what_it_is(name: str) -> None:
    module = plugins.load("variants", name)

    assert plugins.summary("variants", name).endswith(".")
    assert len((module.__doc__ or "").splitlines()) > 3
    assert isinstance(module.VERSION, int)
    assert all(isinstance(library, str) for library in module.LIBRARIES)
    assert isinstance(module.UNCHANGED, float)
    assert math.isnan(module.UNCHANGED) == (not module.PARAMETER)


@pytest.mark.parametrize("parameter", ["", "its own"])
@pytest.mark.parametrize("name", NAMES)
def test_variant_is_the_same_every_time_and_no_other(name: str, parameter: str) -> None:
    given = WITH.get(name, "") if parameter else ""
    one = Variant("augment", name, given)
    wave = speech()
    before = wave.copy()

    made = _variants.make(wave, "a", one)

    np.testing.assert_array_equal(wave, before)
    np.testing.assert_array_equal(made, _variants.make(wave, "a", one))
    assert made.dtype == np.float32
    pace = plugins.load("variants", name).pace(_variants._draw("a", one)[0])
    assert len(made) == pytest.approx(len(wave) * pace, abs=2)
    assert made.shape != wave.shape or np.abs(made - wave).max() > 1e-4


@pytest.mark.parametrize("name", ["gain", "noise", "pitch", "speed", "stretch"])
def test_each_copy_and_each_source_is_drawn_anew(name: str) -> None:
    if name not in NAMES:
        pytest.skip("needs the extra 'augment'")
    drawn = {
        tuple(_variants._draw(source, Variant("augment", name, "", copy))[0].values())
        for source in ("a", "b")
        for copy in (1, 2, 3)
    }

    assert len(drawn) == 6


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_behind_a_name_is_checked(name: str) -> None:
    with pytest.raises(PluginError, match=rf"bad variant {name}-nonsense: expected"):
        _variants.choose("augment", [f"{name}-nonsense"])


@pytest.mark.parametrize("name", NAMES)
def test_silence_stays_finite(name: str) -> None:
    made = _variants.make(np.zeros(SR, np.float32), "a", Variant("degrade", name))

    assert np.isfinite(made).all()


# what each does


@pytest.mark.parametrize("snr", [0.0, 10.0, 30.0])
def test_noise_is_at_its_ratio(snr: float) -> None:
    wave = speech()

    noise = _variants.make(wave, "a", Variant("degrade", "noise", f"{snr:g}dB")) - wave

    assert 20 * math.log10(rms(wave) / rms(noise)) == pytest.approx(snr, abs=0.01)


def test_gain_is_that_many_decibels_and_drawn_never_clips() -> None:
    wave = speech()

    louder = _variants.make(wave, "a", Variant("augment", "gain", "m6dB"))
    drawn = [
        _variants.make(wave * 2, "a", Variant("augment", "gain", "", i + 1))
        for i in range(20)
    ]

    assert 20 * math.log10(rms(louder) / rms(wave)) == pytest.approx(-6, abs=1e-4)
    assert max(float(np.abs(x).max()) for x in drawn) <= 1.0 + 1e-6
    assert len({round(rms(x), 6) for x in drawn}) > 10


def peak(samples: NDArray[np.float32]) -> float:
    """Return the frequency of the strongest partial, in Hz."""
    size = 1 << 18
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), size))
    return float(np.argmax(power) * SR / size)


@pytest.mark.parametrize(
    ("asked", "pitch", "length"),
    [
        ("speed-0.8", 0.8, 1 / 0.8),
        ("speed-1.25", 1.25, 0.8),
        ("pitch-2", 2 ** (2 / 12), 1.0),
        ("pitch-m2", 2 ** (-2 / 12), 1.0),
        ("stretch-0.8", 1.0, 1 / 0.8),
    ],
)
def test_pitch_and_length_change_as_said(
    asked: str, pitch: float, length: float
) -> None:
    if asked.partition("-")[0] not in NAMES:
        pytest.skip("needs the extra 'augment'")
    wave = speech()

    made = _variants.make(wave, "a", variant.asked("augment", asked))

    assert len(made) / len(wave) == pytest.approx(length, abs=1e-3)
    # Signalsmith shifts by bins, within a few tenths of a semitone for a steady tone
    assert peak(made) / peak(wave) == pytest.approx(pitch, rel=0.02)


def test_telephone_has_no_sound_beyond_its_band() -> None:
    hiss = np.random.default_rng(0).standard_normal(4 * SR).astype(np.float32) * 0.1

    made = _variants.make(hiss, "a", Variant("degrade", "telephone"))

    power = np.abs(np.fft.rfft(made)) ** 2
    hz = np.fft.rfftfreq(len(made), 1 / SR)
    inside = power[(hz > 400) & (hz < 3300)].mean()
    assert power[hz > 4100].mean() < 1e-3 * inside
    assert power[hz < 100].mean() < 0.1 * inside


@pytest.mark.parametrize("rate", ["16k", "32k", "64k"])
def test_mp3_is_aligned_with_what_it_was(rate: str) -> None:
    wave = speech()

    made = _variants.make(wave, "a", Variant("degrade", "mp3", rate))

    lags = range(-40, 41)
    middle = slice(1000, -1000)
    match = [
        np.corrcoef(np.roll(made, lag)[middle], wave[middle])[0, 1] for lag in lags
    ]
    assert abs(lags[int(np.argmax(match))]) <= 1
    assert max(match) > 0.95


def test_reverb_dies_away_in_its_time() -> None:
    click = np.zeros(2 * SR, np.float32)
    click[0] = 1.0

    tail = _variants.make(click, "a", Variant("degrade", "reverb", "0.5s"))[40:]

    power = np.square(tail[: SR // 2 - 400], dtype=np.float64)
    level = 10 * np.log10(power.reshape(-1, 190).mean(axis=1))
    slope = np.polyfit(np.arange(len(level)) * 190 / SR, level, 1)[0]
    assert slope == pytest.approx(-60 / 0.5, rel=0.05)


# what they are known by


@given(
    st.sampled_from(sorted(variant.PARTS)),
    st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True),
    st.one_of(st.just(""), st.from_regex(r"[A-Za-z0-9.]{1,6}", fullmatch=True)),
    st.integers(1, 99),
)
def test_what_is_written_is_read_back(
    role: str, name: str, parameter: str, copy: int
) -> None:
    one = Variant(role, name, parameter, copy)

    assert variant.parse(str(one)) == one


def test_one_variant_has_one_name() -> None:
    names = {variant.asked("degrade", f"noise-{x}").asked for x in ("10dB", "10.0db")}

    assert names == {"noise-10dB"}
    assert variant.asked("augment", "speed-0.90").asked == "speed-0.90"
    assert variant.asked("augment", "speed-1.05").asked == "speed-1.05"


def test_a_key_changes_with_all_that_changes_the_sound() -> None:
    ways = [
        ("a", Variant("augment", "noise")),
        ("b", Variant("augment", "noise")),
        ("a", Variant("degrade", "noise")),
        ("a", Variant("augment", "gain")),
        ("a", Variant("augment", "noise", "10dB")),
        ("a", Variant("augment", "noise", "", 2)),
    ]

    assert len({_variants.key(*way) for way in ways}) == len(ways)
    assert _variants.key(*ways[0]) == _variants.key("a", Variant("augment", "noise"))


def test_a_key_changes_with_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Variant("augment", "noise")
    before = _variants.key("a", one)
    monkeypatch.setattr(plugins.load("variants", "noise"), "VERSION", 99)
    _variants._versions.cache_clear()

    after = _variants.key("a", one)

    _variants._versions.cache_clear()
    assert before != after


@pytest.mark.parametrize("text", ["Noise", "noise 10", "", "../x", "noise#1"])
def test_what_cannot_be_a_name_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match=r"bad --degrade .*expected a name"):
        variant.asked("degrade", text)


# in a corpus


def corpus(folder: Path, n: int = 6) -> Path:
    folder.mkdir()
    rows = []
    for i in range(n):
        name = f"{i}.wav"
        soundfile.write(folder / name, speech(0.5 + 0.05 * i, seed=i), SR, "FLOAT")
        rows.append({"file": name, "speaker": f"s{i % 3}", "emotion": "ab"[i % 2]})
    pd.DataFrame(rows).to_csv(folder / "list.csv", index=False)
    return folder


def extract(root: Path, cache: Path, *more: str) -> int:
    words = ["extract", "--corpus", "mine", "--root", str(root), "--cache", str(cache)]
    return main([*words, "--feature", "mfcc", *more])


def test_variants_are_rows_of_their_own(tmp_path: Path) -> None:
    root = corpus(tmp_path / "a")

    code = extract(
        root,
        tmp_path / "c",
        "--augment",
        "noise",
        "speed",
        "--copies",
        "2",
        "--degrade",
        "telephone",
    )

    assert code == 0
    cache = Cache(tmp_path / "c")
    rows = cache.manifest("mine").rows
    assert len(rows) == 6 * (1 + 4 + 1)
    assert rows["id"].is_unique
    assert rows["waveform"].is_unique
    originals = rows[rows["variant"] == ""].set_index("id")
    made = rows[rows["variant"] != ""]
    for column in ("speaker", "label", "path"):
        expected = originals[column].loc[made["source"]].to_numpy()
        assert (made[column].to_numpy() == expected).all()
    assert len(cache.view("mine")) == 6
    whole = cache.view("mine", variants=True)
    assert whole.require(["mfcc"]).table("mfcc").shape == (36, 80)


def test_a_variant_s_features_are_those_of_its_sound(tmp_path: Path) -> None:
    from extract import mfcc

    root = corpus(tmp_path / "a", 2)
    extract(root, tmp_path / "c", "--degrade", "noise-10dB")
    view = Cache(tmp_path / "c").view("mine", variants=True)
    items = [i for i in _plan.items(view.manifest) if i.variant]

    stored = view.take(np.flatnonzero(view.manifest["variant"] != "")).table("mfcc")

    by_hand = {}
    for item in items:
        wave, sr = soundfile.read(item.path, dtype="float32")
        assert sr == SR
        noisy = _variants.make(wave, item.source, variant.parse(item.variant))
        by_hand[item.key] = mfcc.Mfcc()([noisy])[0]
        np.testing.assert_array_equal(_listening.hear(item), noisy)
    keys = view.manifest["waveform"][view.manifest["variant"] != ""]
    np.testing.assert_array_equal(stored, np.stack([by_hand[k] for k in keys]))


def test_variants_stay_and_cost_nothing_where_they_are_not_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a")
    extract(root, tmp_path / "c", "--augment", "noise")
    capsys.readouterr()

    words = ["extract", "--corpus", "mine", "--root", str(root)]
    main([*words, "--cache", str(tmp_path / "c"), "--feature", "logmel"])

    said = capsys.readouterr().out
    assert "6 utterances, 3 speakers, 0.00 hours, and 6 variants" in said
    assert "logmel" in said
    assert "6 utterances extracted" in said
    rows = Cache(tmp_path / "c").manifest("mine").rows
    assert (rows["variant"] != "").sum() == 6


def test_a_replaced_source_takes_its_variants_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus(tmp_path / "a")
    extract(root, tmp_path / "c", "--augment", "noise", "--degrade", "telephone")
    soundfile.write(root / "0.wav", speech(0.7, seed=99), SR, "FLOAT")
    capsys.readouterr()

    extract(root, tmp_path / "c")

    said = capsys.readouterr().err
    assert "1 variants noise were made of other audio" in said
    assert "extract --degrade telephone" in said
    rows = Cache(tmp_path / "c").manifest("mine").rows
    assert (rows["variant"] != "").sum() == 10
    assert "mine/0.wav" not in set(rows["source"])


def test_relabelled_sources_relabel_their_variants(tmp_path: Path) -> None:
    root = corpus(tmp_path / "a")
    extract(root, tmp_path / "c", "--augment", "noise")
    table = pd.read_csv(root / "list.csv").assign(emotion="z")
    table.to_csv(root / "list.csv", index=False)

    extract(root, tmp_path / "c")

    rows = Cache(tmp_path / "c").manifest("mine").rows
    assert set(rows["label"]) == {"z"}
    assert (rows["variant"] != "").sum() == 6


@pytest.mark.parametrize("wrong", ["nosuch", "noise-x"])
def test_a_wrong_name_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    root = corpus(tmp_path / "a")

    assert extract(root, tmp_path / "c", "--augment", wrong) == 2
    assert not (tmp_path / "c").exists()
    assert "variant" in capsys.readouterr().err


def test_a_missing_library_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_variants, "_is_there", lambda library: False)

    assert extract(corpus(tmp_path / "a"), tmp_path / "c", "--augment", "pitch") == 2
    assert "needs python-stretch, which is not installed" in capsys.readouterr().err
