"""IEMOCAP: ten actors in dialogues of two, improvised and scripted, in English.

The Interactive Emotional Dyadic Motion Capture database: 151 dialogues in five sessions
of one woman and one man each, 10039 utterances, 16 kHz. As published::

    Session1/dialog/EmoEvaluation/Ses01F_impro01.txt    evaluations, start and end
    Session1/dialog/transcriptions/Ses01F_impro01.txt   words
    Session1/dialog/wav/Ses01F_impro01.wav              the dialogue, two channels
    Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav    an utterance

The last part of an utterance's name says who speaks: ``Ses01F_impro01_M000`` is the
man of session 1; the letter in front names who wears the motion markers. An utterance
is its single file where there is one, else it is cut from its dialogue, as mono; a
dialogue itself never becomes an utterance. Files are found by name anywhere under the
folder, evaluations and transcriptions by their first lines.

    label     what most evaluators chose; none where they did not agree (xxx)
    votes     of the external evaluators (C-E1 to C-E6) alone. Each has one vote, shared
              equally where several categories were chosen. What the actors said of
              themselves (C-F, C-M) does not count
    traits    valence, activation, dominance (means over evaluators, 1 to 5, in the
              file's order), style (improvised or scripted), dialogue

Published labels: angry 1103, happy 595, excited 1041, sad 1084, neutral 1708,
frustrated 1849, fearful 40, surprised 107, disgusted 2, other 3, none 2507.

Licence: that of the release, for academic use, on request at
https://sail.usc.edu/iemocap/
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from contracts.errors import ManifestError, listing
from contracts.manifest import Corpus, Leftover, Utterance
from corpora._annotations import may_annotate, place
from corpora._files import walk
from corpora._iemocap import Annotations, read_annotations
from corpora._iemocap_lines import LABELS, Turn, read_dialogue, read_turn

CORPUS = Corpus(
    title="Interactive Emotional Dyadic Motion Capture database",
    language="en",
    labels=tuple(LABELS.values()),
    licence="IEMOCAP release licence (academic)",
    url="https://sail.usc.edu/iemocap/",
    citation=(
        "Busso, C., Bulut, M., Lee, C.-C., Kazemzadeh, A., Mower, E., Kim, S., Chang, "
        "J. N., Lee, S. and Narayanan, S. S. (2008). IEMOCAP: interactive emotional "
        "dyadic motion capture database. Language Resources and Evaluation 42(4): "
        "335-359. https://doi.org/10.1007/s10579-008-9076-6"
    ),
    n_utterances=10039,
    n_speakers=10,
    label_map="iemocap4",
    protocol="sessions",
)
EXAMPLES: dict[str, tuple[str, str]] = {}  # a name alone tells no emotion
_SEXES = {"F": "female", "M": "male"}


def claims(path: Path) -> bool:
    """Say whether a file is surely of IEMOCAP, by its name alone."""
    return bool(read_turn(path.stem) or read_dialogue(path.stem))


def utterances(root: Path) -> Iterator[Utterance | Leftover]:
    """Yield utterances and what becomes none, sorted by relative path and start.

    Raises:
        ManifestError: if nothing of the corpus is there
    """
    singles: dict[Turn, list[Path]] = defaultdict(list)
    dialogues: dict[str, list[Path]] = defaultdict(list)
    items: list[Utterance | Leftover] = []
    texts: list[Leftover] = []
    for item in walk(root):
        if isinstance(item, Leftover):
            (texts if may_annotate(item, ".txt") else items).append(item)
        elif turn := read_turn(item.stem):
            singles[turn].append(item)
        elif dialogue := read_dialogue(item.stem):
            dialogues[dialogue].append(item)
        else:
            items.append(_unknown(item))
    told = read_annotations(texts, root)
    if not told.sources and not singles and not dialogues:
        msg = (
            f"{str(root)!r} holds nothing of IEMOCAP: expected evaluations such as "
            "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt and their recordings, "
            "got none. Give the folder IEMOCAP_full_release"
        )
        raise ManifestError(msg)
    items += told.leftovers
    for turn in told.evaluations:
        items += _of_turn(turn, told, singles.get(turn), dialogues.get(turn.dialogue))
    items += _untold(singles, dialogues, told)
    items += _silent(root, told)
    yield from sorted(items, key=lambda item: place(item, root))


def _unknown(path: Path) -> Leftover:
    return Leftover(
        path,
        "unknown name: expected an utterance such as Ses01F_impro01_F000 or a dialogue "
        f"such as Ses01F_impro01, got {path.stem!r}",
    )


def _of_turn(
    turn: Turn,
    told: Annotations,
    singles: Sequence[Path] | None,
    dialogues: Sequence[Path] | None,
) -> Iterator[Utterance | Leftover]:
    """Yield one utterance per file that holds it; single files go before dialogues."""
    if not singles and not dialogues:
        what = f"no audio of {turn}: expected a file {turn} or {turn.dialogue}"
        yield Leftover(told.sources[turn], what)
    evaluation = told.evaluations[turn]
    for path in singles or dialogues or ():
        yield Utterance(
            path,
            speaker=turn.dialogue[:5] + turn.part[0],
            label=evaluation.label,
            start=None if singles else evaluation.start,
            end=None if singles else evaluation.end,
            sex=_SEXES[turn.part[0]],
            session=turn.dialogue[4],
            text=told.texts.get(turn),
            votes=evaluation.votes,
            traits={
                "valence": evaluation.valence,
                "activation": evaluation.activation,
                "dominance": evaluation.dominance,
                "style": "improvised" if "impro" in turn.dialogue else "scripted",
                "dialogue": turn.dialogue,
            },
            name=str(turn),
        )


def _untold(
    singles: dict[Turn, list[Path]],
    dialogues: dict[str, list[Path]],
    told: Annotations,
) -> Iterator[Leftover]:
    """Yield the recordings that no evaluation made an utterance of."""
    for turn in sorted(singles.keys() - told.evaluations.keys()):
        what = f"no EmoEvaluation tells of {turn}"
        if turn in told.sources:
            what = f"EmoEvaluation files contradict one another about {turn}"
        yield from (Leftover(path, what) for path in singles[turn])
    evaluated = {turn.dialogue for turn in told.evaluations}
    cut = {turn.dialogue for turn in told.evaluations.keys() - singles.keys()}
    for dialogue in sorted(dialogues.keys() - cut):
        what = f"no EmoEvaluation tells of {dialogue}"
        if dialogue in evaluated:
            what = "a whole dialogue; its utterances are single files"
        fault = dialogue not in evaluated
        yield from (Leftover(path, what, fault) for path in dialogues[dialogue])


def _silent(root: Path, told: Annotations) -> Iterator[Leftover]:
    """Say once whose words are missing."""
    if without := sorted(told.evaluations.keys() - told.texts.keys()):
        what = (
            f"{len(without)} utterances have no text: expected their transcriptions, "
            f"such as {without[0].dialogue}.txt, beside the evaluations, got none of "
            f"{listing(without)}"
        )
        yield Leftover(root, what, fault=False)
