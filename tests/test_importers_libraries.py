"""Importers of audformat and datasets, on what those libraries themselves write."""

import os
from pathlib import Path
from typing import Any

import audformat
import numpy as np
import pandas as pd
import pytest
import soundfile

from contracts.errors import ManifestError, PluginError
from contracts.manifest import Leftover, Utterance
from corpora import audformat_database, hf_dataset
from extract import _scan

Rows = list[Utterance | Leftover]
FILES = ("wav/a.wav", "wav/b.wav", "wav/c.wav")


def well(items: Rows) -> list[Utterance]:
    return [item for item in items if isinstance(item, Utterance)]


def faults(items: Rows) -> list[str]:
    return [item.reason for item in items if isinstance(item, Leftover) and item.fault]


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


# --- audformat ---


def database(**schemes: audformat.Scheme) -> audformat.Database:
    """Make a database with a speaker per file and nothing else."""
    db = audformat.Database(
        "mydb",
        "https://example.org/mydb",
        audformat.define.Usage.RESEARCH,
        languages=["de", "English"],
        author="Doe, J.",
        description="An example",
        license="CC-BY-4.0",
    )
    speakers = {"1": {"gender": "female", "age": 31}, "2": {"gender": "male"}}
    db.schemes["speaker"] = audformat.Scheme(labels=speakers)
    db.schemes["emotion"] = audformat.Scheme(labels=["anger", "joy"])
    db.schemes["valence"] = audformat.Scheme("float", minimum=-1, maximum=1)
    for name, scheme in schemes.items():
        db.schemes[name] = scheme
    db["files"] = audformat.Table(audformat.filewise_index(list(FILES)))
    add(db, "files", "speaker", ["1", "2", "2"])
    return db


def add(
    db: audformat.Database, table: str, column: str, values: list[Any], scheme: str = ""
) -> None:
    db[table][column] = audformat.Column(scheme_id=scheme or column)
    db[table][column].set(values)


def saved(db: audformat.Database, root: Path, form: str = "csv") -> Path:
    db.save(str(root), storage_format=form)
    touch(root, *FILES)
    return root


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_files_of_an_audformat_database(form: str, tmp_path: Path) -> None:
    db = database()
    db["emotion"] = audformat.Table(audformat.filewise_index(list(FILES[:2])))
    add(db, "emotion", "emotion", ["anger", "joy"])
    add(db, "emotion", "valence", [-0.5, 0.25])
    root = saved(db, tmp_path, form)

    found = list(audformat_database.utterances(root))

    assert well(found) == [
        Utterance(
            root / "wav/a.wav",
            "1",
            "anger",
            sex="female",
            traits={"valence": -0.5, "age": 31.0},
        ),
        Utterance(root / "wav/b.wav", "2", "joy", sex="male", traits={"valence": 0.25}),
    ]
    left = [item for item in found if isinstance(item, Leftover)]
    assert {item.path.name for item in left} == {"c.wav"}
    assert not faults(found)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_segments_of_an_audformat_database(form: str, tmp_path: Path) -> None:
    db = database()
    places = audformat.segmented_index(
        [FILES[0], FILES[0], FILES[1]], ["0.5s", "2s", 0], ["2s", pd.NaT, "1.25s"]
    )
    db["turns"] = audformat.Table(places)
    add(db, "turns", "emotion", ["joy", None, "anger"])

    found = well(list(audformat_database.utterances(saved(db, tmp_path, form))))

    assert [(u.start, u.end, u.speaker, u.label) for u in found] == [
        (0.5, 2.0, "1", "joy"),
        (2.0, None, "1", None),
        (0.0, 1.25, "2", "anger"),
    ]


def test_splits_of_an_audformat_database(tmp_path: Path) -> None:
    db = database()
    db.splits["held-out"] = audformat.Split(type="test")
    for i, table in enumerate(("emotion.train", "emotion.devel.gold", "rest")):
        index = audformat.filewise_index([FILES[i]])
        split = "held-out" if table == "rest" else None
        db[table] = audformat.Table(index, split_id=split)
        add(db, table, "emotion", ["joy"])

    found = well(list(audformat_database.utterances(saved(db, tmp_path))))

    assert [(u.path.name, u.split) for u in sorted(found, key=lambda u: u.path)] == [
        ("a.wav", "train"),
        ("b.wav", "dev"),
        ("c.wav", "test"),
    ]


