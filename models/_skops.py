"""Fitted estimators of scikit-learn on disk, without pickle."""

import zipfile
from pathlib import Path
from typing import Any

from contracts.errors import RunError, listing

TRUSTED = ["sklearn.tree._tree.Tree"]  # beside what skops trusts by itself


def dump(estimator: Any, path: Path) -> None:
    """Write a fitted estimator."""
    from skops import io

    io.dump(estimator, path, compression=zipfile.ZIP_DEFLATED)


def load(path: Path) -> Any:
    """Read what ``dump`` wrote.

    Raises:
        RunError: if it would run code of unknown types
    """
    from skops import io

    found = set(io.get_untrusted_types(file=path))
    if refused := sorted(found - set(TRUSTED)):
        msg = (
            f"{path} is not trusted: expected no types but {listing(TRUSTED)}, got "
            f"{listing(refused)}. Fit it again"
        )
        raise RunError(msg)
    return io.load(path, trusted=sorted(found))
