"""Imported, notes each shard that is begun in the file that COUNTED names.

Worker processes are forked from one that has imported it.
"""

import os
from typing import Any

from extract import _work

_compute = _work.compute


def _noted(extractor: Any, items: Any, heard: Any) -> Any:
    if "COUNTED" in os.environ:
        with open(os.environ["COUNTED"], "a") as file:  # noqa: PTH123 - one append
            file.write(f"{extractor.spec.name} {' '.join(i.key for i in items)}\n")
    return _compute(extractor, items, heard)


_work.compute = _noted
