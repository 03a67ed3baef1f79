"""CONTRACT 1, the manifest: one row per utterance.

A corpus plug-in yields ``Utterance`` and ``Leftover``; extract listens to each file
and writes a ``Manifest``, kept with the cache as ``manifest/<corpus>.parquet``. The
rows are a pandas frame with the columns of ``COLUMNS`` and, where the corpus has
them, one column ``vote:<label>`` per label (annotators' shares, rows sum to 1) and
one column ``trait:<name>`` per trait, all numbers or all text. Text that is not known
is ``""``, a number that is not known is NaN.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from contracts import _durable
from contracts._sealed import BLANK, MARK, check_format, flaw, stamp
from contracts.command import repair_command
from contracts.errors import ManifestError
from contracts.feature import FORMAT

VOTE, TRAIT = "vote:", "trait:"
COLUMNS: dict[str, str] = {
    "id": "str",  # corpus/relative path[#start-end], the same on every machine
    "corpus": "str",
    "path": "str",  # where the file lies on this machine
    "start": "float64",  # seconds into the file; NaN: the whole file
    "end": "float64",  # seconds into the file; NaN: the whole file
    "waveform": "str",  # sha256 of the decoded audio; "": could not be decoded
    "source": "str",  # id of the utterance this one is made from; "": an original
    "variant": "str",  # how it was made from its source; "": an original
    "speaker": "str",  # corpus/speaker; "": unknown
    "sex": "str",  # female, male or ""
    "session": "str",  # corpus/session
    "sentence": "str",  # corpus/sentence
    "split": "str",  # train, dev, test or ""
    "text": "str",
    "label": "str",  # as the corpus has it; "": none
    "duration": "float64",  # seconds
    "sampling_rate": "float64",  # Hz, of the file
    "channels": "float64",  # of the file
    "clipping": "float64",  # share of samples at full scale, in [0, 1]
    "silence": "float64",  # share of 20 ms frames below -60 dBFS, in [0, 1]
    "problem": "str",  # why the utterance has no features; "": it is well
    "stat": "str",  # size, times and inode of the file: a rescan skips known files
}


@dataclass(frozen=True)
class Corpus:
    """What a corpus is.

    Attributes:
        title: full name
        language: ISO 639-1 code, or several joined by ``+``
        labels: its emotions in their published order; empty where a table decides
        licence: short name of the licence, as its owners give it
        url: where to get it
        citation: paper to cite
        n_utterances: published number of utterances, None if it varies
        n_speakers: published number of speakers, None if it varies
        label_map: label map used unless another is asked for
        protocol: published partition; None: chosen by the number of speakers
        label_counts: published number of utterances of each label
    """

    title: str
    language: str
    labels: tuple[str, ...]
    licence: str
    url: str
    citation: str
    n_utterances: int | None = None
    n_speakers: int | None = None
    label_map: str = "identity"
    protocol: str | None = None
    label_counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Utterance:
    """One labelled stretch of speech, as its corpus describes it.

    Attributes:
        path: the file
        speaker: without the corpus' name; None: unknown
        label: None: unlabelled
        start: seconds into the file; None: from its beginning
        end: seconds into the file; None: to its end
        sex: ``female`` or ``male``
        votes: share of the annotators per label
        traits: anything else that is known, as text or number
        name: the published name; a second file of the same name and waveform is a
            doubled copy and left out with a word
        remark: something odd that a person should read, such as a wrong folder
    """

    path: Path
    speaker: str | None = None
    label: str | None = None
    start: float | None = None
    end: float | None = None
    sex: str | None = None
    session: str | None = None
    sentence: str | None = None
    split: str | None = None
    text: str | None = None
    votes: Mapping[str, float] = field(default_factory=dict)
    traits: Mapping[str, str | float] = field(default_factory=dict)
    name: str | None = None
    remark: str | None = None


@dataclass(frozen=True)
class Leftover:
    """A file in the corpus' folder that becomes no utterance.

    Attributes:
        reason: what is wrong: expected, got
        fault: True: something to mend, the exit code says so; False: said and counted
            (hidden files, song, video)
    """

    path: Path
    reason: str
    fault: bool = True


@dataclass(frozen=True)
class Manifest:
    """The utterances of one corpus and what the corpus is.

    Attributes:
        corpus: name in the cache
        rows: frame with the columns of ``COLUMNS``, votes and traits
        card: facts of ``Corpus`` as a dict, with ``plugin``, ``root`` and ``limit``
    """

    corpus: str
    rows: pd.DataFrame
    card: dict[str, Any]


def card(corpus: Corpus, **more: object) -> dict[str, Any]:
    """Turn what a corpus is into what the manifest keeps of it."""
    return {**asdict(corpus), "labels": list(corpus.labels), **more}


def complete(rows: pd.DataFrame) -> pd.DataFrame:
    """Give a frame every column of ``COLUMNS`` in order, votes and traits behind."""
    out = {}
    for name, dtype in COLUMNS.items():
        empty = "" if dtype == "str" else float("nan")
        column = rows[name] if name in rows else pd.Series(empty, index=rows.index)
        out[name] = (column.fillna("") if dtype == "str" else column).astype(dtype)
    extra = sorted(c for c in rows if c.startswith((VOTE, TRAIT)))
    return pd.DataFrame(out | {c: _extra(rows[c]) for c in extra}, index=rows.index)


def _extra(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Make votes and traits all numbers or all text; corpora may differ in theirs."""
    if pd.api.types.is_numeric_dtype(column):
        return column.astype("float64")
    return column.map(lambda v: "" if pd.isna(v) else str(v)).astype("str")


