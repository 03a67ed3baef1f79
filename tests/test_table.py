"""Tables of one's own: columns by name, votes, stretches, contradictions."""

from pathlib import Path

import pandas as pd
import pytest

from contracts.errors import ManifestError
from contracts.manifest import Leftover, Utterance
from corpora import table

Rows = list[Utterance | Leftover]


def read(root: Path, text: str, name: str = "x.csv") -> Rows:
    """Read a table beside two empty recordings, which it need not name."""
    for wav in ("a.wav", "b.wav"):
        (root / wav).touch()
    (root / name).write_text(text, encoding="utf-8")
    return list(table.utterances(root / name))


def utterance(root: Path, text: str) -> Utterance:
    """Read a table of one row that is well."""
    (found,) = read(root, text)
    assert isinstance(found, Utterance)
    return found


def leftover(found: Utterance | Leftover) -> Leftover:
    assert isinstance(found, Leftover)
    return found


@pytest.mark.parametrize(
    "heads",
    [
        "file,speaker,emotion",
        "Path,SPK,Label",
        "file_name,speaker_id,emo",
        "FileName,Speaker,EMOTION",
        "wav,spk,emo",
        "file;speaker;emotion",
        "\ufefffile, speaker ,emotion",
    ],
)
def test_columns_are_known_by_common_names(heads: str, tmp_path: Path) -> None:
    comma = ";" if ";" in heads else ","

    found = utterance(tmp_path, f"{heads}\n{comma.join(['a.wav', ' 01 ', 'joy'])}\n")

    assert found == Utterance(tmp_path / "a.wav", speaker="01", label="joy")


def test_every_format_says_the_same(tmp_path: Path) -> None:
    rows = {"file": ["a.wav", "b.wav"], "speaker": [1, None], "emotion": ["joy", None]}
    frame = pd.DataFrame(rows).convert_dtypes()
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).touch()
    frame.to_csv(tmp_path / "t.csv")
    frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    frame.to_parquet(tmp_path / "t.parquet")

    found = [list(table.utterances(tmp_path / f"t.{s}")) for s in ("csv", "tsv")]
    found.append(list(table.utterances(tmp_path / "t.parquet")))

    assert found[0] == found[1] == found[2]
    assert found[0] == [
        Utterance(tmp_path / "a.wav", speaker="1", label="joy"),
        Utterance(tmp_path / "b.wav"),
    ]


def test_optional_columns_are_read(tmp_path: Path) -> None:
    found = utterance(
        tmp_path,
        "file,speaker,emotion,start,end,gender,session,sentence,split,text,age,room\n"
        'a.wav,s,joy,0.5,2,F,1,k,devel,"Hello, you",31,007\n',
    )

    assert found == Utterance(
        tmp_path / "a.wav",
        speaker="s",
        label="joy",
        start=0.5,
        end=2.0,
        sex="female",
        session="1",
        sentence="k",
        split="dev",
        text="Hello, you",
        traits={"age": 31.0, "room": "007"},
    )


def test_cells_that_cannot_be_used_are_remarked(tmp_path: Path) -> None:
    found = utterance(
        tmp_path, "file,speaker,emotion,sex,split\na.wav,s,e,other,fold1\n"
    )

    assert (found.sex, found.split) == (None, None)
    assert found.remark is not None
    assert "sex 'other' is none of" in found.remark
    assert "split 'fold1' is none of" in found.remark


def test_empty_speaker_and_emotion_are_unknown(tmp_path: Path) -> None:
    found = utterance(tmp_path, "file,speaker,emotion\na.wav,,\n")

    assert (found.speaker, found.label) == (None, None)


def test_words_such_as_none_stay_words(tmp_path: Path) -> None:
    found = utterance(tmp_path, "file,speaker,emotion\na.wav,NA,None\n")

    assert (found.speaker, found.label) == ("NA", "None")


@pytest.mark.parametrize(
    ("heads", "missing"),
    [
        ("file,speaker", "lacks emotion"),
        ("file,emotion", "lacks speaker"),
        ("name,who,what", "lacks file and speaker and emotion"),
    ],
)
def test_missing_columns_are_refused_first(
    heads: str, missing: str, tmp_path: Path
) -> None:
    with pytest.raises(ManifestError, match=missing) as caught:
        read(tmp_path, f"{heads}\ngone.wav,1\n")

    assert f"got {heads.replace(',', ', ')}" in str(caught.value)


