"""EMO-DB: ten sentences in seven emotions by ten actors, in German.

The Berlin Database of Emotional Speech: 535 utterances, 16 kHz, by five women and five
men, those that listeners recognised in 80 % and found natural in 60 % of the cases. A
file is named by seven signs::

    03a01Fa.wav
    speaker sentence emotion version

    speaker   03 10 11 12 15 male, 08 09 13 14 16 female, see ``SPEAKERS``
    sentence  a01 a02 a04 a05 a07 b01 b02 b03 b09 b10, see ``TEXTS``
    emotion   W anger (Wut), L boredom (Langeweile), E disgust (Ekel), A fear (Angst),
              F happiness (Freude), T sadness (Trauer), N neutral
    version   a letter: a, b, c, ...

The files lie in one folder ``wav``, beside folders of transcripts that hold no audio;
they are found by name anywhere under the folder.

Licence: free to use, stated by its owners without the name of a licence; audEERING's
release of it says CC0 1.0. https://emodb.bilderbar.info
"""

from collections.abc import Iterator
from pathlib import Path

from contracts.manifest import Corpus, Leftover, Utterance
from corpora._names import fields, name_pattern, read_names

EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "N": "neutral",
    "T": "sadness",
}
CORPUS = Corpus(
    title="Berlin Database of Emotional Speech",
    language="de",
    labels=tuple(EMOTIONS.values()),
    licence="free to use (CC0 1.0 in audEERING's release)",
    url="https://emodb.bilderbar.info",
    citation=(
        "Burkhardt, F., Paeschke, A., Rolfes, M., Sendlmeier, W. F. and Weiss, B. "
        "(2005). A database of German emotional speech. Interspeech 2005: 1517-1520. "
        "https://doi.org/10.21437/Interspeech.2005-446"
    ),
    n_utterances=535,
    n_speakers=10,
    label_map="emodb7",
    protocol="loso",
    label_counts={
        "anger": 127,
        "boredom": 81,
        "disgust": 46,
        "fear": 69,
        "happiness": 71,
        "neutral": 79,
        "sadness": 62,
    },
)
EXAMPLES = {
    "wav/03a01Fa.wav": ("03", "happiness"),
    "wav/16b10Wb.wav": ("16", "anger"),
    "EMODB/08A02NC.WAV": ("08", "neutral"),
    "14b03Ld.flac": ("14", "boredom"),
}
SPEAKERS = {  # sex and age in years
    "03": ("male", 31),
    "08": ("female", 34),
    "09": ("female", 21),
    "10": ("male", 32),
    "11": ("male", 26),
    "12": ("male", 30),
    "13": ("female", 32),
    "14": ("female", 35),
    "15": ("male", 25),
    "16": ("female", 31),
}
TEXTS = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": (
        "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes "
        "besucht."
    ),
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
_NAME = name_pattern(
    r"(?P<speaker>\d\d)(?P<sentence>[a-z]\d\d)(?P<emotion>[a-z])(?P<version>[a-z])"
)
_SHAPE = "speaker, sentence, emotion and version such as 03a01Fa"
_KNOWN = {
    "speaker": tuple(SPEAKERS),
    "sentence": tuple(TEXTS),
    "emotion": tuple(EMOTIONS),
}
_FOLDER = name_pattern(r"(?:actor|speaker|spk)[ _-]*(?P<speaker>\d\d)")


def read_name(path: Path) -> Utterance | Leftover:
    """Read one file from its name, without touching the disk."""
    code = fields(path, _NAME, _SHAPE, _KNOWN)
    if isinstance(code, Leftover):
        return code
    speaker, sentence, version = code["speaker"], code["sentence"], code["version"]
    sex, age = SPEAKERS[speaker]
    return Utterance(
        path,
        speaker=speaker,
        label=EMOTIONS[code["emotion"]],
        sex=sex,
        sentence=sentence,
        text=TEXTS[sentence],
        traits={"age": float(age), "version": version.lower()},
        name=f"{speaker}{sentence}{code['emotion']}{version.lower()}",
    )


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each file under ``root`` is, sorted by relative path."""
    return read_names(root, read_name, _FOLDER)
