"""What a person sees: tables, and bars only where there is a terminal."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from contracts.terminal import count, table

ROOT = Path(__file__).resolve().parent.parent
_BARS = """
from contracts.terminal import progress, say
with progress("outer", 2, "folds") as outer:
    for _ in range(2):
        with progress("inner", 3, "utterances") as inner:
            for i in range(3):
                inner(1, f"loss {i}")
        outer(1)
say("done")
"""


def test_table_puts_numbers_to_the_right() -> None:
    text = table(["name", "n", "share"], [["a", 1, "5%"], ["longer", 100, "12.5%"]])

    assert text.splitlines() == [
        "name      n  share",
        "------  ---  -----",
        "a         1     5%",
        "longer  100  12.5%",
    ]


def test_count_has_its_plural() -> None:
    assert [count(n, "fold") for n in (0, 1, 1440)] == [
        "0 folds",
        "1 fold",
        "1,440 folds",
    ]


def test_bars_are_quiet_without_a_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BARS], cwd=ROOT, capture_output=True, check=True
    )

    assert done.stdout == b"done\n"
    assert done.stderr == b""


def test_bars_in_a_terminal_stand_one_in_the_other() -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _BARS],
        cwd=ROOT,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(slave)
    said = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        said += piece
    os.close(master)

    assert process.wait() == 0, said.decode()
    assert b"outer" in said
    assert b"inner" in said
    assert b"folds/s" in said
    assert b"utterances/s" in said
    assert b"done" in said
