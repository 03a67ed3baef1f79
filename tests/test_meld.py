"""MELD: tables, parts that share names, and every odd folder."""

from pathlib import Path

import pytest

from contracts.errors import ManifestError
from contracts.manifest import Leftover, Utterance
from corpora.meld import CORPUS, claims, utterances

HEADS = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,"
    "Episode,StartTime,EndTime"
)
TIMES = '4,7,"00:20:57,256","00:21:00,049"'
FOLDERS = {
    "train": "train/train_splits",
    "dev": "dev/dev_splits_complete",
    "test": "test/output_repeated_splits_test",
}


def rows(*lines: str) -> str:
    return "\n".join([HEADS, *(f"{line},{TIMES}" for line in lines)]) + "\n"


TABLES = {
    "train": rows(
        '1,"Oh my God, he\u0092s lost it.",Phoebe,sadness,negative,0,0',
        "2,What?,Chandler,surprise,negative,0,1",
    ),
    "dev": rows("1,Where?!,The Waiter,Neutral,neutral,0,0"),
    "test": rows('1,"""Wanted."" Nice!",Rachel,joy,positive,0,0'),
}


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        data = text.encode() if isinstance(text, str) else text
        (root / name).write_bytes(data)
    return root


def published(root: Path) -> Path:
    """Write a folder as it is published."""
    files: dict[str, str | bytes] = {
        f"{part}_sent_emo.csv": table for part, table in TABLES.items()
    }
    files |= {f"{folder}/dia0_utt0.mp4": "" for folder in FOLDERS.values()}
    files[f"{FOLDERS['train']}/dia0_utt1.mp4"] = ""
    files[f"{FOLDERS['test']}/final_videos_testdia0_utt0.mp4"] = ""
    files[f"{FOLDERS['test']}/._dia0_utt0.mp4"] = ""
    return write(root / "MELD.Raw", files)


def read(root: Path) -> tuple[dict[str, Utterance], list[str]]:
    """Return utterances by name, and the faults."""
    found = list(utterances(root))
    named = {str(u.name): u for u in found if isinstance(u, Utterance)}
    faults = [x for x in found if isinstance(x, Leftover) and x.fault]
    return named, [f"{x.path.name}: {x.reason}" for x in faults]


def test_a_row_is_read_whole(tmp_path: Path) -> None:
    root = published(tmp_path)

    found, faults = read(root)

    assert found["train_dia0_utt0"] == Utterance(
        root / FOLDERS["train"] / "dia0_utt0.mp4",
        speaker="Phoebe",
        label="sadness",
        sex="female",
        split="train",
        text="Oh my God, he’s lost it.",
        traits={"sentiment": "negative", "dialogue": "train_dia0"},
        name="train_dia0_utt0",
    )
    assert not faults


def test_parts_that_share_names_are_told_apart_by_folder(tmp_path: Path) -> None:
    found, _ = read(published(tmp_path))

    told = {n: (u.speaker, u.label, u.split, u.sex) for n, u in found.items()}
    assert told == {
        "train_dia0_utt0": ("Phoebe", "sadness", "train", "female"),
        "train_dia0_utt1": ("Chandler", "surprise", "train", "male"),
        "dev_dia0_utt0": ("The Waiter", "neutral", "dev", None),
        "test_dia0_utt0": ("Rachel", "joy", "test", "female"),
    }
    assert found["test_dia0_utt0"].text == '"Wanted." Nice!'
    assert {u.label for u in found.values()} <= set(CORPUS.labels)


def test_every_file_is_an_utterance_or_a_leftover(tmp_path: Path) -> None:
    root = published(tmp_path)

    found = list(utterances(root))

    assert {x.path for x in found} == {p for p in root.rglob("*") if p.is_file()}
    left = {x.path.name: x.reason for x in found if isinstance(x, Leftover)}
    assert left["final_videos_testdia0_utt0.mp4"].startswith(
        "final_videos_test, a copy"
    )
    assert left["._dia0_utt0.mp4"] == "hidden file"


