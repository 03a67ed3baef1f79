"""Sound out of containers: against what was put in, and every way it can be broken."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from contracts.errors import ExtractionError
from extract import _audio, _containers, _spool

av = pytest.importorskip("av", reason="needs the extra 'video'")
SR = 16_000


def tone(seconds: float = 2.0, sr: int = SR) -> NDArray[np.float32]:
    t = np.arange(round(seconds * sr)) / sr
    sweep = np.sin(2 * np.pi * (200 * t + 150 * t**2)) * np.hanning(len(t))
    return (0.5 * sweep).astype(np.float32)


def contain(
    path: Path,
    samples: NDArray[np.float32],
    codec: str,
    sr: int = SR,
    channels: int = 1,
) -> Path:
    """Write ``(time,)`` into a container, the same on every channel."""
    layout = "mono" if channels == 1 else "stereo"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=sr, layout=layout)
        data = np.repeat(samples[None], channels, axis=0)
        for i in range(0, data.shape[1], 1024):
            piece = np.ascontiguousarray(data[:, i : i + 1024])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = sr, i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def film(path: Path, samples: NDArray[np.float32] | None) -> Path:
    """Write a short film, with sound if there are samples."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width = video.height = 64
        sound = None if samples is None else container.add_stream("aac", rate=SR)
        for i in range(20):
            picture = np.full((64, 64, 3), 10 * i, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None and samples is not None:
            for i in range(0, len(samples), 1024):
                piece = samples[None, i : i + 1024]
                frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = SR, i
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "sr"),
    [
        ("a.m4a", "aac", SR),
        ("a.mp4", "aac", 44_100),
        ("a.mkv", "aac", SR),
        ("a.mkv", "pcm_s16le", SR),
        ("a.webm", "libopus", 48_000),
        ("a.aac", "aac", SR),
        ("a.mov", "aac", SR),
    ],
)
def test_sound_comes_out_as_it_went_in(
    tmp_path: Path, name: str, codec: str, sr: int
) -> None:
    samples = tone(sr=sr)
    path = contain(tmp_path / name, samples, codec, sr)
    # the name says nothing
    hidden = path.rename(tmp_path / "speech.wav")

    decoded = _audio.decode(hidden)

    assert decoded.sampling_rate == sr
    assert decoded.channels == 1
    # raw AAC says nowhere how much padding it begins with: one frame of 1024
    begin = 1024 if name == "a.aac" else 0
    heard = decoded.samples[begin : begin + len(samples)]
    assert len(heard) >= len(samples) - 1
    assert len(decoded.samples) <= len(samples) + 3 * 1024
    assert np.corrcoef(heard, samples[: len(heard)])[0, 1] > 0.99


def test_stereo_is_averaged(tmp_path: Path) -> None:
    path = contain(tmp_path / "a.m4a", tone(), "aac", channels=2)

    decoded = _audio.decode(path)

    assert decoded.channels == 2
    assert np.corrcoef(decoded.samples[: len(tone())], tone())[0, 1] > 0.99


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_film_is_heard(tmp_path: Path, name: str) -> None:
    decoded = _audio.decode(film(tmp_path / name, tone()))

    assert decoded.duration == pytest.approx(2.0, abs=0.07)


@pytest.mark.parametrize(("start", "end"), [(0.5, 1.25), (None, 0.5), (1.5, None)])
def test_a_segment_is_that_part_of_the_whole(
    tmp_path: Path, start: float | None, end: float | None
) -> None:
    path = contain(tmp_path / "a.m4a", tone(), "aac")
    whole = _audio.decode(path).samples

    part = _audio.decode(path, start, end).samples

    last = len(whole) if end is None else round(end * SR)
    np.testing.assert_array_equal(part, whole[round((start or 0) * SR) : last])


def test_a_segment_beyond_the_end_is_refused(tmp_path: Path) -> None:
    path = contain(tmp_path / "a.m4a", tone(), "aac")

    with pytest.raises(ExtractionError, match=r"no such segment.*got 3-4 s"):
        _audio.decode(path, 3.0, 4.0)


def test_a_film_without_sound_is_refused(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", None)

    with pytest.raises(ExtractionError, match="holds no sound: expected an audio"):
        _audio.decode(path)


def test_a_truncated_container_is_refused(tmp_path: Path) -> None:
    path = contain(tmp_path / "a.mkv", tone(10.0), "pcm_s16le")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])

    with pytest.raises(ExtractionError, match="is truncated|is damaged"):
        _audio.decode(path)


