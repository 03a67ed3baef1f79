"""IEMOCAP's names, and its evaluations and transcriptions line by line."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

LABELS = {
    "ang": "angry",
    "hap": "happy",
    "exc": "excited",
    "sad": "sad",
    "neu": "neutral",
    "fru": "frustrated",
    "fea": "fearful",
    "sur": "surprised",
    "dis": "disgusted",
    "oth": "other",
}
NO_AGREEMENT = "xxx"
# what evaluators write -> label
CATEGORIES = {
    "anger": "angry",
    "happiness": "happy",
    "excited": "excited",
    "sadness": "sad",
    "neutral": "neutral",
    "neutral state": "neutral",
    "frustration": "frustrated",
    "fear": "fearful",
    "surprise": "surprised",
    "disgust": "disgusted",
    "other": "other",
}
_DIALOGUE = r"ses(0[1-5])([fm])_(impro\d\d[a-z]?|script\d\d_\d[a-z]?)"
_TURN = re.compile(rf"({_DIALOGUE})_([fm][x\d]+[a-z]?)", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(_DIALOGUE, re.ASCII | re.IGNORECASE)
_NUMBER = r"\s*(-?\d+(?:\.\d*)?)\s*"
_HEAD = re.compile(
    rf"\[{_NUMBER}-{_NUMBER}\]\s+(\S+)\s+(\w+)\s+\[{_NUMBER},{_NUMBER},{_NUMBER}\]\s*",
    re.ASCII,
)
_VOTE = re.compile(r"C-([EFM]\d+):\s*([^(\t]*)", re.ASCII)
_RATING = re.compile(r"A-[EFM]\d+:", re.ASCII)
_SPOKEN = re.compile(r"(\S+)\s+\[[\d. -]+\]\s*:?\s*(.*)", re.ASCII)


class Turn(NamedTuple):
    """An utterance by its name; printed as it is published.

    Attributes:
        dialogue: such as ``Ses01F_impro01``, where F says who wears the markers
        part: such as ``M003``, whose letter says who speaks
    """

    dialogue: str
    part: str

    def __str__(self) -> str:
        return f"{self.dialogue}_{self.part}"


@dataclass(frozen=True)
class Evaluation:
    """What the evaluators said of one utterance.

    Attributes:
        start: seconds into the dialogue
        end: seconds into the dialogue
        label: None: they did not agree
        valence: mean over the evaluators, 1 (negative) to 5 (positive)
        activation: mean over the evaluators, 1 (calm) to 5 (excited)
        dominance: mean over the evaluators, 1 (weak) to 5 (strong)
        votes: label -> share of the external evaluators
    """

    start: float
    end: float
    label: str | None
    valence: float
    activation: float
    dominance: float
    votes: Mapping[str, float]


def read_turn(name: str) -> Turn | None:
    """Read the name of an utterance, whatever its letter case."""
    found = _TURN.fullmatch(name)
    return found and Turn(_published(found[1]), found[5].upper())


def read_dialogue(name: str) -> str | None:
    """Read the name of a dialogue, whatever its letter case."""
    return _published(name) if _WHOLE.fullmatch(name) else None


def _published(dialogue: str) -> str:
    """Write a dialogue's name as it is published."""
    return f"Ses{dialogue[3:5]}{dialogue[5].upper()}{dialogue[6:].lower()}"


def read_evaluations(
    lines: Sequence[str],
) -> tuple[dict[Turn, Evaluation], list[tuple[int, str]]]:
    """Read one file of evaluations.

    Returns:
        what is said of each utterance, and the number of each line that cannot be read
        with what is wrong about it
    """
    found: dict[Turn, Evaluation] = {}
    votes: dict[Turn, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    wrong: list[tuple[int, str]] = []
    turn = None
    for number, line in enumerate(lines, 1):
        try:
            if line.startswith("["):
                turn = None  # the lines that follow a broken one are nobody's
                turn, evaluation = _read_head(line)
                if turn in found:
                    wrong.append((number, f"{turn} is evaluated before"))
                    turn = None
                else:
                    found[turn] = evaluation
            elif vote := _VOTE.match(line):
                # E: an evaluator; F, M: the actors about themselves
                if turn and vote[1].startswith("E"):
                    votes[turn][vote[1]] += _read_categories(vote[2])
            elif line.strip() and not line.startswith("%") and not _RATING.match(line):
                wrong.append((number, f"unknown line: got {line[:80]!r}"))
        except ValueError as error:
            wrong.append((number, str(error)))
    shares = {turn: _shares(votes[turn]) for turn in found}
    return {t: replace(e, votes=shares[t]) for t, e in found.items()}, wrong


def _read_head(line: str) -> tuple[Turn, Evaluation]:
    """Read the line that begins an utterance.

    Raises:
        ValueError: if it cannot be read
    """
    head = _HEAD.fullmatch(line)
    turn = head and read_turn(head[3])
    if not head or not turn:
        msg = (
            "expected [start - end] utterance label [valence, activation, dominance], "
            f"got {line[:80]!r}"
        )
        raise ValueError(msg)
    start, end = float(head[1]), float(head[2])
    if not 0 <= start < end:
        msg = f"empty stretch: expected an end after {start:g} s, got {end:g} s"
        raise ValueError(msg)
    code = head[4].lower()
    if code not in LABELS and code != NO_AGREEMENT:
        known = ", ".join([*LABELS, NO_AGREEMENT])
        msg = f"unknown label: expected one of {known}, got {head[4]!r}"
        raise ValueError(msg)
    valence, activation, dominance = (float(head[i]) for i in (5, 6, 7))
    label = LABELS.get(code)
    return turn, Evaluation(start, end, label, valence, activation, dominance, {})


def _read_categories(cell: str) -> list[str]:
    """Read what one evaluator chose.

    Raises:
        ValueError: if a category is unknown
    """
    words = [word.strip() for word in cell.split(";") if word.strip()]
    if unknown := [word for word in words if word.lower() not in CATEGORIES]:
        expected = ", ".join(word.capitalize() for word in CATEGORIES)
        msg = f"unknown category: expected {expected}, got {', '.join(unknown)}"
        raise ValueError(msg)
    return [CATEGORIES[word.lower()] for word in words]


def _shares(votes: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Give each evaluator one vote, shared equally between what he chose."""
    chosen = [set(labels) for labels in votes.values() if labels]
    return {
        label: sum(1 / len(c) for c in chosen if label in c) / len(chosen)
        for label in LABELS.values()
        if any(label in c for c in chosen)
    }


def read_spoken(line: str) -> tuple[Turn, str] | None:
    """Read a line of a transcription; None where it is no utterance's."""
    spoken = _SPOKEN.fullmatch(line)
    turn = read_turn(spoken[1]) if spoken else None
    return (turn, spoken[2].strip()) if spoken and turn else None
