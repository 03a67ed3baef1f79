"""Protocols of one corpus each: what others published, and two of ours."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from contracts.errors import listing
from contracts.view import View
from evaluation.splits._general_protocols import HELD_OUT
from evaluation.splits.parting import (
    Part,
    Protocol,
    by_speakers,
    five_by_speaker,
    in_order,
    leave_one_session_out,
    leave_one_speaker_out,
    partner_as_dev,
)

LUNA = (  # Luna-Jimenez et al. 2022, test actors of each fold
    (2, 5, 14, 15, 16),
    (3, 6, 7, 13, 18),
    (10, 11, 12, 19, 20),
    (8, 17, 21, 23, 24),
    (1, 4, 9, 22),
)
EMOBOX = (  # EmoBox, Interspeech 2024: RAVDESS, test actors of each fold
    (1, 11, 20, 21),
    (4, 10, 12, 14),
    (8, 9, 19, 23),
    (3, 5, 7, 24),
    (2, 15, 16, 18),
    (6, 13, 17, 22),
)
PEPINO_SEEDS = (123, 1234, 2345, 3456, 4567)
_PEPINO = "Pepino, Riera, Ferrer, Interspeech 2021"
_EMOBOX = "Ma et al., EmoBox, Interspeech 2024"
_SHARED_DEV = (
    "the published dev is a random fifth of the training utterances, so it shares "
    "speakers with train; ours holds speakers out"
)


def _actors(lists: Sequence[Sequence[int]]) -> Callable[[View], Iterator[Part]]:
    """Return the split whose test parts are lists of RAVDESS' actors."""

    def split(view: View) -> Iterator[Part]:
        for actors in lists:
            test = {f"ravdess/{a:02d}" for a in actors} & set(view.speakers)
            yield by_speakers(view, f"actors {listing(actors)}", test)

    return split


def _ravdess_20_2_2(view: View) -> Iterator[Part]:
    number = np.array([int(s.rpartition("/")[2]) for s in view.speakers])
    parts = (number <= 20, (number == 21) | (number == 22), number >= 23)
    train, dev, test = (np.flatnonzero(p) for p in parts)
    yield Part("actors 23, 24", train, dev, test)


def _statements(view: View) -> Iterator[Part]:
    """Test actors of each published fold with a sentence that nobody trained on.

    Who speaks the other sentence in test, or the tested one in train, is not used.
    """
    sentence = view.manifest["sentence"].to_numpy(object)
    for one in in_order(sentence):
        heard = sentence != one
        for part in _actors(LUNA)(view):
            train, dev = (rows[heard[rows]] for rows in (part.train, part.dev))
            test = part.test[~heard[part.test]]
            yield Part(f"{part.name}, sentence {one} unheard", train, dev, test)


