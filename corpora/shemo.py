"""ShEMO: six emotions by 87 speakers out of radio plays, in Persian.

The Sharif Emotional Speech Database: 3000 utterances, 3 h 25 min, cut out of radio
plays, by 31 women and 56 men; twelve listeners labelled them, the majority counts. A
file is named::

    F21N05.wav
    sex, speaker, emotion, number

    sex      F female, M male
    speaker  two digits, counted for each sex
    emotion  A anger, F fear, H happiness, N neutral, S sadness, W surprise
    number   two digits

The folders ``female`` and ``male`` repeat what the names say. A table of transcripts,
``shemo.json``, may lie beside; it is not read. Only 38 utterances are fear.

Licence: free for academic use, https://github.com/mansourehk/ShEMO
"""

from collections.abc import Iterator
from pathlib import Path

from contracts.manifest import Corpus, Leftover, Utterance
from corpora._names import fields, name_pattern, read_names

EMOTIONS = {
    "A": "anger",
    "F": "fear",
    "H": "happiness",
    "N": "neutral",
    "S": "sadness",
    "W": "surprise",
}
CORPUS = Corpus(
    title="Sharif Emotional Speech Database",
    language="fa",
    labels=tuple(EMOTIONS.values()),
    licence="free for academic use",
    url="https://github.com/mansourehk/ShEMO",
    citation=(
        "Mohamad Nezami, O., Jamshid Lou, P. and Karami, M. (2019). ShEMO: a "
        "large-scale validated database for Persian speech emotion detection. Language "
        "Resources and Evaluation 53(1): 1-16. "
        "https://doi.org/10.1007/s10579-018-9427-x"
    ),
    n_utterances=3000,
    n_speakers=87,
    label_counts={
        "anger": 1059,
        "fear": 38,
        "happiness": 201,
        "neutral": 1028,
        "sadness": 449,
        "surprise": 225,
    },
)
EXAMPLES = {
    "female/F21N05.wav": ("F21", "neutral"),
    "male/M36S02.wav": ("M36", "sadness"),
    "ShEMO/MALE/m21f01.WAV": ("M21", "fear"),
    "F10W01.flac": ("F10", "surprise"),
}
SEXES = {"F": "female", "M": "male"}
_NAME = name_pattern(
    r"(?P<sex>[a-z])(?P<number>\d\d)(?P<emotion>[a-z])(?P<utterance>\d\d+)"
)
_SHAPE = "sex, speaker, emotion and number such as F21N05"
_KNOWN = {"sex": tuple(SEXES), "emotion": tuple(EMOTIONS)}
_FOLDER = name_pattern(r"(?P<speaker>[FM]\d\d)")


def read_name(path: Path) -> Utterance | Leftover:
    """Read one file from its name, without touching the disk."""
    code = fields(path, _NAME, _SHAPE, _KNOWN)
    if isinstance(code, Leftover):
        return code
    speaker = f"{code['sex']}{code['number']}"
    return Utterance(
        path,
        speaker=speaker,
        label=EMOTIONS[code["emotion"]],
        sex=SEXES[code["sex"]],
        name=f"{speaker}{code['emotion']}{code['utterance']}",
    )


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each file under ``root`` is, sorted by relative path."""
    return read_names(root, read_name, _FOLDER)
