"""TESS: two hundred words in seven emotions by two actresses, in English.

The Toronto Emotional Speech Set: 2800 recordings, 24.4 kHz, of "Say the word ...", 400
of each emotion. Both speakers are women, 64 and 26 years old: with two speakers no
result here says how a head does on a third, least of all on a man. A file is named::

    OAF_back_angry.wav
    speaker_word_emotion

    speaker  OAF the older, YAF the younger
    word     one of 200
    emotion  angry disgust fear happy neutral sad, ps (pleasant surprise, which some
             mirrors write out)

One published file lacks a letter: ``OA_bite_neutral`` is OAF's. The folders, such as
``OAF_angry``, ``OAF_Fear`` or ``OAF_Pleasant_surprise``, repeat what the names say; one
mirror holds the whole set a second time within itself.

Licence: CC BY-NC-ND 4.0, https://doi.org/10.5683/SP2/E8H2MF
"""

from collections.abc import Iterator
from pathlib import Path

from contracts.manifest import Corpus, Leftover, Utterance
from corpora._names import fields, name_pattern, read_names

EMOTIONS = {
    "angry": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happy",
    "neutral": "neutral",
    "ps": "pleasant surprise",
    "sad": "sad",
}
CORPUS = Corpus(
    title="Toronto Emotional Speech Set",
    language="en",
    labels=tuple(EMOTIONS.values()),
    licence="CC BY-NC-ND 4.0",
    url="https://doi.org/10.5683/SP2/E8H2MF",
    citation=(
        "Pichora-Fuller, M. K. and Dupuis, K. (2020). Toronto emotional speech set "
        "(TESS). Borealis. https://doi.org/10.5683/SP2/E8H2MF"
    ),
    n_utterances=2800,
    n_speakers=2,
    protocol="loso",
    label_counts=dict.fromkeys(EMOTIONS.values(), 400),
)
EXAMPLES = {
    "OAF_angry/OAF_back_angry.wav": ("OAF", "angry"),
    "OAF_neutral/OA_bite_neutral.wav": ("OAF", "neutral"),
    "TESS/YAF_pleasant_surprised/YAF_youth_ps.wav": ("YAF", "pleasant surprise"),
    "yaf_dog_sad.WAV": ("YAF", "sad"),
    "OAF_bean_pleasant_surprise.wav": ("OAF", "pleasant surprise"),
}
AGES = {"OAF": 64, "YAF": 26}  # years
_NAME = name_pattern(r"(?P<speaker>[a-z]+)_(?P<word>[a-z]+)_(?P<emotion>[a-z]+)")
_SHAPE = "speaker_word_emotion such as OAF_back_angry"
_KNOWN = {"speaker": tuple(AGES), "emotion": tuple(EMOTIONS)}
_FOLDER = name_pattern(r"(?P<speaker>OAF|YAF)(?:[ _-].*)?")
_WRITTEN_OUT = name_pattern(r"(.*)_pleasant[ _-]?surprised?")
_MISSPELT = {"oa_bite_neutral": "OAF_bite_neutral"}


def read_name(path: Path) -> Utterance | Leftover:
    """Read one file from its name, without touching the disk."""
    meant = _MISSPELT.get(path.stem.casefold(), path.stem)
    if whole := _WRITTEN_OUT.fullmatch(meant):
        meant = f"{whole[1]}_ps"
    code = fields(path.with_name(f"{meant}.wav"), _NAME, _SHAPE, _KNOWN)
    if isinstance(code, Leftover):
        return Leftover(path, code.reason)
    speaker, word, emotion = code["speaker"], code["word"].lower(), code["emotion"]
    return Utterance(
        path,
        speaker=speaker,
        label=EMOTIONS[emotion],
        sex="female",
        sentence=word,
        text=f"Say the word {word}",
        traits={"age": float(AGES[speaker])},
        name=f"{speaker}_{word}_{emotion}",
    )


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each file under ``root`` is, sorted by relative path."""
    return read_names(root, read_name, _FOLDER)
