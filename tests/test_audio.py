"""Every file is heard whole and right, or refused in one sentence."""

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contracts.errors import ExtractionError
from extract import _audio, _sound_files
from extract._audio import Decoded

STEP = {"PCM_U8": 2**-7, "PCM_S8": 2**-7, "PCM_16": 2**-15, "PCM_24": 2**-23}


def sound(seconds: float = 0.1, rate: int = 16_000, channels: int = 1) -> NDArray[Any]:
    """Draw ``(time, channel)`` in [-0.5, 0.5]."""
    rng = np.random.default_rng(0)
    return rng.uniform(-0.5, 0.5, (round(seconds * rate), channels))


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize(
    ("format", "subtype"),
    [
        ("WAV", "PCM_U8"),
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "FLOAT"),
        ("WAV", "DOUBLE"),
        ("FLAC", "PCM_S8"),
        ("FLAC", "PCM_24"),
        ("AIFF", "PCM_16"),
    ],
)
def test_decode_gives_the_mean_of_what_was_written(
    format: str, subtype: str, rate: int, channels: int, tmp_path: Path
) -> None:
    written = sound(0.05, rate, channels)
    path = tmp_path / "a"
    soundfile.write(path, written, rate, subtype, format=format)

    decoded = _audio.decode(path)

    assert decoded.samples.dtype == np.float32
    assert (decoded.sampling_rate, decoded.channels) == (rate, channels)
    expected = written.mean(axis=1)
    np.testing.assert_allclose(decoded.samples, expected, atol=STEP.get(subtype, 1e-7))
    assert abs(len(_audio.resample(decoded)) - 800) <= 1


@pytest.mark.parametrize("name", ["a.raw", "no ending", "ü\n'.mp3", "-x.wav", "a.TXT"])
def test_the_name_of_a_file_does_not_matter(name: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sound(), 16_000)
    (tmp_path / "a.wav").rename(tmp_path / name)

    assert len(_audio.decode(tmp_path / name).samples) == 1_600


def test_mono_is_averaged_over_more_than_one_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sound_files, "_BLOCK", 100)
    written = sound(0.1, channels=2)
    soundfile.write(tmp_path / "a.wav", written, 16_000, "DOUBLE")

    decoded = _audio.decode(tmp_path / "a.wav")

    assert np.array_equal(decoded.samples, written.mean(axis=1).astype(np.float32))


@pytest.mark.parametrize("format", ["OGG", "MP3"])
def test_lossy_formats_are_heard(format: str, tmp_path: Path) -> None:
    time = np.arange(16_000) / 16_000
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(tmp_path / "a", tone, 16_000, format=format)

    decoded = _audio.decode(tmp_path / "a")
    middle = _audio.decode(tmp_path / "a", 0.25, 0.75)

    assert abs(decoded.duration - 1) < 0.1
    assert abs(np.sqrt(np.mean(decoded.samples**2)) - 0.5 / np.sqrt(2)) < 0.02
    assert np.array_equal(middle.samples, decoded.samples[4_000:12_000])


def test_resampling_keeps_a_tone_and_what_is_at_16_khz() -> None:
    time = np.arange(48_000) / 48_000
    tone = np.sin(2 * np.pi * 1_000 * time).astype(np.float32)

    waveform = _audio.resample(Decoded(tone, 48_000, 1))

    assert (waveform.dtype, waveform.shape) == (np.float32, (16_000,))
    expected = np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000)
    assert np.abs(waveform - expected)[500:-500].max() < 1e-4
    assert _audio.resample(Decoded(waveform, 16_000, 1)) is waveform


def test_resampling_lets_nothing_from_beyond_8_khz_in() -> None:
    time = np.arange(48_000) / 48_000
    tone = np.sin(2 * np.pi * 9_000 * time).astype(np.float32)

    waveform = _audio.resample(Decoded(tone, 48_000, 1))

    assert np.abs(waveform)[500:-500].max() < 1e-4


def test_listen_is_decode_and_resample(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sound(0.5, 44_100, 2), 44_100)

    heard = _audio.listen(tmp_path / "a.wav", 0.1, 0.3)

    decoded = _audio.decode(tmp_path / "a.wav", 0.1, 0.3)
    assert len(decoded.samples) == 8_820
    assert len(heard) == 3_200
    assert np.array_equal(heard, _audio.resample(decoded))


@settings(max_examples=40, deadline=None)
@given(
    format=st.sampled_from(["WAV", "FLAC", "AIFF", "OGG"]),
    rate=st.sampled_from([8_000, 16_000, 44_100]),
    cut=st.tuples(st.integers(0, 950), st.integers(50, 1_000)).filter(
        lambda cut: cut[1] - cut[0] >= 30
    ),
)
def test_a_decoded_segment_is_a_segment_of_what_is_decoded(
    tmp_path_factory: pytest.TempPathFactory,
    format: str,
    rate: int,
    cut: tuple[int, int],
) -> None:
    path = tmp_path_factory.getbasetemp() / f"{format}{rate}"
    if not path.exists():
        soundfile.write(path, sound(1.0, rate, 2), rate, format=format)
    start, end = cut[0] / 1_000, cut[1] / 1_000

    segment = _audio.decode(path, start, end)

    whole = _audio.decode(path).samples
    expected = whole[round(start * rate) : round(end * rate)]
    assert np.array_equal(segment.samples, expected)