def manifest_hash(rows: pd.DataFrame) -> str:
    """Hash what the results depend on: not where files lie nor when they were read."""
    told = rows.drop(columns=["path", "stat"]).sort_values("id", ignore_index=True)
    text = told.to_csv(index=False, float_format="%.9g")
    return hashlib.sha256(text.encode()).hexdigest()


def write_manifest(manifest: Manifest, folder: Path) -> Path:
    """Write a manifest under ``folder``, whole or not at all.

    Raises:
        CacheError: if it cannot be written; the manifest there was is untouched
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    _durable.make_folders(folder)
    table = pa.Table.from_pandas(complete(manifest.rows), preserve_index=False)
    told = {"corpus": manifest.corpus, **manifest.card, "format": FORMAT}
    text = json.dumps(told, sort_keys=True)
    # the last words of a Parquet file are these, so that the checksum is found
    table = table.replace_schema_metadata(None)
    into = io.BytesIO()
    with pq.ParquetWriter(into, table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"emocache": text, "checksum": BLANK})
    path = folder / f"{manifest.corpus}.parquet"
    _durable.publish(path, [stamp(into.getvalue())])
    return path


def read_manifest(path: Path) -> Manifest:
    """Read one manifest.

    Raises:
        ManifestError: if the file is not a manifest, or not as it was written
        CacheError: if it is of another format
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        data = path.read_bytes()
        wrong = flaw(data)
        if wrong and MARK in data:
            raise ValueError(wrong)
        table = pq.read_table(pa.BufferReader(data))
        told = json.loads(table.schema.metadata[b"emocache"])
        check_format(path, told.pop("format", 1))
        if wrong:
            raise ValueError(wrong)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        msg = (
            f"manifest {path} is broken: {error}. "
            f"Run: {repair_command(path.parents[1])}"
        )
        raise ManifestError(msg) from error
    rows = table.replace_schema_metadata(None).to_pandas()
    return Manifest(told.pop("corpus"), complete(rows), told)


def names(folder: Path) -> list[str]:
    """List the corpora that have a manifest under ``folder``."""
    return sorted(path.stem for path in folder.glob("*.parquet"))


def votes(rows: pd.DataFrame) -> pd.DataFrame | None:
    """Return the annotators' shares ``(utterance, label)``, None if there are none."""
    columns = [c for c in rows if c.startswith(VOTE)]
    if not columns:
        return None
    shares = rows[columns].astype("float64").fillna(0.0)
    return shares.rename(columns=lambda c: c.removeprefix(VOTE))


def traits(rows: pd.DataFrame) -> Iterator[str]:
    """Yield the names of the traits."""
    return (c.removeprefix(TRAIT) for c in rows if c.startswith(TRAIT))
