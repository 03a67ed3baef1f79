"""Every corpus plug-in: complete, in order, and true to its own examples."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from contracts import labels, plugins
from contracts.errors import ManifestError
from contracts.manifest import Corpus, Leftover, Utterance
from corpora._files import walk
from corpora._names import emotion_in

NAMES = plugins.names("corpora")
BY_NAME = [
    name for name in NAMES if importlib.import_module(f"corpora.{name}").EXAMPLES
]

BY_FILE_NAME = [
    name for name in BY_NAME if hasattr(plugins.load("corpora", name), "read_name")
]


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    name: str = request.param
    for path in plugins.load("corpora", name).EXAMPLES:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"RIFF")
    return name, tmp_path


def test_the_corpora_of_this_stage_are_found() -> None:
    assert {"ravdess", "table", "demo"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_corpus_says_what_it_is(name: str) -> None:
    module = plugins.load("corpora", name)
    corpus = module.CORPUS

    assert isinstance(corpus, Corpus)
    assert plugins.summary("corpora", name).endswith(".")
    assert len((module.__doc__ or "").splitlines()) > 3
    assert corpus.title
    assert corpus.language
    assert corpus.licence
    assert corpus.citation
    assert corpus.label_map in labels.names()
    assert len(set(corpus.labels)) == len(corpus.labels)
    if corpus.labels:
        assert corpus.url.startswith("https://")
    if corpus.label_counts:
        assert set(corpus.label_counts) == set(corpus.labels)
        assert sum(corpus.label_counts.values()) == corpus.n_utterances


@pytest.mark.parametrize("name", NAMES)
def test_label_map_knows_every_label(name: str) -> None:
    corpus = plugins.load("corpora", name).CORPUS
    if corpus.label_map == labels.IDENTITY:
        return
    known = labels.load(corpus.label_map)

    assert set(corpus.labels) <= {*known.labels, *known.merge, *known.drop}


@pytest.mark.parametrize("example", BY_NAME, indirect=True)
def test_examples_are_read_as_they_say(example: tuple[str, Path]) -> None:
    name, root = example
    module = plugins.load("corpora", name)

    found = [u for u in module.utterances(root) if isinstance(u, Utterance)]

    told = {u.path.relative_to(root).as_posix(): (u.speaker, u.label) for u in found}
    assert told == module.EXAMPLES
    assert {u.label for u in found} <= set(module.CORPUS.labels)
    assert {u.sex for u in found} <= {"female", "male", None}


@pytest.mark.parametrize("example", BY_NAME, indirect=True)
def test_order_is_that_of_the_relative_paths(example: tuple[str, Path]) -> None:
    name, root = example
    utterances = plugins.load("corpora", name).utterances

    paths = [u.path.relative_to(root).as_posix() for u in utterances(root)]

    assert paths == sorted(paths)
    assert list(utterances(root)) == list(utterances(root))


@pytest.mark.parametrize("example", BY_NAME, indirect=True)
def test_what_is_no_utterance_is_listed(example: tuple[str, Path]) -> None:
    name, root = example
    (root / ".DS_Store").touch()
    (root / "._x.wav").touch()
    (root / "README").touch()
    (root / "nonsense of mine.wav").touch()

    left = list(plugins.load("corpora", name).utterances(root))
    faults = {u.path.name: u.fault for u in left if isinstance(u, Leftover)}

    assert faults == {
        ".DS_Store": False,
        "._x.wav": False,
        "README": False,
        "nonsense of mine.wav": True,
    }


@pytest.mark.parametrize("name", BY_NAME)
def test_a_missing_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"expected a folder.*got nothing"):
        list(plugins.load("corpora", name).utterances(tmp_path / "gone"))


def test_walk_follows_links_once_and_ends(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    root = tmp_path / "root"
    for folder in (elsewhere, root / "z"):
        folder.mkdir(parents=True)
        (folder / "a.wav").touch()
    (root / "linked").symlink_to(elsewhere)
    (root / "again").symlink_to(root / "z")
    (root / "z" / "loop").symlink_to(root)

    found = list(walk(root))

    paths = [i.relative_to(root).as_posix() for i in found if isinstance(i, Path)]
    left = [i for i in found if isinstance(i, Leftover)]
    assert paths == ["linked/a.wav", "z/a.wav"]
    assert [i.path.name for i in left] == ["again", "loop"]
    assert not any(i.fault for i in left)


def test_walk_names_folders_it_cannot_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    (tmp_path / "shut").mkdir()
    (tmp_path / "a.wav").touch()
    scandir = os.scandir

    def refuse(folder: Path) -> object:
        if Path(folder).name == "shut":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr("corpora._files.os.scandir", refuse)

    found = list(walk(tmp_path))

    assert found[0] == tmp_path / "a.wav"
    assert isinstance(found[1], Leftover)
    assert found[1].fault
    assert found[1].reason == "folder cannot be read: Permission denied"


def test_walk_says_what_each_file_is(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.wav.part", "c.txt", "Thumbs.db", "e.WAV"):
        (tmp_path / name).touch()
    (tmp_path / "d.wav").symlink_to(tmp_path / "gone.wav")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.wav").touch()

    left = [i for i in walk(tmp_path) if isinstance(i, Leftover)]

    assert {i.path.name: (i.reason.split(",")[0], i.fault) for i in left} == {
        ".git": ("hidden folder", False),
        "Thumbs.db": ("hidden file", False),
        "a.mp4": ("video", False),
        "b.wav.part": ("unfinished download", True),
        "c.txt": ("no audio by its name", False),
        "d.wav": ("cannot be read: expected an audio file", True),
    }
    assert tmp_path / "e.WAV" in list(walk(tmp_path))


def test_the_corpora_read_by_name_are_found() -> None:
    assert {"crema_d", "emodb", "nemo", "ravdess", "savee"} <= set(BY_FILE_NAME)
    assert {"shemo", "tess", "turev", "urdu"} <= set(BY_FILE_NAME)


@pytest.mark.parametrize("example", BY_FILE_NAME, indirect=True)
def test_one_name_is_read_without_the_disk(example: tuple[str, Path]) -> None:
    name, root = example
    module = plugins.load("corpora", name)
    gone = root / "gone"

    for found in module.utterances(root):
        path = gone / found.path.relative_to(root)
        assert module.read_name(path) == replace(found, path=path)


@pytest.mark.parametrize("example", BY_FILE_NAME, indirect=True)
def test_a_copy_in_other_letters_is_known_as_a_copy(example: tuple[str, Path]) -> None:
    name, root = example
    module = plugins.load("corpora", name)

    for found in module.utterances(root):
        place = found.path.relative_to(root).as_posix()
        for other in (place.upper(), place.lower()):
            path = root / "a copy" / other
            assert module.read_name(path) == replace(found, path=path)
        assert found.name


@pytest.mark.parametrize("name", BY_FILE_NAME)
def test_a_folder_of_another_emotion_is_said_and_not_believed(
    name: str, tmp_path: Path
) -> None:
    module = plugins.load("corpora", name)
    for place, (_, label) in module.EXAMPLES.items():
        folder = "Sad" if label.startswith("happ") else "HAPPY"
        *parts, file = Path(place).parts
        own = [part for part in parts if emotion_in(part) is None]
        path = tmp_path.joinpath(folder, *own, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    found = list(module.utterances(tmp_path))

    told = sorted((u.speaker, u.label) for u in found)
    assert told == sorted(module.EXAMPLES.values())
    for utterance in found:
        folder = utterance.path.relative_to(tmp_path).parts[0]
        assert utterance.remark.startswith(f"lies in folder {folder!r} but its name")


@pytest.mark.parametrize("name", BY_FILE_NAME)
def test_names_of_another_corpus_are_refused(name: str) -> None:
    for other in set(BY_FILE_NAME) - {name}:
        for place in plugins.load("corpora", other).EXAMPLES:
            found = plugins.load("corpora", name).read_name(Path(place))

            assert isinstance(found, Leftover)
            assert found.fault


CLAIMING = [name for name in NAMES if hasattr(plugins.load("corpora", name), "claims")]


@pytest.mark.parametrize("name", CLAIMING)
def test_names_of_another_corpus_are_not_claimed(name: str) -> None:
    for other in BY_FILE_NAME:
        module = plugins.load("corpora", other)
        for place in module.EXAMPLES:
            assert not plugins.load("corpora", name).claims(Path(place))


def test_the_corpora_told_by_annotations_claim_their_names() -> None:
    assert {"iemocap", "meld", "msp_podcast"} <= set(CLAIMING)
