"""The table of simulated raters: drawn once and for all, and readable as any table."""

import subprocess
import sys
from pathlib import Path

import pytest

from contracts.manifest import Utterance
from corpora import table

ROOT = Path(__file__).resolve().parents[1]
NAMES = [
    f"03-01-{emotion:02d}-{strength:02d}-01-0{take}-{actor:02d}.wav"
    for actor in (1, 2)
    for emotion in range(1, 9)
    for strength in ((1,) if emotion == 1 else (1, 2))
    for take in (1, 2)
]


def written(folder: Path) -> Path:
    """Draw votes for empty files of RAVDESS' names."""
    for name in NAMES:
        path = folder / "ravdess" / f"Actor_{name[-6:-4]}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    out = folder / "out" / "votes.csv"
    script = ROOT / "docs" / "simulated_raters.py"
    asked = [sys.executable, str(script), str(folder / "ravdess"), str(out)]
    subprocess.run(asked, check=True, capture_output=True, cwd=folder)
    return out


@pytest.fixture(scope="module")
def votes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("raters"))


def test_three_raters_judge_every_recording(votes: Path) -> None:
    found = [i for i in table.utterances(votes) if isinstance(i, Utterance)]

    assert len(found) == len(NAMES)
    thirds = [3 * share for one in found for share in one.votes.values()]
    assert thirds == pytest.approx([round(x) for x in thirds], abs=1e-9)
    assert sum(thirds) == pytest.approx(3 * len(found))
    assert {one.speaker for one in found} == {"01", "02"}


def test_most_votes_are_for_what_was_acted_and_not_all(votes: Path) -> None:
    found = [i for i in table.utterances(votes) if isinstance(i, Utterance)]

    right = sum(one.votes.get(str(one.label), 0) for one in found) / len(found)
    assert 0.5 < right < 0.9


def test_the_table_is_the_same_everywhere(votes: Path, tmp_path: Path) -> None:
    again = written(tmp_path)

    told = [
        [line.split("/")[-1] for line in path.read_text().splitlines()]
        for path in (votes, again)
    ]
    assert told[0] == told[1]
