"""What ``make demo`` and ``make table`` ask for: commands that there are."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.plugins import load, names

ROOT = Path(__file__).parent.parent
# stands for the environment's Python: commands are read, and none is carried out
READS = """#!/bin/sh
if [ "$1" = pipeline.py ]; then
    shift
    exec {python} -c '
import sys, pipeline
pipeline._parser(pipeline.commands()).parse_args(sys.argv[1:])
print(sys.argv[1:])' "$@"
fi
exec {python} "$@"
"""
needs_make = pytest.mark.skipif(not shutil.which("make"), reason="needs make")


def asked(target: str, folder: Path) -> list[list[str]]:
    """Return the commands of a target, as they are read."""
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(READS.format(python=sys.executable), encoding="utf-8")
    python.chmod(0o755)
    (folder / "installed").touch()
    plain = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    done = subprocess.run(
        ["make", "-s", f"VENV={folder}", target],
        cwd=ROOT,
        env=plain,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    return [ast.literal_eval(line) for line in done.stdout.splitlines()]


def values(command: list[str], flag: str) -> list[str]:
    """Return what stands behind a flag."""
    rest = command[command.index(flag) + 1 :]
    ends = [i for i, word in enumerate(rest) if word.startswith("--")]
    return rest[: ends[0]] if ends else rest


@needs_make
def test_table_is_every_head_with_three_seeds_and_what_they_hear(
    tmp_path: Path,
) -> None:
    extract, *fits, report, heads = asked("table", tmp_path)

    assert [c[0] for c in (extract, report, heads)] == ["extract", "report", "heads"]
    assert all(c[0] == "fit" and values(c, "--seeds") == ["0-2"] for c in fits)
    assert set(values(fits[0], "--model")) == set(names("models"))
    heard = set(values(extract, "--feature"))
    defaults = {"wav2vec2", "egemaps", "logmel", "egemaps_lld_20ms"}
    named = {f for c in fits if "--feature" in c for f in values(c, "--feature")}
    assert defaults | {f.partition(":")[0] for f in named} <= heard


@needs_make
def test_table_makes_every_row_of_readme(tmp_path: Path) -> None:
    made = set()
    for command in asked("table", tmp_path):
        if command[0] == "fit":
            told = values(command, "--feature") if "--feature" in command else [""]
            settings = values(command, "--set") if "--set" in command else []
            made |= {(m, told[0], *settings) for m in values(command, "--model")}
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition("<!-- heads -->")[2].partition("<!-- /heads -->")[0]
    rows = [r.split(" | ")[:2] for r in table.splitlines() if r.startswith("| `")]

    assert len(rows) > 20
    for name, heard in rows:
        model, _, rest = name.removeprefix("| `").partition("`")
        told = re.findall(r"^ \((.*?)\)", rest)
        set_to = [one for text in told for one in text.split(", ")]
        usual = "+".join(load("models", model).Head().features)
        feature = heard.partition("<br>")[0]
        own = "" if feature in (usual, "nothing") else feature
        if "budgeted" in rest:  # with a step of its own, to see it move
            set_to = [one for one in set_to if not one.startswith("lr=")]
        assert (model, own, *set_to) in made


@needs_make
def test_demo_goes_down_the_street(tmp_path: Path) -> None:
    commands = asked("demo", tmp_path)

    told = [command[0] for command in commands]
    assert told == ["speak", "extract", "inspect", "fit", "fit", "report"]
