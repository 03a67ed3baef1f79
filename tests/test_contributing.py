"""The recipes of CONTRIBUTING, run as they stand there in a copy of the checkout."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RECIPES = dict(
    re.findall(
        r"```python\n# (\S+\.py)\n(.*?)```",
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
)
BATTERIES = {
    "corpora/tiny.py": "tests/test_corpora.py",
    "extract/loudness.py": "tests/test_features.py",
    "models/nearest_mean.py": "tests/test_models.py",
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the checkout with the recipes in it, and nothing else added."""
    folder = tmp_path_factory.mktemp("copy") / "emocache"
    skip = shutil.ignore_patterns(".*", "data", "__pycache__")
    shutil.copytree(ROOT, folder, ignore=skip)
    for name, source in RECIPES.items():
        (folder / name).write_text(source, encoding="utf-8")
    return folder


def test_there_is_one_recipe_for_each_kind() -> None:
    assert set(RECIPES) == set(BATTERIES)


@pytest.mark.parametrize("name", BATTERIES)
def test_recipe_is_found_and_passes_its_battery(name: str, copy: Path) -> None:
    plugin = Path(name).stem
    kind = {"extract": "features"}.get(Path(name).parent.name, Path(name).parent.name)

    listed = subprocess.run(
        [sys.executable, "pipeline.py", "list", kind],
        cwd=copy,
        capture_output=True,
        text=True,
        check=True,
    )
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", BATTERIES[name], "-k", plugin],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )

    assert plugin in listed.stdout
    assert tested.returncode == 0, tested.stdout[-3000:]
    assert re.search(r"[1-9]\d* passed", tested.stdout)
