"""IEMOCAP's annotation files: what all those of a folder say together.

An evaluation and the transcription of a dialogue have the same name, as have its motion
recordings: they are told apart by their first lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from contracts.manifest import Leftover
from corpora._annotations import broken, read_beginning, read_lines, used
from corpora._files import relative
from corpora._iemocap_lines import (
    Evaluation,
    Turn,
    read_dialogue,
    read_evaluations,
    read_spoken,
)


@dataclass
class Annotations:
    """What all annotation files of a folder say.

    Attributes:
        evaluations: utterance -> what the evaluators said
        sources: utterance -> the file that says so, for those that files contradict
            one another about as well
        texts: utterance -> what was said
        leftovers: files that are no annotations, lines that cannot be read
    """

    evaluations: dict[Turn, Evaluation] = field(default_factory=dict)
    sources: dict[Turn, Path] = field(default_factory=dict)
    texts: dict[Turn, str] = field(default_factory=dict)
    leftovers: list[Leftover] = field(default_factory=list)


def read_annotations(files: Sequence[Leftover], root: Path) -> Annotations:
    """Read every evaluation and transcription among the text files of a folder."""
    told = Annotations()
    for item in files:
        start = read_beginning(item.path) if read_dialogue(item.path.stem) else []
        if any(line.startswith(("[", "%")) for line in start):
            _add_evaluations(item.path, root, told)
        elif any(read_spoken(line) for line in start):
            _add_texts(item.path, told)
        else:
            told.leftovers.append(item)
    contradicted = told.sources.keys() - told.evaluations.keys()
    told.leftovers += [
        Leftover(told.sources[turn], f"another file tells other things of {turn}")
        for turn in sorted(contradicted)
    ]
    return told


def _add_evaluations(path: Path, root: Path, told: Annotations) -> None:
    """Add one file; where it contradicts one before, neither is believed."""
    found, wrong = read_evaluations(read_lines(path))
    told.leftovers += [broken(path, line, what) for line, what in wrong]
    repeated = [turn for turn in found if turn in told.sources]
    for turn in repeated:
        if told.evaluations.get(turn) not in (None, found[turn]):
            del told.evaluations[turn]
    for turn in found:
        if told.sources.setdefault(turn, path) == path:
            told.evaluations[turn] = found[turn]
    what = used(path)
    if repeated:
        first = relative(told.sources[repeated[0]], root)
        more = f"{len(repeated)} of its utterances are evaluated in {first} as well"
        what = replace(what, reason=f"{what.reason}; {more}")
    told.leftovers.append(what)


def _add_texts(path: Path, told: Annotations) -> None:
    """Add what one transcription says; lines of no utterance are noises and asides."""
    told.leftovers.append(used(path))
    for number, line in enumerate(read_lines(path), 1):
        if spoken := read_spoken(line):
            told.texts.setdefault(*spoken)
        elif line[:3].lower() == "ses":
            what = f"expected utterance [start-end]: words, got {line[:80]!r}"
            told.leftovers.append(broken(path, number, what, fault=False))
