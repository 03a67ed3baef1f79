"""What writes files for print, and remembers which command makes each again."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.statistics.uncertainty import Interval
from report import _tables

_STRANGE = re.compile(r"[^\w.-]+")


class Exporter:
    """Writes files into a folder and remembers which command made each.

    Args:
        folder: made where it is not there
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[tuple[str, str]] = []
        self.taken: dict[tuple[str, str], int] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def stem(self, kind: str, *words: str) -> Path:
        """Name a file by words, without its ending; no two of a kind are one."""
        name = _STRANGE.sub("_", "-".join(words)).strip("._")[:150]
        n = self.taken[kind, name] = self.taken.get((kind, name), 0) + 1
        return self.folder / (name if n == 1 else f"{name}.{n}")

    def figure(self, drawn: Any, about: str, *words: str) -> None:
        """Write a figure, None for none."""
        from report import _figures

        if drawn is not None:
            self._note(_figures.save(drawn, self.stem("figure", *words), about), about)

    def table(
        self,
        heads: Sequence[str],
        rows: Sequence[Sequence[object]],
        about: str,
        *words: str,
    ) -> None:
        """Write a table; empty ones are not."""
        if rows:
            made = _tables.save(heads, rows, self.stem("table", *words), about)
            self._note(made, about)

    def _note(self, paths: Sequence[Path], about: str) -> None:
        self.made += [(path.name, about) for path in paths]

    def finish(self) -> None:
        """Write which command makes each file again."""
        _tables.save(("file", "command"), self.made, self.folder / "commands", "")


def share(value: float) -> float | None:
    """Round a share for a table; None where there is none."""
    return None if math.isnan(value) else round(value, 4)


def ends_of(one: Interval) -> list[float | None]:
    """Return a score and the ends of its interval for a table."""
    return [share(value) for value in (one.value, one.low, one.high)]
