"""Somebody else's classifier, as it is, on a corpus of the cache.

Its scores are in the cache as feature ``audio_classifier``; here they become
probabilities of labels, are kept as a run, and are scored as any other. What such a
number is worth hangs on what the classifier was trained on: a checkpoint that was
trained on the test corpus, on some random split of it, knows the test speakers. Where
that is known it is said, and where nothing is known, that.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from contracts.cache import Cache
from contracts.errors import ManifestError, listing
from contracts.run import Run
from contracts.terminal import warn
from contracts.view import View
from evaluation._derived import keep, test_facts, view_facts
from evaluation.labelling.choice import choose_labels
from evaluation.labelling.merging import narrowed, summed
from evaluation.prediction_rows import prediction_rows
from evaluation.transfer import _label_names
from evaluation.transfer._label_names import Names

FEATURE = "audio_classifier"
KIND = "checkpoint"
UNKNOWN = "training data unknown"

# part of a checkpoint's name -> corpora that it was trained on, and who says so
TRAINED_ON: Mapping[str, tuple[tuple[str, ...], str]] = {
    "wiam/wav2vec2-base-finetuned-ravdess": (
        ("ravdess",),
        "its name and card; a random split, so every actor",
    ),
    "ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition": (
        ("ravdess",),
        "its model card",
    ),
    "areejb/wav2vec2-xlsr-english-speech-emotion-recognition": (
        ("ravdess",),
        "its model card",
    ),
    "superb-er": (("iemocap",), "SUPERB's task ER is IEMOCAP, four classes"),
    "emotion2vec_plus": (
        ("ravdess", "crema_d", "emodb", "iemocap", "meld", "savee", "tess"),
        "fine-tuned on corpora of EmoBox, as its authors say",
    ),
}
_NAMED = ("ravdess", "crema", "emodb", "iemocap", "tess", "savee", "meld", "msp")


def evaluate(
    checkpoint: str,
    cache: Cache,
    corpora: Sequence[str],
    runs: Path,
    labels: str | None = None,
    labels_from: str | None = None,
) -> Run:
    """Score a classifier on corpora, and keep what it says as a run.

    Args:
        checkpoint: folder or hub name, as extract was given it
        cache: has its scores of the corpora
        corpora: their names
        runs: folder of all runs
        labels: label map of the corpora; None: their own
        labels_from: file that says which of its names is which label

    Raises:
        CacheError: if the scores are not in the cache; the message says how to make
            them
        ManifestError: if its names mean nothing in this label map
    """
    whole = cache.view(*corpora, encoder=checkpoint).require([FEATURE])
    named = (whole.speakers != "").astype(bool)
    label_map = choose_labels(whole, labels)
    spec = whole.spec(FEATURE)
    names = spec.channels if isinstance(spec.channels, tuple) else ()
    found = _label_names.meaning(names, label_map, labels_from)
    chosen = narrowed(label_map, tuple(found.labels.values()))
    view = whole.relabel(chosen)
    if not len(view):
        msg = (
            f"checkpoint {checkpoint} says {listing(names)}, and no utterance of "
            f"{listing(corpora)} has such a label. Choose another map with --labels "
            "MAP, such as common4"
        )
        raise ManifestError(msg)
    told = probabilities(view.table(FEATURE), names, found)
    told = summed(chosen, tuple(found.labels.values()), told)
    caution = cautions(checkpoint, whole)
    facts = {
        "name": checkpoint,
        "names": dict(found.labels),
        "left_out": list(found.left_out),
        "unsaid": [x for x in label_map.labels if x not in chosen.labels],
        "not_in_corpus": [c for c in chosen.labels if c not in set(view.labels)],
        "caution": caution,
        "n_without_speaker": int((~named).sum()),
    }
    settings = _settings(view, facts) | {"labels": chosen.counts(whole.manifest)}
    rows = prediction_rows(view, told, 0)
    return keep(runs, settings, [(test_facts(view, "all of it"), rows)])


def probabilities(
    scores: NDArray[np.floating], names: Sequence[str], found: Names
) -> NDArray[np.float64]:
    """Turn scores ``(utterance, name)`` into probabilities of the names kept.

    The softmax goes over all names; what is left out is taken out of it, and
    ``merging.summed`` brings the rest to sum 1.
    """
    shares = softmax(np.asarray(scores, np.float64), axis=1)
    kept = [names.index(name) for name in found.labels]
    return np.asarray(shares[:, kept])


def cautions(checkpoint: str, view: View) -> str:
    """Say what is known of a checkpoint's training data, and warn of the test corpus.

    Args:
        checkpoint: its name
        view: what it is tested on
    """
    name = checkpoint.lower().replace("\\", "/").rstrip("/")
    own = {c: str(card.get("plugin") or c) for c, card in view.cards.items()}
    last = name.rpartition("/")[2]
    told = [
        told for part, told in TRAINED_ON.items() if part.rpartition("/")[2] in last
    ]
    by_name = tuple(word for word in _NAMED if word in last), "its name"
    corpora, source = told[0] if told else by_name
    if not corpora:
        return UNKNOWN
    heard = [
        c for c, plugin in own.items() if any(plugin.startswith(k) for k in corpora)
    ]
    if heard:
        warn(
            f"checkpoint {checkpoint} was trained on {listing(heard)} ({source}): it "
            "may have heard every test speaker, and its scores here say nothing of "
            "speakers it has not heard"
        )
        return f"trained on the test corpus {listing(heard)} ({source})"
    return f"trained on {listing(corpora)} ({source})"


def _settings(view: View, facts: Mapping[str, Any]) -> dict[str, Any]:
    spec = view.spec(FEATURE)
    return view_facts(view) | {
        "kind": KIND,
        "model": FEATURE,
        "settings": {"features": [FEATURE]},
        "features": [
            {
                "reference": FEATURE,
                "name": spec.name,
                "fingerprint": spec.fingerprint,
                "short": spec.short,
                "encoder": spec.encoder,
                "untrained": spec.untrained,
            }
        ],
        "protocol": {
            "name": "as-it-is",
            "title": "a checkpoint as it is: nothing is trained here",
            "citation": "",
            "note": str(facts["caution"]),
            "breaks": [],
        },
        "seed": 0,
        KIND: dict(facts),
        "specs": [spec.to_json()],
        "refused": [],
    }


def remarks(run: Run) -> list[str]:
    """Say what must be known of a checkpoint's scores, in sentences."""
    told = run.record[KIND]
    meant = [f"{name} is {label}" for name, label in told["names"].items()]
    out = [f"checkpoint {told['name']}: {listing(meant, 20)}"]
    if told["left_out"]:
        out.append(
            f"its probabilities of {listing(told['left_out'])} are left out: the label "
            "map has no such label"
        )
    drop = run.record["labels"]["drop"]
    gone = {k: n for k, n in drop.items() if k in told["unsaid"]}
    out += [f"{n} utterances are not used: it cannot say {k}" for k, n in gone.items()]
    if told["not_in_corpus"]:
        out.append(
            f"the corpus has no {listing(told['not_in_corpus'])}: guessing these is an "
            "error"
        )
    return out
