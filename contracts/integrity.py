"""Whether the files of a cache are what was written: what ``cache verify`` asks.

Every byte of manifests, ``feature.json``, commits and shards is under a checksum, and a
fault names the utterances whose numbers it touches. ``notes`` and ``lock`` hold nothing
that is read again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from contracts._commits import SPEC_FILE, commits, read_commit
from contracts._durable import ASIDE
from contracts._sealed import OtherFormatError
from contracts._shardfile import ShardFile, told_of_head, told_of_shard
from contracts._store import read_spec
from contracts.errors import CacheError, ManifestError
from contracts.feature import FeatureSpec
from contracts.manifest import read_manifest

Advance = Callable[[float], object]  # is told how many bytes were checked


@dataclass(frozen=True)
class Fault:
    """Something in a file that is not as it was written.

    Attributes:
        path: the file
        what: in words
        keys: waveform hashes of the utterances whose numbers are lost with it
    """

    path: Path
    what: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShardState:
    """What is left of one shard.

    Attributes:
        path: of its commit
        told: what the commit says, or the shard itself where the commit is torn; None
            where nothing is proven
        is_torn: whether the commit is
        good: positions of the blocks that are as they were written
        faults: what is not
    """

    path: Path
    told: Mapping[str, Any] | None
    is_torn: bool
    good: tuple[int, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def shard(self) -> Path:
        """The file of data, whether it is there or not."""
        return self.path.with_suffix(".h5")

    @property
    def keys(self) -> list[str]:
        """Waveform hashes of the good blocks."""
        rows = self.told["utterances"] if self.told else []
        return [rows[i][0] for i in self.good]


@dataclass
class FeatureState:
    """What is left of one feature.

    Attributes:
        folder: of the feature
        spec: what it is; None where nothing says so
        shards: one state per commit
        faults: of ``feature.json``
        leftovers: files that a killed writer left; nothing reads them
    """

    folder: Path
    spec: FeatureSpec | None
    shards: list[ShardState] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    leftovers: list[Path] = field(default_factory=list)

    def all_faults(self) -> Iterator[Fault]:
        """Yield the feature's faults and those of its shards."""
        yield from self.faults
        for shard in self.shards:
            yield from shard.faults


def check_manifest(path: Path) -> list[Fault]:
    """Check the manifest of one corpus.

    Raises:
        OtherFormatError: if it is of another format
    """
    try:
        read_manifest(path)
    except ManifestError as error:
        return [Fault(path, _reason(error))]
    return []


def _reason(error: Exception) -> str:
    """Return what is wrong, without where and what to do."""
    return f"is torn or damaged: {error.__cause__ or error}"


def check_feature(
    folder: Path,
    advance: Advance = lambda _: None,
    is_meant: Callable[[Mapping[str, Any]], bool] = lambda _: True,
) -> FeatureState:
    """Check every file of a feature.

    Args:
        folder: of the feature
        advance: is told of every shard when it is done, in bytes
        is_meant: whether the shard of a commit is to be checked

    Raises:
        OtherFormatError: if it is of another format
    """
    state = FeatureState(folder, None)
    try:
        state.spec = read_spec(folder / SPEC_FILE)
    except OtherFormatError:
        raise
    except (FileNotFoundError, CacheError) as error:
        if commits(folder) or (folder / SPEC_FILE).exists():
            what = "is missing" if isinstance(error, OSError) else _reason(error)
            state.faults.append(Fault(folder / SPEC_FILE, what))
    if state.spec and state.spec.short != folder.name:
        what = f"is of {state.spec.short}, expected {folder.name}"
        state.faults.append(Fault(folder / SPEC_FILE, what))
    for path in commits(folder):
        try:
            shard = check_shard(path, is_meant)
        except FileNotFoundError:  # taken away by repair or gc since it was listed
            continue
        state.shards.append(_at_home(shard, folder.name))
        advance(float((shard.told or {}).get("size", 0)))
    state.leftovers = _leftovers(folder, {s.shard.name for s in state.shards})
    return state


def _at_home(shard: ShardState, name: str) -> ShardState:
    """Take a shard that lies in the folder of another feature for an unproven one."""
    if shard.told is None:
        return shard
    own = f"{shard.told['feature']}@{shard.told['fingerprint'][:12]}"
    if own == name:
        return shard
    fault = Fault(shard.path, f"belongs to {own}, expected {name}")
    return ShardState(shard.path, None, False, faults=(*shard.faults, fault))


def _leftovers(folder: Path, true: set[str]) -> list[Path]:
    """List unfinished files, and shards without a commit."""
    orphans = [p for p in folder.glob("*.h5") if p.name not in true]
    return sorted([*folder.glob(ASIDE), *orphans])


def check_shard(
    path: Path, is_meant: Callable[[Mapping[str, Any]], bool] = lambda _: True
) -> ShardState:
    """Check a commit and its shard.

    Raises:
        FileNotFoundError: if the commit is not there
        OtherFormatError: if it is of another format
    """
    torn: list[Fault] = []
    told: dict[str, Any] | None = None
    shard = path.with_suffix(".h5")
    try:
        told = read_commit(path)
    except OtherFormatError:
        raise
    except CacheError as error:
        torn.append(Fault(path, _reason(error)))
    if told and (told["shard"] is None or not is_meant(told)):
        return ShardState(path, told, is_torn=False)
    try:
        with shard.open("rb") as file:
            if told is None:
                told = told_of_shard(file, shard)
            return _checked(path, told, file, torn)
    except OtherFormatError:
        raise
    except ValueError as error:
        why = f"and it does not prove itself, its commit being torn: {error}"
        return ShardState(path, None, is_torn=True, faults=(*torn, Fault(shard, why)))
    except OSError as error:
        if not path.exists():
            raise FileNotFoundError(path) from error
        keys = tuple(u[0] for u in told["utterances"]) if told else ()
        faults = (*torn, Fault(shard, f"cannot be read: {error.strerror}", keys))
        return ShardState(path, told, bool(torn), faults=faults)


def _checked(
    path: Path, told: dict[str, Any], file: BinaryIO, torn: list[Fault]
) -> ShardState:
    """Check a shard by what is told of it."""
    faults, shard = list(torn), path.with_suffix(".h5")
    data = ShardFile(file, told, FeatureSpec.from_json(told["spec"]))
    size = shard.stat().st_size
    if size != told["size"]:
        what = f"expected {told['size']} bytes, got {size}"
        faults.append(Fault(shard, what))
    try:
        head = told_of_head(file, shard)
        if any(told[name] != value for name, value in head.items()):
            faults.append(Fault(shard, "its head is that of another shard"))
    except ValueError as error:
        faults.append(Fault(shard, f"its head is damaged: {error}"))
    if data.rest() != told["rest"]:
        faults.append(Fault(shard, "what is in no block is damaged"))
    good = [i for i in range(told["n"]) if data.block(i) is not None]
    bad = {u[0] for u in told["utterances"]} - {told["utterances"][i][0] for i in good}
    rows = [u[0] for u in told["utterances"] if u[0] in bad]
    faults += [Fault(shard, "the block is damaged", (key,)) for key in rows]
    return ShardState(path, told, bool(torn), tuple(good), tuple(faults))
