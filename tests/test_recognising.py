"""Folders are known by what lies in them, whatever they are called."""

from pathlib import Path

import pytest

from contracts import plugins
from contracts.errors import PluginError
from extract import _recognising

BY_NAME = [
    name
    for name in plugins.names("corpora")
    if hasattr(plugins.load("corpora", name), "read_name")
]


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"RIFF")


@pytest.mark.parametrize("name", BY_NAME)
def test_a_corpus_is_known_by_its_file_names(name: str, tmp_path: Path) -> None:
    plugin = plugins.load("corpora", name)
    put(tmp_path / "a folder of mine", *plugin.EXAMPLES)

    found, unknown = _recognising.corpora_in(tmp_path)

    assert found == {name: tmp_path / "a folder of mine"}
    assert unknown == []
    assert _recognising.plugin_for("any", tmp_path / "a folder of mine") is plugin


@pytest.mark.parametrize(
    ("folder", "name"),
    [("CREMA-D", "crema_d"), ("EMO-DB", "emodb"), ("Ravdess", "ravdess")],
)
def test_published_spellings_stand_for_the_plugin(
    folder: str, name: str, tmp_path: Path
) -> None:
    put(tmp_path, f"{folder}/x.txt")

    assert _recognising.corpora_in(tmp_path)[0] == {name: tmp_path / folder}
    assert _recognising.published(folder) == name


def test_a_table_goes_before_file_names(tmp_path: Path) -> None:
    put(tmp_path / "x", "03a01Fa.wav", "08a02Wb.wav")
    text = "file,speaker,emotion\n03a01Fa.wav,me,odd\n"
    (tmp_path / "x" / "mine.csv").write_text(text)

    assert _recognising.plugin_for("x", tmp_path / "x").__name__ == "corpora.table"


def test_names_of_no_corpus_are_not_guessed(tmp_path: Path) -> None:
    put(tmp_path / "x", "03a01Fa.wav", "holiday.wav", "party.wav")

    assert _recognising.corpora_in(tmp_path) == ({}, ["x"])
    with pytest.raises(PluginError, match="unknown corpora: 'x'"):
        _recognising.plugin_for("x", tmp_path / "x")


def test_the_nearest_name_is_suggested_whatever_its_case(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="Did you mean 'crema_d'"):
        plugins.load("corpora", "CREMA-D")