def test_nan_stands_for_a_side_that_is_open(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(1.0), 16_000)
    whole = _audio.decode(path).samples
    nan = float("nan")

    assert np.array_equal(_audio.decode(path, nan, nan).samples, whole)
    assert np.array_equal(_audio.decode(path, nan, 0.5).samples, whole[:8_000])
    assert np.array_equal(_audio.decode(path, 0.5).samples, whole[8_000:])


def test_an_end_rounded_to_milliseconds_is_the_end(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sound(1.0)[:15_993], 16_000)  # 0.9995625 s

    assert len(_audio.decode(tmp_path / "a.wav", 0.0, 1.0).samples) == 15_993


@pytest.mark.parametrize(
    ("start", "end"),
    [(-0.1, 0.5), (0.5, 0.5), (0.6, 0.4), (0.5, 1.6), (2.0, None), (0, float("inf"))],
)
def test_a_segment_out_of_the_file_is_refused(
    start: float, end: float | None, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "a.wav", sound(1.0), 16_000)

    with pytest.raises(ExtractionError, match=r"expected a segment within 0-1 s, got"):
        _audio.decode(tmp_path / "a.wav", start, end)


def bad_files(folder: Path) -> dict[str, str]:
    """Write one file of each kind that cannot be heard; name -> what is said of it."""
    soundfile.write(folder / "whole.wav", sound(2.0), 16_000)
    soundfile.write(folder / "whole.flac", sound(2.0), 16_000)
    wav = (folder / "whole.wav").read_bytes()
    flac = (folder / "whole.flac").read_bytes()
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("no audio at all, but some words\n" * 50)
    (folder / "half.wav").write_bytes(wav[: len(wav) // 2])
    (folder / "nearly.wav").write_bytes(wav[:-2])
    (folder / "header.wav").write_bytes(wav[:30])
    (folder / "half.flac").write_bytes(flac[: len(flac) // 2])
    (folder / "nearly.flac").write_bytes(flac[:-900])
    middle = len(flac) // 2
    damaged = flac[:middle] + bytes(400) + flac[middle + 400 :]
    (folder / "damaged.flac").write_bytes(damaged)
    promised = int.from_bytes(flac[22:26], "big") + 1_000  # of STREAMINFO
    (folder / "less.flac").write_bytes(
        flac[:22] + promised.to_bytes(4, "big") + flac[26:]
    )
    at = wav.index(b"data")
    odd = b"junk" + struct.pack("<I", 3) + b"abc\0"
    (folder / "odd.wav").write_bytes(wav[:at] + odd + wav[at:-2])
    soundfile.write(folder / "none.wav", sound()[:0], 16_000)
    soundfile.write(folder / "short.wav", sound()[:399], 16_000)
    soundfile.write(folder / "short48.wav", sound()[:1_199], 48_000)
    for name, value in (("nan", np.nan), ("inf", np.inf)):
        samples = sound()
        samples[7] = value
        soundfile.write(folder / f"{name}.wav", samples, 16_000, "FLOAT")
    (folder / "folder.wav").mkdir()
    os.mkfifo(folder / "pipe.wav")
    least = "expected at least 400 samples at 16 kHz (25 ms), got"
    return {
        "missing.wav": "is not there",
        "empty.wav": "is empty: expected an audio file, got 0 bytes",
        "text.wav": "is not audio that can be read",
        "half.wav": "is truncated: expected 64000 bytes of samples, got 31978",
        "nearly.wav": "is truncated: expected 64000 bytes of samples, got 63998",
        "header.wav": "is not audio that can be read",
        "half.flac": "is truncated or damaged: expected whole FLAC, got 'flac",
        "nearly.flac": "is truncated",
        "damaged.flac": "is truncated or damaged",
        "less.flac": "is truncated or damaged: expected whole FLAC, got",
        "odd.wav": "is truncated: expected 64000 bytes of samples, got 63998",
        "none.wav": "is empty: expected samples, got none",
        "short.wav": f"is too short: {least} 399 at 16000 Hz (24.94 ms)",
        "short48.wav": f"is too short: {least} 1199 at 48000 Hz (24.98 ms)",
        "nan.wav": "expected numbers, got 1 NaN or infinite ones",
        "inf.wav": "expected numbers, got 1 NaN or infinite ones",
        "folder.wav": "is a folder",
        "pipe.wav": "is no regular file",
        "bad\0name.wav": "cannot be opened",
    }


def test_what_cannot_be_heard_is_refused_in_one_sentence(tmp_path: Path) -> None:
    for name, expected in bad_files(tmp_path).items():
        with pytest.raises(ExtractionError) as caught:
            _audio.decode(tmp_path / name)

        said = str(caught.value)
        assert expected in said, (name, said)
        assert said.startswith(repr(str(tmp_path / name))), name
        assert "\n" not in said, name
        assert said.endswith("or take it out of the corpus"), name


def test_fewer_samples_than_promised_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "a", sound(), 16_000, format="OGG")
    monkeypatch.setattr(soundfile.SoundFile, "frames", property(lambda _: 2_000))

    with pytest.raises(ExtractionError, match="expected 2000 samples, got 1600"):
        _audio.decode(tmp_path / "a")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sound(), 16_000)
    (tmp_path / "a.wav").chmod(0)

    with pytest.raises(ExtractionError, match="expected the permission"):
        _audio.decode(tmp_path / "a.wav")


def test_a_refused_permission_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "a.wav", sound(), 16_000)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(ExtractionError, match="expected the permission to, got none"):
        _audio.decode(tmp_path / "a.wav")


def test_the_shortest_utterance_is_heard(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sound()[:400], 16_000)
    soundfile.write(tmp_path / "b.wav", sound()[:1_200], 48_000)

    assert len(_audio.listen(tmp_path / "a.wav")) == 400
    assert len(_audio.listen(tmp_path / "b.wav")) == 400


@pytest.mark.parametrize("promised", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFFF - 36])
def test_wav_from_a_pipe_is_no_truncated_file(promised: int, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(), 16_000)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", promised)
    path.write_bytes(content)

    assert len(_audio.decode(path).samples) == 1_600


