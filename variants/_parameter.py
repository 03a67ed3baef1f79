"""What stands behind a variant's name: ``10dB`` in ``noise-10dB``."""

import re

from contracts.errors import PluginError


def number(
    text: str, name: str, expected: str, unit: str, least: float, most: float
) -> float | None:
    """Read a number with its unit, None where nothing stands there.

    Raises:
        PluginError: if it is none, or lies outside what makes sense
    """
    if not text:
        return None
    found = re.fullmatch(rf"(m?)(\d+(?:\.\d+)?)(?:{unit})", text, re.IGNORECASE)
    value = None if found is None else float(found[2]) * (-1 if found[1] else 1)
    if value is None or not least <= value <= most:
        minus = "; m stands for minus" if least < 0 else ""
        msg = (
            f"bad variant {name}-{text}: expected {name} alone or with {expected}, "
            f"from {least:g} to {most:g}{minus}, got {text!r}"
        )
        raise PluginError(msg)
    return value


def nothing(text: str, name: str) -> None:
    """Refuse anything that stands there.

    Raises:
        PluginError: if anything does
    """
    if text:
        msg = (
            f"bad variant {name}-{text}: expected {name} alone, got {text!r} behind it"
        )
        raise PluginError(msg)
