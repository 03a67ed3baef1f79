"""Die at every operation on the disk, by kill and by power loss: nothing is lost."""

import itertools
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import crashes
from tests.crashes import WORKS, Work

Seen = set[tuple[str, str]]
# every third moment is tried by `make test`, each by `make test-all`
STEPS = [3, pytest.param(1, marks=pytest.mark.slow)]


def _kill(folder: Path, acks: Path, work: Work, stop: int, in_the_middle: bool) -> int:
    """Do the work in a process that dies at one operation; return its wait status."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:  # never back into pytest from here
        count = itertools.count()

        def hook(name: str, arguments: Any) -> None:
            if next(count) != stop:
                return
            if in_the_middle and name == "write":
                path, (data,) = arguments
                path.write_bytes(data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

        with crashes.standing_between(hook), acks.open("a") as said:

            def ack(name: str, keys: list[str]) -> None:
                said.writelines(f"{name} {key}\n" for key in keys)
                said.flush()

            work.run(folder, ack)
        os._exit(0)
    finally:
        os._exit(1)


def _operations(folder: Path, work: Work) -> list[str]:
    """Do the work undisturbed; return its operations."""
    names: list[str] = []
    with crashes.standing_between(lambda name, _: names.append(name)):
        work.run(folder, lambda *_: None)
    return names


def _survives(folder: Path, work: Work, acked: Seen, whole: dict[str, bytes]) -> None:
    """Check what holds after a death, then go on and check the end."""
    assert crashes.promised(folder, acked)
    if work.is_readable:
        assert {a for a in acked if a[0] != "manifest"} <= crashes.read(folder)
    with crashes.standing_between(lambda *_: None):
        work.go_on(folder)
    assert crashes.read(folder) == work.end
    assert crashes.is_clean(folder)
    for store in crashes.Cache(folder).stores:
        wanted = {k for k in crashes.FAILS if work is not WORKS["gc"]}
        assert set(store.failed) == wanted
    if work is WORKS["write"]:
        assert crashes.tree(folder) == whole


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", WORKS)
def test_killed_at_every_operation(
    tmp_path: Path, name: str, step: int, record_property: Any
) -> None:
    work = WORKS[name]
    with crashes.standing_between(lambda *_: None):
        work.begin(tmp_path / "begin")
    always = work.always(tmp_path / "begin")
    shutil.copytree(tmp_path / "begin", tmp_path / "whole")
    names = _operations(tmp_path / "whole", work)
    whole = crashes.tree(tmp_path / "whole")
    points = [(i, False) for i in range(len(names))]
    points += [(i, True) for i, operation in enumerate(names) if operation == "write"]

    for stop, in_the_middle in points[::step]:
        folder, acks = tmp_path / "cache", tmp_path / "acks"
        shutil.copytree(tmp_path / "begin", folder)
        acks.touch()
        status = _kill(folder, acks, work, stop, in_the_middle)
        assert os.WTERMSIG(status) == signal.SIGKILL, (names[stop], stop, status)
        lines = [line.split() for line in acks.read_text().splitlines()]
        _survives(folder, work, always | {(a, b) for a, b in lines}, whole)
        shutil.rmtree(folder)
        acks.unlink()

    record_property("kills", len(points[::step]))
    print(f"{name}: {len(points[::step])} kills, {len(names)} operations")  # noqa: T201
    assert len(points) >= {"write": 90, "repair": 60, "gc": 50}[name]


FOLDER = b"a folder"


class Disk:
    """What a disk may hold after power is lost.

    A file's bytes are certain once it is synced, and what a folder lists once the
    folder is; until then each change may have happened or not, alone.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.listed: dict[Path, int] = {}
        self.content: list[bytes] = []
        self.synced: set[int] = set()
        self.changes: list[tuple[Path, int | None]] = []
        for path in sorted(folder.rglob("*")):
            data = FOLDER if path.is_dir() else path.read_bytes()
            self.listed[path] = self._new(data, is_synced=True)

    def _new(self, data: bytes, is_synced: bool = False) -> int:
        self.content.append(data)
        if is_synced:
            self.synced.add(len(self.content) - 1)
        return len(self.content) - 1

    def _now(self, path: Path) -> int | None:
        found = [number for changed, number in self.changes if changed == path]
        return found[-1] if found else self.listed.get(path)

    def take(self, name: str, arguments: Any) -> None:
        """Note one operation."""
        path = arguments[0]
        if name == "make_folder" and self._now(path) is None and path != self.root:
            self.changes.append((path, self._new(FOLDER, is_synced=True)))
        elif name == "write":
            self.changes.append((path, self._new(b"".join(arguments[1]))))
        elif name == "sync":
            number = self._now(path)
            assert number is not None
            self.synced.add(number)
        elif name == "rename":
            self.changes += [(arguments[1], self._now(path)), (path, None)]
        elif name == "remove" and self._now(path) is not None:
            self.changes.append((path, None))
        elif name == "sync_folder":
            for changed, number in self.changes:
                if changed.parent == path:
                    self._list(self.listed, changed, number)
            self.changes = [c for c in self.changes if c[0].parent != path]

    @staticmethod
    def _list(listed: dict[Path, int], path: Path, number: int | None) -> None:
        if number is None:
            listed.pop(path, None)
        else:
            listed[path] = number

    def possible(self) -> Iterator[dict[Path, bytes]]:
        """Yield every disk that may be found: path to bytes."""
        for happened in itertools.product((False, True), repeat=len(self.changes)):
            listed = dict(self.listed)
            for change, did in zip(self.changes, happened, strict=True):
                if did:
                    self._list(listed, *change)
            unsure = sorted(set(listed.values()) - self.synced)
            for kinds in itertools.product(range(4), repeat=len(unsure)):
                how = dict(zip(unsure, kinds, strict=True))
                yield {p: self._bytes(n, how.get(n)) for p, n in listed.items()}

    def _bytes(self, number: int, how: int | None) -> bytes:
        """Return a file's bytes: whole, empty, half, or the half with garbage."""
        data = self.content[number]
        half = data[: len(data) // 2]
        garbage = bytes(b ^ 0x5A for b in data[len(half) :])
        return (data, b"", half, half + garbage)[how or 0]


def _materialise(disk: dict[Path, bytes], folder: Path, into: Path) -> None:
    into.mkdir()
    for path, data in sorted(disk.items()):
        place = into / path.relative_to(folder)
        if not place.parent.is_dir():
            continue  # its folder's own name was lost
        if data == FOLDER:
            place.mkdir()
        else:
            place.write_bytes(data)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", WORKS)
def test_power_lost_at_every_operation(
    tmp_path: Path, name: str, step: int, record_property: Any
) -> None:
    work, folder = WORKS[name], tmp_path / "whole"
    with crashes.standing_between(lambda *_: None):
        work.begin(folder)
    always = work.always(folder)
    disk, acked = Disk(folder), set(always)
    found: dict[Any, tuple[dict[Path, bytes], Seen]] = {}

    def lose_power() -> None:
        for one in disk.possible():
            known = tuple(sorted(one.items())), len(acked)
            found.setdefault(known, (one, set(acked)))

    def hook(operation: str, arguments: Any) -> None:
        lose_power()
        disk.take(operation, arguments)
        lose_power()

    with crashes.standing_between(hook):
        work.run(folder, lambda feature, keys: acked.update((feature, k) for k in keys))
    lose_power()
    whole = crashes.tree(folder)

    for one, promised in list(found.values())[::step]:
        into = tmp_path / "cache"
        _materialise(one, folder, into)
        _survives(into, work, promised, whole)
        shutil.rmtree(into)

    n = len(list(found)[::step])
    record_property("disks", n)
    print(f"{name}: {n} disks after power loss")  # noqa: T201
    assert len(found) >= {"write": 110, "repair": 60, "gc": 60}[name]
