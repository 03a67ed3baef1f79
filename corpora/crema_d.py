"""CREMA-D: twelve sentences in six emotions by 91 actors, rated by a crowd, in English.

The Crowd-sourced Emotional Multimodal Actors Dataset: 7442 clips by 48 men and 43
women of 20 to 74 years; 1271 of each emotion, 1087 neutral. A clip is named::

    1001_DFA_ANG_XX.wav
    actor_sentence_emotion_level

    actor     1001 to 1091
    sentence  IEO TIE IOM IWW TAI MTI IWL ITH DFA ITS TSI WSI, see ``TEXTS``
    emotion   ANG DIS FEA HAP NEU SAD: the one that was asked for, which is the label
    level     LO MD HI, asked for with sentence IEO alone, or XX: none was asked for;
              one published file says X for XX: 1040_ITH_SAD_X

The published folder holds each clip three times: ``AudioWAV`` (16 kHz), ``AudioMP3``
(what the raters heard) and ``VideoFlash``. Where a clip is there as wav, or else as
flac, its other encodings are left out. Two tables are read wherever they lie in the
folder: ``VideoDemographics.csv`` gives age, race and ethnicity as traits (the sex in it
is known here without it);
``processedResults/tabulatedVotes.csv`` gives the votes, of which those of raters who
heard the voice and saw no face (rows 100001 to 107442) are kept as shares.

Licence: Open Database License 1.0, https://github.com/CheyneyComputerScience/CREMA-D
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.manifest import Corpus, Leftover, Utterance
from corpora._beside import read_beside
from corpora._files import relative
from corpora._names import fields, name_pattern, read_names
from corpora._numbers import number

if TYPE_CHECKING:
    import pandas as pd

EMOTIONS = {
    "ANG": "angry",
    "DIS": "disgust",
    "FEA": "fearful",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
LABELS = tuple(EMOTIONS.values())
CORPUS = Corpus(
    title="Crowd-sourced Emotional Multimodal Actors Dataset",
    language="en",
    labels=LABELS,
    licence="ODbL 1.0",
    url="https://github.com/CheyneyComputerScience/CREMA-D",
    citation=(
        "Cao, H., Cooper, D. G., Keutmann, M. K., Gur, R. C., Nenkova, A. and Verma, "
        "R. (2014). CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset. IEEE "
        "Transactions on Affective Computing 5(4): 377-390. "
        "https://doi.org/10.1109/TAFFC.2014.2336244"
    ),
    n_utterances=7442,
    n_speakers=91,
    label_map="cremad6",
    label_counts={label: 1087 if label == "neutral" else 1271 for label in LABELS},
)
EXAMPLES = {
    "AudioWAV/1001_DFA_ANG_XX.wav": ("1001", "angry"),
    "AudioMP3/1002_IEO_HAP_LO.mp3": ("1002", "happy"),
    "audiowav/1091_wsi_neu_xx.WAV": ("1091", "neutral"),
    "1040_ITH_SAD_X.flac": ("1040", "sad"),
}
TEXTS = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified"}
ACTORS = tuple(str(actor) for actor in range(1001, 1092))
# the 43 women less 1000, from VideoDemographics.csv
_FEMALE = frozenset(
    {2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 18, 20, 21, 24, 25, 28, 29, 30, 37, 43, 46, 47}
    | {
        49,
        52,
        53,
        54,
        55,
        56,
        58,
        60,
        61,
        63,
        72,
        73,
        74,
        75,
        76,
        78,
        79,
        82,
        84,
        89,
        91,
    }
)
_NAME = name_pattern(
    r"(?P<actor>\d{4})_(?P<sentence>[a-z]{3})_(?P<emotion>[a-z]{3})_(?P<level>[a-z]{1,2})"
)
_SHAPE = "actor_sentence_emotion_level such as 1001_DFA_ANG_XX"
_KNOWN = {
    "actor": ACTORS,
    "sentence": tuple(TEXTS),
    "emotion": tuple(EMOTIONS),
    "level": (*LEVELS, "X"),
}
_FOLDER = name_pattern(r"(?:actor[ _-]*)?(?P<actor>10\d\d)")
# encodings without loss, the one to keep first
_LOSSLESS = ((".wav", ".wave"), (".flac",), (".aif", ".aiff"))
_VOTES = "tabulatedVotes.csv"
_VOICE = range(100_000, 200_000)  # row numbers: 100000 * kind of rating + clip


def read_name(path: Path) -> Utterance | Leftover:
    """Read one file from its name, without touching the disk."""
    code = fields(path, _NAME, _SHAPE, _KNOWN)
    if isinstance(code, Leftover):
        return code
    level = "XX" if code["level"] == "X" else code["level"]
    return Utterance(
        path,
        speaker=code["actor"],
        label=EMOTIONS[code["emotion"]],
        sex="female" if int(code["actor"]) - 1000 in _FEMALE else "male",
        sentence=code["sentence"],
        text=TEXTS[code["sentence"]],
        traits={"intensity": LEVELS[level]},
        name="_".join((code["actor"], code["sentence"], code["emotion"], level)),
    )


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield what each file under ``root`` is, sorted by relative path."""
    items = _without_encodings(list(read_names(root, read_name, _FOLDER)), root)
    columns = ("ActorID", "Age", "Race", "Ethnicity")
    items, traits = read_beside(items, "VideoDemographics.csv", columns, _traits)
    items, votes = read_beside(items, _VOTES, ("fileName", *"ADFHNS"), _votes)
    for item in items:
        if isinstance(item, Utterance):
            known = traits.get(item.speaker or "", {})
            item = replace(item, traits={**item.traits, **known})
            yield _with_votes(item, votes) if votes else item
        else:
            yield item