def test_a_file_that_is_not_there_is_a_fault_of_its_row(tmp_path: Path) -> None:
    well, gone, none = read(
        tmp_path, "file,speaker,emotion\na.wav,s,e\nc.wav,s,e\n\n,s,e\n"
    )

    assert isinstance(well, Utterance)
    assert gone == Leftover(tmp_path / "c.wav", "no such file, named in row 3 of x.csv")
    assert leftover(none).reason == "no file is named in row 5 of x.csv"


def test_absolute_and_windows_paths_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "wav").mkdir()
    (tmp_path / "wav" / "c.wav").touch()

    found = read(
        tmp_path,
        f"file,speaker,emotion\n{tmp_path / 'a.wav'},s,e\nwav\\c.wav,s,e\n",
    )

    assert [u.path.name for u in found] == ["a.wav", "c.wav"]
    assert all(isinstance(u, Utterance) for u in found)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.wav,s,e,x,1,1", "unknown start: expected seconds, 0 or more, got 'x'"),
        ("a.wav,s,e,-1,1,1", "unknown start: expected seconds, 0 or more, got '-1'"),
        ("a.wav,s,e,0,inf,1", "unknown end: expected seconds, 0 or more, got 'inf'"),
        ("a.wav,s,e,2,1,1", "empty stretch: expected an end after 2 s, got 1 s"),
        ("a.wav,s,e,0,1,-1", "unknown votes for joy: expected 0 or more, got '-1'"),
        ("a.wav,s,e,0,1,many", "unknown votes for joy: expected 0 or more, got 'many'"),
    ],
)
def test_bad_numbers_are_a_fault_of_their_row(
    row: str, reason: str, tmp_path: Path
) -> None:
    first, second = read(
        tmp_path,
        f"file,speaker,emotion,start,end,vote:joy\n{row}\nb.wav,s,e,0,1,1\n",
    )

    assert leftover(first).fault
    assert leftover(first).reason == f"{reason}, in row 2 of x.csv"
    assert isinstance(second, Utterance)


def test_counts_of_votes_become_shares(tmp_path: Path) -> None:
    first, second = read(
        tmp_path,
        "file,speaker,emotion,vote:joy,vote:anger\na.wav,s,,3,1\nb.wav,s,joy,0,\n",
    )

    assert isinstance(first, Utterance)
    assert isinstance(second, Utterance)
    assert first.votes == {"joy": 0.75, "anger": 0.25}
    assert second.votes == {}
    assert first.traits == {}


def test_numeric_columns_named_as_emotions_are_votes(tmp_path: Path) -> None:
    found = utterance(
        tmp_path, "file,speaker,emotion,Grumpy,calm,age\na.wav,s,grumpy,0.6,0.2,9\n"
    )

    assert found.votes == pytest.approx({"grumpy": 0.75, "calm": 0.25})
    assert found.traits == {"age": 9.0}


@pytest.mark.parametrize(
    ("heads", "cells"),
    [
        ("calm", "0.5"),  # one column alone is a rating, not a vote
        ("calm,happy", "yes,no"),
        ("calm,vote:joy", "0.5,1"),
    ],
)
def test_other_columns_named_as_emotions_are_traits(
    heads: str, cells: str, tmp_path: Path
) -> None:
    found = utterance(tmp_path, f"file,speaker,emotion,{heads}\na.wav,s,e,{cells}\n")

    assert "calm" in found.traits
    assert "calm" not in found.votes


def test_rows_that_contradict_one_another_are_all_faults(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "file,speaker,emotion\na.wav,s,joy\nb.wav,s,joy\n./a.wav,s,anger\n",
    )

    assert [isinstance(u, Utterance) for u in found] == [False, True, False]
    for wrong in (leftover(found[0]), leftover(found[2])):
        assert wrong.fault
        assert "rows 2, 4 of x.csv" in wrong.reason
        assert "s/anger and s/joy" in wrong.reason


