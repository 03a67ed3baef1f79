"""IEMOCAP: evaluations, votes, cutting, and every odd folder."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from contracts.errors import ManifestError
from contracts.manifest import Leftover, Utterance, votes
from corpora.iemocap import CORPUS, claims, utterances
from extract._scan import scan

EVALUATION = """\
% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.0000, 1.5000]
C-E2:\tNeutral;\t()
C-E3:\tNeutral; Anger;\t()
C-E4:\tFrustration;\t(mild; not loud)
C-F1:\tAnger;\t()
A-E3:\tval 3; act 2; dom  2;\t()
A-F1:\tval 1; act 5; dom  5;\t()

[10.0100 - 11.3925]\tSes01F_impro01_M000\txxx\t[3.0000, 3.5000, 4.0000]
C-E2:\tHappiness;\t()
C-E3:\tSurprise;\t()
C-M1:\tDisgust;\t()
"""
SCRIPTED = """\
% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[0.5000 - 2.0000]\tSes05M_script01_1b_F007\tfru\t[2.0000, 2.0000, 2.0000]
C-E1:\tFrustration;\t()
C-E5:\t;\t()
"""
WORDS = """\
M: a noise nobody timed
Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
Ses01F_impro01_M000 [010.0100-011.3925]: Do you have your forms?
"""
DIALOGUE = "Session1/dialog/wav/Ses01F_impro01.wav"
FOLDER = "Session1/sentences/wav/Ses01F_impro01"
EMO = "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def published(root: Path, single: bool = True, whole: bool = True) -> Path:
    """Write a folder as it is published, with what lies beside the annotations."""
    session = "Session1/dialog"
    beside = "Ses01F_impro01_F000 :Neutral state; ()\n"
    files = {
        EMO: EVALUATION,
        f"{session}/EmoEvaluation/Categorical/Ses01F_impro01_e2_cat.txt": beside,
        f"{session}/EmoEvaluation/Self-evaluation/Ses01F_impro01_f1_cat.txt": beside,
        f"{session}/transcriptions/Ses01F_impro01.txt": WORDS,
        f"{session}/MOCAP_head/Ses01F_impro01.txt": "Frame# Time pitch roll yaw\n1 0\n",
        f"{session}/avi/DivX/Ses01F_impro01.avi": "",
        f"{session}/lab/Ses01_F/Ses01F_impro01.lab": "",
        f"{session}/wav/._Ses01F_impro01.wav": "",
        "Session5/dialog/EmoEvaluation/Ses05M_script01_1b.txt": SCRIPTED,
        "Session5/dialog/wav/Ses05M_script01_1b.wav": "",
    }
    if whole:
        files[DIALOGUE] = ""
    if single:
        files |= {
            f"{FOLDER}/Ses01F_impro01_{part}.wav": "" for part in ("F000", "M000")
        }
    return write(root / "IEMOCAP_full_release", files)


def read(root: Path) -> tuple[dict[str, Utterance], list[Leftover]]:
    """Return utterances by name, and leftovers."""
    found = list(utterances(root))
    told = [u for u in found if isinstance(u, Utterance)]
    named = {str(u.name): u for u in told}
    assert len(named) == len(told)
    return named, [x for x in found if isinstance(x, Leftover)]


def faults(left: list[Leftover]) -> list[str]:
    return [f"{x.path.name}: {x.reason}" for x in left if x.fault]


def test_single_files_become_utterances(tmp_path: Path) -> None:
    root = published(tmp_path)

    found, left = read(root)

    assert found["Ses01F_impro01_F000"] == Utterance(
        root / FOLDER / "Ses01F_impro01_F000.wav",
        speaker="Ses01F",
        label="neutral",
        sex="female",
        session="1",
        text="Excuse me.",
        votes=found["Ses01F_impro01_F000"].votes,
        traits={
            "valence": 2.5,
            "activation": 2.0,
            "dominance": 1.5,
            "style": "improvised",
            "dialogue": "Ses01F_impro01",
        },
        name="Ses01F_impro01_F000",
    )
    assert len(found) == 3
    assert not faults(left)


def test_the_last_part_of_the_name_says_who_speaks(tmp_path: Path) -> None:
    found, _ = read(published(tmp_path))

    told = {name: (u.speaker, u.sex, u.session) for name, u in found.items()}
    assert told == {
        "Ses01F_impro01_F000": ("Ses01F", "female", "1"),
        "Ses01F_impro01_M000": ("Ses01M", "male", "1"),
        "Ses05M_script01_1b_F007": ("Ses05F", "female", "5"),
    }


def test_each_external_evaluator_has_one_vote(tmp_path: Path) -> None:
    found, _ = read(published(tmp_path))

    first = found["Ses01F_impro01_F000"].votes
    third = pytest.approx(1 / 3)
    assert first == {"angry": pytest.approx(1 / 6), "neutral": 0.5, "frustrated": third}
    assert found["Ses01F_impro01_M000"].votes == {"happy": 0.5, "surprised": 0.5}
    assert found["Ses05M_script01_1b_F007"].votes == {"frustrated": 1.0}
    assert all(sum(u.votes.values()) == pytest.approx(1) for u in found.values())


def test_no_agreement_is_no_label_but_keeps_its_votes(tmp_path: Path) -> None:
    found, _ = read(published(tmp_path))

    assert found["Ses01F_impro01_M000"].label is None
    assert found["Ses01F_impro01_M000"].votes


def test_utterances_are_cut_from_a_dialogue_that_is_none_itself(tmp_path: Path) -> None:
    root = published(tmp_path, single=False)

    found, left = read(root)

    told = {n: (u.path.name, u.start, u.end) for n, u in found.items()}
    assert told == {
        "Ses01F_impro01_F000": ("Ses01F_impro01.wav", 6.2901, 8.2357),
        "Ses01F_impro01_M000": ("Ses01F_impro01.wav", 10.01, 11.3925),
        "Ses05M_script01_1b_F007": ("Ses05M_script01_1b.wav", 0.5, 2.0),
    }
    assert found["Ses05M_script01_1b_F007"].traits["style"] == "scripted"
    assert root / DIALOGUE not in {x.path for x in left}


def test_a_dialogue_beside_its_single_files_is_left_and_said(tmp_path: Path) -> None:
    root = published(tmp_path)

    found, left = read(root)

    assert root / DIALOGUE not in {u.path for u in found.values()}
    (said,) = [x for x in left if x.path == root / DIALOGUE]
    assert said.reason == "a whole dialogue; its utterances are single files"
    assert not said.fault


def test_what_single_files_lack_is_cut_from_the_dialogue(tmp_path: Path) -> None:
    root = published(tmp_path)
    (root / FOLDER / "Ses01F_impro01_M000.wav").unlink()

    found, left = read(root)

    assert found["Ses01F_impro01_M000"].path == root / DIALOGUE
    assert found["Ses01F_impro01_F000"].start is None
    assert not faults(left)


def test_every_file_is_an_utterance_or_a_leftover(tmp_path: Path) -> None:
    root = published(tmp_path)

    found, left = read(root)

    told = {u.path for u in found.values()} | {x.path for x in left}
    assert told - {root} == {path for path in root.rglob("*") if path.is_file()}


def test_an_utterance_without_audio_is_named(tmp_path: Path) -> None:
    _, left = read(published(tmp_path, single=False, whole=False))

    assert faults(left) == [
        f"Ses01F_impro01.txt: no audio of Ses01F_impro01_{part}: expected a file "
        f"Ses01F_impro01_{part} or Ses01F_impro01"
        for part in ("F000", "M000")
    ]


def test_audio_that_no_evaluation_tells_of_is_listed(tmp_path: Path) -> None:
    names = ("Ses02F_impro01.wav", "Ses02F_impro01_M001.wav", "Ses06F_impro01.wav")
    found, left = read(write(tmp_path, dict.fromkeys(names, "")))

    assert not found
    assert faults(left) == [
        "Ses02F_impro01.wav: no EmoEvaluation tells of Ses02F_impro01",
        "Ses02F_impro01_M001.wav: no EmoEvaluation tells of Ses02F_impro01_M001",
        "Ses06F_impro01.wav: unknown name: expected an utterance such as "
        "Ses01F_impro01_F000 or a dialogue such as Ses01F_impro01, got "
        "'Ses06F_impro01'",
    ]


def test_flat_and_lower_case_mirrors_are_read_alike(tmp_path: Path) -> None:
    files = {f"wavs/ses01f_impro01_{part}.flac": "" for part in ("f000", "m000")}
    found, left = read(write(tmp_path, files | {"emo/ses01f_impro01.txt": EVALUATION}))

    assert {n: u.speaker for n, u in found.items()} == {
        "Ses01F_impro01_F000": "Ses01F",
        "Ses01F_impro01_M000": "Ses01M",
    }
    assert not faults(left)


def test_doubled_copies_carry_the_same_name_and_are_evaluated_once(
    tmp_path: Path,
) -> None:
    wav = "Ses01F_impro01_F000.wav"
    files = {f"{x}/{wav}": "" for x in "ab"} | {f"{x}/{EMO}": EVALUATION for x in "ab"}
    files["a/Ses01F_impro01_M000.wav"] = ""

    found = list(utterances(write(tmp_path, files)))

    told = [u.name for u in found if isinstance(u, Utterance)]
    assert sorted(map(str, told)) == [
        "Ses01F_impro01_F000",
        "Ses01F_impro01_F000",
        "Ses01F_impro01_M000",
    ]
    (copy,) = [x for x in found if x.path == tmp_path / "b" / EMO]
    assert isinstance(copy, Leftover)
    assert not copy.fault
    assert copy.reason.endswith(f"2 of its utterances are evaluated in a/{EMO} as well")


def test_evaluations_that_contradict_one_another_are_believed_of_neither(
    tmp_path: Path,
) -> None:
    other = EVALUATION.replace("\tneu\t", "\tang\t")
    files = {f"a/Ses01F_impro01_{part}.wav": "" for part in ("F000", "M000")}
    for folder, text in (("a", EVALUATION), ("b", other), ("c", EVALUATION)):
        files[f"{folder}/{EMO}"] = text

    found, left = read(write(tmp_path, files))

    assert list(found) == ["Ses01F_impro01_M000"]
    assert faults(left) == [
        "Ses01F_impro01_F000.wav: EmoEvaluation files contradict one another about "
        "Ses01F_impro01_F000",
        "Ses01F_impro01.txt: another file tells other things of Ses01F_impro01_F000",
    ]


@pytest.mark.parametrize(
    ("line", "by", "wrong"),
    [
        (3, "[6.2901 - 8.2357] what", "line 3: expected [start - end] utterance label"),
        (3, "[9 - 8]\tSes01F_impro01_F000\tneu\t[1, 1, 1]", "line 3: empty stretch"),
        (
            3,
            "[6 - 8]\tSes01F_impro01_F000\tjoy\t[1, 1, 1]",
            "line 3: unknown label: expected one of ang, hap",
        ),
        (5, "C-E3:\tNeutral; Bliss;\t()", "line 5: unknown category: expected Anger"),
        (6, "what is this", "line 6: unknown line: got 'what is this'"),
    ],
)
def test_a_broken_line_is_named_by_file_and_number(
    line: int, by: str, wrong: str, tmp_path: Path
) -> None:
    lines = EVALUATION.splitlines()
    lines[line - 1] = by
    root = published(tmp_path)
    (root / EMO).write_text("\n".join(lines), encoding="utf-8")

    found, left = read(root)

    (first, *_) = [x for x in left if x.path == root / EMO and x.fault]
    assert first.reason.startswith(wrong)
    assert found["Ses01F_impro01_M000"].votes == {"happy": 0.5, "surprised": 0.5}
    assert ("Ses01F_impro01_F000" in found) == (line > 3)


def test_votes_behind_a_broken_head_are_nobodys(tmp_path: Path) -> None:
    root = published(tmp_path)
    text = EVALUATION.replace("[10.0100 - 11.3925]", "[nonsense]")
    (root / EMO).write_text(text, encoding="utf-8")

    found, _ = read(root)

    assert "happy" not in found["Ses01F_impro01_F000"].votes


def test_missing_transcriptions_are_said_once(tmp_path: Path) -> None:
    root = published(tmp_path)
    (root / "Session1/dialog/transcriptions/Ses01F_impro01.txt").unlink()

    found, left = read(root)

    assert {u.text for u in found.values()} == {None}
    (said,) = [x for x in left if x.path == root]
    assert not said.fault
    assert said.reason == (
        "3 utterances have no text: expected their transcriptions, such as "
        "Ses01F_impro01.txt, beside the evaluations, got none of "
        "Ses01F_impro01_F000, Ses01F_impro01_M000, Ses05M_script01_1b_F007"
    )


def test_order_is_the_same_every_time(tmp_path: Path) -> None:
    root = published(tmp_path, single=False)

    found = [u for u in utterances(root) if isinstance(u, Utterance)]

    places = [(u.path.relative_to(root).as_posix(), u.start or 0) for u in found]
    assert places == sorted(places)
    assert list(utterances(root)) == list(utterances(root))
    assert {u.label for u in found} - {None} <= set(CORPUS.labels)


@pytest.mark.parametrize("text", ["a note", EVALUATION.splitlines()[0]])
def test_a_folder_of_other_things_is_one_sentence(text: str, tmp_path: Path) -> None:
    write(tmp_path, {EMO: text})

    with pytest.raises(ManifestError, match=r"holds nothing of IEMOCAP: expected eval"):
        list(utterances(tmp_path))


def test_the_manifest_holds_the_cut_utterances(tmp_path: Path) -> None:
    root = published(tmp_path, single=False)
    for name, seconds in (
        (DIALOGUE, 12),
        ("Session5/dialog/wav/Ses05M_script01_1b", 3),
    ):
        noise = np.random.default_rng(0).normal(0, 0.1, (16000 * seconds, 2))
        soundfile.write((root / name).with_suffix(".wav"), noise, 16000)

    found = scan("iemocap", root)

    rows = found.manifest.rows
    assert rows["duration"].tolist() == pytest.approx([1.9456, 1.3825, 1.5], abs=1e-4)
    assert rows["trait:valence"].tolist() == [2.5, 3.0, 2.0]
    shares = votes(rows)
    assert shares is not None
    assert shares.sum(axis=1).tolist() == pytest.approx([1, 1, 1])
    assert not found.faults


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("a/Ses01F_impro01_F000.wav", True),
        ("SES05M_SCRIPT01_1B_F007.flac", True),
        ("Ses01F_impro01.wav", True),
        ("Ses06F_impro01_F000.wav", False),
        ("my_Ses01F_impro01_F000.wav", False),
        ("03-01-05-01-02-01-12.wav", False),
    ],
)
def test_names_that_are_surely_of_iemocap(name: str, ours: bool) -> None:
    assert claims(Path(name)) is ours
