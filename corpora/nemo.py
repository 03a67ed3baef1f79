"""nEMO: ninety sentences in six emotions by nine actors, in Polish.

4481 recordings, more than three hours, by four women and five men of 23 to 28 years. A
file is named::

    WR0_surprised_64.wav
    speaker_emotion_sentence

    speaker   EB0 IC0 KD0 MK0 female, KS0 MP0 SM0 TP0 WR0 male, see ``SPEAKERS``
    emotion   anger fear happiness sadness surprised neutral
    sentence  1 to 90; mirrors write 03 for 3

The files lie in a folder ``samples``, the table ``data.tsv`` beside it tells what is
said: where it is in the folder its column ``raw_text`` is the text.

Licence: CC BY-NC-SA 4.0, https://github.com/amu-cai/nEMO
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from contracts.manifest import Corpus, Leftover, Utterance
from corpora._beside import read_beside
from corpora._names import fields, name_pattern, read_names

if TYPE_CHECKING:
    import pandas as pd

LABELS = ("anger", "fear", "happiness", "sadness", "surprised", "neutral")
CORPUS = Corpus(
    title="nEMO: Dataset of Emotional Speech in Polish",
    language="pl",
    labels=LABELS,
    licence="CC BY-NC-SA 4.0",
    url="https://github.com/amu-cai/nEMO",
    citation=(
        "Christop, I. (2024). nEMO: Dataset of Emotional Speech in Polish. LREC-COLING "
        "2024. https://arxiv.org/abs/2404.06292"
    ),
    n_utterances=4481,
    n_speakers=9,
    protocol="loso",
    label_counts={
        "anger": 749,
        "fear": 736,
        "happiness": 749,
        "sadness": 769,
        "surprised": 669,
        "neutral": 809,
    },
)
EXAMPLES = {
    "samples/WR0_surprised_64.wav": ("WR0", "surprised"),
    "samples/EB0_anger_1.wav": ("EB0", "anger"),
    "nEMO/ic0_NEUTRAL_90.flac": ("IC0", "neutral"),
    "TP0_fear_52.WAV": ("TP0", "fear"),
    "EB0_sadness_03.wav": ("EB0", "sadness"),
}
SPEAKERS = {  # sex and age in years, from data.tsv
    "EB0": ("female", 27),
    "IC0": ("female", 28),
    "KD0": ("female", 28),
    "KS0": ("male", 23),
    "MK0": ("female", 23),
    "MP0": ("male", 24),
    "SM0": ("male", 24),
    "TP0": ("male", 26),
    "WR0": ("male", 23),
}
_NAME = name_pattern(
    r"(?P<speaker>[a-z]{2}\d)_(?P<emotion>[a-z]+)_0*(?P<sentence>\d{1,2})"
)
_SHAPE = "speaker_emotion_sentence such as WR0_surprised_64"
_KNOWN = {
    "speaker": tuple(SPEAKERS),
    "emotion": LABELS,
    "sentence": tuple(str(i) for i in range(1, 91)),
}
_FOLDER = name_pattern(rf"(?P<speaker>{'|'.join(SPEAKERS)})")


def read_name(path: Path) -> Utterance | Leftover:
    """Read one file from its name, without touching the disk."""
    code = fields(path, _NAME, _SHAPE, _KNOWN)
    if isinstance(code, Leftover):
        return code
    sex, age = SPEAKERS[code["speaker"]]
    return Utterance(
        path,
        speaker=code["speaker"],
        label=code["emotion"],
        sex=sex,
        sentence=code["sentence"],
        traits={"age": float(age)},
        name="_".join((code["speaker"], code["emotion"], code["sentence"])),
    )


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each file under ``root`` is, sorted by relative path."""
    items = list(read_names(root, read_name, _FOLDER))
    columns = ("file_id", "raw_text")
    items, texts = read_beside(items, "data.tsv", columns, _texts)
    for item in items:
        if isinstance(item, Utterance) and (text := texts.get(item.name or "")):
            yield replace(item, text=text)
        else:
            yield item


def _texts(table: pd.DataFrame) -> dict[str, str]:
    """Return published name -> what is said."""
    names = [PurePosixPath(file).stem for file in table["file_id"]]
    return dict(zip(names, table["raw_text"], strict=True))