def test_rows_that_contradict_in_the_speaker_are_faults(tmp_path: Path) -> None:
    found = read(tmp_path, "file,speaker,emotion\na.wav,s,joy\na.wav,t,joy\n")

    assert [leftover(u).fault for u in found] == [True, True]


def test_a_repeated_row_counts_once(tmp_path: Path) -> None:
    first, second = read(tmp_path, "file,speaker,emotion\na.wav,s,joy\na.wav,s,joy\n")

    assert isinstance(first, Utterance)
    assert not leftover(second).fault
    assert leftover(second).reason == "row 3 of x.csv repeats row 2"


def test_stretches_of_one_file_are_utterances(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "file,speaker,emotion,start,end\na.wav,s,joy,0,1\na.wav,t,anger,1,2\n",
    )

    assert all(isinstance(u, Utterance) for u in found)


def test_a_folder_with_one_table_is_a_corpus(tmp_path: Path) -> None:
    read(tmp_path, "file,speaker,emotion\na.wav,s,joy\n")
    (tmp_path / "notes.txt").touch()

    found = list(table.utterances(tmp_path))

    assert table.recognises(tmp_path)
    assert table.recognises(tmp_path / "x.csv")
    assert [type(u).__name__ for u in found] == ["Utterance", "Leftover", "Leftover"]
    assert leftover(found[1]) == Leftover(
        tmp_path / "b.wav", "no row of x.csv names it", fault=False
    )
    assert leftover(found[2]).path.name == "notes.txt"


def test_several_tables_are_refused_by_name(tmp_path: Path) -> None:
    read(tmp_path, "file,speaker,emotion\na.wav,s,joy\n", "x.csv")
    read(tmp_path, "file,speaker,emotion\na.wav,s,joy\n", "y.tsv".replace("tsv", "csv"))

    with pytest.raises(ManifestError, match=r"expected one file.*got x\.csv, y\.csv"):
        list(table.utterances(tmp_path))


def test_folders_without_such_a_table_are_not_recognised(tmp_path: Path) -> None:
    assert not table.recognises(tmp_path)
    assert not table.recognises(tmp_path / "gone")
    (tmp_path / "a.csv").write_text("name,size\nx,1\n")
    (tmp_path / "b.parquet").write_bytes(b"no parquet")
    assert not table.recognises(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", b""),
        ("x.csv", "file,speaker,emotion\na.wav,s,é\n".encode("latin-1")),
        ("x.csv", b"file,speaker,emotion\na.wav,s,e,more\n"),
        ("x.csv", b"file,speaker,emotion\na.wav,s,e\nb.wav,s,e,more\n"),
        ("x.parquet", b"no parquet"),
    ],
)
def test_what_is_no_table_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ManifestError, match="cannot be read: expected a table"):
        list(table.utterances(tmp_path))


def test_names_that_pandas_wrote_as_floats_are_whole(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "file,speaker,emotion,session,sentence,dose\n"
        "a.wav,1.0,joy,2.0,10.00,3.0\nb.wav,,joy,,4,\n",
    )

    first, second = (u for u in found if isinstance(u, Utterance))
    assert (first.speaker, first.session, first.sentence) == ("1", "2", "10")
    assert (second.speaker, second.session, second.sentence) == (None, None, "4")
    assert first.traits == {"dose": 3.0}


def test_names_that_are_no_floats_of_pandas_stay(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "file,speaker,emotion,session,sentence\n"
        "a.wav,1.0,joy,007,1.5\nb.wav,s2,joy,1.0,2.0\n",
    )

    told = [
        (u.speaker, u.session, u.sentence) for u in found if isinstance(u, Utterance)
    ]
    assert told == [("1.0", "007", "1.5"), ("s2", "1.0", "2")]


def test_a_frame_with_an_unknown_speaker_says_the_same_in_every_format(
    tmp_path: Path,
) -> None:
    rows = {"file": ["a.wav", "b.wav"], "speaker": [1.0, None], "emotion": "joy"}
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).touch()
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")

    for suffix in ("csv", "parquet"):
        found = [*table.utterances(tmp_path / f"t.{suffix}")]
        assert [u.speaker for u in found if isinstance(u, Utterance)] == ["1", None]
