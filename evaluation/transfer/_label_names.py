"""Which label a classifier's own name for it means.

The rule: case and what is no letter are put aside, and of a name in two languages
(``wütend/angry``) the part behind the slash is taken. What is left is a label where the
label map knows it; else the word of the same group in ``ALIKE`` that the map knows.
Nothing is guessed from a name such as ``LABEL_0``: a file says what it means.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import EmocacheError, ManifestError, listing
from contracts.labels import LabelMap

ALIKE = (  # words for one emotion, and how papers and file names shorten them
    ("angry", "anger", "ang", "angriness"),
    ("happy", "happiness", "hap", "joy", "joyful"),
    ("sad", "sadness", "sadden"),
    ("neutral", "neu", "neutrality"),
    ("fearful", "fear", "fea", "afraid"),
    ("disgust", "disgusted", "dis"),
    ("surprised", "surprise", "sur", "surp"),
    ("calm", "cal", "calmness"),
    ("excited", "excitement", "exc"),
    ("frustrated", "frustration", "fru"),
    ("boredom", "bored", "bor"),
    ("contempt", "contemptuous"),
)


@dataclass(frozen=True)
class Names:
    """What a classifier's names mean.

    Attributes:
        labels: name -> label that the map knows
        left_out: names of emotions that the map has no word for
    """

    labels: Mapping[str, str]
    left_out: tuple[str, ...] = ()


def meaning(
    names: Sequence[str], label_map: LabelMap, file: str | Path | None = None
) -> Names:
    """Say which label each name means.

    Args:
        names: as the classifier has them
        label_map: of the corpus
        file: TOML with ``[names]``, name -> label or ``""`` to leave it out; it goes
            before the rule

    Raises:
        ManifestError: if names mean nothing, or the file is not as it must be
    """
    told = {} if file is None else _read(Path(file), names, label_map)
    labels, left_out, unknown = {}, [], []
    for name in names:
        label = told[name] if name in told else _by_rule(name, label_map)
        if label is None:
            unknown.append(name)
        elif label:
            labels[name] = label
        else:
            left_out.append(name)
    if unknown:
        msg = (
            f"nobody can tell what {listing(map(repr, unknown))} of the checkpoint "
            f"mean: expected words such as {listing(label_map.labels)}. Say it in a "
            "file, --labels-from FILE.toml, below [names]: "
            f'"{unknown[0]}" = "{label_map.labels[0]}", or "" to leave it out'
        )
        raise ManifestError(msg)
    if not labels:
        msg = (
            f"the checkpoint says {listing(names)}, and label map {label_map.name} "
            "knows none of it. Choose another with --labels MAP, such as common4"
        )
        raise ManifestError(msg)
    return Names(labels, tuple(left_out))


def _by_rule(name: str, label_map: LabelMap) -> str | None:
    """Return a label, ``""`` for an emotion that the map lacks, None: no emotion."""
    word = re.sub(r"[^a-z]+", " ", name.rpartition("/")[2].lower()).strip()
    known = {*label_map.labels, *label_map.merge, *label_map.drop}
    group = next((g for g in ALIKE if word in g), ())
    for one in (word, word.replace(" ", "_"), *group):
        if one in known:
            return one
    return "" if group else None


def _read(path: Path, names: Sequence[str], label_map: LabelMap) -> dict[str, str]:
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{path} cannot be read: {error}. Mend the file"
        raise EmocacheError(msg) from error
    table = told.get("names")
    if set(told) != {"names"} or not isinstance(table, dict):
        msg = f"{path}: expected one table [names], got {listing(told) or 'nothing'}"
        raise ManifestError(msg)
    wrong = [f"the checkpoint has no {name!r}" for name in table if name not in names]
    wrong += [
        f"label map {label_map.name} does not know {label!r}"
        for label in table.values()
        if not isinstance(label, str) or (label and label_map.unknown([label]))
    ]
    if wrong:
        msg = f"{path}: {'; '.join(wrong)}. Expected names of {listing(names)}"
        raise ManifestError(msg)
    return dict(table)
