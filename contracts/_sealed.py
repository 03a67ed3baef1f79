"""Small files that prove themselves: each carries a checksum over all its bytes.

The checksum stands near the end of the file as ``crc32:`` and eight digits; it is
taken over every byte but those eight, so that no flipped byte goes unseen, a space or
a bracket neither.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contracts.errors import CacheError
from contracts.feature import FORMAT

MARK = b"crc32:"
BLANK = "crc32:00000000"  # stands in for the checksum before it is known
_DIGITS = 8


class OtherFormatError(CacheError):
    """A cache of an older or newer format: nothing is wrong with it, nor readable."""


def stamp(data: bytes) -> bytes:
    """Put the checksum where ``BLANK`` stands, the last one if there are several."""
    start, end = _digits(data)
    crc = zlib.crc32(data[end:], zlib.crc32(data[:start]))
    return b"%s%08x%s" % (data[:start], crc, data[end:])


def flaw(data: bytes) -> str:
    """Say what is wrong with stamped bytes; empty: nothing is."""
    if MARK not in data:
        return "it carries no checksum"
    start, end = _digits(data)
    crc = b"%08x" % zlib.crc32(data[end:], zlib.crc32(data[:start]))
    if data[start:end] == crc:
        return ""
    got, expected = crc.decode(), data[start:end].decode("ascii", "replace")
    return f"its checksum is {got}, expected {expected}"


def _digits(data: bytes) -> tuple[int, int]:
    start = data.rindex(MARK) + len(MARK)
    return start, start + _DIGITS


def seal(facts: Mapping[str, Any], indent: int | None = None) -> bytes:
    """Write facts as JSON that proves itself; the format is put in front."""
    whole = {"format": FORMAT, **facts, "checksum": BLANK}
    return stamp(json.dumps(whole, indent=indent).encode())


def unseal(data: bytes, path: Path) -> dict[str, Any]:
    """Read back what ``seal`` wrote.

    Args:
        data: the file's bytes
        path: where they are from, for the errors

    Raises:
        ValueError: saying what is wrong with them
        OtherFormatError: if they are of another format
    """
    wrong = flaw(data)
    try:
        facts: dict[str, Any] = json.loads(data)
        made = facts.get("format", 1)  # the first format named itself in commits alone
    except (ValueError, AttributeError) as error:
        raise ValueError(wrong or str(error)) from error
    if "checksum" not in facts and MARK not in data and made != FORMAT:
        wrong = ""
    if wrong:
        raise ValueError(wrong)
    check_format(path, made)
    del facts["checksum"]
    return facts


def check_format(path: Path, made: object) -> None:
    """Refuse another format than ours.

    Raises:
        OtherFormatError: naming both
    """
    if made == FORMAT:
        return
    msg = (
        f"{path} was written in format {made}, this program reads format {FORMAT}. "
        "Extract into a new cache with --cache DIR, or delete the old one first"
    )
    raise OtherFormatError(msg)
