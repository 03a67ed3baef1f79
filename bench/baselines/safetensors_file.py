"""One safetensors file with one tensor per utterance, mapped by its torch reader."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from bench.baselines._store import Store


class Safetensors(Store):
    """Opened once; its tensors are views of the mapped file."""

    name = "safetensors"

    def write(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Write one file."""
        from safetensors import safe_open
        from safetensors.numpy import save_file

        path = self.folder / "all.safetensors"
        save_file({f"{i:04d}": array for i, array in enumerate(arrays)}, path)
        self.file = safe_open(path, "pt")

    def all_layers(self, i: int, into: NDArray[Any]) -> NDArray[Any]:
        """Return a view of the file."""
        return self.file.get_tensor(f"{i:04d}").numpy()

    def one_layer(self, i: int, layer: int, into: NDArray[Any]) -> NDArray[Any]:
        """Return a view of the file."""
        return self.file.get_slice(f"{i:04d}")[layer].numpy()
