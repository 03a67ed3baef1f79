"""Imports go one way along the street, and commands import nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "contracts": set(),
    "corpora": {"contracts"},
    "variants": {"contracts"},
    "extract": {"contracts", "corpora", "variants"},
    "models": {"contracts"},
    "evaluation": {"contracts", "models"},
    "report": {"contracts", "evaluation"},
    "serve": {
        "contracts",
        "corpora",
        "variants",
        "extract",
        "models",
        "evaluation",
        "report",
    },
}
HEAVY = ("torch", "transformers", "sklearn", "pandas", "numpy", "xgboost", "opensmile")


def imported(path: Path) -> set[str]:
    """Return the top-level names that a file imports, anywhere in it."""
    out = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            out |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            out.add((node.module or "").partition(".")[0])
    return out


@pytest.mark.parametrize("stage", MAY_IMPORT)
def test_imports_go_one_way(stage: str) -> None:
    files = sorted((ROOT / stage).glob("**/*.py"))

    wrong = {
        str(path.relative_to(ROOT)): sorted(backwards)
        for path in files
        if (
            backwards := imported(path)
            & (set(MAY_IMPORT) - MAY_IMPORT[stage] - {stage})
        )
    }

    assert files
    assert not wrong


def test_no_stage_reaches_past_the_underscore_of_another() -> None:
    # predict goes the very way of extract, so it calls its machinery
    allowed = {("serve", "extract"), ("serve", "corpora")}
    # folders are walked, and columns named, in one way for all
    allowed |= {("extract", "corpora")}
    wrong = []
    for stage in MAY_IMPORT:
        for path in (ROOT / stage).glob("**/*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.ImportFrom) or not node.module:
                    continue
                other, _, rest = node.module.partition(".")
                names = [*rest.split("."), *(alias.name for alias in node.names)]
                private = any(n.startswith("_") and n != "__future__" for n in names)
                foreign = other in MAY_IMPORT and other != stage
                if foreign and private and (stage, other) not in allowed:
                    wrong.append(f"{path.name}: {node.module}")
    assert not wrong


def test_no_module_is_called_utils() -> None:
    environments = {p.parent for p in ROOT.glob("*/pyvenv.cfg")}  # whatever their name
    names = [p for p in ROOT.rglob("*util*.py") if not environments & {*p.parents}]

    assert not names


@pytest.mark.parametrize(
    "arguments", [["--help"], ["fit", "--help"], ["extract", "-h"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, contextlib, io, pipeline\n"
        "quiet = contextlib.redirect_stdout(io.StringIO())\n"
        "with contextlib.suppress(SystemExit), quiet:\n"
        f"    pipeline.main({arguments!r})\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )

    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout.strip() == "[]"
