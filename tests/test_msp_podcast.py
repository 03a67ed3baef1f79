"""MSP-Podcast: tables of newer releases, text files of older ones, odd lines."""

import time
from pathlib import Path

import pytest

from contracts.errors import ManifestError
from contracts.manifest import Leftover, Utterance
from corpora.msp_podcast import CORPUS, claims, utterances

HEADS = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
CONSENSUS = f"""\
{HEADS}
MSP-PODCAST_0001_0008.wav,N,2.5,4.25,3.0,1127,Female,Train
MSP-PODCAST_0001_0019.wav,X,4.8,2.0,5.0,Unknown,Unknown,Development
MSP-PODCAST_0002_0033.wav,U,4.0,4.0,4.0,32,Male,Test1
MSP-PODCAST_0002_0039.wav,O,4.0,4.0,4.0,32,Male,Test2
"""
DETAILED = """\
FileName,WorkerID,EmoClass_Major,EmoClass_Second,EmoAct,EmoVal,EmoDom
MSP-PODCAST_0001_0008.wav,WORKER01,Neutral,"Neutral,Concerned",2,4,3
MSP-PODCAST_0001_0008.wav,WORKER02,Neutral,Neutral,3,4,3
MSP-PODCAST_0001_0008.wav,WORKER03,Other-curious,"Neutral,Other",3,4,3
MSP-PODCAST_0001_0019.wav,WORKER01,Angry,Angry,5,2,5
MSP-PODCAST_0001_0019.wav,WORKER04,Disgust,Angry,5,2,5
"""
LABELS = """\
MSP-PODCAST_0001_0008.wav; N; A:2.5; V:4.25; D:3.0;
WORKER01; Neutral; Neutral,Concerned; A:2; V:4; D:3;
WORKER02; Neutral; Neutral; A:3; V:4; D:3;
WORKER03; Other-curious; Neutral,Other; A:3; V:4; D:3;

MSP-PODCAST_0001_0019.wav; X; A:4.8; V:2.0; D:5.0;
WORKER01; Angry; Angry; A:5; V:2; D:5;
WORKER04; Disgust; Angry; A:5; V:2; D:5;
"""
PARTITIONS = """\
Train; MSP-PODCAST_0001_0008.wav
Development; MSP-PODCAST_0001_0019.wav
Test3; MSP-PODCAST_0003_0001.wav
"""
SPEAKERS = """\
Speaker_1127; Female
MSP-PODCAST_0001_0008.wav; 1127
MSP-PODCAST_0001_0019.wav; Unknown
"""
NAMES = ("0001_0008", "0001_0019", "0002_0033", "0002_0039")


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def published(root: Path, **more: str) -> Path:
    """Write a folder as a newer release is published."""
    files = {f"Audios/MSP-PODCAST_{name}.wav": "" for name in NAMES}
    files["Transcripts/MSP-PODCAST_0001_0008.txt"] = "not read"
    labels = {"labels_consensus": CONSENSUS, "labels_detailed": DETAILED} | more
    files |= {f"Labels/{name}.csv": text for name, text in labels.items()}
    return write(root, files)


def older(root: Path, **more: str) -> Path:
    """Write a folder as an older release is published."""
    files = {f"Audios/MSP-PODCAST_{name}.wav": "" for name in NAMES[:2]}
    texts = {"labels": LABELS, "Partitions": PARTITIONS, "Speaker_ids": SPEAKERS} | more
    return write(root, files | {f"{name}.txt": text for name, text in texts.items()})


def read(root: Path) -> tuple[dict[str, Utterance], list[str]]:
    """Return utterances by the last two parts of their names, and the faults."""
    found = list(utterances(root))
    told = [u for u in found if isinstance(u, Utterance)]
    faults = [x for x in found if isinstance(x, Leftover) and x.fault]
    return {u.path.stem[12:]: u for u in told}, [
        f"{x.path.name}: {x.reason}" for x in faults
    ]


FIRST = {"neutral": 2 / 3, "other": 1 / 3}
SECOND = {"angry": 0.5, "disgusted": 0.5}


def test_a_row_is_read_whole(tmp_path: Path) -> None:
    found, faults = read(published(tmp_path))

    assert found["0001_0008"] == Utterance(
        tmp_path / "Audios" / "MSP-PODCAST_0001_0008.wav",
        speaker="1127",
        label="neutral",
        sex="female",
        split="train",
        votes=FIRST,
        traits={
            "activation": 2.5,
            "valence": 4.25,
            "dominance": 3.0,
            "partition": "Train",
        },
        name="msp-podcast_0001_0008",
    )
    assert not faults