def test_a_container_of_nonsense_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    path.write_bytes(b"\0\0\0 ftypM4A " + bytes(range(256)) * 9)

    with pytest.raises(ExtractionError, match="is damaged: expected whole MP4"):
        _audio.decode(path)


def test_without_pyav_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = contain(tmp_path / "a.m4a", tone(), "aac")
    monkeypatch.setitem(sys.modules, "av", None)

    with pytest.raises(ExtractionError, match=r"is MP4, which needs PyAV.*\[video\]"):
        _audio.decode(path)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff"])
def test_what_libsndfile_reads_is_no_container(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / name, tone(), SR)

    assert _containers.kind((tmp_path / name).read_bytes()[:12]) == ""


@pytest.mark.parametrize(
    ("name", "can"),
    [("a.wav", True), ("a.flac", True), ("a.aiff", True), ("a.mp3", False)]
    + [("a.ogg", False), ("a.m4a", False)],
)
def test_which_files_can_be_sought_in(tmp_path: Path, name: str, can: bool) -> None:
    path = tmp_path / name
    if name == "a.m4a":
        contain(path, tone(), "aac")
    else:
        soundfile.write(path, tone(), SR)

    assert _audio.can_seek(path) is can


@pytest.mark.parametrize("name", ["a.m4a", "a.mp3", "a.ogg", "a.wav"])
def test_many_segments_of_one_file_decode_it_once(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    if name == "a.m4a":
        contain(path, tone(10.0), "aac", channels=2)
    else:
        soundfile.write(path, tone(10.0), SR)
    cuts = [(0.7 * i, 0.7 * i + 0.6) for i in range(12)]
    alone = [_audio.decode(path, *cut) for cut in cuts]
    opened: list[Path] = []
    original = _audio.blocks
    monkeypatch.setattr(_audio, "blocks", lambda p: opened.append(p) or original(p))

    with _spool.spool([path] * len(cuts), tmp_path) as sounds:
        heard = [sounds.decode(path, *cut) for cut in cuts]
        folder = sounds.folder

    assert len(opened) == (name != "a.wav")
    for one, other in zip(alone, heard, strict=True):
        assert _audio.waveform_hash(one) == _audio.waveform_hash(other)
        assert (one.channels, one.sampling_rate) == (
            other.channels,
            other.sampling_rate,
        )
    assert not folder.exists()


def test_a_file_that_breaks_off_is_told_once_and_named(tmp_path: Path) -> None:
    path = contain(tmp_path / "a.mkv", tone(10.0), "pcm_s16le")
    path.write_bytes(path.read_bytes()[:-160_000])

    with _spool.spool([path, path], tmp_path) as sounds:
        for _ in range(2):
            with pytest.raises(
                ExtractionError, match=r"a\.mkv' is (truncated|damaged)"
            ):
                sounds.decode(path, 0.0, 1.0)


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / "spool-left").mkdir()
    (tmp_path / "spool-left" / "0.w64").write_bytes(b"x")
    (tmp_path / "features").mkdir()

    _spool.sweep(tmp_path)

    assert [p.name for p in tmp_path.iterdir()] == ["features"]


def test_sound_that_begins_after_the_picture_keeps_the_file_s_clock(
    tmp_path: Path,
) -> None:
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width = video.height = 64
        sound = container.add_stream("pcm_s16le", rate=SR, layout="mono")
        for i in range(40):
            picture = np.full((64, 64, 3), 5 * i, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        data = (tone() * 32767).astype(np.int16)
        for i in range(0, len(data), 1000):
            piece = av.AudioFrame.from_ndarray(
                data[None, i : i + 1000], format="s16", layout="mono"
            )
            piece.sample_rate, piece.pts = SR, i + SR  # a second after the picture
            container.mux(sound.encode(piece))
        container.mux(sound.encode(None))

    whole, part = _audio.decode(path).samples, _audio.decode(path, 1.5, 2.0).samples

    assert not whole[: SR - 200].any()
    assert len(whole) == pytest.approx(3 * SR, abs=200)
    np.testing.assert_allclose(part, tone()[SR // 2 : SR], atol=2e-3)