_RAVDESS = (
    Protocol(
        "ravdess-luna5",
        "five published folds of RAVDESS by actor",
        _actors(LUNA),
        "Luna-Jimenez et al., Appl. Sci. 2022, 12, 327",
        "The published protocol has no dev part and chose checkpoints on the test "
        f"fold; ours does not. {HELD_OUT}",
        corpus="ravdess",
        as_published="the test actors of each fold; speech",
        n_utterances=1440,
        differs="a dev part, which the source lacks: it is taken from its training "
        "actors",
        labels="ravdess8",
    ),
    Protocol(
        "ravdess-20-2-2",
        "RAVDESS actors 1-20 train, 21-22 dev, 23-24 test",
        _ravdess_20_2_2,
        _PEPINO,
        "Two test actors: results swing by 8 points with the actors.",
        corpus="ravdess",
        as_published="the actors of each part",
        differs="speech alone; the source has song in every part, and seven classes "
        "(pepino-ravdess)",
        tests_all=False,
    ),
    Protocol(
        "pepino-ravdess",
        "RAVDESS actors 1-20 train, 21-22 dev, 23-24 test; 7 classes, five seeds",
        _ravdess_20_2_2,
        _PEPINO,
        "Two test actors: results swing by 8 points with the actors.",
        corpus="ravdess",
        as_published="the actors of each part",
        differs="speech alone, the source has song in every part (2452 files): to be "
        "compared with its speech-only figures (of 120 test utterances), from a "
        "network that heard song in training",
        labels="merge-calm",
        classes="calm merged into neutral",
        seeds=PEPINO_SEEDS,
        tests_all=False,
    ),
    Protocol(
        "ravdess-statement",
        "RAVDESS, speaker and sentence both unseen: five folds of actors, two ways",
        _statements,
        note="Trained on one statement, tested on the other, by other actors; both "
        f"ways, so each utterance is tested once. {HELD_OUT}",
        needs=("speaker", "sentence"),
        corpus="ravdess",
        as_published="the test actors of ravdess-luna5",
        differs="half of the training utterances: each fold hears one statement alone",
        labels="ravdess8",
    ),
    Protocol(
        "emobox-ravdess6",
        "six published folds of RAVDESS by actor",
        _actors(EMOBOX),
        _EMOBOX,
        f"Dev of the source shares speakers with train; ours does not. {HELD_OUT}",
        corpus="ravdess",
        as_published="the test actors of each fold; speech",
        n_utterances=1440,
        differs=_SHARED_DEV,
        labels="ravdess8",
    ),
)
_IEMOCAP = (
    Protocol(
        "superb-er",
        "IEMOCAP, 4 classes, leave one session out",
        leave_one_session_out,
        "SUPERB, task ER: Yang et al., Interspeech 2021",
        "Dev of the source shares speakers with train; ours holds the next session "
        "out whole.",
        needs=("speaker", "session"),
        corpus="iemocap",
        as_published="the test session of each fold",
        classes="four classes",
        n_utterances=5531,
        differs=f"{_SHARED_DEV}, the next session whole, so that one session less is "
        "trained on. The source's figure is accuracy (WAR), a mean of five folds",
        labels="iemocap4",
    ),
    Protocol(
        "iemocap-sessions",
        "IEMOCAP, leave one session out",
        leave_one_session_out,
        _PEPINO,
        "Dev: the next session.",
        needs=("speaker", "session"),
        corpus="iemocap",
        as_published="the test session of each fold",
        classes="four classes",
        differs="the published dev is a tenth of the rest by group; ours is the next "
        "session whole",
        labels="iemocap4",
        seeds=PEPINO_SEEDS,
    ),
    Protocol(
        "iemocap-10fold",
        "IEMOCAP, leave one speaker out, the partner in dialogue as dev",
        partner_as_dev,
        "leave-one-speaker-out figures stand in Ma et al., emotion2vec, 2023",
        "A partner is heard in the same dialogues, so it is not trained on.",
        needs=("speaker", "session"),
        corpus="iemocap",
        as_published="the test speaker of each fold",
        classes="four classes",
        n_utterances=5531,
        differs="the source has figures with and without dev of its own; here dev is "
        "the other speaker of the session and chooses alone",
        labels="iemocap4",
    ),
    Protocol(
        "emobox-iemocap5",
        "IEMOCAP, 4 classes, five published folds by session",
        leave_one_session_out,
        _EMOBOX,
        "Dev of the source shares speakers with train; ours holds the next session "
        "out whole.",
        needs=("speaker", "session"),
        corpus="iemocap",
        as_published="the test session of each fold",
        classes="four classes",
        n_utterances=5531,
        differs=f"{_SHARED_DEV}, the next session whole",
        labels="iemocap4",
    ),
)
_OTHERS = (
    Protocol(
        "crema_d-speaker5",
        "CREMA-D, five folds by speaker, balanced by sex",
        five_by_speaker,
        note="Ours: published figures of CREMA-D (EmoBox, swathiarasu/SER) are of "
        f"random splits that share speakers. {HELD_OUT}",
        corpus="crema_d",
        differs="no published partition of CREMA-D by speaker was found: expect less "
        "here than figures of random splits",
        labels="cremad6",
    ),
    Protocol(
        "emodb-loso",
        "EMO-DB, leave one speaker out",
        leave_one_speaker_out,
        "audEERING, w2v2-how-to (notebook beside Wagner et al. 2023)",
        HELD_OUT,
        corpus="emodb",
        as_published="the test speaker of each fold",
        classes="seven classes",
        n_utterances=535,
        differs="a dev part for heads that need one; the source has none",
        labels="emodb7",
    ),
    Protocol(
        "emobox-savee4",
        "SAVEE, four published folds, one speaker each",
        leave_one_speaker_out,
        _EMOBOX,
        f"Dev of the source shares speakers with train; ours does not. {HELD_OUT}",
        corpus="savee",
        as_published="the test speaker of each fold",
        differs=f"{_SHARED_DEV}: one of three, so that two are trained on",
        labels="identity",
        classes="seven classes",
        n_utterances=480,
    ),
)
PUBLISHED = (*_RAVDESS, *_IEMOCAP, *_OTHERS)
