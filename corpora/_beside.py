"""Read a table that a corpus publishes beside its recordings, if it is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from contracts.errors import ManifestError, listing
from contracts.manifest import Leftover, Utterance
from corpora._columns import read

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")


def read_beside(
    items: Sequence[Utterance | Leftover],
    name: str,
    columns: Sequence[str],
    understand: Callable[[pd.DataFrame], dict[str, T]],
) -> tuple[list[Utterance | Leftover], dict[str, T]]:
    """Find a table among the leftovers of a corpus and read it as text.

    Args:
        items: what the files of the corpus are
        name: of the table's file; letter case does not matter
        columns: those it must have
        understand: turns the table, all text, into key -> what it tells

    Returns:
        the items, in which the table's own leftover now says what became of it, a fault
        if it cannot be used; and what it tells, empty without a table of use
    """
    out = list(items)
    places = [
        (i, item)
        for i, item in enumerate(out)
        if isinstance(item, Leftover) and item.path.name.casefold() == name.casefold()
    ]
    if not places:
        return out, {}
    for i, item in places[1:]:
        out[i] = replace(item, reason=f"a second {name}, not read")
    i, item = places[0]
    try:
        frame = read(item.path)
    except ManifestError as error:
        out[i] = Leftover(item.path, str(error))
        return out, {}
    told = understand(frame) if set(columns) <= set(frame.columns) else {}
    if told:
        out[i] = replace(item, reason="no audio, read as a table of the corpus")
    else:
        reason = (
            f"cannot be used: expected rows with the columns {listing(columns)}, got "
            f"{len(frame)} rows with {listing(frame.columns)}. Fetch {name} again"
        )
        out[i] = Leftover(item.path, reason)
    return out, told
