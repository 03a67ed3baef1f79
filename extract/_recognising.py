"""Which plug-in reads a folder: told by what lies there, not by its name alone."""

import re
from itertools import islice
from pathlib import Path
from types import ModuleType

from contracts import plugins
from contracts.errors import ManifestError
from contracts.manifest import Leftover, Utterance
from corpora._files import AUDIO, VIDEO, walk

TABLE, FOLDERS = "table", "class_folders"  # importers that are asked last, in order
_LOOKED_AT = 200  # files, spread over the folder
_MOST = 0.8  # share of them whose names are of one corpus


def importers(root: Path | None = None) -> list[ModuleType]:
    """List the plug-ins that read a layout, whatever the corpus.

    Args:
        root: only those that recognise this folder or file; of these the last resorts
            (any table, folders named by emotion) only where nothing else does
    """
    every = [plugins.load("corpora", name) for name in plugins.names("corpora")]
    found = [plugin for plugin in every if hasattr(plugin, "recognises")]
    if root is None:
        return found
    last = {f"corpora.{name}" for name in (TABLE, FOLDERS)}
    specific = [p for p in found if p.__name__ not in last and p.recognises(root)]
    if specific:
        return specific
    table, folders = (plugins.load("corpora", name) for name in (TABLE, FOLDERS))
    if table.recognises(root):
        return [table]
    if named := by_names(root):
        return [named]
    return [folders] if folders.recognises(root) else []


def by_names(root: Path) -> ModuleType | None:
    """Find the corpus that nearly all files of a folder are named after."""
    if not root.is_dir():
        return None
    files = [f for f in walk(root, AUDIO | VIDEO) if isinstance(f, Path)]
    if not files:
        return None
    some = list(islice(files, 0, None, max(1, len(files) // _LOOKED_AT)))
    for name in plugins.names("corpora"):
        plugin = plugins.load("corpora", name)
        n = sum(_is_of(plugin, path) for path in some)
        if n >= _MOST * len(some):
            return plugin
    return None


def _is_of(plugin: ModuleType, path: Path) -> bool:
    """Whether a file's name is one that a corpus gives."""
    if claims := getattr(plugin, "claims", None):
        return bool(claims(path))
    read = getattr(plugin, "read_name", None)
    if read is None:
        return False
    told: Utterance | Leftover = read(path)
    return isinstance(told, Utterance)


def published(name: str) -> str | None:
    """Return the corpus that a name stands for: ``CREMA-D`` is ``crema_d``."""
    layouts = {p.__name__.partition(".")[2] for p in importers()}
    plain = {_plain(n): n for n in plugins.names("corpora") if n not in layouts}
    return plain.get(_plain(name))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def plugin_for(corpus: str, root: Path) -> ModuleType:
    """Find the plug-in that reads a corpus: its own, else what recognises the folder.

    Raises:
        ManifestError: if several recognise it
        PluginError: if there is no such plug-in and nothing recognises the folder
    """
    if corpus in plugins.names("corpora"):
        return plugins.load("corpora", corpus)
    found = importers(root)
    if len(found) > 1:
        names = " and ".join(p.__name__.partition(".")[2] for p in found)
        msg = (
            f"{root} is more than one thing: expected one layout, got {names}. Give "
            "the path of the one file that lists the recordings (metadata.csv, "
            "db.yaml, wav.scp, a .jsonl ...) as --root"
        )
        raise ManifestError(msg)
    return found[0] if found else plugins.load("corpora", corpus)


def corpora_in(audio: Path) -> tuple[dict[str, Path], list[str]]:
    """Find the corpora in a folder of corpora.

    Returns:
        name -> folder, and the names of folders that nothing here can read
    """
    found: dict[str, Path] = {}
    unknown = []
    folders = sorted(audio.iterdir()) if audio.is_dir() else []
    for folder in folders:
        if not folder.is_dir() or folder.name.startswith("."):
            continue
        name = published(folder.name)
        readers = [] if name else importers(folder)
        if not name and len(readers) == 1 and not hasattr(readers[0], "recognises"):
            name = readers[0].__name__.partition(".")[2]  # a corpus, by its file names
        if name and name not in found:
            found[name] = folder
        elif name or readers:
            found[folder.name] = folder
        else:
            unknown.append(folder.name)
    return found, unknown
