"""What every way of storing hidden states offers to the reading bench."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray


class Store(ABC):
    """Hidden states of some utterances, written when it is made.

    Args:
        folder: of its own
        arrays: ``(layer, frame, channel)`` of each utterance, float16
    """

    name: str

    def __init__(self, folder: Path, arrays: Sequence[NDArray[Any]]) -> None:
        folder.mkdir()
        self.folder = folder
        self.opened: list[Any] = []
        self.shapes = [array.shape for array in arrays]
        self.write(arrays)

    @abstractmethod
    def write(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Write all utterances, and open what was written."""

    @abstractmethod
    def all_layers(self, i: int, into: NDArray[Any]) -> NDArray[Any]:
        """Return ``(layer, frame, channel)`` of one utterance.

        Args:
            i: position of the utterance
            into: array of this shape that may be filled and returned; a store that
                maps its file returns a view of the file instead
        """

    @abstractmethod
    def one_layer(self, i: int, layer: int, into: NDArray[Any]) -> NDArray[Any]:
        """Return ``(frame, channel)`` of one layer of one utterance, likewise."""

    def close(self) -> None:
        """Close the files that are open; mapped ones are not."""
        for file in self.opened:
            file.close()

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(p.stat().st_size for p in self.folder.rglob("*") if p.is_file())
