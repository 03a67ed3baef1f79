"""Who speaks, in those corpora of EmoBox that are none of ours.

EmoBox lists no speakers, but the published names of many corpora tell them. Only what
is sure is read: in eNTERFACE, where some folders hold files that name another subject,
both must agree; MESD's letters say a voice and no person, and Emozionalmente's numbers
are times. The names are those of the lists at https://github.com/emo-box/EmoBox.
"""

from __future__ import annotations

import re
from pathlib import Path

from contracts.manifest import Utterance
from corpora._iemocap_lines import LABELS, read_turn
from corpora._names import name_pattern

IEMOCAP = "iemocap"
# dataset -> where a file lies, from its end, without suffix; as EmoBox' lists have it
_PLACES = {
    "aesdd": r"[a-z]\d\d \((?P<speaker>\d)\)",  # a03 (2)
    "cafe": r"(?P<speaker>\d\d)-[a-z]-[12]-\d",  # 01-C-1-1
    "casia": r"(?P<speaker>liuchanhg|wangzhe|zhaoquanyin|zhaozuoxiang)/[^/]+/\d+",
    "emovdb": r"(?P<speaker>bea|jenie|josh|sam)_[a-z]+/[^/]+",  # sam_Amused/...
    "emovo": r"[a-z]{3}-(?P<speaker>(?P<sex>[fm])\d)-[a-z]\d",  # dis-f1-b1
    "enterface": r"subject (?P<speaker>\d+)/(?:[^/]+/)+s_?(?P=speaker)_[a-z]{2}\w*",
    "esd": r"(?P<speaker>00\d\d)_\d{6}",  # 0011_000351
    "jlcorpus": r"(?P<speaker>(?P<sex>female|male)\d)_[a-z]+_\w+",  # male2_sad_6b_1
    "mead": r"(?P<speaker>(?P<sex>[mw])\d{3})(?:_|/(?:[^/]+/)*)[^/]+",  # M003/audio/...
    "oreau": r"(?P<sex>[fm])/sess[a-z]/(?P<speaker>\d\d)[ab]\d\d[a-z]{2}",  # 29a13Ja
    "polish": r"(?P<speaker>(?P<sex>[fm])\d)\.[a-z]_\w+",  # m3.s_trzymaj_5
    "subesco": r"(?P<speaker>(?P<sex>[fm])_\d\d)_[a-z]+_s_\d+_[a-z]+_\d+",
}
_PATTERNS = {
    name: re.compile(f"(?:.*/)?{pattern.pattern}", pattern.flags)
    for name, text in _PLACES.items()
    if (pattern := name_pattern(text))
}
_SEXES = {"f": "female", "w": "female", "m": "male"}


def read_place(path: Path, dataset: str, emo: str | None) -> Utterance | None:
    """Read who speaks from where a file lies; None where nothing sure tells.

    Args:
        path: the file; only its name and folders are looked at
        dataset: as EmoBox calls it
        emo: label of the list, of which IEMOCAP's codes become words
    """
    if dataset == IEMOCAP:
        return _of_iemocap(path, emo)
    pattern = _PATTERNS.get(dataset)
    found = pattern.fullmatch(path.with_suffix("").as_posix()) if pattern else None
    if not found:
        return None
    told = found.groupdict()
    return Utterance(
        path, told["speaker"], sex=_SEXES.get(told.get("sex", "")[:1].lower())
    )


def _of_iemocap(path: Path, emo: str | None) -> Utterance:
    label = LABELS.get((emo or "").lower(), emo)
    turn = read_turn(path.stem)
    if not turn:
        return Utterance(path, label=label)
    sex = _SEXES[turn.part[0].lower()]
    speaker = turn.dialogue[:5] + turn.part[0]
    return Utterance(path, speaker, label, sex=sex, session=turn.dialogue[4])
