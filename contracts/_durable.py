"""The one door to the disk for everything that is written into a cache.

Six operations, each one step that a crash can fall before or into: ``make_folder``,
``write``, ``sync``, ``rename``, ``sync_folder``, ``remove``. ``publish`` joins them so
that a file is there whole or not at all, and stays once it is there. Other modules call
them through this module (``_durable.publish``), so that a test can stand in between.
"""

import errno
import functools
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from contracts.errors import CacheError

ASIDE = ".*.tmp-*"  # how unfinished files are named; only a killed writer leaves one

_Call = TypeVar("_Call", bound=Callable[..., Any])
_KEPT = "Everything committed before is kept"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


def refusal(path: Path, error: OSError) -> CacheError:
    """Say in one sentence that something cannot be written, and what to do."""
    todo = "look at the disk and the system's log, then run the same command again"
    if error.errno in _FULL:
        todo = "free space and run the same command again"
    elif error.errno in _CLOSED:
        todo = "make it writable for this user, or choose another with --cache DIR"
    return CacheError(f"cannot write {path}: {error.strerror}. {_KEPT}: {todo}")


def _one_sentence(call: _Call) -> _Call:
    """Let a failed operation end in ``CacheError`` instead of ``OSError``."""

    @functools.wraps(call)
    def operate(path: Path, *more: Any) -> None:
        try:
            call(path, *more)
        except OSError as error:
            raise refusal(path, error) from error

    return operate  # type: ignore[return-value]


@_one_sentence
def make_folder(path: Path) -> None:
    """Make one folder whose parent is there, if it is not there yet."""
    path.mkdir(exist_ok=True)


@_one_sentence
def write(path: Path, pieces: Iterable[Any]) -> None:
    """Write a new file, piece after piece of bytes."""
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)


@_one_sentence
def sync(path: Path) -> None:
    """Have a file's content on the disk."""
    _sync(path, os.O_RDWR)


@_one_sentence
def sync_folder(path: Path) -> None:
    """Have what a folder lists on the disk: names made, changed and removed."""
    _sync(path, os.O_RDONLY)


@_one_sentence
def rename(path: Path, final: Path) -> None:
    """Give a file its name, in place of what had it."""
    path.replace(final)


@_one_sentence
def remove(path: Path) -> None:
    """Remove a file, or a folder that is empty, if it is there."""
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


def make_folders(path: Path) -> None:
    """Make a folder and those above it; each new name is on the disk afterwards.

    So is its own name if it is there already: whoever made it may have been killed
    before it was.
    """
    if path.is_dir():
        try:
            sync_folder(path.parent)
        except CacheError as error:
            if not isinstance(error.__cause__, PermissionError):
                raise  # a folder above may not be ours to open
        return
    make_folders(path.parent)
    make_folder(path)
    sync_folder(path.parent)


def publish(path: Path, pieces: Iterable[Any]) -> None:
    """Write a file whole or not at all; once this returns, a crash cannot undo it.

    Args:
        path: its name, in a folder that is there
        pieces: its bytes

    Raises:
        CacheError: if it cannot be written; what had the name is untouched
    """
    aside = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        write(aside, pieces)
        sync(aside)
        rename(aside, path)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise
    sync_folder(path.parent)


def move(path: Path, folder: Path) -> None:
    """Put a file into another folder of the cache, beside what is there."""
    make_folders(folder)
    taken = {p.name for p in folder.iterdir()}
    names = [path.name, *(f"{path.name}.{i}" for i in range(1, len(taken) + 1))]
    rename(path, folder / next(n for n in names if n not in taken))
    sync_folder(folder)
    sync_folder(path.parent)


def sweep(folder: Path) -> None:
    """Remove what a killed writer left in a folder; only under the cache's lock."""
    for path in sorted(folder.glob(ASIDE)):
        remove(path)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
