"""Find plug-ins by looking into their folders; nothing is registered anywhere.

A file without a leading underscore in ``corpora/``, ``extract/``, ``models/`` or
``variants/`` is a choice on the command line, and its name is the file's name. Names
and summaries are read from the files without importing them, so listing is quick and
needs no torch.
"""

import ast
import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from contracts.errors import PluginError, did_you_mean

FOLDERS = {
    "corpora": "corpora",
    "features": "extract",
    "models": "models",
    "variants": "variants",
}
_ROOT = Path(__file__).resolve().parent.parent
_NOT_PLUGINS = {"commands"}


def names(kind: str) -> list[str]:
    """List the plug-ins of a kind, sorted.

    Args:
        kind: one of ``FOLDERS``
    """
    folder = _ROOT / FOLDERS[kind]
    stems = (path.stem for path in folder.glob("*.py"))
    return sorted(s for s in stems if not s.startswith("_") and s not in _NOT_PLUGINS)


def summary(kind: str, name: str) -> str:
    """Return the first line of a plug-in's docstring, read without importing it."""
    source = (_ROOT / FOLDERS[kind] / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def load(kind: str, name: str) -> ModuleType:
    """Import one plug-in.

    Raises:
        PluginError: if there is no such plug-in; the message lists those there are
    """
    check(kind, [name])
    return importlib.import_module(f"{FOLDERS[kind]}.{name}")


def check(kind: str, wanted: Sequence[str]) -> None:
    """Refuse names that no plug-in of this kind has, all of them at once.

    Raises:
        PluginError: naming each unknown plug-in and the choices
    """
    known = names(kind)
    refuse_unknown(kind, wanted, known)


def refuse_unknown(kind: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    """Raise the one sentence for names that are not among ``known``.

    Raises:
        PluginError: naming each unknown name, the choices and the nearest of them
    """
    unknown = [name for name in wanted if name not in known]
    if not unknown:
        return
    hint = did_you_mean(unknown, known)
    msg = (
        f"unknown {kind}: {', '.join(repr(u) for u in unknown)}, expected one of "
        f"{list(known)}.{hint} See: python pipeline.py list {kind}"
    )
    raise PluginError(msg)
