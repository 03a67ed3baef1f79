"""Importers of plain lists: told apart, read, and messy ones in clear sentences."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from contracts.errors import ManifestError, PluginError
from contracts.manifest import Leftover, Utterance
from corpora import audiofolder, class_folders, emobox, kaldi, table
from corpora._numbers import seconds
from extract import _recognising, _scan

Rows = list[Utterance | Leftover]


def touch(root: Path, *names: str) -> None:
    """Make empty recordings."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def write(path: Path, *lines: object) -> Path:
    """Write lines, objects as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


def well(items: Rows) -> list[Utterance]:
    return [item for item in items if isinstance(item, Utterance)]


def faults(items: Rows) -> list[str]:
    return [item.reason for item in items if isinstance(item, Leftover) and item.fault]


def quiet(items: Rows) -> list[str]:
    return [i.path.name for i in items if isinstance(i, Leftover) and not i.fault]


# --- durations in tables: nkululeko, audformat ---


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("0 days 00:00:01.500000000", 1.5),
        ("1 days 01:00:00", 90_000.0),
        ("1 day, 0:00:01", 86_401.0),
        ("0:01:00.25", 60.25),
        ("0 days", 0.0),
        ("2.5", 2.5),
        ("", None),
        ("days", None),
        ("0 days00:00:01", None),
        ("12:34", None),
        ("nan", None),
    ],
)
def test_durations_are_seconds(cell: str, expected: float | None) -> None:
    assert seconds(cell) == expected


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_every_duration_of_pandas_is_read_back(suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    start = np.cumsum(rng.uniform(0.01, 90_000, 20)).round(6)
    frame = pd.DataFrame(
        {
            "file": "a.wav",
            "start": pd.to_timedelta(start, unit="s"),
            "end": pd.to_timedelta(start + 1, unit="s"),
            "speaker": "s",
            "emotion": "joy",
        }
    )
    touch(tmp_path, "a.wav")
    path = tmp_path / f"x.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)

    found = well(list(table.utterances(path)))

    assert [u.start for u in found] == pytest.approx(list(start), abs=1e-6)
    assert [u.end for u in found] == pytest.approx(list(start + 1), abs=1e-6)


def test_a_table_of_nkululeko_is_a_table(tmp_path: Path) -> None:
    touch(tmp_path, "audio/a.wav")
    write(
        tmp_path / "emo.csv",
        "file,start,end,speaker,gender,emotion",
        "audio/a.wav,0 days 00:00:00.500000,0 days 00:00:02,s1,female,happy",
        "audio/a.wav,0 days 00:00:02,NaT,s1,female,sad",
    )

    first, second = _recognising.plugin_for("mine", tmp_path).utterances(tmp_path)

    assert (first.start, first.end, first.sex) == (0.5, 2.0, "female")
    assert (second.start, second.end, second.label) == (2.0, None, "sad")
    assert "nkululeko" in (table.__doc__ or "").splitlines()[0]


# --- audiofolder ---

METADATA = {
    "file_name": ["a.wav", "b.wav", "gone.wav"],
    "emotion": ["happy", "sad", "sad"],
    "speaker_id": ["1", "2", "2"],
    "arousal": [0.5, 0.25, 1.0],
}


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_every_metadata_says_the_same(suffix: str, tmp_path: Path) -> None:
    frame, path = pd.DataFrame(METADATA), tmp_path / f"metadata.{suffix}"
    touch(tmp_path, "a.wav", "b.wav", "extra.wav")
    if suffix == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif suffix == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)

    found = list(audiofolder.utterances(tmp_path))

    assert audiofolder.recognises(tmp_path) and audiofolder.recognises(path)
    assert well(found) == [
        Utterance(tmp_path / "a.wav", "1", "happy", traits={"arousal": 0.5}),
        Utterance(tmp_path / "b.wav", "2", "sad", traits={"arousal": 0.25}),
    ]
    row = 4 if suffix == "csv" else 3
    assert faults(found) == [f"no such file, named in row {row} of metadata.{suffix}"]
    assert quiet(found) == ["extra.wav"]


@pytest.mark.parametrize("inside", ["", "data"])
def test_splits_are_the_folders_of_the_metadata(inside: str, tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        folder = tmp_path / inside / split
        touch(folder, "x/a.wav")
        write(folder / "metadata.csv", "file_name,label,speaker", "x/a.wav,joy,s")

    found = list(audiofolder.utterances(tmp_path))

    assert audiofolder.recognises(tmp_path)
    assert [u.split for u in well(found)] == ["test", "train", "dev"]
    assert not faults(found)
    assert not quiet(found)


def test_one_metadata_tells_splits_by_the_files_folders(tmp_path: Path) -> None:
    touch(tmp_path, "train/a.wav", "eval/b.wav")
    write(
        tmp_path / "metadata.csv",
        "audio_file_name,label,split",
        "train/a.wav,joy,",
        "eval/b.wav,joy,dev",
    )

    found = well(list(audiofolder.utterances(tmp_path)))

    assert [u.split for u in found] == ["train", "dev"]
    assert found[0].remark == "2 of 2 rows of the metadata name no speaker"
    assert found[1].remark is None


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ("file_name,speaker", "lacks emotion"),
        ("x_file_name,y_file_name,label", "one \\*_file_name, got x_file_name, y_"),
        ("file,label", "expected file_name or one \\*_file_name, got file, label"),
    ],
)
def test_unclear_metadata_is_refused(heads: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "metadata.csv", heads)

    with pytest.raises(ManifestError, match=message):
        list(audiofolder.utterances(path))


def test_other_columns_that_name_files_are_traits(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    path = write(tmp_path / "metadata.csv", "file,file_name,label", "z.mp3,a.wav,joy")

    (found,) = well(list(audiofolder.utterances(path)))

    assert (found.path.name, found.traits) == ("a.wav", {"file": "z.mp3"})


def test_files_named_by_way_of_a_link_are_not_left_over(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.wav", "real/b.wav")
    (tmp_path / "b.wav").symlink_to(tmp_path / "real" / "b.wav")
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    write(tmp_path / "metadata.csv", "file_name,label", "linked/a.wav,joy", "b.wav,joy")

    found = list(audiofolder.utterances(tmp_path))

    assert len(well(found)) == 2
    assert quiet(found) == ["linked"]


def test_two_metadata_in_one_folder_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "metadata.csv", "file_name,label")
    write(tmp_path / "metadata.jsonl", {"file_name": "a.wav", "label": "joy"})

    with pytest.raises(ManifestError, match="Keep one per folder"):
        list(audiofolder.utterances(tmp_path))


def test_broken_lines_are_named_by_number(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    path = tmp_path / "metadata.jsonl"
    line = b'{"file_name": "a.wav", "label": "joy"}\n'
    path.write_bytes(line + b'\n["a"]\n{"file\n{"label": "\xe9"}\n{"label": "sad"}\n')

    found = list(audiofolder.utterances(path))

    assert len(well(found)) == 1
    no_file, no_object, no_json, no_text = faults(found)
    assert no_file == "no file is named in row 6 of metadata.jsonl"
    assert no_object == "line 3 of metadata.jsonl: expected one JSON object, got: list"
    assert no_json.startswith("line 4 of metadata.jsonl: expected one JSON object")
    assert no_text.startswith("line 5 of metadata.jsonl is no UTF-8")


# --- folders named by emotion ---


def test_folders_named_by_emotion_are_labels(tmp_path: Path) -> None:
    touch(tmp_path, "Happy/a.wav", "anger/b.wav", "misc/c.wav", "d.wav")

    found = list(class_folders.utterances(tmp_path))

    assert class_folders.recognises(tmp_path)
    assert [(u.label, u.speaker) for u in well(found)] == [
        ("happy", None),
        ("anger", None),
    ]
    assert "no speaker" in (well(found)[0].remark or "")
    assert faults(found) == [
        "unknown folder: expected an emotion, got no folder",
        "unknown folder: expected an emotion, got 'misc'",
    ]


def test_folders_of_a_split_are_looked_into(tmp_path: Path) -> None:
    touch(tmp_path, "train/sad/a.wav", "validation/happy/b.wav")

    found = well(list(class_folders.utterances(tmp_path)))

    assert class_folders.recognises(tmp_path)
    assert [(u.label, u.split) for u in found] == [("sad", "train"), ("happy", "dev")]


def test_spellings_of_one_emotion_are_one_class(tmp_path: Path) -> None:
    touch(tmp_path, "train/Angry/a.wav", "train/Angry/b.wav", "test/anger/c.wav")
    touch(tmp_path, "train/SAD/a.wav", "test/sadness/b.wav", "train/joy/a.wav")

    found = well(list(class_folders.utterances(tmp_path)))

    told = sorted((u.path.parent.name, u.label) for u in found)
    assert told == [
        ("Angry", "angry"),
        ("Angry", "angry"),
        ("SAD", "sad"),
        ("anger", "angry"),
        ("joy", "joy"),
        ("sadness", "sad"),
    ]
    remark = found[0].remark or ""
    assert "folders anger, angry are one class, called angry" in remark
    assert "folders sad, sadness are one class, called sad" in remark
    assert "joy" not in remark


@pytest.mark.parametrize(
    "folder", ["Pleasant_surprise", "pleasant_surprised", "PLEASANT SURPRISE"]
)
def test_pleasant_surprise_is_a_class_of_its_own(folder: str, tmp_path: Path) -> None:
    touch(tmp_path, f"{folder}/a.wav", "surprise/b.wav")

    found = well(list(class_folders.utterances(tmp_path)))

    assert class_folders.recognises(tmp_path)
    assert [u.label for u in found] == [folder.lower().replace("_", " "), "surprise"]


def test_two_spellings_of_one_emotion_are_no_layout(tmp_path: Path) -> None:
    touch(tmp_path, "train/Angry/a.wav", "test/anger/c.wav")

    assert not class_folders.recognises(tmp_path)


def test_folders_as_hugging_face_lays_them_out(tmp_path: Path) -> None:
    touch(tmp_path, "data/train/happy/a.wav", "data/validation/sad/b.wav")

    found = well(list(class_folders.utterances(tmp_path)))

    assert class_folders.recognises(tmp_path)
    assert [(u.label, u.split) for u in found] == [("happy", "train"), ("sad", "dev")]


def test_folders_that_say_a_speaker_are_believed_others_not(tmp_path: Path) -> None:
    touch(tmp_path, "train/Actor_01/happy/a.wav", "test/speaker-7/sad/b.wav")
    touch(tmp_path, "actor_01/happy/c.wav", "07/sad/d.wav", "Anna/happy/e.wav")

    found = well(list(class_folders.utterances(tmp_path)))

    told = {u.path.name: (u.speaker, u.split) for u in found}
    assert told == {
        "a.wav": ("actor_01", "train"),
        "b.wav": ("speaker-7", "test"),
        "c.wav": ("actor_01", None),
        "d.wav": (None, None),
        "e.wav": (None, None),
    }
    assert found[0].remark == "folders say no speaker of 2 of 5 recordings"
    assert class_folders.recognises(tmp_path)


def test_one_emotion_or_no_audio_is_no_layout(tmp_path: Path) -> None:
    touch(tmp_path, "happy/a.wav", "sad/a.txt", "cats/a.wav")

    assert not class_folders.recognises(tmp_path)


# --- kaldi ---


def kaldi_folder(root: Path) -> Path:
    touch(root, "wav/r1.wav", "wav/r2.wav")
    write(root / "data/wav.scp", "r1 wav/r1.wav", "r2 wav/r2.wav", "r3 sox x.sph - |")
    write(
        root / "data/segments",
        "u1 r1 0.5 2",
        "u2 r1 2 -1",
        "u3 r2 0 1",
        "u4 r3 0 1",
        "u5 r9 0 1",
        "u6 r1 3",
    )
    write(root / "data/utt2spk", "u1 s1", "u2 s1", "u3 s2")
    write(root / "data/utt2emo", "u1 happy", "u2 sad", "ux sad")
    write(root / "data/spk2gender", "s1 f", "s2 m")
    write(root / "data/text", "u1 hello you")
    return root / "data"


def test_kaldi_segments_are_utterances(tmp_path: Path) -> None:
    root = kaldi_folder(tmp_path)

    found = list(kaldi.utterances(root))

    assert kaldi.recognises(root) and kaldi.recognises(root / "wav.scp")
    one, two, three = well(found)
    assert one == Utterance(
        (tmp_path / "wav/r1.wav").absolute(),
        speaker="s1",
        label="happy",
        start=0.5,
        end=2.0,
        sex="female",
        text="hello you",
        traits={"key": "u1"},
        remark="3 of 6 are not in utt2spk; 4 of 6 are not in utt2emo",
    )
    assert (two.start, two.end, two.remark) == (2.0, None, None)
    assert (three.speaker, three.label, three.sex) == ("s2", None, "male")
    assert faults(found) == [
        "'r3' is a command, line 3 of wav.scp: no command is run. Write its sound to a "
        "file, name the file",
        "recording 'r9' of line 5 of segments is not in wav.scp",
        "line 6 of segments: expected a recording, start and end, got 'r1 3'",
        "1 of utt2emo are not in segments: ux",
    ]
    assert not quiet(found)


def test_kaldi_speakers_that_are_utterances_are_unknown(tmp_path: Path) -> None:
    touch(tmp_path, "train/a.wav", "train/b.wav", "test/a.wav")
    for split, keys in (("train", "ab"), ("test", "a")):
        folder = tmp_path / split
        write(folder / "wav.scp", *(f"{k} {folder}/{k}.wav" for k in keys))
        write(folder / "utt2spk", *(f"{k} {k}" for k in keys))
        write(folder / "utt2emo", *(f"{k} joy" for k in keys))

    found = well(list(kaldi.utterances(tmp_path)))

    assert [(u.split, u.speaker) for u in found] == [
        ("test", None),
        ("train", None),
        ("train", None),
    ]
    assert found[0].remark == "every utterance is a speaker of its own: all are unknown"


def kaldi_lists(root: Path, **lists: dict[str, str]) -> Path:
    """Write lists of a, b, ...: name of the list -> key -> speaker and emotion."""
    for name, told in lists.items():
        folder = root / "data" / name
        touch(root, *(f"wav/{key}.wav" for key in told))
        write(folder / "wav.scp", *(f"{key} wav/{key}.wav" for key in told))
        rows = {key: words.split() for key, words in told.items()}
        write(folder / "utt2spk", *(f"{k} {w[0]}" for k, w in rows.items()))
        write(folder / "utt2emo", *(f"{k} {w[1]}" for k, w in rows.items() if w[1:]))
    return root / "data"


def test_kaldi_lists_that_overlap_are_one_utterance(tmp_path: Path) -> None:
    every = {"a": "s1", "b": "s1 sad", "c": "s2 joy"}
    train, test = {"a": "s1 joy"}, {"c": "s2 joy"}
    root = kaldi_lists(tmp_path, all=every, test=test, train=train)

    found = list(kaldi.utterances(root))

    told = [(u.path.stem, u.speaker, u.label, u.split) for u in well(found)]
    assert told == [
        ("a", "s1", "joy", "train"),
        ("b", "s1", "sad", None),
        ("c", "s2", "joy", "test"),
    ]
    assert not faults(found)
    reasons = [x.reason for x in found if isinstance(x, Leftover)]
    assert reasons == [
        "line 1 of test/wav.scp tells of the same as line 3 of all/wav.scp",
        "line 1 of train/wav.scp tells of the same as line 1 of all/wav.scp",
    ]
    assert not _scan.scan("mine", root).leftovers[2:]


@pytest.mark.parametrize(
    ("first", "second", "wrong"),
    [
        ({"a": "s1 joy"}, {"a": "s1 joy"}, "expected one split, got test and train"),
        ({"a": "s1 joy"}, {"a": "s2 joy"}, "expected one speaker, got s1 and s2"),
        ({"a": "s1 joy"}, {"a": "s1 sad"}, "expected one label, got joy and sad"),
    ],
)
def test_kaldi_lists_that_contradict_one_another_are_faults(
    first: dict[str, str], second: dict[str, str], wrong: str, tmp_path: Path
) -> None:
    found = list(kaldi.utterances(kaldi_lists(tmp_path, train=first, test=second)))

    assert not well(found)
    both = "line 1 of test/wav.scp, line 1 of train/wav.scp"
    for reason in faults(found):
        assert reason.startswith(f"told of more than once, {both}: ")
        assert wrong in reason
    assert len(faults(found)) == 2


def test_kaldi_lists_that_are_broken_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "b.wav")
    write(tmp_path / "wav.scp", "a a.wav", "b b.wav", "c c.wav", "a b.wav", "lonely")
    write(tmp_path / "utt2emo", "b joy", "b joy")
    (tmp_path / "utt2spk").write_bytes(b"b \xff\n")

    found = list(kaldi.utterances(tmp_path))

    assert [u.path.name for u in well(found)] == ["b.wav"]
    assert faults(found) == [
        "no such file, named in row 3 of wav.scp",
        "line 5 of wav.scp: expected a key and more, got 'lonely'",
        "'a' is told of more than once, lines 1, 4 of wav.scp: expected one line",
        "line 1 of utt2spk is no UTF-8. Save the file as UTF-8",
    ]


def test_a_folder_without_wav_scp_is_refused(tmp_path: Path) -> None:
    assert not kaldi.recognises(tmp_path)
    with pytest.raises(ManifestError, match=r"expected wav\.scp.*got none"):
        list(kaldi.utterances(tmp_path))


# --- EmoBox ---


def line(dataset: str, wav: str, emo: str, **more: object) -> dict[str, object]:
    """Write one utterance as EmoBox does."""
    told = {"type": "raw", "sample_rate": 16000, "num_frame": 33978.0}
    told |= {"task": "category", "length": 2.123625, "channel": 1}
    key = f"{dataset}-{Path(wav).stem}"
    place = f"downloads/{dataset}/{wav}"
    return {"key": key, "dataset": dataset, "wav": place, "emo": emo, **told, **more}


def emobox_list(root: Path, name: str, *lines: dict[str, object]) -> Path:
    touch(root, *(str(told["wav"]) for told in lines))
    return write(root / "data" / str(lines[0]["dataset"]) / name, *lines)


@pytest.mark.parametrize(
    ("dataset", "wav", "emo", "speaker", "sex"),
    [
        ("ravdess", "03-01-05-01-02-01-12.wav", "angry", "12", "female"),
        ("cremad", "1001_DFA_ANG_XX.wav", "ANG", "1001", "male"),
        ("emodb", "wav/03a02Wb.wav", "anger", "03", "male"),
        ("tess", "OAF_should_fear.wav", "fear", "OAF", "female"),
        ("savee", "AudioData/DC/a01.wav", "a", "DC", "male"),
        ("shemo", "female/F21N05.wav", "neutral", "F21", "female"),
        ("turevdb", "Angry/1157_kz_acik.wav", "angry", "1157", None),
        ("urdu", "Angry/SM1_F10_A10.wav", "angry", "SM1", "male"),
        ("iemocap", "x/Ses01F_impro04_M013.wav", "neu", "Ses01M", "male"),
        ("iemocap", "x/Ses05M_script01_1b_F004.wav", "sad", "Ses05F", "female"),
        ("meld", "dia0_utt0.wav", "joy", None, None),
        ("aesdd", "anger/a03 (2).wav", "a", "2", None),
        ("aesdd", "anger/a03 (2)b.wav", "a", None, None),
        ("esd", "0011/Angry/0011_000351.wav", "Angry", "0011", None),
        ("emovo", "f1/dis-f1-b1.wav", "dis", "f1", "female"),
        ("emovdb", "sam_Amused/amused_1-28_0023.wav", "Amused", "sam", None),
        ("subesco", "F_02_MONIKA_S_1_NEUTRAL_5.wav", "neutral", "F_02", "female"),
        ("cafe", "CaFE_48k/Peur/Fort/01-C-1-1.wav", "c", "01", None),
        ("mead", "W019/audio/neutral/level_1/020.m4a", "neutral", "W019", "female"),
        ("mead", "M003_neutral_1_020.wav", "neutral", "M003", "male"),
        ("casia", "ZhaoZuoxiang/angry/201.wav", "angry", "ZhaoZuoxiang", None),
        ("casia", "someone/angry/201.wav", "angry", None, None),
        ("enterface", "subject 3/anger/sentence 2/s_3_an_2.avi", "an", "3", None),
        ("enterface", "subject 11/anger/sentence 2/s12_an_2.avi", "an", None, None),
        ("jlcorpus", "JL(wav+txt)/male2_concerned_6b_1.wav", "x", "male2", "male"),
        ("jlcorpus", "female1_sad_6b_1.wav", "sad", "female1", "female"),
        ("oreau", "m/sessj/29a13Ja.wav", "J", "29", "male"),
        ("polish", "m3.s_trzymaj_5.wav", "s", "m3", "male"),
        ("emozionalmente", "audio/1614680733939.wav", "joy", None, None),
    ],
)
def test_speakers_are_recovered_from_the_names(
    dataset: str, wav: str, emo: str, speaker: str, sex: str | None, tmp_path: Path
) -> None:
    path = emobox_list(tmp_path, f"{dataset}.jsonl", line(dataset, wav, emo))

    (found,) = well(list(emobox.utterances(path.parent)))

    assert (found.speaker or "").casefold() == (speaker or "").casefold()
    assert found.sex == sex
    assert found.path == (tmp_path / "downloads" / dataset / wav).absolute()
    assert found.traits["key"] == f"{dataset}-{Path(wav).stem}"
    assert ("tell no speaker" in (found.remark or "")) == (speaker is None)


def test_labels_are_those_of_our_corpus_and_it_is_said(tmp_path: Path) -> None:
    names = {"03a02Wb": "anger", "08b09Lc": "boredem", "09a04Fd": "happy"}
    names |= {"10a04Fa": "happy", "11a05Fb": "anger"}
    lines = [line("emodb", f"wav/{n}.wav", e) for n, e in names.items()]
    path = emobox_list(tmp_path, "emodb.jsonl", *lines, line("emodb", "x.wav", "fear"))

    found = well(list(emobox.utterances(path)))

    labels = ["anger", "boredom", "happiness", "happiness", "happiness", "fear"]
    assert [u.label for u in found] == labels
    assert [u.traits.get("emo") for u in found[:3]] == ["anger", "boredem", "happy"]
    assert "boredem is boredom, happy is happiness" in (found[0].remark or "")
    assert "1 of 6 lines tell no speaker" in (found[0].remark or "")
    assert found[4].remark == (
        "the list says anger, its name happiness: the name is believed"
    )
    assert (found[5].remark or "").startswith("its name tells no speaker: ")
    told = emobox.describe(path)
    assert (told.language, told.n_utterances) == ("de", None)
    assert "boredom" in told.labels


def test_codes_of_iemocap_become_words_with_one_remark(tmp_path: Path) -> None:
    emos = ("neu", "hap", "ang", "sad", "exc")
    names = [f"x/Ses01F_impro04_M00{i}.wav" for i in range(len(emos))]
    lines = [line("iemocap", n, e) for n, e in zip(names, emos, strict=True)]
    path = emobox_list(tmp_path, "iemocap.jsonl", *lines)

    found = well(list(emobox.utterances(path)))

    words = ["neutral", "happy", "angry", "sad", "excited"]
    assert [u.label for u in found] == words
    assert [u.traits["emo"] for u in found] == list(emos)
    assert [bool(u.remark) for u in found] == [True, False, False, False, False]
    for said in ("neu is neutral", "exc is excited", "ang is angry"):
        assert said in (found[0].remark or "")
    told = emobox.describe(path)
    assert set(words) <= set(told.labels)
    assert told.label_map == "iemocap4"


def test_without_a_list_of_all_the_first_fold_is_read(tmp_path: Path) -> None:
    row = {p: line("emodb", f"wav/{n}", "anger") for p, n in PARTS.items()}
    for fold in (1, 2):
        for part, told in row.items():
            name = f"fold_{fold}/emodb_{part}_fold_{fold}.jsonl"
            emobox_list(tmp_path, name, told)
    twin = tmp_path / "data/emodb/fold_1/emodb_test_fold1.jsonl"
    write(twin, line("emodb", "wav/other.wav", "anger"))

    found = list(emobox.utterances(tmp_path / "data" / "emodb"))

    assert sorted((u.path.name, u.split) for u in well(found)) == [
        ("03a02Wb.wav", "test"),
        ("03a02Wc.wav", "train"),
        ("03a05Wa.wav", "dev"),
    ]
    assert "the splits are of fold 1" in (well(found)[0].remark or "")
    assert not faults(found)


PARTS = {"test": "03a02Wb.wav", "train": "03a02Wc.wav", "valid": "03a05Wa.wav"}


def test_lists_of_several_corpora_are_refused(tmp_path: Path) -> None:
    for dataset in ("emodb", "tess"):
        emobox_list(tmp_path, f"{dataset}.jsonl", line(dataset, "a.wav", "anger"))

    with pytest.raises(ManifestError, match="expected one corpus, got .*emodb.*tess"):
        list(emobox.utterances(tmp_path / "data"))


def test_lines_that_lack_something_are_faults(tmp_path: Path) -> None:
    good = line("emodb", "wav/03a02Wb.wav", "anger")
    path = emobox_list(tmp_path, "emodb.jsonl", good)
    write(
        path, good, {**good, "emo": ""}, {**good, "wav": "downloads/no.wav"}, "{", good
    )

    found = list(emobox.utterances(path))

    assert len(well(found)) == 1
    missing, gone, broken = faults(found)
    assert missing == "line 2 of emodb.jsonl lacks emo"
    assert gone == "no such file, named in row 3 of emodb.jsonl"
    assert broken.startswith("line 4 of emodb.jsonl: expected one JSON object")
    assert "row emodb.jsonl:5 of the lists repeats row emodb.jsonl:1" in str(found)


# --- told apart ---


def layout(root: Path, kind: str) -> Path:
    """Lay a corpus out, empty or nearly."""
    if kind == "audiofolder":
        touch(root, "happy/a.wav", "sad/b.wav")
        write(root / "metadata.csv", "file_name,emotion,speaker")
    elif kind == "kaldi":
        write(root / "train/wav.scp", "a a.wav")
    elif kind == "emobox":
        write(root / "emodb.jsonl", line("emodb", "a.wav", "anger"))
    elif kind == "audformat_database":
        write(root / "db.yaml", "name: x")
        write(root / "db.files.csv", "file,speaker,emotion")
    elif kind == "hf_dataset":
        write(root / "dataset_info.json", "{}")
        write(root / "state.json", "{}")
    elif kind == "table":
        touch(root, "happy/a.wav", "sad/b.wav")
        write(root / "x.csv", "file,speaker,emotion")
    else:
        touch(root, "happy/a.wav", "sad/b.wav")
    return root


KINDS = ["audiofolder", "audformat_database", "emobox", "hf_dataset", "kaldi"]
KINDS += ["table", "class_folders"]


@pytest.mark.parametrize("kind", KINDS)
def test_importers_are_told_apart_by_what_lies_there(kind: str, tmp_path: Path) -> None:
    root = layout(tmp_path / "mine", kind)

    assert _recognising.plugin_for("mine", root).__name__ == f"corpora.{kind}"
    assert _recognising.corpora_in(tmp_path) == ({"mine": root}, [])


def test_every_importer_is_told_apart_above() -> None:
    assert {p.__name__ for p in _recognising.importers()} == {
        f"corpora.{k}" for k in KINDS
    }


@pytest.mark.parametrize("plugin", _recognising.importers())
def test_recognising_never_raises(plugin: object, tmp_path: Path) -> None:
    recognises = plugin.recognises  # type: ignore[attr-defined]
    (tmp_path / "folder" / "metadata.csv").mkdir(parents=True)
    for name in ("metadata.csv", "metadata.parquet", "x.jsonl", "db.yaml", "x.wav"):
        (tmp_path / name).write_bytes(b"\xff\x00[")

    assert not recognises(tmp_path / "gone")
    assert not recognises(tmp_path / "x.wav")
    assert not recognises(tmp_path)


def test_a_folder_of_two_layouts_is_refused_its_file_is_read(tmp_path: Path) -> None:
    root = layout(layout(tmp_path / "mine", "kaldi"), "audiofolder")

    with pytest.raises(ManifestError, match=r"got audiofolder and kaldi.*as --root"):
        _recognising.plugin_for("mine", root)

    assert _recognising.corpora_in(tmp_path)[0] == {"mine": root}
    wanted = root / "metadata.csv"
    assert _recognising.plugin_for("mine", wanted).__name__ == "corpora.audiofolder"
    wanted = root / "train" / "wav.scp"
    assert _recognising.plugin_for("mine", wanted).__name__ == "corpora.kaldi"


def test_a_plugins_name_uses_that_plugin(tmp_path: Path) -> None:
    root = layout(tmp_path / "mine", "audiofolder")

    assert _recognising.plugin_for("table", root) is table
    with pytest.raises(PluginError, match="unknown corpora"):
        _recognising.plugin_for("mine", tmp_path / "mine" / "happy")


def test_what_the_importer_says_of_the_corpus_is_on_the_card(tmp_path: Path) -> None:
    path = emobox_list(
        tmp_path, "emodb.jsonl", line("emodb", "wav/03a02Wb.wav", "anger")
    )
    soundfile.write(tmp_path / "downloads/emodb/wav/03a02Wb.wav", np.ones(800), 16_000)

    scan = _scan.scan("mine", path.parent)

    assert scan.manifest.card["language"] == "de"
    assert scan.manifest.card["plugin"] == "corpora.emobox"
    assert list(scan.manifest.rows["speaker"]) == ["mine/03"]
    assert not scan.faults