def test_tables_that_agree_are_one_row_others_are_faults(tmp_path: Path) -> None:
    db = database()
    for table, labels in (("x", ["joy", "joy"]), ("x.test", ["joy", "anger"])):
        db[table] = audformat.Table(audformat.filewise_index(list(FILES[:2])))
        add(db, table, "emotion", labels)

    found = list(audformat_database.utterances(saved(db, tmp_path)))

    (agreed,) = well(found)
    assert (agreed.path.name, agreed.split) == ("a.wav", "test")
    first, second = faults(found)
    assert first == second
    assert "rows db.x.csv:3, db.x.test.csv:3 of db.yaml" in first
    assert "2/anger and 2/joy" in first


def two_opinions(root: Path, form: str, *names: str) -> Path:
    """Save a database whose tables tell different emotions of one file."""
    emotions = ["anger", "joy", "no_agreement"]
    db = database(emotion=audformat.Scheme(labels=emotions))
    opinions = (["joy", "anger"], ["anger", "no_agreement"], ["joy", "joy"])
    for name, labels in zip(names, opinions, strict=False):
        db[name] = audformat.Table(audformat.filewise_index(list(FILES[:2])))
        add(db, name, "emotion", labels)
    add(db, names[0], "level", [0.5, 1.0], "valence")
    return saved(db, root, form)


DESIRED, GOLD = "emotion.desired.test", "emotion.test.gold_standard"


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_gold_standard_goes_before_other_tables(form: str, tmp_path: Path) -> None:
    root = two_opinions(tmp_path, form, DESIRED, GOLD)

    found = list(audformat_database.utterances(root))

    told = [(u.path.name, u.label, u.split) for u in well(found)]
    assert told == [("a.wav", "anger", "test"), ("b.wav", None, "test")]
    assert [u.traits["level"] for u in well(found)] == [0.5, 1.0]
    assert not faults(found)
    left = {x.path.name: x.reason for x in found if isinstance(x, Leftover)}
    assert left[f"db.{DESIRED}.{form}"] == (
        f"its labels are not used: those of {GOLD} are believed"
    )
    assert audformat_database.describe(root).labels == ("anger", "joy")


def test_a_gap_in_the_gold_standard_is_not_filled_from_elsewhere(
    tmp_path: Path,
) -> None:
    db = database()
    for table, labels in ((DESIRED, ["joy", "anger"]), (GOLD, ["anger", None])):
        db[table] = audformat.Table(audformat.filewise_index(list(FILES[:2])))
        add(db, table, "emotion", labels)

    found = well(list(audformat_database.utterances(saved(db, tmp_path))))

    assert [u.label for u in found] == ["anger", None]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_file_of_a_table_chooses_it(form: str, tmp_path: Path) -> None:
    root = two_opinions(tmp_path, form, DESIRED, GOLD) / f"db.{DESIRED}.{form}"

    found = well(list(audformat_database.utterances(root)))

    assert [(u.path.name, u.label) for u in found] == [
        ("a.wav", "joy"),
        ("b.wav", "anger"),
    ]
    assert audformat_database.recognises(root)
    card = _scan.scan("mine", root).manifest.card
    assert card["plugin"] == "corpora.audformat_database"


def test_a_table_that_is_chosen_brings_its_other_splits(tmp_path: Path) -> None:
    db = database()
    for i, table in enumerate(("want.train", "want.test", "got.train")):
        db[table] = audformat.Table(audformat.filewise_index([FILES[i % 2]]))
        add(db, table, "emotion", ["joy" if table.startswith("want") else "anger"])
    root = saved(db, tmp_path)

    found = well(list(audformat_database.utterances(root / "db.want.train.csv")))

    told = sorted((u.path.name, u.label, u.split) for u in found)
    assert told == [("a.wav", "joy", "train"), ("b.wav", "joy", "test")]


