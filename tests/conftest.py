"""Fixtures that three tests or more use."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as pipeline.py does, before torch

from contracts.cache import Cache
from tests.synthetic import make_cache


@pytest.fixture(scope="session")
def toy_cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Return a synthetic cache; read only."""
    return make_cache(tmp_path_factory.mktemp("toy") / "cache")


@pytest.fixture
def toy_folder(tmp_path: Path) -> Path:
    """Return the folder of a synthetic cache of one's own."""
    return make_cache(tmp_path / "cache").folder


@pytest.fixture
def made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, Path]:
    """Return a corpus and its cache with mfcc."""
    from tests.test_extract import corpus, extract

    root = corpus(tmp_path / "a")
    extract(root, tmp_path / "c")
    capsys.readouterr()
    return root, tmp_path / "c"
