"""Corpora whose file names tell everything: names, codes, folders, tables beside."""

import random
import unicodedata
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.manifest import Leftover, Utterance
from corpora import crema_d, emodb, nemo, savee, shemo, tess, turev, urdu
from corpora._names import emotion_in
from extract._scan import scan

SENTENCES = [
    "IEO",
    "TIE",
    "IOM",
    "IWW",
    "TAI",
    "MTI",
    "IWL",
    "ITH",
    "DFA",
    "ITS",
    "TSI",
    "WSI",
]
CREMA = {"ANG": "angry", "DIS": "disgust", "FEA": "fearful"}
CREMA |= {"HAP": "happy", "NEU": "neutral", "SAD": "sad"}
EMODB = {"W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness"}
EMODB |= {"N": "neutral", "T": "sadness"}
SAVEE = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "n": "neutral"}
SAVEE |= {"sa": "sadness", "su": "surprise"}
SHEMO = {"A": "anger", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness"}
SHEMO |= {"W": "surprise"}
WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)
NUMBERS = st.integers(1, 30)


def table(root: Path, name: str, *rows: str) -> Path:
    """Write a table."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def touch(root: Path, *names: str) -> Path:
    """Write empty files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def told(found: Utterance | Leftover) -> tuple[str | None, ...]:
    assert isinstance(found, Utterance), found
    return found.speaker, found.label, found.sex, found.sentence


def reason(found: Utterance | Leftover) -> str:
    assert isinstance(found, Leftover), found
    assert found.fault
    return found.reason


def messy(name: str, seed: int) -> Path:
    """Put a name into any letter case, any folder and any format."""
    chance = random.Random(seed)
    letters = "".join(chance.choice((c.lower(), c.upper())) for c in name)
    folder = chance.choice(("", "AudioWAV/", "a/b c/", "Actor_99/x/", "../other/"))
    return Path(folder + letters + chance.choice((".wav", ".WAV", ".flac", ".mp3")))


@given(
    st.integers(1001, 1091),
    st.sampled_from(SENTENCES),
    st.sampled_from(list(CREMA)),
    st.sampled_from(["LO", "MD", "HI", "XX", "X"]),
    st.integers(),
)
def test_every_name_of_crema_d_is_read(
    actor: int, sentence: str, emotion: str, level: str, seed: int
) -> None:
    found = crema_d.read_name(messy(f"{actor}_{sentence}_{emotion}_{level}", seed))

    assert told(found)[:2] == (str(actor), CREMA[emotion])
    assert isinstance(found, Utterance)
    assert found.sentence == sentence
    assert found.text == crema_d.TEXTS[sentence]
    whole = level if len(level) == 2 else "XX"
    assert found.name == f"{actor}_{sentence}_{emotion}_{whole}"
    assert (
        found.traits["intensity"]
        == {
            "LO": "low",
            "MD": "medium",
            "HI": "high",
            "XX": "unspecified",
        }[whole]
    )


@given(
    st.sampled_from(["03", "08", "09", "10", "11", "12", "13", "14", "15", "16"]),
    st.sampled_from(
        ["a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10"]
    ),
    st.sampled_from("WLEAFTN"),
    st.sampled_from("abcdef"),
    st.integers(),
)
def test_every_name_of_emodb_is_read(
    speaker: str, sentence: str, emotion: str, version: str, seed: int
) -> None:
    found = emodb.read_name(messy(speaker + sentence + emotion + version, seed))

    sex = "male" if speaker in ("03", "10", "11", "12", "15") else "female"
    assert told(found) == (speaker, EMODB[emotion], sex, sentence)
    assert isinstance(found, Utterance)
    assert found.name == speaker + sentence + emotion + version
    assert found.text == emodb.TEXTS[sentence]