def test_labels_partitions_and_unknown_speakers(tmp_path: Path) -> None:
    found, _ = read(published(tmp_path))

    told = {n: (u.label, u.speaker, u.sex, u.split) for n, u in found.items()}
    assert told == {
        "0001_0008": ("neutral", "1127", "female", "train"),
        "0001_0019": (None, None, None, "dev"),
        "0002_0033": ("surprised", "32", "male", "test"),
        "0002_0039": ("other", "32", "male", None),
    }
    assert found["0002_0039"].traits["partition"] == "Test2"
    assert {u.label for u in found.values()} - {None} <= set(CORPUS.labels)


def test_votes_are_shares_of_the_annotators(tmp_path: Path) -> None:
    found, _ = read(published(tmp_path))

    assert found["0001_0008"].votes == FIRST
    assert found["0001_0019"].votes == SECOND
    assert found["0002_0033"].votes == {}


def test_votes_in_one_cell_of_detail_are_read_alike(tmp_path: Path) -> None:
    cells = [line.split(",") for line in DETAILED.splitlines()[1:]]
    rows = [f'{c[0]},"{c[1]}; {c[2]}; a,b; A:1; V:1; D:1;"' for c in cells]
    text = "\n".join(["FileName,EmoDetail", *rows])

    found, faults = read(published(tmp_path, labels_detailed=text))

    assert found["0001_0008"].votes == FIRST
    assert found["0001_0019"].votes == SECOND
    assert not faults


def test_an_older_release_says_the_same(tmp_path: Path) -> None:
    new, _ = read(published(tmp_path / "new"))
    old, faults = read(older(tmp_path / "old"))

    for name in NAMES[:2]:
        one, other = new[name], old[name]
        assert (one.label, one.speaker, one.sex, one.split) == (
            (other.label, other.speaker, other.sex, other.split)
        )
        assert one.traits == other.traits
        assert dict(one.votes) == dict(other.votes)
    assert not faults


def test_the_misspelt_file_and_other_cases_and_formats_are_read(
    tmp_path: Path,
) -> None:
    files = {"labels_concensus.csv": CONSENSUS, "msp-podcast_0001_0008.FLAC": ""}

    found, _ = read(write(tmp_path, files))

    assert found["0001_0008"].label == "neutral"


def test_a_recording_that_only_its_partition_tells_of_has_no_label(
    tmp_path: Path,
) -> None:
    root = older(tmp_path)
    write(root, {"Audios/MSP-PODCAST_0003_0001.wav": ""})

    found, faults = read(root)

    one = found["0003_0001"]
    assert (one.label, one.split, one.traits) == (None, None, {"partition": "Test3"})
    assert not faults


def test_every_file_is_an_utterance_or_a_leftover(tmp_path: Path) -> None:
    root = write(published(tmp_path), {"a/.DS_Store": "", "a/x.mp4": "", "b.wav": ""})

    found = list(utterances(root))

    assert {x.path for x in found} == {p for p in root.rglob("*") if p.is_file()}
    places = [x.path.relative_to(root).as_posix() for x in found]
    assert places == sorted(places)


def test_missing_labels_are_one_sentence(tmp_path: Path) -> None:
    write(tmp_path, {"Audios/MSP-PODCAST_0001_0008.wav": ""})

    none = r"holds no labels of MSP-Podcast: expected labels_consensus.csv or"
    with pytest.raises(ManifestError, match=none):
        list(utterances(tmp_path))


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        (
            "labels_consensus",
            "FileName,A\nx,y\n",
            r"lacks EmoClass: got the columns Fi",
        ),
        (
            "labels_consensus",
            "",
            r"a table divided by commas, got: No columns",
        ),
        ("labels_detailed", "FileName,A\nx,y\n", r"lacks EmoClass_Major or EmoDetail:"),
    ],
)
def test_a_table_that_is_none_is_one_sentence(
    name: str, text: str, wrong: str, tmp_path: Path
) -> None:
    published(tmp_path, **{name: text})

    with pytest.raises(ManifestError, match=wrong):
        list(utterances(tmp_path))


