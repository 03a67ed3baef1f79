"""SAVEE: sentences from TIMIT in seven emotions by four men, in English.

The Surrey Audio-Visual Expressed Emotion database: 480 utterances, 44.1 kHz, by four
British men of 27 to 31 years; each says 30 sentences neutrally and 15 in each of six
emotions, three of which are the same in every emotion. Which numbers those three have
is not told by the names, so a sentence here is emotion and number, as published::

    DC_a01.wav                 or  AudioData/DC/a01.wav
    speaker_emotion number     or  speaker / emotion number

    speaker  DC JE JK KL
    emotion  a anger, d disgust, f fear, h happiness, n neutral, sa sadness, su surprise
    number   01 to 15, neutral 01 to 30

Without the speaker in the name, the file's own folder must be called exactly as one.
The videos beside have the same names and are left aside.

Licence: free for research on registration, https://kahlan.eps.surrey.ac.uk/savee
"""

from collections.abc import Iterator
from pathlib import Path

from contracts.errors import listing
from contracts.manifest import Corpus, Leftover, Utterance
from corpora._names import fields, name_pattern, read_names

EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
CORPUS = Corpus(
    title="Surrey Audio-Visual Expressed Emotion Database",
    language="en",
    labels=tuple(EMOTIONS.values()),
    licence="free for research, on registration",
    url="https://kahlan.eps.surrey.ac.uk/savee",
    citation=(
        "Haq, S. and Jackson, P. J. B. (2010). Multimodal Emotion Recognition. In: "
        "Wang, W. (ed.), Machine Audition: Principles, Algorithms and Systems. IGI "
        "Global: 398-423. https://doi.org/10.4018/978-1-61520-919-4.ch017"
    ),
    n_utterances=480,
    n_speakers=4,
    protocol="loso",
    label_counts={
        label: 120 if label == "neutral" else 60 for label in EMOTIONS.values()
    },
)
EXAMPLES = {
    "ALL/DC_a01.wav": ("DC", "anger"),
    "AudioData/JE/sa15.wav": ("JE", "sadness"),
    "AudioData/jk/N30.WAV": ("JK", "neutral"),
    "kl_su07.flac": ("KL", "surprise"),
}
SPEAKERS = ("DC", "JE", "JK", "KL")
_NAME = name_pattern(
    r"(?:(?P<speaker>[a-z]{2})_)?(?P<emotion>[a-z]{1,2})(?P<number>\d\d)"
)
_SHAPE = "speaker_emotion and number such as DC_a01, or a01 in a folder DC"
_NUMBERS = tuple(f"{i:02}" for i in range(1, 31))
_KNOWN = {"speaker": SPEAKERS, "emotion": tuple(EMOTIONS), "number": _NUMBERS}
_FOLDER = name_pattern(r"(?P<speaker>DC|JE|JK|KL)")


def read_name(path: Path) -> Utterance | Leftover:
    """Read one file from its name, or from its name and its folder's.

    The disk is not touched.
    """
    code = fields(path, _NAME, _SHAPE, _KNOWN)
    if isinstance(code, Leftover):
        return code
    folder = path.parent.name
    speaker = code.get("speaker", folder.upper())
    wrong = []
    if speaker not in SPEAKERS:
        wrong.append(
            f"unknown speaker: expected a folder {listing(SPEAKERS)}, got {folder!r}"
        )
    if code["emotion"] != "n" and code["number"] > "15":
        number = code["number"]
        wrong.append(
            f"unknown number: expected 01 to 15 but for neutral, got {number!r}"
        )
    if wrong:
        return Leftover(path, "; ".join(wrong))
    sentence = f"{code['emotion']}{code['number']}"
    return Utterance(
        path,
        speaker=speaker,
        label=EMOTIONS[code["emotion"]],
        sex="male",
        sentence=sentence,
        name=f"{speaker}_{sentence}",
    )


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each file under ``root`` is, sorted by relative path."""
    return read_names(root, read_name, _FOLDER)
