"""RAVDESS: the whole corpus by name, and every odd case."""

import os
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from contracts.manifest import Leftover, Utterance
from corpora.ravdess import CORPUS, LABELS, utterances

CHECKOUT = Path(__file__).resolve().parent.parent
SHARED = CHECKOUT.parent / "shared" / "corpora" / "ravdess"


def write_skeleton(root: Path) -> Path:
    """Write empty files with the 1440 published names."""
    for actor in range(1, 25):
        folder = root / f"Actor_{actor:02}"
        folder.mkdir(parents=True)
        for emotion, strength, text, time in product(range(1, 9), *[(1, 2)] * 3):
            if (emotion, strength) != (1, 2):
                name = f"03-01-{emotion:02}-{strength:02}-{text:02}-{time:02}"
                (folder / f"{name}-{actor:02}.wav").touch()
    return root


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    told = Path(os.environ.get("EMOCACHE_RAVDESS", SHARED))
    if told.is_dir():
        return told
    return write_skeleton(tmp_path_factory.mktemp("ravdess"))


def one(root: Path, name: str) -> Utterance | Leftover:
    """Read a corpus of one empty file."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).touch()
    (found,) = utterances(root)
    return found


def test_whole_corpus_has_its_published_counts(whole: Path) -> None:
    found = [u for u in utterances(whole) if isinstance(u, Utterance)]

    assert len(found) == CORPUS.n_utterances == 1440
    assert Counter(u.label for u in found) == CORPUS.label_counts
    assert CORPUS.label_counts["neutral"] == 96
    speakers = Counter(u.speaker for u in found)
    assert speakers == {f"{i:02}": 60 for i in range(1, 25)}
    assert Counter(u.sex for u in found) == {"female": 720, "male": 720}
    assert Counter(u.sentence for u in found) == {"01": 720, "02": 720}
    assert not any(u.remark for u in found)
    assert len({u.name for u in found}) == 1440


def test_skeleton_is_read_whole(tmp_path: Path) -> None:
    found = list(utterances(write_skeleton(tmp_path)))

    assert len(found) == 1440
    assert all(isinstance(u, Utterance) for u in found)


@pytest.mark.parametrize(("code", "label"), list(enumerate(LABELS, 1)))
def test_emotion_codes_are_the_published_ones(
    code: int, label: str, tmp_path: Path
) -> None:
    found = one(tmp_path, f"03-01-{code:02}-01-02-01-12.wav")

    assert isinstance(found, Utterance)
    assert found.label == label


def test_all_fields_of_a_name_are_read(tmp_path: Path) -> None:
    found = one(tmp_path, "03-01-05-02-02-01-11.wav")

    assert found == Utterance(
        tmp_path / "03-01-05-02-02-01-11.wav",
        speaker="11",
        label="angry",
        sex="male",
        sentence="02",
        text="Dogs are sitting by the door",
        traits={"intensity": "strong", "repetition": "01"},
        name="03-01-05-02-02-01-11",
    )


@pytest.mark.parametrize(
    "name",
    [
        "03-01-05-01-02-01-12.WAV",
        "03-01-05-01-02-01-12.flac",
        "03-01-05-01-02-01-12.Ogg",
        "03-01-05-01-02-01-12.mp3",
        "a/b/Actor_12/03-01-05-01-02-01-12.wav",
        "angry/03-01-05-01-02-01-12.wav",
    ],
)
def test_files_are_found_by_name_anywhere(name: str, tmp_path: Path) -> None:
    found = one(tmp_path, name)

    assert isinstance(found, Utterance)
    assert (found.speaker, found.label, found.sex) == ("12", "angry", "female")
    assert found.remark is None


def test_a_doubled_copy_carries_the_same_name(tmp_path: Path) -> None:
    for folder in ("Actor_12", "audio_speech_actors_01-24/Actor_12"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "03-01-05-01-02-01-12.wav").touch()

    first, second = utterances(tmp_path)

    assert isinstance(first, Utterance)
    assert isinstance(second, Utterance)
    assert first.name == second.name == "03-01-05-01-02-01-12"


def test_the_name_is_believed_and_not_the_folder(tmp_path: Path) -> None:
    found = one(tmp_path, "Actor_07/03-01-03-01-01-01-05.wav")

    assert isinstance(found, Utterance)
    assert found.speaker == "05"
    assert found.remark is not None
    assert "folder 'Actor_07' but its name says actor 05" in found.remark


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("03-02-05-01-02-01-12.wav", "song, kept apart"),
        ("01-01-05-01-02-01-12.mp4", "video, suffix '.mp4'"),
        ("02-01-05-01-02-01-12.mp4", "video, suffix '.mp4'"),
        ("01-01-05-01-02-01-12.wav", "modality 01 is video"),
        ("02-02-05-01-02-01-12.wav", "modality 02 is video"),
        (".DS_Store", "hidden file"),
        ("._03-01-05-01-02-01-12.wav", "hidden file"),
        ("Thumbs.db", "hidden file"),
        ("README", "no audio by its name"),
        ("labels.csv", "no audio by its name"),
        ("Audio_Speech_Actors_01-24.zip", "no audio by its name"),
    ],
)
def test_what_is_no_speech_is_said_without_fault(
    name: str, reason: str, tmp_path: Path
) -> None:
    found = one(tmp_path, name)

    assert isinstance(found, Leftover)
    assert found.reason.startswith(reason)
    assert not found.fault


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("03-01-09-01-02-01-12.wav", "unknown emotion: expected 01 to 08, got '09'"),
        ("03-01-00-01-02-01-12.wav", "unknown emotion: expected 01 to 08, got '00'"),
        ("03-01-05-01-02-01-25.wav", "unknown actor: expected 01 to 24, got '25'"),
        ("03-01-05-01-02-01-00.wav", "unknown actor: expected 01 to 24, got '00'"),
        ("03-01-05-03-02-01-12.wav", "unknown intensity: expected 01 to 02, got '03'"),
        ("03-01-01-02-02-01-12.wav", "unknown intensity: expected 01 for neutral, got"),
        ("03-01-05-01-03-01-12.wav", "unknown statement: expected 01 to 02, got '03'"),
        ("03-01-05-01-02-03-12.wav", "unknown repetition: expected 01 to 02, got '03'"),
        ("04-01-05-01-02-01-12.wav", "unknown modality: expected 01 to 03, got '04'"),
        ("03-03-05-01-02-01-12.wav", "unknown channel: expected 01 to 02, got '03'"),
        ("03-01-05-01-02-12.wav", "unknown name: expected seven two-digit numbers"),
        ("03-01-05-01-02-01-12-1.wav", "unknown name: expected seven"),
        ("03-01-05-01-02-01-12 (1).wav", "unknown name: expected seven"),
        ("angry.wav", "unknown name: expected seven two-digit numbers"),
        ("03-01-05-01-02-01-12.wav.crdownload", "unfinished download"),
    ],
)
def test_a_name_that_cannot_be_is_a_fault(
    name: str, reason: str, tmp_path: Path
) -> None:
    found = one(tmp_path, name)

    assert isinstance(found, Leftover)
    assert found.reason.startswith(reason)
    assert found.fault


def test_every_wrong_field_is_named(tmp_path: Path) -> None:
    found = one(tmp_path, "03-01-09-01-02-01-25.wav")

    assert isinstance(found, Leftover)
    assert "unknown emotion" in found.reason
    assert "unknown actor" in found.reason