@pytest.mark.parametrize("names", [("a", "b"), ("a.gold", "b.gold"), ("a", "b", "c")])
def test_tables_that_contradict_one_another_are_refused(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    root = two_opinions(tmp_path, "csv", *names)

    got = ", ".join(rf"{name}\.emotion" for name in names)
    with pytest.raises(ManifestError, match=rf"got {got}\. Give .* --root, such as"):
        list(audformat_database.utterances(root))


def test_a_file_that_is_no_table_of_the_database_is_refused(tmp_path: Path) -> None:
    root = two_opinions(tmp_path, "csv", "a")
    (root / "db.other.csv").touch()

    with pytest.raises(
        ManifestError, match="expected the file of one of a, files, got"
    ):
        list(audformat_database.utterances(root / "db.other.csv"))


@pytest.mark.parametrize("name", ["category", "name", "label", "description"])
def test_labels_that_are_codes_are_read_in_words(name: str, tmp_path: Path) -> None:
    codes = {"A": {"no": "1", name: "anger"}, "J": {"no": "2", name: "joy"}}
    db = database(mood=audformat.Scheme(labels=codes))
    del db.schemes["emotion"]
    db["a"] = audformat.Table(audformat.filewise_index(list(FILES[:2])))
    add(db, "a", "mood", ["J", "A"])
    root = saved(db, tmp_path)

    found = well(list(audformat_database.utterances(root)))

    assert [u.label for u in found] == ["joy", "anger"]
    assert audformat_database.describe(root).labels == ("anger", "joy")


def test_labels_that_are_words_keep_them(tmp_path: Path) -> None:
    told = {"anger": {"category": "A"}, "joy": {"category": "J"}}
    db = database(emotion=audformat.Scheme(labels=told))
    db["a"] = audformat.Table(audformat.filewise_index([FILES[0]]))
    add(db, "a", "emotion", ["joy"])

    (found,) = well(list(audformat_database.utterances(saved(db, tmp_path))))

    assert found.label == "joy"


def test_speakers_in_a_misc_table_are_read(tmp_path: Path) -> None:
    db = database()
    people = pd.Index(["1", "2"], name="speaker", dtype="string")
    db["people"] = audformat.MiscTable(people)
    db["people"]["gender"] = audformat.Column()
    db["people"]["gender"].set(["male", "female"])
    db.schemes["speaker"] = audformat.Scheme("str", labels="people")
    db["emotion"] = audformat.Table(audformat.filewise_index(list(FILES[:2])))
    add(db, "emotion", "emotion", ["joy", "joy"])

    found = well(list(audformat_database.utterances(saved(db, tmp_path))))

    assert [(u.speaker, u.sex) for u in found] == [("1", "male"), ("2", "female")]


def test_the_only_scheme_of_emotions_is_the_label(tmp_path: Path) -> None:
    db = database(mood=audformat.Scheme(labels=["happy", "sad"]))
    del db.schemes["emotion"]
    db["a"] = audformat.Table(audformat.filewise_index([FILES[0]]))
    add(db, "a", "mood", ["sad"])

    root = saved(db, tmp_path)

    found = well(list(audformat_database.utterances(root / "db.yaml")))
    assert [u.label for u in found] == ["sad"]
    assert audformat_database.describe(root).labels == ("happy", "sad")


def test_several_columns_of_emotions_are_refused_by_name(tmp_path: Path) -> None:
    db = database()
    db["a"] = audformat.Table(audformat.filewise_index([FILES[0]]))
    add(db, "a", "intended", ["joy"], "emotion")
    add(db, "a", "perceived", ["joy"], "emotion")

    with pytest.raises(ManifestError, match=r"got a\.intended, a\.perceived\. Rename"):
        list(audformat_database.utterances(saved(db, tmp_path)))


def test_no_column_of_emotions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"no single column.*got files\.speaker"):
        list(audformat_database.utterances(saved(database(), tmp_path)))


