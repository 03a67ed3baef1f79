"""RAVDESS: two sentences spoken in eight emotions by 24 actors, in English.

The Ryerson Audio-Visual Database of Emotional Speech and Song: 1440 files of speech,
48 kHz, 16 bits, 2.9 to 5.3 s. Neutral is spoken 96 times, each other emotion 192
times, half of them strong. A file is named by seven two-digit numbers::

    03-01-05-01-02-01-12.wav
    modality-channel-emotion-intensity-statement-repetition-actor

    modality    01 audio and video, 02 video only, 03 audio only
    channel     01 speech, 02 song
    emotion     01 neutral 02 calm 03 happy 04 sad 05 angry 06 fearful 07 disgust
                08 surprised
    intensity   01 normal, 02 strong (there is no strong neutral)
    statement   01 "Kids are talking by the door", 02 "Dogs are sitting by the door"
    repetition  01 first, 02 second
    actor       01 to 24; odd male, even female

Files are found by name anywhere under the folder, in any audio format, and where a
folder says otherwise the name is believed, with a remark. Song and video are kept
apart and listed. Licence: CC BY-NC-SA 4.0, https://zenodo.org/records/1188976
"""

import re
from collections.abc import Iterator
from pathlib import Path

from contracts.manifest import Corpus, Leftover, Utterance
from corpora._names import name_pattern, read_names

LABELS = (
    "neutral",
    "calm",
    "happy",
    "sad",
    "angry",
    "fearful",
    "disgust",
    "surprised",
)
CORPUS = Corpus(
    title="Ryerson Audio-Visual Database of Emotional Speech and Song (speech)",
    language="en",
    labels=LABELS,
    licence="CC BY-NC-SA 4.0",
    url="https://zenodo.org/records/1188976",
    citation=(
        "Livingstone, S. R. and Russo, F. A. (2018). The Ryerson Audio-Visual Database "
        "of Emotional Speech and Song (RAVDESS). PLoS ONE 13(5): e0196391. "
        "https://doi.org/10.1371/journal.pone.0196391"
    ),
    n_utterances=1440,
    n_speakers=24,
    label_map="ravdess8",
    protocol="ravdess-luna5",
    label_counts={label: 96 if label == "neutral" else 192 for label in LABELS},
)
EXAMPLES = {
    "Actor_12/03-01-05-01-02-01-12.wav": ("12", "angry"),
    "Actor_07/03-01-01-01-01-02-07.wav": ("07", "neutral"),
    "audio_speech_actors_01-24/Actor_24/03-01-08-02-01-01-24.WAV": ("24", "surprised"),
    "03-01-02-01-01-01-01.flac": ("01", "calm"),
}
TEXTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
_FIELDS = {
    "modality": ("01", "02", "03"),
    "channel": ("01", "02"),
    "emotion": tuple(f"{i:02}" for i in range(1, 9)),
    "intensity": ("01", "02"),
    "statement": ("01", "02"),
    "repetition": ("01", "02"),
    "actor": tuple(f"{i:02}" for i in range(1, 25)),
}
_NAME = re.compile(r"\d\d(-\d\d){6}", re.ASCII)
_FOLDER = name_pattern(r"actor[ _-]*(?P<actor>\d+)")


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each file under ``root`` is, sorted by relative path."""
    return read_names(root, read_name, _FOLDER)


def read_name(path: Path) -> Utterance | Leftover:
    """Read one file from its name, without touching the disk."""
    if not _NAME.fullmatch(path.stem):
        shape = "seven two-digit numbers such as 03-01-05-01-02-01-12"
        return Leftover(path, f"unknown name: expected {shape}, got {path.stem!r}")
    code = dict(zip(_FIELDS, path.stem.split("-"), strict=True))
    if wrong := _wrong(code):
        return Leftover(path, wrong)
    if code["modality"] != "03":
        what = f"modality {code['modality']} is video; its sound is the file 03-..."
        return Leftover(path, what, fault=False)
    if code["channel"] == "02":
        return Leftover(path, "song, kept apart", fault=False)
    return Utterance(
        path,
        speaker=code["actor"],
        label=LABELS[int(code["emotion"]) - 1],
        sex="male" if int(code["actor"]) % 2 else "female",
        sentence=code["statement"],
        text=TEXTS[code["statement"]],
        traits={
            "intensity": "strong" if code["intensity"] == "02" else "normal",
            "repetition": code["repetition"],
        },
        name=path.stem,
    )


def _wrong(code: dict[str, str]) -> str:
    """Say which fields of a name hold what they cannot; empty if none does."""
    wrong = [
        f"unknown {field}: expected {known[0]} to {known[-1]}, got {code[field]!r}"
        for field, known in _FIELDS.items()
        if code[field] not in known
    ]
    if code["emotion"] == "01" and code["intensity"] == "02":
        wrong.append("unknown intensity: expected 01 for neutral, got '02' (strong)")
    return "; ".join(wrong)