@given(
    st.sampled_from(["OAF", "YAF"]),
    WORDS,
    st.sampled_from(["angry", "disgust", "fear", "happy", "neutral", "ps", "sad"]),
    st.integers(),
)
def test_every_name_of_tess_is_read(
    speaker: str, word: str, emotion: str, seed: int
) -> None:
    found = tess.read_name(messy(f"{speaker}_{word}_{emotion}", seed))

    label = "pleasant surprise" if emotion == "ps" else emotion
    assert told(found) == (speaker, label, "female", word)
    assert isinstance(found, Utterance)
    assert found.name == f"{speaker}_{word}_{emotion}"
    assert found.text == f"Say the word {word}"


@given(
    st.sampled_from(["DC", "JE", "JK", "KL"]),
    st.sampled_from(list(SAVEE)),
    NUMBERS,
    st.booleans(),
    st.integers(),
)
def test_every_name_of_savee_is_read(
    speaker: str, emotion: str, number: int, flat: bool, seed: int
) -> None:
    number = number if emotion == "n" else (number + 1) // 2
    sentence = f"{emotion}{number:02}"
    path = messy(f"{speaker}_{sentence}", seed)
    if not flat:
        path = Path("AudioData") / speaker / messy(sentence, seed).name

    found = savee.read_name(path)

    assert told(found) == (speaker, SAVEE[emotion], "male", sentence)
    assert isinstance(found, Utterance)
    assert found.name == f"{speaker}_{sentence}"


@given(
    st.sampled_from(["EB0", "IC0", "KD0", "KS0", "MK0", "MP0", "SM0", "TP0", "WR0"]),
    st.sampled_from(["anger", "fear", "happiness", "sadness", "surprised", "neutral"]),
    st.integers(1, 90),
    st.integers(),
)
def test_every_name_of_nemo_is_read(
    speaker: str, emotion: str, sentence: int, seed: int
) -> None:
    found = nemo.read_name(messy(f"{speaker}_{emotion}_{sentence}", seed))

    sex = "female" if speaker in ("EB0", "IC0", "KD0", "MK0") else "male"
    assert told(found) == (speaker, emotion, sex, str(sentence))
    assert isinstance(found, Utterance)
    assert found.name == f"{speaker}_{emotion}_{sentence}"


@given(
    st.sampled_from([*(f"SM{i}" for i in range(1, 28)), "SF1", "SF9", "SF11"]),
    NUMBERS,
    st.sampled_from([("A", "angry"), ("H", "happy"), ("N", "neutral"), ("S", "sad")]),
    st.integers(1, 100),
    st.integers(),
)
def test_every_name_of_urdu_is_read(
    speaker: str, file: int, emotion: tuple[str, str], number: int, seed: int
) -> None:
    letter, label = emotion

    found = urdu.read_name(messy(f"{speaker}_F{file}_{letter}0{number}", seed))

    sex = "female" if speaker.startswith("SF") else "male"
    assert told(found) == (speaker, label, sex, None)
    assert isinstance(found, Utterance)
    assert found.name == f"{speaker}_F{file}_{letter}0{number}"


@given(
    st.sampled_from(["1157", "1234", "1358", "1984", "6783", "7895"]),
    st.sampled_from([("kz", "angry"), ("sk", "calm"), ("mt", "happy"), ("hl", "sad")]),
    WORDS,
    st.integers(),
)
def test_every_name_of_turev_is_read(
    speaker: str, emotion: tuple[str, str], word: str, seed: int
) -> None:
    code, label = emotion

    found = turev.read_name(messy(f"{speaker}_{code}_{word}", seed))

    assert told(found) == (speaker, label, None, word)
    assert isinstance(found, Utterance)
    assert found.name == f"{speaker}_{code}_{word}"


@given(
    st.sampled_from([("F", "female"), ("M", "male")]),
    st.integers(1, 56),
    st.sampled_from(list(SHEMO.items())),
    st.integers(1, 99),
    st.integers(),
)
def test_every_name_of_shemo_is_read(
    sex: tuple[str, str],
    speaker: int,
    emotion: tuple[str, str],
    number: int,
    seed: int,
) -> None:
    name = f"{sex[0]}{speaker:02}{emotion[0]}{number:02}"

    found = shemo.read_name(messy(name, seed))

    assert told(found) == (name[:3], emotion[1], sex[1], None)
    assert isinstance(found, Utterance)
    assert found.name == name