def _without_encodings(
    items: list[Utterance | Leftover], root: Path
) -> list[Utterance | Leftover]:
    """Leave out other encodings of a clip that lies there without loss.

    Two files of the best encoding there is both stay: whether they are copies is for
    the decoder to say.
    """
    best: dict[str | None, Path] = {}
    for item in items:
        if isinstance(item, Utterance) and _rank(item.path) < len(_LOSSLESS):
            there = best.setdefault(item.name, item.path)
            if _rank(item.path) < _rank(there):
                best[item.name] = item.path
    out: list[Utterance | Leftover] = []
    for item in items:
        kept = best.get(item.name) if isinstance(item, Utterance) else None
        if kept is None or _rank(item.path) == _rank(kept):
            out.append(item)
            continue
        heard = item.path.suffix.lower() == ".mp3"
        how = "as the raters heard it" if heard else "in another encoding"
        what = f"the clip {relative(kept, root)} {how}"
        out.append(Leftover(item.path, what, fault=False))
    return out


def _rank(path: Path) -> int:
    """Rank the encoding of a file, the best being 0; all with loss are alike."""
    suffix = path.suffix.lower()
    ranks = (i for i, suffixes in enumerate(_LOSSLESS) if suffix in suffixes)
    return next(ranks, len(_LOSSLESS))


def _traits(people: pd.DataFrame) -> dict[str, dict[str, str | float]]:
    """Return actor -> age in years, race and ethnicity, as far as they are known."""
    out: dict[str, dict[str, str | float]] = {}
    for row in people.to_dict("records"):
        told: dict[str, str | float] = {}
        if (age := number(row["Age"])) is not None:
            told["age"] = age
        told |= {k.lower(): row[k] for k in ("Race", "Ethnicity") if row[k]}
        out[row["ActorID"]] = told
    return out


def _votes(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return clip -> share of the raters of its voice for each label.

    Clips whose votes cannot be read, or stand there twice, are left out.
    """
    shares: dict[str, dict[str, float]] = {}
    twice = set()
    for row in table.to_dict("records"):
        kind, clip = number(row[table.columns[0]]), row["fileName"].upper()
        if kind is None or int(kind) not in _VOICE:
            continue
        if clip in shares:
            twice.add(clip)
        counts = {e: number(row[code[0]]) for code, e in EMOTIONS.items()}
        votes = {e: n for e, n in counts.items() if n is not None and n >= 0}
        total = sum(votes.values(), 0.0)
        if total and len(votes) == len(counts):
            shares[clip] = {emotion: n / total for emotion, n in votes.items()}
    return {clip: told for clip, told in shares.items() if clip not in twice}


def _with_votes(utterance: Utterance, votes: dict[str, dict[str, float]]) -> Utterance:
    """Give an utterance its votes, or a remark that it has none."""
    if told := votes.get(utterance.name or ""):
        return replace(utterance, votes=told)
    none = f"no votes on its voice in {_VOTES}"
    remark = f"{utterance.remark}; {none}" if utterance.remark else none
    return replace(utterance, remark=remark)
