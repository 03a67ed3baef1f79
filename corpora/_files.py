"""List the files of a corpus, in an order that is the same on every machine.

A corpus plug-in walks its folder with ``walk``, which yields each audio file as a
``Path`` and everything else as the ``Leftover`` it is, so nothing is passed over in
silence. Only names are looked at.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from contracts.errors import ManifestError
from contracts.manifest import Leftover

AUDIO = frozenset(
    {".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".aif"}
    | {".aiff", ".aifc", ".au", ".snd", ".caf", ".sph", ".w64", ".rf64", ".wma", ".amr"}
)
VIDEO = frozenset(
    {".mp4", ".avi", ".mov", ".mkv", ".mpg", ".mpeg", ".flv", ".m4v", ".wmv", ".webm"}
)
UNFINISHED = frozenset(
    {".part", ".partial", ".crdownload", ".download", ".filepart", ".tmp"}
)
_HIDDEN = frozenset({"thumbs.db", "desktop.ini", "__macosx", "$recycle.bin"})


def walk(root: Path, wanted: frozenset[str] = AUDIO) -> Iterator[Path | Leftover]:
    """Yield every file under a folder, sorted by relative path.

    Linked folders are followed, each real folder is read once. A hidden folder is one
    leftover and not looked into.

    Args:
        root: folder of the corpus
        wanted: suffixes, in lower case, of the files to yield as ``Path``

    Raises:
        ManifestError: if ``root`` is no folder
    """
    if not root.is_dir():
        what = "a file" if root.exists() else "nothing"
        msg = (
            f"{str(root)!r} is no folder: expected a folder with audio files, got "
            f"{what}. Give the folder of the corpus"
        )
        raise ManifestError(msg)
    found = [_judge(item, wanted) for item in _files(root)]
    yield from sorted(found, key=lambda item: relative(item, root))


def relative(item: Path | Leftover, root: Path) -> str:
    """Return where a file lies under ``root``, with forward slashes."""
    path = item.path if isinstance(item, Leftover) else item
    folder, name = str(root), str(path)
    if os.sep == "/" and name.startswith(f"{folder}/"):  # quicker than parsing
        return name[len(folder) + 1 :]
    return path.relative_to(root).as_posix()


def is_file(path: Path) -> bool:
    """Say whether a path names a file that can be looked at; never raises."""
    try:
        return path.is_file()
    except OSError:  # a folder without permission, a name too long
        return False


def is_hidden(path: Path) -> bool:
    """Say whether a name is one that systems leave behind or hide."""
    return _is_hidden(path.name)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _HIDDEN


def _files(root: Path) -> Iterator[os.DirEntry[str] | Leftover]:
    """Yield what lies in the real folders first, then in those that are linked to."""
    real, linked, seen = [str(root)], list[str](), set[tuple[int, int]]()
    while real or linked:
        folder = real.pop() if real else linked.pop(0)
        try:
            told = os.stat(folder)  # noqa: PTH116 - strings are quicker
            with os.scandir(folder) as opened:
                entries = sorted(opened, key=lambda entry: entry.name)
        except OSError as error:
            why = error.strerror or type(error).__name__
            yield Leftover(Path(folder), f"folder cannot be read: {why}")
            continue
        if (told.st_dev, told.st_ino) in seen:
            what = "link to a folder that is read already"
            yield Leftover(Path(folder), what, fault=False)
            continue
        seen.add((told.st_dev, told.st_ino))
        for entry in entries:
            if not _is(entry.is_dir):
                yield entry
            elif _is_hidden(entry.name):
                what = "hidden folder, not looked into"
                yield Leftover(Path(entry.path), what, fault=False)
            else:
                (linked if entry.is_symlink() else real).append(entry.path)


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:
        return False


def _judge(
    item: os.DirEntry[str] | Leftover, wanted: frozenset[str]
) -> Path | Leftover:
    """Keep a file with a wanted suffix, say of any other what it is."""
    if isinstance(item, Leftover):
        return item
    path, suffix = Path(item.path), Path(item.name).suffix.lower()
    if _is_hidden(item.name):
        return Leftover(path, "hidden file", fault=False)
    if not _is_text(item.name):
        shown = path.with_name(item.name.encode("utf-8", "replace").decode())
        return Leftover(shown, "file name is not UTF-8. Rename the file")
    if suffix in UNFINISHED:
        return Leftover(path, f"unfinished download, suffix {suffix!r}. Fetch it again")
    if suffix in VIDEO - wanted:
        return Leftover(path, f"video, suffix {suffix!r}", fault=False)
    if suffix not in wanted:
        return Leftover(path, f"no audio by its name, suffix {suffix!r}", fault=False)
    if not _is(item.is_file):
        what = "a link to a file that is gone" if item.is_symlink() else "no file"
        return Leftover(path, f"cannot be read: expected an audio file, got {what}")
    return path


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