@pytest.mark.parametrize(
    ("read_name", "name", "wrong"),
    [
        (crema_d.read_name, "1092_DFA_ANG_XX", "unknown actor: expected 1001 to 1091"),
        (crema_d.read_name, "1001_XYZ_ANG_XX", "unknown sentence: expected one of IEO"),
        (
            crema_d.read_name,
            "1001_DFA_SUR_XX",
            "unknown emotion: expected one of ANG, DIS, FEA, HAP, NEU, SAD, got 'SUR'",
        ),
        (crema_d.read_name, "1001_DFA_ANG_ZZ", "unknown level: expected one of LO,"),
        (crema_d.read_name, "1001_DFA_ANG", "unknown name: expected actor_sentence_"),
        (crema_d.read_name, "1001_DFA_ANG_XX (1)", "unknown name"),
        (emodb.read_name, "04a01Fa", "unknown speaker: expected one of 03, 08,"),
        (emodb.read_name, "03a03Fa", "unknown sentence: expected one of a01, a02,"),
        (emodb.read_name, "03a01Xa", "unknown emotion: expected one of W, L, E, A, F"),
        (emodb.read_name, "03a01F", "unknown name: expected speaker, sentence"),
        (tess.read_name, "OAF_back_calm", "unknown emotion: expected one of angry,"),
        (tess.read_name, "MAF_back_sad", "unknown speaker: expected one of OAF, YAF"),
        (tess.read_name, "OA_back_sad", "unknown speaker: expected one of OAF, YAF"),
        (tess.read_name, "OAF_sad", "unknown name: expected speaker_word_emotion"),
        (savee.read_name, "DC_b01", "unknown emotion: expected one of a, d, f, h, n"),
        (savee.read_name, "XY_a01", "unknown speaker: expected one of DC, JE, JK, KL"),
        (savee.read_name, "a01", "unknown speaker: expected a folder DC, JE, JK, KL"),
        (
            savee.read_name,
            "DC_a16",
            "unknown number: expected 01 to 15 but for neutral",
        ),
        (savee.read_name, "DC_n31", "unknown number: expected 01 to 30, got '31'"),
        (savee.read_name, "DC_a1", "unknown name: expected speaker_emotion and number"),
        (nemo.read_name, "XX0_fear_1", "unknown speaker: expected one of EB0, IC0"),
        (nemo.read_name, "EB0_joy_1", "unknown emotion: expected one of anger, fear"),
        (nemo.read_name, "EB0_fear_91", "unknown sentence: expected 1 to 90, got '91'"),
        (nemo.read_name, "EB0_fear", "unknown name: expected speaker_emotion_sentence"),
        (urdu.read_name, "SM28_F1_A01", "unknown speaker: expected SM1 to SF11, got"),
        (urdu.read_name, "SM1_F1_X01", "unknown emotion: expected one of A, H, N, S"),
        (urdu.read_name, "SM1_A01", "unknown name: expected speaker_file_emotion"),
        (turev.read_name, "9999_kz_acik", "unknown speaker: expected one of 1157,"),
        (turev.read_name, "1157_xx_acik", "unknown emotion: expected one of kz angry,"),
        (turev.read_name, "1157_acik", "unknown name: expected speaker_emotion_word"),
        (shemo.read_name, "X21N05", "unknown sex: expected one of F, M, got 'X'"),
        (shemo.read_name, "F21X05", "unknown emotion: expected one of A, F, H, N, S"),
        (shemo.read_name, "F2N05", "unknown name: expected sex, speaker, emotion"),
    ],
)
def test_a_wrong_name_is_a_fault_that_says_what_is_expected(
    read_name: object, name: str, wrong: str
) -> None:
    assert callable(read_name)
    assert reason(read_name(Path(f"{name}.wav"))).startswith(wrong)


def test_every_wrong_field_is_named() -> None:
    found = reason(crema_d.read_name(Path("1000_XYZ_SUR_QQ.wav")))

    for field in ("actor", "sentence", "emotion", "level"):
        assert f"unknown {field}" in found
    found = reason(savee.read_name(Path("x/a20.wav")))
    assert "unknown speaker" in found
    assert "unknown number" in found


