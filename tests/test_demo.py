"""The demo: the same samples every time, and emotions neither lost nor given away."""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from contracts.errors import PluginError
from contracts.manifest import Utterance
from corpora import commands, demo


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    assert demo.speak(root) == len(demo.names())
    return root


def found(root: Path) -> list[Utterance]:
    return [u for u in demo.utterances(root) if isinstance(u, Utterance)]


def test_corpus_is_balanced(spoken: Path) -> None:
    utterances = found(spoken)

    assert len(utterances) == demo.CORPUS.n_utterances == 384
    assert Counter(u.label for u in utterances) == demo.CORPUS.label_counts
    assert set(Counter(u.speaker for u in utterances).values()) == {16}
    assert len({u.speaker for u in utterances}) == demo.CORPUS.n_speakers == 24
    assert Counter(u.sex for u in utterances) == {"female": 192, "male": 192}
    both = Counter((u.label, u.sentence) for u in utterances)
    assert set(both.values()) == {12}
    assert len(list(demo.utterances(spoken))) == 384


def test_files_are_sound_of_the_said_length(spoken: Path) -> None:
    infos = [soundfile.info(u.path) for u in found(spoken)]

    assert {i.samplerate for i in infos} == {22_050}
    assert {(i.channels, i.format, i.subtype) for i in infos} == {(1, "FLAC", "PCM_16")}
    assert min(i.duration for i in infos) > 1.18
    assert max(i.duration for i in infos) < 3.0
    for name in demo.names()[::16]:
        waveform, _ = soundfile.read(spoken / name)
        assert 0.02 < abs(waveform).max() < 0.999


def test_the_same_file_is_spoken_whatever_came_before(
    spoken: Path, tmp_path: Path
) -> None:
    for name in reversed(demo.names()[::40]):
        demo._speak_one(tmp_path / name)

        assert (tmp_path / name).read_bytes() == (spoken / name).read_bytes(), name


def test_no_two_utterances_are_alike(spoken: Path) -> None:
    assert len({(spoken / name).read_bytes() for name in demo.names()}) == 384


def test_only_missing_files_are_spoken(
    spoken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in demo.names()[1:]:
        (tmp_path / name).write_bytes(b"kept")

    assert commands.speak(tmp_path) == 0

    first, *others = (tmp_path / name for name in demo.names())
    assert first.read_bytes() == (spoken / first.name).read_bytes()
    assert {path.read_bytes() for path in others} == {b"kept"}
    assert "spoke 1 utterances" in capsys.readouterr().out
    assert len(list(tmp_path.iterdir())) == 384


def test_a_killed_run_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        demo.speak(tmp_path)

    assert found(tmp_path) == []


def test_without_espeak_the_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)

    with pytest.raises(PluginError, match="pip install espeakng-loader"):
        demo.speak(tmp_path)


def test_a_forest_hears_emotions_of_new_speakers_but_not_all(spoken: Path) -> None:
    import opensmile
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import balanced_accuracy_score

    smile = opensmile.Smile(
        opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals
    )
    some = [u for u in found(spoken) if u.traits["take"] == "1"]  # half, for time
    with ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(lambda u: smile(*soundfile.read(u.path)), some))
    x = np.concatenate(rows).reshape(len(some), 88)
    y = np.array([u.label for u in some])
    held_out = np.array([int(str(u.speaker)[1:]) % 3 == 0 for u in some])

    forest = RandomForestClassifier(100, random_state=0).fit(x[~held_out], y[~held_out])
    uar = balanced_accuracy_score(y[held_out], forest.predict(x[held_out]))

    assert 0.3 <= uar <= 0.9