@pytest.mark.parametrize(
    "name",
    [
        "train_dia0_utt0.wav",
        "test/train_dia0_utt0.flac",
        "test/train/dia0_utt0.wav",
        "wav/MELD_TRAIN/dia0_utt0.wav",
        "training set/Dia0_Utt0.WAV",
        "train/latest/dia0_utt0.wav",
    ],
)
def test_the_name_then_the_nearest_folder_says_the_part(
    name: str, tmp_path: Path
) -> None:
    files: dict[str, str | bytes] = {
        f"{part}_sent_emo.csv": table for part, table in TABLES.items()
    }

    found, _ = read(write(tmp_path, files | {name: ""}))

    assert list(found) == ["train_dia0_utt0"]


def test_a_part_that_nothing_tells_is_asked_for(tmp_path: Path) -> None:
    tables = {f"{part}_sent_emo.csv": TABLES[part] for part in ("train", "test")}

    found, faults = read(write(tmp_path, {**tables, "latest/dia0_utt0.wav": ""}))

    assert not found
    assert faults[0] == (
        "dia0_utt0.wav: of which part: expected a folder with train, dev or test in "
        "its name, got 'latest'"
    )


@pytest.mark.parametrize(
    "name",
    ["traindevtest_wavs", "train_test", "x/MELD train+dev", "test/trainval"],
)
def test_a_folder_that_names_several_parts_tells_none(
    name: str, tmp_path: Path
) -> None:
    tables = {f"{part}_sent_emo.csv": TABLES[part] for part in ("train", "test")}
    files = {f"{name}/dia0_utt0.wav": "", f"{name}/train_dia0_utt1.wav": ""}

    found, faults = read(write(tmp_path, {**tables, **files}))

    assert list(found) == ["train_dia0_utt1"]
    (said,) = (fault for fault in faults if fault.startswith("dia0_utt0.wav: "))
    assert said.startswith("dia0_utt0.wav: of which part: expected a folder with tr")
    assert f"got {Path(name).name!r}, which names train, " in said


@pytest.mark.parametrize("name", ["dev_val", "valid", "dev-val/clips"])
def test_two_words_for_one_part_are_one(name: str, tmp_path: Path) -> None:
    files = {f"{name}/dia0_utt0.wav": "", "train_sent_emo.csv": TABLES["train"]}

    found, _ = read(write(tmp_path, {"dev_sent_emo.csv": TABLES["dev"], **files}))

    assert list(found) == ["dev_dia0_utt0"]


def test_the_only_table_tells_the_part_where_a_folder_names_two(
    tmp_path: Path,
) -> None:
    files = {"dev_sent_emo.csv": TABLES["dev"], "train_dev/dia0_utt0.mp4": ""}

    found, _ = read(write(tmp_path, dict(files)))

    assert list(found) == ["dev_dia0_utt0"]


def test_published_parts_share_speakers_so_none_is_the_protocol() -> None:
    assert CORPUS.protocol == "speakers-5fold"


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("dia0_utt0.mp4", True),
        ("train/TRAIN_Dia10_utt3.wav", True),
        ("dia0.mp4", False),
        ("my_dia0_utt0.wav", False),
    ],
)
def test_names_that_are_surely_of_meld(name: str, ours: bool) -> None:
    assert claims(Path(name)) is ours


def test_the_only_table_tells_the_part(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"dev_sent_emo.csv": TABLES["dev"]}

    found, faults = read(write(tmp_path, files | {"clips/dia0_utt0.mp4": ""}))

    assert list(found) == ["dev_dia0_utt0"]
    assert not faults


def test_sound_goes_before_video_of_the_same_utterance(tmp_path: Path) -> None:
    root = published(tmp_path)
    write(root, {"dev/wav/dia0_utt0.wav": ""})

    found, faults = read(root)
    left = {x.path.name: x for x in utterances(root) if isinstance(x, Leftover)}

    assert found["dev_dia0_utt0"].path.suffix == ".wav"
    assert left["dia0_utt0.mp4"].reason == (
        "video of which the sound is dev/wav/dia0_utt0.wav"
    )
    assert not faults