def test_foreign_digits_and_letters_are_no_codes() -> None:
    assert "unknown name" in reason(shemo.read_name(Path("F٢١N05.wav")))
    assert "unknown name" in reason(savee.read_name(Path("DC_ſa01.wav")))


def test_whole_savee_has_its_published_counts(tmp_path: Path) -> None:
    for speaker, emotion in product(("DC", "JE", "JK", "KL"), SAVEE):
        for number in range(1, 31 if emotion == "n" else 16):
            touch(tmp_path, f"AudioData/{speaker}/{emotion}{number:02}.wav")

    found = [u for u in savee.utterances(tmp_path) if isinstance(u, Utterance)]

    assert len(found) == len({u.name for u in found}) == savee.CORPUS.n_utterances
    assert Counter(u.label for u in found) == savee.CORPUS.label_counts
    assert set(Counter(u.speaker for u in found).values()) == {120}
    assert not any(u.remark for u in found)


def test_the_folder_that_is_given_may_itself_be_the_speaker(tmp_path: Path) -> None:
    (found,) = savee.utterances(touch(tmp_path, "KL/su01.wav") / "KL")

    assert told(found) == ("KL", "surprise", "male", "su01")


def test_crema_d_knows_43_women_and_48_men() -> None:
    found = [
        crema_d.read_name(Path(f"{actor}_DFA_ANG_XX.wav"))
        for actor in range(1001, 1092)
    ]

    sexes = Counter(told(u)[2] for u in found)
    assert sexes == {"female": 43, "male": 48}
    assert [told(found[i])[2] for i in (0, 1, 90)] == ["male", "female", "female"]


def test_wav_is_taken_and_its_mp3_twin_is_said(tmp_path: Path) -> None:
    touch(tmp_path, "AudioMP3/1001_DFA_ANG_XX.mp3", "AudioMP3/1001_IEO_SAD_LO.mp3")
    touch(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav", "VideoFlash/1001_DFA_ANG_XX.flv")

    twin, alone, wav, video = crema_d.utterances(tmp_path)

    assert isinstance(twin, Leftover)
    assert not twin.fault
    assert "AudioWAV/1001_DFA_ANG_XX.wav as the raters heard it" in twin.reason
    assert told(alone)[1] == "sad"
    assert told(wav)[1] == "angry"
    assert isinstance(video, Leftover)
    assert not video.fault


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "opus", "m4a"])
@pytest.mark.parametrize("kept", ["wav", "flac"])
def test_a_clip_without_loss_goes_before_its_other_encodings(
    kept: str, suffix: str, tmp_path: Path
) -> None:
    touch(tmp_path, f"a/1001_DFA_ANG_XX.{suffix}", f"b/1001_DFA_ANG_XX.{kept}")
    touch(tmp_path, "c/1001_DFA_ANG_XX.aiff")

    found = list(crema_d.utterances(tmp_path))

    assert [u.path.suffix for u in found if isinstance(u, Utterance)] == [f".{kept}"]
    left = [item for item in found if isinstance(item, Leftover)]
    assert not any(item.fault for item in left)
    for item in left:
        assert item.reason.startswith(f"the clip b/1001_DFA_ANG_XX.{kept} ")


def test_wav_goes_before_flac_and_two_wavs_both_stay(tmp_path: Path) -> None:
    touch(tmp_path, "a/1001_DFA_ANG_XX.flac", "b/1001_DFA_ANG_XX.wav")
    touch(tmp_path, "c/1001_DFA_ANG_XX.WAV")

    flac, first, second = crema_d.utterances(tmp_path)

    assert isinstance(flac, Leftover)
    assert flac.reason == "the clip b/1001_DFA_ANG_XX.wav in another encoding"
    assert isinstance(first, Utterance)
    assert isinstance(second, Utterance)