def test_broken_lines_are_named_by_file_and_number(tmp_path: Path) -> None:
    row = "MSP-PODCAST_{},{},{},4,4,32,Male,Train"
    lines = [
        HEADS,
        row.format("0001_0008.wav", "N", "high"),
        row.format("0001_0019.wav", "N", "4,4"),
        "",
        row.format("0002_0033.wav", "Q", "4"),
        row.format("0002_0039.wav", "A", "4"),
        row.format("0002_0039.wav", "A", "4"),
        row.format("0009_0001.wav", "A", "4"),
        row.format("0009_0002.wav", "A", "4"),
        row.format("0009_0002.wav", "S", "4"),
    ]
    detailed = DETAILED + "MSP-PODCAST_0002_0039.wav,WORKER01,Blue,Blue,1,1,1\n"
    root = published(
        tmp_path, labels_consensus="\n".join(lines), labels_detailed=detailed
    )

    found, faults = read(root)

    assert list(found) == ["0002_0039"]
    none = "no line of labels_consensus.csv that can be used tells of MSP-PODCAST_"
    told = "labels_consensus.csv: line"
    twice = "tells other things of msp-podcast_0009_0002 than another line"
    assert sorted(faults) == sorted(
        [
            *(f"MSP-PODCAST_{name}.wav: {none}{name}" for name in NAMES[:3]),
            f"{told} 2: unknown EmoAct: expected a number, got 'high'",
            f"{told} 3: expected 8 cells, got 9",
            f"{told} 5: unknown class: expected one of A, S, H, U, F, D, C, N, O, X, "
            "got 'Q'",
            f"{told} 8: no such recording: MSP-PODCAST_0009_0001.wav",
            f"{told} 9: {twice}",
            f"{told} 10: {twice}",
            "labels_detailed.csv: line 7: unknown choice: expected angry, sad, happy, "
            "surprise, fear, disgust, contempt, neutral, other, got 'Blue'",
        ]
    )
    assert found["0002_0039"].votes == {}


def test_broken_lines_of_text_files_are_named(tmp_path: Path) -> None:
    _, faults = read(
        older(
            tmp_path,
            labels=LABELS + "what is this\n",
            Partitions="a heading\n" + PARTITIONS + "Train MSP-PODCAST_0001_0008.wav",
        )
    )

    assert faults == [
        "Partitions.txt: line 5: expected two fields divided by a semicolon, got "
        "'Train MSP-PODCAST_0001_0008.wav'",
        "labels.txt: line 9: expected a recording or an annotator, got 'what is this'",
    ]


def test_tables_go_before_the_text_file(tmp_path: Path) -> None:
    root = write(published(tmp_path), {"labels.txt": "what is this\n"})

    left = {x.path.name: x for x in utterances(root) if isinstance(x, Leftover)}

    assert left["labels.txt"].reason == "not read: the tables go before it"
    assert left["labels_detailed.csv"].reason.startswith("no audio, read as annot")
    assert not any(x.fault for x in left.values())


def test_votes_of_the_text_file_are_read_where_no_table_has_them(
    tmp_path: Path,
) -> None:
    root = write(published(tmp_path), {"Labels/labels.txt": LABELS})
    (root / "Labels" / "labels_detailed.csv").unlink()

    found, faults = read(root)

    assert found["0001_0008"].votes == pytest.approx(FIRST)
    assert not faults


def test_long_tables_take_time_by_the_line(tmp_path: Path) -> None:
    def write_long(n: int) -> Path:
        names = [f"MSP-PODCAST_{i // 10000:04}_{i % 10000:04}.wav" for i in range(n)]
        told = "\n".join(
            f"{x},N,4,4,4,{i % 99},Male,Train" for i, x in enumerate(names)
        )
        cast = "\n".join(f"{x},W,Neutral,a,1,1,1" for x in names for _ in range(5))
        heads = DETAILED.splitlines()[0]
        return write(
            tmp_path / str(n),
            {
                "labels_consensus.csv": f"{HEADS}\n{told}",
                "labels_detailed.csv": f"{heads}\n{cast}",
            },
        )

    took = []
    for n in (2000, 20000):
        root = write_long(n)
        start = time.perf_counter()
        assert sum(1 for _ in utterances(root)) == n + 2
        took.append(time.perf_counter() - start)

    assert took[1] < 40 * took[0] + 1


@pytest.mark.parametrize("other", ["Unknown", "unknown", ""])
def test_speakers_that_pandas_wrote_as_floats_are_whole(
    other: str, tmp_path: Path
) -> None:
    table = CONSENSUS.replace(",1127,", ",1127.0,").replace(",32,", ",32.0,")
    table = table.replace("Unknown,Unknown", f"{other},Unknown")

    found, faults = read(published(tmp_path, labels_consensus=table))

    speakers = [found[name].speaker for name in NAMES]
    assert speakers == ["1127", None, "32", "32"]
    assert not faults


def test_speakers_that_are_names_stay(tmp_path: Path) -> None:
    table = CONSENSUS.replace(",1127,", ",ann,").replace(",32,", ",32.0,")

    found, _ = read(published(tmp_path, labels_consensus=table))

    assert [found[name].speaker for name in NAMES] == ["ann", None, "32.0", "32.0"]


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("Audios/MSP-PODCAST_0001_0008.wav", True),
        ("msp-podcast_0001_0008.flac", True),
        ("MSP-PODCAST_0001_0008_0001.wav", True),
        ("MSP-PODCAST.wav", False),
        ("MSP-IMPROV-S01A-F01-P-FM01.wav", False),
    ],
)
def test_names_that_are_surely_of_msp_podcast(name: str, ours: bool) -> None:
    assert claims(Path(name)) is ours