def test_chunks_around_the_samples_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(), 16_000)
    content = path.read_bytes()
    at = content.index(b"data")
    odd = b"junk" + struct.pack("<I", 3) + b"abc\0"
    path.write_bytes(content[:at] + odd + content[at:] + b"LIST" + b"\xff\xff\0\0")

    assert len(_audio.decode(path).samples) == 1_600


def test_no_file_stays_open(tmp_path: Path) -> None:
    names = bad_files(tmp_path)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    for name in [*names, "whole.wav", "whole.flac"]:
        try:
            _audio.decode(tmp_path / name)
        except ExtractionError:
            continue

    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_the_hash_is_the_same_for_every_lossless_encoding(tmp_path: Path) -> None:
    pcm = np.random.default_rng(1).integers(-(2**15), 2**15, 4_000).astype(np.int16)
    for format, subtype in (
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("FLAC", "PCM_16"),
        ("AIFF", "PCM_16"),
    ):
        name = tmp_path / f"{format}{subtype}"
        soundfile.write(name, pcm, 22_050, subtype, format=format)
    soundfile.write(tmp_path / "float.wav", pcm / 2**15, 22_050, "FLOAT")
    soundfile.write(tmp_path / "twice.wav", np.stack([pcm] * 2, 1), 22_050, "PCM_16")

    hashes = {_audio.waveform_hash(_audio.decode(path)) for path in tmp_path.iterdir()}

    assert len(hashes) == 1
    assert len(hashes.pop()) == 64


def test_the_hash_tells_other_sounds_apart() -> None:
    samples = sound()[:, 0].astype(np.float32)
    samples[5] = 0.0
    told = _audio.waveform_hash(Decoded(samples, 16_000, 1))

    negative = samples.copy()
    negative[5] = -0.0
    assert _audio.waveform_hash(Decoded(negative, 16_000, 1)) == told
    assert _audio.waveform_hash(Decoded(samples, 16_000, 2)) == told
    assert _audio.waveform_hash(Decoded(samples, 16_001, 1)) != told
    assert _audio.waveform_hash(Decoded(samples[:-1], 16_000, 1)) != told
    nudged = samples.copy()
    nudged[0] = np.nextafter(nudged[0], np.float32(1))
    assert _audio.waveform_hash(Decoded(nudged, 16_000, 1)) != told


def test_clipping_counts_full_scale_of_16_bits(tmp_path: Path) -> None:
    pcm = np.zeros(1_000, np.int16)
    pcm[:3], pcm[3:5], pcm[5] = 32_767, -32_768, 32_766
    soundfile.write(tmp_path / "a.wav", pcm, 16_000)

    assert _audio.clipping(_audio.decode(tmp_path / "a.wav").samples) == 0.005


def test_silence_counts_frames_below_60_decibels() -> None:
    level = np.repeat([1.1e-3, 0.9e-3, 0.0, 0.5], 160).astype(np.float32)
    level[::2] *= -1

    assert _audio.silence(Decoded(level, 8_000, 1)) == 0.5
    assert _audio.silence(Decoded(level[:-1], 8_000, 1)) == pytest.approx(2 / 3)


def test_an_end_a_little_behind_the_file_is_its_end(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sound(1.0), 16_000)

    decoded = _audio.decode(tmp_path / "a.wav", 0.5, 1.4)

    assert decoded.duration == 0.5