def test_sentences_of_nemo_with_a_zero_before_are_the_same() -> None:
    one, other = (nemo.read_name(Path(f"EB0_sadness_{n}.wav")) for n in ("3", "03"))

    assert told(one) == told(other) == ("EB0", "sadness", "female", "3")
    assert isinstance(one, Utterance)
    assert isinstance(other, Utterance)
    assert one.name == other.name
    assert "unknown sentence" in reason(nemo.read_name(Path("EB0_sadness_00.wav")))


@pytest.mark.parametrize(
    "word", ["pleasant_surprise", "pleasant_surprised", "Pleasant Surprise", "PS"]
)
def test_pleasant_surprise_of_tess_may_be_written_out(word: str) -> None:
    found = tess.read_name(Path(f"OAF_bean_{word}.wav"))

    assert told(found) == ("OAF", "pleasant surprise", "female", "bean")
    assert isinstance(found, Utterance)
    assert found.name == "OAF_bean_ps"


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    ("word", "published"), [("açık", "acik"), ("ÖĞÜŞ", "ogus"), ("İÇİ", "ici")]
)
def test_words_of_turev_in_turkish_letters(
    word: str, published: str, form: Literal["NFC", "NFD"]
) -> None:
    name = unicodedata.normalize(form, f"1157_kz_{word}.wav")

    found = turev.read_name(Path(name))

    assert told(found) == ("1157", "angry", None, published)
    assert isinstance(found, Utterance)
    assert found.name == f"1157_kz_{published}"


def test_demographics_are_read_wherever_they_lie(tmp_path: Path) -> None:
    touch(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1002_DFA_ANG_XX.wav")
    table(
        tmp_path,
        "info/VideoDemographics.csv",
        '"ActorID","Age","Sex","Race","Ethnicity"',
        '1001,51,"Male","Caucasian","Not Hispanic"',
    )

    first, second, left = crema_d.utterances(tmp_path)

    assert isinstance(first, Utterance)
    assert isinstance(second, Utterance)
    assert first.traits == {
        "intensity": "unspecified",
        "age": 51.0,
        "race": "Caucasian",
        "ethnicity": "Not Hispanic",
    }
    assert second.traits == {"intensity": "unspecified"}
    assert left == Leftover(
        tmp_path / "info" / "VideoDemographics.csv",
        "no audio, read as a table of the corpus",
        fault=False,
    )


HEADS = '"","A","D","F","H","N","S","fileName","numResponses"'


def test_only_votes_on_the_voice_are_kept(tmp_path: Path) -> None:
    touch(tmp_path, "1001_IEO_NEU_XX.wav", "1040_ITH_SAD_X.wav", "1001_TIE_SAD_XX.wav")
    table(
        tmp_path,
        "processedResults/tabulatedVotes.csv",
        HEADS,
        '"100001",0,0,0,1,3,0,"1001_IEO_NEU_XX",4',
        '"103213",0,0,0,0,0,5,"1040_ITH_SAD_XX",5',
        '"107443",5,0,0,0,0,0,"ANG_HI_practice",5',
        '"200001",0,0,0,9,0,0,"1001_IEO_NEU_XX",9',
        '"300017",0,0,0,9,0,0,"1001_TIE_SAD_XX",9',
    )

    found = [u for u in crema_d.utterances(tmp_path) if isinstance(u, Utterance)]
    votes = {u.name: {k: v for k, v in u.votes.items() if v} for u in found}

    assert votes == {
        "1001_IEO_NEU_XX": {"happy": 0.25, "neutral": 0.75},
        "1001_TIE_SAD_XX": {},
        "1040_ITH_SAD_XX": {"sad": 1.0},
    }
    assert {u.name: u.remark for u in found if u.remark} == {
        "1001_TIE_SAD_XX": "no votes on its voice in tabulatedVotes.csv"
    }
    assert {u.label for u in found} == {"neutral", "sad"}


@pytest.mark.parametrize(
    "rows",
    [
        ('"100001",0,0,0,0,0,0,"1001_IEO_NEU_XX",0',),
        ('"100001",0,0,0,x,3,0,"1001_IEO_NEU_XX",4',),
        ('"100001",0,0,0,-1,3,0,"1001_IEO_NEU_XX",4',),
        (
            '"100001",0,0,0,1,3,0,"1001_IEO_NEU_XX",4',
            '"100009",0,0,0,2,3,0,"1001_IEO_NEU_XX",5',
        ),
    ],
)
def test_votes_that_are_not_plain_are_not_used(
    rows: tuple[str, ...], tmp_path: Path
) -> None:
    touch(tmp_path, "1001_IEO_NEU_XX.wav", "1001_TIE_NEU_XX.wav")
    plain = '"100017",0,0,0,0,4,0,"1001_TIE_NEU_XX",4'
    table(tmp_path, "tabulatedVotes.csv", HEADS, *rows, plain)

    first, second, _ = crema_d.utterances(tmp_path)

    assert isinstance(first, Utterance)
    assert isinstance(second, Utterance)
    assert not first.votes
    assert first.remark == "no votes on its voice in tabulatedVotes.csv"
    assert second.votes["neutral"] == 1.0
    assert second.remark is None


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (("version https://git-lfs.github.com/spec/v1", "size 9"), "cannot be used"),
        ((HEADS,), "expected rows with the columns fileName, A, D, F, H, N, S, got 0"),
        ((HEADS, '"200001",0,0,0,9,0,0,"1001_IEO_NEU_XX",9'), "cannot be used"),
        ((HEADS, "1,2", "1,2,3,4,5,6,7,8,9,10,11,12"), "cannot be read"),
    ],
)
def test_a_table_of_no_use_is_a_fault_and_the_rest_goes_on(
    rows: tuple[str, ...], why: str, tmp_path: Path
) -> None:
    touch(tmp_path, "1001_IEO_NEU_XX.wav")
    table(tmp_path, "tabulatedVotes.csv", *rows)

    found, left = crema_d.utterances(tmp_path)

    assert why in reason(left)
    assert isinstance(found, Utterance)
    assert not found.votes
    assert found.remark is None


