"""Read corpora whose file names tell everything: fields, codes, folders.

Letter case never matters, since mirrors change it; what a code is called is its
published spelling. A folder is never believed against a name: where the two disagree,
the name counts and a remark says so.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from contracts.errors import listing
from contracts.manifest import Leftover, Utterance
from corpora._files import relative, walk

# emotion -> words by which mirrors call the folders of its recordings
_FOLDERS = {
    "anger": ("anger", "angry", "ang"),
    "boredom": ("boredom", "bored"),
    "calm": ("calm",),
    "contempt": ("contempt", "contemptuous"),
    "disgust": ("disgust", "disgusted", "dis"),
    "excitement": ("excitement", "excited"),
    "fear": ("fear", "fearful", "fea"),
    "frustration": ("frustration", "frustrated"),
    "happiness": ("happiness", "happy", "joy", "hap"),
    "neutral": ("neutral", "neu"),
    "sadness": ("sadness", "sad"),
    "surprise": ("surprise", "surprised"),
}
_EMOTIONS = {word: emotion for emotion, words in _FOLDERS.items() for word in words}
_MANY = 20  # so many codes are shown as a range


def name_pattern(text: str) -> re.Pattern[str]:
    """Compile the pattern of a name: ASCII, letter case does not matter."""
    return re.compile(text, re.ASCII | re.IGNORECASE)


def fields(
    path: Path,
    pattern: re.Pattern[str],
    shape: str,
    known: Mapping[str, Collection[str]],
) -> dict[str, str] | Leftover:
    """Read the fields of a file's name.

    Args:
        path: the file; only the name is looked at
        pattern: of the name without its suffix, each named group is a field
        shape: in words, what the name is expected to be
        known: field -> codes in their published spelling; other fields are free

    Returns:
        field -> code, without fields that are absent; a leftover that names every
        field that is wrong
    """
    found = pattern.fullmatch(path.stem)
    if not found:
        return Leftover(path, f"unknown name: expected {shape}, got {path.stem!r}")
    told = {field: code for field, code in found.groupdict().items() if code}
    spelt = {field: _spelling(code, known.get(field)) for field, code in told.items()}
    wrong = [
        f"unknown {field}: expected {_choices(known[field])}, got {told[field]!r}"
        for field, code in spelt.items()
        if code is None
    ]
    if wrong:
        return Leftover(path, "; ".join(wrong))
    return {field: code for field, code in spelt.items() if code is not None}


def _spelling(code: str, known: Collection[str] | None) -> str | None:
    """Return a code as it is published, None if it is not known."""
    if known is None:
        return code
    return next((k for k in known if k.casefold() == code.casefold()), None)


def _choices(known: Collection[str]) -> str:
    codes = list(known)
    if len(codes) > _MANY:
        return f"{codes[0]} to {codes[-1]}"
    return f"one of {listing(codes, _MANY)}"


def read_names(
    root: Path,
    read_name: Callable[[Path], Utterance | Leftover],
    speaker_folder: re.Pattern[str] | None = None,
) -> Iterator[Utterance | Leftover]:
    """Yield what each file under ``root`` is, sorted by relative path.

    Args:
        root: folder of the corpus
        read_name: reads one file from its name
        speaker_folder: folders that name a speaker; their one group is the speaker and
            its name is the word for it

    Raises:
        ManifestError: if ``root`` is no folder
    """
    for item in walk(root):
        found = item if isinstance(item, Leftover) else read_name(item)
        if isinstance(found, Utterance):
            folders = relative(found.path, root).split("/")[:-1]
            remarks = [found.remark, _emotion_remark(folders, found)]
            if speaker_folder:
                remarks.append(_speaker_remark(folders, found, speaker_folder))
            found = replace(found, remark="; ".join(r for r in remarks if r) or None)
        yield found


def emotion_in(text: str) -> str | None:
    """Return the one emotion that a folder's name or a label speaks of."""
    words = re.findall(r"[a-z]+", text.casefold())
    named = {_EMOTIONS[word] for word in words if word in _EMOTIONS}
    return named.pop() if len(named) == 1 else None


def _emotion_remark(folders: Sequence[str], found: Utterance) -> str | None:
    """Say if the nearest folder that names an emotion names another one."""
    for folder in reversed(folders):
        if named := emotion_in(folder):
            if named == emotion_in(found.label or ""):
                return None
            return _remark(folder, "label", found.label)
    return None


def _speaker_remark(
    folders: Sequence[str], found: Utterance, pattern: re.Pattern[str]
) -> str | None:
    """Say if the nearest folder that names a speaker names another one."""
    for folder in reversed(folders):
        if named := pattern.fullmatch(folder):
            ((word, speaker),) = named.groupdict().items()
            if _same(speaker, found.speaker or ""):
                return None
            return _remark(folder, word, found.speaker)
    return None


def _same(one: str, other: str) -> bool:
    """Compare speakers; leading zeros and letter case do not matter."""
    return one.lstrip("0").casefold() == other.lstrip("0").casefold()


def _remark(folder: str, what: str, value: str | None) -> str:
    return (
        f"lies in folder {folder!r} but its name says {what} {value}: the name is "
        "believed"
    )