def test_the_card_is_that_of_the_database(tmp_path: Path) -> None:
    db = database()
    db["emotion"] = audformat.Table(audformat.filewise_index(list(FILES)))
    add(db, "emotion", "emotion", ["anger", "joy", "joy"])

    root = saved(db, tmp_path)
    told = audformat_database.describe(root)
    head = root / "db.yaml"
    head.write_text(head.read_text().replace("deu", "Elvish"))

    assert audformat_database.describe(root).language == "Elvish+en"
    assert (told.title, told.language, told.licence) == ("mydb", "de+en", "CC-BY-4.0")
    assert told.labels == ("anger", "joy")
    assert told.url == "https://example.org/mydb"
    assert told.citation == "Doe, J.. An example"


def test_missing_media_is_a_fault_of_its_row(tmp_path: Path) -> None:
    db = database()
    db["emotion"] = audformat.Table(audformat.filewise_index(list(FILES)))
    add(db, "emotion", "emotion", ["anger", "joy", "joy"])
    root = saved(db, tmp_path)
    (root / FILES[1]).unlink()

    found = list(audformat_database.utterances(root))

    assert len(well(found)) == 2
    assert faults(found) == ["no such file, named in row 3 of db.emotion.csv"]


def test_a_pickled_table_is_never_loaded(tmp_path: Path) -> None:
    db = database()
    db["emotion"] = audformat.Table(audformat.filewise_index([FILES[0]]))
    add(db, "emotion", "emotion", ["joy"])
    root = saved(db, tmp_path, "pkl")

    with pytest.raises(ManifestError, match=r"got only db\.emotion\.pkl"):
        list(audformat_database.utterances(root))


@pytest.mark.parametrize(
    "head",
    [
        "name: [",
        "- a list",
        "name: x\nsource: y",
        "name: !!python/object/apply:os.mkdir [made]\nsource: x\nusage: other",
        "name: x\nsource: y\nusage: nonsense",
    ],
)
def test_a_broken_head_is_one_sentence(
    head: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "db.yaml").write_text(head)

    with pytest.raises(ManifestError, match="expected the head of an audformat databa"):
        list(audformat_database.utterances(tmp_path))
    assert not (tmp_path / "made").exists()


# --- datasets ---