def test_a_second_table_is_said_and_not_read(tmp_path: Path) -> None:
    for folder, text in (("a", "jeden"), ("b", "dwa")):
        rows = ("file_id\traw_text", f"EB0_fear_1.wav\t{text}")
        table(tmp_path, f"{folder}/data.tsv", *rows)
    touch(tmp_path, "EB0_fear_1.wav")

    found, *left = nemo.utterances(tmp_path)

    assert isinstance(found, Utterance)
    assert found.text == "jeden"
    assert [x.reason for x in left if isinstance(x, Leftover)] == [
        "no audio, read as a table of the corpus",
        "a second data.tsv, not read",
    ]


def test_nemo_reads_what_is_said(tmp_path: Path) -> None:
    touch(tmp_path, "samples/EB0_neutral_13.wav", "samples/WR0_fear_2.wav")
    table(
        tmp_path,
        "data.tsv",
        "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage",
        "EB0_neutral_13.wav\tneutral\tInteresuje mnie historia.\tx\t        EB0\tf\t27",
    )

    _, known, unknown = nemo.utterances(tmp_path)

    assert isinstance(known, Utterance)
    assert isinstance(unknown, Utterance)
    assert known.text == "Interesuje mnie historia."
    assert unknown.text is None


def test_the_misspelt_name_of_tess_is_known(tmp_path: Path) -> None:
    names = ("OAF_neutral/OA_bite_neutral.wav", "fixed/OAF_bite_neutral.wav")

    first, second = tess.utterances(touch(tmp_path, *names))

    assert isinstance(first, Utterance)
    assert isinstance(second, Utterance)
    assert first.path == tmp_path / "OAF_neutral" / "OA_bite_neutral.wav"
    assert first.speaker == second.speaker == "OAF"
    assert first.name == second.name == "OAF_bite_neutral"
    assert first.remark is None


def test_turev_believes_its_folder_only_where_the_code_is_unknown() -> None:
    found = turev.read_name(Path("TurEV/Sound Source/sad/1157_uz_acik.wav"))

    assert told(found) == ("1157", "sad", None, "acik")
    assert isinstance(found, Utterance)
    assert found.remark == "unknown emotion 'uz' in its name: its folder sad is taken"
    two = reason(turev.read_name(Path("Happy/Sad/1157_uz_acik.wav")))
    assert two.endswith("got 'uz' in happy, sad")


