"""URDU: four emotions by speakers in television talk shows, in Urdu.

400 utterances, unscripted, cut out of talk shows, 100 of each emotion. Published as 27
men and 11 women; the names of the published files tell of 18 and 11, since SM8 to SM16
do not occur. Most speakers are heard in one emotion only, and SM5 says 72 of the 100
neutral ones: held out, he leaves few. A file is named::

    SM1_F10_A010.wav
    speaker_file_emotion number

    speaker  S, sex and number: SM1 to SM27 male, SF1 to SF11 female
    file     F and a number, counted for each speaker and emotion
    emotion  A angry, H happy, N neutral, S sad
    number   0 and a number, counted for each emotion

The folders ``Angry``, ``Happy``, ``Neutral`` and ``Sad`` repeat what the names say.

Licence: research only, https://github.com/siddiquelatif/URDU-Dataset
"""

from collections.abc import Iterator
from pathlib import Path

from contracts.manifest import Corpus, Leftover, Utterance
from corpora._names import fields, name_pattern, read_names

EMOTIONS = {"A": "angry", "H": "happy", "N": "neutral", "S": "sad"}
CORPUS = Corpus(
    title="URDU: emotional speech from Urdu talk shows",
    language="ur",
    labels=tuple(EMOTIONS.values()),
    licence="research only",
    url="https://github.com/siddiquelatif/URDU-Dataset",
    citation=(
        "Latif, S., Qayyum, A., Usman, M. and Qadir, J. (2018). Cross Lingual Speech "
        "Emotion Recognition: Urdu vs. Western Languages. International Conference on "
        "Frontiers of Information Technology: 88-93. "
        "https://doi.org/10.1109/FIT.2018.00023"
    ),
    n_utterances=400,
    n_speakers=29,  # in the names of the published files, see above
    label_counts=dict.fromkeys(EMOTIONS.values(), 100),
)
EXAMPLES = {
    "Angry/SM1_F10_A010.wav": ("SM1", "angry"),
    "Happy/SF6_F1_H025.wav": ("SF6", "happy"),
    "wav/sm20_f10_n014.WAV": ("SM20", "neutral"),
    "SF10_F1_S01.flac": ("SF10", "sad"),
}
SPEAKERS = tuple(f"SM{i}" for i in range(1, 28)) + tuple(f"SF{i}" for i in range(1, 12))
_NAME = name_pattern(
    r"(?P<speaker>s[a-z]\d+)_f(?P<file>\d+)_(?P<emotion>[a-z])(?P<number>\d+)"
)
_SHAPE = "speaker_file_emotion and number such as SM1_F10_A010"
_KNOWN = {"speaker": SPEAKERS, "emotion": tuple(EMOTIONS)}
_FOLDER = name_pattern(r"(?P<speaker>S[MF]\d+)")


def read_name(path: Path) -> Utterance | Leftover:
    """Read one file from its name, without touching the disk."""
    code = fields(path, _NAME, _SHAPE, _KNOWN)
    if isinstance(code, Leftover):
        return code
    return Utterance(
        path,
        speaker=code["speaker"],
        label=EMOTIONS[code["emotion"]],
        sex="female" if code["speaker"][1] == "F" else "male",
        name=f"{code['speaker']}_F{code['file']}_{code['emotion']}{code['number']}",
    )


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each file under ``root`` is, sorted by relative path."""
    return read_names(root, read_name, _FOLDER)
