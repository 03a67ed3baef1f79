"""Which rows of a table of heads a new table would not have any more."""

import re
from collections import Counter

from serve.heads_table import BEGIN, END

_CELL = re.compile(r"(?<!\\)\|")  # a bar that ends a cell, not an escaped one


def lost_rows(document: str, table: str) -> tuple[list[str], int]:
    """Find rows of the table in a document that a new table lacks.

    A row is known by its head with settings and by its input, under one corpus, label
    map and protocol: new numbers, other seeds and another encoder are the same row.

    Args:
        document: with a table between its two comment lines, or nothing there
        table: that is to stand there

    Returns:
        the rows that would vanish, as ``head on input``, and how many stand there
    """
    before = _rows(document.partition(BEGIN)[2].partition(END)[0])
    lost = Counter(before) - Counter(_rows(table))
    return [f"{head} on {heard}" for _, head, heard in lost.elements()], len(before)


def _rows(table: str) -> list[tuple[str, str, str]]:
    """Return what each row is known by: the question, the head, the input."""
    asked, out = "", []
    for line in table.splitlines():
        if not line.startswith("|"):
            asked = asked or line.partition(", chance ")[0]
            continue
        cells = [cell.strip() for cell in _CELL.split(line)[1:]]
        if len(cells) > 1:
            head, heard = cells[0].partition("<br>**")[0], cells[1].partition("<br>")[0]
            out.append((asked, head, heard))
    return out[2:]  # below the heading and its rule