@pytest.fixture
def sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write two recordings, and be where data/audio is none of ours."""
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    out = []
    for i, name in enumerate(("a", "b")):
        path = tmp_path / "wav" / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.full(1600, 0.1 + 0.1 * i), 16_000)
        out.append(str(path))
    return out


def dataset(sounds: list[str], inside: bool = True, **columns: list[Any]) -> Any:
    """Make a dataset that holds its sound or names its files."""
    import datasets

    text, data = datasets.Value("string"), datasets.Value("binary")
    told = [{"path": Path(p).name, "bytes": Path(p).read_bytes()} for p in sounds]
    label = datasets.ClassLabel(names=["happy", "sad"])
    features = {"audio": {"path": text, "bytes": data} if inside else text}
    features |= {"label": label, **dict.fromkeys(columns, text)}
    rows = {"audio": told if inside else sounds, "label": [1, 0], **columns}
    made = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
    # the very feature that people save; encoding one would take torchcodec
    return made.cast_column("audio", datasets.Audio()) if inside else made


def test_a_dataset_that_names_files(sounds: list[str], tmp_path: Path) -> None:
    made = dataset(sounds, inside=False, speaker=["s1", "s2"], file=["x", "y"])
    made.save_to_disk(tmp_path / "ds")

    found = list(hf_dataset.utterances(tmp_path / "ds"))

    assert hf_dataset.recognises(tmp_path / "ds")
    assert found == [
        Utterance(Path(sounds[0]), "s1", "sad", traits={"file": "x"}),
        Utterance(Path(sounds[1]), "s2", "happy", traits={"file": "y"}),
    ]
    assert not (tmp_path / "home" / "data").exists()


def test_sound_inside_a_dataset_is_unpacked_once(
    sounds: list[str], tmp_path: Path
) -> None:
    dataset(sounds, speaker_id=["1", "2"]).save_to_disk(tmp_path / "ds")
    before = sorted(tmp_path.glob("ds/**/*"))

    found = well(list(hf_dataset.utterances(tmp_path / "ds")))
    stats = [u.path.stat().st_mtime_ns for u in found]
    again = well(list(hf_dataset.utterances(tmp_path / "ds")))

    assert [u.path.read_bytes() for u in found] == [
        Path(s).read_bytes() for s in sounds
    ]
    unpacked = tmp_path / "home" / "data" / "audio" / ".unpacked"
    assert found[0].path.is_relative_to(unpacked)
    assert [u.path.name[:7] for u in found] == ["000001-", "000002-"]
    assert [u.path.stat().st_mtime_ns for u in again] == stats
    assert sorted(tmp_path.glob("ds/**/*")) == before
    assert ".unpacked" in (found[0].remark or "")
    assert len(list(found[0].path.parent.iterdir())) == 2


def test_a_half_written_recording_is_written_again(
    sounds: list[str], tmp_path: Path
) -> None:
    dataset(sounds).save_to_disk(tmp_path / "ds")
    (first, _) = well(list(hf_dataset.utterances(tmp_path / "ds")))
    os.truncate(first.path, 10)

    list(hf_dataset.utterances(tmp_path / "ds"))

    assert first.path.read_bytes() == Path(sounds[0]).read_bytes()


def test_a_copied_dataset_is_unpacked_to_the_same_place(
    sounds: list[str], tmp_path: Path
) -> None:
    import shutil

    dataset(sounds).save_to_disk(tmp_path / "ds")
    shutil.copytree(tmp_path / "ds", tmp_path / "copy")
    dataset(sounds[::-1]).save_to_disk(tmp_path / "other")

    ds, copy, other = (
        well(list(hf_dataset.utterances(tmp_path / name)))[0].path
        for name in ("ds", "copy", "other")
    )

    assert ds == copy
    assert ds != other


def test_a_dataset_of_splits(sounds: list[str], tmp_path: Path) -> None:
    import datasets

    splits = {name: dataset(sounds) for name in ("train", "validation")}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "ds")

    scan = _scan.scan("mine", tmp_path / "ds")

    assert scan.manifest.card["plugin"] == "corpora.hf_dataset"
    rows = scan.manifest.rows
    assert list(rows["split"]) == ["train", "train", "dev", "dev"]
    assert rows["id"][0].startswith("mine/../home/data/audio/.unpacked/")
    assert not scan.faults


def test_missing_recordings_and_other_columns_are_said(
    sounds: list[str], tmp_path: Path
) -> None:
    made = dataset(sounds, inside=False).add_column("vector", [[0.1, 0.2], [0.3, 0.4]])
    made.save_to_disk(tmp_path / "ds")
    Path(sounds[1]).unlink()

    found = list(hf_dataset.utterances(tmp_path / "ds"))

    assert faults(found) == ["no such file, named in row 2 of ds"]
    assert well(found)[0].remark == (
        "columns that are no text or number are not read: vector"
    )


def test_a_dataset_without_labels_is_refused(sounds: list[str], tmp_path: Path) -> None:
    dataset(sounds).remove_columns("label").save_to_disk(tmp_path / "ds")

    with pytest.raises(ManifestError, match="lacks emotion"):
        list(hf_dataset.utterances(tmp_path / "ds"))


def test_a_dataset_without_audio_is_refused(sounds: list[str], tmp_path: Path) -> None:
    dataset(sounds).remove_columns("audio").save_to_disk(tmp_path / "ds")

    with pytest.raises(ManifestError, match="no clear column of audio.*got label"):
        list(hf_dataset.utterances(tmp_path / "ds"))


def test_a_broken_dataset_is_one_sentence(sounds: list[str], tmp_path: Path) -> None:
    dataset(sounds).save_to_disk(tmp_path / "ds")
    for path in (tmp_path / "ds").glob("*.arrow"):
        path.write_bytes(b"no arrow")

    with pytest.raises(ManifestError, match="expected a dataset that save_to_disk wro"):
        list(hf_dataset.utterances(tmp_path / "ds"))


def test_without_the_extra_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    for name in ("dataset_info.json", "state.json"):
        (tmp_path / name).write_text("{}")

    with pytest.raises(PluginError, match="pip install"):
        list(hf_dataset.utterances(tmp_path))
