"""Listen to the utterances of a corpus, and make the rows of its manifest.

A file that was heard before and has not changed since (size, times, inode) is not
heard again: its row is taken from the manifest there was.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contracts.errors import ExtractionError
from contracts.manifest import TRAIT, VOTE, Utterance, complete
from contracts.terminal import progress
from extract import _audio
from extract._audio import Decoded
from extract._spool import spool

HEARD = ("waveform", "duration", "sampling_rate", "channels", "clipping", "silence")
_THREADS = 4  # decoding waits for the disk and leaves the interpreter's lock


def stat(path: Path) -> str:
    try:
        s = path.stat()
    except OSError:
        return ""
    return f"{s.st_size}-{s.st_mtime_ns}-{s.st_ctime_ns}-{s.st_ino}"


def hear_all(
    corpus: str,
    named: Sequence[tuple[str, Utterance]],
    known: Mapping[str, Mapping[str, Any]],
    near: Path | None = None,
) -> pd.DataFrame:
    """Make the rows, listening to what is not known yet.

    Args:
        corpus: name in the cache
        named: utterances with their ids
        known: id -> what was heard before
        near: an existing folder to decode long files into, see ``extract._spool``
    """
    paths = {u.path for _, u in named}
    stats = {path: stat(path) for path in paths}

    rows: list[dict[str, Any]] = []
    new: list[int] = []
    for i, (name, utterance) in enumerate(named):
        told = stats[utterance.path]
        rows.append(_row(corpus, name, utterance) | {"stat": told})
        if told and name in known and known[name]["stat"] == told:
            rows[-1] |= {column: known[name][column] for column in HEARD}
        else:
            new.append(i)
    with (
        spool([named[i][1].path for i in new], near) as sounds,
        progress(f"{corpus}: listening", len(new), "utterances") as advance,
        ThreadPoolExecutor(_THREADS) as pool,
    ):
        heard = pool.map(lambda i: hear(named[i][1], sounds.decode), new)
        for i, facts in zip(new, heard, strict=True):
            rows[i] |= facts
            advance(1)
    return complete(pd.DataFrame(rows, index=range(len(rows))))


def _row(corpus: str, name: str, utterance: Utterance) -> dict[str, Any]:
    def own(value: str | None) -> str:
        return f"{corpus}/{value}" if value else ""

    row: dict[str, Any] = {
        "id": name,
        "corpus": corpus,
        "path": str(utterance.path.absolute()),
        "start": np.nan if utterance.start is None else utterance.start,
        "end": np.nan if utterance.end is None else utterance.end,
        "speaker": own(utterance.speaker),
        "session": own(utterance.session),
        "sentence": own(utterance.sentence),
    }
    for column in ("sex", "split", "text", "label"):
        row[column] = getattr(utterance, column) or ""
    row |= {f"{VOTE}{label}": share for label, share in utterance.votes.items()}
    return row | {f"{TRAIT}{k}": value for k, value in utterance.traits.items()}


def hear(
    utterance: Utterance, decode: Callable[..., Decoded] = _audio.decode
) -> dict[str, Any]:
    """Decode one utterance and measure it; what is wrong goes into ``problem``."""
    try:
        decoded = decode(utterance.path, utterance.start, utterance.end)
    except ExtractionError as error:
        return {"problem": str(error)}
    return {
        "waveform": _audio.waveform_hash(decoded),
        "duration": len(decoded.samples) / decoded.sampling_rate,
        "sampling_rate": decoded.sampling_rate,
        "channels": decoded.channels,
        "clipping": _audio.clipping(decoded.samples),
        "silence": _audio.silence(decoded),
    }
