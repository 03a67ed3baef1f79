"""Run benches: ``python -m bench [NAME ...] [--json] [--rounds N] [--plot FILE.svg]``.

Without a name all of them run. ``--saved FILE`` shows what ``--json`` once printed,
without measuring again; given several times, what several runs printed, say of one
bench each. ``--epochs FILE.svg`` draws seconds of an epoch, of benches that train.
"""

import argparse
import importlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as pipeline.py does

from bench._epochs import plot_epochs
from bench._plot import plot
from bench._text import lay_out

NAMES = sorted(p.stem for p in Path(__file__).parent.glob("[!_]*.py"))


def main(arguments: list[str] | None = None) -> None:
    """Run the benches asked for; print their tables."""
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(NAMES)}; none: all")
    parser.add_argument("--json", action="store_true", help="for other programs")
    parser.add_argument("--rounds", type=int, default=7, help="alternations")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw bars")
    parser.add_argument("--epochs", type=Path, metavar="FILE.svg", help="draw seconds")
    parser.add_argument(
        "--saved", type=Path, metavar="FILE", action="append", help="of --json"
    )
    chosen = parser.parse_args(arguments)
    names = chosen.name or NAMES
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"unknown benches {unknown}: expected some of {NAMES}")
    if chosen.rounds < 1:
        parser.error(f"bad --rounds {chosen.rounds}: expected at least 1")
    told: dict[str, Any] = {}
    if chosen.saved:
        for path in chosen.saved:
            told |= json.loads(path.read_text(encoding="utf-8"))
        names = [name for name in chosen.name or told if name in told]
    for name in names:
        if not chosen.saved:
            bench = importlib.import_module(f"bench.{name}")
            about = (bench.__doc__ or "").splitlines()[0]
            told[name] = {"about": about} | asdict(bench.run(chosen.rounds))
        if not chosen.json:
            print(lay_out(name, told[name]["about"], told[name]), flush=True)
    if chosen.json:
        print(json.dumps({name: told[name] for name in names}, indent=1))
    tables = [t for name in names for t in told[name]["tables"]]
    for path, draw in ((chosen.plot, plot), (chosen.epochs, plot_epochs)):
        if path:
            try:
                drawn = draw(tables)
            except ValueError as error:
                parser.error(str(error))
            path.write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
