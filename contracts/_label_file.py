"""What stands in the file of a label map, and whether it makes sense."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from contracts.errors import ManifestError, listing

_KEYS = ("title", "labels", "drop", "original", "threshold", "from_votes", "merge")


def read(path: Path) -> dict[str, Any]:
    """Read one file.

    Returns:
        its keys, those of ``contracts.labels.LabelMap`` but the name

    Raises:
        ManifestError: if it is no TOML, or says what no map can do; the message names
            all of it
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"label map {path} cannot be read: {error}. Mend the file"
        raise ManifestError(msg) from error
    if wrong := _kinds(told) or _sense(told):
        msg = f"label map {path} is wrong: {'; '.join(wrong)}. Mend the file"
        raise ManifestError(msg)
    return told


def text(told: Mapping[str, Any]) -> str:
    """Write what ``read`` reads."""
    lines = [f"title = {_quoted(told['title'])}"]
    for key in ("labels", "drop", "original"):
        if told.get(key):
            lines.append(f"{key} = [{', '.join(map(_quoted, told[key]))}]")
    if told.get("threshold"):
        lines.append(f"threshold = {told['threshold']}")
    if told.get("from_votes"):
        lines.append("from_votes = true")
    if told.get("merge"):
        lines += ["", "[merge]"]
        lines += [f"{_quoted(a)} = {_quoted(b)}" for a, b in told["merge"].items()]
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _kinds(told: Mapping[str, Any]) -> list[str]:
    """Say which keys are missing, unknown or of another kind than they must be."""
    wrong = [f"unknown key {key!r}" for key in told if key not in _KEYS]
    wrong += [f"no {key}" for key in ("title", "labels") if not told.get(key)]
    if not isinstance(told.get("title", ""), str):
        wrong.append("title is no text")
    for key in ("labels", "drop", "original"):
        value = told.get(key, [])
        if not isinstance(value, list) or not _are_words(value):
            wrong.append(f"{key} is no list of words")
        elif len(set(value)) < len(value):
            twice = sorted({x for x in value if value.count(x) > 1})
            wrong.append(f"{key} names {listing(twice)} twice")
    merge = told.get("merge", {})
    if not isinstance(merge, dict) or not _are_words(merge.values()):
        wrong.append("[merge] is no table of words")
    share = told.get("threshold", 0.0)
    if isinstance(share, bool) or not isinstance(share, int | float):
        wrong.append(f"threshold is no number, got {share!r}")
    elif not 0 <= share < 0.5:
        wrong.append(f"threshold must be a share from 0 to below 0.5, got {share}")
    if not isinstance(told.get("from_votes", False), bool):
        wrong.append(f"from_votes is neither true nor false: {told['from_votes']!r}")
    return wrong


def _are_words(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) and value for value in values)


def _sense(told: Mapping[str, Any]) -> list[str]:
    """Say what contradicts itself."""
    classes, merge = set(told["labels"]), told.get("merge", {})
    drop, original = set(told.get("drop", ())), set(told.get("original", ()))
    pairs = (
        ("merges into labels it does not have", set(merge.values()) - classes),
        ("both keeps and merges", classes & set(merge)),
        ("both keeps and drops", classes & drop),
        ("both merges and drops", set(merge) & drop),
        ("leaves out of original", classes - original if original else set()),
    )
    return [f"it {what}: {listing(sorted(bad))}" for what, bad in pairs if bad]