def test_a_missing_table_is_one_sentence(tmp_path: Path) -> None:
    write(tmp_path, {"train/dia0_utt0.mp4": ""})

    with pytest.raises(ManifestError, match=r"holds no table of MELD: expected train_"):
        list(utterances(tmp_path))


def test_a_missing_column_is_one_sentence(tmp_path: Path) -> None:
    write(tmp_path, {"train_sent_emo.csv": "Utterance,Speaker\nHi,Joey\n"})

    lacks = r"lacks Emotion, Dialogue_ID, Utterance_ID: expected .* got Utterance, Spe"
    with pytest.raises(ManifestError, match=lacks):
        list(utterances(tmp_path))


def test_broken_rows_are_named_by_file_and_line(tmp_path: Path) -> None:
    table = rows(
        '1,"two\nlines",Joey,joy,positive,0,0',
        "2,Hm,Joey,bliss,positive,0,1",
        "3,Hm,Joey,joy,positive,zero,2",
        "4,Hm,Joey,joy,positive,0",
        "5,Hm,Joey,joy,positive,0,5",
        "6,Hm,Ross,joy,positive,0,5",
        '7,"two\nlines",Joey,joy,positive,0,0',
    )
    root = write(tmp_path, {"dev_sent_emo.csv": table, "dia0_utt0.wav": ""})

    found, faults = read(root)

    assert found["dev_dia0_utt0"].text == "two\nlines"
    emotions = "neutral, surprise, fear, sadness, joy, disgust, anger"
    assert faults == [
        f"dev_sent_emo.csv: line 4: unknown emotion: expected {emotions}, got 'bliss'",
        "dev_sent_emo.csv: line 5: expected numbers of dialogue and utterance, got "
        "zero, 2",
        "dev_sent_emo.csv: line 6: expected 11 cells, got 10",
        "dev_sent_emo.csv: line 8: tells other things of dia0_utt5 than line 7",
    ]


def test_a_quote_that_never_ends_takes_its_row_alone(tmp_path: Path) -> None:
    table = TABLES["dev"] + '2,"Where' + "?!\n" * 50_000
    root = write(tmp_path, {"dev_sent_emo.csv": table, "dia0_utt0.wav": ""})

    found, faults = read(root)

    assert list(found) == ["dev_dia0_utt0"]
    assert faults[0].endswith("expected 11 cells, got 1")


def test_files_and_rows_without_one_another_are_named(tmp_path: Path) -> None:
    root = published(tmp_path)
    (root / FOLDERS["train"] / "dia0_utt1.mp4").unlink()
    write(root, {"dev/dia9_utt0.mp4": "", "dev/trailer.mp4": ""})

    _, faults = read(root)

    assert faults == [
        "dia9_utt0.mp4: no row of a dev table tells of dia9_utt0",
        "trailer.mp4: unknown name: expected one such as dia0_utt0, got 'trailer'",
        "train_sent_emo.csv: line 3: no file dia0_utt1 of train",
    ]


def test_windows_signs_and_copies_of_a_table_are_read(tmp_path: Path) -> None:
    table = rows("1,it’s,Joey,joy,positive,0,0").encode("cp1252")
    files: dict[str, str | bytes] = {
        "a/train_sent_emo.csv": table,
        "b/train_sent_emo.csv": table,
        "c/train_sent_emo.csv": table + b"\n",
        "train/dia0_utt0.wav": "",
    }

    found, faults = read(write(tmp_path, files))

    assert found["train_dia0_utt0"].text == "it’s"
    assert faults == [
        "train_sent_emo.csv: not read: it differs from a/train_sent_emo.csv"
    ]


def test_published_counts_sum_up() -> None:
    assert sum(CORPUS.label_counts.values()) == CORPUS.n_utterances == 13708