def test_turev_leaves_out_what_is_filtered_for_listening(tmp_path: Path) -> None:
    test = "Model Output for Test Data/testEmotions500HighPass/sound"
    touch(tmp_path, f"{test}/Angry/1157_kz_beste.wav")
    touch(tmp_path, "Sound Source/Angry/1157_kz_beste.wav")

    copy, found = turev.utterances(tmp_path)

    assert isinstance(copy, Leftover)
    assert not copy.fault
    assert copy.reason.startswith("a copy filtered for a listening test")
    assert told(found)[1] == "angry"


@pytest.mark.parametrize(
    ("utterances", "name", "remark"),
    [
        (crema_d.utterances, "Actor_1002/1001_DFA_ANG_XX.wav", "says actor 1001:"),
        (emodb.utterances, "speaker08/03a01Fa.wav", "says speaker 03:"),
        (savee.utterances, "JE/DC_a01.wav", "says speaker DC:"),
        (tess.utterances, "YAF_sad/OAF_back_sad.wav", "says speaker OAF:"),
        (nemo.utterances, "WR0/EB0_fear_1.wav", "says speaker EB0:"),
        (urdu.utterances, "SF1/SM1_F1_A01.wav", "says speaker SM1:"),
        (turev.utterances, "1234/1157_kz_acik.wav", "says speaker 1157:"),
        (shemo.utterances, "M21/F21N05.wav", "says speaker F21:"),
        (shemo.utterances, "F21/M01/F21/F21N05.wav", None),
        (shemo.utterances, "f21/F21N05.wav", None),
        (turev.utterances, "2024/1157_kz_acik.wav", None),
        (turev.utterances, "Sad/Happy/Angry/1157_kz_acik.wav", None),
        (turev.utterances, "Happy/Angry/Happy/1157_kz_acik.wav", "says label angry:"),
    ],
)
def test_the_name_is_believed_and_not_the_nearest_folder(
    utterances: object, name: str, remark: str | None, tmp_path: Path
) -> None:
    assert callable(utterances)
    (found,) = utterances(touch(tmp_path, name))

    assert isinstance(found, Utterance)
    if remark is None:
        assert found.remark is None
    else:
        assert found.remark is not None
        assert remark in found.remark
        assert found.remark.startswith(f"lies in folder {name.split('/')[0]!r}")


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("Angry", "anger"),
        ("OAF_Pleasant_surprise", "surprise"),
        ("YAF_pleasant_surprised", "surprise"),
        ("HAP", "happiness"),
        ("03-fearful", "fear"),
        ("happy and sad", None),
        ("sadly", None),
        ("AudioWAV", None),
        ("TESS Toronto emotional speech set data", None),
        ("Surrey Audio-Visual Expressed Emotion (SAVEE)", None),
    ],
)
def test_emotions_are_heard_in_folder_names(text: str, emotion: str | None) -> None:
    assert emotion_in(text) == emotion


def test_a_set_doubled_within_itself_is_read_once(tmp_path: Path) -> None:
    inner = "TESS set/TESS set"
    names = ("OAF_Sad/OAF_back_sad", "YAF_happy/YAF_dog_happy")
    sound = np.random.default_rng(0).uniform(-0.1, 0.1, (2, 3200))
    for folder in ("TESS set", inner):
        for name, samples in zip(names, sound, strict=True):
            path = tmp_path / folder / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples, 16000)

    found = scan("tess", tmp_path)

    assert len(found.manifest.rows) == 2
    assert [x.reason.split(" tess/")[0] for x in found.leftovers] == ["a copy of"] * 2
    assert not found.faults


@settings(max_examples=100)
@given(st.text(max_size=20))
def test_no_name_at_all_breaks_a_corpus(text: str) -> None:
    clean = text.replace("/", "").replace("\0", "")
    path = Path("a") / f"x{clean}.wav"

    for corpus in (crema_d, emodb, tess, savee, nemo, urdu, turev, shemo):
        assert isinstance(corpus.read_name(path), Leftover)
