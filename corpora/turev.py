"""TurEV-DB: 82 words in four emotions by six speakers, in Turkish.

The Turkish Emotion-Voice Database: 1735 recordings of single words, 44.1 kHz. A file
is named::

    1157_kz_acik.wav
    speaker_emotion_word

    speaker  1157 1234 1358 1984 6783 7895; their sex is not told
    emotion  kz angry (kızgın), sk calm (sakin), mt happy (mutlu), hl sad
    word     spelt in ASCII, such as acik for açık; mirrors may write açık, which is
             read as acik

The files lie in ``Sound Source/Angry``, ``Calm``, ``Happy`` and ``Sad``, which is the
published place of the label: a code that is none of the four is read as what the one
folder above says, with a remark. The published folder also holds ``Model Output for
Test Data``: copies under the same names that are filtered for a listening test (folders
``testEmotions...``); they are left out.

Licence: CC BY-NC-ND 4.0, https://github.com/Xeonen/TurEV-DB
"""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

from contracts.errors import listing
from contracts.manifest import Corpus, Leftover, Utterance
from corpora._files import relative
from corpora._names import fields, name_pattern, read_names

EMOTIONS = {"kz": "angry", "sk": "calm", "mt": "happy", "hl": "sad"}
LABELS = tuple(EMOTIONS.values())
CORPUS = Corpus(
    title="Turkish Emotion-Voice Database",
    language="tr",
    labels=LABELS,
    licence="CC BY-NC-ND 4.0",
    url="https://github.com/Xeonen/TurEV-DB",
    citation=(
        "Canpolat, S. F., Ormanoğlu, Z. and Zeyrek, D. (2020). Turkish Emotion Voice "
        "Database (TurEV-DB). SLTU-CCURL 2020: 368-375. "
        "https://aclanthology.org/2020.sltu-1.52"
    ),
    n_utterances=1735,
    n_speakers=6,
    protocol="loso",
    # counted in the published folders
    label_counts={"angry": 487, "calm": 408, "happy": 357, "sad": 483},
)
EXAMPLES = {
    "Sound Source/Angry/1157_kz_acik.wav": ("1157", "angry"),
    "Sound Source/Sad/1234_hl_algi.wav": ("1234", "sad"),
    "calm/6783_SK_Koku.WAV": ("6783", "calm"),
    "7895_mt_vurgu.flac": ("7895", "happy"),
    "1157_sk_açık.wav": ("1157", "calm"),
}
SPEAKERS = ("1157", "1234", "1358", "1984", "6783", "7895")
# Turkish letters as one sign or as a letter and its mark, which is how macOS writes
_LETTERS = "a-zçğıöşüÇĞİÖŞÜ\u0300-\u036f"
_NAME = name_pattern(
    rf"(?P<speaker>\d{{4}})_(?P<emotion>[a-z]{{2}})_(?P<word>[{_LETTERS}]+)"
)
_SHAPE = "speaker_emotion_word such as 1157_kz_acik"
_KNOWN = {"speaker": SPEAKERS}
_FOLDER = name_pattern(rf"(?P<speaker>{'|'.join(SPEAKERS)})")
_FILTERED = "testemotions"  # how the folders of filtered copies begin


def read_name(path: Path) -> Utterance | Leftover:
    """Read one file from its name, and from its folders where its code is unknown.

    The disk is not touched.
    """
    code = fields(path, _NAME, _SHAPE, _KNOWN)
    if isinstance(code, Leftover):
        return code
    emotion, word, remark = code["emotion"].lower(), _in_ascii(code["word"]), None
    label = EMOTIONS.get(emotion)
    if label is None:
        named = {f.casefold() for f in path.parent.parts} & set(LABELS)
        if len(named) != 1:
            known = listing(f"{k} {v}" for k, v in EMOTIONS.items())
            reason = (
                f"unknown emotion: expected one of {known}, or one of the folders "
                f"{listing(LABELS)} above, got {emotion!r} in "
                f"{listing(sorted(named)) or 'none of them'}"
            )
            return Leftover(path, reason)
        label = named.pop()
        remark = f"unknown emotion {emotion!r} in its name: its folder {label} is taken"
    return Utterance(
        path,
        speaker=code["speaker"],
        label=label,
        sentence=word,
        name=f"{code['speaker']}_{emotion}_{word}",
        remark=remark,
    )


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each file under ``root`` is, sorted by relative path."""
    for item in read_names(root, read_name, _FOLDER):
        if isinstance(item, Utterance) and _is_filtered(relative(item.path, root)):
            what = "a copy filtered for a listening test, no recording of its own"
            yield Leftover(item.path, what, fault=False)
        else:
            yield item


def _in_ascii(word: str) -> str:
    """Spell a Turkish word the way the published names do, in lower case."""
    parts = unicodedata.normalize("NFKD", word.lower())
    return "".join(c for c in parts if not unicodedata.combining(c)).replace("ı", "i")


def _is_filtered(place: str) -> bool:
    return any(f.startswith(_FILTERED) for f in place.casefold().split("/")[:-1])
